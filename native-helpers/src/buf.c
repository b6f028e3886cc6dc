#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool buf_room(struct buf *b, size_t more)
{
	if (b->failed)
		return false;
	if (more <= b->cap - b->len)
		return true;

	size_t cap = b->cap ? b->cap : 256;

	while (cap - b->len < more) {
		if (cap > SIZE_MAX / 2) {
			b->failed = true;
			return false;
		}
		cap *= 2;
	}

	char *data = realloc(b->data, cap);

	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (len == 0 || !buf_room(b, len))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap, again;

	va_start(ap, format);
	va_copy(again, ap);

	int len = vsnprintf(NULL, 0, format, ap);

	if (len < 0)
		b->failed = true;
	else if (buf_room(b, (size_t)len + 1)) {
		vsnprintf(b->data + b->len, (size_t)len + 1, format, again);
		b->len += (size_t)len;
	}
	va_end(again);
	va_end(ap);
}

void buf_u64(struct buf *b, uint64_t value)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	buf_add(b, text + at, sizeof(text) - at);
}

void buf_i64(struct buf *b, int64_t value)
{
	if (value < 0)
		buf_add(b, "-", 1);
	buf_u64(b, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void buf_cut(struct buf *b, size_t len)
{
	if (len < b->len)
		b->len = len;
}

/* The length of the valid UTF-8 sequence at s, or 0: no overlong forms, no surrogates, nothing above U+10FFFF. */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
	if (s[0] < 0x80)
		return 1;

	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0xc2 || s[0] > 0xf4 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

bool utf8_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;

	while (len > 0) {
		size_t n = utf8_sequence(p, len);

		if (n == 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

void buf_json_string(struct buf *b, const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;

	buf_str(b, "\"");
	while (len > 0) {
		size_t plain = 0;

		while (plain < len && p[plain] >= 0x20 && p[plain] < 0x7f && p[plain] != '"' && p[plain] != '\\')
			plain++;
		buf_add(b, p, plain);
		p += plain;
		len -= plain;
		if (len == 0)
			break;

		size_t n = utf8_sequence(p, len);

		if (n == 0) {
			buf_str(b, "\xef\xbf\xbd");
			n = 1;
		} else if (*p == '"' || *p == '\\') {
			char escape[2] = { '\\', (char)*p };

			buf_add(b, escape, 2);
		} else if (*p < 0x20 || *p == 0x7f) {
			buf_printf(b, "\\u%04x", *p);
		} else {
			buf_add(b, p, n);
		}
		p += n;
		len -= n;
	}
	buf_str(b, "\"");
}

void buf_json_base64(struct buf *b, const void *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = data;

	buf_str(b, "\"");
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t bits = (uint32_t)p[i] << 16;

		if (n > 1)
			bits |= (uint32_t)p[i + 1] << 8;
		if (n > 2)
			bits |= p[i + 2];

		char quad[4] = { digits[bits >> 18], digits[bits >> 12 & 63], n > 1 ? digits[bits >> 6 & 63] : '=',
				 n > 2 ? digits[bits & 63] : '=' };

		buf_add(b, quad, sizeof(quad));
	}
	buf_str(b, "\"");
}

void buf_json_bytes(struct buf *b, const char *key, const char *data, size_t len)
{
	if (utf8_valid(data, len) && !memchr(data, '\0', len)) {
		buf_printf(b, "\"%s\":", key);
		buf_json_string(b, data, len);
	} else {
		buf_printf(b, "\"%s_b64\":", key);
		buf_json_base64(b, data, len);
	}
}

void buf_json_name(struct buf *b, const char *name, size_t len)
{
	if (len == 0) {
		buf_add(b, "null", 4);
	} else if (utf8_valid(name, len) && !memchr(name, '\0', len)) {
		buf_json_string(b, name, len);
	} else {
		buf_str(b, "{\"b64\":");
		buf_json_base64(b, name, len);
		buf_str(b, "}");
	}
}

static char *hex(char *end, uint64_t value)
{
	do {
		*--end = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value > 0);
	*--end = 'x';
	*--end = '0';
	return end;
}

void buf_json_fid(struct buf *b, const struct lu_fid *fid)
{
	char text[64], *end = text + sizeof(text), *p = end;

	*--p = '"';
	p = hex(p, fid->f_ver);
	*--p = ':';
	p = hex(p, fid->f_oid);
	*--p = ':';
	p = hex(p, fid->f_seq);
	*--p = '"';
	buf_add(b, p, (size_t)(end - p));
}
