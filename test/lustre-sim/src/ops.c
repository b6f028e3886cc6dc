/*
 * What the mount does: the FUSE operations, in terms of nodes and names.
 *
 * Data operations on a released file are parked: a copy of their arguments waits with the file (hsm_wait) and the
 * operation is done again, or refused, when the restore has ended. Nothing is cached by the kernel but what is mapped.
 */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define VOLATILE_PREFIX ".\x0c\x13\x14\x12:VOLATILE"
#define DELAY_CREATE O_ASYNC /* what FUSE lets through of O_LOV_DELAY_CREATE */

struct node *fid_dir;
static struct node *dot_lustre, *lost_found;

struct snap_entry {
	uint64_t ino;
	uint32_t mode;
	uint32_t name; /* offset in names */
};

/* A directory as it was when reading it began. */
struct snapshot {
	struct snap_entry *e;
	size_t n;
	char *names;
};

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

static struct who who_of(fuse_req_t req)
{
	const struct fuse_ctx *c = fuse_req_ctx(req);
	struct who w = { .uid = c->uid, .gid = c->gid, .pid = c->pid, .mount = mount_of(req) };

	return w;
}

static void entry_of(const struct node *n, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	/* Never FUSE_ROOT_ID, which the kernel takes for an error: the root is found under .lustre/fid, too. */
	e->ino = fid_ino(&n->fid);
	e->generation = 1;
	node_stat(n, &e->attr);
}

static void touch_dir(struct node *dir)
{
	dir->mtime = dir->ctime = now_sec();
	log_attr(dir);
}

/* ---- looking ---- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
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

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	struct node *dir, *n;
	int err = 0;

	fault_slow("lookup");
	sim_lock();
	dir = node_by_ino(parent);
	if (dir == NULL)
		err = ESTALE;
	else if (strlen(name) > MAX_NAME)
		err = ENAMETOOLONG;
	else if ((n = child_of(dir, name)) == NULL)
		err = ENOENT;
	else
		entry_of(n, &e);
	sim_unlock();
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_entry(req, &e);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	(void)ino;
	(void)nlookup;
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
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

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
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

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
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
	st.f_files = 838864;
	st.f_ffree = st.f_favail = 838864 > sim.nnodes ? 838864 - sim.nnodes : 0;
	sim_unlock();
	st.f_bsize = st.f_frsize = 4096;
	st.f_blocks = size / 4096;
	st.f_bfree = st.f_bavail = (size - used) / 4096;
	st.f_namemax = MAX_NAME;
	fuse_reply_statfs(req, &st);
}

/* ---- parking ---- */

/* Called under the lock by an operation that needs data which are not here. 0: parked; otherwise the errno. */
static int park(const struct waiter *args)
{
	struct waiter *w = xmemdup(args, sizeof(*args));
	struct who who = who_of(args->req);
	int err;

	if (args->op == W_WRITE)
		w->buf = xmemdup(args->buf, args->size);
	err = hsm_wait(w, &who);
	if (err) {
		if (w->op == W_WRITE)
			free(w->buf);
		free(w);
	}
	return err;
}

static void do_read(struct waiter *a);
static void do_write(struct waiter *a);
static void do_setattr(struct waiter *a);
static void do_open(struct waiter *a);
static void do_fallocate(struct waiter *a);

void ops_resume(struct waiter *w)
{
	if (w->err) {
		fuse_reply_err(w->req, w->err);
	} else {
		/* the request may park again: without the old interrupt handler, whose waiter this is */
		fuse_req_interrupt_func(w->req, NULL, NULL);
		switch (w->op) {
		case W_READ:
			do_read(w);
			break;
		case W_WRITE:
			do_write(w);
			break;
		case W_SETATTR:
			do_setattr(w);
			break;
		case W_OPEN:
			do_open(w);
			break;
		case W_FALLOCATE:
			do_fallocate(w);
			break;
		}
	}
	sim_lock();
	node_unpin(w->node);
	sim_unlock();
	if (w->op == W_WRITE)
		free(w->buf);
	free(w);
}

/* ---- changing the size ---- */

/* Under the lock, data at hand. */
static int set_size(struct node *n, uint64_t size)
{
	int rc = 0;

	if (size > INT64_MAX - 4096)
		return -EFBIG;
	if (layout_instantiate(n, size ? size : 1))
		log_node(n);
	if (n->obj == NULL && size > 0) {
		n->obj = obj_new(n);
		if (n->obj == NULL)
			return -EIO;
	}
	if (n->obj) {
		rc = obj_begin(n->obj);
		if (rc)
			return rc;
	}
	/* The journal first: after a death between the two the backing file is cut (or is short, which reads as zeros). */
	n->size = size;
	n->dv = dv_next();
	n->mtime = n->ctime = now_sec();
	n->modified = n->hsm_flags & HS_EXISTS;
	log_attr(n);
	store_commit();
	if (n->obj) {
		if (ftruncate(n->obj->fd, (off_t)size) != 0)
			rc = -errno;
		obj_refresh(n->obj);
		obj_end(n->obj);
	}
	n->modified = false;
	log_attr(n);
	if (rc)
		return rc;
	mounts_inval(n, -1);
	return 0;
}

