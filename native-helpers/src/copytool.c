/* The mode copytool: lock, registration, receiving of actions, and leaving. What is done with them is in actions.c. */
#include "copytool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "hal.h"
#include "out.h"

enum { BACKOFF_FIRST_MS = 1000, BACKOFF_LAST_MS = 30000 };
/* For one that is leaving, and leaves within 10 s. */
enum { LOCK_WAIT_MS = 12000, LOCK_POLL_MS = 50 };
/* As lk_uid: nobody's, since no process id is as high. */
enum { NOBODY = INT_MAX };
/*
 * Of the renewal: how often it is looked whether one is due, the least time between two that are asked for, how long what
 * is on its way may take, and after how many intervals it is due although there is work.
 */
enum { RENEW_POLL_MS = 250, RENEW_LEAST_MS = 10000, RENEW_GRACE_MS = 500, RENEW_BUSY = 10 };
/*
 * Within which a metadata server must answer before it is told anything about the registration, and how long the end of
 * the process waits for one that does not.
 */
enum { RENEW_ANSWER_MS = 2000, RENEW_JOIN_S = 1 };
/* Read at the end, at most: an agent that was unregistered is sent no more. */
enum { MESSAGES_MAX = 4096 };

/*
 * What the lock file says: the holder's pid, or 0, and whether it is on its way out, as one is whose asker has died. It
 * then needs no longer than its own bound for leaving.
 */
static long lock_holder(int fd, bool *leaving)
{
	char text[64] = "";
	char *end = text;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long holder = n > 0 ? strtol(text, &end, 10) : 0;

	*leaving = strncmp(end, " leaving", 8) == 0;
	return holder;
}

static void say_in_lock(int fd, const char *what, const char *file)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%ld%s\n", (long)getpid(), what);

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		note("cannot write the pid into %s: %s", file, strerror(errno)); /* the lock holds all the same */
}

/* One copytool per client: two of them would both get every action, and the first to leave would unregister both. */
static bool take_lock(struct copytool *ct)
{
	const char *file = ct->h->options.lock;
	int waited = 0;

	ct->lock_fd = -1;
	if (!file)
		return true;
	ct->lock_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ct->lock_fd < 0) {
		fatal("LOCKED", -errno, 0, "cannot open the lock file %s: %s", file, strerror(errno));
		return false;
	}
	while (flock(ct->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		int rc = -errno;
		bool leaving;
		long holder = lock_holder(ct->lock_fd, &leaving);

		if (rc == -EWOULDBLOCK && leaving && waited < LOCK_WAIT_MS) {
			copytool_pause(ct, LOCK_POLL_MS);
			waited += LOCK_POLL_MS;
			continue;
		}
		fatal("LOCKED", rc, holder, "another copytool has the lock %s: stop it first", file);
		return false;
	}
	say_in_lock(ct->lock_fd, "", file);
	return true;
}

