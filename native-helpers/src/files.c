/* Operations on files, by FID: what the modes attrs and copytool have in common. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "entry.h"
#include "helper.h"
#include "lov.h"
#include "out.h"

enum {
	XATTR_BYTES = 65536,
	USER_XATTR_BYTES = 3072, /* of a value: more fits into no blob's metadata */
	USER_XATTRS_BYTES = 65536, /* of all values of a file: whatever users set, the answer fits into a line */
	MANY_MAX = 1000,
	NAMES_MAX = 64,
	LINKS_MAX = 65536,
	REPLY_HEAD = 1024, /* of a line, for what is around the items */
};

__extension__ typedef __int128 wide_int;

enum want {
	WANT_STAT = 1,
	WANT_HSM = 2,
	WANT_ACTION = 4,
	WANT_DV = 8,
	WANT_PATHS = 16,
	WANT_XATTRS = 32,
	WANT_LAYOUT = 64,
	WANT_USER_XATTRS = 128,
};

struct get {
	unsigned want;
	bool flush;
	unsigned name_count;
	const char *names[NAMES_MAX];
	size_t name_lens[NAMES_MAX];
};

static bool xattr_name_ok(const char *name, size_t len)
{
	return len > 0 && len <= 255 && !memchr(name, 0, len);
}

static bool parse_get(struct fields *f, struct get *g)
{
	static const struct {
		const char *name;
		enum want bit;
	} wants[] = {
		{ "stat", WANT_STAT },	 { "hsm", WANT_HSM },	    { "action", WANT_ACTION }, { "dv", WANT_DV },
		{ "paths", WANT_PATHS }, { "xattrs", WANT_XATTRS }, { "layout", WANT_LAYOUT },
		{ "user_xattrs", WANT_USER_XATTRS },
	};
	const struct json *want = json_get(f->object, "want"), *names = json_get(f->object, "xattrs");

	*g = (struct get){ 0 };
	if (want) {
		if (want->type != JSON_ARRAY)
			return field_bad(f, "want", "must be a list");
		for (const struct json *w = want->child; w; w = w->next) {
			unsigned before = g->want;

			for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
				if (w->type == JSON_STRING && w->len == strlen(wants[i].name) &&
				    memcmp(w->text, wants[i].name, w->len) == 0)
					g->want |= wants[i].bit;
			if (g->want == before)
				return field_bad(f, "want", "has an unknown or repeated part");
		}
	}
	if (names) {
		if (names->type != JSON_ARRAY || names->count > NAMES_MAX)
			return field_bad(f, "xattrs", "must be a list of at most 64 names");
		for (const struct json *n = names->child; n; n = n->next) {
			if (n->type != JSON_STRING || !xattr_name_ok(n->text, n->len))
				return field_bad(f, "xattrs", "has something that is not an xattr's name");
			g->names[g->name_count] = n->text;
			g->name_lens[g->name_count++] = n->len;
		}
	}
	return field_bool(f, "dv_flush", &g->flush);
}

static void add_rc(struct buf *out, int rc)
{
	buf_printf(out, "{\"rc\":%d}", rc);
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "dir";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFCHR:
		return "chr";
	case S_IFBLK:
		return "blk";
	default:
		return "sock";
	}
}

static void add_time(struct buf *out, const char *key, const struct timespec *ts)
{
	wide_int ns = (wide_int)ts->tv_sec * 1000000000 + ts->tv_nsec; /* any time_t fits */
	bool negative = ns < 0;
	wide_int magnitude = negative ? -ns : ns;
	char digits[48];
	char *p = digits + sizeof(digits) - 1;

	*p = '\0';
	do
		*--p = (char)('0' + (int)(magnitude % 10));
	while (magnitude /= 10);
	if (negative)
		*--p = '-';
	buf_printf(out, ",\"%s\":\"%s\"", key, p);
}

