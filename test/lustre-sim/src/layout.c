/*
 * Where a file's bytes would lie: plain striping, composites (PFL, DoM), released patterns; and their binary forms.
 *
 * The bytes themselves lie in one backing file; the layout decides which OSTs are charged and what is shown.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_V1 0x0BD10BD0u
#define MAGIC_V3 0x0BD30BD0u
#define MAGIC_SPECIFIC 0x0BD50BD0u /* a V3 that names its OSTs */
#define MAGIC_COMP 0x0BD60BD0u
#define DEFAULT_STRIPE 4194304u
#define ANY_OST 0xffffu

void layout_free(struct layout *l)
{
	if (l == NULL)
		return;
	for (unsigned i = 0; i < l->ncomps; i++)
		free(l->comps[i].objs);
	free(l->comps);
	free(l);
}

static struct layout *layout_alloc(unsigned ncomps)
{
	struct layout *l = xcalloc(1, sizeof(*l));

	l->ncomps = (uint16_t)ncomps;
	l->mirrors = 1;
	l->comps = xcalloc(ncomps, sizeof(*l->comps));
	return l;
}

struct layout *layout_copy(const struct layout *l)
{
	struct layout *c = layout_alloc(l->ncomps);

	c->composite = l->composite;
	c->mirrors = l->mirrors;
	c->gen = l->gen;
	for (unsigned i = 0; i < l->ncomps; i++) {
		c->comps[i] = l->comps[i];
		if (l->comps[i].objs)
			c->comps[i].objs = xmemdup(l->comps[i].objs, l->comps[i].nobjs * sizeof(struct stripe_obj));
	}
	return c;
}

/* What a new file in dir gets: its directory's default (Lustre looks at the root's too), or one stripe of 4 MiB. */
struct layout *layout_default(const struct node *dir)
{
	struct layout *l;

	if (dir && S_ISDIR(dir->mode) && dir->layout)
		l = layout_copy(dir->layout);
	else if (sim.root && sim.root->layout)
		l = layout_copy(sim.root->layout);
	else {
		l = layout_alloc(1);
		l->comps[0].pattern = PATTERN_RAID0;
		l->comps[0].stripe_size = DEFAULT_STRIPE;
		l->comps[0].stripe_count = 1;
		l->comps[0].offset = ANY_OST;
		l->comps[0].end = UINT64_MAX;
	}
	return l;
}

bool layout_released(const struct layout *l)
{
	return l && l->ncomps > 0 && (l->comps[0].pattern & PATTERN_RELEASED);
}

/* ---- which OSTs ---- */

/* The MDT takes no OST into account that is switched off or has less than 0.1 % (at least 1 MiB) left. */
static bool ost_takes_objects(unsigned i)
{
	const struct ost *o = &sim.osts[i];
	uint64_t used = o->used / 1024 + o->fill_kb, free_mb = o->size_kb > used ? (o->size_kb - used) / 1024 : 0;
	uint64_t low_mb = o->size_kb >> 20;

	return !o->inactive && free_mb >= (low_mb ? low_mb : 1);
}

/* A pool that is not there, or has no OST, is passed over: the MDT then looks at all of them. */
static const struct pool *pool_of(const struct comp *c)
{
	for (unsigned i = 0; c->pool[0] && i < sim.npools; i++)
		if (strcmp(sim.pools[i].name, c->pool) == 0 && sim.pools[i].osts != 0)
			return &sim.pools[i];
	return NULL;
}

/*
 * OSTs for a component: up to c->stripe_count of them into osts. The number found, or -ENOSPC; with a first OST asked for,
 * fewer than wanted are an error, too (-EFBIG), otherwise they will do.
 */
