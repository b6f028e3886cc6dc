/*
 * The bytes of files: reading, writing, changing the size.
 * 
 * Data operations on a released file are parked: a copy of their arguments waits with the file (hsm_wait) and the
 * operation is done again, or refused, when the restore has ended. Nothing is cached by the kernel but what is mapped.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	rc = layout_instantiate(n, size ? size : 1);
	if (rc < 0)
		return rc;
	if (rc)
		log_node(n);
	rc = 0;
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
int truncate_node(struct waiter *a, uint64_t size)
{
	struct node *n = a->node;
	struct who w = who_of(a->req);
	int rc;

	if (!a->announced && !n->is_volatile)
		cl_plain(CL_TRUNC, LA_MTIME | LA_CTIME | LA_SIZE, &n->fid, NULL, &w);
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
		rc = -cl_failure();
	}
	sim_unlock();
	if (rc)
		fuse_reply_err(a->req, -rc);
	else
		fuse_reply_attr(a->req, &st, 0);
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
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
	rc = n->dead ? -EIO : fault_io("read", n);
	if (rc == 0 && (uint64_t)a->off < n->size) {
		want = a->size < n->size - (uint64_t)a->off ? a->size : (size_t)(n->size - (uint64_t)a->off);
		want = fault_short("read", n, want);
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

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
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
	rc = layout_instantiate(n, end);
	if (rc < 0)
		return rc;
	if (rc) {
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
	rc = n->dead ? -EIO : fault_io("write", n);
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

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
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

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi)
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

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
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

