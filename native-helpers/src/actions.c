/* What the mode copytool does with one action: begin, adopt, progress, end, drop. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "copytool.h"
#include "hal.h"
#include "lov.h"
#include "out.h"

enum { ERRVAL_MAX = 4095 };
enum { RENAMED_TRIES = 5 }; /* to begin a restore whose directory is renamed again and again */
/* Of ends that failed: pauses between the tries, and all of them together. */
enum { AGAIN_FIRST_MS = 250, AGAIN_LAST_MS = 8000, AGAIN_MS = 60000 };

int action_progress(struct helper *h, const struct hsm_action_item *hai, uint64_t offset, uint64_t length,
		    uint16_t flags, uint16_t errval)
{
	struct hsm_progress progress = {
		.hp_fid = hai->hai_fid,
		.hp_cookie = hai->hai_cookie,
		.hp_extent = { .offset = offset, .length = length },
		.hp_flags = flags,
		.hp_errval = errval,
	};

	return h->api.ioctl(h->mount_fd, LL_IOC_HSM_PROGRESS, &progress) < 0 ? -errno : 0;
}

static struct registration *registration_use(struct copytool *ct)
{
	pthread_mutex_lock(&ct->lock);

	struct registration *r = ct->current;

	if (r)
		r->users++;
	pthread_mutex_unlock(&ct->lock);
	return r;
}

static void registration_done(struct copytool *ct, struct registration *r)
{
	pthread_mutex_lock(&ct->lock);
	r->users--;
	pthread_mutex_unlock(&ct->lock);
}

/* The layout that a restore's new file is to get: 0 with the xattr, or why there is none. */
static int wanted_layout(struct helper *h, const struct lu_fid *fid, struct buf *xattr)
{
	struct lov_layout layout;
	void *value = NULL;
	ssize_t size = fs_layout_xattr(h, fid, &value);
	int rc;

	if (size < 0)
		rc = (int)size;
	else if (lov_parse(&layout, value, (size_t)size))
		rc = -EPROTO;
	else
		rc = lov_build(&layout, xattr);
	free(value);
	return rc;
}

/* A descriptor of the action's data, or -errno. */
static int data_fd(const struct helper *h, const struct hsm_copyaction_private *hcp)
{
	return h->api.llapi_hsm_action_get_fd(hcp);
}

struct begin {
	int32_t mdt;
	int32_t open_flags;
	bool is_error;
	bool keep_layout;
	bool now; /* adopt: begin at once, too */
};

static bool begin_fields(struct fields *f, struct begin *b)
{
	const char *layout;
	size_t len;

	*b = (struct begin){ .mdt = -1, .keep_layout = true, .now = true };
	if (!field_i32(f, "mdt", &b->mdt) || !field_i32(f, "open_flags", &b->open_flags) ||
	    !field_bool(f, "is_error", &b->is_error) || !field_bool(f, "begin", &b->now) || !field_string(f, "layout", false, &layout, &len))
		return false;
	if (layout && strcmp(layout, "keep") != 0 && strcmp(layout, "default") != 0)
		return field_bad(f, "layout", "must be keep or default");
	if (b->open_flags != 0 || (layout && strcmp(layout, "default") == 0))
		b->keep_layout = false;
	return true;
}