static void add_stat(const struct helper *h, const struct lu_fid *fid, const struct stat *st, struct buf *out)
{
	size_t start = out->len;

	buf_printf(out, "{\"type\":\"%s\",\"mode\":%u,\"uid\":%u,\"gid\":%u,\"size\":\"%lld\",\"blocks\":\"%lld\",\"nlink\":%llu",
		   type_name(st->st_mode), (unsigned)st->st_mode & 07777u, st->st_uid, st->st_gid,
		   (long long)st->st_size, (long long)st->st_blocks, (unsigned long long)st->st_nlink);
	add_time(out, "atime", &st->st_atim);
	add_time(out, "mtime", &st->st_mtim);
	add_time(out, "ctime", &st->st_ctim);
	buf_printf(out, ",\"rdev\":\"%llu\"", (unsigned long long)st->st_rdev);
	if (S_ISLNK(st->st_mode)) {
		char text[FID_TEXT], target[PATH_BYTES];

		fid_text(fid, text);

		ssize_t len = readlinkat(h->fid_fd, text, target, sizeof(target));

		if (len < 0) {
			int rc = -errno;

			buf_cut(out, start);
			add_rc(out, rc);
			return;
		}
		buf_str(out, ",\"target_b64\":");
		buf_json_base64(out, target, (size_t)len);
	}
	buf_str(out, "}");
}

static void add_hsm(const struct helper *h, int fd, struct buf *out)
{
	struct hsm_user_state hus = { 0 };
	int rc = fd < 0 ? fd : h->api.llapi_hsm_state_get_fd(fd, &hus);

	if (rc < 0)
		add_rc(out, rc);
	else
		buf_printf(out, "{\"states\":%u,\"archive\":%u}", hus.hus_states, hus.hus_archive_id);
}

static void add_action(const struct helper *h, const struct lu_fid *fid, bool regular, struct buf *out)
{
	struct hsm_current_action hca = { 0 };
	char path[PATH_BYTES];
	int rc = -ENOTTY;

	fs_fid_path(h, fid, path);
	if (regular)
		rc = h->api.llapi_hsm_current_action(path, &hca);
	if (rc < 0)
		add_rc(out, rc);
	else
		action_json(&hca, out);
}

static void add_dv(const struct helper *h, int fd, bool flush, struct buf *out)
{
	uint64_t dv = 0;
	int rc = fd < 0 ? fd : h->api.llapi_get_data_version(fd, &dv, flush ? LL_DV_RD_FLUSH : 0);

	if (rc < 0)
		add_rc(out, rc);
	else
		buf_printf(out, "\"%llu\"", (unsigned long long)dv);
}

static void add_paths(const struct helper *h, const struct lu_fid *fid, struct buf *out)
{
	char path[PATH_BYTES];
	size_t start = out->len;
	int link = 0, rc = 1;

	buf_str(out, "[");
	for (int n = 0; n < LINKS_MAX && rc > 0; n++) {
		rc = fs_fid_link(h, fid, &link, path);
		if (rc <= 0)
			break;
		buf_str(out, n ? ",{" : "{");
		buf_json_bytes(out, "path", path, strlen(path));
		buf_str(out, "}");
		if (out->len - start > LINE_MAX_BYTES)
			rc = -E2BIG;
	}
	/* A file that is open but has no name any more, or lost its last one between two questions. */
	if (rc < 0 && rc != -ENOENT) {
		buf_cut(out, start);
		add_rc(out, rc);
		return;
	}
	buf_str(out, "]");
}

static void add_xattrs(const struct helper *h, const struct lu_fid *fid, const struct get *g, struct buf *out)
{
	char path[PATH_BYTES], name[256];
	size_t start = out->len;
	char *value = malloc(XATTR_BYTES);
	bool first = true;

	if (!value) {
		add_rc(out, -ENOMEM);
		return;
	}
	fs_fid_path(h, fid, path);
	buf_str(out, "{");
	for (unsigned i = 0; i < g->name_count; i++) {
		memcpy(name, g->names[i], g->name_lens[i]);
		name[g->name_lens[i]] = '\0';

		ssize_t size = lgetxattr(path, name, value, XATTR_BYTES);

		if (size < 0 && errno == ENODATA)
			continue;
		if (size < 0) {
			int rc = -errno;

			buf_cut(out, start);
			add_rc(out, rc);
			free(value);
			return;
		}
		buf_str(out, first ? "" : ",");
		first = false;
		buf_json_string(out, name, g->name_lens[i]);
		buf_str(out, ":");
		buf_json_base64(out, value, (size_t)size);
	}
	buf_str(out, "}");
	free(value);
}

static bool is_user_xattr(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strcmp(name, "system.posix_acl_access") == 0 ||
	       strcmp(name, "system.posix_acl_default") == 0;
}

