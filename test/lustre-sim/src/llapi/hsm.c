/* HSM state, requests and import. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

/* Bytes that the real client accepts for one request: a third of the largest request to an MDT. */
#define REQUEST_MAX (5 * 1024 / 3)

/* Begins a request about the regular file behind fd; -ENOTTY for everything that takes no HSM ioctl. */
static int begin(int fd, struct pmsg *m, const char *verb)
{
	struct lu_fid fid;
	struct pfid pf;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOTTY;
	rc = sim_fd_fid(fd, &fid);
	if (rc < 0)
		return rc == -ENODATA ? -ENOTTY : rc;
	pf = sim_pfid(&fid);
	pmsg_begin(m, verb);
	pmsg_fid(m, "fid", &pf);
	return 0;
}

static int ask(int fd, const char *verb, struct sim_reply *r)
{
	struct pmsg m;
	int rc = begin(fd, &m, verb);

	memset(r, 0, sizeof(*r));
	return rc < 0 ? rc : sim_call_fd(fd, &m, r);
}

int llapi_hsm_state_get_fd(int fd, struct hsm_user_state *hus)
{
	struct sim_reply r;
	int rc = ask(fd, "hsm_state", &r);

	if (rc == 0) {
		memset(hus, 0, sizeof(*hus)); /* the MDT leaves the action out, too */
		hus->hus_states = (uint32_t)pline_u64(&r.l, "states", 0);
		hus->hus_archive_id = (uint32_t)pline_i64(&r.l, "archive", 0);
	}
	sim_reply_free(&r);
	return rc;
}

int llapi_hsm_state_get(const char *path, struct hsm_user_state *hus)
{
	int rc, fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	rc = llapi_hsm_state_get_fd(fd, hus);
	close(fd);
	return rc;
}

int llapi_hsm_state_set_fd(int fd, uint64_t setmask, uint64_t clearmask, uint32_t archive_id)
{
	struct pmsg m;
	int rc = begin(fd, &m, "hsm_state_set");

	if (rc < 0)
		return rc;
	pmsg_u64(&m, "set", setmask);
	pmsg_u64(&m, "clear", clearmask);
	pmsg_u64(&m, "archive", archive_id);
	return sim_call_fd(fd, &m, NULL);
}

