#include "proto.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- FIDs ---- */

char *pfid_format(const struct pfid *fid, char buf[PFID_STR_MAX])
{
	snprintf(buf, PFID_STR_MAX, "0x%" PRIx64 ":0x%" PRIx32 ":0x%" PRIx32, fid->seq, fid->oid, fid->ver);
	return buf;
}

static bool fid_part(const char **s, uint64_t max, char stop, uint64_t *out)
{
	const char *p = *s;
	uint64_t v = 0;
	int digits = 0;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
		p += 2;
	for (; *p != '\0' && *p != stop; p++, digits++) {
		int d;

		if (*p >= '0' && *p <= '9')
			d = *p - '0';
		else if (*p >= 'a' && *p <= 'f')
			d = *p - 'a' + 10;
		else if (*p >= 'A' && *p <= 'F')
			d = *p - 'A' + 10;
		else
			return false;
		if (digits >= 16)
			return false;
		v = v << 4 | (uint64_t)d;
	}
	if (digits == 0 || *p != stop || v > max)
		return false;
	*out = v;
	*s = stop == '\0' ? p : p + 1;
	return true;
}

bool pfid_parse(const char *s, struct pfid *fid)
{
	uint64_t seq, oid, ver;
	bool bracket = *s == '[';

	if (bracket)
		s++;
	if (!fid_part(&s, UINT64_MAX, ':', &seq) || !fid_part(&s, UINT32_MAX, ':', &oid) ||
	    !fid_part(&s, UINT32_MAX, bracket ? ']' : '\0', &ver))
		return false;
	if (*s != '\0')
		return false;
	fid->seq = seq;
	fid->oid = (uint32_t)oid;
	fid->ver = (uint32_t)ver;
	return true;
}

/* ---- building ---- */

static bool room(struct pmsg *m, size_t more)
{
	size_t need = m->len + more + 2;

	if (m->failed)
		return false;
	if (need > PROTO_LINE_MAX) {
		m->failed = true;
		return false;
	}
	if (need > m->cap) {
		size_t cap = m->cap ? m->cap : 256;
		char *grown;

		while (cap < need)
			cap *= 2;
		grown = realloc(m->buf, cap);
		if (grown == NULL) {
			m->failed = true;
			return false;
		}
		m->buf = grown;
		m->cap = cap;
	}
	return true;
}

static void put(struct pmsg *m, const char *s, size_t n)
{
	if (!room(m, n))
		return;
	memcpy(m->buf + m->len, s, n);
	m->len += n;
}

static bool plain(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("._:,/@+-", c) != NULL);
}

void pmsg_begin(struct pmsg *m, const char *verb)
{
	memset(m, 0, sizeof(*m));
	put(m, verb, strlen(verb));
}

void pmsg_bytes(struct pmsg *m, const char *key, const void *data, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *p = data;

	put(m, " ", 1);
	put(m, key, strlen(key));
	put(m, "=", 1);
	for (size_t i = 0; i < len; i++) {
		char esc[3];

		if (plain(p[i])) {
			put(m, (const char *)p + i, 1);
			continue;
		}
		esc[0] = '%';
		esc[1] = hex[p[i] >> 4];
		esc[2] = hex[p[i] & 15];
		put(m, esc, 3);
	}
}

void pmsg_str(struct pmsg *m, const char *key, const char *value)
{
	pmsg_bytes(m, key, value, strlen(value));
}

void pmsg_u64(struct pmsg *m, const char *key, uint64_t v)
{
	char num[24];

	snprintf(num, sizeof(num), "%" PRIu64, v);
	pmsg_str(m, key, num);
}

void pmsg_i64(struct pmsg *m, const char *key, int64_t v)
{
	char num[24];

	snprintf(num, sizeof(num), "%" PRId64, v);
	pmsg_str(m, key, num);
}

void pmsg_fid(struct pmsg *m, const char *key, const struct pfid *fid)
{
	char text[PFID_STR_MAX];

	pmsg_str(m, key, pfid_format(fid, text));
}

const char *pmsg_end(struct pmsg *m)
{
	put(m, "\n", 1);
	if (m->failed)
		return NULL;
	m->buf[m->len] = '\0';
	return m->buf;
}

void pmsg_free(struct pmsg *m)
{
	free(m->buf);
	memset(m, 0, sizeof(*m));
}

/* ---- parsing ---- */