/* The record, then the change, then the dirty mark. 0, -errno, or 1 when parked. */
static int truncate_node(struct waiter *a, uint64_t size)
{
	struct node *n = a->node, *parent = node_parent(n);
	struct who w = who_of(a->req);
	int rc;

	if (!a->announced && !n->is_volatile)
		cl_plain(CL_TRUNC, LA_MTIME | LA_CTIME | LA_SIZE, &n->fid, parent ? &parent->fid : NULL, &w);
	a->announced = true;
	if (hsm_needs_restore(n)) {
		rc = park(a);
		return rc ? -rc : 1;
	}
	rc = fault_io("truncate", n);
	if (rc == 0)
		rc = set_size(n, size);
	if (rc == 0)
		hsm_mark_dirty(n, &w);
	return rc;
}

static int64_t attr_time(const struct timespec *ts, bool now)
{
	return now ? now_sec() : ts->tv_sec;
}

static void do_setattr(struct waiter *a)
{
	struct node *n = a->node;
	struct who w = who_of(a->req);
	uint32_t valid = 0;
	struct stat st;
	int rc = 0;

	sim_lock();
	if (n->dead) {
		rc = -ESTALE;
	} else if (n->synthetic) {
		rc = -EPERM;
	} else if (a->to_set & FUSE_SET_ATTR_SIZE) {
		rc = S_ISREG(n->mode) ? truncate_node(a, (uint64_t)a->attr.st_size) : -EINVAL;
		if (rc == 1) {
			sim_unlock();
			return;
		}
	}
	if (rc == 0) {
		if (a->to_set & FUSE_SET_ATTR_MODE) {
			n->mode = (n->mode & S_IFMT) | (a->attr.st_mode & 07777);
			acl_chmod(n);
			valid |= LA_MODE;
		}
		if (a->to_set & FUSE_SET_ATTR_UID) {
			n->uid = a->attr.st_uid;
			valid |= LA_UID;
		}
		if (a->to_set & FUSE_SET_ATTR_GID) {
			valid |= LA_GID | (n->gid != a->attr.st_gid ? LA_GIDCHANGED : 0);
			n->gid = a->attr.st_gid;
		}
		if (a->to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW))
			n->atime = attr_time(&a->attr.st_atim, a->to_set & FUSE_SET_ATTR_ATIME_NOW);
		if (a->to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
			n->mtime = attr_time(&a->attr.st_mtim, a->to_set & FUSE_SET_ATTR_MTIME_NOW);
		n->ctime = now_sec();
		if (valid & LA_MODE)
			log_node(n); /* the ACL may have changed with it */
		else
			log_attr(n);
		if (valid && !n->is_volatile)
			cl_plain(CL_SETATTR, valid | LA_CTIME, &n->fid, &(struct pfid){ 0, 0, 0 }, &w);
		node_stat(n, &st);
	}
	sim_unlock();
	if (rc)
		fuse_reply_err(a->req, -rc);
	else
		fuse_reply_attr(a->req, &st, 0);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct waiter a = { .op = W_SETATTR, .req = req, .attr = *attr, .to_set = to_set };

	(void)fi;
	fault_slow("setattr");
	sim_lock();
	a.node = node_by_ino(ino);
	if (a.node)
		node_pin(a.node);
	sim_unlock();
	if (a.node == NULL) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	do_setattr(&a);
	sim_lock();
	node_unpin(a.node);
	sim_unlock();
}

/* ---- names ---- */

/* Refuses what can't be in a directory; the directory, or NULL with *err. */
static struct node *dir_for(fuse_ino_t parent, const char *name, int *err)
{
	struct node *dir = node_by_ino(parent);

	*err = 0;
	if (dir == NULL)
		*err = ESTALE;
	else if (strlen(name) > MAX_NAME)
		*err = ENAMETOOLONG;
	else if (dir->synthetic)
		*err = EPERM;
	else if (dir == sim.root && strcmp(name, ".lustre") == 0)
		*err = EPERM;
	else if (!S_ISDIR(dir->mode))
		*err = ENOTDIR;
	return *err ? NULL : dir;
}

static bool volatile_name(const char *name)
{
	return strncmp(name, VOLATILE_PREFIX, sizeof(VOLATILE_PREFIX) - 1) == 0;
}

