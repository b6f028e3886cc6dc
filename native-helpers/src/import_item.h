/* What the requests of the mode import list: taken out of JSON, checked. */
#ifndef LFSAZSYNC_IMPORT_ITEM_H
#define LFSAZSYNC_IMPORT_ITEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fields.h"

enum { NAME_BYTES = 256 };

struct import_attributes {
	mode_t mode; /* the low 12 bits */
	uid_t uid;
	gid_t gid;
	int64_t mtime;
};

/* Our record without the FID that stands in it, which is known only when the file is made. Points into the request. */
struct import_record {
	const char *before, *after;
	size_t before_len, after_len;
};

enum import_kind { IMPORT_FILE, IMPORT_EMPTY, IMPORT_DIRECTORY, IMPORT_SYMLINK, IMPORT_LINK };

struct import_item {
	enum import_kind kind;
	char name[NAME_BYTES];
	struct import_attributes attributes;
	uint64_t size;		     /* file: not 0 */
	struct import_record record; /* file, empty */
	struct lu_fid fid;	     /* link: of what */
	char target[PATH_BYTES];     /* symlink */
};

/*
 * `["file",name,mode,uid,gid,mtime,size,before,after]`, `["empty",name,mode,uid,gid,mtime,before,after]`,
 * `["dir",name,mode,uid,gid]`, `["symlink",name,uid,gid,mtime,target]`, `["link",name,fid]`. False: it is none of these.
 */
bool import_item(const struct json *item, struct import_item *out);

/* Elements of a list, one after the other: false if there is none, or an unfit one. `*at` ends as NULL. */
bool take_fid(const struct json **at, struct lu_fid *fid);
bool take_name(const struct json **at, char name[NAME_BYTES]);
bool take_u64(const struct json **at, uint64_t max, uint64_t *value);
/* mode, uid, gid, mtime */
bool take_attributes(const struct json **at, struct import_attributes *a);
/* before, after */
bool take_record(const struct json **at, struct import_record *r);
bool take_bool(const struct json **at, bool *value);

#endif