static int choose_osts(const struct comp *c, unsigned turn, unsigned osts[MAX_STRIPES])
{
	const struct pool *pool = pool_of(c);
	unsigned of[MAX_OSTS], n = 0, active = 0, got = 0, want = c->stripe_count ? c->stripe_count : 1, first;
	bool over = c->pattern & PATTERN_OVERSTRIPE, asked = c->offset < sim.nosts;

	for (unsigned i = 0; i < sim.nosts; i++) {
		active += !sim.osts[i].inactive;
		if (pool == NULL || (pool->osts & 1ULL << i))
			of[n++] = i;
	}
	if (want > MAX_STRIPES)
		want = MAX_STRIPES;
	if (!over && want > active)
		want = active;
	if (!over && want > n)
		want = n;
	first = turn % n;
	if (asked) {
		for (first = 0; first < n && of[first] != c->offset; first++)
			;
		if (first == n)
			return -EINVAL;
	}
	for (unsigned round = 0; got < want && (round == 0 || (over && got > 0)); round++)
		for (unsigned i = 0; i < n && got < want; i++)
			if (ost_takes_objects(of[(first + i) % n]))
				osts[got++] = of[(first + i) % n];
	if (got == 0)
		return -ENOSPC;
	return asked && got < want ? -EFBIG : (int)got;
}

static int give_objects(struct comp *c)
{
	static unsigned turn;
	unsigned osts[MAX_STRIPES];
	int count;

	if (c->pattern & PATTERN_MDT) {
		c->stripe_count = 0;
		return 0;
	}
	count = choose_osts(c, turn++, osts);
	if (count < 0)
		return count;
	c->stripe_count = (uint16_t)count;
	c->nobjs = (uint16_t)count;
	c->objs = xcalloc((size_t)count, sizeof(*c->objs));
	for (int i = 0; i < count; i++) {
		c->objs[i].ost = osts[i];
		c->objs[i].seq = 0x240000400ULL + 0x40000000ULL * osts[i];
		c->objs[i].oid = (uint32_t)++sim.osts[osts[i]].next_oid;
		log_ost(osts[i]);
	}
	return 0;
}

int layout_check(const struct node *dir)
{
	struct layout *l = layout_default(dir);
	unsigned osts[MAX_STRIPES];
	int rc = l->comps[0].pattern & (PATTERN_MDT | PATTERN_RELEASED) ? 0 : choose_osts(&l->comps[0], 0, osts);

	layout_free(l);
	return rc < 0 ? rc : 0;
}

int layout_instantiate(struct node *n, uint64_t end)
{
	bool changed = false;

	if (n->layout == NULL) {
		n->layout = layout_default(n->links ? node_parent(n) : node_find(&n->vparent));
		changed = true;
	}
	if (layout_released(n->layout))
		return changed;
	for (unsigned i = 0; i < n->layout->ncomps; i++) {
		struct comp *c = &n->layout->comps[i];
		int rc;

		if (c->flags & COMP_INIT)
			continue;
		if (i > 0 && c->start >= end)
			continue;
		rc = give_objects(c);
		if (rc)
			return rc;
		c->flags |= COMP_INIT;
		if (n->layout->composite) {
			c->id = c->id ? c->id : i + 1;
			n->layout->gen = n->layout->gen < 2 ? 2 : n->layout->gen + 1;
		}
		changed = true;
	}
	if (n->layout->composite)
		for (unsigned i = 0; i < n->layout->ncomps; i++)
			if (n->layout->comps[i].id == 0)
				n->layout->comps[i].id = i + 1;
	return changed;
}

void layout_release(struct layout *l)
{
	for (unsigned i = 0; i < l->ncomps; i++) {
		struct comp *c = &l->comps[i];

		free(c->objs);
		c->objs = NULL;
		c->nobjs = 0;
		c->flags |= COMP_INIT;
		c->pattern |= PATTERN_RELEASED;
	}
	l->gen++;
}

void layout_bump(struct layout *l, uint32_t gen)
{
	l->gen = gen;
}

