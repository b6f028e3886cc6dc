/*
 * What survives kill -9: a journal of metadata and one backing file for each file's bytes.
 *
 * The journal is a sequence of frames (magic, length, CRC-32, payload); a frame is one operation, its payload a sequence
 * of records (type, length, body) that say what a thing *is now*, so reading them in order gives the state. A torn last
 * frame is an operation nobody was told of: it is cut off. When the journal has grown well past the state it describes,
 * the state is written anew and renamed over it. Nothing is synced: the stand-in survives its own death, not the machine's.
 */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <dirent.h>

#define FRAME_MAGIC 0x4a4d4953u
#define COMPACT_MIN (48u << 20)

enum rec {
	R_NODE = 1, R_ATTR, R_NODE_GONE, R_LINK, R_UNLINK, R_ACTION, R_ACTION_GONE, R_CL, R_CL_PURGED, R_USER, R_USER_GONE,
	R_PARAM, R_COUNTERS, R_OST, R_FSNAME, R_POOL,
};

static int journal_fd = -1;
static uint64_t journal_size, compact_base;
static bool loading, compacting;

static struct {
	uint8_t *p;
	size_t len, cap;
} jb;

/* ---- encoding ---- */

static void put(const void *p, size_t n)
{
	if (jb.len + n > jb.cap) {
		jb.cap = (jb.len + n) * 2 + 4096;
		jb.p = xrealloc(jb.p, jb.cap);
	}
	if (n > 0)
		memcpy(jb.p + jb.len, p, n);
	jb.len += n;
}

static void put_ctx(void *ctx, const void *p, size_t n)
{
	(void)ctx;
	put(p, n);
}

static void put32(uint32_t v) { put(&v, 4); }
static void put64(uint64_t v) { put(&v, 8); }

static void put_bytes(const void *p, size_t n)
{
	put32((uint32_t)n);
	put(p, n);
}

static void put_text(const char *s)
{
	put_bytes(s ? s : "", s ? strlen(s) : 0);
}

static void put_fid(const struct pfid *f)
{
	put64(f->seq);
	put32(f->oid);
	put32(f->ver);
}

static size_t rec_at;

static bool rec_begin(enum rec type)
{
	uint8_t t = (uint8_t)type;

	if (loading)
		return false;
	put(&t, 1);
	rec_at = jb.len;
	put32(0);
	return true;
}

static void rec_end(void)
{
	uint32_t len = (uint32_t)(jb.len - rec_at - 4);

	memcpy(jb.p + rec_at, &len, 4);
}

struct cur {
	const uint8_t *p, *end;
	bool bad;
};

static const void *get(struct cur *c, size_t n)
{
	const void *at = c->p;

	if ((size_t)(c->end - c->p) < n) {
		static const uint8_t zeros[16];

		c->bad = true;
		return zeros;
	}
	c->p += n;
	return at;
}

static uint32_t get32(struct cur *c)
{
	uint32_t v;

	memcpy(&v, get(c, 4), 4);
	return v;
}

static uint64_t get64(struct cur *c)
{
	uint64_t v;

	memcpy(&v, get(c, 8), 8);
	return v;
}

static struct pfid get_fid(struct cur *c)
{
	struct pfid f;

	f.seq = get64(c);
	f.oid = get32(c);
	f.ver = get32(c);
	return f;
}

/* A NUL-ended copy. */
static char *get_bytes(struct cur *c, uint32_t *len)
{
	uint32_t n = get32(c);
	const void *p;
	char *s;

	if (c->bad || (size_t)(c->end - c->p) < n) {
		c->bad = true;
		n = 0;
	}
	p = get(c, n);
	s = xcalloc(1, (size_t)n + 1);
	memcpy(s, p, n);
	if (len != NULL)
		*len = n;
	return s;
}

static char *get_text(struct cur *c)
{
	uint32_t n;
	char *s = get_bytes(c, &n);

	if (n == 0) {
		free(s);
		return NULL;
	}
	return s;
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
	static uint32_t table[256];
	uint32_t crc = 0xffffffffu;

	if (table[1] == 0)
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;

			for (int k = 0; k < 8; k++)
				c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
			table[i] = c;
		}
	while (n-- > 0)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}

