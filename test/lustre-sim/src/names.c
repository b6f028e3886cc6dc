/*
 * Names: making, linking, renaming and removing files of every kind.
 */
#include "ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Refuses what can't be in a directory; the directory, or NULL with *err. */
struct node *dir_for(fuse_ino_t parent, const char *name, int *err)
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

/*
 * The root's default is to spread directories over the MDTs, three levels deep (mdd's default LMV); below, a directory
 * is where its parent is, as every other file.
 */
static unsigned mdt_for_dir(const struct node *dir)
{
	static unsigned turn;
	unsigned depth = 0;

	if (sim.wanted_mdt)
		return sim.wanted_mdt - 1;
	for (const struct node *up = dir; up != sim.root && up != NULL; up = node_parent(up))
		depth++;
	return sim.nmdts > 1 && depth < 3 ? turn++ % sim.nmdts : fid_mdt(&dir->fid);
}

/* A new inode with its first name. */
struct node *make_node(struct node *dir, const char *name, uint32_t mode, uint64_t rdev, const char *target,
			      const struct who *w, uint32_t umask, bool delayed)
{
	static const int types[16] = { [S_IFDIR >> 12] = CL_MKDIR, [S_IFREG >> 12] = CL_CREATE, [S_IFLNK >> 12] = CL_SOFTLINK,
				       [S_IFIFO >> 12] = CL_MKNOD, [S_IFCHR >> 12] = CL_MKNOD, [S_IFBLK >> 12] = CL_MKNOD,
				       [S_IFSOCK >> 12] = CL_MKNOD };
	struct pfid fid = fid_next(S_ISDIR(mode) ? mdt_for_dir(dir) : fid_mdt(&dir->fid));
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
	if (S_ISREG(mode) && !delayed && layout_instantiate(n, 1) > 0)
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
	if (!err && S_ISREG(mode))
		err = -layout_check(dir);
	if (!err)
		entry_of(make_node(dir, name, mode, rdev, target, &w, fuse_req_ctx(req)->umask, false), parent, &e);
	if (!err)
		err = cl_failure();
	sim_unlock();
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_entry(req, &e);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make_and_reply(req, parent, name, mode, rdev, NULL);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make_and_reply(req, parent, name, S_IFDIR | (mode & 07777), 0, NULL);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
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

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
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
	if (!err)
		err = cl_failure();
	sim_unlock();
	fuse_reply_err(req, err);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
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
	if (!err)
		err = cl_failure();
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

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
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
	if (!err)
		err = cl_failure();
	sim_unlock();
	fuse_reply_err(req, err);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
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
		entry_of(n, newparent, &e);
	}
	if (!err)
		err = cl_failure();
	sim_unlock();
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_entry(req, &e);
}

