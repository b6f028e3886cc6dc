/* What a scan tells of one directory entry, with as few requests to Lustre's servers as it takes. */
#ifndef LFSAZSYNC_ENTRY_H
#define LFSAZSYNC_ENTRY_H

#include "helper.h"
#include "lov.h"

/* One thread's. */
struct entry_reader {
	const struct helper *h;
	struct entry_ways ways;
	bool exact; /* by FID: every file's HSM state is asked for, and all names of everything are told */
	bool actions; /* with exact: and what the coordinator has under way for it */
	unsigned char *value; /* of an xattr */
	struct lov_layout layout;
	uint32_t osts[LOV_MAX_OSTS];
};

enum entry_result {
	ENTRY_TOLD,
	ENTRY_DIRECTORY, /* told, and it is to be walked */
	ENTRY_GONE,
	ENTRY_FOREIGN, /* another file system is mounted there */
	ENTRY_FAILED,
};

/* The FID of what is open (O_PATH will do): 0 or -errno. */
int entry_fid_of(const struct helper *h, int fd, struct lu_fid *fid);

/* Tries them on the mount's root. */
struct entry_ways entry_ways(const struct helper *h);
bool entry_reader_init(struct entry_reader *r, const struct helper *h, struct entry_ways ways);
void entry_reader_free(struct entry_reader *r);
/* Appends the protocol's list for an entry of a directory, and gives its FID. ENTRY_FAILED with *rc: nothing was appended. */
enum entry_result entry_read(struct entry_reader *r, int directory, const char *name,
			     struct buf *out, struct lu_fid *fid, int *rc);

/* The same by FID, without a name in the list: 0, or -errno and nothing was appended. */
int entry_read_fid(struct entry_reader *r, const struct lu_fid *fid, struct buf *out);

/* What the coordinator has under way, as `{"action":…,"state":…,"done":…}`. */
void action_json(const struct hsm_current_action *hca, struct buf *out);

/* All names of a file that has `nlink` of them, as `[[[parent,name],…],complete]`; `xattr`: its trusted.link, if size is positive. */
void links_json(const struct helper *h, const struct lu_fid *fid, const void *xattr, ssize_t size, uint32_t nlink,
		struct buf *out);

#endif
