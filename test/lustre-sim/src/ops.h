/*
 * What the files of the FUSE operations share.
 */
#ifndef LUSTRE_SIM_OPS_H
#define LUSTRE_SIM_OPS_H

#include "sim.h"

#include <fcntl.h>

#define VOLATILE_PREFIX ".\x0c\x13\x14\x12:VOLATILE"
#define DELAY_CREATE O_ASYNC /* what FUSE lets through of O_LOV_DELAY_CREATE */

extern struct node *dot_lustre, *lost_found;

struct who who_of(fuse_req_t req);
void entry_of(const struct node *n, fuse_ino_t parent, struct fuse_entry_param *e);
void touch_dir(struct node *dir);

/* Refuses what can't be in a directory; the directory, or NULL with *err. Under the lock. */
struct node *dir_for(fuse_ino_t parent, const char *name, int *err);
/* A new inode with its first name. Under the lock. */
struct node *make_node(struct node *dir, const char *name, uint32_t mode, uint64_t rdev, const char *target,
		       const struct who *w, uint32_t umask, bool delayed);

struct handle *handle_new(struct node *n, uint32_t flags, const struct who *w, bool dir);
void handle_close(struct handle *h, const struct who *w);
void snap_free(struct snapshot *s);
struct handle *handle_of(const struct fuse_file_info *fi);
void do_open(struct waiter *a);

/* The record, then the change, then the dirty mark. 0, -errno, or 1 when parked. Under the lock. */
int truncate_node(struct waiter *a, uint64_t size);

/* ---- the operations ---- */

void op_init(void *userdata, struct fuse_conn_info *conn);
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
		      unsigned int flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
		     const void *in_buf, size_t in_bufsz, size_t out_bufsz);

#endif