/* A new inode with its first name. */
static struct node *make_node(struct node *dir, const char *name, uint32_t mode, uint64_t rdev, const char *target,
			      const struct who *w, uint32_t umask, bool delayed)
{
	static const int types[16] = { [S_IFDIR >> 12] = CL_MKDIR, [S_IFREG >> 12] = CL_CREATE, [S_IFLNK >> 12] = CL_SOFTLINK,
				       [S_IFIFO >> 12] = CL_MKNOD, [S_IFCHR >> 12] = CL_MKNOD, [S_IFBLK >> 12] = CL_MKNOD,
				       [S_IFSOCK >> 12] = CL_MKNOD };
	struct pfid fid = fid_next();
	struct node *n = node_new(&fid, mode, w->uid, w->gid);

	n->rdev = rdev;
	n->vparent = dir->fid;
	if (target)
		n->target = xstrdup(target);
	if (dir->mode & S_ISGID) {
		n->gid = dir->gid;
		if (S_ISDIR(mode))
			n->mode |= S_ISGID;
	}
	acl_inherit(dir, n, umask);
	n->is_volatile = S_ISREG(mode) && volatile_name(name);
	if (S_ISDIR(mode) && dir->layout)
		n->layout = layout_copy(dir->layout);
	log_node(n);
	if (n->is_volatile) {
		/* named only until its maker unlinks it; gone with the daemon */
		dent_add(dir, name, strlen(name), n);
	} else {
		dent_add(dir, name, strlen(name), n);
		touch_dir(dir);
		cl_name(types[mode >> 12 & 15], 0, &n->fid, &dir->fid, name, strlen(name), w);
	}
	if (S_ISREG(mode) && !delayed && layout_instantiate(n, 1))
		log_node(n);
	return n;
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name, uint32_t mode, uint64_t rdev,
			   const char *target)
{
	struct who w = who_of(req);
	struct fuse_entry_param e;
	struct node *dir;
	int err;

	fault_slow("create");
	sim_lock();
	dir = dir_for(parent, name, &err);
	if (dir && dent_find(dir, name, strlen(name)))
		err = EEXIST;
	if (!err)
		err = -fault_io("create", dir);
	if (!err)
		entry_of(make_node(dir, name, mode, rdev, target, &w, fuse_req_ctx(req)->umask, false), &e);
	sim_unlock();
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_entry(req, &e);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make_and_reply(req, parent, name, mode, rdev, NULL);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make_and_reply(req, parent, name, S_IFDIR | (mode & 07777), 0, NULL);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make_and_reply(req, parent, name, S_IFLNK | 0777, 0, target);
}

/* One name less; the inode goes with the last, or stays as an orphan while it is open. */
static void drop_name(struct dent *d)
{
	struct node *n = d->child;

	dent_remove(d);
	n->ctime = now_sec();
	if (n->links) {
		log_attr(n);
		return;
	}
	if (n->is_volatile) {
		if (n->opens == 0)
			node_remove(n);
		return;
	}
	cdt_remove_archived(n);
	if (n->opens > 0 && !S_ISDIR(n->mode)) {
		log_node_gone(&n->fid);
		n->orphan = true;
		return;
	}
	hsm_wake(n, ESTALE);
	node_remove(n);
}

static uint32_t last_flags(const struct node *n)
{
	if (node_links(n) > 1)
		return 0;
	return 1 | (n->hsm_flags & HS_EXISTS ? 2 : 0);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct who w = who_of(req);
	struct node *dir;
	struct dent *d;
	int err;

	fault_slow("unlink");
	sim_lock();
	dir = dir_for(parent, name, &err);
	if (dir) {
		d = dent_find(dir, name, strlen(name));
		if (d == NULL) {
			err = ENOENT;
		} else if (S_ISDIR(d->child->mode)) {
			err = EISDIR;
		} else {
			if (!d->child->is_volatile)
				cl_name(CL_UNLINK, last_flags(d->child), &d->child->fid, &dir->fid, name, strlen(name), &w);
			if (!d->child->is_volatile)
				touch_dir(dir);
			drop_name(d);
		}
	}
	sim_unlock();
	fuse_reply_err(req, err);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct who w = who_of(req);
	struct node *dir;
	struct dent *d;
	int err;

	sim_lock();
	dir = dir_for(parent, name, &err);
	if (dir) {
		d = dent_find(dir, name, strlen(name));
		if (d == NULL) {
			err = ENOENT;
		} else if (!S_ISDIR(d->child->mode)) {
			err = ENOTDIR;
		} else if (d->child->nchildren > 0) {
			err = ENOTEMPTY;
		} else {
			cl_name(CL_RMDIR, 1, &d->child->fid, &dir->fid, name, strlen(name), &w);
			touch_dir(dir);
			drop_name(d);
		}
	}
	sim_unlock();
	fuse_reply_err(req, err);
}

static bool is_below(const struct node *n, const struct node *top)
{
	for (; n; n = node_parent(n))
		if (n == top)
			return true;
	return false;
}

