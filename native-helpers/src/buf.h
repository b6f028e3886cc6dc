/* A growing output buffer, and JSON written into it. */
#ifndef LFSAZSYNC_BUF_H
#define LFSAZSYNC_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lustre_abi.h"

/* After a failed allocation `failed` stays set and everything appended is ignored: check once, at the end. */
struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

void buf_free(struct buf *b);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Decimal numbers, without the cost of printf. */
void buf_u64(struct buf *b, uint64_t value);
void buf_i64(struct buf *b, int64_t value);
/* Cuts the buffer back to an earlier length. */
void buf_cut(struct buf *b, size_t len);

/* A JSON string, quoted and escaped. Bytes that are not UTF-8 become U+FFFD: for texts, never for names. */
void buf_json_string(struct buf *b, const char *s, size_t len);
/* A quoted base64 string. */
void buf_json_base64(struct buf *b, const void *data, size_t len);
/* `"key":"…"` if the bytes are valid UTF-8 without NUL, `"key_b64":"…"` otherwise. */
void buf_json_bytes(struct buf *b, const char *key, const char *data, size_t len);
/* A name in a list: a string if it is valid UTF-8 without NUL, `{"b64":"…"}` otherwise, `null` if it is empty. */
void buf_json_name(struct buf *b, const char *name, size_t len);
/* A quoted FID, `"0x200000401:0x1:0x0"`. */
void buf_json_fid(struct buf *b, const struct lu_fid *fid);

bool utf8_valid(const char *s, size_t len);

#endif
