#include "lov.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* component flags */
	LCME_FL_INIT = 0x10,
	LCME_FL_EXTENSION = 0x40,
	LCME_FL_PARITY = 0x80,
};

static const char *parse_component(struct lov_component *c, const unsigned char *p, size_t size, bool *extension)
{
	struct lov_user_md md = { 0 };

	if (size < LOV_USER_MD_V1_SIZE)
		return "a component is shorter than a layout";
	memcpy(&md, p, LOV_USER_MD_V1_SIZE);
	if (md.lmm_magic == LOV_USER_MAGIC_V3 || md.lmm_magic == LOV_USER_MAGIC_SEL) {
		if (size < LOV_USER_MD_V3_SIZE)
			return "a component is shorter than its layout";
		memcpy(&md, p, LOV_USER_MD_V3_SIZE);
		memcpy(c->pool, md.lmm_pool_name, LOV_MAXPOOLNAME); /* the last byte stays NUL */
	} else if (md.lmm_magic != LOV_USER_MAGIC_V1) {
		return "unknown kind of layout in a component";
	}
	*extension |= md.lmm_magic == LOV_USER_MAGIC_SEL;
	c->pattern = md.lmm_pattern;
	c->stripe_size = md.lmm_stripe_size;
	c->stripe_count = md.lmm_stripe_count;
	if (md.lmm_stripe_count != 0xffff && !(md.lmm_pattern & (LOV_PATTERN_F_RELEASED | LOV_PATTERN_MDT))) {
		size_t head = md.lmm_magic == LOV_USER_MAGIC_V1 ? LOV_USER_MD_V1_SIZE : LOV_USER_MD_V3_SIZE;
		size_t room = (size - head) / sizeof(struct lov_user_ost_data_v1);

		c->objects = p + head;
		c->object_count = md.lmm_stripe_count < room ? md.lmm_stripe_count : (unsigned)room;
	}
	return NULL;
}

static const char *parse_composite(struct lov_layout *layout, const unsigned char *p, size_t size)
{
	struct lov_comp_md_v1 head;
	bool extension = false;

	if (size < sizeof(head))
		return "shorter than a composite layout's head";
	memcpy(&head, p, sizeof(head));
	if (head.lcm_size > size)
		return "shorter than the composite layout says";
	if (head.lcm_entry_count > LOV_MAX_COMPONENTS)
		return "too many components";
	if ((size_t)head.lcm_entry_count * sizeof(struct lov_comp_md_entry_v1) > size - sizeof(head))
		return "its components do not fit into it";
	layout->composite = true;
	layout->plain = head.lcm_mirror_count == 0;
	for (unsigned i = 0; i < head.lcm_entry_count; i++) {
		struct lov_comp_md_entry_v1 entry;
		struct lov_component *c = &layout->components[i];

		memcpy(&entry, p + sizeof(head) + i * sizeof(entry), sizeof(entry));
		if (entry.lcme_offset > size || entry.lcme_size > size - entry.lcme_offset)
			return "a component lies outside of it";
		c->start = entry.lcme_start;
		c->end = entry.lcme_end;
		c->flags = entry.lcme_flags;

		const char *error = parse_component(c, p + entry.lcme_offset, entry.lcme_size, &extension);

		if (error)
			return error;
		if (!(c->flags & LCME_FL_INIT))
			c->object_count = 0;
		if (c->flags & (LCME_FL_EXTENSION | LCME_FL_PARITY))
			layout->plain = false;
		layout->count++;
	}
	if (extension || layout->count == 0)
		layout->plain = false;
	return NULL;
}

const char *lov_parse(struct lov_layout *layout, const void *xattr, size_t size)
{
	uint32_t magic;
	bool extension = false;

	*layout = (struct lov_layout){ 0 };
	if (size < sizeof(magic))
		return "too short";
	memcpy(&magic, xattr, sizeof(magic));
	if (magic == LOV_USER_MAGIC_FOREIGN) {
		layout->foreign = true;
		return NULL;
	}
	if (magic == LOV_USER_MAGIC_COMP_V1)
		return parse_composite(layout, xattr, size);
	layout->plain = true;
	layout->count = 1;
	layout->components[0].end = UINT64_MAX;

	const char *error = parse_component(&layout->components[0], xattr, size, &extension);

	if (extension)
		layout->plain = false;
	return error;
}

static void build_component(const struct lov_component *c, struct buf *out)
{
	struct lov_user_md md = {
		.lmm_magic = c->pool[0] ? LOV_USER_MAGIC_V3 : LOV_USER_MAGIC_V1,
		.lmm_pattern = c->pattern & ~(LOV_PATTERN_F_RELEASED | LOV_PATTERN_F_HOLE),
		.lmm_stripe_size = c->stripe_size,
		.lmm_stripe_count = c->stripe_count,
		.lmm_stripe_offset = 0xffff, /* wherever there is room */
	};

	memcpy(md.lmm_pool_name, c->pool, sizeof(md.lmm_pool_name));
	buf_add(out, &md, c->pool[0] ? LOV_USER_MD_V3_SIZE : LOV_USER_MD_V1_SIZE);
}

static size_t component_size(const struct lov_component *c)
{
	return c->pool[0] ? LOV_USER_MD_V3_SIZE : LOV_USER_MD_V1_SIZE;
}