static int rename_node(struct node *from, const char *name, struct node *to, const char *newname, const struct who *w)
{
	struct dent *d = dent_find(from, name, strlen(name)), *v = dent_find(to, newname, strlen(newname));
	struct pfid victim = { 0, 0, 0 };
	uint32_t flags = 0;
	struct node *n;

	if (d == NULL)
		return ENOENT;
	n = d->child;
	if (v && v->child == n)
		return 0;
	if (S_ISDIR(n->mode) && is_below(to, n))
		return EINVAL;
	if (v) {
		if (S_ISDIR(v->child->mode) && !S_ISDIR(n->mode))
			return EISDIR;
		if (!S_ISDIR(v->child->mode) && S_ISDIR(n->mode))
			return ENOTDIR;
		if (S_ISDIR(v->child->mode) && v->child->nchildren > 0)
			return ENOTEMPTY;
		victim = v->child->fid;
		flags = S_ISDIR(v->child->mode) ? 1 : last_flags(v->child);
	}
	cl_rename(flags, &victim, &to->fid, newname, strlen(newname), &n->fid, &from->fid, name, strlen(name), w);
	if (v)
		drop_name(v);
	/* the new name before the old one goes, so that the inode is never nameless */
	dent_add(to, newname, strlen(newname), n);
	dent_remove(d);
	n->ctime = now_sec();
	log_attr(n);
	touch_dir(from);
	if (to != from)
		touch_dir(to);
	return 0;
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
		      unsigned int flags)
{
	struct who w = who_of(req);
	struct node *from, *to;
	int err;

	fault_slow("rename");
	sim_lock();
	from = dir_for(parent, name, &err);
	to = from ? dir_for(newparent, newname, &err) : NULL;
	if (to && flags) /* Lustre's rename takes none */
		err = EINVAL;
	else if (to)
		err = rename_node(from, name, to, newname, &w);
	sim_unlock();
	fuse_reply_err(req, err);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	struct who w = who_of(req);
	struct fuse_entry_param e;
	struct node *n, *dir;
	int err;

	sim_lock();
	n = node_by_ino(ino);
	dir = dir_for(newparent, newname, &err);
	if (n == NULL)
		err = ESTALE;
	if (!err && (n->synthetic || S_ISDIR(n->mode)))
		err = EPERM;
	if (!err && (n->orphan || n->is_volatile || n->links == NULL))
		err = ENOENT;
	if (!err && dent_find(dir, newname, strlen(newname)))
		err = EEXIST;
	if (!err) {
		dent_add(dir, newname, strlen(newname), n);
		n->ctime = now_sec();
		log_attr(n);
		touch_dir(dir);
		cl_name(CL_HARDLINK, 0, &n->fid, &dir->fid, newname, strlen(newname), &w);
		entry_of(n, &e);
	}
	sim_unlock();
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_entry(req, &e);
}

/* ---- open files ---- */

/*
 * O_CREAT and O_EXCL of an open that found its file are not told to FUSE, but Lustre's CLOSE record has them: the
 * blocked system call itself says. 0 when it can't be read.
 */
static int syscall_flags(pid_t pid)
{
	char path[64], line[256];
	unsigned long arg[4] = { 0 };
	long nr;
	int fd, flags = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	line[n] = '\0';
	if (sscanf(line, "%ld %lx %lx %lx %lx", &nr, &arg[0], &arg[1], &arg[2], &arg[3]) < 4)
		return 0;
#ifdef SYS_open
	if (nr == SYS_open)
		flags = (int)arg[1];
#endif
#ifdef SYS_creat
	if (nr == SYS_creat)
		flags = O_CREAT;
#endif
	if (nr == SYS_openat)
		flags = (int)arg[2];
	return flags & (O_CREAT | O_EXCL);
}

static uint32_t record_flags(int flags)
{
	uint32_t f = 0;

	if ((flags & O_ACCMODE) != O_WRONLY)
		f |= MDS_READ;
	if ((flags & O_ACCMODE) != O_RDONLY)
		f |= MDS_WRITE;
	if (flags & O_CREAT)
		f |= MDS_CREAT;
	if (flags & O_EXCL)
		f |= MDS_EXCL;
	if (flags & O_TRUNC)
		f |= MDS_TRUNC;
	if (flags & O_APPEND)
		f |= MDS_APPEND;
	return f;
}

/* Under the lock. */
static struct handle *handle_new(struct node *n, uint32_t flags, const struct who *w, bool dir)
{
	struct handle *h = xcalloc(1, sizeof(*h));

	h->node = n;
	h->flags = flags;
	h->mount = w->mount;
	h->uid = w->uid;
	h->gid = w->gid;
	h->dir = dir;
	cl_jobid(w, h->jobid, sizeof(h->jobid));
	n->opens++;
	if (flags & MDS_WRITE)
		n->wopens++;
	return h;
}

void node_closed(struct node *n)
{
	n->opens--;
	if (n->opens > 0)
		return;
	if (n->obj)
		obj_idle(n->obj);
	if (n->orphan || (n->is_volatile && n->links == NULL)) {
		hsm_wake(n, ESTALE);
		node_remove(n);
	}
}

/* What the server learns when a writer closes: that the archive's copy is old. */
static void tell_modified(struct node *n, const struct who *w)
{
	if (!n->modified)
		return;
	n->modified = false;
	hsm_mark_dirty(n, w);
	log_attr(n);
}

