/*
 * The mode import: makes directories, symlinks, hard links, empty files and released files in directories that are named
 * by their FIDs, so nobody can put a symlink in the way. Each thing is made exclusively; what is there already is told, and
 * stays.
 *
 * A released file is made in steps: created without a layout, mode 0600, of root; given a released one; given our record; given
 * HSM flags, size, owner and times by the import ioctl; given its set-user-ID and like bits. What is left by a process that was killed in
 * between has no data and no size, and is told by that: it is taken up where it was. An empty file is an ordinary one from the
 * beginning: it is told by its mode until it has its own, which nobody else gives to a file (01600). Neither llapi_hsm_import, which opens
 * without O_EXCL and unlinks what it does not like, nor the xattr lustre.lov, from which the client takes RELEASED off, can do
 * this; the ioctl behind llapi_file_open can.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "entry.h"
#include "helper.h"
#include "import_item.h"
#include "lov.h"
#include "out.h"

enum {
	ITEMS_MAX = 256,
	HALF_MODE = 0600,   /* of what is not finished, and root's */
	HALF_EMPTY = 01600, /* the same where no layout tells it from others' */
	PROC_PATH = 64,
	LAYOUT_BYTES = 65536,
	REPLY_HEAD = 1024,
	ROW_BYTES = 64, /* of a reply without what is there */
};

enum { HS_EXISTS = 0x1, HS_DIRTY = 0x2, HS_RELEASED = 0x4, HS_ARCHIVED = 0x8, HS_LOST = 0x40 };

/* What belongs to a request as a whole. */
struct make {
	struct request *rq;
	struct lov_user_md layout;
	uint32_t archive;
	struct import_item item;    /* at work */
	struct entry_reader reader; /* made when something is there already */
	bool has_reader;
};

/* ---- files ---- */

static int set_record(int fd, const struct import_record *r, const struct lu_fid *fid)
{
	struct buf value = { 0 };
	char text[FID_TEXT];
	int rc;

	fid_text(fid, text);
	buf_add(&value, r->before, r->before_len);
	buf_str(&value, text);
	buf_add(&value, r->after, r->after_len);
	rc = value.failed ? -ENOMEM : fsetxattr(fd, "trusted.lfsazsync", value.data, value.len, 0) < 0 ? -errno : 0;
	buf_free(&value);
	return rc;
}

/* What is made is root's until it is given away. The mode is the last: set-user-ID has to be set after the owner, and until then it tells what is half made. */
static int set_attributes(int fd, const struct import_attributes *a)
{
	const struct timespec times[2] = { { .tv_sec = a->mtime }, { .tv_sec = a->mtime } };

	if (fchown(fd, a->uid, a->gid) < 0 || futimens(fd, times) < 0 || fchmod(fd, a->mode) < 0)
		return -errno;
	return 0;
}

/* Record, then flags, size, owner and times in one, then what the ioctl cuts off the mode. */
static int bind_file(struct make *m, int fd, const struct lu_fid *fid, const struct import_attributes *a, uint64_t size,
		     const struct import_record *r)
{
	struct hsm_user_import import = {
		.hui_size = size,
		.hui_atime = (uint64_t)a->mtime,
		.hui_mtime = (uint64_t)a->mtime,
		.hui_uid = a->uid,
		.hui_gid = a->gid,
		.hui_mode = (a->mode & 0777) | S_IFREG,
		.hui_archive_id = m->archive,
	};
	int rc = set_record(fd, r, fid);

	if (rc < 0)
		return rc;
	if (m->rq->h->api.ioctl(fd, LL_IOC_HSM_IMPORT, &import) < 0)
		return -errno;
	return (a->mode & 07000) && fchmod(fd, a->mode) < 0 ? -errno : 0;
}

static bool is_untouched(const struct stat *st, mode_t mode)
{
	return S_ISREG(st->st_mode) && st->st_size == 0 && st->st_nlink == 1 && (st->st_mode & 07777) == mode &&
	       st->st_uid == 0 && st->st_gid == 0;
}

