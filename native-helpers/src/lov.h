/* The layout xattr (trusted.lov, lustre.lov): read safely, and written again for a restore's new file. */
#ifndef LFSAZSYNC_LOV_H
#define LFSAZSYNC_LOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "lustre_abi.h"

enum { LOV_MAX_COMPONENTS = 128 };

struct lov_component {
	uint64_t start, end; /* end UINT64_MAX: EOF */
	uint32_t flags;
	uint32_t pattern;
	uint32_t stripe_size;
	uint16_t stripe_count; /* 0xffff: all */
	char pool[LOV_MAXPOOLNAME + 1];
	/* Its objects (struct lov_user_ost_data_v1) in the xattr that was parsed, while that is there. */
	const unsigned char *objects;
	unsigned object_count;
};

struct lov_layout {
	bool composite;
	bool foreign;
	bool plain; /* nothing in it that lov_build can't say again (no mirrors, extension components, …) */
	unsigned count;
	struct lov_component components[LOV_MAX_COMPONENTS];
};

/* NULL, or what is wrong. */
const char *lov_parse(struct lov_layout *layout, const void *xattr, size_t size);
enum { LOV_MAX_OSTS = 2000 };
/* The OSTs that have objects of the file, each once, ascending, while the parsed xattr is still there. How many. */
unsigned lov_osts(const struct lov_layout *layout, uint32_t osts[LOV_MAX_OSTS]);
/* The component that speaks for all: the last one that has objects, as that is where the file's end is. */
const struct lov_component *lov_last(const struct lov_layout *layout);
/*
 * The "lustre.lov" value with which a new file gets the same stripes, sizes and pools, without RELEASED, on OSTs that
 * Lustre chooses. 0, or -EOPNOTSUPP for what isn't `plain`.
 */
int lov_build(const struct lov_layout *layout, struct buf *out);
/* The protocol's `layout` object. */
void lov_json(const struct lov_layout *layout, struct buf *out);

#endif