int llapi_hsm_state_set(const char *path, uint64_t setmask, uint64_t clearmask, uint32_t archive_id)
{
	int rc, fd = open(path, O_WRONLY | O_LOV_DELAY_CREATE | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	rc = llapi_hsm_state_set_fd(fd, setmask, clearmask, archive_id);
	close(fd);
	return rc;
}

static const struct {
	const char *name;
	uint32_t hua;
} actions[] = {
	{ "NOOP", HUA_NONE },	    { "ARCHIVE", HUA_ARCHIVE }, { "RESTORE", HUA_RESTORE },
	{ "RELEASE", HUA_RELEASE }, { "REMOVE", HUA_REMOVE },	{ "CANCEL", HUA_CANCEL },
};
#define NACTIONS (sizeof(actions) / sizeof(*actions))

static uint32_t action_of(const struct pline *l)
{
	const char *text = pline_str(l, "action", "0");
	uint64_t n = pline_u64(l, "action", 0);

	for (size_t i = 0; i < NACTIONS; i++)
		if (strcmp(actions[i].name, text) == 0)
			return actions[i].hua;
	if (n >= HSMA_ARCHIVE && n <= HSMA_RESTORE)
		return (uint32_t)(n - HSMA_ARCHIVE + HUA_ARCHIVE);
	if (n == HSMA_REMOVE || n == HSMA_CANCEL)
		return n == HSMA_REMOVE ? HUA_REMOVE : HUA_CANCEL;
	return n == 0 ? HUA_NONE : (uint32_t)n;
}

int llapi_hsm_current_action(const char *path, struct hsm_current_action *hca)
{
	struct sim_reply r;
	int rc, fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	rc = ask(fd, "hsm_state", &r);
	close(fd);
	if (rc == 0) {
		memset(hca, 0, sizeof(*hca));
		hca->hca_action = action_of(&r.l);
		hca->hca_state = hca->hca_action == HUA_NONE ? HPS_NONE : (uint32_t)pline_u64(&r.l, "action_state", 0);
		if (hca->hca_action != HUA_NONE) {
			hca->hca_location.offset = pline_u64(&r.l, "extent_off", 0);
			hca->hca_location.length = hca->hca_state == HPS_RUNNING
							   ? pline_u64(&r.l, "done", 0)
							   : pline_u64(&r.l, "extent_len", LUSTRE_EOF);
		}
	}
	sim_reply_free(&r);
	return rc;
}

struct hsm_user_request *llapi_hsm_user_request_alloc(int itemcount, int data_len)
{
	if (itemcount < 0 || data_len < 0)
		return NULL;
	return calloc(1, sizeof(struct hsm_user_request) + (size_t)itemcount * sizeof(struct hsm_user_item) +
				 (size_t)data_len);
}

int llapi_hsm_request(const char *path, const struct hsm_user_request *request)
{
	const struct hsm_request hr = request->hur_request;
	size_t size = sizeof(*request) + (size_t)hr.hr_itemcount * sizeof(request->hur_user_item[0]) + hr.hr_data_len;
	const char *name = NULL;
	struct sim_mount *mnt;
	struct sim_conn *c;
	struct pmsg m;
	int rc;

	for (size_t i = 0; i < NACTIONS; i++)
		if (actions[i].hua == hr.hr_action)
			name = actions[i].name;
	mnt = malloc(sizeof(*mnt));
	if (mnt == NULL)
		return -ENOMEM;
	rc = *path == '/' ? sim_mount_by_path(path, mnt) : sim_mount_by_fsname(path, mnt);
	if (rc == 0)
		rc = sim_get_mount(mnt, &c);
	free(mnt);
	if (rc < 0)
		return rc;
	if (size >= REQUEST_MAX || name == NULL) {
		sim_put(c, true);
		return name == NULL ? -EINVAL : -E2BIG;
	}
	pmsg_begin(&m, "hsm_request");
	pmsg_str(&m, "action", name);
	pmsg_i64(&m, "archive", (int32_t)hr.hr_archive_id);
	pmsg_u64(&m, "flags", hr.hr_flags);
	pmsg_bytes(&m, "data", &request->hur_user_item[hr.hr_itemcount], hr.hr_data_len);
	for (uint32_t i = 0; i < hr.hr_itemcount; i++) {
		struct hsm_user_item item = request->hur_user_item[i];
		char text[128];

		snprintf(text, sizeof(text), DFID_NOBRACE "@%llu+%llu", PFID(&item.hui_fid),
			 (unsigned long long)item.hui_extent.offset, (unsigned long long)item.hui_extent.length);
		pmsg_str(&m, "item", text);
	}
	rc = sim_call(c, &m, NULL);
	sim_put(c, true);
	return rc;
}

int llapi_hsm_import(const char *dst, int archive, const struct stat *st, unsigned long long stripe_size,
		     int stripe_offset, int stripe_count, int stripe_pattern, char *pool_name, struct lu_fid *newfid)
{
	struct pmsg m;
	int fd, rc;

	if (stripe_pattern == 0)
		stripe_pattern = LOV_PATTERN_RAID0;
	fd = llapi_file_open_pool(dst, O_CREAT | O_WRONLY, (int)st->st_mode, stripe_size, stripe_offset, stripe_count,
				  (int)((unsigned)stripe_pattern | LOV_PATTERN_F_RELEASED), pool_name);
	if (fd < 0) {
		llapi_error(LLAPI_MSG_ERROR, fd, "cannot create '%s' for import", dst);
		return fd;
	}
	rc = llapi_fd2fid(fd, newfid);
	if (rc < 0) {
		llapi_error(LLAPI_MSG_ERROR, rc, "cannot get fid of '%s' for import", dst);
	} else {
		rc = begin(fd, &m, "import"); /* what LL_IOC_HSM_IMPORT does */
		if (rc == 0) {
			pmsg_u64(&m, "mode", st->st_mode);
			pmsg_u64(&m, "uid", st->st_uid);
			pmsg_u64(&m, "gid", st->st_gid);
			pmsg_i64(&m, "size", st->st_size);
			pmsg_i64(&m, "archive", archive);
			pmsg_i64(&m, "atime", st->st_atim.tv_sec);
			pmsg_i64(&m, "mtime", st->st_mtim.tv_sec);
			pmsg_i64(&m, "mtime_ns", st->st_mtim.tv_nsec);
			rc = sim_call_fd(fd, &m, NULL);
		}
		if (rc < 0)
			llapi_error(LLAPI_MSG_ERROR, rc, "cannot import '%s'", dst);
	}
	close(fd);
	if (rc < 0)
		unlink(dst); /* the real one does, too, even where it was there before */
	return rc;
}
