/* Mounts, file system names, instances, versions. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sim.h"

static int fail(int rc)
{
	errno = -rc;
	return rc;
}

static int with_mount(int (*find)(const void *what, struct sim_mount *m), const void *what, char *mntdir, char *fsname)
{
	struct sim_mount *m = malloc(sizeof(*m));
	int rc = m == NULL ? -ENOMEM : find(what, m);

	if (rc == 0 && mntdir != NULL)
		strcpy(mntdir, m->mnt);
	if (rc == 0 && fsname != NULL)
		strcpy(fsname, m->fsname);
	free(m);
	return fail(rc);
}

static int by_path(const void *what, struct sim_mount *m)
{
	return sim_mount_by_path(what, m);
}

static int by_index(const void *what, struct sim_mount *m)
{
	return sim_mount_by_index(*(const int *)what, m);
}

static int by_fsname(const void *what, struct sim_mount *m)
{
	return sim_mount_by_fsname(what, m);
}

static int by_dev(const void *what, struct sim_mount *m)
{
	return sim_mount_by_dev(*(const dev_t *)what, m);
}

int llapi_search_mounts(const char *pathname, int index, char *mntdir, char *fsname)
{
	if (pathname == NULL || *pathname == '\0')
		return with_mount(by_index, &index, mntdir, fsname);
	return with_mount(by_path, pathname, mntdir, fsname);
}

int llapi_search_rootpath(char *pathname, const char *fsname)
{
	return pathname == NULL ? -EINVAL : with_mount(by_fsname, fsname, pathname, NULL);
}

int llapi_search_rootpath_by_dev(char *pathname, dev_t dev)
{
	return pathname == NULL ? -EINVAL : with_mount(by_dev, &dev, pathname, NULL);
}

int llapi_search_fsname(const char *pathname, char *fsname)
{
	struct stat st;
	int rc;

	if (stat(pathname, &st) < 0) { /* not there yet: its directory tells */
		char *copy = strdup(pathname);

		if (copy == NULL)
			return fail(-ENOMEM);
		rc = stat(dirname(copy), &st) < 0 ? -errno : 0;
		free(copy);
		if (rc < 0) {
			llapi_error(LLAPI_MSG_ERROR, rc, "cannot resolve path '%s'", pathname);
			return fail(rc);
		}
	}
	rc = with_mount(by_dev, &st.st_dev, NULL, fsname);
	if (rc < 0)
		sim_err_noerrno(LLAPI_MSG_ERROR, "'%u/%u' dev not on a mounted Lustre filesystem", major(st.st_dev),
				minor(st.st_dev));
	return fail(rc);
}

int llapi_root_path_open(const char *device, int *rootfd)
{
	char mnt[PATH_MAX];
	int rc = *device == '/' ? with_mount(by_path, device, mnt, NULL) : with_mount(by_fsname, device, mnt, NULL);

	if (rc < 0)
		return rc;
	*rootfd = open(mnt, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (*rootfd < 0) {
		rc = -errno;
		llapi_error(LLAPI_MSG_ERROR, rc, "cannot open '%s'", mnt);
	}
	return fail(rc);
}

/* The client that path belongs to, as the daemon's greeting tells; ENOTTY outside. */
static int client_of(const char *path, char *fsname, size_t fslen, char *uuid, size_t uuidlen)
{
	struct sim_conn *c;
	int rc, fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	rc = sim_get_fd(fd, &c);
	close(fd);
	if (rc < 0)
		return rc;
	if (strlen(c->fsname) >= fslen || strlen(c->uuid) >= uuidlen) {
		rc = -ENAMETOOLONG;
	} else {
		strcpy(fsname, c->fsname);
		strcpy(uuid, c->uuid);
	}
	sim_put(c, true);
	return rc;
}

/* A client's instance: "ff11" and the first 12 hexadecimal digits of its UUID (PROTOCOL.md). */
static void instance_of(const char *uuid, char out[17])
{
	size_t n = 4;

	memcpy(out, "ff11", 4);
	for (; *uuid != '\0' && n < 16; uuid++)
		if (*uuid != '-')
			out[n++] = *uuid;
	while (n < 16)
		out[n++] = '0';
	out[16] = '\0';
}

int llapi_get_fsname_instance(const char *path, char *fsname, size_t fsname_len, char *instance, size_t instance_len)
{
	char fs[64], uuid[64], inst[17];
	int rc;

	if (fsname == NULL && instance == NULL)
		return fail(-EINVAL);
	rc = client_of(path, fs, sizeof(fs), uuid, sizeof(uuid));
	if (rc < 0)
		return fail(rc);
	instance_of(uuid, inst);
	if (instance != NULL && snprintf(instance, instance_len, "%s", inst) >= (int)instance_len)
		rc = -ENAMETOOLONG;
	if (fsname != NULL && snprintf(fsname, fsname_len, "%s", fs) >= (int)fsname_len)
		rc = -ENAMETOOLONG;
	return fail(rc);
}

int llapi_get_instance(const char *path, char *instance, size_t instance_len)
{
	return llapi_get_fsname_instance(path, NULL, 0, instance, instance_len);
}

int llapi_get_fsname(const char *path, char *fsname, size_t fsname_len)
{
	return llapi_get_fsname_instance(path, fsname, fsname_len, NULL, 0);
}

int llapi_getname(const char *path, char *name, size_t namelen)
{
	char fs[64], inst[17];
	int rc = llapi_get_fsname_instance(path, fs, sizeof(fs), inst, sizeof(inst));

	if (rc == 0 && snprintf(name, namelen, "%s-%s", fs, inst) >= (int)namelen)
		rc = -ENAMETOOLONG;
	return fail(rc);
}

int llapi_get_agent_uuid(char *path, char *buf, size_t bufsize)
{
	char fs[64], uuid[64];
	int rc = client_of(path, fs, sizeof(fs), uuid, sizeof(uuid));

	if (rc == 0 && snprintf(buf, bufsize, "%s\n", uuid) >= (int)bufsize)
		rc = -EOVERFLOW;
	return rc;
}

int llapi_get_version_string(char *version, unsigned int version_size)
{
	struct sim_conn *c;
	int rc;

	if (version == NULL || version_size == 0) {
		errno = EINVAL;
		return -1;
	}
	if (sim_get_default(&c) < 0) {
		struct sim_mount *m = malloc(sizeof(*m)); /* several daemons: any one tells */

		rc = m == NULL ? -ENOMEM : sim_mount_by_index(0, m);
		if (rc == 0)
			rc = sim_get_mount(m, &c);
		free(m);
		if (rc < 0) {
			errno = rc == -ENODEV ? ENOENT : -rc;
			return -1;
		}
	}
	rc = snprintf(version, version_size, "%s", c->version);
	sim_put(c, true);
	if (rc >= (int)version_size) {
		errno = EOVERFLOW;
		return -1;
	}
	return 0;
}

int llapi_get_version(char *buffer, int buffer_size, char **version)
{
	static bool told;

	if (!told)
		fprintf(stderr, "%s deprecated, use llapi_get_version_string()\n", __func__);
	told = true;
	if (llapi_get_version_string(buffer, buffer_size > 0 ? (unsigned)buffer_size : 0) < 0)
		return -errno;
	*version = buffer;
	return 0;
}
