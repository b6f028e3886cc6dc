/*
 * The changelog: records, the users that hold them, masks, clearing.
 */
#include "sim.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const type_names[CL_LAST] = {
	"MARK", "CREAT", "MKDIR", "HLINK", "SLINK", "MKNOD", "UNLNK", "RMDIR", "RENME", "RNMTO", "OPEN", "CLOSE", "LYOUT",
	"TRUNC", "SATTR", "XATTR", "HSM", "MTIME", "CTIME", "ATIME", "MIGRT", "FLRW", "RESYNC", "GXATR", "NOPEN",
};

#define BIT(t) (1ULL << (t))
#define DEFAULT_MASK (BIT(CL_LAST) - 1 - BIT(CL_OPEN) - BIT(CL_ATIME) - BIT(CL_GETXATTR) - BIT(CL_DN_OPEN))

enum { EF_UIDGID = 1, EF_NID = 2, EF_OMODE = 4, EF_XATTR = 8, EF_MORE = 0x10 };

/* A ring: records come at its end and go from its beginning. */
static struct cl_rec **ring;
static size_t ring_cap, ring_first, ring_count;
static uint64_t last_index, purged_upto, kept_bytes;
static uint64_t base_mask = BIT(CL_MARK);
static struct cl_user *users;
static uint32_t last_user;
/* The server reuses a buffer: records without a name show the parent of whoever used it last (facts, surprise 21). */
static struct pfid stale_parent;

static struct cl_rec *ring_at(size_t i)
{
	return ring[(ring_first + i) & (ring_cap - 1)];
}

static uint64_t rec_bytes(const struct cl_rec *r)
{
	return 96 + r->namelen + r->snamelen;
}

static void ring_add(struct cl_rec *r)
{
	if (ring_count == ring_cap) {
		size_t cap = ring_cap ? ring_cap * 2 : 1024;
		struct cl_rec **grown = xcalloc(cap, sizeof(*grown));

		for (size_t i = 0; i < ring_count; i++)
			grown[i] = ring_at(i);
		free(ring);
		ring = grown;
		ring_cap = cap;
		ring_first = 0;
	}
	ring[(ring_first + ring_count++) & (ring_cap - 1)] = r;
	kept_bytes += rec_bytes(r);
}

static void rec_free(struct cl_rec *r)
{
	free(r->name);
	free(r->sname);
	free(r->xattr);
	free(r->jobid);
	free(r->nid);
	free(r);
}

static void purge(uint64_t upto)
{
	while (ring_count > 0 && ring_at(0)->idx <= upto) {
		kept_bytes -= rec_bytes(ring_at(0));
		rec_free(ring_at(0));
		ring_first = (ring_first + 1) & (ring_cap - 1);
		ring_count--;
	}
	if (upto > purged_upto)
		purged_upto = upto;
}

uint64_t cl_current_mask(void)
{
	uint64_t mask = base_mask;

	for (const struct cl_user *u = users; u; u = u->next)
		mask |= u->masked ? u->mask : DEFAULT_MASK;
	return mask;
}

uint64_t cl_mask(void) { return base_mask; }
uint64_t cl_index(void) { return last_index; }
uint64_t cl_bytes(void) { return 8192 + kept_bytes; }
const struct cl_user *cl_users(void) { return users; }

/* ---- recording ---- */

void cl_jobid(const struct who *w, char *out, size_t len)
{
	char path[64], comm[32] = "";
	FILE *f;

	out[0] = '\0';
	if (strcmp(sim.jobid_var, "procname_uid") != 0)
		return;
	if (w->job) {
		snprintf(out, len, "%s", w->job);
		return;
	}
	if (w->pid <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)w->pid);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fgets(comm, sizeof(comm), f) != NULL) {
		comm[strcspn(comm, "\n")] = '\0';
		snprintf(out, len, "%s.%u", comm, w->uid);
	}
	fclose(f);
}

static struct cl_rec *begin(int type, uint32_t flags, const struct pfid *t, const struct who *w)
{
	struct cl_rec *r;
	struct timespec now;
	char job[48];

	if (users == NULL || !(cl_current_mask() & BIT(type)))
		return NULL;
	r = xcalloc(1, sizeof(*r));
	clock_gettime(CLOCK_REALTIME, &now);
	r->idx = ++last_index;
	r->sec = now.tv_sec;
	r->ns = (uint32_t)now.tv_nsec;
	r->type = (uint8_t)type;
	r->flags = flags & 0xfff;
	if (t)
		r->t = *t;
	if (!w->none) {
		r->ef = EF_UIDGID | EF_NID | EF_MORE;
		r->uid = w->uid;
		r->gid = w->gid;
		r->nid = xstrdup(w->nid ? w->nid : "0@lo");
		cl_jobid(w, job, sizeof(job));
		if (job[0])
			r->jobid = xstrdup(job);
	}
	return r;
}

static void end(struct cl_rec *r)
{
	ring_add(r);
	log_changelog(r);
}