static void handle_close(struct handle *h, const struct who *w)
{
	struct node *n = h->node;
	uint64_t mask = cl_current_mask();
	bool opens_recorded = mask & 1ULL << CL_OPEN;

	if (h->flags & MDS_WRITE) {
		tell_modified(n, w);
		n->wopens--;
	}
	if (S_ISREG(n->mode) && n->layout == NULL && n->opens == 1 && layout_instantiate(n, 1))
		log_node(n);
	if (!h->dir && !n->is_volatile && ((h->flags & (MDS_WRITE | MDS_APPEND | MDS_TRUNC)) || opens_recorded))
		cl_plain(CL_CLOSE, h->flags, &n->fid, &(struct pfid){ 0, 0, 0 }, w);
	if (h->snap) {
		free(h->snap->e);
		free(h->snap->names);
		free(h->snap);
	}
	free(h);
	node_closed(n);
}

static void do_open(struct waiter *a)
{
	struct who w = who_of(a->req);
	struct node *n = a->node, *parent;
	struct handle *h = NULL;
	int rc = 0;

	sim_lock();
	if (n->dead)
		rc = -ESTALE;
	else if ((a->fi.flags & O_TRUNC) && S_ISREG(n->mode))
		rc = truncate_node(a, 0);
	if (rc == 1) {
		sim_unlock();
		return;
	}
	if (rc == 0)
		rc = fault_io("open", n);
	if (rc == 0) {
		parent = node_parent(n);
		h = handle_new(n, record_flags(a->fi.flags | a->mode), &w, false);
		if (!n->is_volatile)
			cl_open(h->flags, &n->fid, parent ? &parent->fid : NULL, &w);
	}
	sim_unlock();
	if (rc) {
		fuse_reply_err(a->req, -rc);
		return;
	}
	a->fi.fh = (uint64_t)(uintptr_t)h;
	a->fi.direct_io = mount_direct_mmap(w.mount);
	if (fuse_reply_open(a->req, &a->fi) == -ENOENT) {
		sim_lock();
		handle_close(h, &w);
		sim_unlock();
	}
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct waiter a = { .op = W_OPEN, .req = req, .fi = *fi };

	fault_slow("open");
	if ((fi->flags & O_ACCMODE) != O_RDONLY)
		a.mode = syscall_flags(fuse_req_ctx(req)->pid);
	sim_lock();
	a.node = node_by_ino(ino);
	if (a.node)
		node_pin(a.node);
	sim_unlock();
	if (a.node == NULL) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	do_open(&a);
	sim_lock();
	node_unpin(a.node);
	sim_unlock();
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct who w = who_of(req);
	struct fuse_entry_param e;
	struct handle *h = NULL;
	struct node *dir, *n;
	int err;

	fault_slow("create");
	sim_lock();
	dir = dir_for(parent, name, &err);
	if (dir && dent_find(dir, name, strlen(name)))
		err = EEXIST;
	if (!err)
		err = -fault_io("create", dir);
	if (!err) {
		n = make_node(dir, name, S_IFREG | (mode & 07777), 0, NULL, &w, fuse_req_ctx(req)->umask,
			      fi->flags & DELAY_CREATE);
		h = handle_new(n, record_flags(fi->flags | O_CREAT), &w, false);
		if (!n->is_volatile)
			cl_open(h->flags, &n->fid, &dir->fid, &w);
		entry_of(n, &e);
	}
	sim_unlock();
	if (err) {
		fuse_reply_err(req, err);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)h;
	fi->direct_io = mount_direct_mmap(w.mount);
	if (fuse_reply_create(req, &e, fi) == -ENOENT) {
		sim_lock();
		handle_close(h, &w);
		sim_unlock();
	}
}

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static struct who closer(const struct handle *h, fuse_req_t req)
{
	struct who w = who_of(req);

	/* the kernel closes on its own account */
	w.uid = h->uid;
	w.gid = h->gid;
	w.mount = h->mount;
	w.job = h->jobid;
	return w;
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	struct who w = closer(h, req);

	(void)ino;
	sim_lock();
	if (h->flags & MDS_WRITE)
		tell_modified(h->node, &w);
	sim_unlock();
	fuse_reply_err(req, 0);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	struct who w = closer(h, req);

	(void)ino;
	sim_lock();
	handle_close(h, &w);
	sim_unlock();
	fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	int rc;

	(void)ino;
	(void)datasync;
	fault_slow("fsync");
	sim_lock();
	rc = fault_io("fsync", handle_of(fi)->node);
	sim_unlock();
	fuse_reply_err(req, -rc);
}

/* ---- data ---- */

