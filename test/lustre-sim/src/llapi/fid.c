/* FIDs, paths, data versions. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

/* One field; ERANGE does not stop the parse, so that the end is found. */
static int field(const char **p, uint64_t max, char stop, uint64_t *out)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(*p, &end, 0);
	if (end == *p || (stop != '\0' && *end != stop)) {
		*p = end;
		return -EINVAL;
	}
	*p = stop != '\0' ? end + 1 : end;
	if (errno == ERANGE || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int llapi_fid_parse(const char *fidstr, struct lu_fid *fid, char **endptr)
{
	uint64_t part[3] = { 0, 0, 0 };
	const char *p = fidstr;
	bool bracket = false;
	int rc = 0;

	if (fidstr == NULL || fid == NULL) {
		rc = -EINVAL;
		goto out;
	}
	while (isspace((unsigned char)*p))
		p++;
	for (; *p == '['; p++)
		bracket = true;
	for (int i = 0; i < 3; i++) {
		int one = field(&p, i == 0 ? UINT64_MAX - 1 : UINT32_MAX, i < 2 ? ':' : '\0', &part[i]);

		if (one == -EINVAL) {
			rc = -EINVAL;
			goto out;
		}
		if (one < 0)
			rc = one;
	}
	if (rc == 0) {
		fid->f_seq = part[0];
		fid->f_oid = (uint32_t)part[1];
		fid->f_ver = (uint32_t)part[2];
	}
	if (bracket && *p == ']')
		p++;
out:
	if (endptr != NULL)
		*endptr = (char *)p;
	errno = -rc;
	return rc;
}

int llapi_fid2path_at(int mnt_fd, const struct lu_fid *fid, char *path, int pathlen, long long *recno, int *linkno)
{
	struct pfid pf = sim_pfid(fid);
	struct sim_reply r;
	struct pmsg m;
	int rc;

	pmsg_begin(&m, "fid2path");
	pmsg_fid(&m, "fid", &pf);
	pmsg_i64(&m, "recno", recno != NULL ? *recno : -1);
	pmsg_i64(&m, "linkno", linkno != NULL ? *linkno : 0);
	rc = sim_call_fd(mnt_fd, &m, &r);
	if (rc == 0) {
		const struct pword *w = pline_find(&r.l, "path");

		if (w == NULL || memchr(w->value, '\0', w->len) != NULL) {
			rc = -EPROTO;
		} else if (pathlen <= 0 || w->len + 1 > (size_t)pathlen) {
			rc = -ERANGE;
		} else {
			/* the root is "/"; everything else is relative to it */
			strcpy(path, w->len > 0 ? w->value : pathlen > 1 ? "/" : "");
			if (recno != NULL)
				*recno = pline_i64(&r.l, "recno", *recno);
			if (linkno != NULL)
				*linkno = (int)pline_i64(&r.l, "linkno", *linkno);
		}
	}
	sim_reply_free(&r);
	return rc;
}

int llapi_fid2path(const char *device, const char *fidstr, char *path, int pathlen, long long *recno, int *linkno)
{
	struct lu_fid fid;
	int fd, rc;

	if (device == NULL || *device == '\0')
		return -EINVAL;
	rc = llapi_fid_parse(fidstr, &fid, NULL);
	if (rc < 0) {
		sim_err_noerrno(LLAPI_MSG_ERROR, "bad FID format '%s', should be [seq:oid:ver] (e.g. " DFID ")\n",
				fidstr, 0x200000400ULL, 2, 0);
		return rc;
	}
	rc = llapi_root_path_open(device, &fd);
	if (rc < 0)
		return rc;
	rc = llapi_fid2path_at(fd, &fid, path, pathlen, recno, linkno);
	close(fd);
	return rc;
}

int llapi_fd2fid(int fd, struct lu_fid *fid)
{
	memset(fid, 0, sizeof(*fid));
	return sim_fd_fid(fd, fid);
}

int llapi_path2fid(const char *path, struct lu_fid *fid)
{
	int rc, fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	rc = llapi_fd2fid(fd, fid);
	close(fd);
	return rc;
}

int llapi_fd2parent(int fd, unsigned int linkno, struct lu_fid *parent_fid, char *name, size_t name_size)
{
	char path[PATH_MAX], full[2 * PATH_MAX], *slash;
	struct sim_mount m;
	struct lu_fid fid;
	long long recno = -1;
	int rc, link = 0;

	if (name != NULL && name_size <= 1)
		return -EOVERFLOW;
	rc = sim_mount_by_fd(fd, &m);
	if (rc == 0)
		rc = sim_fd_fid(fd, &fid);
	if (rc < 0)
		return rc;
	/* the next link's number comes back; the same number: there is no other link */
	for (unsigned i = 0;; i++) {
		int before = link;

		rc = llapi_fid2path_at(fd, &fid, path, sizeof(path), &recno, &link);
		if (rc < 0)
			return rc;
		if (i == linkno)
			break;
		if (link == before)
			return -ENODATA;
	}
	if (strcmp(path, "/") == 0)
		return -ENODATA;
	slash = strrchr(path, '/');
	if (name != NULL && strlen(slash ? slash + 1 : path) >= name_size)
		return -EOVERFLOW;
	if (name != NULL)
		strcpy(name, slash ? slash + 1 : path);
	if (slash != NULL)
		*slash = '\0';
	snprintf(full, sizeof(full), "%s/%s", m.mnt, slash ? path : "");
	return parent_fid == NULL ? 0 : llapi_path2fid(full, parent_fid);
}

int llapi_path2parent(const char *path, unsigned int linkno, struct lu_fid *parent_fid, char *name, size_t name_size)
{
	int rc, fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	rc = llapi_fd2parent(fd, linkno, parent_fid, name, name_size);
	close(fd);
	return rc;
}

int llapi_get_mdt_index_by_fid(int fd, const struct lu_fid *fid, int *mdt_index)
{
	struct pfid pf = sim_pfid(fid);
	struct sim_reply r;
	struct pmsg m;
	int rc;

	pmsg_begin(&m, "mdtidx");
	pmsg_fid(&m, "fid", &pf);
	rc = sim_call_fd(fd, &m, &r);
	if (rc == 0) /* as of the ioctl, which returns it: not 0 */
		rc = (int)pline_i64(&r.l, "mdt", 0);
	if (rc >= 0 && mdt_index != NULL)
		*mdt_index = rc;
	sim_reply_free(&r);
	return rc;
}

int llapi_fid_to_handle(struct file_handle **handle, const struct lu_fid *fid)
{
	struct lustre_file_handle lfh = { .lfh_parent = { 0, 0, 0 } };
	struct file_handle *h;

	if (handle == NULL || fid == NULL)
		return -EINVAL;
	h = calloc(1, sizeof(*h) + sizeof(lfh));
	if (h == NULL)
		return -ENOMEM;
	lfh.lfh_child = *fid;
	h->handle_bytes = sizeof(lfh);
	h->handle_type = FILEID_LUSTRE;
	memcpy(h->f_handle, &lfh, sizeof(lfh));
	*handle = h;
	return 0;
}

int llapi_open_by_fid_at(int lustre_fd, const struct lu_fid *fid, int open_flags)
{
	char path[PATH_MAX + 96];
	struct sim_mount m;
	int fd, rc = sim_mount_by_fd(lustre_fd, &m);

	if (rc < 0) {
		errno = -rc;
		return -1;
	}
	snprintf(path, sizeof(path), "%s/.lustre/fid/" DFID_NOBRACE, m.mnt, PFID(fid));
	fd = open(path, open_flags);
	return fd;
}

int llapi_open_by_fid(const char *lustre_dir, const struct lu_fid *fid, int open_flags)
{
	int saved, fd, dir = open(lustre_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return -1;
	fd = llapi_open_by_fid_at(dir, fid, open_flags);
	saved = errno;
	close(dir);
	errno = saved;
	return fd;
}

/* The data version of the regular file behind fd, and its layout's version; as LL_IOC_DATA_VERSION. */
static int data_version(int fd, uint64_t flags, uint64_t *dv, uint32_t *layout)
{
	struct lu_fid fid;
	struct pfid pf;
	struct sim_reply r;
	struct stat st;
	struct pmsg m;
	int rc = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -ENOTTY : sim_fd_fid(fd, &fid);

	if (rc < 0)
		return rc == -ENODATA ? -ENOTTY : rc;
	pf = sim_pfid(&fid);
	pmsg_begin(&m, "data_version");
	pmsg_fid(&m, "fid", &pf);
	pmsg_u64(&m, "flags", flags);
	rc = sim_call_fd(fd, &m, &r);
	if (rc == 0) {
		*dv = pline_u64(&r.l, "dv", 0);
		*layout = (uint32_t)pline_u64(&r.l, "layout", 0);
	}
	sim_reply_free(&r);
	return rc;
}

int llapi_get_data_version(int fd, uint64_t *version, uint64_t flags)
{
	uint32_t layout;

	return data_version(fd, flags, version, &layout);
}

int llapi_get_ost_layout_version(int fd, uint32_t *layout_version)
{
	uint64_t dv;

	return data_version(fd, 0, &dv, layout_version);
}

int llapi_file_flush(int fd)
{
	uint64_t dv;

	return llapi_get_data_version(fd, &dv, LL_DV_WR_FLUSH);
}
