/*
 * Line framing of the stand-in's control protocol (PROTOCOL.md), shared by the daemon and its clients.
 *
 * A line is `verb key=value key=value …\n`; values are percent-encoded. Two halves:
 *   pmsg  - builds a line in a growing buffer;
 *   pline - takes a received line apart, in place.
 * Plus blocking socket helpers for the client side (preader, psend).
 */
#ifndef LUSTRE_SIM_PROTO_H
#define LUSTRE_SIM_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_LINE_MAX (256 * 1024)

/* A FID as on the wire and on disk of Lustre: 64-bit sequence, 32-bit object id, 32-bit version. */
struct pfid {
	uint64_t seq;
	uint32_t oid;
	uint32_t ver;
};

/* "0x…:0x…:0x…" and the NUL. */
#define PFID_STR_MAX 48

/* Writes the FID without brackets; returns buf. */
char *pfid_format(const struct pfid *fid, char buf[PFID_STR_MAX]);
/* Reads a FID with or without brackets, the whole string; false if it is none. */
bool pfid_parse(const char *s, struct pfid *fid);

/* ---- building a line ---- */

struct pmsg {
	char *buf;
	size_t len, cap;
	bool failed; /* out of memory or longer than PROTO_LINE_MAX: pmsg_end returns NULL */
};

/* Begins a line with its verb (or "ok", "err", "row", "hal"). Call pmsg_free in the end. */
void pmsg_begin(struct pmsg *m, const char *verb);
void pmsg_str(struct pmsg *m, const char *key, const char *value);
void pmsg_bytes(struct pmsg *m, const char *key, const void *data, size_t len);
void pmsg_u64(struct pmsg *m, const char *key, uint64_t v);
void pmsg_i64(struct pmsg *m, const char *key, int64_t v);
void pmsg_fid(struct pmsg *m, const char *key, const struct pfid *fid);
/* Ends the line with a newline; returns the text (m->len bytes, also NUL-ended), or NULL if it could not be built. */
const char *pmsg_end(struct pmsg *m);
void pmsg_free(struct pmsg *m);

/* ---- taking a line apart ---- */

struct pword {
	const char *key;
	const char *value; /* decoded; NUL-ended, but may hold NUL bytes: see len */
	size_t len;
};

struct pline {
	const char *verb;
	struct pword *words;
	size_t nwords;
};

/* Parses text (no newline) in place: text must live as long as the pline. 0, or -EINVAL / -ENOMEM. */
int pline_parse(struct pline *l, char *text);
void pline_free(struct pline *l);
/* The first word of that key, or NULL. */
const struct pword *pline_find(const struct pline *l, const char *key);
/* The next word of that key after `after` (NULL: the first), for keys that repeat. */
const struct pword *pline_next(const struct pline *l, const char *key, const struct pword *after);
/* The value as text, or def when the key is missing. */
const char *pline_str(const struct pline *l, const char *key, const char *def);
/* The value as a number (decimal, or 0x…), or def when missing or not a number. */
uint64_t pline_u64(const struct pline *l, const char *key, uint64_t def);
int64_t pline_i64(const struct pline *l, const char *key, int64_t def);
/* True and *fid set when the key is there and is a FID. */
bool pline_fid(const struct pline *l, const char *key, struct pfid *fid);

/* ---- blocking socket ends (client side) ---- */

struct preader {
	int fd;
	char *buf;
	size_t cap, start, end;
};

void preader_init(struct preader *r, int fd);
void preader_free(struct preader *r);
/*
 * The next line without its newline, NUL-ended, valid until the next call. NULL with errno: 0 at the end of the
 * stream, EAGAIN when a non-blocking descriptor has no whole line yet, EMSGSIZE for a line too long, …
 */
char *preader_line(struct preader *r);
/* True if a whole line is buffered already (poll would not show it). */
bool preader_pending(const struct preader *r);
/* Sends all of it, without SIGPIPE; 0 or -errno. */
int psend(int fd, const char *text, size_t len);

#endif
