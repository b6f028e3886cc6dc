/*
 * Open files: the flags that their CLOSE records carry, and what the server learns when a writer closes.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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
struct handle *handle_new(struct node *n, uint32_t flags, const struct who *w, bool dir)
{
	struct handle *h = xcalloc(1, sizeof(*h));

	h->node = n;
	h->flags = flags;
	h->mount = w->mount;
	h->uid = w->uid;
	h->gid = w->gid;
	h->dir = dir;
	cl_jobid(w, h->jobid, sizeof(h->jobid));
	node_pin(n);
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

void handle_close(struct handle *h, const struct who *w)
{
	struct node *n = h->node;
	uint64_t mask = cl_current_mask(fid_mdt(&n->fid));
	bool opens_recorded = mask & 1ULL << CL_OPEN;

	if (h->flags & MDS_WRITE) {
		tell_modified(n, w);
		n->wopens--;
	}
	if (!h->dir && !n->is_volatile && ((h->flags & (MDS_WRITE | MDS_APPEND | MDS_TRUNC)) || opens_recorded))
		cl_plain(CL_CLOSE, h->flags, &n->fid, &(struct pfid){ 0, 0, 0 }, w);
	snap_free(h->snap);
	free(h);
	node_closed(n);
	node_unpin(n);
}

void do_open(struct waiter *a)
{
	struct who w = who_of(a->req);
	struct node *n = a->node;
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
		h = handle_new(n, record_flags(a->fi.flags | a->mode), &w, false);
		if (!n->is_volatile)
			cl_open(h->flags, &n->fid, &w);
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

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
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

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
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
	if (!err && !(fi->flags & DELAY_CREATE))
		err = -layout_check(dir);
	if (!err) {
		n = make_node(dir, name, S_IFREG | (mode & 07777), 0, NULL, &w, fuse_req_ctx(req)->umask,
			      fi->flags & DELAY_CREATE);
		h = handle_new(n, record_flags(fi->flags | O_CREAT), &w, false);
		if (!n->is_volatile)
			cl_open(h->flags, &n->fid, &w);
		entry_of(n, parent, &e);
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

struct handle *handle_of(const struct fuse_file_info *fi)
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

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
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

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	struct who w = closer(h, req);

	(void)ino;
	sim_lock();
	handle_close(h, &w);
	sim_unlock();
	fuse_reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	int rc;

	(void)ino;
	(void)datasync;
	fault_slow("fsync");
	sim_lock();
	rc = handle_of(fi)->node->dead ? -EIO : fault_io("fsync", handle_of(fi)->node);
	sim_unlock();
	fuse_reply_err(req, -rc);
}

