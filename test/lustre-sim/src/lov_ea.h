/*
 * The layout of a Lustre file as programs see it (the bytes of `lustre.lov`, `trusted.lov` and of the ioctl
 * LL_IOC_LOV_GETSTRIPE), taken apart and put together. Shared by the daemon and its clients; no dependencies.
 * Source of the numbers: lustre/include/uapi/linux/lustre/lustre_user.h of Lustre 2.15 and 2.17.
 */
#ifndef LUSTRE_SIM_LOV_EA_H
#define LUSTRE_SIM_LOV_EA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOV_EA_EOF UINT64_MAX
#define LOV_EA_MAX 65536
#define LOV_EA_MAX_STRIPES 2000
#define LOV_EA_POOL_MAX 16

/* lmm_pattern */
#define LOV_EA_RAID0 0x001u
#define LOV_EA_MDT 0x100u
#define LOV_EA_OVERSTRIPING 0x200u
#define LOV_EA_RELEASED 0x80000000u

/* lcme_flags */
#define LOV_EA_FL_STALE 0x01u
#define LOV_EA_FL_INIT 0x10u

/* One object: the OST's index and the object's FID (0:0:0 where only the index is asked for). */
struct lov_ea_object {
	uint32_t ost;
	uint64_t seq;
	uint32_t oid;
	uint32_t ver;
};

/* One component; a plain layout has exactly one, with the extent [0, EOF). */
struct lov_ea_comp {
	uint32_t id; /* composite only; the mirror's number is in bits 16..30 */
	uint32_t flags;
	uint64_t start, end; /* [start, end); end may be LOV_EA_EOF */
	uint32_t pattern;
	uint32_t stripe_size; /* 0: default */
	uint16_t stripe_count; /* 0: default; 0xffff: all */
	uint16_t gen; /* lmm_layout_gen when read, lmm_stripe_offset (0xffff: any) when set */
	char pool[LOV_EA_POOL_MAX];
	bool specific; /* a request that names its OSTs: objects[].ost */
	struct lov_ea_object *objects; /* nobjects of them; none when released, DoM or not instantiated */
	size_t nobjects;
};

struct lov_ea {
	bool composite;
	uint32_t gen; /* of a composite */
	uint16_t flags; /* lcm_flags: FLR state */
	uint16_t mirrors; /* 1 and up */
	uint64_t oi_id, oi_seq; /* lmm_oi: object id and sequence of the file's FID */
	struct lov_ea_comp *comps;
	size_t ncomps;
};

/* Reads bytes; every length and offset is checked. 0, -EINVAL or -ENOMEM. Free with lov_ea_free in any case. */
int lov_ea_decode(const void *data, size_t size, struct lov_ea *out);
/* Writes bytes, malloc'ed into *out; 0, -EINVAL, -ENOMEM or -E2BIG. */
int lov_ea_encode(const struct lov_ea *lov, void **out, size_t *size);
/* Adds an empty component at the end and returns it, or NULL. */
struct lov_ea_comp *lov_ea_add(struct lov_ea *lov);
/* A deep copy; 0 or -ENOMEM. */
int lov_ea_copy(const struct lov_ea *from, struct lov_ea *to);
void lov_ea_free(struct lov_ea *lov);

#endif