static void do_read(struct waiter *a)
{
	struct node *n = a->node;
	struct obj *o = NULL;
	size_t want = 0;
	char *buf;
	ssize_t got = 0;
	int rc;

	sim_lock();
	if (hsm_needs_restore(n)) {
		rc = n->dead ? ESTALE : park(a);
		sim_unlock();
		if (rc)
			fuse_reply_err(a->req, rc);
		return;
	}
	rc = fault_io("read", n);
	if (rc == 0 && (uint64_t)a->off < n->size) {
		want = a->size < n->size - (uint64_t)a->off ? a->size : (size_t)(n->size - (uint64_t)a->off);
		o = n->obj;
		if (o)
			rc = obj_begin(o);
	}
	sim_unlock();
	if (rc) {
		fuse_reply_err(a->req, -rc);
		return;
	}
	buf = malloc(want ? want : 1);
	if (buf == NULL) {
		rc = -ENOMEM;
	} else if (o) {
		while ((size_t)got < want) {
			ssize_t r = pread(o->fd, buf + got, want - (size_t)got, a->off + got);

			if (r < 0 && errno == EINTR)
				continue;
			if (r < 0)
				rc = -errno;
			if (r <= 0)
				break;
			got += r;
		}
	}
	/* the backing file may be shorter than the size says: zeros */
	if (rc == 0 && (size_t)got < want)
		memset(buf + got, 0, want - (size_t)got);
	if (o) {
		sim_lock();
		obj_end(o);
		sim_unlock();
	}
	if (rc)
		fuse_reply_err(a->req, -rc);
	else
		fuse_reply_buf(a->req, buf, want);
	free(buf);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct waiter a = { .op = W_READ, .req = req, .node = handle_of(fi)->node, .size = size, .off = off };

	(void)ino;
	fault_slow("read");
	do_read(&a);
}

/* Room, objects and the note that the archive's copy is old, before the first byte is written. */
static int prepare_write(struct node *n, uint64_t end)
{
	int rc;

	if (end > INT64_MAX - 4096)
		return -EFBIG;
	if (layout_instantiate(n, end)) {
		static const struct who mdt = { .nid = "0@<0:0>" };

		log_node(n);
		if (n->layout->composite && !n->is_volatile)
			cl_plain(CL_LAYOUT, 0, &n->fid, &(struct pfid){ 0, 0, 0 }, &mdt);
	}
	rc = obj_room(n, end);
	if (rc)
		return rc;
	if (n->obj == NULL) {
		n->obj = obj_new(n);
		if (n->obj == NULL)
			return -EIO;
		log_attr(n);
	}
	if (!n->modified) {
		n->modified = true;
		if (n->hsm_flags & HS_EXISTS)
			log_attr(n);
	}
	/* from here on the archive does not have this version: no release passes a write that is under way */
	n->dv = dv_next();
	return obj_begin(n->obj);
}

static void finish_write(struct node *n, struct obj *o, uint64_t end)
{
	if (n->obj == o && !n->dead) {
		if (end > n->size)
			n->size = end;
		n->dv = dv_next();
		n->modified = true;
		n->mtime = n->ctime = now_sec();
		obj_refresh(o);
		log_attr(n);
	}
	obj_end(o);
}

