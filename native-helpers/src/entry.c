/*
 * How each thing is had, and why (sources: Lustre's client, 2.12 to master):
 *
 * - Looking a name up (O_PATH opens nothing) brings the attributes along, and read-ahead of the client
 *   (statahead) does it for the names to come when a thread reads a directory in its order.
 * - The FID is in the handle that name_to_handle_at gives, which asks no server. Otherwise it is in trusted.lma.
 * - All xattrs come with the first one asked for, in one request, and are then the client's: trusted.hsm, .link and
 *   ours cost nothing more. The layout came with the attributes.
 * - But trusted.hsm is not always true: when an archive ends, or a file gets dirty, an MDT up to 2.16 does not take the
 *   clients' copies of the xattrs back. One that says 'nothing' is believed: at worst an archived file counts as a new one until
 *   its next refresh. What else it says is asked for again by opening the file (without its data), as lfs does.
 */
#include "entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "link_ea.h"

enum { VALUE_BYTES = 65536, LINKS_TOLD = 1000, HS_EXISTS = 0x1, PROC_PATH = 64, LINKS_LOOKED_AT = 65536 };

static bool same_fid(const struct lu_fid *a, const struct lu_fid *b)
{
	return a->f_seq == b->f_seq && a->f_oid == b->f_oid && a->f_ver == b->f_ver;
}

/* 0 or -errno. */
static int fid_by_handle(int fd, struct lu_fid *fid)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u;
	int mount_id;

	memset(&u, 0, sizeof(u));
	u.handle.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(fd, "", &u.handle, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	if (u.handle.handle_type != FILEID_LUSTRE || u.handle.handle_bytes != FILEID_LUSTRE_SIZE)
		return -EOPNOTSUPP;
	memcpy(fid, u.handle.f_handle, sizeof(*fid));
	return 0;
}

static int fid_of(const struct entry_reader *r, int fd, const char *proc, int directory, const char *name, struct lu_fid *fid)
{
	char path[PATH_BYTES + PROC_PATH];
	struct lustre_mdt_attrs lma;
	int rc = r->ways.handles ? fid_by_handle(fd, fid) : -EOPNOTSUPP;

	if (rc == 0)
		return 0;
	if (getxattr(proc, "trusted.lma", &lma, sizeof(lma)) == sizeof(lma)) {
		*fid = lma.lma_self_fid;
		return 0;
	}
	if (directory == AT_FDCWD)
		return r->h->api.llapi_path2fid(name, fid);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", directory, name);
	return r->h->api.llapi_path2fid(path, fid);
}

int entry_fid_of(const struct helper *h, int fd, struct lu_fid *fid)
{
	struct lustre_mdt_attrs lma;
	char proc[PROC_PATH];

	if (h->ways.handles)
		return fid_by_handle(fd, fid);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (getxattr(proc, "trusted.lma", &lma, sizeof(lma)) != sizeof(lma))
		return errno ? -errno : -EIO;
	*fid = lma.lma_self_fid;
	return 0;
}

struct entry_ways entry_ways(const struct helper *h)
{
	struct entry_ways ways;
	struct lu_fid fid;
	char value[16], proc[PROC_PATH];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", h->mount_fd);
	ways.handles = fid_by_handle(h->mount_fd, &fid) == 0 && same_fid(&fid, &h->root);
	ways.projects = getxattr(proc, "trusted.projid", value, sizeof(value)) > 0;
	return ways;
}

bool entry_reader_init(struct entry_reader *r, const struct helper *h, struct entry_ways ways)
{
	*r = (struct entry_reader){ .h = h, .ways = ways, .value = malloc(VALUE_BYTES) };
	return r->value != NULL;
}

void entry_reader_free(struct entry_reader *r)
{
	free(r->value);
	r->value = NULL;
}

static void comma(struct buf *out)
{
	buf_add(out, ",", 1);
}

static void base64_or_null(const void *value, ssize_t size, struct buf *out)
{
	if (size < 0)
		buf_add(out, "null", 4);
	else
		buf_json_base64(out, value, (size_t)size);
}

/* ---- links ---- */

static void link_json(const struct lu_fid *parent, const char *name, size_t len, bool first, struct buf *out)
{
	if (!first)
		comma(out);
	buf_add(out, "[", 1);
	buf_json_fid(out, parent);
	comma(out);
	buf_json_name(out, name, len);
	buf_add(out, "]", 1);
}