/* 1: a layout that is released all over, 0: none, or -errno. */
static int released_layout(const char *proc)
{
	static const char *const names[] = { "lustre.lov", "trusted.lov" };
	struct lov_layout *layout = malloc(sizeof(*layout));
	unsigned char *value = malloc(LAYOUT_BYTES);
	ssize_t size = -1;
	int rc = -ENOMEM;

	for (size_t i = 0; layout && value && i < 2 && size < 0; i++) {
		size = getxattr(proc, names[i], value, LAYOUT_BYTES);
		rc = size < 0 ? (errno == ENODATA ? 0 : -errno) : -EEXIST;
	}
	if (size > 0 && lov_parse(layout, value, (size_t)size) == NULL && layout->count > 0) {
		rc = 1;
		for (unsigned i = 0; i < layout->count; i++)
			if (!(layout->components[i].pattern & LOV_PATTERN_F_RELEASED))
				rc = -EEXIST;
	}
	free(value);
	free(layout);
	return rc;
}

/* Opens what a killed process of ours left at a name; -EEXIST: it is something else. */
static int open_half(int directory, const char *name, int *has_layout)
{
	int path = fs_openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -EEXIST;
	char proc[PROC_PATH];
	struct stat st;

	if (path < 0)
		return path == -ENOENT ? -EAGAIN : path;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	if (fstat(path, &st) == 0 && is_untouched(&st, HALF_MODE) && (*has_layout = released_layout(proc)) >= 0) {
		fd = open(proc, O_WRONLY | O_LOV_DELAY_CREATE | O_CLOEXEC);
		if (fd < 0)
			fd = -EEXIST;
	}
	close(path);
	return fd;
}

/* Takes back what this very call has made (it is open as fd), unless somebody has put something else there. */
static void take_back(int directory, const char *name, int fd)
{
	struct stat made, there;

	if (fstat(fd, &made) == 0 && fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    made.st_dev == there.st_dev && made.st_ino == there.st_ino)
		unlinkat(directory, name, 0);
}

static int make_file(struct make *m, int directory, const struct import_item *item, struct lu_fid *fid)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_LOV_DELAY_CREATE;
	const char *name = item->name;
	int has_layout = 0, rc, fd = openat(directory, name, flags, HALF_MODE);
	bool made = fd >= 0;

	if (!made)
		fd = errno == EEXIST ? open_half(directory, name, &has_layout) : -errno;
	if (fd < 0)
		return fd;
	rc = entry_fid_of(m->rq->h, fd, fid);
	if (rc == 0 && has_layout == 0 && m->rq->h->api.ioctl(fd, LL_IOC_LOV_SETSTRIPE, &m->layout) < 0)
		rc = -errno;
	if (rc == 0)
		rc = bind_file(m, fd, fid, &item->attributes, item->size, &item->record);
	if (rc < 0 && made)
		take_back(directory, name, fd);
	close(fd);
	return rc == -EEXIST ? -EIO : rc;
}

/* An ordinary file without content. With a record it counts as archived, so that nobody archives it for nothing. */
static int make_empty(struct make *m, int directory, const struct import_item *item, struct lu_fid *fid)
{
	const char *name = item->name;
	int rc, fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, HALF_EMPTY);
	bool made = fd >= 0;
	struct stat st;

	if (!made) {
		if (errno != EEXIST)
			return -errno;
		fd = openat(directory, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			return -EEXIST;
		if (fstat(fd, &st) < 0 || !is_untouched(&st, HALF_EMPTY)) {
			close(fd);
			return -EEXIST;
		}
	}
	rc = entry_fid_of(m->rq->h, fd, fid);
	if (rc == 0)
		rc = set_record(fd, &item->record, fid);
	if (rc == 0)
		rc = m->rq->h->api.llapi_hsm_state_set_fd(fd, HS_EXISTS | HS_ARCHIVED, 0, m->archive);
	if (rc == 0)
		rc = set_attributes(fd, &item->attributes);
	if (rc < 0 && made)
		take_back(directory, name, fd);
	close(fd);
	return rc == -EEXIST ? -EIO : rc;
}

/* ---- what has no data ---- */

/*
 * Its time is set when all is in it. It has its mode from the beginning (there is no umask here), and its owner a moment later:
 * killed in between, it lacks no more than that.
 */
