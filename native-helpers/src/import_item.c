#include "import_item.h"

#include <stdio.h>
#include <string.h>

enum { RECORD_BYTES = 16384, FID_BYTES = 48 };

static const struct json *take(const struct json **at)
{
	const struct json *one = *at;

	if (one)
		*at = one->next;
	return one;
}

bool take_u64(const struct json **at, uint64_t max, uint64_t *value)
{
	const struct json *v = take(at);

	return v && (v->type == JSON_NUMBER || v->type == JSON_STRING) && parse_u64(v->text, v->len, value) && *value <= max;
}

static bool take_time(const struct json **at, int64_t *value)
{
	const struct json *v = take(at);
	bool negative = v && v->type == JSON_NUMBER && v->text[0] == '-';
	uint64_t seconds;

	if (!v || v->type != JSON_NUMBER || !parse_u64(v->text + negative, v->len - negative, &seconds) || seconds > INT64_MAX)
		return false;
	*value = negative ? -(int64_t)seconds : (int64_t)seconds;
	return true;
}

/* A name or a symlink's target: bytes without NUL, at least one, fewer than `size`. */
static bool take_bytes(const struct json **at, char *out, size_t size)
{
	const struct json *v = take(at), *base64 = v && v->type == JSON_OBJECT ? json_get(v, "b64") : NULL;
	unsigned char decoded[PATH_BYTES + 3];
	long n;

	if (!v || (v->type != JSON_STRING && (!base64 || base64->type != JSON_STRING)))
		return false;
	if (!base64) {
		if (v->len == 0 || v->len >= size)
			return false;
		memcpy(out, v->text, v->len);
		out[v->len] = '\0';
		return true;
	}
	if (base64->len / 4 * 3 >= PATH_BYTES + 2)
		return false;
	n = decode_base64(base64->text, base64->len, decoded);
	if (n <= 0 || (size_t)n >= size || memchr(decoded, 0, (size_t)n))
		return false;
	memcpy(out, decoded, (size_t)n);
	out[n] = '\0';
	return true;
}

bool take_name(const struct json **at, char name[NAME_BYTES])
{
	return take_bytes(at, name, NAME_BYTES) && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool take_fid(const struct json **at, struct lu_fid *fid)
{
	const struct json *v = take(at);

	return v && v->type == JSON_STRING && parse_fid(v->text, v->len, fid);
}

static bool take_owner(const struct json **at, struct import_attributes *a)
{
	uint64_t uid, gid;

	if (!take_u64(at, UINT32_MAX, &uid) || !take_u64(at, UINT32_MAX, &gid))
		return false;
	a->uid = (uid_t)uid;
	a->gid = (gid_t)gid;
	return true;
}

static bool take_mode(const struct json **at, struct import_attributes *a)
{
	uint64_t mode;

	if (!take_u64(at, 07777, &mode))
		return false;
	a->mode = (mode_t)mode;
	return true;
}

bool take_attributes(const struct json **at, struct import_attributes *a)
{
	return take_mode(at, a) && take_owner(at, a) && take_time(at, &a->mtime);
}

bool take_record(const struct json **at, struct import_record *r)
{
	const struct json *before = take(at), *after = take(at);

	if (!before || !after || before->type != JSON_STRING || after->type != JSON_STRING ||
	    before->len + after->len + FID_BYTES > RECORD_BYTES)
		return false;
	*r = (struct import_record){ before->text, after->text, before->len, after->len };
	return true;
}

bool take_bool(const struct json **at, bool *value)
{
	const struct json *v = take(at);

	if (!v || v->type != JSON_BOOL)
		return false;
	*value = v->boolean;
	return true;
}

/* ---- items ---- */

static bool file_item(const struct json **at, struct import_item *item)
{
	return take_attributes(at, &item->attributes) && take_u64(at, INT64_MAX, &item->size) && item->size > 0 &&
	       take_record(at, &item->record);
}

static bool empty_item(const struct json **at, struct import_item *item)
{
	return take_attributes(at, &item->attributes) && take_record(at, &item->record);
}

static bool directory_item(const struct json **at, struct import_item *item)
{
	return take_mode(at, &item->attributes) && take_owner(at, &item->attributes);
}

static bool symlink_item(const struct json **at, struct import_item *item)
{
	return take_owner(at, &item->attributes) && take_time(at, &item->attributes.mtime) &&
	       take_bytes(at, item->target, sizeof(item->target));
}

static bool link_item(const struct json **at, struct import_item *item)
{
	return take_fid(at, &item->fid);
}

bool import_item(const struct json *list, struct import_item *out)
{
	static const struct {
		const char *name;
		bool (*read)(const struct json **at, struct import_item *item);
	} kinds[] = {
		[IMPORT_FILE] = { "file", file_item },		[IMPORT_EMPTY] = { "empty", empty_item },
		[IMPORT_DIRECTORY] = { "dir", directory_item }, [IMPORT_SYMLINK] = { "symlink", symlink_item },
		[IMPORT_LINK] = { "link", link_item },
	};
	const struct json *at = list->type == JSON_ARRAY ? list->child : NULL, *kind = take(&at);

	memset(out, 0, sizeof(*out));
	if (!kind || kind->type != JSON_STRING || !take_name(&at, out->name))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind->text, kinds[i].name) == 0) {
			out->kind = (enum import_kind)i;
			return kinds[i].read(&at, out) && !at;
		}
	return false;
}
