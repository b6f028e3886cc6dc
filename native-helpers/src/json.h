/*
 * A strict JSON parser for one request: limited in depth and nodes, without recursion into the unknown, and without
 * allocation of its own beyond one array. Strings are unescaped in place and point into the caller's text.
 */
#ifndef LFSAZSYNC_JSON_H
#define LFSAZSYNC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JSON_MAX_DEPTH = 8,
	JSON_MAX_NODES = 4096, /* 1,000 FIDs or paths and the rest */
	JSON_MAX_KEYS = 64,    /* in one object */
};

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	bool boolean;
	const char *key; /* of a member; not terminated */
	size_t key_len;
	const char *text; /* a string's bytes, or a number as written; terminated by NUL, but may hold others */
	size_t len;
	uint32_t count;    /* members or elements */
	struct json *child; /* the first of them */
	struct json *next;
};

struct json_doc {
	struct json *nodes;
	size_t used, cap;
	const char *error; /* static text, when json_parse fails */
};

/*
 * Parses text[0..len) (text[len] must be writable: it is overwritten by NUL), one value with white space around it.
 * Returns the value, or NULL with doc->error. Duplicate keys, lone surrogates, bytes that are not UTF-8 and U+0000
 * are errors. The nodes live until json_free.
 */
const struct json *json_parse(struct json_doc *doc, char *text, size_t len);
void json_free(struct json_doc *doc);

/* The member of that name, or NULL. */
const struct json *json_get(const struct json *object, const char *key);

#endif
