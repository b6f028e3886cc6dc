/*
 * What llapi's copytool calls do in the client's kernel: beginning and ending an action, with data versions checked.
 */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static uint64_t last_handle;

static struct copy *find(struct conn *c, uint64_t handle)
{
	struct copy *k;

	for (k = c->copies; k && k->handle != handle; k = k->next)
		;
	return k;
}

/*
 * The nameless file that a restore writes to; open until the copytool lets go of it. On the MDT that was asked for, otherwise
 * where the file's directory is (lmv_locate_tgt), whatever MDT the file itself is on.
 */
static struct node *make_volatile(struct node *file, int64_t mdt, bool delayed, int *rc)
{
	struct node *dir = node_parent(file), *v;
	struct pfid fid;

	if (mdt >= (int64_t)sim.nmdts) {
		*rc = -ENODEV;
		return NULL;
	}
	fid = fid_next(mdt >= 0 ? (unsigned)mdt : fid_mdt(dir ? &dir->fid : &file->fid));
	v = node_new(&fid, S_IFREG | 0600, file->uid, file->gid); /* llapi gives it away at once */

	v->is_volatile = true;
	v->nlink = 1;
	if (dir)
		v->vparent = dir->fid;
	v->opens = 1;
	*rc = delayed ? 0 : layout_instantiate(v, 1);
	if (*rc >= 0)
		return v;
	node_remove(v);
	return NULL;
}

static void drop_volatile(const struct copy *k)
{
	struct node *v = k->action == HSMA_RESTORE && !fid_eq(&k->fid, &k->dfid) ? node_find(&k->dfid) : NULL;

	if (v && v->is_volatile)
		node_closed(v);
}

int copy_begin(struct conn *c, const struct pline *l, const struct who *w, struct pmsg *reply)
{
	struct copy *k;
	struct node *n;
	uint32_t action = (uint32_t)pline_u64(l, "action", 0);
	uint64_t cookie = pline_u64(l, "cookie", 0), off = pline_u64(l, "off", 0);
	struct pfid fid;
	int rc = 0;

	if (!pline_fid(l, "fid", &fid))
		return -EINVAL;
	k = xcalloc(1, sizeof(*k));
	k->cookie = cookie;
	k->fid = k->dfid = fid;
	k->action = action;
	k->is_error = pline_u64(l, "error", 0);
	n = node_find(&fid);
	if (!k->is_error) {
		uint32_t err = 0;

		if (action == HSMA_ARCHIVE) {
			if (n == NULL)
				err = ENOENT;
			else
				k->dv = n->dv;
		} else if (action == HSMA_RESTORE) {
			if (n == NULL) {
				free(k);
				return -ENOENT;
			}
			/* O_LOV_DELAY_CREATE leaves the layout to be set before the first write */
			n = make_volatile(n, pline_i64(l, "mdt", -1), pline_u64(l, "oflags", 0) & O_ASYNC, &rc);
			if (n == NULL) {
				free(k);
				return rc;
			}
			k->dfid = n->fid;
		}
		rc = cdt_progress(&fid, cookie, off, 0, err ? HP_RETRY | HP_COMPLETED : 0, err, 0, w);
		if (err)
			rc = -(int)err;
		if (rc) {
			drop_volatile(k);
			free(k);
			return rc;
		}
	}
	k->handle = ++last_handle;
	k->next = c->copies;
	c->copies = k;
	pmsg_fid(reply, "dfid", &k->dfid);
	pmsg_u64(reply, "dv", k->dv);
	pmsg_u64(reply, "handle", k->handle);
	return 0;
}

int copy_done(const struct copy_done *d, const struct who *w)
{
	uint32_t flags = d->flags | HP_COMPLETED, err = d->err;
	uint64_t dv = 0;
	int rc = 0, rc2;

	if (err == 0 && (d->action == HSMA_ARCHIVE || d->action == HSMA_RESTORE)) {
		const struct node *n = node_find(&d->fid);

		if (n == NULL) {
			flags |= HP_RETRY;
			err = ENOENT;
			rc = -ENOENT;
		} else {
			dv = n->dv;
			if (d->action == HSMA_ARCHIVE && dv != d->dv) {
				flags &= ~(uint32_t)HP_RETRY;
				err = EBUSY;
				rc = -EBUSY;
			}
		}
	}
	rc2 = cdt_progress(&d->fid, d->cookie, d->off, d->len, flags, err, dv, w);
	return rc ? rc : rc2;
}

int copy_end(struct conn *c, const struct pline *l, const struct who *w)
{
	struct copy *k = find(c, pline_u64(l, "handle", 0)), **at;
	struct copy_done d = { .cookie = pline_u64(l, "cookie", 0), .action = (uint32_t)pline_u64(l, "action", 0),
			       .flags = (uint32_t)pline_u64(l, "flags", 0), .err = (uint32_t)pline_u64(l, "errval", 0),
			       .off = pline_u64(l, "off", 0), .len = pline_u64(l, "len", 0) };
	int rc;

	if (k == NULL) {
		/* the connection of the begin is gone, and with it its volatile file and version */
		if (!pline_fid(l, d.action == HSMA_RESTORE ? "dfid" : "fid", &d.fid))
			return -EINVAL;
		return copy_done(&d, w);
	}
	d.cookie = k->cookie;
	d.action = k->action;
	d.dv = k->dv;
	/* a restore is told of under the volatile file's FID */
	d.fid = k->action == HSMA_RESTORE ? k->dfid : k->fid;
	rc = copy_done(&d, w);
	for (at = &c->copies; *at != k; at = &(*at)->next)
		;
	*at = k->next;
	drop_volatile(k);
	free(k);
	return rc;
}

/* The copytool went away in the middle: its volatile files go, its actions stay as they are. */
void copy_forget(struct copy *list)
{
	while (list) {
		struct copy *k = list;

		list = k->next;
		drop_volatile(k);
		free(k);
	}
}

void copy_evict(struct copy *list)
{
	for (; list; list = list->next) {
		struct node *v = list->action == HSMA_RESTORE && !fid_eq(&list->fid, &list->dfid) ? node_find(&list->dfid) : NULL;

		if (v && v->is_volatile)
			node_remove(v);
	}
}