static int make_directory(struct make *m, int directory, const struct import_item *item, struct lu_fid *fid)
{
	const struct import_attributes *a = &item->attributes;
	int fd, rc;

	if (mkdirat(directory, item->name, a->mode) < 0)
		return -errno;
	fd = fs_openat(directory, item->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fd;
	rc = entry_fid_of(m->rq->h, fd, fid);
	if (rc == 0 && (fchown(fd, a->uid, a->gid) < 0 || fchmod(fd, a->mode) < 0))
		rc = -errno;
	close(fd);
	return rc;
}

/* Owner and time of a symlink, or of whatever cannot be opened. */
static int set_by_path(const char *proc, uid_t uid, gid_t gid, int64_t mtime)
{
	const struct timespec times[2] = { { .tv_sec = mtime }, { .tv_sec = mtime } };

	return chown(proc, uid, gid) < 0 || utimensat(AT_FDCWD, proc, times, 0) < 0 ? -errno : 0;
}

static int make_symlink(struct make *m, int directory, const struct import_item *item, struct lu_fid *fid)
{
	const struct import_attributes *a = &item->attributes;
	char proc[PROC_PATH];
	int path, rc;

	if (symlinkat(item->target, directory, item->name) < 0)
		return -errno;
	path = fs_openat(directory, item->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path < 0)
		return path;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	rc = entry_fid_of(m->rq->h, path, fid);
	if (rc == 0)
		rc = set_by_path(proc, a->uid, a->gid, a->mtime);
	close(path);
	return rc;
}

static int make_link(struct make *m, int directory, const struct import_item *item, struct lu_fid *fid)
{
	char text[FID_TEXT];

	*fid = item->fid;
	fid_text(fid, text);
	return linkat(m->rq->h->fid_fd, text, directory, item->name, 0) < 0 ? -errno : 0;
}

/* ---- make ---- */

static int make_one(struct make *m, const struct lu_fid *parent, int directory, const struct import_item *item,
		    struct lu_fid *fid)
{
	static int (*const kinds[])(struct make *m, int directory, const struct import_item *item, struct lu_fid *fid) = {
		[IMPORT_FILE] = make_file,	 [IMPORT_EMPTY] = make_empty, [IMPORT_DIRECTORY] = make_directory,
		[IMPORT_SYMLINK] = make_symlink, [IMPORT_LINK] = make_link,
	};

	if (memcmp(parent, &m->rq->h->root, sizeof(*parent)) == 0 && strcmp(item->name, ".lustre") == 0)
		return -EPERM;
	return kinds[item->kind](m, directory, item, fid);
}

/* `[-17,entry]`: what stands at the name, or null when it is gone or can't be looked at. */
static void tell_existing(struct make *m, int directory, const char *name, struct buf *out)
{
	struct lu_fid fid;
	int rc;

	if (!m->has_reader)
		m->has_reader = entry_reader_init(&m->reader, m->rq->h, m->rq->h->ways);
	buf_printf(out, "[%d,", -EEXIST);

	enum entry_result found = m->has_reader ? entry_read(&m->reader, directory, name, out, &fid, &rc) : ENTRY_FAILED;

	if (found != ENTRY_TOLD && found != ENTRY_DIRECTORY)
		buf_str(out, "null");
	buf_str(out, "]");
}

static void make_in(struct make *m, const struct json *group, size_t start, size_t *left, struct buf *out)
{
	const struct json *items = group->child->next;
	struct lu_fid parent;
	int directory = parse_fid(group->child->text, group->child->len, &parent) ? fs_open_directory(m->rq->h, &parent) : -EINVAL;

	for (const struct json *item = items->child; item; item = item->next, --*left) {
		struct lu_fid fid;
		size_t before;
		bool fit = import_item(item, &m->item);
		int rc = !fit ? -EINVAL : directory < 0 ? directory : make_one(m, &parent, directory, &m->item, &fid);

		if (out->data[out->len - 1] != '[')
			buf_str(out, ",");
		before = out->len;
		if (rc == 0)
			buf_json_fid(out, &fid);
		else if (rc == -EEXIST)
			tell_existing(m, directory, m->item.name, out);
		else
			buf_i64(out, rc);
		/* Many that are there, with many names each: of these only that they are. */
		if (out->len - start + ROW_BYTES * *left > LINE_MAX_BYTES - REPLY_HEAD) {
			buf_cut(out, before);
			buf_printf(out, "[%d,null]", -EEXIST);
		}
	}
	if (directory >= 0)
		close(directory);
}

/* The list: `[[parent,[item,…]],…]`. The number of items, 0 if it is unfit. */
static size_t count_items(const struct json *list)
{
	size_t count = 0;

	if (!list || list->type != JSON_ARRAY)
		return 0;
	for (const struct json *g = list->child; g; g = g->next) {
		const struct json *parent = g->type == JSON_ARRAY && g->count == 2 ? g->child : NULL;

		if (!parent || parent->type != JSON_STRING || parent->next->type != JSON_ARRAY)
			return 0;
		count += parent->next->count;
	}
	return count <= ITEMS_MAX ? count : 0;
}

/* What the layout of released files is to be: `stripe_count` (0: the default, -1: all OSTs) and `pool`. */
static bool parse_layout(struct fields *f, struct lov_user_md *lum)
{
	int32_t count = 0;
	const char *pool;
	size_t len;

	if (!field_i32(f, "stripe_count", &count) || !field_string(f, "pool", false, &pool, &len))
		return false;
	if (count < -1 || count > LOV_MAX_OSTS)
		return field_bad(f, "stripe_count", "must be from -1 to 2000");
	if (pool && (len > LOV_MAXPOOLNAME || memchr(pool, 0, len)))
		return field_bad(f, "pool", "must be a pool's name");
	*lum = (struct lov_user_md){
		.lmm_magic = pool && len > 0 ? LOV_USER_MAGIC_V3 : LOV_USER_MAGIC_V1,
		.lmm_pattern = LOV_PATTERN_RAID0 | LOV_PATTERN_F_RELEASED,
		.lmm_stripe_count = count < 0 ? 0xffff : (uint16_t)count,
		.lmm_stripe_offset = 0xffff,
	};
	if (pool)
		memcpy(lum->lmm_pool_name, pool, len);
	return true;
}

static int op_make(struct request *rq, struct buf *out)
{
	const struct json *list = json_get(rq->object, "list");
	struct make m = { .rq = rq, .archive = 1 };
	size_t left = count_items(list), start = out->len;

	if (left == 0)
		field_bad(&rq->fields, "list", "must be directories with 1 to 256 things to be made in them");
	if (rq->fields.error[0] || !field_u32(&rq->fields, "archive", false, &m.archive) ||
	    !parse_layout(&rq->fields, &m.layout))
		return bad_request(rq);
	buf_str(out, ",\"list\":[");
	for (const struct json *g = list->child; g && !out->failed; g = g->next)
		make_in(&m, g, start, &left, out);
	buf_str(out, "]");
	if (m.has_reader)
		entry_reader_free(&m.reader);
	return 0;
}

/* ---- what changes, or goes ---- */

typedef int item_fn(struct make *m, const struct json *at);

/* One number for each item of the list: 0 or -errno. */
static int for_each(struct request *rq, struct buf *out, item_fn *run)
{
	const struct json *list = json_get(rq->object, "list");
	struct make m = { .rq = rq, .archive = 1 };

	if (!list || list->type != JSON_ARRAY || list->count == 0 || list->count > ITEMS_MAX)
		field_bad(&rq->fields, "list", "must be a list of 1 to 256");
	if (rq->fields.error[0] || !field_u32(&rq->fields, "archive", false, &m.archive))
		return bad_request(rq);
	buf_str(out, ",\"list\":[");
	for (const struct json *item = list->child; item; item = item->next) {
		if (item != list->child)
			buf_str(out, ",");
		buf_i64(out, item->type == JSON_ARRAY ? run(&m, item->child) : -EINVAL);
	}
	buf_str(out, "]");
	return 0;
}

/* [fid, mode, uid, gid, mtime]: of a symlink everything but the mode. */
static int attributes_one(struct make *m, const struct json *at)
{
	char path[PATH_BYTES], proc[PROC_PATH];
	struct import_attributes a;
	struct lu_fid fid;
	struct stat st;
	int fd, rc;

	if (!take_fid(&at, &fid) || !take_attributes(&at, &a) || at)
		return -EINVAL;
	fs_fid_path(m->rq->h, &fid, path);
	fd = fs_openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fd;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	rc = fstat(fd, &st) < 0 ? -errno : 0;
	if (rc == 0 && (st.st_uid != a.uid || st.st_gid != a.gid) && chown(proc, a.uid, a.gid) < 0)
		rc = -errno;
	if (rc == 0 && !S_ISLNK(st.st_mode) && chmod(proc, a.mode) < 0)
		rc = -errno;
	if (rc == 0) {
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = a.mtime } };

		rc = utimensat(AT_FDCWD, proc, times, 0) < 0 ? -errno : 0;
	}
	close(fd);
	return rc;
}