/* What users may set: all user.* and the ACLs, as [name, value] in base64; a value that is too large, or comes after too many, is null. */
static void add_user_xattrs(const struct helper *h, const struct lu_fid *fid, struct buf *out)
{
	char path[PATH_BYTES], value[USER_XATTR_BYTES];
	size_t start = out->len, left = USER_XATTRS_BYTES;
	char *list = malloc(XATTR_BYTES);
	ssize_t size;
	bool first = true;

	if (!list) {
		add_rc(out, -ENOMEM);
		return;
	}
	fs_fid_path(h, fid, path);
	size = llistxattr(path, list, XATTR_BYTES);
	if (size < 0 && errno == EOPNOTSUPP)
		size = 0;
	if (size < 0) {
		add_rc(out, -errno);
		free(list);
		return;
	}
	buf_str(out, "[");
	for (const char *name = list; name < list + size; name += strlen(name) + 1) {
		ssize_t len;

		if (!is_user_xattr(name))
			continue;
		len = lgetxattr(path, name, value, sizeof(value));
		if (len < 0 && errno == ENODATA)
			continue;
		if (len < 0 && errno != ERANGE && errno != E2BIG) {
			int rc = -errno;

			buf_cut(out, start);
			add_rc(out, rc);
			free(list);
			return;
		}
		buf_str(out, first ? "[" : ",[");
		first = false;
		buf_json_base64(out, name, strlen(name));
		buf_str(out, ",");
		if (len < 0 || (size_t)len > left) {
			buf_str(out, "null");
		} else {
			buf_json_base64(out, value, (size_t)len);
			left -= (size_t)len;
		}
		buf_str(out, "]");
	}
	buf_str(out, "]");
	free(list);
}

static void add_layout(const struct helper *h, const struct lu_fid *fid, bool regular, struct buf *out)
{
	struct lov_layout layout;
	void *value = NULL;
	ssize_t size = regular ? fs_layout_xattr(h, fid, &value) : -ENOTTY;

	if (size < 0)
		add_rc(out, (int)size);
	else if (lov_parse(&layout, value, (size_t)size))
		add_rc(out, -EPROTO);
	else
		lov_json(&layout, out);
	free(value);
}

/* Appends `,"fid":…` and the wanted parts; rc of the whole. */
static int get_by_fid(const struct helper *h, const struct get *g, const struct lu_fid *fid, struct buf *out)
{
	struct stat st;
	int rc, fd = -1;

	buf_str(out, ",\"fid\":");
	buf_json_fid(out, fid);
	rc = fs_stat(h, fid, &st);
	/* A stripe of a directory: the client has no attributes of it, and its path is the directory's. */
	if (rc == -EPERM && g->want == WANT_PATHS) {
		buf_str(out, ",\"paths\":");
		add_paths(h, fid, out);
		return 0;
	}
	if (rc < 0)
		return rc;

	bool regular = S_ISREG(st.st_mode);

	if (g->want & (WANT_HSM | WANT_DV))
		fd = regular ? fs_open_regular(h, fid) : -ENOTTY;
	if (g->want & WANT_STAT) {
		buf_str(out, ",\"stat\":");
		add_stat(h, fid, &st, out);
	}
	if (g->want & WANT_HSM) {
		buf_str(out, ",\"hsm\":");
		add_hsm(h, fd, out);
	}
	if (g->want & WANT_ACTION) {
		buf_str(out, ",\"action\":");
		add_action(h, fid, regular, out);
	}
	if (g->want & WANT_DV) {
		buf_str(out, ",\"dv\":");
		add_dv(h, fd, g->flush, out);
	}
	if (fd >= 0)
		close(fd);
	if (g->want & WANT_PATHS) {
		buf_str(out, ",\"paths\":");
		add_paths(h, fid, out);
	}
	if (g->want & WANT_XATTRS) {
		buf_str(out, ",\"xattrs\":");
		add_xattrs(h, fid, g, out);
	}
	if (g->want & WANT_USER_XATTRS) {
		buf_str(out, ",\"user_xattrs\":");
		add_user_xattrs(h, fid, out);
	}
	if (g->want & WANT_LAYOUT) {
		buf_str(out, ",\"layout\":");
		add_layout(h, fid, regular, out);
	}
	return 0;
}