/* Begins a busy item; the rest of its reply goes to out. */
static int action_begin(struct copytool *ct, struct item *it, const struct begin *b, struct buf *out)
{
	struct helper *h = ct->h;
	struct registration *r = registration_use(ct);
	struct buf lov = { 0 };
	struct lu_fid fid = it->hai.hai_fid, dfid;
	bool restore = it->hai.hai_action == HSMA_RESTORE && !b->is_error;
	int open_flags = b->open_flags, mdt = b->mdt, layout_rc = 0, rc;

	if (!r)
		return -EAGAIN;
	/*
	 * The end of a restore is told under the volatile file's FID, to the MDT of that: it has to be the file's own, which needs
	 * not be that of the directory, where the client makes it unless told otherwise (renamed between MDTs, striped directories).
	 */
	if (restore && mdt < 0)
		mdt = mdts_index(h, &fid);
	if (restore && b->keep_layout) {
		layout_rc = wanted_layout(h, &fid, &lov);
		if (layout_rc == 0)
			open_flags |= O_LOV_DELAY_CREATE;
	}
	for (int tries = 1;; tries++) {
		struct stat st;

		rc = h->api.llapi_hsm_action_begin(&it->hcp, r->ct, &it->hai, mdt, open_flags, b->is_error);
		/* llapi makes a restore's file by its directory's path, which may have been another one by then. */
		if (rc != -ENOENT || !restore || tries == RENAMED_TRIES || fs_stat(h, &fid, &st) < 0)
			break;
	}
	if (rc < 0) {
		it->hcp = NULL;
		registration_done(ct, r);
		buf_free(&lov);
		return rc;
	}
	it->registration = r;
	mdts_answered(h, &fid);

	int fd = b->is_error || it->hai.hai_action == HSMA_REMOVE ? -EINVAL : data_fd(h, it->hcp);

	if (restore && b->keep_layout) {
		if (layout_rc == 0 && (fd < 0 || fsetxattr(fd, "lustre.lov", lov.data, lov.len, XATTR_CREATE) < 0))
			layout_rc = fd < 0 ? fd : -errno;
		buf_printf(out, ",\"layout_rc\":%d", layout_rc);
	}
	if (h->api.llapi_hsm_action_get_dfid(it->hcp, &dfid) != 0)
		dfid = fid; /* a removal has no data */
	buf_str(out, ",\"dfid\":");
	buf_json_fid(out, &dfid);
	if (it->hai.hai_action == HSMA_ARCHIVE && fd >= 0) {
		uint64_t dv = 0;

		/* Not before begin has taken its own: a change in between is then seen by the end as EBUSY. */
		rc = h->api.llapi_get_data_version(fd, &dv, LL_DV_RD_FLUSH);
		it->dv_known = rc == 0;
		it->dv = dv;
		if (rc == 0)
			buf_printf(out, ",\"dv\":\"%llu\"", (unsigned long long)dv);
		else
			buf_printf(out, ",\"dv_rc\":%d", rc);
	}
	if (fd >= 0)
		close(fd); /* it was a duplicate */
	buf_free(&lov);
	return 0;
}

/*
 * Before a restore is called a success: its data must be on the servers (llapi would swallow a failed fsync), and as
 * long as the file is said to be (the kernel accepts a short one). They must be the file's owner's, too: llapi saw to that at
 * the beginning, and since 2.16 the MDT refuses others. 0, or -errno with *why.
 */
static int restore_check(struct helper *h, const struct item *it, int fd, const char **why)
{
	struct lu_fid fid = it->hai.hai_fid;
	struct statx copy;
	struct stat st;

	if (fd < 0) {
		*why = "the restored data can't be looked at";
		return fd;
	}
	if (fsync(fd) < 0 ||
	    statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE | STATX_UID | STATX_GID, &copy) < 0) {
		*why = "the restored data did not reach the servers";
		return -errno;
	}
	if (fs_stat(h, &fid, &st) < 0)
		return 0;
	if (copy.stx_size != (uint64_t)st.st_size) {
		*why = "the restored data are not as long as the file";
		return -EIO;
	}
	if ((copy.stx_uid != st.st_uid || copy.stx_gid != st.st_gid) && fchown(fd, st.st_uid, st.st_gid) < 0)
		note("restored data can't be given to %u:%u: %s", st.st_uid, st.st_gid, strerror(errno)); /* the end tells */
	return 0;
}

/* How an action ends, for as many tries as it takes. */
struct ending {
	struct hsm_extent extent;
	uint16_t retry; /* HP_FLAG_RETRY, or 0 */
	int errval;     /* positive */
	int64_t until;  /* of now_ms: when to give up */
	bool copy;      /* a success of data: not without the kernel's look at their version */
	struct hsm_copy done;
};

static int end_under_own_fid(struct helper *h, const struct item *it, const struct ending *e, int errval)
{
	return action_progress(h, &it->hai, e->extent.offset, e->extent.length, HP_FLAG_COMPLETED | e->retry,
			       (uint16_t)errval);
}

