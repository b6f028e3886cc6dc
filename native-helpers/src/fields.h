/* Reading the fields of a request: each function checks type and range, and says what was wrong. */
#ifndef LFSAZSYNC_FIELDS_H
#define LFSAZSYNC_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "lustre_abi.h"

enum { PATH_BYTES = 4096 }; /* with the NUL, as the kernel takes them */

/* A request's object and the first complaint about its fields. */
struct fields {
	const struct json *object;
	char error[160];
};

/* All return false (and set the complaint) if the field is there but unfit; `required` ones must be there. */
bool field_u64(struct fields *f, const char *key, bool required, uint64_t *value);
bool field_u32(struct fields *f, const char *key, bool required, uint32_t *value);
bool field_i32(struct fields *f, const char *key, int32_t *value);
bool field_bool(struct fields *f, const char *key, bool *value);
bool field_fid(struct fields *f, const char *key, bool required, struct lu_fid *fid, bool *present);
/* A string with a terminating NUL, pointing into the request; NULL if it isn't there. */
bool field_string(struct fields *f, const char *key, bool required, const char **value, size_t *len);
/* Base64 into malloc'd memory; NULL if it isn't there. */
bool field_base64(struct fields *f, const char *key, bool required, size_t max, unsigned char **data, size_t *len);
/* Says what is wrong with a field, and returns false. */
bool field_bad(struct fields *f, const char *key, const char *what);

bool parse_u64(const char *text, size_t len, uint64_t *value);
/* `0x200000401:0x1:0x0`, with or without brackets. */
bool parse_fid(const char *text, size_t len, struct lu_fid *fid);
/* Standard base64 with padding. Returns the length, or -1. `out` must hold len / 4 * 3 bytes. */
long decode_base64(const char *text, size_t len, unsigned char *out);
/* A path in text or base64 (not both) without NUL, into out. */
bool path_bytes(struct fields *f, const struct json *text, const struct json *base64, char out[PATH_BYTES]);

#endif