/* ---- records ---- */

static void put_attr(const struct node *n)
{
	put_fid(&n->fid);
	put32(n->mode);
	put32(n->uid);
	put32(n->gid);
	put64(n->rdev);
	put64(n->size);
	put64((uint64_t)n->atime);
	put64((uint64_t)n->mtime);
	put64((uint64_t)n->ctime);
	put64((uint64_t)n->btime);
	put64(n->dv);
	put32(n->hsm_flags);
	put32(n->hsm_archive);
	put64(n->hsm_ver);
	put64(n->obj ? n->obj->id : 0);
	put64(n->obj ? n->obj->blocks : 0);
	put32(n->modified);
}

/* Volatile files and what is made up are not kept: a copytool's work ends with the daemon. */
static bool kept(const struct node *n)
{
	return !n->is_volatile && !n->synthetic && !n->orphan && !n->dead;
}

void log_attr(const struct node *n)
{
	if (!kept(n) || !rec_begin(R_ATTR))
		return;
	put_attr(n);
	rec_end();
}

void log_node(const struct node *n)
{
	uint32_t count = 0;

	if (!kept(n) || !rec_begin(R_NODE))
		return;
	put_attr(n);
	put_text(n->target);
	for (const struct xattr *x = n->xattrs; x; x = x->next)
		count++;
	put32(count);
	for (const struct xattr *x = n->xattrs; x; x = x->next) {
		put_text(x->name);
		put_bytes(x->val, x->len);
	}
	put32(n->layout != NULL);
	if (n->layout)
		layout_encode(n->layout, put_ctx, NULL);
	rec_end();
}

void log_node_gone(const struct pfid *fid)
{
	if (!rec_begin(R_NODE_GONE))
		return;
	put_fid(fid);
	rec_end();
}

void log_link(const struct dent *d)
{
	if (d->parent->synthetic || d->child->synthetic || !rec_begin(R_LINK))
		return;
	put_fid(&d->parent->fid);
	put_fid(&d->child->fid);
	put_bytes(d->name, d->len);
	rec_end();
}

void log_unlink(const struct node *parent, const char *name, size_t len)
{
	if (!rec_begin(R_UNLINK))
		return;
	put_fid(&parent->fid);
	put_bytes(name, len);
	rec_end();
}

void log_action(const struct action *a)
{
	if (!rec_begin(R_ACTION))
		return;
	put32(a->idx);
	put_fid(&a->fid);
	put_fid(&a->dfid);
	put64(a->cookie);
	put32(a->kind);
	put32(a->archive);
	put64(a->flags);
	put64(a->off);
	put64(a->len);
	put64(a->gid);
	put_bytes(a->data, a->datalen);
	put32(a->status);
	put64((uint64_t)a->changed);
	put64((uint64_t)a->created);
	rec_end();
}

void log_action_gone(uint32_t idx)
{
	if (!rec_begin(R_ACTION_GONE))
		return;
	put32(idx);
	rec_end();
}

void log_changelog(const struct cl_rec *r)
{
	if (!rec_begin(R_CL))
		return;
	put64(r->idx);
	put64((uint64_t)r->sec);
	put32(r->ns);
	put32(r->flags);
	put32(r->ef);
	put32(r->uid);
	put32(r->gid);
	put32(r->omode);
	put32(r->type | (uint32_t)r->mdt << 8);
	put_fid(&r->t);
	put_fid(&r->p);
	put_fid(&r->s);
	put_fid(&r->sp);
	put32(r->name != NULL);
	put_bytes(r->name, r->namelen);
	put32(r->sname != NULL);
	put_bytes(r->sname, r->snamelen);
	put_text(r->xattr);
	put_text(r->jobid);
	put_text(r->nid);
	rec_end();
}

void log_changelog_purged(unsigned mdt)
{
	if (!rec_begin(R_CL_PURGED))
		return;
	put32(mdt);
	put64(cl_purged(mdt));
	put64(cl_index(mdt));
	put64(cl_mask(mdt));
	rec_end();
}