void layout_spread(const struct node *n, uint64_t from, uint64_t to, uint64_t bytes[MAX_OSTS])
{
	memset(bytes, 0, MAX_OSTS * sizeof(*bytes));
	if (n->layout == NULL || layout_released(n->layout))
		return;
	for (unsigned i = 0; i < n->layout->ncomps; i++) {
		const struct comp *c = &n->layout->comps[i];
		uint64_t a = from > c->start ? from : c->start, b = to < c->end ? to : c->end;

		for (unsigned k = 0; k < c->nobjs && a < b; k++)
			if (c->objs[k].ost < sim.nosts)
				bytes[c->objs[k].ost] += (b - a + c->nobjs - 1) / c->nobjs;
	}
}

bool layout_on_ost(const struct node *n, unsigned ost)
{
	if (n->layout == NULL)
		return false;
	for (unsigned i = 0; i < n->layout->ncomps; i++)
		for (unsigned k = 0; k < n->layout->comps[i].nobjs; k++)
			if (n->layout->comps[i].objs[k].ost == ost)
				return true;
	return false;
}

int pool_set(const char *name, uint64_t osts)
{
	unsigned i;

	if (strlen(name) == 0 || strlen(name) >= sizeof(sim.pools[0].name))
		return -EINVAL;
	for (i = 0; i < sim.npools && strcmp(sim.pools[i].name, name) != 0; i++)
		;
	if (i == MAX_POOLS)
		return -ENOSPC;
	snprintf(sim.pools[i].name, sizeof(sim.pools[i].name), "%s", name);
	sim.pools[i].osts = osts;
	if (i == sim.npools)
		sim.npools++;
	log_pool(&sim.pools[i]);
	return 0;
}

/* ---- binary ---- */

struct out {
	uint8_t *p;
	size_t len;
};

static void out(struct out *o, const void *p, size_t n)
{
	o->p = xrealloc(o->p, o->len + n);
	memcpy(o->p + o->len, p, n);
	o->len += n;
}

static void out16(struct out *o, uint16_t v) { out(o, &v, 2); }
static void out32(struct out *o, uint32_t v) { out(o, &v, 4); }
static void out64(struct out *o, uint64_t v) { out(o, &v, 8); }

/* lov_mds_md_v1 or _v3. Clients show 0xffff (any OST) where the disk has the generation. */
static void pack_comp(struct out *o, const struct comp *c, const struct pfid *fid, bool file, uint16_t gen, bool in_composite)
{
	uint64_t oid = file ? fid->oid : 0, seq = file ? fid->seq : 0;
	bool released = c->pattern & PATTERN_RELEASED;

	out32(o, c->pool[0] ? MAGIC_V3 : MAGIC_V1);
	out32(o, c->pattern);
	out64(o, oid);
	out64(o, seq);
	out32(o, c->stripe_size);
	out16(o, c->stripe_count);
	out16(o, file && (!in_composite || (c->flags & COMP_INIT)) ? gen : (uint16_t)c->offset);
	if (c->pool[0])
		out(o, c->pool, 16);
	if (!file || (in_composite && !(c->flags & COMP_INIT)) || (c->pattern & PATTERN_MDT))
		return;
	for (unsigned i = 0; i < c->stripe_count; i++) {
		struct stripe_obj none = { 0, 0, 0 };
		const struct stripe_obj *s = !released && i < c->nobjs ? &c->objs[i] : &none;

		out64(o, s->seq);
		out64(o, s->oid);
		out32(o, 0);
		out32(o, s->ost);
	}
}