static int pwrite_all(int fd, const char *buf, size_t size, off_t off)
{
	size_t done = 0;

	while (done < size) {
		ssize_t w = pwrite(fd, buf + done, size - done, off + (off_t)done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		done += (size_t)w;
	}
	return 0;
}

static void do_write(struct waiter *a)
{
	struct node *n = a->node;
	bool append = a->fi.flags & O_APPEND;
	struct obj *o = NULL;
	int rc;

	sim_lock();
	if (hsm_needs_restore(n)) {
		rc = n->dead ? ESTALE : park(a);
		sim_unlock();
		if (rc)
			fuse_reply_err(a->req, rc);
		return;
	}
	if (append && !a->fi.writepage)
		a->off = (off_t)n->size;
	/* what the kernel writes back of a mapping never makes the file longer */
	if (a->fi.writepage) {
		if ((uint64_t)a->off >= n->size) {
			sim_unlock();
			fuse_reply_write(a->req, a->size);
			return;
		}
	}
	rc = fault_io("write", n);
	if (rc == 0)
		rc = prepare_write(n, (uint64_t)a->off + a->size);
	if (rc) {
		sim_unlock();
		fuse_reply_err(a->req, -rc);
		return;
	}
	o = n->obj;
	if (!append)
		sim_unlock();
	else
		store_commit();
	rc = pwrite_all(o->fd, a->buf, a->size, a->off);
	if (!append)
		sim_lock();
	if (rc == 0) {
		uint64_t end = (uint64_t)a->off + a->size;

		finish_write(n, o, a->fi.writepage && end > n->size ? n->size : end);
	} else {
		obj_end(o);
	}
	sim_unlock();
	if (rc)
		fuse_reply_err(a->req, -rc);
	else
		fuse_reply_write(a->req, a->size);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct waiter a = { .op = W_WRITE, .req = req, .node = handle_of(fi)->node, .size = size, .off = off, .fi = *fi,
			    .buf = (char *)(uintptr_t)buf };

	(void)ino;
	fault_slow("write");
	do_write(&a);
}

static void do_fallocate(struct waiter *a)
{
	struct node *n = a->node;
	uint64_t end = (uint64_t)a->off + a->size;
	int rc;

	sim_lock();
	if (hsm_needs_restore(n)) {
		rc = n->dead ? ESTALE : park(a);
		sim_unlock();
		if (rc)
			fuse_reply_err(a->req, rc);
		return;
	}
	rc = prepare_write(n, a->mode & FALLOC_FL_PUNCH_HOLE ? 1 : end);
	if (rc == 0) {
		struct obj *o = n->obj;

		if (fallocate(o->fd, a->mode, a->off, (off_t)a->size) != 0)
			rc = -errno;
		if (rc == 0)
			finish_write(n, o, a->mode & FALLOC_FL_KEEP_SIZE ? 0 : end);
		else
			obj_end(o);
	}
	sim_unlock();
	fuse_reply_err(a->req, -rc);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
	struct waiter a = { .op = W_FALLOCATE, .req = req, .node = handle_of(fi)->node, .size = (size_t)len, .off = off,
			    .mode = mode };

	(void)ino;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	do_fallocate(&a);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct node *n = handle_of(fi)->node;
	off_t at = -1;
	int err = 0;

	(void)ino;
	sim_lock();
	if ((uint64_t)off >= n->size) {
		err = ENXIO;
	} else if (hsm_needs_restore(n)) {
		at = whence == SEEK_DATA ? off : (off_t)n->size;
	} else if (n->obj == NULL) {
		err = whence == SEEK_DATA ? ENXIO : 0;
		at = off;
	} else {
		err = -obj_begin(n->obj);
		if (!err) {
			at = lseek(n->obj->fd, off, whence);
			if (at < 0)
				err = errno;
			obj_end(n->obj);
		}
	}
	sim_unlock();
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_lseek(req, at);
}

/* ---- directories ---- */

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct who w = who_of(req);
	struct handle *h = NULL;
	struct node *n;

	sim_lock();
	n = node_by_ino(ino);
	if (n)
		h = handle_new(n, 0, &w, true);
	sim_unlock();
	if (h == NULL) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)h;
	if (fuse_reply_open(req, fi) == -ENOENT) {
		sim_lock();
		handle_close(h, &w);
		sim_unlock();
	}
}

static void snap_add(struct snapshot *s, size_t *names, uint64_t ino, uint32_t mode, const char *name, size_t len)
{
	s->e[s->n].ino = ino;
	s->e[s->n].mode = mode;
	s->e[s->n].name = (uint32_t)*names;
	memcpy(s->names + *names, name, len);
	s->names[*names + len] = '\0';
	*names += len + 1;
	s->n++;
}

static struct snapshot *snap_make(struct node *dir)
{
	struct snapshot *s = xcalloc(1, sizeof(*s));
	struct node *up = node_parent(dir);
	size_t names = 0, total = 64;

	for (struct dent *d = dir->children; d; d = d->next)
		total += d->len + 1u;
	s->e = xcalloc(dir->nchildren + 4, sizeof(*s->e));
	s->names = xcalloc(1, total);
	snap_add(s, &names, fid_ino(&dir->fid), S_IFDIR, ".", 1);
	snap_add(s, &names, fid_ino(up ? &up->fid : &dir->fid), S_IFDIR, "..", 2);
	if (dir == dot_lustre) {
		snap_add(s, &names, fid_ino(&fid_dir->fid), S_IFDIR, "fid", 3);
		snap_add(s, &names, fid_ino(&lost_found->fid), S_IFDIR, "lost+found", 10);
	}
	for (struct dent *d = dir->children; d; d = d->next)
		if (!d->child->is_volatile)
			snap_add(s, &names, fid_ino(&d->child->fid), d->child->mode, d->name, d->len);
	return s;
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	char *buf = malloc(size);
	size_t used = 0;