/* Whether the coordinator has answered: trying once more would not change it. */
static bool answered(int rc)
{
	switch (-rc) {
	case 0:
	case EBUSY:
	case ENOENT:
	case ECANCELED:
	case EINVAL:
	case EPERM:
	case ENOTTY:
	case ENOSYS:
		return true;
	}
	return false;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * An end that failed with `first`: the metadata server may be failing over, or the coordinator stopped. llapi has
 * forgotten the action by now. A plain report of success would make the coordinator forget the data version, and that
 * the file is dirty; so data that were copied are reported as llapi does.
 */
static int end_again(struct copytool *ct, struct item *it, const struct ending *e, int first)
{
	int rc = first;

	for (int wait = AGAIN_FIRST_MS; !answered(rc); wait = wait < AGAIN_LAST_MS / 2 ? wait * 2 : AGAIN_LAST_MS) {
		if (now_ms() + wait > e->until || copytool_pause(ct, wait))
			return rc;
		if (item_sent_again(ct, it))
			return first; /* so it was heard */
		if (e->copy) {
			struct hsm_copy done = e->done; /* the kernel writes into it */

			rc = ct->h->api.ioctl(ct->h->mount_fd, LL_IOC_HSM_COPY_END, &done) < 0 ? -errno : 0;
		} else {
			rc = end_under_own_fid(ct->h, it, e, e->errval);
		}
	}
	if (rc == -ENOTTY || rc == -ENOSYS)
		return first;
	/* Heard the first time, or forgotten meanwhile: `first` says more, unless there was only an error to tell. */
	return rc == -ENOENT && e->errval == 0 ? first : rc;
}

/* Instead of e, and under the file's own FID. */
static int end_with_error(struct copytool *ct, struct item *it, const struct ending *e, int errval)
{
	struct ending error = { .extent = e->extent, .retry = e->retry, .errval = errval, .until = e->until };

	return end_again(ct, it, &error, end_under_own_fid(ct->h, it, &error, errval));
}

/* What a success is told with once llapi's handle is gone. */
static void copied(struct helper *h, const struct item *it, const struct hsm_extent *extent, struct ending *e)
{
	struct lu_fid dfid;

	if (it->hai.hai_action == HSMA_REMOVE || h->api.llapi_hsm_action_get_dfid(it->hcp, &dfid) != 0)
		return;
	e->copy = true;
	e->done = (struct hsm_copy){ .hc_data_version = it->dv, .hc_flags = e->retry, .hc_hai = it->hai };
	e->done.hc_hai.hai_fid = e->done.hc_hai.hai_dfid = dfid;
	e->done.hc_hai.hai_extent = *extent;
}

static int end_begun(struct copytool *ct, struct item *it, struct ending *e, const char **why)
{
	struct helper *h = ct->h;
	bool restore = it->hai.hai_action == HSMA_RESTORE;
	int fd = restore && e->errval == 0 ? data_fd(h, it->hcp) : -1; /* keeps the volatile file for a second try */
	int check = 0, rc;

	if (restore && e->errval == 0) {
		check = restore_check(h, it, fd, why);
		e->errval = -check;
	}
	if (e->errval == 0)
		copied(h, it, &e->extent, e);
	rc = h->api.llapi_hsm_action_end(&it->hcp, &e->extent, e->retry, e->errval);

	bool unheard = !answered(rc);

	if (unheard && (!e->copy || restore || it->dv_known))
		rc = end_again(ct, it, e, rc);
	if (fd >= 0)
		close(fd);
	if (rc == -EINVAL && (restore || e->errval != 0)) {
		/*
		 * The coordinator has another volatile file's FID for this restore, and refuses ours: nobody could
		 * end it any more but under the file's own. A reader that gets an error asks again; one that gets
		 * nothing hangs.
		 */
		int freed = end_with_error(ct, it, e, e->errval ? e->errval : EIO);

		if (e->errval == 0)
			*why = freed == 0 ? "the coordinator refused this restore; it was ended with an error instead" :
					    "the coordinator refused this restore";
		else if (freed == 0)
			rc = 0;
	} else if (unheard && e->copy && rc < 0 && rc != -EBUSY && !item_sent_again(ct, it)) {
		/* The success can't be told, or nobody knows if it was heard: at least nobody is to wait any longer. */
		end_with_error(ct, it, e, -rc);
	}
	return check < 0 ? check : rc;
}

int action_end(struct copytool *ct, struct item *it, const struct hsm_extent *extent, bool retry, int errval,
	       const char **why, struct buf *event)
{
	struct ending e = {
		.extent = *extent,
		.retry = retry ? HP_FLAG_RETRY : 0,
		.errval = errval,
		.until = now_ms() + AGAIN_MS,
	};
	int rc;

	*why = NULL;
	item_ending(ct, it);
	if (it->hcp) {
		rc = end_begun(ct, it, &e, why);
		registration_done(ct, it->registration);
	} else {
		rc = end_again(ct, it, &e, end_under_own_fid(ct->h, it, &e, errval));
	}
	item_remove(ct, it, event);
	return rc;
}

/* The cookie, and the FID that makes it unique over several MDTs. */
static bool item_key(struct request *rq, uint64_t *cookie, struct lu_fid *fid, const struct lu_fid **key)
{
	bool present;

	if (!field_u64(&rq->fields, "cookie", true, cookie) || !field_fid(&rq->fields, "fid", false, fid, &present))
		return false;
	*key = present ? fid : NULL;
	return true;
}

static int no_item(struct request *rq, int rc)
{
	return failed(rq, rc, rc == -ENOTUNIQ ? "several actions have that cookie: say the fid, too" :
						"no open action has that cookie");
}

static int op_begin(struct request *rq, struct buf *out)
{
	struct copytool *ct = rq->h->copytool;
	const struct lu_fid *key;
	struct lu_fid fid;
	struct begin b;
	uint64_t cookie;
	int rc;

	if (!item_key(rq, &cookie, &fid, &key) || !begin_fields(&rq->fields, &b))
		return bad_request(rq);

	struct item *it = item_take(ct, cookie, key, &rc);

	if (!it)
		return no_item(rq, rc);
	if (it->hcp)
		rc = failed(rq, -EALREADY, "that action was begun already");
	else
		rc = action_begin(ct, it, &b, out);
	item_give(ct, it);
	return rc == -EAGAIN ? failed(rq, rc, "the copytool is not registered at the moment") :
	       rc < 0	     ? failed(rq, rc, "cannot begin the action") :
			       0;
}

/* An item from journaled fields, in memory that holds its data, too. */
static struct hsm_action_item *journaled_item(struct request *rq, uint32_t *archive)
{
	struct hsm_action_item head = { .hai_extent = { .length = UINT64_MAX } }, *hai = NULL;
	uint64_t cookie = 0, offset = 0, length = UINT64_MAX, gid = 0;
	const char *name;
	unsigned char *data = NULL;
	size_t name_len, data_len;
	struct fields *f = &rq->fields;
	struct lu_fid fid;

	*archive = 0;
	if (!field_string(f, "action", true, &name, &name_len) || !field_fid(f, "fid", true, &fid, NULL) ||
	    !field_u64(f, "cookie", true, &cookie) || !field_u32(f, "archive", false, archive) ||
	    !field_u64(f, "offset", false, &offset) || !field_u64(f, "length", false, &length) ||
	    !field_u64(f, "gid", false, &gid))
		return NULL;
	head.hai_action = hsm_action_number(name, name_len);
	if (head.hai_action == 0 || head.hai_action == HSMA_CANCEL) {
		field_bad(f, "action", "must be ARCHIVE, RESTORE or REMOVE");
		return NULL;
	}
	if (!field_base64(f, "data_b64", false, ITEM_DATA_MAX, &data, &data_len))
		return NULL;
	head.hai_fid = head.hai_dfid = fid; /* the volatile of whoever had it before is of no use */
	head.hai_cookie = cookie;
	head.hai_extent.offset = offset;
	head.hai_extent.length = length;
	head.hai_gid = gid;
	head.hai_len = (uint32_t)(sizeof(head) + data_len);
	hai = calloc(1, sizeof(*hai) + data_len);
	if (hai) {
		memcpy(hai, &head, sizeof(head));
		if (data_len > 0)
			memcpy(hai + 1, data, data_len);
	}
	free(data);
	return hai;
}

/*
 * Asks the coordinator about a rebuilt item that is to be begun later, and gives it back or removes it. The question is
 * a progress report under the file's own FID, which also begins the coordinator's timeout anew.
 */
static int adopt_known(struct request *rq, struct item *it)
{
	struct copytool *ct = rq->h->copytool;
	int rc;

	/* What is sent again from here on is told as a new action, if the answer is that this one is not known. */
	item_ending(ct, it);
	rc = action_progress(rq->h, &it->hai, 0, 0, 0, 0);
	if (rc == -ENOENT || rc == -EAGAIN) {
		item_remove(ct, it, &rq->event);
		return failed(rq, rc, rc == -ENOENT ? "the coordinator does not know the action any more" :
						      "the coordinator does not answer at the moment");
	}
	item_stays(ct, it);
	return rc < 0 ? failed(rq, rc, rc == -ECANCELED ? "the action was cancelled" : "cannot adopt the action") : 0;
}

static int op_adopt(struct request *rq, struct buf *out)
{
	struct copytool *ct = rq->h->copytool;
	uint32_t archive;
	struct begin b;
	int rc;

	if (!begin_fields(&rq->fields, &b))
		return bad_request(rq);

	struct hsm_action_item *hai = journaled_item(rq, &archive);

	if (!hai)
		return bad_request(rq);

	struct lu_fid fid = hai->hai_fid;
	uint64_t cookie = hai->hai_cookie;

	rc = item_add(ct, hai, archive, NULL);
	free(hai);
	if (rc < 0)
		return failed(rq, rc, rc == -EEXIST ? "that action is open already" : "there are too many open actions");

	struct item *it = item_take(ct, cookie, &fid, &rc);

	if (!it)
		return no_item(rq, rc);
	if (!b.now)
		return adopt_known(rq, it);
	rc = action_begin(ct, it, &b, out);
	if (rc == -ENOENT || rc == -EAGAIN) {
		/* If it is the file that is gone, the coordinator may still wait; if it is the action, nobody minds. */
		item_ending(ct, it);
		if (rc == -ENOENT)
			action_progress(rq->h, &it->hai, 0, 0, HP_FLAG_COMPLETED, ENOENT);
		item_remove(ct, it, &rq->event);
		return failed(rq, rc, rc == -EAGAIN ? "the copytool is not registered at the moment" :
						      "the file or the action is gone");
	}
	item_give(ct, it);
	return rc < 0 ? failed(rq, rc, "cannot begin the action; end it with an error, so that its reader is freed") : 0;
}

static int op_progress(struct request *rq, struct buf *out)
{
	struct copytool *ct = rq->h->copytool;
	const struct lu_fid *key;
	struct hsm_action_item hai;
	struct lu_fid fid;
	uint64_t cookie, offset = 0, length = 0;
	int rc;

	(void)out;
	if (!item_key(rq, &cookie, &fid, &key) || !field_u64(&rq->fields, "offset", false, &offset) ||
	    !field_u64(&rq->fields, "length", false, &length))
		return bad_request(rq);
	rc = item_peek(ct, cookie, key, &hai);
	if (rc < 0)
		return no_item(rq, rc);
	rc = action_progress(rq->h, &hai, offset, length, 0, 0);

	struct lu_fid own = hai.hai_fid;

	mdts_answered(rq->h, &own);
	return rc < 0 ? failed(rq, rc, rc == -ECANCELED ? "the action was cancelled" :
				       rc == -ENOENT	? "the coordinator does not know the action any more" :
							  "cannot report progress") :
			0;
}

static int op_end(struct request *rq, struct buf *out)
{
	struct copytool *ct = rq->h->copytool;
	const struct lu_fid *key;
	struct lu_fid fid;
	uint64_t cookie, offset = 0, length = 0;
	uint32_t errval = 0;
	bool retry = false;
	const char *why;
	int rc;

	(void)out;
	if (!item_key(rq, &cookie, &fid, &key) || !field_u64(&rq->fields, "offset", false, &offset) ||
	    !field_u64(&rq->fields, "length", false, &length) || !field_u32(&rq->fields, "errval", false, &errval) ||
	    !field_bool(&rq->fields, "retry", &retry))
		return bad_request(rq);
	if (errval > ERRVAL_MAX) {
		field_bad(&rq->fields, "errval", "must be a positive errno, or 0");
		return bad_request(rq);
	}

	struct item *it = item_take(ct, cookie, key, &rc);

	if (!it)
		return no_item(rq, rc);
	if (!it->hcp && errval == 0) {
		item_give(ct, it);
		return failed(rq, -EINVAL, "an action that was not begun can only be ended with an error");
	}

	struct hsm_extent extent = { .offset = offset, .length = length };

	rc = action_end(ct, it, &extent, retry, (int)errval, &why, &rq->event);
	return rc < 0 ? failed(rq, rc, "%s", why ? why :
				       rc == -EBUSY ? "the data changed since the action was begun" :
						      "cannot end the action") :
			0;
}

/* The asker has reason to believe that the coordinator has forgotten us. */
static int op_renew(struct request *rq, struct buf *out)
{
	struct copytool *ct = rq->h->copytool;

	(void)out;
	pthread_mutex_lock(&ct->lock);
	ct->renew_asked = true;
	pthread_mutex_unlock(&ct->lock);
	return 0;
}

static int op_drop(struct request *rq, struct buf *out)
{
	struct copytool *ct = rq->h->copytool;
	const struct lu_fid *key;
	struct lu_fid fid;
	uint64_t cookie;
	int rc;

	(void)out;
	if (!item_key(rq, &cookie, &fid, &key))
		return bad_request(rq);

	struct item *it = item_take(ct, cookie, key, &rc);

	if (!it)
		return no_item(rq, rc);
	/*
	 * llapi can free a begun action only by ending it. Its handle is kept until the process ends, and then the
	 * coordinator still has the action as running: somebody may adopt it.
	 */
	if (it->hcp)
		item_abandon(ct, it);
	else
		item_remove(ct, it, &rq->event);
	return 0;
}

const struct op copytool_ops[] = {
	{ "begin", op_begin }, { "adopt", op_adopt }, { "progress", op_progress },
	{ "end", op_end },     { "drop", op_drop },   { "renew", op_renew },
	{ NULL, NULL },
};
