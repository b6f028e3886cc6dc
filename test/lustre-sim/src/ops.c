/*
 * What the mount does: the table of FUSE operations, looking things up, attributes of the file system and of files.
 * Names are in names.c, open files in open.c, bytes in data.c, directories in dirs.c, ioctls in ioctl.c.
 */
#include "ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

struct node *fid_dir;
struct node *dot_lustre, *lost_found;

static struct node *made(uint32_t oid, uint32_t mode)
{
	struct pfid fid = { 0x200000002ULL, oid, 0 };
	struct node *n = node_new(&fid, mode, 0, 0);

	n->synthetic = true;
	return n;
}

void ops_init(void)
{
	dot_lustre = made(1, S_IFDIR | 0555);
	fid_dir = made(2, S_IFDIR | 0100);
	lost_found = made(3, S_IFDIR | 0700);
	dot_lustre->nlink = 4;
}

struct who who_of(fuse_req_t req)
{
	const struct fuse_ctx *c = fuse_req_ctx(req);
	struct who w = { .uid = c->uid, .gid = c->gid, .pid = c->pid, .mount = mount_of(req) };

	return w;
}

void entry_of(const struct node *n, fuse_ino_t parent, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	/* Never FUSE_ROOT_ID, which the kernel takes for an error: the root is found under .lustre/fid, too. */
	e->ino = fid_ino(&n->fid);
	if (S_ISDIR(n->mode) && ((parent & BY_FID) || parent == fid_ino(&fid_dir->fid)))
		e->ino |= BY_FID;
	e->generation = 1;
	node_stat(n, &e->attr);
}

void touch_dir(struct node *dir)
{
	dir->mtime = dir->ctime = now_sec();
	log_attr(dir);
}

/* ---- looking ---- */

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
				  FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_READDIRPLUS | FUSE_CAP_ASYNC_READ |
				  FUSE_CAP_AUTO_INVAL_DATA);
	conn->want |= conn->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_IOCTL_DIR | FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK |
				       FUSE_CAP_PARALLEL_DIROPS);
	conn->max_write = 1 << 20;
	conn->max_read = 1 << 20;
	conn->max_background = 4096;
	conn->congestion_threshold = 4096;
	conn->time_gran = 1000000000;
}

static struct node *child_of(struct node *dir, const char *name)
{
	struct dent *d;

	if (dir == fid_dir) {
		struct pfid fid;

		return pfid_parse(name, &fid) ? node_find(&fid) : NULL;
	}
	if (dir == sim.root && strcmp(name, ".lustre") == 0)
		return dot_lustre;
	if (dir == dot_lustre) {
		if (strcmp(name, "fid") == 0)
			return fid_dir;
		return strcmp(name, "lost+found") == 0 ? lost_found : NULL;
	}
	d = dent_find(dir, name, strlen(name));
	return d ? d->child : NULL;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	struct node *dir, *n;
	struct pfid stripe;
	int err = 0;

	fault_slow("lookup");
	sim_lock();
	dir = node_by_ino(parent);
	if (dir == NULL)
		err = ESTALE;
	else if (strlen(name) > MAX_NAME)
		err = ENAMETOOLONG;
	else if ((n = child_of(dir, name)) == NULL)
		err = dir == fid_dir && pfid_parse(name, &stripe) && stripe_dir(&stripe) ? EPERM : ENOENT;
	else
		entry_of(n, parent, &e);
	sim_unlock();
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_entry(req, &e);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	(void)ino;
	(void)nlookup;
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	struct node *n;

	(void)fi;
	sim_lock();
	n = node_by_ino(ino);
	if (n)
		node_stat(n, &st);
	sim_unlock();
	if (n)
		fuse_reply_attr(req, &st, 0);
	else
		fuse_reply_err(req, ESTALE);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char *target = NULL;
	struct node *n;

	sim_lock();
	n = node_by_ino(ino);
	if (n && n->target)
		target = xstrdup(n->target);
	sim_unlock();
	if (target)
		fuse_reply_readlink(req, target);
	else
		fuse_reply_err(req, n ? EINVAL : ESTALE);
	free(target);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	uint64_t size = 0, used = 0;

	(void)ino;
	memset(&st, 0, sizeof(st));
	sim_lock();
	for (unsigned i = 0; i < sim.nosts; i++) {
		uint64_t have = sim.osts[i].size_kb * 1024, gone = sim.osts[i].used + sim.osts[i].fill_kb * 1024;

		size += have;
		used += gone > have ? have : gone;
	}
	st.f_files = inodes_total();
	st.f_ffree = st.f_favail = st.f_files - sim.nnodes;
	sim_unlock();
	st.f_bsize = st.f_frsize = 4096;
	st.f_blocks = size / 4096;
	st.f_bfree = st.f_bavail = (size - used) / 4096;
	st.f_namemax = MAX_NAME;
	fuse_reply_statfs(req, &st);
}

/* ---- extended attributes ---- */

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	struct who w = who_of(req);
	struct node *n;
	int rc;

	sim_lock();
	n = node_by_ino(ino);
	rc = n ? xattr_set(n, name, value, size, flags, &w) : -ESTALE;
	sim_unlock();
	fuse_reply_err(req, -rc);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct who w = who_of(req);
	uint8_t *val = NULL;
	size_t len = 0;
	struct node *n;
	int rc;

	sim_lock();
	n = node_by_ino(ino);
	rc = n ? xattr_get(n, name, w.uid, &val, &len) : -ESTALE;
	if (n && !n->synthetic && strncmp(name, "lustre.sim", 10) != 0)
		cl_xattr(CL_GETXATTR, &n->fid, name, &w);
	sim_unlock();
	if (rc == 0 && size > 0 && len > size)
		rc = -ERANGE;
	if (rc)
		fuse_reply_err(req, -rc);
	else if (size == 0)
		fuse_reply_xattr(req, len);
	else
		fuse_reply_buf(req, (const char *)val, len);
	free(val);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct who w = who_of(req);
	char *list = NULL;
	size_t len = 0;
	struct node *n;

	sim_lock();
	n = node_by_ino(ino);
	if (n)
		list = xattr_list(n, w.uid, &len);
	sim_unlock();
	if (n == NULL)
		fuse_reply_err(req, ESTALE);
	else if (size == 0)
		fuse_reply_xattr(req, len);
	else if (len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, list, len);
	free(list);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct who w = who_of(req);
	struct node *n;
	int rc;

	sim_lock();
	n = node_by_ino(ino);
	rc = n ? xattr_remove(n, name, &w) : -ESTALE;
	sim_unlock();
	fuse_reply_err(req, -rc);
}

const struct fuse_lowlevel_ops sim_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.releasedir = op_release,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
	.ioctl = op_ioctl,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
};