static int unhex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Decodes in place; returns the length, or -1 for a broken escape. */
static long decode(char *s)
{
	char *out = s;

	for (const char *p = s; *p != '\0'; p++) {
		if (*p == '%') {
			int hi = unhex(p[1]);
			int lo = hi < 0 ? -1 : unhex(p[2]);

			if (lo < 0)
				return -1;
			*out++ = (char)(hi << 4 | lo);
			p += 2;
		} else {
			*out++ = *p;
		}
	}
	*out = '\0';
	return out - s;
}

int pline_parse(struct pline *l, char *text)
{
	size_t n = 0, cap = 1;
	char *p;

	memset(l, 0, sizeof(*l));
	for (p = text; *p != '\0'; p++)
		cap += *p == ' ';
	l->words = calloc(cap, sizeof(*l->words));
	if (l->words == NULL)
		return -ENOMEM;
	l->verb = text;
	p = strchr(text, ' ');
	while (p != NULL) {
		char *word = p + 1, *eq;
		long len;

		*p = '\0';
		p = strchr(word, ' ');
		if (p != NULL)
			*p = '\0';
		eq = strchr(word, '=');
		if (eq == NULL || eq == word)
			goto bad;
		*eq = '\0';
		len = decode(eq + 1);
		if (len < 0)
			goto bad;
		l->words[n].key = word;
		l->words[n].value = eq + 1;
		l->words[n].len = (size_t)len;
		n++;
	}
	l->nwords = n;
	if (*l->verb != '\0')
		return 0;
bad:
	pline_free(l);
	return -EINVAL;
}

void pline_free(struct pline *l)
{
	free(l->words);
	memset(l, 0, sizeof(*l));
}

const struct pword *pline_next(const struct pline *l, const char *key, const struct pword *after)
{
	for (size_t i = after ? (size_t)(after - l->words) + 1 : 0; i < l->nwords; i++)
		if (strcmp(l->words[i].key, key) == 0)
			return &l->words[i];
	return NULL;
}

const struct pword *pline_find(const struct pline *l, const char *key)
{
	return pline_next(l, key, NULL);
}

const char *pline_str(const struct pline *l, const char *key, const char *def)
{
	const struct pword *w = pline_find(l, key);

	return w ? w->value : def;
}

uint64_t pline_u64(const struct pline *l, const char *key, uint64_t def)
{
	const struct pword *w = pline_find(l, key);
	char *end;
	uint64_t v;

	if (w == NULL || w->len == 0)
		return def;
	errno = 0;
	v = strtoull(w->value, &end, 0);
	return *end == '\0' && errno == 0 ? v : def;
}

int64_t pline_i64(const struct pline *l, const char *key, int64_t def)
{
	const struct pword *w = pline_find(l, key);
	char *end;
	int64_t v;

	if (w == NULL || w->len == 0)
		return def;
	errno = 0;
	v = strtoll(w->value, &end, 0);
	return *end == '\0' && errno == 0 ? v : def;
}

bool pline_fid(const struct pline *l, const char *key, struct pfid *fid)
{
	const struct pword *w = pline_find(l, key);

	return w != NULL && pfid_parse(w->value, fid);
}

/* ---- sockets ---- */

void preader_init(struct preader *r, int fd)
{
	memset(r, 0, sizeof(*r));
	r->fd = fd;
}

void preader_free(struct preader *r)
{
	free(r->buf);
	r->buf = NULL;
	r->cap = r->start = r->end = 0;
}

bool preader_pending(const struct preader *r)
{
	return r->end > r->start && memchr(r->buf + r->start, '\n', r->end - r->start) != NULL;
}

char *preader_line(struct preader *r)
{
	for (;;) {
		char *nl = r->end > r->start ? memchr(r->buf + r->start, '\n', r->end - r->start) : NULL;
		ssize_t n;

		if (nl != NULL) {
			char *line = r->buf + r->start;

			*nl = '\0';
			r->start = (size_t)(nl - r->buf) + 1;
			return line;
		}
		if (r->start > 0) {
			memmove(r->buf, r->buf + r->start, r->end - r->start);
			r->end -= r->start;
			r->start = 0;
		}
		if (r->end >= PROTO_LINE_MAX) {
			errno = EMSGSIZE;
			return NULL;
		}
		if (r->end == r->cap) {
			size_t cap = r->cap ? r->cap * 2 : 4096;
			char *grown = realloc(r->buf, cap);

			if (grown == NULL) {
				errno = ENOMEM;
				return NULL;
			}
			r->buf = grown;
			r->cap = cap;
		}
		n = recv(r->fd, r->buf + r->end, r->cap - r->end, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = 0;
			return NULL;
		}
		r->end += (size_t)n;
	}
}

int psend(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		text += n;
		len -= (size_t)n;
	}
	return 0;
}