int lov_build(const struct lov_layout *layout, struct buf *out)
{
	const uint32_t known = LOV_PATTERN_RAID0 | LOV_PATTERN_MDT | LOV_PATTERN_OVERSTRIPING | LOV_PATTERN_F_RELEASED;

	if (!layout->plain || layout->foreign || layout->count == 0)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < layout->count; i++)
		if (layout->components[i].pattern & ~known)
			return -EOPNOTSUPP;
	if (!layout->composite) {
		build_component(&layout->components[0], out);
		return out->failed ? -ENOMEM : 0;
	}

	size_t offset = sizeof(struct lov_comp_md_v1) + layout->count * sizeof(struct lov_comp_md_entry_v1);
	size_t size = offset;

	for (unsigned i = 0; i < layout->count; i++)
		size += component_size(&layout->components[i]);

	struct lov_comp_md_v1 head = {
		.lcm_magic = LOV_USER_MAGIC_COMP_V1,
		.lcm_size = (uint32_t)size,
		.lcm_entry_count = (uint16_t)layout->count,
	};

	buf_add(out, &head, sizeof(head));
	for (unsigned i = 0; i < layout->count; i++) {
		struct lov_comp_md_entry_v1 entry = {
			.lcme_start = layout->components[i].start,
			.lcme_end = layout->components[i].end,
			.lcme_offset = (uint32_t)offset,
			.lcme_size = (uint32_t)component_size(&layout->components[i]),
		};

		buf_add(out, &entry, sizeof(entry));
		offset += entry.lcme_size;
	}
	for (unsigned i = 0; i < layout->count; i++)
		build_component(&layout->components[i], out);
	return out->failed ? -ENOMEM : 0;
}

static void pattern_json(uint32_t pattern, struct buf *out)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ LOV_PATTERN_RAID0, "raid0" },
		{ LOV_PATTERN_RAID1, "raid1" },
		{ LOV_PATTERN_MDT, "mdt" },
		{ LOV_PATTERN_OVERSTRIPING, "overstriped" },
		{ LOV_PATTERN_FOREIGN, "foreign" },
		{ LOV_PATTERN_F_HOLE, "hole" },
		{ LOV_PATTERN_F_RELEASED, "released" },
	};
	const char *comma = "";

	buf_str(out, "\"pattern\":[");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (pattern & names[i].bit) {
			buf_printf(out, "%s\"%s\"", comma, names[i].name);
			comma = ",";
		}
	buf_str(out, "]");
}

static void component_json(const struct lov_component *c, struct buf *out)
{
	buf_printf(out, "\"stripe_count\":%d,\"stripe_size\":%u,",
		   c->stripe_count == 0xffff ? -1 : (int)c->stripe_count, c->stripe_size);
	pattern_json(c->pattern, out);
	buf_str(out, ",\"pool\":");
	buf_json_string(out, c->pool, strlen(c->pool));
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

unsigned lov_osts(const struct lov_layout *layout, uint32_t osts[LOV_MAX_OSTS])
{
	unsigned count = 0, unique = 0;

	for (unsigned i = 0; i < layout->count; i++)
		for (unsigned j = 0; j < layout->components[i].object_count && count < LOV_MAX_OSTS; j++) {
			struct lov_user_ost_data_v1 object;

			memcpy(&object, layout->components[i].objects + j * sizeof(object), sizeof(object));
			osts[count++] = object.l_ost_idx;
		}
	if (count > 1)
		qsort(osts, count, sizeof(*osts), by_number);
	for (unsigned i = 0; i < count; i++)
		if (unique == 0 || osts[i] != osts[unique - 1])
			osts[unique++] = osts[i];
	return unique;
}

const struct lov_component *lov_last(const struct lov_layout *layout)
{
	static const struct lov_component none = { .pattern = LOV_PATTERN_FOREIGN };
	const struct lov_component *c = layout->count ? &layout->components[0] : &none;

	for (unsigned i = 1; i < layout->count; i++)
		if (layout->components[i].flags & LCME_FL_INIT)
			c = &layout->components[i];
	return c;
}

void lov_json(const struct lov_layout *layout, struct buf *out)
{
	uint32_t osts[LOV_MAX_OSTS];
	unsigned count = lov_osts(layout, osts);

	buf_str(out, "{");
	component_json(lov_last(layout), out);
	buf_str(out, ",\"osts\":[");
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			buf_add(out, ",", 1);
		buf_u64(out, osts[i]);
	}
	buf_str(out, "]");
	buf_printf(out, ",\"composite\":%s", layout->composite ? "true" : "false");
	if (layout->composite) {
		buf_str(out, ",\"components\":[");
		for (unsigned i = 0; i < layout->count; i++) {
			const struct lov_component *one = &layout->components[i];

			buf_printf(out, "%s{\"start\":\"%llu\",\"end\":\"%llu\",\"init\":%s,", i ? "," : "",
				   (unsigned long long)one->start, (unsigned long long)one->end,
				   one->flags & LCME_FL_INIT ? "true" : "false");
			component_json(one, out);
			buf_str(out, "}");
		}
		buf_str(out, "]");
	}
	buf_str(out, "}");
}