void log_user(const struct cl_user *u)
{
	if (!rec_begin(R_USER))
		return;
	put32(u->mdt);
	put32(u->id);
	put_text(u->name);
	put32(u->masked);
	put64(u->mask);
	put64(u->index);
	put64((uint64_t)u->touched);
	rec_end();
}

void log_user_gone(unsigned mdt, uint32_t id)
{
	if (!rec_begin(R_USER_GONE))
		return;
	put32(mdt);
	put32(id);
	rec_end();
}

void log_param(const char *name, const char *value)
{
	if (!rec_begin(R_PARAM))
		return;
	put_text(name);
	put_text(value);
	rec_end();
}

void log_counters(void)
{
	if (!rec_begin(R_COUNTERS))
		return;
	for (unsigned i = 0; i < MAX_MDTS; i++) {
		put64(sim.fid_seq[i]);
		put32(sim.fid_oid[i]);
	}
	put64(sim.next_dv);
	put64(sim.next_obj);
	put64(sim.cdt.last_cookie);
	put32(sim.cdt.last_idx);
	rec_end();
}

void log_ost(unsigned i)
{
	if (!rec_begin(R_OST))
		return;
	put32(i);
	put64(sim.osts[i].size_kb);
	put64(sim.osts[i].fill_kb);
	put64(sim.osts[i].next_oid);
	put32(sim.osts[i].inactive);
	rec_end();
}

void log_pool(const struct pool *p)
{
	if (!rec_begin(R_POOL))
		return;
	put_text(p->name);
	put64(p->osts);
	rec_end();
}

/* ---- data objects ---- */

static void obj_path(uint64_t id, char *out, size_t len)
{
	snprintf(out, len, "%s/data/%02x/%llx", sim.dir, (unsigned)(id & 0xff), (unsigned long long)id);
}

struct obj *obj_new(struct node *n)
{
	struct obj *o = xcalloc(1, sizeof(*o));
	char path[4096];

	o->id = sim.next_obj++;
	o->node = n;
	o->fd = -1;
	obj_path(o->id, path, sizeof(path));
	o->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (o->fd < 0) {
		sim_log("cannot create %s: %s", path, strerror(errno));
		free(o);
		return NULL;
	}
	log_counters();
	return o;
}

int obj_begin(struct obj *o)
{
	if (o->fd < 0) {
		char path[4096];

		obj_path(o->id, path, sizeof(path));
		o->fd = open(path, O_RDWR | O_CLOEXEC);
		if (o->fd < 0) {
			sim_log("cannot open %s: %s", path, strerror(errno));
			return -EIO;
		}
	}
	o->io++;
	return 0;
}

static void obj_free(struct obj *o)
{
	if (o->fd >= 0)
		close(o->fd);
	free(o->charged);
	free(o);
}

void obj_idle(struct obj *o)
{
	if (o->io == 0 && o->fd >= 0 && (o->node == NULL || o->node->opens == 0)) {
		close(o->fd);
		o->fd = -1;
	}
}

void obj_end(struct obj *o)
{
	o->io--;
	if (o->io > 0)
		return;
	if (o->node == NULL)
		obj_free(o);
	else
		obj_idle(o);
}

static void uncharge(struct obj *o)
{
	for (unsigned i = 0; o->charged && i < sim.nosts; i++) {
		sim.osts[i].used -= o->charged[i];
		o->charged[i] = 0;
	}
}

static void charge(struct obj *o)
{
	uint64_t bytes[MAX_OSTS];

	uncharge(o);
	if (o->node == NULL || o->blocks == 0)
		return;
	if (o->charged == NULL)
		o->charged = xcalloc(sim.nosts, sizeof(*o->charged));
	layout_spread(o->node, 0, o->blocks * 512, bytes);
	for (unsigned i = 0; i < sim.nosts; i++) {
		o->charged[i] = bytes[i];
		sim.osts[i].used += bytes[i];
	}
}

/* Bytes go only when the journal says that nobody has them any more: a death in between must not leave a file without its data. */
static uint64_t *doomed;
static size_t ndoomed, cap_doomed;