/* The links that the MDT does not keep with the file: it finds them by the FID. How many were told. */
static unsigned links_by_path(const struct helper *h, const struct lu_fid *fid, struct buf *out)
{
	char path[PATH_BYTES];
	unsigned told = 0;
	int link = 0;

	for (int i = 0; i < LINKS_LOOKED_AT && told < LINKS_TOLD && fs_fid_link(h, fid, &link, path) > 0; i++) {
		char *slash = strrchr(path, '/');
		const char *name = slash ? slash + 1 : path;
		struct lu_fid parent;

		if (slash)
			*slash = '\0';
		if (name[0] != '\0' && fs_path_fid(h, slash ? path : "", &parent) == 0) {
			link_json(&parent, name, strlen(name), told == 0, out);
			told++;
		}
	}
	return told;
}

void links_json(const struct helper *h, const struct lu_fid *fid, const void *xattr, ssize_t size, uint32_t nlink,
		struct buf *out)
{
	size_t start = out->len;
	struct link_walk w;
	struct link_name link;
	unsigned told = 0;

	buf_str(out, "[[");
	if (size > 0 && link_start(&w, xattr, (size_t)size) && !w.overflow && w.count == nlink)
		while (told < LINKS_TOLD && link_next(&w, &link) > 0) {
			link_json(&link.parent, link.name, link.len, told == 0, out);
			told++;
		}
	if (told != nlink) {
		buf_cut(out, start);
		buf_str(out, "[[");
		told = links_by_path(h, fid, out);
	}
	buf_str(out, told == nlink ? "],true]" : "],false]");
}

/* ---- what only regular files have ---- */

struct file_parts {
	int64_t hsm; /* -1: could not be read */
	uint32_t archive;
};

static void read_hsm(struct entry_reader *r, const char *proc, struct file_parts *f)
{
	struct hsm_attrs attrs;
	struct hsm_user_state state;
	int fd;

	*f = (struct file_parts){ 0 };
	if (!r->exact && getxattr(proc, "trusted.hsm", &attrs, sizeof(attrs)) < 0 && errno == ENODATA)
		return;
	f->hsm = -1;
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	if (fd < 0)
		return;
	if (r->h->api.llapi_hsm_state_get_fd(fd, &state) == 0) {
		f->hsm = state.hus_states;
		f->archive = state.hus_archive_id;
	}
	close(fd);
}

void action_json(const struct hsm_current_action *hca, struct buf *out)
{
	static const char *const states[] = { "none", "waiting", "running", "done" };
	const char *action = "NOOP";

	if (hca->hca_action == HUA_ARCHIVE)
		action = "ARCHIVE";
	else if (hca->hca_action == HUA_RESTORE)
		action = "RESTORE";
	else if (hca->hca_action == HUA_REMOVE)
		action = "REMOVE";
	buf_printf(out, "{\"action\":\"%s\",\"state\":\"%s\",\"done\":\"%llu\"}", action,
		   hca->hca_state <= HPS_DONE ? states[hca->hca_state] : "none",
		   hca->hca_state == HPS_RUNNING ? (unsigned long long)hca->hca_location.length : 0ull);
}

/* osts, pool */
static void layout_json(struct entry_reader *r, const char *proc, struct buf *out)
{
	static const char *const names[] = { "lustre.lov", "trusted.lov" };
	ssize_t size = -1;
	unsigned count = 0;
	const char *pool = "";

	for (size_t i = 0; i < 2 && size < 0; i++)
		size = getxattr(proc, names[i], r->value, VALUE_BYTES);
	if (size > 0 && lov_parse(&r->layout, r->value, (size_t)size) == NULL) {
		count = lov_osts(&r->layout, r->osts);
		pool = lov_last(&r->layout)->pool;
	}
	buf_add(out, "[", 1);
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			comma(out);
		buf_u64(out, r->osts[i]);
	}
	buf_add(out, "],", 2);
	buf_json_string(out, pool, strlen(pool));
}

/* Whether it is there. */
static bool xattr_json(struct entry_reader *r, const char *proc, const char *name, struct buf *out)
{
	ssize_t size = getxattr(proc, name, r->value, VALUE_BYTES);

	base64_or_null(r->value, size, out);
	return size >= 0;
}

static void file_json(struct entry_reader *r, const char *proc, bool links, struct buf *out)
{
	struct file_parts f;

	read_hsm(r, proc, &f);
	comma(out);
	if (f.hsm < 0)
		buf_add(out, "null", 4);
	else
		buf_u64(out, (uint64_t)f.hsm);
	comma(out);
	buf_u64(out, f.archive);
	comma(out);
	layout_json(r, proc, out);
	/* Without a copy neither record means anything (cp -a carries them to other files), and ours goes before lemur's. */
	if (f.hsm < 0 || f.hsm & HS_EXISTS) {
		comma(out);
		if (xattr_json(r, proc, "trusted.lfsazsync", out))
			buf_str(out, ",null");
		else {
			comma(out);
			xattr_json(r, proc, "trusted.lhsm_uuid", out);
		}
	} else if (links) {
		buf_str(out, ",null,null");
	}
}