/*
 * [fid, mode, uid, gid, mtime, size, before, after]: a released file is bound to another version. First the record: killed before
 * the size is set, a restore of it fails, since the sizes differ.
 */
static int rebind_one(struct make *m, const struct json *at)
{
	struct hsm_user_state state;
	struct import_attributes a;
	struct import_record r;
	struct lu_fid fid;
	char path[PATH_BYTES];
	uint64_t size;
	int fd, rc;

	if (!take_fid(&at, &fid) || !take_attributes(&at, &a) || !take_u64(&at, INT64_MAX, &size) || size == 0 ||
	    !take_record(&at, &r) || at)
		return -EINVAL;
	fd = fs_open_regular(m->rq->h, &fid); /* nothing else is opened for writing */
	if (fd < 0)
		return fd;
	close(fd);
	fs_fid_path(m->rq->h, &fid, path);
	fd = fs_openat(AT_FDCWD, path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_LOV_DELAY_CREATE);
	if (fd < 0)
		return fd;
	rc = m->rq->h->api.llapi_hsm_state_get_fd(fd, &state);
	if (rc == 0 && (!(state.hus_states & HS_RELEASED) || !(state.hus_states & HS_ARCHIVED) || (state.hus_states & HS_DIRTY)))
		rc = -EBUSY;
	if (rc == 0)
		rc = bind_file(m, fd, &fid, &a, size, &r);
	if (rc == 0 && (state.hus_states & HS_LOST))
		rc = m->rq->h->api.llapi_hsm_state_set_fd(fd, 0, HS_LOST, 0);
	close(fd);
	return rc;
}

