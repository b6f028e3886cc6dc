#include "record.h"

#include <string.h>

enum { TIME_SECONDS_SHIFT = 30, TIME_NS_MASK = (1 << 30) - 1 };

struct cursor {
	const unsigned char *at;
	size_t left;
};

/* The next extension, or NULL if it doesn't fit. */
static const unsigned char *take(struct cursor *c, size_t size)
{
	const unsigned char *p = c->at;

	if (size > c->left)
		return NULL;
	c->at += size;
	c->left -= size;
	return p;
}

static uint64_t number(const unsigned char *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static const char *parse_extra(struct record *r, struct cursor *c)
{
	const unsigned char *p = take(c, CHANGELOG_EXTRA_FLAGS_SIZE);
	uint64_t extra = p ? number(p) : 0;

	if (!p)
		return "its extra flags are not there";
	if (extra & ~(uint64_t)CLFE_KNOWN)
		return "it has extensions of unknown kind";
	if (extra & CLFE_UIDGID) {
		p = take(c, CHANGELOG_UIDGID_SIZE);
		if (!p)
			return "its owner is not there";
		r->has_owner = true;
		r->uid = number(p);
		r->gid = number(p + 8);
	}
	if ((extra & CLFE_NID && !take(c, CHANGELOG_NID_SIZE)) || (extra & CLFE_OPEN && !take(c, CHANGELOG_OPEN_SIZE)))
		return "its extensions are not there";
	if (extra & CLFE_XATTR) {
		p = take(c, CHANGELOG_XATTR_SIZE);
		if (!p)
			return "its xattr's name is not there";
		r->xattr = (const char *)p;
		r->xattr_len = strnlen(r->xattr, CHANGELOG_XATTR_SIZE);
	}
	return NULL;
}

const char *record_parse(struct record *r, const void *data, size_t size)
{
	struct cursor c = { data, size };
	const unsigned char *p = take(&c, sizeof(struct changelog_rec));
	const char *error;
	struct changelog_rec head;

	*r = (struct record){ 0 };
	if (!p)
		return "shorter than a record's head";
	memcpy(&head, p, sizeof(head));
	r->index = head.cr_index;
	r->type = head.cr_type;
	r->flags = head.cr_flags & CLF_FLAGMASK;
	r->time_ms = (head.cr_time >> TIME_SECONDS_SHIFT) * 1000 + (head.cr_time & TIME_NS_MASK) / 1000000;
	if (head.cr_type != CL_MARK)
		r->fid = head.cr_tfid;
	if (head.cr_flags & CLF_RENAME) { /* some libraries put it, empty, into every record */
		p = take(&c, CHANGELOG_RENAME_SIZE);
		if (!p)
			return "its source is not there";
		memcpy(&r->source, p, sizeof(r->source));
		memcpy(&r->source_parent, p + sizeof(r->source), sizeof(r->source_parent));
	}
	if (head.cr_flags & CLF_JOBID && !take(&c, CHANGELOG_JOBID_SIZE))
		return "its job is not there";
	if (head.cr_flags & CLF_EXTRA_FLAGS) {
		error = parse_extra(r, &c);
		if (error)
			return error;
	}
	p = take(&c, head.cr_namelen);
	if (!p)
		return "its name does not fit";
	if (head.cr_type == CL_MARK)
		return NULL;
	r->name = (const char *)p;
	r->name_len = strnlen(r->name, head.cr_namelen);
	if (head.cr_type == CL_RENAME && r->name_len < head.cr_namelen) {
		r->source_name = r->name + r->name_len + 1;
		r->source_name_len = strnlen(r->source_name, head.cr_namelen - r->name_len - 1);
	}
	if (r->name_len > 0) /* without a name, what Lustre has there is any directory */
		r->parent = head.cr_pfid;
	return NULL;
}

static void fid_json(const struct lu_fid *fid, struct buf *out)
{
	if (fid->f_seq == 0 && fid->f_oid == 0 && fid->f_ver == 0)
		buf_add(out, "null", 4);
	else
		buf_json_fid(out, fid);
}

void record_json(const struct record *r, struct buf *out)
{
	buf_add(out, "[", 1);
	buf_u64(out, r->index);
	buf_add(out, ",", 1);
	buf_u64(out, r->type);
	buf_add(out, ",", 1);
	buf_u64(out, r->flags);
	buf_add(out, ",", 1);
	buf_u64(out, r->time_ms);
	buf_add(out, ",", 1);
	fid_json(&r->fid, out);
	buf_add(out, ",", 1);
	fid_json(&r->parent, out);
	buf_add(out, ",", 1);
	buf_json_name(out, r->name, r->name_len);
	if (r->has_owner) {
		buf_add(out, ",", 1);
		buf_u64(out, r->uid);
		buf_add(out, ",", 1);
		buf_u64(out, r->gid);
	} else {
		buf_str(out, ",null,null");
	}
	if (r->type == CL_RENAME) {
		buf_add(out, ",", 1);
		fid_json(&r->source, out);
		buf_add(out, ",", 1);
		fid_json(&r->source_parent, out);
		buf_add(out, ",", 1);
		buf_json_name(out, r->source_name, r->source_name_len);
	} else if (r->type == CL_SETXATTR && r->xattr_len > 0) {
		buf_add(out, ",", 1);
		buf_json_string(out, r->xattr, r->xattr_len);
	}
	buf_add(out, "]", 1);
}
