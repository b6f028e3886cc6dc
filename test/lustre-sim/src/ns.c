/*
 * Nodes (files, directories, …) by FID, names in directories, and what stat says of them.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static struct node **nodes;
static size_t nodes_cap;
static struct dent **dents;
static size_t dents_cap, ndents;

/* FIDs of files begin here; a sequence holds 2^17 of them. */
#define FIRST_SEQ 0x200000401ULL
#define SEQ_WIDTH 0x20000u
/* Each MDT has as many sequences as this. */
#define MDT_SEQS 0x1000000000ULL

void ns_init(void)
{
	nodes_cap = 4096;
	nodes = xcalloc(nodes_cap, sizeof(*nodes));
	dents_cap = 4096;
	dents = xcalloc(dents_cap, sizeof(*dents));
	for (unsigned i = 0; i < MAX_MDTS; i++)
		if (sim.fid_seq[i] == 0)
			sim.fid_seq[i] = FIRST_SEQ + i * MDT_SEQS;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

static size_t fid_slot(const struct pfid *f)
{
	return mix(f->seq * 31 + f->oid + ((uint64_t)f->ver << 40)) & (nodes_cap - 1);
}

uint64_t fid_ino(const struct pfid *f)
{
	return (f->seq << 24) + (f->seq >> 24 & 0xffffff0000ULL) + f->oid;
}

struct node *node_find(const struct pfid *fid)
{
	for (struct node *n = nodes[fid_slot(fid)]; n; n = n->hnext)
		if (fid_eq(&n->fid, fid))
			return n;
	return NULL;
}

struct node *node_by_ino(uint64_t ino)
{
	struct pfid f;
	uint64_t seq, oid;

	ino &= ~BY_FID;
	if (ino == FUSE_ROOT_ID)
		return sim.root;
	/* The flattening keeps the low 40 bits of the sequence: all of ours are 0x2_0000_0000 and up, so put it back. */
	oid = ino & 0xffffff;
	seq = ino >> 24;
	f.seq = seq;
	f.oid = (uint32_t)oid;
	f.ver = 0;
	return node_find(&f);
}

unsigned fid_mdt(const struct pfid *fid)
{
	uint64_t mdt = fid->seq < FIRST_SEQ ? 0 : (fid->seq - FIRST_SEQ) / MDT_SEQS;

	return mdt < MAX_MDTS ? (unsigned)mdt : 0;
}

struct pfid fid_next(unsigned mdt)
{
	struct pfid f;

	if (++sim.fid_oid[mdt] > SEQ_WIDTH) {
		sim.fid_seq[mdt]++;
		sim.fid_oid[mdt] = 1;
	}
	f.seq = sim.fid_seq[mdt];
	f.oid = sim.fid_oid[mdt];
	f.ver = 0;
	log_counters();
	return f;
}

static void grow_nodes(void)
{
	size_t old = nodes_cap;
	struct node **was = nodes;

	nodes_cap *= 4;
	nodes = xcalloc(nodes_cap, sizeof(*nodes));
	for (size_t i = 0; i < old; i++)
		for (struct node *n = was[i], *next; n; n = next) {
			size_t slot = fid_slot(&n->fid);

			next = n->hnext;
			n->hnext = nodes[slot];
			nodes[slot] = n;
		}
	free(was);
}

struct node *node_new(const struct pfid *fid, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct node *n = xcalloc(1, sizeof(*n));
	size_t slot;

	if (sim.nnodes > nodes_cap * 2)
		grow_nodes();
	n->fid = *fid;
	n->mode = mode;
	n->uid = uid;
	n->gid = gid;
	n->nlink = S_ISDIR(mode) ? 2 : 0;
	n->atime = n->mtime = n->ctime = n->btime = now_sec();
	slot = fid_slot(fid);
	n->hnext = nodes[slot];
	nodes[slot] = n;
	sim.nnodes++;
	return n;
}

void node_pin(struct node *n)
{
	n->pins++;
}

static void node_free(struct node *n)
{
	while (n->xattrs)
		xattr_del(n, n->xattrs->name);
	layout_free(n->layout);
	free(n->target);
	free(n);
}

void node_unpin(struct node *n)
{
	n->pins--;
	if (n->dead && n->pins == 0)
		node_free(n);
}

void node_remove(struct node *n)
{
	struct node **at = &nodes[fid_slot(&n->fid)];

	if (n->dead)
		return;
	while (*at != n)
		at = &(*at)->hnext;
	*at = n->hnext;
	sim.nnodes--;
	while (n->links)
		dent_remove(n->links);
	if (n->obj) {
		obj_drop(n->obj);
		n->obj = NULL;
	}
	n->dead = true;
	log_node_gone(&n->fid);
	if (n->pins == 0)
		node_free(n);
}

void node_each(void (*fn)(struct node *n, void *ctx), void *ctx)
{
	for (size_t i = 0; i < nodes_cap; i++)
		for (struct node *n = nodes[i], *next; n; n = next) {
			next = n->hnext;
			fn(n, ctx);
		}
}

/* ---- names ---- */

static size_t name_slot(const struct node *dir, const char *name, size_t len)
{
	uint64_t h = mix(dir->fid.seq * 31 + dir->fid.oid);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 0x100000001b3ULL;
	return mix(h) & (dents_cap - 1);
}

struct dent *dent_find(const struct node *dir, const char *name, size_t len)
{
	for (struct dent *d = dents[name_slot(dir, name, len)]; d; d = d->hnext)
		if (d->parent == dir && d->len == len && memcmp(d->name, name, len) == 0)
			return d;
	return NULL;
}

static void grow_dents(void)
{
	size_t old = dents_cap;
	struct dent **was = dents;

	dents_cap *= 4;
	dents = xcalloc(dents_cap, sizeof(*dents));
	for (size_t i = 0; i < old; i++)
		for (struct dent *d = was[i], *next; d; d = next) {
			size_t slot = name_slot(d->parent, d->name, d->len);

			next = d->hnext;
			d->hnext = dents[slot];
			dents[slot] = d;
		}
	free(was);
}

struct dent *dent_add(struct node *dir, const char *name, size_t len, struct node *child)
{
	struct dent *d = xcalloc(1, sizeof(*d) + len + 1), **at;
	size_t slot;

	if (ndents > dents_cap * 2)
		grow_dents();
	memcpy(d->name, name, len);
	d->len = (uint16_t)len;
	d->parent = dir;
	d->child = child;
	slot = name_slot(dir, name, len);
	d->hnext = dents[slot];
	dents[slot] = d;
	ndents++;
	d->prev = dir->children_tail;
	if (dir->children_tail)
		dir->children_tail->next = d;
	else
		dir->children = d;
	dir->children_tail = d;
	dir->nchildren++;
	for (at = &child->links; *at; at = &(*at)->lnext)
		;
	*at = d;
	if (S_ISDIR(child->mode)) {
		dir->nlink++;
	} else {
		child->nlink++;
	}
	log_link(d);
	return d;
}

void dent_remove(struct dent *d)
{
	struct dent **at = &dents[name_slot(d->parent, d->name, d->len)];
	struct node *dir = d->parent, *child = d->child;

	while (*at != d)
		at = &(*at)->hnext;
	*at = d->hnext;
	ndents--;
	if (d->prev)
		d->prev->next = d->next;
	else
		dir->children = d->next;
	if (d->next)
		d->next->prev = d->prev;
	else
		dir->children_tail = d->prev;
	dir->nchildren--;
	for (at = &child->links; *at != d; at = &(*at)->lnext)
		;
	*at = d->lnext;
	if (S_ISDIR(child->mode))
		dir->nlink--;
	else
		child->nlink--;
	log_unlink(dir, d->name, d->len);
	free(d);
}

struct node *node_parent(const struct node *n)
{
	return n->links ? n->links->parent : NULL;
}

enum { STRIPES_MAX = 64 };

static struct {
	struct pfid stripe, dir;
} stripes[STRIPES_MAX];
static unsigned nstripes;

int stripe_make(struct node *dir)
{
	if (!S_ISDIR(dir->mode) || dir->nchildren > 0 || dir->stripe.seq || nstripes == STRIPES_MAX)
		return -EINVAL;
	dir->stripe = fid_next((fid_mdt(&dir->fid) + 1) % sim.nmdts);
	stripes[nstripes].stripe = dir->stripe;
	stripes[nstripes++].dir = dir->fid;
	return 0;
}

struct pfid stripe_of(const struct node *dir)
{
	return dir->stripe.seq ? dir->stripe : dir->fid;
}

struct node *stripe_dir(const struct pfid *stripe)
{
	for (unsigned i = 0; i < nstripes; i++)
		if (fid_eq(&stripes[i].stripe, stripe))
			return node_find(&stripes[i].dir);
	return NULL;
}

unsigned node_links(const struct node *n)
{
	unsigned count = 0;

	for (struct dent *d = n->links; d; d = d->lnext)
		count++;
	return count;
}

char *node_path(const struct node *n, unsigned linkno, size_t *len)
{
	const struct dent *d = n->links;
	size_t total = 0, at;
	char *path;

	if (n == sim.root) {
		*len = 0;
		return linkno == 0 ? xcalloc(1, 1) : NULL;
	}
	while (d && linkno-- > 0)
		d = d->lnext;
	if (d == NULL)
		return NULL;
	for (const struct dent *e = d; e; e = e->parent->links)
		total += e->len + 1u;
	path = xcalloc(1, total + 1);
	at = total - 1;
	for (const struct dent *e = d; e; e = e->parent->links) {
		at -= e->len;
		memcpy(path + at, e->name, e->len);
		if (at > 0)
			path[--at] = '/';
	}
	path[total - 1] = '\0';
	*len = total - 1;
	return path;
}

/* ---- xattrs as they are kept ---- */

struct xattr *xattr_find(const struct node *n, const char *name)
{
	for (struct xattr *x = n->xattrs; x; x = x->next)
		if (strcmp(x->name, name) == 0)
			return x;
	return NULL;
}

void xattr_put(struct node *n, const char *name, const void *val, size_t len)
{
	struct xattr *x = xattr_find(n, name), **at;

	if (x == NULL) {
		x = xcalloc(1, sizeof(*x));
		x->name = xstrdup(name);
		for (at = &n->xattrs; *at; at = &(*at)->next)
			;
		*at = x;
	}
	free(x->val);
	x->val = xmemdup(val, len);
	x->len = (uint32_t)len;
}

bool xattr_del(struct node *n, const char *name)
{
	for (struct xattr **at = &n->xattrs; *at; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			struct xattr *x = *at;

			*at = x->next;
			free(x->name);
			free(x->val);
			free(x);
			return true;
		}
	return false;
}

/* ---- stat ---- */

/* One as a sign that there is data; what lay on the MDT is counted on. */
static blkcnt_t released_blocks(const struct node *n)
{
	const struct comp *c = &n->layout->comps[0];
	uint64_t on_mdt = c->pattern & PATTERN_MDT ? (n->size < c->end ? n->size : c->end) : 0;

	return on_mdt > 0 ? (blkcnt_t)((on_mdt + 4095) / 4096 * 8) : n->size > 0;
}

void node_stat(const struct node *n, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = fid_ino(&n->fid);
	st->st_mode = n->mode;
	st->st_nlink = n->is_volatile ? 1 : n->nlink;
	st->st_uid = n->uid;
	st->st_gid = n->gid;
	st->st_rdev = (dev_t)n->rdev;
	st->st_atim.tv_sec = n->atime;
	st->st_mtim.tv_sec = n->mtime;
	st->st_ctim.tv_sec = n->ctime;
	st->st_blksize = 4194304;
	if (S_ISDIR(n->mode)) {
		st->st_size = 4096;
		st->st_blocks = 8;
	} else if (S_ISLNK(n->mode)) {
		st->st_size = (off_t)strlen(n->target ? n->target : "");
	} else if (S_ISREG(n->mode)) {
		st->st_size = (off_t)n->size;
		if (hsm_needs_restore(n))
			st->st_blocks = released_blocks(n);
		else if (n->obj)
			st->st_blocks = (blkcnt_t)n->obj->blocks;
	}
}

/* Versions of data only ever grow, over the whole file system, as Lustre's transaction numbers do. */
uint64_t dv_next(void)
{
	return ++sim.next_dv;
}