/* Whether a file's data are in the archive, too. 0, -EBUSY or -errno. */
static int must_be_clean(const struct helper *h, int path, const struct stat *st)
{
	struct hsm_user_state state;
	char proc[PROC_PATH];
	int fd, rc;

	if (!S_ISREG(st->st_mode))
		return 0;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = h->api.llapi_hsm_state_get_fd(fd, &state);
	close(fd);
	if (rc < 0)
		return rc;
	return (state.hus_states & HS_ARCHIVED) && !(state.hus_states & HS_DIRTY) ? 0 : -EBUSY;
}

/* [parent, name, fid, clean]: a name goes if it is still this file's, and, if so asked, its data are in the archive. */
static int remove_one(struct make *m, const struct json *at)
{
	bool clean;
	struct lu_fid parent, fid, there;
	char name[NAME_BYTES];
	struct stat st;
	int directory, path, rc;

	if (!take_fid(&at, &parent) || !take_name(&at, name) || !take_fid(&at, &fid) || !take_bool(&at, &clean) ||
	    at)
		return -EINVAL;
	directory = fs_open_directory(m->rq->h, &parent);
	if (directory < 0)
		return directory;
	path = fs_openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	rc = path < 0 ? path : fstat(path, &st) < 0 ? -errno : entry_fid_of(m->rq->h, path, &there);
	if (rc == 0 && memcmp(&there, &fid, sizeof(fid)) != 0)
		rc = -ESTALE;
	if (rc == 0 && clean)
		rc = must_be_clean(m->rq->h, path, &st);
	if (rc == 0 && unlinkat(directory, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
		rc = -errno;
	if (path >= 0)
		close(path);
	close(directory);
	return rc;
}

static int op_attributes(struct request *rq, struct buf *out)
{
	return for_each(rq, out, attributes_one);
}

static int op_rebind(struct request *rq, struct buf *out)
{
	return for_each(rq, out, rebind_one);
}

static int op_remove(struct request *rq, struct buf *out)
{
	return for_each(rq, out, remove_one);
}

static const struct op import_ops[] = {
	{ "make", op_make },
	{ "attributes", op_attributes },
	{ "rebind", op_rebind },
	{ "remove", op_remove },
	{ NULL, NULL },
};

static bool import_start(struct helper *h)
{
	(void)h;
	umask(0);
	return true;
}

const struct mode mode_import = {
	.name = "import",
	.ops = import_ops,
	.start = import_start,
};