void cl_name(int type, uint32_t flags, const struct pfid *t, const struct pfid *p, const char *name, size_t len,
	     const struct who *w)
{
	struct cl_rec *r = begin(type, flags, t, w);

	if (r == NULL)
		return;
	r->p = stale_parent = *p;
	r->name = xcalloc(1, len + 1);
	memcpy(r->name, name, len);
	r->namelen = (uint16_t)len;
	end(r);
}

void cl_rename(uint32_t flags, const struct pfid *t, const struct pfid *p, const char *name, size_t len, const struct pfid *s,
	       const struct pfid *sp, const char *sname, size_t slen, const struct who *w)
{
	struct cl_rec *r = begin(CL_RENAME, flags, t, w);

	if (r == NULL)
		return;
	r->p = *p;
	r->s = *s;
	r->sp = *sp;
	r->name = xcalloc(1, len + 1);
	memcpy(r->name, name, len);
	r->namelen = (uint16_t)len;
	r->sname = xcalloc(1, slen + 1);
	memcpy(r->sname, sname, slen);
	r->snamelen = (uint16_t)slen;
	end(r);
}

void cl_plain(int type, uint32_t flags, const struct pfid *t, const struct pfid *p, const struct who *w)
{
	struct cl_rec *r = begin(type, flags, t, w);

	if (r == NULL)
		return;
	if (p)
		r->p = *p;
	else if (type == CL_HSM || type == CL_LAYOUT)
		r->p = stale_parent;
	end(r);
}

void cl_xattr(int type, const struct pfid *t, const char *xattr, const struct who *w)
{
	struct cl_rec *r = begin(type, 0, t, w);

	if (r == NULL)
		return;
	r->ef |= EF_XATTR;
	r->xattr = xstrdup(xattr);
	end(r);
}

void cl_open(uint32_t flags, const struct pfid *t, const struct pfid *p, const struct who *w)
{
	struct cl_rec *r = begin(CL_OPEN, flags, t, w);

	if (r == NULL)
		return;
	r->ef |= EF_OMODE;
	r->omode = flags & (MDS_READ | MDS_WRITE);
	if (p)
		r->p = *p;
	end(r);
}

/* ---- masks ---- */

void cl_mask_text(uint64_t mask, char sep, char *out, size_t len)
{
	size_t at = 0;

	out[0] = '\0';
	for (int t = 0; t < CL_LAST; t++) {
		if (!(mask & BIT(t)))
			continue;
		/* names are separated; a list by blanks has one after the last name too, as Lustre prints it */
		if (sep == ' ')
			at += (size_t)snprintf(out + at, at < len ? len - at : 0, "%s ", type_names[t]);
		else
			at += (size_t)snprintf(out + at, at < len ? len - at : 0, "%s%s", at ? "," : "", type_names[t]);
	}
}

/* "A B", "A,B", "+A-B": signs change `base`, plain names replace. */
static int parse_mask(const char *s, uint64_t base, uint64_t *mask)
{
	uint64_t set = 0, add = 0, del = 0;

	while (*s) {
		char sign = 0, name[16];
		size_t n = 0;
		int t;

		while (*s == ' ' || *s == ',' || *s == '\n')
			s++;
		if (*s == '\0')
			break;
		if (*s == '+' || *s == '-')
			sign = *s++;
		while (*s && !strchr(" ,+-\n", *s)) {
			if (n + 1 >= sizeof(name))
				return -EINVAL;
			name[n++] = *s++;
		}
		name[n] = '\0';
		if (strcasecmp(name, "ALL") == 0 || strcasecmp(name, "NONE") == 0) {
			uint64_t m = strcasecmp(name, "ALL") == 0 ? BIT(CL_LAST) - 1 : 0;

			*(sign == '-' ? &del : sign == '+' ? &add : &set) |= m;
			continue;
		}
		for (t = 0; t < CL_LAST; t++)
			if (strcasecmp(name, type_names[t]) == 0)
				break;
		if (t == CL_LAST)
			return -EINVAL;
		*(sign == '-' ? &del : sign == '+' ? &add : &set) |= BIT(t);
	}
	*mask = add || del ? (base | set | add) & ~del : set;
	*mask |= BIT(CL_MARK);
	return 0;
}

int cl_set_mask(const char *text)
{
	uint64_t mask;
	int rc = parse_mask(text, cl_current_mask(), &mask);

	if (rc)
		return rc;
	base_mask = mask;
	log_changelog_purged(purged_upto);
	return 0;
}

/* ---- users ---- */

static struct cl_user *user_by_id(uint32_t id)
{
	struct cl_user *u;

	for (u = users; u && u->id != id; u = u->next)
		;
	return u;
}

/* "cl3", "cl3-name" or "name" */
static struct cl_user *user_find(const char *text)
{
	struct cl_user *u;

	if (strncmp(text, "cl", 2) == 0 && isdigit((unsigned char)text[2])) {
		char *rest;
		uint32_t id = (uint32_t)strtoul(text + 2, &rest, 10);

		if (*rest == '\0' || *rest == '-') {
			u = user_by_id(id);
			return u && (*rest == '\0' || strcmp(rest + 1, u->name) == 0) ? u : NULL;
		}
	}
	for (u = users; u && (u->name[0] == '\0' || strcmp(u->name, text) != 0); u = u->next)
		;
	return u;
}