	(void)ino;
	fault_slow("readdir");
	if (buf == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	sim_lock();
	if (off == 0 && h->snap) {
		free(h->snap->e);
		free(h->snap->names);
		free(h->snap);
		h->snap = NULL;
	}
	if (h->snap == NULL)
		h->snap = snap_make(h->node);
	for (size_t i = (size_t)off; i < h->snap->n; i++) {
		const struct snap_entry *e = &h->snap->e[i];
		struct stat st = { .st_ino = e->ino, .st_mode = e->mode };
		size_t need = fuse_add_direntry(req, buf + used, size - used, h->snap->names + e->name, &st, (off_t)i + 1);

		if (need > size - used)
			break;
		used += need;
	}
	sim_unlock();
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

/* ---- extended attributes ---- */

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
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

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
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

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
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

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
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

/* ---- ioctls ---- */

struct hsm_progress_arg {
	struct pfid fid;
	uint64_t cookie, off, len;
	uint16_t flags, err;
	uint32_t pad;
};

struct hsm_import_arg {
	uint64_t size, atime, mtime;
	uint32_t atime_ns, mtime_ns, uid, gid, mode, archive;
};

struct hsm_state_arg {
	uint32_t states, archive, in_state, in_action;
	uint64_t off, len;
};

struct hsm_state_set_arg {
	uint32_t valid, archive;
	uint64_t set, clear;
};

struct hsm_action_arg {
	uint32_t state, action;
	uint64_t off, len;
};

struct data_version_arg {
	uint64_t version;
	uint32_t layout, flags;
};

_Static_assert(sizeof(struct hsm_progress_arg) == 48, "struct hsm_progress");
_Static_assert(sizeof(struct hsm_import_arg) == 48, "struct hsm_user_import");
_Static_assert(sizeof(struct hsm_state_arg) == 32, "struct hsm_user_state");
_Static_assert(sizeof(struct hsm_state_set_arg) == 24, "struct hsm_state_set");

#define IOC_STATE_GET _IOR('f', 211, struct hsm_state_arg)
#define IOC_STATE_SET _IOW('f', 212, struct hsm_state_set_arg)
#define IOC_PROGRESS _IOC(_IOC_WRITE, 'f', 216, 24) /* its number carries another structure's size */
#define IOC_DATA_VERSION _IOR('f', 218, struct data_version_arg)
#define IOC_ACTION _IOR('f', 220, struct hsm_action_arg)
#define IOC_IMPORT _IOWR('f', 245, struct hsm_import_arg)

static void current_action(const struct node *n, uint32_t *state, uint32_t *action, uint64_t *off, uint64_t *len)
{
	const struct action *a = cdt_current(&n->fid);

	*state = 0;
	*action = HUA_NONE;
	*off = *len = 0;
	if (a == NULL)
		return;
	*state = a->status == ARS_WAITING ? 1 : 2;
	*action = a->kind == HSMA_REMOVE ? HUA_REMOVE : a->kind - HSMA_ARCHIVE + HUA_ARCHIVE;
	*off = a->off;
	*len = a->status == ARS_STARTED && a->running ? a->done : a->len;
}

static int do_ioctl(struct node *n, struct handle *h, unsigned cmd, const void *in, uintptr_t arg, const struct who *w,
		    void *out, size_t *outlen)
{
	(void)h;
	*outlen = 0;
	if (cmd == IOC_PROGRESS) {
		struct hsm_progress_arg p;
		struct iovec to = { &p, sizeof(p) }, from = { (void *)arg, sizeof(p) };

		/* FUSE brings only the 24 bytes that the number tells of: the rest is read from the caller */
		if (process_vm_readv(w->pid, &to, 1, &from, 1, 0) != (ssize_t)sizeof(p))
			return -EFAULT;
		return cdt_progress(&p.fid, p.cookie, p.off, p.len, p.flags, p.err, 0, w);
	}
	if (!S_ISREG(n->mode))
		return -ENOTTY;
	if (cmd == IOC_STATE_GET) {
		struct hsm_state_arg *s = out;

		memset(s, 0, sizeof(*s));
		s->states = n->hsm_flags;
		s->archive = n->hsm_archive;
		*outlen = sizeof(*s);
		return 0;
	}
	if (cmd == IOC_STATE_SET) {
		const struct hsm_state_set_arg *s = in;

		return hsm_state_set(n, s->valid & 1 ? s->set : 0, s->valid & 2 ? s->clear : 0, s->archive, s->valid & 4, w);
	}
	if (cmd == IOC_DATA_VERSION) {
		struct data_version_arg *d = out;

		memset(d, 0, sizeof(*d));
		d->version = n->dv;
		d->layout = n->layout ? n->layout->gen : 0;
		*outlen = sizeof(*d);
		return 0;
	}
	if (cmd == IOC_ACTION) {
		struct hsm_action_arg *a = out;

		current_action(n, &a->state, &a->action, &a->off, &a->len);
		*outlen = sizeof(*a);
		return 0;
	}
	if (cmd == IOC_IMPORT) {
		const struct hsm_import_arg *i = in;

		return hsm_import(n, i->mode, i->uid, i->gid, i->size, i->archive, (int64_t)i->atime, (int64_t)i->mtime, w);
	}
	return -ENOTTY;
}

static void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
		     const void *in_buf, size_t in_bufsz, size_t out_bufsz)
{
	struct who w = who_of(req);
	uint8_t out[64] = { 0 };
	size_t outlen = 0;
	struct node *n;
	int rc;

	if (flags & FUSE_IOCTL_COMPAT) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if ((_IOC_DIR(cmd) & _IOC_WRITE) && in_bufsz < _IOC_SIZE(cmd)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	sim_lock();
	n = node_by_ino(ino);
	rc = n ? do_ioctl(n, handle_of(fi), cmd, in_buf, (uintptr_t)arg, &w, out, &outlen) : -ESTALE;
	sim_unlock();
	if (rc)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_ioctl(req, 0, out, outlen < out_bufsz ? outlen : out_bufsz);
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