static void delete_doomed(void)
{
	char path[4096];

	while (ndoomed > 0) {
		obj_path(doomed[--ndoomed], path, sizeof(path));
		unlink(path);
	}
}

void obj_drop(struct obj *o)
{
	uncharge(o);
	o->node = NULL;
	if (ndoomed == cap_doomed) {
		cap_doomed = cap_doomed * 2 + 16;
		doomed = xrealloc(doomed, cap_doomed * sizeof(*doomed));
	}
	doomed[ndoomed++] = o->id;
	if (o->io == 0)
		obj_free(o);
}

void obj_refresh(struct obj *o)
{
	struct stat st;

	if (o->fd >= 0 && fstat(o->fd, &st) == 0)
		o->blocks = (uint64_t)st.st_blocks;
	charge(o);
}

int obj_room(struct node *n, uint64_t end)
{
	uint64_t have = n->obj ? n->obj->blocks * 512 : 0, from = n->size > have ? n->size : have, bytes[MAX_OSTS];

	if (end <= from)
		return 0;
	layout_spread(n, from, end, bytes);
	for (unsigned i = 0; i < sim.nosts; i++) {
		const struct ost *o = &sim.osts[i];

		if (bytes[i] > 0 && o->used + o->fill_kb * 1024 + bytes[i] > o->size_kb * 1024)
			return -ENOSPC;
	}
	return 0;
}

/* ---- loading ---- */

static void obj_forget(struct node *n)
{
	if (n->obj)
		obj_free(n->obj);
	n->obj = NULL;
}

/* Object ids while the journal is read: nodes take them over as they come. */
static void load_attr(struct cur *c, bool whole)
{
	struct pfid fid = get_fid(c);
	struct node *n = node_find(&fid);
	uint32_t mode = get32(c), uid = get32(c), gid = get32(c);
	uint64_t objid, blocks;

	if (c->bad)
		return;
	if (n == NULL)
		n = node_new(&fid, mode, uid, gid);
	n->mode = mode;
	n->uid = uid;
	n->gid = gid;
	n->rdev = get64(c);
	n->size = get64(c);
	n->atime = (int64_t)get64(c);
	n->mtime = (int64_t)get64(c);
	n->ctime = (int64_t)get64(c);
	n->btime = (int64_t)get64(c);
	n->dv = get64(c);
	n->hsm_flags = get32(c);
	n->hsm_archive = get32(c);
	n->hsm_ver = get64(c);
	objid = get64(c);
	blocks = get64(c);
	n->modified = get32(c);
	if (objid == 0) {
		obj_forget(n);
	} else {
		if (n->obj == NULL) {
			n->obj = xcalloc(1, sizeof(*n->obj));
			n->obj->fd = -1;
			n->obj->node = n;
		}
		n->obj->id = objid;
		n->obj->blocks = blocks;
		if (objid >= sim.next_obj)
			sim.next_obj = objid + 1;
	}
	if (n->dv > sim.next_dv)
		sim.next_dv = n->dv;
	if (!whole)
		return;
	free(n->target);
	n->target = get_text(c);
	while (n->xattrs)
		xattr_del(n, n->xattrs->name);
	for (uint32_t count = get32(c); count > 0 && !c->bad; count--) {
		char *name = get_text(c);
		uint32_t len;
		char *val = get_bytes(c, &len);

		if (name)
			xattr_put(n, name, val, len);
		free(name);
		free(val);
	}
	layout_free(n->layout);
	n->layout = get32(c) ? layout_decode(&c->p, c->end) : NULL;
}

static void load_names(struct cur *c, bool add)
{
	struct pfid pf = get_fid(c), cf;
	struct node *parent = node_find(&pf), *child;
	uint32_t len;
	char *name;

	memset(&cf, 0, sizeof(cf));
	if (add)
		cf = get_fid(c);
	name = get_bytes(c, &len);
	if (parent != NULL && !c->bad) {
		struct dent *old = dent_find(parent, name, len);

		if (old)
			dent_remove(old);
		child = add ? node_find(&cf) : NULL;
		if (child)
			dent_add(parent, name, len, child);
	}
	free(name);
}