static int do_register(struct copytool *ct, struct registration **out)
{
	struct helper *h = ct->h;
	struct registration *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	rc = h->api.llapi_hsm_copytool_register(&r->ct, h->mount, h->options.archive_count, h->options.archives,
						O_NONBLOCK);
	if (rc < 0) {
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

static void say_registered(const struct helper *h)
{
	struct buf b = { 0 };

	buf_str(&b, "{\"t\":\"registered\",\"archives\":[");
	for (int i = 0; i < h->options.archive_count; i++)
		buf_printf(&b, "%s%d", i ? "," : "", h->options.archives[i]);
	buf_str(&b, "]}");
	out_line(&b);
	buf_free(&b);
}

static void action_line(struct buf *b, const char *t, const struct hal_item *one, uint32_t archive, uint64_t flags)
{
	const struct hsm_action_item *i = &one->item;
	struct lu_fid fid = i->hai_fid, dfid = i->hai_dfid;

	buf_printf(b, "{\"t\":\"%s\",\"action\":\"%s\",\"fid\":", t, hsm_action_name(i->hai_action));
	buf_json_fid(b, &fid);
	buf_str(b, ",\"dfid\":");
	buf_json_fid(b, &dfid);
	buf_printf(b, ",\"cookie\":\"%llu\",\"archive\":%u,\"flags\":%u", (unsigned long long)i->hai_cookie, archive,
		   (uint32_t)flags);
	buf_printf(b, ",\"offset\":\"%llu\",\"length\":\"%llu\",\"gid\":\"%llu\",\"data_b64\":",
		   (unsigned long long)i->hai_extent.offset, (unsigned long long)i->hai_extent.length,
		   (unsigned long long)i->hai_gid);
	buf_json_base64(b, one->data, one->data_len);
	buf_str(b, "}");
}

static void say_action(const char *t, const struct hal_item *one, const struct hal_walk *w)
{
	struct buf b = { 0 };

	action_line(&b, t, one, w->archive, w->flags);
	out_line(&b);
	buf_free(&b);
}

static void take_item(struct copytool *ct, const struct hal_item *one, const struct hal_walk *w)
{
	struct hsm_action_item hai = one->item;
	struct buf event = { 0 };
	int rc;

	if (!hsm_action_name(one->item.hai_action)) {
		out_error(-EPROTO, "the coordinator sent an unknown action, number %u", one->item.hai_action);
		return;
	}
	if (one->item.hai_action == HSMA_CANCEL) {
		say_action("action", one, w);
		return;
	}
	/* The handle of llapi takes the fixed part only; the data went to the event. */
	hai.hai_len = sizeof(hai);
	action_line(&event, "action", one, w->archive, w->flags);
	rc = item_add(ct, &hai, w->archive, &event);
	if (rc == 0) {
		out_line(&event);
	} else if (rc == -EEXIST) {
		say_action("again", one, w);
	} else if (rc < 0) {
		out_error(rc, "action %llu was given back: too many are open", (unsigned long long)one->item.hai_cookie);
		action_progress(ct->h, &hai, 0, 0, HP_FLAG_COMPLETED | HP_FLAG_RETRY, EBUSY);
	}
	buf_free(&event);
}

static void take_message(struct copytool *ct, const void *message, int size)
{
	struct hal_walk w;
	struct hal_item one;
	const char *error = hal_start(&w, message, size > 0 ? (size_t)size : 0);
	int rc = 0;

	while (!error && (rc = hal_next(&w, &one, &error)) > 0)
		take_item(ct, &one, &w);
	if (error)
		out_error(-EPROTO, "the coordinator's message of %d bytes is malformed: %s", size, error);
}

/* Receives until the channel ends (its -errno) or it is time to leave (0). */
static int receive(struct copytool *ct, struct registration *r)
{
	const struct llapi *api = &ct->h->api;
	int fd = api->llapi_hsm_copytool_get_fd(r->ct);
	bool wait = false; /* a message may be there already, where poll can't see it */

	if (fd < 0)
		return fd;
	for (;;) {
		struct pollfd p[2] = { { .fd = ct->leave_fd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
		struct hsm_action_list *hal = NULL;
		int size = 0, rc;

		if (poll(p, 2, wait ? -1 : 0) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (p[0].revents)
			return 0;
		errno = 0;
		rc = api->llapi_hsm_copytool_recv(r->ct, &hal, &size);
		wait = rc == -EAGAIN;
		if (rc == 0 && hal)
			take_message(ct, hal, size);
		else if (rc == -EAGAIN && !(p[1].revents & (POLLHUP | POLLERR | POLLNVAL)))
			continue;
		else if (rc != -EINTR)
			return rc == 0 || rc == -EAGAIN ? -ESHUTDOWN : rc; /* an ended pipe comes with any errno */
	}
}

/*
 * Has the metadata servers forget this client as an agent, and the kernel drop its channels of the process `uid`; what
 * is in them can still be read. With NOBODY the channels stay, so that what is on its way arrives. Actions at work are
 * not touched. Not in the thread that reads the channel: the kernel may have to wait until it is read.
 */
static void stop_agent(struct helper *h, uint32_t uid)
{
	struct lustre_kernelcomm stop = { .lk_uid = uid, .lk_group = KUC_GRP_HSM, .lk_flags = LK_FLG_STOP };

	if (h->api.ioctl(h->mount_fd, LL_IOC_HSM_CT_START, &stop) < 0)
		note("cannot unregister: %s", strerror(errno));
}

/* The registration is over: freed, unless llapi's handles of running actions still point into it. */
static void unregister_current(struct copytool *ct)
{
	pthread_mutex_lock(&ct->lock);

	struct registration *r = ct->current;
	bool used = r && r->users > 0;

	ct->current = NULL;
	if (used) {
		r->next = ct->retired;
		ct->retired = r;
	}
	pthread_mutex_unlock(&ct->lock);
	if (r && !used) {
		ct->h->api.llapi_hsm_copytool_unregister(&r->ct);
		free(r);
	}
}

/* Frees registrations that no action needs any more. llapi unregisters the client with each: not while it is registered. */
static void free_retired(struct copytool *ct)
{
	struct registration *unused = NULL;

	pthread_mutex_lock(&ct->lock);
	for (struct registration **at = &ct->retired; *at;) {
		struct registration *r = *at;

		if (r->users > 0) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		r->next = unused;
		unused = r;
	}
	pthread_mutex_unlock(&ct->lock);
	while (unused) {
		struct registration *next = unused->next;

		ct->h->api.llapi_hsm_copytool_unregister(&unused->ct);
		free(unused);
		unused = next;
	}
}

bool copytool_pause(struct copytool *ct, int milliseconds)
{
	struct pollfd p = { .fd = ct->leave_fd, .events = POLLIN };

	return poll(&p, 1, milliseconds) != 0;
}

/* One try. */
static int register_once(struct copytool *ct)
{
	struct registration *r = NULL;
	int rc;

	free_retired(ct);
	rc = do_register(ct, &r);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&ct->lock);
	ct->current = r;
	ct->registered_at = now_ms();
	ct->renewing = false;
	pthread_mutex_unlock(&ct->lock);
	return 0;
}

static bool register_again(struct copytool *ct)
{
	for (int wait = BACKOFF_FIRST_MS;; wait = wait < BACKOFF_LAST_MS / 2 ? wait * 2 : BACKOFF_LAST_MS) {
		int rc = register_once(ct);

		if (rc == 0) {
			say_registered(ct->h);
			return true;
		}
		note("cannot register again: %s; next try in %d s", strerror(-rc), wait / 1000);
		if (copytool_pause(ct, wait))
			return false;
	}
}

static void say_unregistered(int rc)
{
	struct buf b = { 0 };

	buf_printf(&b, "{\"t\":\"unregistered\",\"rc\":%d}", rc);
	out_line(&b);
	buf_free(&b);
}

static void *receiver_thread(void *arg)
{
	struct copytool *ct = arg;

	for (;;) {
		int rc = receive(ct, ct->current);
		bool renewing;

		if (rc == 0)
			return NULL;
		pthread_mutex_lock(&ct->lock);
		renewing = ct->renewing;
		pthread_mutex_unlock(&ct->lock);
		if (!renewing)
			say_unregistered(rc);
		unregister_current(ct);
		if (renewing) {
			rc = register_once(ct);
			if (rc == 0)
				continue;
			say_unregistered(rc);
		}
		if (!register_again(ct))
			return NULL;
	}
}

/* Whether it is time, and nothing speaks against it. */
static bool renewal_due(struct copytool *ct)
{
	int64_t every = (int64_t)ct->h->options.renew, since;
	bool due;

	pthread_mutex_lock(&ct->lock);
	since = now_ms() - ct->registered_at;
	due = ct->current && !ct->renewing && now_ms() >= ct->renew_not_before &&
	      ((ct->renew_asked && since >= RENEW_LEAST_MS) || (ct->count == 0 && since >= every) ||
	       since >= every * RENEW_BUSY);
	pthread_mutex_unlock(&ct->lock);
	return due;
}

/*
 * Whether every metadata server answers a question that changes nothing, and promptly. Unregistering asks them one after
 * the other and waits for one that is down, while those before it have forgotten us already. The question waits for such a
 * one, too; then this thread does, and nothing is renewed until it is back. Those that are not there (EAGAIN: a hole in
 * their numbers) or were set inactive (ENODATA) are not waited for by the kernel, either.
 */
static bool all_answer(struct copytool *ct)
{
	struct helper *h = ct->h;
	union {
		uint64_t align;
		char bytes[OBD_STATFS_BYTES];
	} space;
	char uuid[OBD_UUID_BYTES];
	int64_t from = now_ms();
	int rc = 0;

	if (!h->api.llapi_obd_statfs)
		return true;
	for (uint32_t index = 0; rc != -ENODEV; index++) {
		rc = h->api.llapi_obd_statfs(h->mount, LL_STATFS_LMV, index, &space, uuid);
		if (rc < 0 && rc != -ENODEV && rc != -EAGAIN && rc != -ENODATA) {
			note("the registration is not renewed: metadata server %u: %s", index, strerror(-rc));
			return false;
		}
		if (copytool_pause(ct, 0))
			return false;
	}
	return now_ms() - from < RENEW_ANSWER_MS;
}

static void renew_later(struct copytool *ct)
{
	pthread_mutex_lock(&ct->lock);
	ct->renew_not_before = now_ms() + RENEW_LEAST_MS;
	pthread_mutex_unlock(&ct->lock);
}

/*
 * A coordinator can forget its agents without telling them: it was shut down and enabled again, the metadata server came
 * back before its coordinator, another copytool of this client unregistered. A client can't ask whether it did, and to
 * register once more on top leaves something behind in the kernel each time. So now and then we unregister and register,
 * such that nothing is lost in between: first the servers are told, while the channel stays open for what they have just
 * sent; then the kernel ends the channel, and what is in it is read to its end before the next one begins. Actions at work
 * don't notice; those that come in that moment go to another copytool or wait for us.
 */
static void *renewer_thread(void *arg)
{
	struct copytool *ct = arg;

	while (!copytool_pause(ct, RENEW_POLL_MS)) {
		if (!renewal_due(ct))
			continue;
		if (!all_answer(ct)) {
			renew_later(ct);
			continue;
		}
		if (!renewal_due(ct)) /* an action came meanwhile */
			continue;
		pthread_mutex_lock(&ct->lock);
		ct->renew_asked = false;
		pthread_mutex_unlock(&ct->lock);
		stop_agent(ct->h, NOBODY);
		if (copytool_pause(ct, RENEW_GRACE_MS))
			return NULL;
		pthread_mutex_lock(&ct->lock);
		ct->renewing = ct->current != NULL;
		pthread_mutex_unlock(&ct->lock);
		stop_agent(ct->h, (uint32_t)getpid());
	}
	return NULL;
}

static bool copytool_start(struct helper *h)
{
	struct copytool *ct = calloc(1, sizeof(*ct));
	int rc;

	if (!ct) {
		fatal("REGISTER_FAILED", -ENOMEM, 0, "out of memory");
		return false;
	}
	h->copytool = ct;
	ct->h = h;
	ct->lock_fd = -1;
	pthread_mutex_init(&ct->lock, NULL);
	pthread_cond_init(&ct->changed, NULL);
	ct->leave_fd = eventfd(0, EFD_CLOEXEC);
	if (ct->leave_fd < 0) {
		fatal("REGISTER_FAILED", -errno, 0, "cannot make an eventfd: %s", strerror(errno));
		return false;
	}
	if (!take_lock(ct))
		return false;
	rc = do_register(ct, &ct->current);
	if (rc == -EEXIST)
		fatal("REGISTER_FAILED", rc, 0,
		      "this client has a copytool already (maybe of another program, or one that was just killed): "
		      "stop it, or wait until Lustre has forgotten it");
	else if (rc < 0)
		fatal("REGISTER_FAILED", rc, 0, "cannot register as copytool on %s: %s%s", h->mount, strerror(-rc),
		      rc == -ENXIO || rc == -EAGAIN ? "; is the HSM coordinator enabled?" : "");
	return rc == 0;
}

static void copytool_after_hello(struct helper *h)
{
	struct copytool *ct = h->copytool;

	say_registered(h);
	ct->registered_at = now_ms();
	ct->running = pthread_create(&ct->receiver, NULL, receiver_thread, ct) == 0;
	if (ct->running && h->options.renew > 0)
		ct->renewer_runs = pthread_create(&ct->renewer, NULL, renewer_thread, ct) == 0;
	if (!ct->running) {
		uint64_t one = 1;

		out_error(-EAGAIN, "cannot start the receiving thread");
		if (write(h->stop_fd, &one, sizeof(one)) < 0)
			note("cannot stop: %s", strerror(errno));
	}
}

/* Ends what is open with the error. Items that another thread is stuck with are freed under the file's FID. */
static void end_items(struct copytool *ct, int errval)
{
	const struct hsm_extent nothing = { 0 };
	struct hsm_action_item *busy = NULL;
	struct item *it;
	const char *why;

	while ((it = item_take_any(ct))) {
		uint64_t cookie = it->hai.hai_cookie;
		int rc = action_end(ct, it, &nothing, false, errval, &why, NULL);

		if (rc < 0 && rc != -ENOENT)
			note("cannot end action %llu: %s", (unsigned long long)cookie, strerror(-rc));
	}
	for (unsigned i = item_snapshot(ct, &busy); i > 0; i--)
		action_progress(ct->h, &busy[i - 1], 0, 0, HP_FLAG_COMPLETED, (uint16_t)errval);
	free(busy);
}

/*
 * What was sent and that nobody has been told of: into `lines` as events, if there is somebody to read them. Otherwise
 * Lustre sends it again, or ends it, as its policy is.
 */
static void take_unread(struct helper *h, const struct registration *r, struct buf *lines)
{
	for (int messages = 0; messages < MESSAGES_MAX; messages++) {
		struct hsm_action_list *hal = NULL;
		struct hal_walk w;
		struct hal_item one;
		int size = 0;

		if (h->api.llapi_hsm_copytool_recv(r->ct, &hal, &size) != 0 || !hal)
			return;

		const char *error = hal_start(&w, hal, size > 0 ? (size_t)size : 0);

		while (!error && hal_next(&w, &one, &error) > 0) {
			if (one.item.hai_action == HSMA_CANCEL || !hsm_action_name(one.item.hai_action))
				continue;
			if (lines) {
				action_line(lines, "action", &one, w.archive, w.flags);
				buf_str(lines, "\n");
			} else {
				action_progress(h, &one.item, 0, 0, HP_FLAG_COMPLETED | HP_FLAG_RETRY, EAGAIN);
			}
		}
	}
}

/*
 * Behind what is there: one that came before us, and was killed before it had read the file, left that. The first line
 * may follow one that was torn.
 */
static void write_keep(const char *file, const struct buf *lines)
{
	size_t done = 0;
	int fd;

	if (lines->len == 0 || lines->failed)
		return;
	fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, "\n", 1) != 1) {
		note("cannot write %s: %s; some actions are left to the coordinator's timeout", file, strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	while (done < lines->len) {
		ssize_t n = write(fd, lines->data + done, lines->len - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done < lines->len)
		note("cannot write %s: %s; some actions are left to the coordinator's timeout", file, strerror(errno));
	close(fd);
}

/* From now on whoever wants the lock may wait for it. */
static void copytool_leaving(struct helper *h)
{
	const struct copytool *ct = h->copytool;

	if (ct->lock_fd >= 0)
		say_in_lock(ct->lock_fd, " leaving", h->options.lock);
}

static void copytool_stop(struct helper *h)
{
	struct copytool *ct = h->copytool;
	uint64_t one = 1;

	if (!ct)
		return;
	if (write(ct->leave_fd, &one, sizeof(one)) > 0 && ct->running)
		pthread_join(ct->receiver, NULL);
	if (ct->renewer_runs) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += RENEW_JOIN_S;
		ct->renewer_stuck = pthread_timedjoin_np(ct->renewer, NULL, &until) != 0;
	}
	if (h->options.keep && h->quit_n < 0) {
		struct buf lines = { 0 };

		/* The asker is gone, and has written down what it knew to be open: whoever comes next adopts it. */
		item_untouched(ct, &lines);
		if (ct->current) {
			stop_agent(h, NOBODY);
			take_unread(h, ct->current, &lines);
		}
		write_keep(h->options.keep, &lines);
		buf_free(&lines);
		if (ct->lock_fd >= 0)
			close(ct->lock_fd);
		return;
	}
	if (ct->current) {
		stop_agent(h, NOBODY);
		take_unread(h, ct->current, NULL);
	}
	if (ct->current || ct->count > 0)
		end_items(ct, (int)h->quit_errval);
	for (struct registration *r = ct->retired; r;) {
		struct registration *next = r->next;

		if (r->users == 0) {
			h->api.llapi_hsm_copytool_unregister(&r->ct);
			free(r);
		}
		r = next;
	}
	unregister_current(ct);
	/* What was abandoned, and the registrations it hangs on, end with the process. */
	if (ct->lock_fd >= 0)
		close(ct->lock_fd);
	if (ct->abandoned || ct->count > 0 || ct->renewer_stuck)
		return;
	if (ct->leave_fd >= 0)
		close(ct->leave_fd);
	pthread_mutex_destroy(&ct->lock);
	pthread_cond_destroy(&ct->changed);
	free(ct);
	h->copytool = NULL;
}

const struct mode mode_copytool = {
	.name = "copytool",
	.ops = copytool_ops,
	.start = copytool_start,
	.after_hello = copytool_after_hello,
	.leaving = copytool_leaving,
	.stop = copytool_stop,
};