uint8_t *layout_pack(const struct node *n, size_t *len, bool as_xattr)
{
	const struct layout *l = n->layout;
	struct out o = { NULL, 0 };
	bool file = S_ISREG(n->mode);

	*len = 0;
	if (l == NULL)
		return NULL;
	if (!l->composite) {
		pack_comp(&o, &l->comps[0], &n->fid, file, as_xattr ? ANY_OST : (uint16_t)l->gen, false);
	} else {
		struct out body = { NULL, 0 };
		size_t head = 32 + (size_t)l->ncomps * 48;

		out32(&o, MAGIC_COMP);
		out32(&o, 0); /* size, below */
		out32(&o, l->gen);
		out16(&o, 0);
		out16(&o, l->ncomps);
		out16(&o, (uint16_t)(l->mirrors - 1));
		out16(&o, 0);
		out32(&o, 0);
		out64(&o, 0);
		for (unsigned i = 0; i < l->ncomps; i++) {
			const struct comp *c = &l->comps[i];
			size_t at = body.len;

			pack_comp(&body, c, &n->fid, file, c->gen, true);
			out32(&o, c->id);
			out32(&o, c->flags);
			out64(&o, c->start);
			out64(&o, c->end);
			out32(&o, (uint32_t)(head + at));
			out32(&o, (uint32_t)(body.len - at));
			out32(&o, c->gen);
			out64(&o, 0);
			out32(&o, 0);
		}
		if (body.len)
			out(&o, body.p, body.len);
		free(body.p);
		memcpy(o.p + 4, &(uint32_t){ (uint32_t)o.len }, 4);
	}
	*len = o.len;
	return o.p;
}

static int check_comp(struct comp *c)
{
	uint32_t base = c->pattern & ~(PATTERN_RELEASED | PATTERN_OVERSTRIPE);
	uint64_t end;

	if (base == 0)
		c->pattern |= PATTERN_RAID0;
	else if (base != PATTERN_RAID0 && base != PATTERN_MDT)
		return -EINVAL;
	if (c->stripe_size == 0)
		c->stripe_size = DEFAULT_STRIPE;
	if (c->stripe_size % 65536 != 0)
		return -EINVAL;
	/* whole stripes fit into a component: otherwise the largest power of two that its end is a multiple of */
	end = c->end == UINT64_MAX ? UINT64_MAX : (c->end + 65535) & ~(uint64_t)65535;
	if (end != UINT64_MAX && end % c->stripe_size != 0)
		c->stripe_size = (uint32_t)(end & ~(end - 1));
	if (c->pattern & PATTERN_MDT)
		c->stripe_count = 0;
	else if (c->stripe_count == 0)
		c->stripe_count = 1;
	else if (c->stripe_count == 0xffff)
		c->stripe_count = (uint16_t)sim.nosts;
	if (c->stripe_count > sim.nosts && !(c->pattern & PATTERN_OVERSTRIPE))
		c->stripe_count = (uint16_t)sim.nosts;
	if (c->offset != ANY_OST && c->offset >= sim.nosts)
		return -EINVAL;
	if (c->offset != ANY_OST && pool_of(c) && !(pool_of(c)->osts & 1ULL << c->offset))
		return -EINVAL;
	if (c->start >= c->end)
		return -EINVAL;
	return 0;
}

static int check_layout(struct layout *l)
{
	bool released = layout_released(l);

	for (unsigned i = 0; i < l->ncomps; i++) {
		int rc = check_comp(&l->comps[i]);

		if (rc)
			return rc;
		if ((l->comps[i].pattern & PATTERN_MDT) && (i > 0 || !l->composite))
			return -EINVAL;
		if (released != !!(l->comps[i].pattern & PATTERN_RELEASED))
			return -EINVAL;
	}
	return 0;
}

static uint16_t in16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

static uint32_t in32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint64_t in64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static int unpack_comp(const uint8_t *p, size_t len, struct comp *c)
{
	if (len < 32)
		return -ERANGE;
	if (in32(p) != MAGIC_V1 && in32(p) != MAGIC_V3 && in32(p) != MAGIC_SPECIFIC)
		return -EINVAL;
	c->pattern = in32(p + 4);
	c->stripe_size = in32(p + 24);
	c->stripe_count = in16(p + 28);
	c->offset = in16(p + 30);
	if (in32(p) != MAGIC_V1) {
		if (len < 48)
			return -ERANGE;
		memcpy(c->pool, p + 32, 15);
	}
	/* consecutive OSTs from the first one named: the stand-in keeps no free choice of the rest */
	if (in32(p) == MAGIC_SPECIFIC && len >= 48 + 24)
		c->offset = in32(p + 48 + 20);
	return 0;
}