static int op_get(struct request *rq, struct buf *out)
{
	const struct json *text = json_get(rq->object, "path"), *base64 = json_get(rq->object, "path_b64");
	char path[PATH_BYTES];
	struct lu_fid fid;
	struct get g;
	bool by_fid;

	if (!parse_get(&rq->fields, &g) || !field_fid(&rq->fields, "fid", false, &fid, &by_fid))
		return bad_request(rq);
	if (by_fid && (text || base64)) {
		field_bad(&rq->fields, "fid", "and a path exclude each other");
		return bad_request(rq);
	}
	if (!by_fid) {
		if (!path_bytes(&rq->fields, text, base64, path))
			return bad_request(rq);

		int rc = fs_path_fid(rq->h, path, &fid);

		if (rc < 0)
			return failed(rq, rc, "cannot get the FID of that path");
	}

	size_t start = out->len;
	int rc = get_by_fid(rq->h, &g, &fid, out);

	if (out->len - start > LINE_MAX_BYTES - REPLY_HEAD) {
		buf_cut(out, start);
		return failed(rq, -E2BIG, "what was wanted does not fit into a line");
	}
	return rc < 0 ? failed(rq, rc, "cannot stat that file by its FID") : 0;
}

static int op_get_many(struct request *rq, struct buf *out)
{
	static const char *const keys[] = { "fids", "paths", "paths_b64" };
	const struct json *list = NULL;
	unsigned which = 0, lists = 0;
	struct get g;

	for (unsigned i = 0; i < 3; i++) {
		const struct json *l = json_get(rq->object, keys[i]);

		if (l) {
			list = l;
			which = i;
			lists++;
		}
	}
	if (lists != 1 || list->type != JSON_ARRAY || list->count > MANY_MAX)
		field_bad(&rq->fields, "fids", "one list of fids, paths or paths_b64 is needed, of at most 1000");
	if (rq->fields.error[0] || !parse_get(&rq->fields, &g))
		return bad_request(rq);

	size_t start = out->len, left = list->count;

	buf_str(out, ",\"items\":[");
	for (const struct json *one = list->child; one; one = one->next, left--) {
		struct buf item = { 0 };
		char path[PATH_BYTES];
		struct fields ignored = { 0 };
		struct lu_fid fid = { 0 };
		bool known;
		int rc;

		if (which > 0)
			rc = !path_bytes(&ignored, which == 1 ? one : NULL, which == 2 ? one : NULL, path) ?
				     -EINVAL :
				     fs_path_fid(rq->h, path, &fid);
		else
			rc = one->type == JSON_STRING && parse_fid(one->text, one->len, &fid) ? 0 : -EINVAL;
		known = rc == 0;
		if (known)
			rc = get_by_fid(rq->h, &g, &fid, &item);
		buf_printf(out, "%s{\"rc\":", one == list->child ? "" : ",");
		/* Every item gets its place, so that the rest can be asked for again. */
		if (out->len - start + item.len + 80 * left > LINE_MAX_BYTES - REPLY_HEAD) {
			buf_printf(out, "%d", -E2BIG);
			if (known) {
				buf_str(out, ",\"fid\":");
				buf_json_fid(out, &fid);
			}
		} else {
			buf_printf(out, "%d", rc);
			buf_add(out, item.data, item.len);
		}
		buf_str(out, "}");
		out->failed |= item.failed;
		buf_free(&item);
	}
	buf_str(out, "]");
	return 0;
}

/* What a scan tells of an entry, exactly and with all its names, of many FIDs. */
static int op_entries(struct request *rq, struct buf *out)
{
	const struct json *list = json_get(rq->object, "fids");
	struct entry_reader reader;
	int rc = 0;

	if (!list || list->type != JSON_ARRAY || list->count == 0 || list->count > MANY_MAX) {
		field_bad(&rq->fields, "fids", "must be a list of 1 to 1,000 FIDs");
		return bad_request(rq);
	}
	bool actions = false;

	if (!field_bool(&rq->fields, "actions", &actions))
		return bad_request(rq);
	if (!entry_reader_init(&reader, rq->h, rq->h->ways))
		return -ENOMEM;
	reader.exact = true;
	reader.actions = actions;
	buf_str(out, ",\"list\":[");
	for (const struct json *f = list->child; f && rc == 0; f = f->next) {
		size_t before = out->len;
		struct lu_fid fid;
		int one;

		if (f != list->child)
			buf_str(out, ",");
		if (f->type != JSON_STRING || !parse_fid(f->text, f->len, &fid)) {
			field_bad(&rq->fields, "fids", "must be a list of 1 to 1,000 FIDs");
			rc = bad_request(rq);
			break;
		}
		one = entry_read_fid(&reader, &fid, out);
		/* Each of those to come needs room for an error. */
		if (one == 0 && out->len + 8 * (size_t)list->count > LINE_MAX_BYTES - REPLY_HEAD) {
			buf_cut(out, before + (f != list->child));
			one = -E2BIG;
		}
		if (one < 0)
			buf_i64(out, one);
	}
	entry_reader_free(&reader);
	if (rc < 0)
		buf_cut(out, 0);
	else
		buf_str(out, "]");
	return rc;
}