static void load_action(struct cur *c)
{
	struct action *a = xcalloc(1, sizeof(*a));
	uint32_t len;

	a->idx = get32(c);
	a->fid = get_fid(c);
	a->dfid = get_fid(c);
	a->cookie = get64(c);
	a->kind = get32(c);
	a->archive = get32(c);
	a->flags = get64(c);
	a->off = get64(c);
	a->len = get64(c);
	a->gid = get64(c);
	a->data = (uint8_t *)get_bytes(c, &len);
	a->datalen = len;
	a->status = get32(c);
	a->changed = (int64_t)get64(c);
	a->created = (int64_t)get64(c);
	cdt_load_action(a);
}

static void load_cl(struct cur *c)
{
	struct cl_rec *r = xcalloc(1, sizeof(*r));
	uint32_t len, have;

	r->idx = get64(c);
	r->sec = (int64_t)get64(c);
	r->ns = get32(c);
	r->flags = get32(c);
	r->ef = get32(c);
	r->uid = get32(c);
	r->gid = get32(c);
	r->omode = get32(c);
	have = get32(c);
	r->type = (uint8_t)have;
	r->mdt = (uint8_t)(have >> 8) % MAX_MDTS;
	r->t = get_fid(c);
	r->p = get_fid(c);
	r->s = get_fid(c);
	r->sp = get_fid(c);
	have = get32(c);
	r->name = get_bytes(c, &len);
	r->namelen = (uint16_t)len;
	if (!have) {
		free(r->name);
		r->name = NULL;
	}
	have = get32(c);
	r->sname = get_bytes(c, &len);
	r->snamelen = (uint16_t)len;
	if (!have) {
		free(r->sname);
		r->sname = NULL;
	}
	r->xattr = get_text(c);
	r->jobid = get_text(c);
	r->nid = get_text(c);
	cl_load_rec(r);
}

static void load_record(uint8_t type, struct cur *c)
{
	switch (type) {
	case R_NODE:
	case R_ATTR:
		load_attr(c, type == R_NODE);
		break;
	case R_NODE_GONE: {
		struct pfid fid = get_fid(c);
		struct node *n = node_find(&fid);

		if (n) {
			obj_forget(n);
			node_remove(n);
		}
		break;
	}
	case R_LINK:
	case R_UNLINK:
		load_names(c, type == R_LINK);
		break;
	case R_ACTION:
		load_action(c);
		break;
	case R_ACTION_GONE:
		cdt_load_action_gone(get32(c));
		break;
	case R_CL:
		load_cl(c);
		break;
	case R_CL_PURGED: {
		uint32_t mdt = get32(c) % MAX_MDTS;
		uint64_t upto = get64(c), index = get64(c);

		cl_load_state(mdt, upto, index, get64(c));
		break;
	}
	case R_USER: {
		struct cl_user *u = xcalloc(1, sizeof(*u));
		char *name;

		u->mdt = (uint8_t)(get32(c) % MAX_MDTS);
		u->id = get32(c);
		name = get_text(c);
		snprintf(u->name, sizeof(u->name), "%s", name ? name : "");
		free(name);
		u->masked = get32(c);
		u->mask = get64(c);
		u->index = get64(c);
		u->touched = (int64_t)get64(c);
		cl_load_user(u);
		break;
	}
	case R_USER_GONE: {
		uint32_t mdt = get32(c) % MAX_MDTS;

		cl_load_user_gone(mdt, get32(c));
		break;
	}
	case R_PARAM: {
		char *name = get_text(c), *value = get_text(c);

		if (name)
			params_load(name, value ? value : "");
		free(name);
		free(value);
		break;
	}
	case R_COUNTERS:
		for (unsigned i = 0; i < MAX_MDTS; i++) {
			sim.fid_seq[i] = get64(c);
			sim.fid_oid[i] = get32(c);
		}
		sim.next_dv = get64(c);
		sim.next_obj = get64(c);
		sim.cdt.last_cookie = get64(c);
		sim.cdt.last_idx = get32(c);
		break;
	case R_OST: {
		uint32_t i = get32(c);

		if (i < MAX_OSTS) {
			sim.osts[i].size_kb = get64(c);
			sim.osts[i].fill_kb = get64(c);
			sim.osts[i].next_oid = get64(c);
			sim.osts[i].inactive = get32(c);
		}
		break;
	}
	case R_POOL: {
		char *name = get_text(c);

		pool_set(name ? name : "", get64(c));
		free(name);
		break;
	}
	default:
		break;
	}
}

