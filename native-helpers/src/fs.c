#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

enum { XATTR_BYTES = 65536, STALE_TRIES = 30 };

void fid_text(const struct lu_fid *fid, char out[FID_TEXT])
{
	snprintf(out, FID_TEXT, "0x%llx:0x%x:0x%x", (unsigned long long)fid->f_seq, fid->f_oid, fid->f_ver);
}

bool fs_open(struct helper *h)
{
	struct stat st;
	int rc;

	h->mount_fd = h->fid_fd = -1;
	if (!realpath(h->options.mount, h->mount)) {
		fatal("NOT_LUSTRE", -errno, 0, "%s: %s", h->options.mount, strerror(errno));
		return false;
	}
	/* Whether it is Lustre is asked of Lustre's library, never of statfs. */
	rc = h->api.llapi_search_fsname(h->mount, h->fsname);
	if (rc < 0) {
		fatal("NOT_LUSTRE", rc, 0, "%s is not in a mounted Lustre file system (%s); mount it, or correct the path",
		      h->options.mount, strerror(-rc));
		return false;
	}
	rc = h->api.llapi_path2fid(h->mount, &h->root);
	if (rc < 0) {
		fatal("NOT_LUSTRE", rc, 0, "%s has no FID: %s", h->options.mount, strerror(-rc));
		return false;
	}
	h->mount_fd = open(h->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->mount_fd >= 0)
		h->fid_fd = openat(h->mount_fd, ".lustre/fid", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->fid_fd < 0 || fstat(h->mount_fd, &st) < 0) {
		rc = -errno;
		if (rc == -EACCES || rc == -EPERM)
			fatal("NOT_ROOT", rc, 0, "the metadata servers do not take root of this client for root: .lustre/fid: %s",
			      strerror(-rc));
		else
			fatal("NOT_LUSTRE", rc, 0,
			      "%s is in a Lustre file system (%s), but is not the root of its mount: .lustre/fid: %s",
			      h->options.mount, h->fsname, strerror(-rc));
		fs_close(h);
		return false;
	}
	h->device = st.st_dev;
	return true;
}

void fs_close(struct helper *h)
{
	if (h->fid_fd >= 0)
		close(h->fid_fd);
	if (h->mount_fd >= 0)
		close(h->mount_fd);
	h->fid_fd = h->mount_fd = -1;
}

/* Where a FID is found: a name below a descriptor. The root is the mount itself: FUSE can't show it a second time. */
static int place_of(const struct helper *h, const struct lu_fid *fid, char name[FID_TEXT])
{
	if (fid->f_seq == h->root.f_seq && fid->f_oid == h->root.f_oid && fid->f_ver == h->root.f_ver) {
		snprintf(name, FID_TEXT, ".");
		return h->mount_fd;
	}
	fid_text(fid, name);
	return h->fid_fd;
}

void fs_fid_path(const struct helper *h, const struct lu_fid *fid, char out[PATH_BYTES])
{
	char name[FID_TEXT];
	int fd = place_of(h, fid, name);

	snprintf(out, PATH_BYTES, "/proc/self/fd/%d/%s", fd, name);
}

int fs_stat(const struct helper *h, const struct lu_fid *fid, struct stat *st)
{
	char name[FID_TEXT];
	int fd = place_of(h, fid, name);

	return fstatat(fd, name, st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int fs_open_regular(const struct helper *h, const struct lu_fid *fid)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
	char text[FID_TEXT];
	struct stat st;
	int rc = fs_stat(h, fid, &st);

	if (rc < 0)
		return rc;
	if (!S_ISREG(st.st_mode)) /* opening a device can do things */
		return -ENOTTY;
	fid_text(fid, text);

	int fd = openat(h->fid_fd, text, flags | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = openat(h->fid_fd, text, flags);
	return fd < 0 ? -errno : fd;
}

int fs_openat(int at, const char *path, int flags)
{
	for (int tries = 0;; tries++) {
		int fd = openat(at, path, flags);

		if (fd >= 0 || errno != ESTALE || tries == STALE_TRIES)
			return fd < 0 ? -errno : fd;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000L << (tries < 6 ? tries : 6) }, NULL);
	}
}

int fs_open_directory(const struct helper *h, const struct lu_fid *fid)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char name[FID_TEXT];
	int at = place_of(h, fid, name);
	int fd = fs_openat(at, name, flags | O_NOATIME);

	return fd == -EPERM ? fs_openat(at, name, flags) : fd;
}

int fs_path_fid(const struct helper *h, const char *path, struct lu_fid *fid)
{
	char proc[PATH_BYTES + 64];
	struct stat st;
	const char *relative = path;

	if (path[0] == '/') {
		const char *roots[] = { h->mount, h->options.mount };

		relative = NULL;
		for (size_t i = 0; i < 2 && !relative; i++) {
			size_t len = strlen(roots[i]);

			while (len > 1 && roots[i][len - 1] == '/')
				len--;
			if (strncmp(path, roots[i], len) == 0 && (path[len] == '/' || path[len] == '\0'))
				relative = path + len;
		}
		if (!relative)
			return -EXDEV;
		relative += strspn(relative, "/");
	}
	if (relative[0] == '\0')
		relative = ".";
	if (fstatat(h->mount_fd, relative, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_dev != h->device) /* another mount, or a symlink on the way out of this one */
		return -EXDEV;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d/%s", h->mount_fd, relative);
	return h->api.llapi_path2fid(proc, fid);
}

int fs_fid_link(const struct helper *h, const struct lu_fid *fid, int *link, char out[PATH_BYTES])
{
	long long record = -1;
	int before = *link, rc;

	if (before < 0)
		return 0;
	out[0] = '\0';
	if (h->api.llapi_fid2path_at) {
		rc = h->api.llapi_fid2path_at(h->mount_fd, fid, out, PATH_BYTES, &record, link);
	} else {
		char text[FID_TEXT];

		fid_text(fid, text);
		rc = h->api.llapi_fid2path(h->mount, text, out, PATH_BYTES, &record, link);
	}
	if (rc < 0)
		return rc;
	out[PATH_BYTES - 1] = '\0';
	if (out[0] == '/') /* the root's own */
		memmove(out, out + 1, strlen(out));
	if (*link == before) /* Lustre's sign for the last one */
		*link = -1;
	return 1;
}

ssize_t fs_layout_xattr(const struct helper *h, const struct lu_fid *fid, void **value)
{
	static const char *const names[] = { "lustre.lov", "trusted.lov" };
	char path[PATH_BYTES];
	ssize_t size = -ENODATA;

	fs_fid_path(h, fid, path);
	*value = malloc(XATTR_BYTES);
	if (!*value)
		return -ENOMEM;
	for (size_t i = 0; i < 2; i++) {
		size = lgetxattr(path, names[i], *value, XATTR_BYTES);
		if (size >= 0)
			return size;
		size = -errno;
	}
	free(*value);
	*value = NULL;
	return size;
}
