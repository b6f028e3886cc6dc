#include "fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool field_bad(struct fields *f, const char *key, const char *what)
{
	if (f->error[0] == '\0')
		snprintf(f->error, sizeof(f->error), "%s: %s", key, what);
	return false;
}

bool parse_u64(const char *text, size_t len, uint64_t *value)
{
	uint64_t v = 0;

	if (len == 0 || len > 20 || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
			return false;
	}
	*value = v;
	return true;
}

static bool parse_hex(const char **p, const char *end, unsigned max_digits, uint64_t *value)
{
	unsigned n = 0;

	*value = 0;
	if (end - *p >= 1 && **p == '0' && (end - *p == 1 || ((*p)[1] | 0x20) != 'x')) {
		++*p; /* a zero sequence is written without 0x */
		return true;
	}
	if (end - *p < 3)
		return false;
	for (*p += 2; *p < end; ++*p, n++) {
		unsigned char c = (unsigned char)**p;
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20u) - 'a' + 10;
		else
			break;
		if (n == max_digits)
			return false;
		*value = *value << 4 | digit;
	}
	return n > 0;
}

bool parse_fid(const char *text, size_t len, struct lu_fid *fid)
{
	const char *p = text, *end = text + len;
	uint64_t seq, oid, ver;

	if (len >= 2 && *p == '[' && end[-1] == ']') {
		p++;
		end--;
	}
	if (end - p >= 1 && *p != '0')
		return false;
	if (!parse_hex(&p, end, 16, &seq) || end - p < 2 || *p++ != ':' || *p != '0' || !parse_hex(&p, end, 8, &oid) ||
	    end - p < 2 || *p++ != ':' || *p != '0' || !parse_hex(&p, end, 8, &ver) || p != end)
		return false;
	*fid = (struct lu_fid){ .f_seq = seq, .f_oid = (uint32_t)oid, .f_ver = (uint32_t)ver };
	return true;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

long decode_base64(const char *text, size_t len, unsigned char *out)
{
	size_t n = 0, padding = 0;

	if (len % 4 != 0)
		return -1;
	if (len > 0 && text[len - 1] == '=')
		padding = text[len - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < len; i += 4) {
		bool last = i + 4 == len;
		uint32_t bits = 0;

		for (size_t j = 0; j < 4; j++) {
			int digit = last && j >= 4 - padding ? 0 : base64_digit(text[i + j]);

			if (digit < 0)
				return -1;
			bits = bits << 6 | (uint32_t)digit;
		}

		size_t bytes = last ? 3 - padding : 3;

		for (size_t j = 0; j < bytes; j++)
			out[n++] = (unsigned char)(bits >> (16 - 8 * j));
		if (bytes < 3 && (bits & ((1u << (24 - 8 * bytes)) - 1)) != 0)
			return -1; /* bits that nobody would see */
	}
	return (long)n;
}

static const struct json *find(struct fields *f, const char *key, bool required)
{
	const struct json *v = json_get(f->object, key);

	if (!v && required)
		field_bad(f, key, "is missing");
	return v;
}

bool field_u64(struct fields *f, const char *key, bool required, uint64_t *value)
{
	const struct json *v = find(f, key, required);

	if (!v)
		return !required;
	if ((v->type != JSON_STRING && v->type != JSON_NUMBER) || !parse_u64(v->text, v->len, value))
		return field_bad(f, key, "must be a decimal number without a sign, as a string");
	return true;
}

bool field_u32(struct fields *f, const char *key, bool required, uint32_t *value)
{
	const struct json *v = find(f, key, required);
	uint64_t wide;

	if (!v)
		return !required;
	if ((v->type != JSON_STRING && v->type != JSON_NUMBER) || !parse_u64(v->text, v->len, &wide) ||
	    wide > UINT32_MAX)
		return field_bad(f, key, "must be an integer from 0 to 4294967295");
	*value = (uint32_t)wide;
	return true;
}

bool field_i32(struct fields *f, const char *key, int32_t *value)
{
	const struct json *v = json_get(f->object, key);
	uint64_t wide;

	if (!v)
		return true;

	bool negative = v->type == JSON_NUMBER && v->text[0] == '-';

	if (v->type != JSON_NUMBER || !parse_u64(v->text + negative, v->len - negative, &wide) || wide > INT32_MAX)
		return field_bad(f, key, "must be an integer of 32 bits");
	*value = negative ? -(int32_t)wide : (int32_t)wide;
	return true;
}

bool field_bool(struct fields *f, const char *key, bool *value)
{
	const struct json *v = json_get(f->object, key);

	if (!v)
		return true;
	if (v->type != JSON_BOOL)
		return field_bad(f, key, "must be true or false");
	*value = v->boolean;
	return true;
}

bool field_fid(struct fields *f, const char *key, bool required, struct lu_fid *fid, bool *present)
{
	const struct json *v = find(f, key, required);

	if (present)
		*present = v != NULL;
	if (!v)
		return !required;
	if (v->type != JSON_STRING || !parse_fid(v->text, v->len, fid))
		return field_bad(f, key, "must be a FID like 0x200000401:0x1:0x0");
	return true;
}

bool field_string(struct fields *f, const char *key, bool required, const char **value, size_t *len)
{
	const struct json *v = find(f, key, required);

	*value = NULL;
	*len = 0;
	if (!v)
		return !required;
	if (v->type != JSON_STRING)
		return field_bad(f, key, "must be a string");
	*value = v->text;
	*len = v->len;
	return true;
}

bool field_base64(struct fields *f, const char *key, bool required, size_t max, unsigned char **data, size_t *len)
{
	const struct json *v = find(f, key, required);

	*data = NULL;
	*len = 0;
	if (!v)
		return !required;
	if (v->type != JSON_STRING || v->len / 4 * 3 > max + 2)
		return field_bad(f, key, "must be base64, and not longer than allowed");
	*data = malloc(v->len / 4 * 3 + 1);
	if (!*data)
		return field_bad(f, key, "out of memory");

	long n = decode_base64(v->text, v->len, *data);

	if (n < 0 || (size_t)n > max) {
		free(*data);
		*data = NULL;
		return field_bad(f, key, "must be base64, and not longer than allowed");
	}
	*len = (size_t)n;
	return true;
}

bool path_bytes(struct fields *f, const struct json *text, const struct json *base64, char out[PATH_BYTES])
{
	const struct json *v = text ? text : base64;

	if (!v || (text && base64))
		return field_bad(f, "path", "one of path and path_b64 is needed");
	if (v->type != JSON_STRING)
		return field_bad(f, "path", "must be a string");
	if (text) {
		if (v->len >= PATH_BYTES)
			return field_bad(f, "path", "is too long");
		memcpy(out, v->text, v->len);
		out[v->len] = '\0';
		return true;
	}
	if (v->len / 4 * 3 >= PATH_BYTES + 2)
		return field_bad(f, "path_b64", "is too long");

	unsigned char bytes[PATH_BYTES + 3];
	long n = decode_base64(v->text, v->len, bytes);

	if (n < 0 || n >= PATH_BYTES)
		return field_bad(f, "path_b64", n < 0 ? "must be base64" : "is too long");
	if (memchr(bytes, 0, (size_t)n))
		return field_bad(f, "path_b64", "a path has no NUL");
	memcpy(out, bytes, (size_t)n);
	out[n] = '\0';
	return true;
}