static int load(const uint8_t *p, size_t size, uint64_t *good)
{
	size_t at = 0;

	while (size - at >= 12) {
		uint32_t head[3];
		struct cur c;

		memcpy(head, p + at, 12);
		if (head[0] != FRAME_MAGIC || head[1] > size - at - 12 || crc32(p + at + 12, head[1]) != head[2])
			break;
		c.p = p + at + 12;
		c.end = c.p + head[1];
		c.bad = false;
		while (c.p < c.end && !c.bad) {
			uint8_t type = *(const uint8_t *)get(&c, 1);
			uint32_t len = get32(&c);
			struct cur r = { c.p, c.p + len, false };

			if (c.bad || (size_t)(c.end - c.p) < len)
				break;
			load_record(type, &r);
			c.p += len;
		}
		at += 12 + head[1];
	}
	*good = at;
	return 0;
}

/* ---- committing and compacting ---- */

static int write_all(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t w = write(fd, at, n);

		if (w < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

static int write_frame(int fd)
{
	uint32_t head[3] = { FRAME_MAGIC, (uint32_t)jb.len, crc32(jb.p, jb.len) };
	size_t total = jb.len + 12;
	int rc;

	/* one write: header in front of the payload */
	put(head, 12);
	memmove(jb.p + 12, jb.p, jb.len - 12);
	memcpy(jb.p, head, 12);
	rc = write_all(fd, jb.p, total);
	jb.len = 0;
	if (rc == 0)
		journal_size += total;
	return rc;
}

static int dump_fd;

void store_flush(void)
{
	if (jb.len > (4u << 20) && write_frame(dump_fd) != 0)
		abort();
}

static void dump_node(struct node *n, void *ctx)
{
	(void)ctx;
	log_node(n);
	store_flush();
}

static void dump_links(struct node *n, void *ctx)
{
	(void)ctx;
	if (n->synthetic && n != sim.root)
		return;
	for (struct dent *d = n->children; d; d = d->next) {
		log_link(d);
		store_flush();
	}
}

static int compact(void)
{
	char path[4096], tmp[4096];

	snprintf(path, sizeof(path), "%s/journal", sim.dir);
	snprintf(tmp, sizeof(tmp), "%s/journal.new", sim.dir);
	dump_fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (dump_fd < 0)
		return -errno;
	compacting = true;
	jb.len = 0;
	journal_size = 0;
	log_counters();
	for (unsigned i = 0; i < sim.nosts; i++)
		log_ost(i);
	for (unsigned i = 0; i < sim.npools; i++)
		log_pool(&sim.pools[i]);
	node_each(dump_node, NULL);
	node_each(dump_links, NULL);
	cdt_dump();
	params_dump();
	cl_dump();
	if (jb.len > 0 && write_frame(dump_fd) != 0)
		abort();
	compacting = false;
	fault_point("compact");
	if (rename(tmp, path) != 0) {
		close(dump_fd);
		return -errno;
	}
	if (journal_fd >= 0)
		close(journal_fd);
	journal_fd = dump_fd;
	compact_base = journal_size;
	return 0;
}

void store_commit(void)
{
	int rc;

	if (loading || compacting)
		return;
	if (jb.len == 0) {
		delete_doomed();
		return;
	}
	fault_point("before-journal");
	rc = write_frame(journal_fd);
	if (rc != 0) {
		/* going on would promise what is not kept */
		sim_log("cannot write the journal: %s", strerror(-rc));
		abort();
	}
	fault_point("after-journal");
	delete_doomed();
	if (journal_size > COMPACT_MIN && journal_size > compact_base * 3)
		compact();
}

void store_sync(void)
{
	if (journal_fd >= 0)
		fdatasync(journal_fd);
}

/* Backing files that no file owns: left by a death between deleting a file and its bytes, or by volatile files. */
static void mark(struct node *n, void *ctx)
{
	uint8_t *seen = ctx;

	if (n->obj && n->obj->id < sim.next_obj)
		seen[n->obj->id / 8] |= (uint8_t)(1u << (n->obj->id % 8));
}

static void sweep(void)
{
	uint8_t *seen = xcalloc(1, sim.next_obj / 8 + 1);

	node_each(mark, seen);
	for (unsigned i = 0; i < 256; i++) {
		char path[4096];
		DIR *d;
		struct dirent *e;

		snprintf(path, sizeof(path), "%s/data/%02x", sim.dir, i);
		d = opendir(path);
		if (d == NULL)
			continue;
		while ((e = readdir(d)) != NULL) {
			uint64_t id;

			if (e->d_name[0] == '.')
				continue;
			id = strtoull(e->d_name, NULL, 16);
			if (id >= sim.next_obj || !(seen[id / 8] & (1u << (id % 8))))
				unlinkat(dirfd(d), e->d_name, 0);
		}
		closedir(d);
	}
	free(seen);
}

static void settle(struct node *n, void *ctx)
{
	(void)ctx;
	/* written to, and the writer's close was never seen: the archive does not have these bytes */
	if (n->modified) {
		n->modified = false;
		n->dv = ++sim.next_dv;
		if (n->hsm_flags & HS_EXISTS)
			n->hsm_flags |= HS_DIRTY;
	}
	if (n->obj) {
		char path[4096];
		struct stat st;

		obj_path(n->obj->id, path, sizeof(path));
		if (stat(path, &st) == 0) {
			n->obj->blocks = (uint64_t)st.st_blocks;
			/* bytes of a write that was never answered */
			if ((uint64_t)st.st_size > n->size && truncate(path, (off_t)n->size) != 0)
				sim_log("cannot cut %s: %s", path, strerror(errno));
		} else {
			int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

			sim_log("the data object %s is missing", path);
			if (fd >= 0)
				close(fd);
		}
		charge(n->obj);
	}
}

static int by_root(void)
{
	struct pfid root = { 0x200000007ULL, 1, 0 };

	sim.root = node_find(&root);
	if (sim.root == NULL) {
		sim.root = node_new(&root, S_IFDIR | 0755, 0, 0);
		log_node(sim.root);
	}
	return 0;
}

/* Nodes without a name were deleted while open when the daemon died. */
struct strays {
	struct node **list;
	size_t n, cap;
};

static void stray(struct node *n, void *ctx)
{
	struct strays *s = ctx;

	if (n != sim.root && !n->synthetic && n->links == NULL) {
		if (s->n == s->cap) {
			s->cap = s->cap * 2 + 16;
			s->list = xrealloc(s->list, s->cap * sizeof(*s->list));
		}
		s->list[s->n++] = n;
	}
}

int store_open(void)
{
	char path[4096];
	struct stat st;
	uint8_t *p = NULL;
	uint64_t good = 0;
	struct strays strays = { NULL, 0, 0 };
	int fd;

	snprintf(path, sizeof(path), "%s/data", sim.dir);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	for (unsigned i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "%s/data/%02x", sim.dir, i);
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return -errno;
	}
	snprintf(path, sizeof(path), "%s/journal", sim.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	loading = true;
	if (fd >= 0) {
		size_t got = 0;

		if (fstat(fd, &st) != 0)
			return -errno;
		p = xcalloc(1, (size_t)st.st_size + 1);
		while (got < (size_t)st.st_size) {
			ssize_t r = read(fd, p + got, (size_t)st.st_size - got);

			if (r <= 0)
				break;
			got += (size_t)r;
		}
		close(fd);
		load(p, got, &good);
		if (good < got)
			sim_log("the journal's last %llu bytes were torn and are dropped", (unsigned long long)(got - good));
		free(p);
	}
	by_root();
	node_each(stray, &strays);
	for (size_t i = 0; i < strays.n; i++) {
		obj_forget(strays.list[i]);
		node_remove(strays.list[i]);
	}
	free(strays.list);
	node_each(settle, NULL);
	sweep();
	loading = false;
	jb.len = 0;
	return compact();
}
