/*
 * Reading directories: each open one is a snapshot, taken when reading it begins.
 */
#include "ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

void snap_free(struct snapshot *s)
{
	if (s == NULL)
		return;
	free(s->e);
	free(s->names);
	free(s);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
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

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
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
	if (off == 0) {
		snap_free(h->snap);
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

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

