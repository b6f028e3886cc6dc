#include "lov_ea.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_V1 0x0BD10BD0u
#define MAGIC_V3 0x0BD30BD0u
#define MAGIC_SPECIFIC 0x0BD50BD0u
#define MAGIC_COMP_V1 0x0BD60BD0u

/* Sizes of the packed structs. */
#define V1_HEAD 32u
#define V3_HEAD 48u
#define OBJECT 24u
#define COMP_HEAD 32u
#define COMP_ENTRY 48u

/* ---- little-endian access ---- */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

/* ---- memory ---- */

struct lov_ea_comp *lov_ea_add(struct lov_ea *lov)
{
	struct lov_ea_comp *grown = realloc(lov->comps, (lov->ncomps + 1) * sizeof(*grown));

	if (grown == NULL)
		return NULL;
	lov->comps = grown;
	memset(&grown[lov->ncomps], 0, sizeof(*grown));
	grown[lov->ncomps].end = LOV_EA_EOF;
	return &grown[lov->ncomps++];
}

void lov_ea_free(struct lov_ea *lov)
{
	for (size_t i = 0; i < lov->ncomps; i++)
		free(lov->comps[i].objects);
	free(lov->comps);
	memset(lov, 0, sizeof(*lov));
}

int lov_ea_copy(const struct lov_ea *from, struct lov_ea *to)
{
	*to = *from;
	to->comps = NULL;
	to->ncomps = 0;
	for (size_t i = 0; i < from->ncomps; i++) {
		const struct lov_ea_comp *src = &from->comps[i];
		struct lov_ea_comp *c = lov_ea_add(to);

		if (c == NULL)
			goto no_memory;
		*c = *src;
		c->objects = NULL;
		c->nobjects = 0;
		if (src->nobjects > 0) {
			c->objects = malloc(src->nobjects * sizeof(*c->objects));
			if (c->objects == NULL)
				goto no_memory;
			memcpy(c->objects, src->objects, src->nobjects * sizeof(*c->objects));
			c->nobjects = src->nobjects;
		}
	}
	return 0;
no_memory:
	lov_ea_free(to);
	return -ENOMEM;
}

/* ---- objects ---- */

/*
 * l_ost_oi holds an object's id and sequence, or its FID: a real sequence (bit 33 and up) means that the first
 * 64 bits are the FID's sequence, the next 32 its object id, the last 32 its version.
 */
static void get_object(const uint8_t *p, struct lov_ea_object *o)
{
	uint64_t first = get64(p), second = get64(p + 8);

	if (first >= 0x100000000ull) { /* as a FID */
		o->seq = first;
		o->oid = (uint32_t)second;
		o->ver = (uint32_t)(second >> 32);
	} else { /* id, sequence */
		o->seq = second;
		o->oid = (uint32_t)first;
		o->ver = 0;
	}
	o->ost = get32(p + 20);
}

/* Programs get the FID: sequence first, as the recorded bytes of lustre.lov show. */
static void put_object(uint8_t *p, const struct lov_ea_object *o)
{
	put64(p, o->seq);
	put32(p + 8, o->oid);
	put32(p + 12, o->ver);
	put32(p + 16, 0);
	put32(p + 20, o->ost);
}

/* ---- one component's blob ---- */

static int decode_blob(const uint8_t *p, size_t size, struct lov_ea *lov, struct lov_ea_comp *c)
{
	size_t head, n;
	uint32_t magic;

	if (size < V1_HEAD)
		return -EINVAL;
	magic = get32(p);
	if (magic == MAGIC_V1)
		head = V1_HEAD;
	else if (magic == MAGIC_V3 || magic == MAGIC_SPECIFIC)
		head = V3_HEAD;
	else
		return -EINVAL;
	if (size < head)
		return -EINVAL;
	c->pattern = get32(p + 4);
	if (!lov->composite) {
		lov->oi_id = get64(p + 8);
		lov->oi_seq = get64(p + 16);
	}
	c->stripe_size = get32(p + 24);
	c->stripe_count = get16(p + 28);
	c->gen = get16(p + 30);
	c->specific = magic == MAGIC_SPECIFIC;
	if (head == V3_HEAD) {
		memcpy(c->pool, p + 32, LOV_EA_POOL_MAX);
		c->pool[LOV_EA_POOL_MAX - 1] = '\0';
	}
	n = (size - head) / OBJECT;
	if (c->stripe_count == 0xffff || c->pattern & LOV_EA_RELEASED || c->pattern & LOV_EA_MDT)
		n = 0;
	else if (n > c->stripe_count)
		n = c->stripe_count;
	if (n > LOV_EA_MAX_STRIPES)
		return -EINVAL;
	if (n == 0)
		return 0;
	c->objects = calloc(n, sizeof(*c->objects));
	if (c->objects == NULL)
		return -ENOMEM;
	c->nobjects = n;
	for (size_t i = 0; i < n; i++)
		get_object(p + head + i * OBJECT, &c->objects[i]);
	return 0;
}

