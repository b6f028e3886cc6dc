/*
 * HSM states and their rules, release, import, the swap that ends a restore, and those who wait for one.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct who mdt_self = { .nid = "0@<0:0>" };

bool hsm_needs_restore(const struct node *n)
{
	return S_ISREG(n->mode) && layout_released(n->layout);
}

/* Every write of the HSM attributes makes a record: 'state' when the flags changed, an empty one when they did not. */
void hsm_set(struct node *n, uint32_t flags, uint32_t archive, uint64_t ver, const struct who *w)
{
	uint32_t clf = 0;

	if (flags != n->hsm_flags)
		clf = (HE_STATE << 7) | (flags & HS_DIRTY ? CLF_HSM_DIRTY : 0);
	n->hsm_flags = flags;
	n->hsm_archive = archive;
	n->hsm_ver = ver;
	log_attr(n);
	if (!n->is_volatile)
		cl_plain(CL_HSM, clf, &n->fid, NULL, w ? w : &mdt_self);
}

void hsm_mark_dirty(struct node *n, const struct who *w)
{
	if ((n->hsm_flags & HS_EXISTS) && !(n->hsm_flags & HS_DIRTY))
		hsm_set(n, n->hsm_flags | HS_DIRTY, n->hsm_archive, n->hsm_ver, w);
}

int hsm_state_set(struct node *n, uint64_t set, uint64_t clear, uint32_t archive, bool with_archive, const struct who *w)
{
	uint32_t flags;

	if ((set | clear) & ~(uint64_t)HS_ALL)
		return -EINVAL;
	if (((set | clear) & ~(uint64_t)HS_USER) && w->uid != 0)
		return -EPERM;
	flags = (n->hsm_flags | (uint32_t)set) & ~(uint32_t)clear;
	/* an archive id for a file that is in no archive is silently left out */
	if (with_archive && !(flags & HS_EXISTS))
		return 0;
	if (((flags & HS_DIRTY) && !(flags & HS_EXISTS)) || ((flags & HS_RELEASED) && (flags & HS_DIRTY)) ||
	    ((flags & HS_RELEASED) && !(flags & HS_ARCHIVED)) || ((flags & HS_LOST) && !(flags & HS_ARCHIVED)))
		return -EINVAL;
	hsm_set(n, flags, with_archive ? archive : n->hsm_archive, n->hsm_ver, w);
	return 0;
}

/*
 * The MDT's order: the state, then a lease (a second writer besides the one who is counted already is in its way), then
 * the permission to write, then the version of the data.
 */
int hsm_release(struct node *n, bool may_write, const struct who *w)
{
	if (!S_ISREG(n->mode))
		return -EINVAL;
	if ((n->hsm_flags & (HS_DIRTY | HS_NORELEASE | HS_LOST)) || !(n->hsm_flags & HS_ARCHIVED))
		return -EPERM;
	if (n->wopens > 1)
		return -EBUSY;
	if (!may_write)
		return -EACCES;
	if (hsm_needs_restore(n)) {
		cl_plain(CL_CLOSE, MDS_WRITE, &n->fid, NULL, w);
		return 0;
	}
	if (n->dv != n->hsm_ver)
		return -EPERM;
	fid_next(fid_mdt(&n->fid)); /* the orphan that takes the old layout */
	layout_instantiate(n, n->size ? n->size : 1);
	if (n->obj) {
		obj_drop(n->obj);
		n->obj = NULL;
	}
	layout_release(n->layout);
	n->hsm_flags |= HS_RELEASED;
	log_node(n);
	cl_plain(CL_TRUNC, LA_ATIME | LA_MTIME | LA_CTIME | LA_SIZE, &n->fid, &(struct pfid){ 0, 0, 0 }, w);
	if (sim.v215)
		cl_plain(CL_HSM, HE_RELEASE << 7, &n->fid, NULL, w);
	cl_plain(CL_LAYOUT, 0, &n->fid, &(struct pfid){ 0, 0, 0 }, w);
	cl_plain(CL_CLOSE, MDS_WRITE, &n->fid, NULL, w);
	fault_point("release");
	mounts_inval(n, -1);
	return 0;
}

