/* Reading a changelog record, whatever its flags and lengths claim. */
#ifndef LFSAZSYNC_RECORD_H
#define LFSAZSYNC_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "lustre_abi.h"

struct record {
	uint64_t index;
	uint64_t time_ms; /* since 1970 */
	uint32_t type;
	uint16_t flags; /* the 12 bits that depend on the type */
	bool has_owner;
	struct lu_fid fid, parent; /* zero: none */
	struct lu_fid source, source_parent;
	uint64_t uid, gid;
	/* All point into the record and may have no NUL. */
	const char *name, *source_name, *xattr;
	size_t name_len, source_name_len, xattr_len;
};

/*
 * Reads a record of at most `size` bytes; nothing behind what its own flags claim is touched. NULL, or what is wrong:
 * `index` and `type` are right even then if the head was there (`size` at least that of struct changelog_rec).
 */
const char *record_parse(struct record *r, const void *data, size_t size);
/* Appends the record as the protocol's list. */
void record_json(const struct record *r, struct buf *out);

#endif