static size_t blob_size(const struct lov_ea_comp *c)
{
	return (c->pool[0] != '\0' || c->specific ? V3_HEAD : V1_HEAD) + c->nobjects * OBJECT;
}

static void encode_blob(uint8_t *p, const struct lov_ea *lov, const struct lov_ea_comp *c)
{
	size_t head = V1_HEAD;

	put32(p, MAGIC_V1);
	if (c->pool[0] != '\0' || c->specific) {
		put32(p, c->specific ? MAGIC_SPECIFIC : MAGIC_V3);
		memcpy(p + 32, c->pool, LOV_EA_POOL_MAX);
		head = V3_HEAD;
	}
	put32(p + 4, c->pattern);
	put64(p + 8, lov->oi_id);
	put64(p + 16, lov->oi_seq);
	put32(p + 24, c->stripe_size);
	put16(p + 28, c->stripe_count);
	put16(p + 30, c->gen);
	for (size_t i = 0; i < c->nobjects; i++)
		put_object(p + head + i * OBJECT, &c->objects[i]);
}

/* ---- the whole ---- */

static int decode_composite(const uint8_t *p, size_t size, struct lov_ea *out)
{
	size_t total, n;

	if (size < COMP_HEAD)
		return -EINVAL;
	total = get32(p + 4);
	n = get16(p + 14);
	if (total > size || total < COMP_HEAD + n * COMP_ENTRY)
		return -EINVAL;
	out->composite = true;
	out->gen = get32(p + 8);
	out->flags = get16(p + 12);
	out->mirrors = (uint16_t)(get16(p + 16) + 1);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *e = p + COMP_HEAD + i * COMP_ENTRY;
		size_t off = get32(e + 24), len = get32(e + 28);
		struct lov_ea_comp *c;
		int rc;

		if (off > total || len > total - off)
			return -EINVAL;
		c = lov_ea_add(out);
		if (c == NULL)
			return -ENOMEM;
		c->id = get32(e);
		c->flags = get32(e + 4);
		c->start = get64(e + 8);
		c->end = get64(e + 16);
		rc = decode_blob(p + off, len, out, c);
		if (rc < 0)
			return rc;
		if (i == 0) {
			out->oi_id = get64(p + off + 8);
			out->oi_seq = get64(p + off + 16);
		}
	}
	return 0;
}

int lov_ea_decode(const void *data, size_t size, struct lov_ea *out)
{
	const uint8_t *p = data;
	struct lov_ea_comp *c;
	int rc;

	memset(out, 0, sizeof(*out));
	out->mirrors = 1;
	if (size < 4 || size > LOV_EA_MAX)
		return -EINVAL;
	if (get32(p) == MAGIC_COMP_V1) {
		rc = decode_composite(p, size, out);
	} else {
		c = lov_ea_add(out);
		rc = c == NULL ? -ENOMEM : decode_blob(p, size, out, c);
	}
	if (rc < 0)
		lov_ea_free(out);
	return rc;
}

int lov_ea_encode(const struct lov_ea *lov, void **out, size_t *size)
{
	size_t total = 0, off;
	uint8_t *p;

	if (lov->ncomps == 0 || (!lov->composite && lov->ncomps != 1))
		return -EINVAL;
	for (size_t i = 0; i < lov->ncomps; i++)
		total += blob_size(&lov->comps[i]);
	if (lov->composite)
		total += COMP_HEAD + lov->ncomps * COMP_ENTRY;
	if (total > LOV_EA_MAX)
		return -E2BIG;
	p = calloc(1, total);
	if (p == NULL)
		return -ENOMEM;
	*out = p;
	*size = total;
	if (!lov->composite) {
		encode_blob(p, lov, &lov->comps[0]);
		return 0;
	}
	put32(p, MAGIC_COMP_V1);
	put32(p + 4, (uint32_t)total);
	put32(p + 8, lov->gen);
	put16(p + 12, lov->flags);
	put16(p + 14, (uint16_t)lov->ncomps);
	put16(p + 16, (uint16_t)(lov->mirrors > 0 ? lov->mirrors - 1 : 0));
	off = COMP_HEAD + lov->ncomps * COMP_ENTRY;
	for (size_t i = 0; i < lov->ncomps; i++) {
		const struct lov_ea_comp *c = &lov->comps[i];
		uint8_t *e = p + COMP_HEAD + i * COMP_ENTRY;

		put32(e, c->id);
		put32(e + 4, c->flags);
		put64(e + 8, c->start);
		put64(e + 16, c->end);
		put32(e + 24, (uint32_t)off);
		put32(e + 28, (uint32_t)blob_size(c));
		encode_blob(p + off, lov, c);
		off += blob_size(c);
	}
	return 0;
}