/* ---- all entries ---- */

static void project_json(const struct entry_reader *r, const char *proc, struct buf *out)
{
	char text[16];
	uint64_t project;
	ssize_t n = r->ways.projects ? getxattr(proc, "trusted.projid", text, sizeof(text)) : -1;

	if (n > 0 && parse_u64(text, strnlen(text, (size_t)n), &project))
		buf_u64(out, project);
	else
		buf_add(out, "null", 4);
}

static void stat_json(const struct statx *st, struct buf *out)
{
	const int64_t numbers[] = {
		st->stx_mode,
		st->stx_uid,
		st->stx_gid,
		st->stx_nlink,
		(int64_t)st->stx_size,
		(int64_t)st->stx_blocks,
		st->stx_atime.tv_sec,
		st->stx_mtime.tv_sec,
		st->stx_ctime.tv_sec,
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		comma(out);
		buf_i64(out, numbers[i]);
	}
	comma(out);
	if (st->stx_mask & STATX_BTIME)
		buf_i64(out, st->stx_btime.tv_sec);
	else
		buf_add(out, "null", 4);
}

static enum entry_result read_opened(struct entry_reader *r, int fd, int directory, const char *name, struct buf *out,
				     struct lu_fid *fid, int *rc)
{
	char proc[PROC_PATH];
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) < 0) {
		*rc = -errno;
		return *rc == -ENOENT || *rc == -ESTALE ? ENTRY_GONE : ENTRY_FAILED;
	}
	if (makedev(st.stx_dev_major, st.stx_dev_minor) != r->h->device)
		return ENTRY_FOREIGN;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	*rc = r->exact ? 0 : fid_of(r, fd, proc, directory, name, fid);
	if (*rc < 0)
		return *rc == -ENOENT || *rc == -ESTALE ? ENTRY_GONE : ENTRY_FAILED;
	/* A directory has one name; its nlink counts what is in it. */
	uint32_t names = S_ISDIR(st.stx_mode) ? 1 : st.stx_nlink;
	bool links = r->exact || names > 1;
	struct hsm_current_action action = { 0 };
	int action_rc = -ENOTTY;

	/* Before the state: an archive that ends in between was under way then, and is not taken for one that nobody asked for. */
	if (r->actions && S_ISREG(st.stx_mode))
		action_rc = r->h->api.llapi_hsm_current_action(proc, &action);
	buf_add(out, "[", 1);
	buf_json_fid(out, fid);
	comma(out);
	buf_json_name(out, name, r->exact ? 0 : strlen(name));
	stat_json(&st, out);
	comma(out);
	project_json(r, proc, out);
	if (S_ISREG(st.stx_mode))
		file_json(r, proc, links, out);
	else if (links)
		buf_str(out, ",0,0,[],\"\",null,null");
	if (links) {
		comma(out);
		links_json(r->h, fid, r->value, getxattr(proc, "trusted.link", r->value, VALUE_BYTES), names, out);
	}
	if (r->actions) {
		comma(out);
		if (action_rc < 0)
			buf_i64(out, action_rc);
		else
			action_json(&action, out);
	}
	buf_add(out, "]", 1);
	return S_ISDIR(st.stx_mode) ? ENTRY_DIRECTORY : ENTRY_TOLD;
}

enum entry_result entry_read(struct entry_reader *r, int directory, const char *name,
			     struct buf *out, struct lu_fid *fid, int *rc)
{
	size_t before = out->len;
	int fd = fs_openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	enum entry_result result;

	*rc = fd < 0 ? fd : 0;
	if (fd < 0)
		return *rc == -ENOENT ? ENTRY_GONE : ENTRY_FAILED;
	result = read_opened(r, fd, directory, name, out, fid, rc);
	close(fd);
	if (result != ENTRY_TOLD && result != ENTRY_DIRECTORY)
		buf_cut(out, before);
	return result;
}

int entry_read_fid(struct entry_reader *r, const struct lu_fid *fid, struct buf *out)
{
	char path[PATH_BYTES];
	struct lu_fid found = *fid; /* what is behind .lustre/fid has that FID */
	enum entry_result result;
	int rc;

	fs_fid_path(r->h, fid, path);
	result = entry_read(r, AT_FDCWD, path, out, &found, &rc);
	return result == ENTRY_TOLD || result == ENTRY_DIRECTORY ? 0 : result == ENTRY_FOREIGN ? -EXDEV : rc;
}
