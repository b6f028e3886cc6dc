/*
 * A tree made at once, as a file system that has been in use for years has it: simctl grow. Files have sizes and no bytes
 * (they read as zeros); what a user could have done one by one is done under a few locks.
 */
#include "ops.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 2000 /* entries made under one lock: others get their turn in between */

struct growth {
	struct pfid *dirs;
	uint64_t ndirs, files, fanout, size, size_step;
	uint32_t uid, gid, archive;
	int64_t mtime;
	enum { PLAIN, ARCHIVED, RELEASED } state;
	bool records;
	char prefix[64];
	struct who who;
};

static void dress(const struct growth *g, struct node *n, uint64_t number)
{
	n->uid = g->uid;
	n->gid = g->gid;
	n->atime = n->mtime = n->ctime = g->mtime;
	if (S_ISREG(n->mode)) {
		n->size = g->size + g->size_step * (number % 1000);
		n->dv = dv_next();
		if (g->state != PLAIN) {
			n->hsm_flags = HS_EXISTS | HS_ARCHIVED;
			n->hsm_archive = g->archive;
			n->hsm_ver = n->dv;
		}
		if (g->state == RELEASED) {
			layout_release(n->layout);
			n->hsm_flags |= HS_RELEASED;
		}
	}
	log_node(n);
}

/* One more entry below dir; NULL when its name is taken. */
static struct node *add(const struct growth *g, struct node *dir, char kind, uint64_t number, uint32_t mode)
{
	char name[96];
	size_t len = (size_t)snprintf(name, sizeof(name), "%s%c%06llu", g->prefix, kind, (unsigned long long)number);
	struct node *n;

	if (dent_find(dir, name, len))
		return NULL;
	if (g->records) {
		n = make_node(dir, name, mode, 0, NULL, &g->who, 0, false);
		if (S_ISREG(mode))
			cl_plain(CL_CLOSE, MDS_WRITE | MDS_CREAT, &n->fid, &(struct pfid){ 0, 0, 0 }, &g->who);
	} else {
		struct pfid fid = fid_next(fid_mdt(&dir->fid));

		n = node_new(&fid, mode, g->uid, g->gid);
		n->vparent = dir->fid;
		log_node(n);
		dent_add(dir, name, len, n);
		if (S_ISREG(mode))
			layout_instantiate(n, 1);
	}
	dress(g, n, number);
	return n;
}

static int make_dirs(struct growth *g, struct node *top)
{
	for (uint64_t i = 0; i < g->ndirs; i++) {
		struct node *dir = top, *n;

		if (g->fanout > 0 && i > 0)
			dir = node_find(&g->dirs[(i - 1) / g->fanout]);
		n = dir ? add(g, dir, 'd', i, S_IFDIR | 0755) : NULL;
		if (n == NULL)
			return dir ? -EEXIST : -ENOENT;
		g->dirs[i] = n->fid;
		if (i % CHUNK == CHUNK - 1) {
			sim_unlock();
			sim_lock();
		}
	}
	return 0;
}

static int make_files(struct growth *g)
{
	for (uint64_t i = 0, made = 0; i < g->ndirs; i++)
		for (uint64_t k = 0; k < g->files; k++) {
			struct node *dir = node_find(&g->dirs[i]);

			if (dir == NULL)
				return -ENOENT;
			if (add(g, dir, 'f', k, S_IFREG | 0644) == NULL)
				return -EEXIST;
			if (++made % CHUNK == 0) {
				sim_unlock();
				sim_lock();
			}
		}
	return 0;
}

/* Below the directory `fid`: `dirs` directories (0: none, the files come right into it) of `files` files each. */
void v_grow(struct conn *c, const struct pline *l)
{
	const char *state = pline_str(l, "state", "");
	struct growth g = {
		.ndirs = pline_u64(l, "dirs", 0), .files = pline_u64(l, "files", 0), .fanout = pline_u64(l, "fanout", 0),
		.size = pline_u64(l, "size", 0), .size_step = pline_u64(l, "size_step", 0),
		.uid = (uint32_t)pline_u64(l, "uid", 0), .gid = (uint32_t)pline_u64(l, "gid", 0),
		.archive = (uint32_t)pline_u64(l, "archive", 1), .mtime = pline_i64(l, "mtime", now_sec()),
		.records = pline_u64(l, "records", 0) != 0, .who = conn_who(c),
		.state = strcmp(state, "archived") == 0 ? ARCHIVED : strcmp(state, "released") == 0 ? RELEASED : PLAIN,
	};
	struct node *top;
	int rc;

	snprintf(g.prefix, sizeof(g.prefix), "%s", pline_str(l, "prefix", ""));
	if (c->uid != 0) {
		reply(c, -EPERM);
		return;
	}
	sim_lock();
	rc = node_of(l, &top);
	if (rc == 0 && (!S_ISDIR(top->mode) || top->synthetic))
		rc = -ENOTDIR;
	if (rc == 0 && g.ndirs == 0) {
		g.ndirs = 1;
		g.dirs = xmemdup(&top->fid, sizeof(top->fid));
	} else if (rc == 0) {
		g.dirs = xcalloc(g.ndirs, sizeof(*g.dirs));
		rc = make_dirs(&g, top);
	}
	if (rc == 0)
		rc = make_files(&g);
	sim_unlock();
	free(g.dirs);
	reply(c, rc);
}