/* `fid` and `name` of the xattr requests, as paths and C strings. */
static bool xattr_target(struct request *rq, char path[PATH_BYTES], char name[256])
{
	struct lu_fid fid;
	const char *text;
	size_t len;

	if (!field_fid(&rq->fields, "fid", true, &fid, NULL) || !field_string(&rq->fields, "name", true, &text, &len))
		return false;
	if (!xattr_name_ok(text, len))
		return field_bad(&rq->fields, "name", "must be an xattr's name");
	memcpy(name, text, len);
	name[len] = '\0';
	fs_fid_path(rq->h, &fid, path);
	return true;
}

static int op_set_xattr(struct request *rq, struct buf *out)
{
	char path[PATH_BYTES], name[256];
	unsigned char *value;
	size_t len;
	uint32_t flags = 0;
	int rc;

	(void)out;
	if (!xattr_target(rq, path, name) || !field_u32(&rq->fields, "flags", false, &flags))
		return bad_request(rq);
	if (flags > XATTR_REPLACE) {
		field_bad(&rq->fields, "flags", "must be 0, 1 or 2");
		return bad_request(rq);
	}
	if (!field_base64(&rq->fields, "value", true, XATTR_BYTES, &value, &len))
		return bad_request(rq);
	rc = lsetxattr(path, name, value, len, (int)flags) < 0 ? -errno : 0;
	free(value);
	return rc < 0 ? failed(rq, rc, "cannot set %s", name) : 0;
}

static int op_remove_xattr(struct request *rq, struct buf *out)
{
	char path[PATH_BYTES], name[256];

	(void)out;
	if (!xattr_target(rq, path, name))
		return bad_request(rq);
	return lremovexattr(path, name) < 0 ? failed(rq, -errno, "cannot remove %s", name) : 0;
}

static int op_hsm_set(struct request *rq, struct buf *out)
{
	struct lu_fid fid;
	uint64_t set = 0, clear = 0;
	uint32_t archive = 0;
	int fd, rc;

	(void)out;
	if (!field_fid(&rq->fields, "fid", true, &fid, NULL) || !field_u64(&rq->fields, "set", false, &set) ||
	    !field_u64(&rq->fields, "clear", false, &clear) || !field_u32(&rq->fields, "archive", false, &archive))
		return bad_request(rq);
	fd = fs_open_regular(rq->h, &fid);
	if (fd < 0)
		return failed(rq, fd, "cannot open that file by its FID");
	rc = rq->h->api.llapi_hsm_state_set_fd(fd, set, clear, archive);
	close(fd);
	return rc < 0 ? failed(rq, rc, "cannot change the HSM flags") : 0;
}

static int op_data_version(struct request *rq, struct buf *out)
{
	struct lu_fid fid;
	bool flush = false;
	uint64_t dv = 0;
	int fd, rc;

	if (!field_fid(&rq->fields, "fid", true, &fid, NULL) || !field_bool(&rq->fields, "flush", &flush))
		return bad_request(rq);
	fd = fs_open_regular(rq->h, &fid);
	if (fd < 0)
		return failed(rq, fd, "cannot open that file by its FID");
	rc = rq->h->api.llapi_get_data_version(fd, &dv, flush ? LL_DV_RD_FLUSH : 0);
	close(fd);
	if (rc < 0)
		return failed(rq, rc, "cannot get the data version");
	buf_printf(out, ",\"dv\":\"%llu\"", (unsigned long long)dv);
	return 0;
}

const struct op file_ops[] = {
	{ "get", op_get },
	{ "get_many", op_get_many },
	{ "entries", op_entries },
	{ "set_xattr", op_set_xattr },
	{ "remove_xattr", op_remove_xattr },
	{ "hsm_set", op_hsm_set },
	{ "data_version", op_data_version },
	{ NULL, NULL },
};