int layout_unpack(const void *buf, size_t len, struct layout **res)
{
	const uint8_t *p = buf;
	struct layout *l;
	int rc = 0;

	*res = NULL;
	if (len < 4)
		return -ERANGE;
	if (in32(p) != MAGIC_COMP) {
		l = layout_alloc(1);
		l->comps[0].end = UINT64_MAX;
		rc = unpack_comp(p, len, &l->comps[0]);
	} else {
		unsigned n;

		if (len < 32)
			return -ERANGE;
		n = in16(p + 14);
		if (n == 0 || n > MAX_COMPS || len < 32 + (size_t)n * 48)
			return -EINVAL;
		l = layout_alloc(n);
		l->composite = true;
		l->mirrors = (uint16_t)(in16(p + 16) + 1);
		for (unsigned i = 0; i < n && rc == 0; i++) {
			const uint8_t *e = p + 32 + i * 48;
			uint32_t off = in32(e + 24), size = in32(e + 28);

			if (off > len || size > len - off) {
				rc = -EINVAL;
				break;
			}
			rc = unpack_comp(p + off, size, &l->comps[i]);
			l->comps[i].id = in32(e);
			l->comps[i].start = in64(e + 8);
			l->comps[i].end = in64(e + 16);
			l->comps[i].offset = l->comps[i].offset < sim.nosts ? l->comps[i].offset : ANY_OST;
		}
	}
	if (rc == 0)
		rc = check_layout(l);
	if (rc)
		layout_free(l);
	else
		*res = l;
	return rc;
}

/* ---- in the journal ---- */

void layout_encode(const struct layout *l, void (*put)(void *ctx, const void *p, size_t n), void *ctx)
{
	uint32_t head[4] = { l->composite, l->mirrors, l->gen, l->ncomps };

	put(ctx, head, sizeof(head));
	for (unsigned i = 0; i < l->ncomps; i++) {
		const struct comp *c = &l->comps[i];
		uint32_t w[8] = { c->id, c->flags, c->pattern, c->stripe_size, c->stripe_count, c->gen, c->offset, c->nobjs };
		uint64_t e[2] = { c->start, c->end };

		put(ctx, w, sizeof(w));
		put(ctx, e, sizeof(e));
		put(ctx, c->pool, sizeof(c->pool));
		put(ctx, c->objs, c->nobjs * sizeof(*c->objs));
	}
}

struct layout *layout_decode(const uint8_t **pp, const uint8_t *end)
{
	const uint8_t *p = *pp;
	struct layout *l;
	uint32_t head[4];

	if ((size_t)(end - p) < sizeof(head))
		return NULL;
	memcpy(head, p, sizeof(head));
	p += sizeof(head);
	if (head[3] == 0 || head[3] > MAX_COMPS)
		return NULL;
	l = layout_alloc(head[3]);
	l->composite = head[0];
	l->mirrors = (uint16_t)head[1];
	l->gen = head[2];
	for (unsigned i = 0; i < l->ncomps; i++) {
		struct comp *c = &l->comps[i];
		uint32_t w[8];
		uint64_t e[2];
		size_t bytes;

		if ((size_t)(end - p) < sizeof(w) + sizeof(e) + sizeof(c->pool))
			goto bad;
		memcpy(w, p, sizeof(w));
		p += sizeof(w);
		memcpy(e, p, sizeof(e));
		p += sizeof(e);
		memcpy(c->pool, p, sizeof(c->pool));
		p += sizeof(c->pool);
		c->id = w[0];
		c->flags = w[1];
		c->pattern = w[2];
		c->stripe_size = w[3];
		c->stripe_count = (uint16_t)w[4];
		c->gen = (uint16_t)w[5];
		c->offset = w[6];
		c->nobjs = (uint16_t)w[7];
		c->start = e[0];
		c->end = e[1];
		bytes = c->nobjs * sizeof(*c->objs);
		if ((size_t)(end - p) < bytes)
			goto bad;
		if (c->nobjs > 0)
			c->objs = xmemdup(p, bytes);
		p += bytes;
	}
	*pp = p;
	return l;
bad:
	layout_free(l);
	return NULL;
}