static void add_user(struct cl_user *u)
{
	struct cl_user **at = &users;

	while (*at && (*at)->id < u->id)
		at = &(*at)->next;
	u->next = *at;
	*at = u;
	if (u->id > last_user)
		last_user = u->id;
}

int cl_register(const char *name, const char *mask, char *out, size_t outlen)
{
	struct cl_user *u;
	uint64_t m = 0;

	if (name && strlen(name) > 15)
		return -ENAMETOOLONG;
	if (name && *name && user_find(name))
		return -EEXIST;
	if (mask && *mask) {
		int rc = parse_mask(mask, DEFAULT_MASK, &m);

		if (rc)
			return rc;
	}
	u = xcalloc(1, sizeof(*u));
	u->id = last_user + 1;
	if (name)
		snprintf(u->name, sizeof(u->name), "%s", name);
	u->masked = mask && *mask;
	u->mask = m;
	u->index = last_index;
	u->touched = now_sec();
	add_user(u);
	log_user(u);
	if (u->name[0])
		snprintf(out, outlen, "cl%u-%s", u->id, u->name);
	else
		snprintf(out, outlen, "cl%u", u->id);
	return 0;
}

/* Records that every user has cleared go. */
static void purge_cleared(void)
{
	uint64_t least = UINT64_MAX;

	for (const struct cl_user *u = users; u; u = u->next)
		if (u->index < least)
			least = u->index;
	if (users == NULL)
		least = last_index;
	if (least > purged_upto) {
		purge(least);
		log_changelog_purged(purged_upto);
	}
}

int cl_deregister(const char *text, uint32_t *id)
{
	struct cl_user *u = user_find(text), **at = &users;

	if (u == NULL)
		return -ENOENT;
	*id = u->id;
	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	free(u);
	log_user_gone(*id);
	purge_cleared();
	return 0;
}

int cl_clear(const char *text, uint64_t endrec)
{
	struct cl_user *u;

	if (strncmp(text, "cl", 2) != 0 || !isdigit((unsigned char)text[2]))
		return -EINVAL;
	if (endrec > last_index)
		return -EINVAL;
	u = user_find(text);
	if (u == NULL)
		return -ENOENT;
	if (endrec == 0)
		endrec = last_index;
	/* Going back is told as "no such user". */
	if (endrec < u->index)
		return -ENOENT;
	u->index = endrec;
	u->touched = now_sec();
	log_user(u);
	purge_cleared();
	return 0;
}

void cl_init_default_user(void)
{
	char name[64];

	if (last_user == 0)
		cl_register(NULL, NULL, name, sizeof(name));
}

int cl_read(uint64_t start, uint64_t stop, const char *user, void (*row)(void *ctx, const struct cl_rec *r), void *ctx)
{
	uint64_t mask = UINT64_MAX;
	size_t lo = 0, hi = ring_count;

	if (user && *user) {
		const struct cl_user *u = user_find(user);

		if (u == NULL || !u->masked)
			return -ENOENT;
		mask = u->mask;
	}
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (ring_at(mid)->idx < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < ring_count; lo++) {
		const struct cl_rec *r = ring_at(lo);

		if (stop && r->idx > stop)
			break;
		if (mask & BIT(r->type))
			row(ctx, r);
	}
	return 0;
}

/* ---- loading ---- */

void cl_load_rec(struct cl_rec *r)
{
	if (r->idx > last_index)
		last_index = r->idx;
	ring_add(r);
}

void cl_load_purged(uint64_t upto) { purge(upto); }

void cl_load_index(uint64_t idx)
{
	if (idx > last_index)
		last_index = idx;
}

void cl_load_mask(uint64_t mask) { base_mask = mask; }

void cl_load_user(struct cl_user *u)
{
	struct cl_user *old = user_by_id(u->id);

	if (old) {
		struct cl_user *next = old->next;

		*old = *u;
		old->next = next;
		free(u);
	} else if (u->id > 0 && u->name[0] == '\x01') {
		/* not a user: the number of the last one ever */
		if (u->id > last_user)
			last_user = u->id;
		free(u);
	} else {
		add_user(u);
	}
}

void cl_load_user_gone(uint32_t id)
{
	for (struct cl_user **at = &users; *at; at = &(*at)->next)
		if ((*at)->id == id) {
			struct cl_user *u = *at;

			*at = u->next;
			free(u);
			return;
		}
}

void cl_dump(void)
{
	struct cl_user last = { .id = last_user };

	log_changelog_purged(purged_upto);
	strcpy(last.name, "\x01");
	/* before the users: it must not hide one of that number */
	if (last_user > 0 && user_by_id(last_user) == NULL)
		log_user(&last);
	for (const struct cl_user *u = users; u; u = u->next)
		log_user(u);
	for (size_t i = 0; i < ring_count; i++)
		log_changelog(ring_at(i));
}