int hsm_import(struct node *n, uint32_t mode, uint32_t uid, uint32_t gid, uint64_t size, uint32_t archive, int64_t atime,
	       int64_t mtime, const struct who *w)
{
	uint32_t valid = LA_ATIME | LA_MTIME | LA_CTIME | LA_SIZE | LA_MODE | LA_UID | LA_GID;

	if (!S_ISREG(n->mode))
		return -ENOTTY;
	if (w->uid != 0)
		return -EPERM;
	if (!hsm_needs_restore(n))
		return -EINVAL;
	hsm_set(n, n->hsm_flags | HS_ARCHIVED | HS_EXISTS | HS_RELEASED, archive, 0, w);
	if (size > OBJECT_MAX)
		return -EFBIG;
	if (gid != n->gid)
		valid |= LA_GIDCHANGED;
	n->mode = S_IFREG | (mode & 0777);
	n->uid = uid;
	n->gid = gid;
	n->size = size;
	n->atime = atime;
	n->mtime = mtime;
	n->ctime = now_sec();
	log_attr(n);
	cl_plain(CL_TRUNC, valid, &n->fid, NULL, w);
	mounts_inval(n, -1);
	return 0;
}

/* The file takes the volatile file's data and layout; the volatile keeps a released husk. */
int hsm_swap(struct node *n, struct node *vol, const struct who *w)
{
	uint32_t gen = n->layout ? n->layout->gen : 0;
	struct layout *was = n->layout;
	int rc;

	if (vol == NULL || vol == n || !S_ISREG(vol->mode))
		return -ENOENT;
	/* mdd_layout_swap_allowed: since 2.16 also for a restore */
	if (!sim.v215 && (vol->uid != n->uid || vol->gid != n->gid))
		return -EPERM;
	fault_point("swap");
	rc = layout_instantiate(vol, 1);
	if (rc < 0)
		return rc;
	n->layout = vol->layout;
	layout_bump(n->layout, gen + 1);
	vol->layout = was;
	if (n->obj)
		obj_drop(n->obj);
	n->obj = vol->obj;
	vol->obj = NULL;
	if (n->obj) {
		n->obj->node = n;
		obj_refresh(n->obj);
	}
	n->size = vol->size;
	n->dv = vol->dv;
	vol->size = 0;
	n->hsm_flags &= ~(uint32_t)(HS_RELEASED | HS_DIRTY);
	n->ctime = now_sec();
	log_node(n);
	if (!sim.v215)
		cl_plain(CL_HSM, HE_RELEASE << 7, &n->fid, NULL, w);
	mounts_inval(n, -1);
	return 0;
}

/* ---- waiting ---- */

/* Waiters by slot; an id is slot and generation, so a late interrupt finds nobody instead of somebody else. */
static struct {
	struct waiter *w;
	uint32_t gen;
} *slots;
static unsigned nslots;

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_cond = PTHREAD_COND_INITIALIZER;
static struct waiter *resume_first, *resume_last;
static uint64_t *interrupted;
static unsigned ninterrupted, cap_interrupted;

static void slot_take(struct waiter *wt)
{
	unsigned i = 0;

	while (i < nslots && slots[i].w)
		i++;
	if (i == nslots) {
		slots = xrealloc(slots, (nslots * 2 + 64) * sizeof(*slots));
		memset(slots + nslots, 0, (nslots + 64) * sizeof(*slots));
		nslots = nslots * 2 + 64;
	}
	slots[i].w = wt;
	wt->id = (uint64_t)++slots[i].gen << 32 | i;
}

static void slot_free(const struct waiter *wt)
{
	slots[(uint32_t)wt->id].w = NULL;
}

