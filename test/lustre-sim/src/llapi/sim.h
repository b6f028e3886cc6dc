/*
 * The library's (and the programs') way to the stand-in's daemon: which mounts there are, which socket serves one,
 * and requests over pooled connections. All functions may be called from any thread.
 */
#ifndef LUSTRE_SIM_SIM_H
#define LUSTRE_SIM_SIM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../proto.h"
#include "lustre_abi.h"

#define SIM_FSTYPE "fuse.lustre-sim"
#define SIM_XATTR_SOCKET "lustre.sim_socket"
#define SIM_XATTR_FID "lustre.sim_fid"

/* ---- mounts ---- */

struct sim_mount {
	char mnt[PATH_MAX];
	char fsname[64];
	dev_t dev;
};

/* What mount is meant; 0 or -ENODEV. The longest mount point that begins path wins. */
int sim_mount_by_dev(dev_t dev, struct sim_mount *m);
int sim_mount_by_path(const char *path, struct sim_mount *m);
/* With several mounts of that name, one of the daemon at $LUSTRE_SIM_DIR is preferred, otherwise the first. */
int sim_mount_by_fsname(const char *fsname, struct sim_mount *m);
/* Counted over all mounts, or over those of the daemon at $LUSTRE_SIM_DIR when that is set. */
int sim_mount_by_index(int index, struct sim_mount *m);
/* Of an open descriptor (any file of the mount); -ENOTTY when it is not on a stand-in. */
int sim_mount_by_fd(int fd, struct sim_mount *m);
/* The socket that serves the mount; 0 or -errno. */
int sim_mount_socket(const struct sim_mount *m, char *sock, size_t size);
/* The socket for a request without a path: $LUSTRE_SIM_DIR/sock, or the only daemon's; 0 or -ENODEV. */
int sim_default_socket(char *sock, size_t size);

/* ---- connections ---- */

struct sim_conn {
	int fd;
	struct preader in;
	char *sock, *client; /* what the connection was made with */
	pid_t pid;
	uid_t euid;
	char fsname[64], version[64], uuid[64]; /* the daemon's hello */
	unsigned mdts, osts;
	struct sim_conn *next;
};

/* A new connection with the greeting done. */
int sim_connect(const char *sock, const char *client, struct sim_conn **out);
void sim_close(struct sim_conn *c);
/* A pooled connection, and giving it back (reusable: false closes it). */
int sim_get(const char *sock, const char *client, struct sim_conn **out);
int sim_get_mount(const struct sim_mount *m, struct sim_conn **out);
int sim_get_fd(int fd, struct sim_conn **out);
int sim_get_default(struct sim_conn **out);
void sim_put(struct sim_conn *c, bool reusable);

struct sim_reply {
	char *text;
	struct pline l;
};

/*
 * Sends a built line (and frees it) and waits for the one-line reply. 0, or -errno of the daemon's `err`, of the
 * socket, or -EPROTO for an answer that is none. reply (may be NULL) is filled for `ok` and for `err`; free it.
 */
int sim_call(struct sim_conn *c, struct pmsg *m, struct sim_reply *reply);
/* The same for a list: each(row, arg) for every row, until it returns non-zero, which is then returned. */
int sim_call_rows(struct sim_conn *c, struct pmsg *m, int (*each)(const struct pline *row, void *arg), void *arg);
void sim_reply_free(struct sim_reply *r);
/* False after an error that leaves a connection out of step. */
bool sim_usable(const struct sim_conn *c);

/* A call on a pooled connection of the mount that holds fd. */
int sim_call_fd(int fd, struct pmsg *m, struct sim_reply *reply);

/* ---- small helps ---- */

struct pfid sim_pfid(const struct lu_fid *fid);
struct lu_fid sim_lu_fid(const struct pfid *fid);
/* The FID of an open descriptor (O_PATH too); 0 or -errno, -ENODATA when it is not on a stand-in. */
int sim_fd_fid(int fd, struct lu_fid *fid);
#define sim_err_noerrno(level, ...) llapi_error((level) | LLAPI_MSG_NO_ERRNO, 0, __VA_ARGS__)

#endif
