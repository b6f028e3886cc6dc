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

/* One MDT's. A ring: records come at its end and go from its beginning. */
struct clog {
	struct cl_rec **ring;
	size_t cap, first, count;
	uint64_t last_index, purged_upto, kept_bytes, base_mask;
	struct cl_user *users;
	uint32_t last_user;
	/* The server reuses a buffer: records without a name show the parent of whoever used it last (facts, surprise 21). */
	struct pfid stale_parent;
	int64_t collected; /* when it was last looked for idle users */
	bool full; /* its catalog takes no more records */
};

static struct clog logs[MAX_MDTS];
struct cl_gc cl_gc = { .on = 1, .max_idle_time = 2592000, .max_idle_indexes = 2097446912, .min_interval = 3600 };
static bool lost; /* a record of what is being done could not be written */

static struct cl_rec *ring_at(const struct clog *c, size_t i)
{
	return c->ring[(c->first + i) & (c->cap - 1)];
}

static uint64_t rec_bytes(const struct cl_rec *r)
{
	return 96 + r->namelen + r->snamelen;
}

static void ring_add(struct clog *c, struct cl_rec *r)
{
	if (c->count == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 1024;
		struct cl_rec **grown = xcalloc(cap, sizeof(*grown));

		for (size_t i = 0; i < c->count; i++)
			grown[i] = ring_at(c, i);
		free(c->ring);
		c->ring = grown;
		c->cap = cap;
		c->first = 0;
	}
	c->ring[(c->first + c->count++) & (c->cap - 1)] = r;
	c->kept_bytes += rec_bytes(r);
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

static void purge(struct clog *c, uint64_t upto)
{
	while (c->count > 0 && ring_at(c, 0)->idx <= upto) {
		c->kept_bytes -= rec_bytes(ring_at(c, 0));
		rec_free(ring_at(c, 0));
		c->first = (c->first + 1) & (c->cap - 1);
		c->count--;
	}
	if (upto > c->purged_upto)
		c->purged_upto = upto;
}

uint64_t cl_current_mask(unsigned mdt)
{
	uint64_t mask = logs[mdt].base_mask | BIT(CL_MARK);

	for (const struct cl_user *u = logs[mdt].users; u; u = u->next)
		mask |= u->masked ? u->mask : DEFAULT_MASK;
	return mask;
}

uint64_t cl_mask(unsigned mdt) { return logs[mdt].base_mask | BIT(CL_MARK); }
uint64_t cl_index(unsigned mdt) { return logs[mdt].last_index; }
uint64_t cl_purged(unsigned mdt) { return logs[mdt].purged_upto; }
uint64_t cl_bytes(unsigned mdt) { return 8192 + logs[mdt].kept_bytes; }
const struct cl_user *cl_users(unsigned mdt) { return logs[mdt].users; }

void cl_set_full(unsigned mdt, bool full) { logs[mdt].full = full; }

void cl_begin(void) { lost = false; }
int cl_failure(void) { return lost ? EFAULT : 0; }

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

/* `at`: what the MDT that writes the record has. */
static struct cl_rec *begin(int type, uint32_t flags, const struct pfid *t, const struct pfid *at, const struct who *w)
{
	unsigned mdt = fid_mdt(at);
	struct clog *c = &logs[mdt];
	struct cl_rec *r;
	struct timespec now;
	char job[48];

	/* Masks know no other types. */
	if (c->users == NULL || (type < CL_LAST && !(cl_current_mask(mdt) & BIT(type))))
		return NULL;
	if (c->full) {
		lost = true;
		return NULL;
	}
	r = xcalloc(1, sizeof(*r));
	r->mdt = (uint8_t)mdt;
	clock_gettime(CLOCK_REALTIME, &now);
	r->idx = ++c->last_index;
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

static void collect_idle(struct clog *c);

static void end(struct cl_rec *r)
{
	struct clog *c = &logs[r->mdt];

	ring_add(c, r);
	log_changelog(r);
	if (cl_gc.on && now_sec() - c->collected > (int64_t)cl_gc.min_interval)
		collect_idle(c);
}

/* The directory of a name: up to 2.15 the stripe (since then mdd_changelog_ns_pfid_set looks for its directory). */
static struct pfid parent_of(const struct pfid *p)
{
	const struct node *dir = sim.v215 ? node_find(p) : NULL;

	return dir ? stripe_of(dir) : *p;
}

void cl_name(int type, uint32_t flags, const struct pfid *t, const struct pfid *p, const char *name, size_t len,
	     const struct who *w)
{
	/* a name that goes is the business of the MDT that has the file, one that comes of the one that has the directory */
	struct cl_rec *r = begin(type, flags, t, type == CL_HARDLINK ? p : t, w);

	if (r == NULL)
		return;
	r->p = logs[r->mdt].stale_parent = parent_of(p);
	r->name = xcalloc(1, len + 1);
	memcpy(r->name, name, len);
	r->namelen = (uint16_t)len;
	end(r);
}

void cl_rename(uint32_t flags, const struct pfid *t, const struct pfid *p, const char *name, size_t len, const struct pfid *s,
	       const struct pfid *sp, const char *sname, size_t slen, const struct who *w)
{
	/* done by the MDT that has the victim, otherwise the new directory (llite's lmv_rename) */
	struct cl_rec *r = begin(CL_RENAME, flags, t, t->seq ? t : p, w);

	if (r == NULL)
		return;
	r->p = logs[r->mdt].stale_parent = parent_of(p);
	r->s = *s;
	r->sp = parent_of(sp);
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
	struct cl_rec *r = begin(type, flags, t, t, w);

	if (r == NULL)
		return;
	if (p)
		r->p = *p;
	else if (type == CL_HSM || type == CL_LAYOUT || type == CL_TRUNC)
		r->p = logs[r->mdt].stale_parent;
	end(r);
}

void cl_xattr(int type, const struct pfid *t, const char *xattr, const struct who *w)
{
	struct cl_rec *r = begin(type, 0, t, t, w);

	if (r == NULL)
		return;
	r->ef |= EF_XATTR;
	r->xattr = xstrdup(xattr);
	end(r);
}

void cl_open(uint32_t flags, const struct pfid *t, const struct who *w)
{
	struct cl_rec *r = begin(CL_OPEN, flags, t, t, w);

	if (r == NULL)
		return;
	r->ef |= EF_OMODE;
	r->omode = flags & (MDS_READ | MDS_WRITE);
	r->p = logs[r->mdt].stale_parent;
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

int cl_set_mask(unsigned mdt, const char *text)
{
	uint64_t mask;
	int rc = parse_mask(text, cl_current_mask(mdt), &mask);

	if (rc)
		return rc;
	logs[mdt].base_mask = mask;
	log_changelog_purged(mdt);
	return 0;
}

/* ---- users ---- */

static struct cl_user *user_by_id(const struct clog *c, uint32_t id)
{
	struct cl_user *u;

	for (u = c->users; u && u->id != id; u = u->next)
		;
	return u;
}

/* "cl3", "cl3-name" or "name" */
static struct cl_user *user_find(const struct clog *c, const char *text)
{
	struct cl_user *u;

	if (strncmp(text, "cl", 2) == 0 && isdigit((unsigned char)text[2])) {
		char *rest;
		uint32_t id = (uint32_t)strtoul(text + 2, &rest, 10);

		if (*rest == '\0' || *rest == '-') {
			u = user_by_id(c, id);
			return u && (*rest == '\0' || strcmp(rest + 1, u->name) == 0) ? u : NULL;
		}
	}
	for (u = c->users; u && (u->name[0] == '\0' || strcmp(u->name, text) != 0); u = u->next)
		;
	return u;
}

static void add_user(struct clog *c, struct cl_user *u)
{
	struct cl_user **at = &c->users;

	while (*at && (*at)->id < u->id)
		at = &(*at)->next;
	u->next = *at;
	*at = u;
	if (u->id > c->last_user)
		c->last_user = u->id;
}

int cl_register(unsigned mdt, const char *name, const char *mask, char *out, size_t outlen)
{
	struct clog *c = &logs[mdt];
	struct cl_user *u;
	uint64_t m = 0;

	if (name && strlen(name) > 15)
		return -ENAMETOOLONG;
	if (name && *name && user_find(c, name))
		return -EEXIST;
	if (mask && *mask) {
		int rc = parse_mask(mask, DEFAULT_MASK, &m);

		if (rc)
			return rc;
	}
	u = xcalloc(1, sizeof(*u));
	u->mdt = (uint8_t)mdt;
	u->id = c->last_user + 1;
	if (name)
		snprintf(u->name, sizeof(u->name), "%s", name);
	u->masked = mask && *mask;
	u->mask = m;
	u->index = c->last_index;
	u->touched = now_sec();
	add_user(c, u);
	log_user(u);
	if (u->name[0])
		snprintf(out, outlen, "cl%u-%s", u->id, u->name);
	else
		snprintf(out, outlen, "cl%u", u->id);
	return 0;
}

/* Records that every user has cleared go. */
static void purge_cleared(struct clog *c)
{
	uint64_t least = UINT64_MAX;

	for (const struct cl_user *u = c->users; u; u = u->next)
		if (u->index < least)
			least = u->index;
	if (c->users == NULL)
		least = c->last_index;
	if (least > c->purged_upto) {
		purge(c, least);
		log_changelog_purged((unsigned)(c - logs));
	}
}

static void drop_user(struct clog *c, struct cl_user *u)
{
	struct cl_user **at = &c->users;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	log_user_gone((unsigned)(c - logs), u->id);
	free(u);
	purge_cleared(c);
}

int cl_deregister(unsigned mdt, const char *text, uint32_t *id)
{
	struct cl_user *u = user_find(&logs[mdt], text);

	if (u == NULL)
		return -ENOENT;
	*id = u->id;
	drop_user(&logs[mdt], u);
	return 0;
}

static bool too_idle(const struct clog *c, const struct cl_user *u)
{
	uint64_t indexes = c->last_index - u->index;
	uint32_t seconds = (uint32_t)(now_sec() - u->touched);

	return indexes > cl_gc.max_idle_indexes || seconds > cl_gc.max_idle_time || seconds * indexes > 86400ULL << 32;
}

/* Users that have not cleared for too long are taken off, the one that is behind most first. */
static void collect_idle(struct clog *c)
{
	c->collected = now_sec();
	for (;;) {
		struct cl_user *worst = NULL;

		for (struct cl_user *u = c->users; u; u = u->next)
			if (u->index < c->last_index && too_idle(c, u) && (worst == NULL || u->index < worst->index))
				worst = u;
		if (worst == NULL)
			return;
		sim_log("MDT%04x: force deregister of changelog user cl%u", (unsigned)(c - logs), worst->id);
		drop_user(c, worst);
	}
}

int cl_clear(unsigned mdt, const char *text, uint64_t endrec)
{
	struct clog *c = &logs[mdt];
	struct cl_user *u;

	if (strncmp(text, "cl", 2) != 0 || !isdigit((unsigned char)text[2]))
		return -EINVAL;
	if (endrec > c->last_index)
		return -EINVAL;
	u = user_find(c, text);
	if (u == NULL)
		return -ENOENT;
	if (endrec == 0)
		endrec = c->last_index;
	/* Going back is told as "no such user". */
	if (endrec < u->index)
		return -ENOENT;
	u->index = endrec;
	u->touched = now_sec();
	log_user(u);
	purge_cleared(c);
	return 0;
}

void cl_init_default_user(void)
{
	char name[64];

	for (unsigned mdt = 0; mdt < sim.nmdts; mdt++)
		if (logs[mdt].last_user == 0)
			cl_register(mdt, NULL, NULL, name, sizeof(name));
}

int cl_read(unsigned mdt, uint64_t start, uint64_t stop, const char *user, bool (*row)(void *ctx, const struct cl_rec *r),
	    void *ctx)
{
	const struct clog *c = &logs[mdt];
	uint64_t mask = UINT64_MAX;
	size_t lo = 0, hi = c->count;

	if (user && *user) {
		const struct cl_user *u = user_find(c, user);

		if (u == NULL || !u->masked)
			return -ENOENT;
		mask = u->mask;
	}
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (ring_at(c, mid)->idx < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < c->count; lo++) {
		const struct cl_rec *r = ring_at(c, lo);

		if (stop && r->idx > stop)
			break;
		if ((mask & BIT(r->type)) && !row(ctx, r))
			break;
	}
	return 0;
}

/* ---- loading ---- */

void cl_load_rec(struct cl_rec *r)
{
	struct clog *c = &logs[r->mdt];

	if (r->idx > c->last_index)
		c->last_index = r->idx;
	ring_add(c, r);
}

void cl_load_state(unsigned mdt, uint64_t purged, uint64_t index, uint64_t mask)
{
	struct clog *c = &logs[mdt];

	if (index > c->last_index)
		c->last_index = index;
	c->base_mask = mask;
	purge(c, purged);
}

void cl_load_user(struct cl_user *u)
{
	struct clog *c = &logs[u->mdt];
	struct cl_user *old = user_by_id(c, u->id);

	if (old) {
		struct cl_user *next = old->next;

		*old = *u;
		old->next = next;
		free(u);
	} else if (u->id > 0 && u->name[0] == '\x01') {
		/* not a user: the number of the last one ever */
		if (u->id > c->last_user)
			c->last_user = u->id;
		free(u);
	} else {
		add_user(c, u);
	}
}

void cl_load_user_gone(unsigned mdt, uint32_t id)
{
	for (struct cl_user **at = &logs[mdt].users; *at; at = &(*at)->next)
		if ((*at)->id == id) {
			struct cl_user *u = *at;

			*at = u->next;
			free(u);
			return;
		}
}

void cl_dump(void)
{
	for (unsigned mdt = 0; mdt < MAX_MDTS; mdt++) {
		const struct clog *c = &logs[mdt];
		struct cl_user last = { .id = c->last_user, .mdt = (uint8_t)mdt };

		log_changelog_purged(mdt);
		strcpy(last.name, "\x01");
		/* before the users: it must not hide one of that number */
		if (c->last_user > 0 && user_by_id(c, c->last_user) == NULL)
			log_user(&last);
		for (const struct cl_user *u = c->users; u; u = u->next)
			log_user(u);
		for (size_t i = 0; i < c->count; i++) {
			log_changelog(ring_at(c, i));
			store_flush();
		}
	}
}