static void unlink_waiter(struct waiter *wt)
{
	struct node *n = wt->node;

	if (wt->prev)
		wt->prev->next = wt->next;
	else
		n->waiters = wt->next;
	if (wt->next)
		wt->next->prev = wt->prev;
	else
		n->waiters_tail = wt->prev;
	wt->prev = wt->next = NULL;
	slot_free(wt);
}

static void queue_resume(struct waiter *wt)
{
	pthread_mutex_lock(&queue_lock);
	wt->rnext = NULL;
	if (resume_last)
		resume_last->rnext = wt;
	else
		resume_first = wt;
	resume_last = wt;
	pthread_cond_signal(&queue_cond);
	pthread_mutex_unlock(&queue_lock);
}

/* libfuse calls this with the request locked: take no other lock than the queue's. */
static void on_interrupt(fuse_req_t req, void *data)
{
	(void)req;
	hsm_interrupted((uint64_t)(uintptr_t)data);
}

void hsm_interrupted(uint64_t id)
{
	pthread_mutex_lock(&queue_lock);
	if (ninterrupted == cap_interrupted) {
		cap_interrupted = cap_interrupted * 2 + 16;
		interrupted = xrealloc(interrupted, cap_interrupted * sizeof(*interrupted));
	}
	interrupted[ninterrupted++] = id;
	pthread_cond_signal(&queue_cond);
	pthread_mutex_unlock(&queue_lock);
}

int hsm_wait(struct waiter *wt, const struct who *w)
{
	struct node *n = wt->node;

	if (!n->restoring) {
		struct hsm_item item = { .fid = n->fid, .len = UINT64_MAX };
		size_t bad;

		/* whatever hinders the request, the reader is told ENODATA */
		if (cdt_request(HSMA_RESTORE, 0, HAL_IMPLICIT, &item, 1, NULL, 0, w, &bad) != 0 || !n->restoring)
			return ENODATA;
	} else if (sim.cdt.nonblocking) {
		return ENODATA;
	}
	slot_take(wt);
	wt->prev = n->waiters_tail;
	wt->next = NULL;
	if (n->waiters_tail)
		n->waiters_tail->next = wt;
	else
		n->waiters = wt;
	n->waiters_tail = wt;
	node_pin(n);
	fuse_req_interrupt_func(wt->req, on_interrupt, (void *)(uintptr_t)wt->id);
	return 0;
}

/* The layout is free again: those who waited look at it, and one that is still released has no data. */
void hsm_wake(struct node *n, int err)
{
	while (n->waiters) {
		struct waiter *wt = n->waiters;

		unlink_waiter(wt);
		wt->err = err ? err : hsm_needs_restore(n) ? ENODATA : 0;
		queue_resume(wt);
	}
}

static void *resumer(void *arg)
{
	(void)arg;
	for (;;) {
		struct waiter *wt = NULL;
		uint64_t id = 0;

		pthread_mutex_lock(&queue_lock);
		while (resume_first == NULL && ninterrupted == 0)
			pthread_cond_wait(&queue_cond, &queue_lock);
		if (ninterrupted > 0) {
			id = interrupted[--ninterrupted];
		} else {
			wt = resume_first;
			resume_first = wt->rnext;
			if (resume_first == NULL)
				resume_last = NULL;
		}
		pthread_mutex_unlock(&queue_lock);
		if (id != 0) {
			sim_lock();
			if ((uint32_t)id < nslots && slots[(uint32_t)id].w && slots[(uint32_t)id].w->id == id) {
				wt = slots[(uint32_t)id].w;
				unlink_waiter(wt);
				wt->err = EINTR;
			}
			sim_unlock();
		}
		if (wt != NULL)
			ops_resume(wt);
	}
	return NULL;
}

void hsm_start_threads(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, resumer, NULL) != 0)
		abort();
	pthread_detach(t);
}
