/* Space and state of one metadata server or storage target. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

enum { EXT4_MAGIC = 0xEF53, BLOCK = 4096, NAME_BYTES = 255 };

/* As IOC_OBD_STATFS: one reply a target; ENODEV from the first index on that there never was. */
int llapi_obd_fstatfs(int fd, uint32_t type, uint32_t index, struct obd_statfs *stat_buf, struct obd_uuid *uuid_buf)
{
	struct sim_reply r;
	struct pmsg m;
	int rc;

	if ((type & (LL_STATFS_LMV | LL_STATFS_LOV)) == 0)
		return -EINVAL;
	pmsg_begin(&m, "statfs");
	pmsg_str(&m, "kind", type & LL_STATFS_LMV ? "MDT" : "OST");
	pmsg_u64(&m, "index", index);
	pmsg_u64(&m, "nodelay", type & LL_STATFS_NODELAY ? 1 : 0);
	rc = sim_call_fd(fd, &m, &r);
	if (rc == 0) {
		memset(stat_buf, 0, sizeof(*stat_buf));
		memset(uuid_buf, 0, sizeof(*uuid_buf));
		stat_buf->os_type = EXT4_MAGIC;
		stat_buf->os_bsize = BLOCK;
		stat_buf->os_namelen = NAME_BYTES;
		stat_buf->os_blocks = pline_u64(&r.l, "total_kb", 0) * 1024 / BLOCK;
		stat_buf->os_bavail = pline_u64(&r.l, "free_kb", 0) * 1024 / BLOCK;
		stat_buf->os_bfree = stat_buf->os_bavail;
		stat_buf->os_files = pline_u64(&r.l, "inodes", 0);
		stat_buf->os_ffree = pline_u64(&r.l, "ifree", 0);
		snprintf(uuid_buf->uuid, sizeof(uuid_buf->uuid), "%s", pline_str(&r.l, "uuid", ""));
	}
	sim_reply_free(&r);
	return rc;
}

int llapi_obd_statfs(char *path, uint32_t type, uint32_t index, struct obd_statfs *stat_buf, struct obd_uuid *uuid_buf)
{
	int rc, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) { /* so that a caller who goes on until ENODEV ends */
		llapi_error(LLAPI_MSG_ERROR, -errno, "error: %s: opening '%s'", __func__, path);
		return -ENODEV;
	}
	rc = llapi_obd_fstatfs(fd, type, index, stat_buf, uuid_buf);
	close(fd);
	return rc;
}
