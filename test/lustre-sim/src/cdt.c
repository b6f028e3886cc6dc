/*
 * The coordinator: takes requests, keeps the list of actions, hands them to agents (copytools), hears of their progress.
 *
 * An action on the list is what Lustre keeps in its agent log; `running` is its in-memory half, which an agent's
 * progress is matched with and which does not survive the coordinator. Rules and order of records follow the recordings
 * and, where these are silent, what the MDT's coordinator does.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HASH 1024
#define MAX_HAL (5 * 1024)
#define REQUEST_LIMIT 1696 /* bytes of items and data: 52 files pass, 53 do not */

static struct action *by_cookie[HASH];
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static const struct who mdt_self = { .nid = "0@<0:0>" };
static const struct who nobody = { .none = true };

const char *action_name(uint32_t kind)
{
	static const char *const names[] = { "ARCHIVE", "RESTORE", "REMOVE", "CANCEL" };

	return kind >= HSMA_ARCHIVE && kind <= HSMA_CANCEL ? names[kind - HSMA_ARCHIVE] : "NOOP";
}

const char *status_name(uint32_t status)
{
	static const char *const names[] = { "WAITING", "STARTED", "FAILED", "CANCELED", "SUCCEED" };

	return status <= ARS_SUCCEED ? names[status] : "UNKNOWN";
}

void cdt_event(void)
{
	sim.cdt.event = true;
	pthread_cond_signal(&wake);
}

/* ---- the list ---- */

static void list_add(struct action *a)
{
	struct cdt *c = &sim.cdt;

	a->listed = true;
	a->prev = c->last;
	a->next = NULL;
	if (c->last)
		c->last->next = a;
	else
		c->first = a;
	c->last = a;
	c->nactions++;
	if (a->idx > c->last_idx)
		c->last_idx = a->idx;
	if (a->cookie > c->last_cookie)
		c->last_cookie = a->cookie;
}

static void action_free(struct action *a)
{
	free(a->data);
	free(a->extents);
	free(a);
}

static bool is_cancel_of_some(const struct action *a)
{
	if (a->kind != HSMA_CANCEL)
		return false;
	for (unsigned i = 0; i < HASH; i++)
		for (struct action *r = by_cookie[i]; r; r = r->hnext)
			if (r->cancel == a)
				return true;
	return false;
}

static void list_del(struct action *a)
{
	struct cdt *c = &sim.cdt;

	if (a->prev)
		a->prev->next = a->next;
	else
		c->first = a->next;
	if (a->next)
		a->next->prev = a->prev;
	else
		c->last = a->prev;
	c->nactions--;
	a->listed = false;
	log_action_gone(a->idx);
	if (!a->running && !is_cancel_of_some(a))
		action_free(a);
}

static void set_status(struct action *a, uint32_t status)
{
	a->status = status;
	a->changed = now_sec();
	if (a->listed)
		log_action(a);
}

struct action *cdt_running(uint64_t cookie)
{
	struct action *a;

	for (a = by_cookie[cookie % HASH]; a && a->cookie != cookie; a = a->hnext)
		;
	return a;
}

static void run_begin(struct action *a, unsigned mount)
{
	a->running = true;
	a->run_dfid = a->dfid;
	a->agent_mount = mount;
	a->agent_known = true;
	a->updated = now_sec();
	a->done = 0;
	free(a->extents);
	a->extents = NULL;
	a->nextents = 0;
	a->cancel = NULL;
	a->hnext = by_cookie[a->cookie % HASH];
	by_cookie[a->cookie % HASH] = a;
	sim.cdt.nrunning++;
}

static void run_end(struct action *a)
{
	struct action **at = &by_cookie[a->cookie % HASH], *cancel = a->cancel;

	if (!a->running)
		return;
	while (*at != a)
		at = &(*at)->hnext;
	*at = a->hnext;
	a->running = false;
	a->cancel = NULL;
	sim.cdt.nrunning--;
	if (cancel && !cancel->listed)
		action_free(cancel);
	if (!a->listed)
		action_free(a);
}

static struct agent *agent_of(unsigned mount)
{
	struct agent *ag;

	for (ag = sim.cdt.agents; ag && ag->mount != mount; ag = ag->next)
		;
	return ag;
}

static void agent_count(const struct action *a, int current, int ok, int errors)
{
	struct agent *ag = agent_of(a->agent_mount);

	if (ag) {
		ag->current += current;
		ag->ok += ok;
		ag->errors += errors;
	}
}

struct action *cdt_current(const struct pfid *fid)
{
	for (struct action *a = sim.cdt.first; a; a = a->next)
		if ((a->status == ARS_WAITING || a->status == ARS_STARTED) && a->kind != HSMA_CANCEL && fid_eq(&a->fid, fid))
			return a;
	return NULL;
}

static void restore_done(const struct pfid *fid)
{
	struct node *n = node_find(fid);

	if (n && n->restoring) {
		n->restoring = false;
		hsm_wake(n, 0);
	}
}

/* ---- requests ---- */

static struct action *record(uint32_t kind, uint32_t archive, uint64_t flags, const struct hsm_item *item,
			     const struct pfid *dfid, const void *data, size_t datalen, uint64_t cookie)
{
	struct action *a = xcalloc(1, sizeof(*a));

	a->idx = sim.cdt.last_idx + 1;
	a->fid = item->fid;
	a->dfid = *dfid;
	a->cookie = cookie ? cookie : sim.cdt.last_cookie + 1;
	a->kind = kind;
	a->archive = archive;
	a->flags = flags;
	a->off = item->off;
	a->len = item->len;
	a->data = xmemdup(data ? data : "", datalen);
	a->datalen = (uint32_t)datalen;
	a->status = ARS_WAITING;
	a->changed = a->created = now_sec();
	list_add(a);
	log_action(a);
	return a;
}

/* Whether the list has room for one more: cancels, and what is done and leaves it after a while, do not count here. */
static bool has_room(void)
{
	uint64_t n = 0;

	if (sim.cdt.list_max == 0)
		return true;
	for (const struct action *a = sim.cdt.first; a; a = a->next)
		n += (a->status == ARS_WAITING || a->status == ARS_STARTED) && a->kind != HSMA_CANCEL;
	return n < sim.cdt.list_max;
}

static bool needed(uint32_t kind, uint64_t flags, const struct node *n)
{
	uint32_t f = n->hsm_flags;

	if (flags & HSM_FORCE_ACTION)
		return true;
	switch (kind) {
	case HSMA_ARCHIVE:
		return (f & HS_DIRTY) || !(f & HS_ARCHIVED);
	case HSMA_RESTORE:
		return f & (HS_RELEASED | HS_DIRTY);
	case HSMA_REMOVE:
		return f & (HS_ARCHIVED | HS_EXISTS);
	default:
		return true;
	}
}

static bool compatible(uint32_t kind, uint32_t archive, const struct node *n)
{
	uint32_t f = n->hsm_flags;

	switch (kind) {
	case HSMA_ARCHIVE:
		if ((f & HS_EXISTS) && archive != 0 && archive != n->hsm_archive)
			return false;
		return !(f & HS_NOARCHIVE) && ((f & HS_DIRTY) || !(f & HS_ARCHIVED));
	case HSMA_RESTORE:
		return !(f & HS_DIRTY) && (f & HS_RELEASED) && (f & HS_ARCHIVED) && !(f & HS_LOST);
	case HSMA_REMOVE:
		return !(f & HS_RELEASED) && (f & (HS_ARCHIVED | HS_EXISTS));
	default:
		return true;
	}
}

static bool in_group(const struct who *w, uint32_t gid)
{
	char path[64], line[4096];
	bool in = w->gid == gid;
	FILE *f;

	if (in || w->pid <= 0)
		return in;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)w->pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	while (!in && fgets(line, sizeof(line), f) != NULL) {
		char *p = line + 7, *end;

		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		for (unsigned long g = strtoul(p, &end, 10); end != p; p = end, g = strtoul(p, &end, 10))
			if (g == gid)
				in = true;
	}
	fclose(f);
	return in;
}

static int permitted(uint32_t kind, const struct node *n, const struct who *w)
{
	uint64_t mask;

	if (w->uid == 0)
		return 0;
	if (w->uid == n->uid)
		mask = sim.cdt.user_mask;
	else if (in_group(w, n->gid))
		mask = sim.cdt.group_mask;
	else
		mask = sim.cdt.other_mask;
	return mask & (1ULL << kind) ? 0 : -EPERM;
}

static bool cancellable(const struct action *a, const struct pfid *fid)
{
	return (a->status == ARS_WAITING || a->status == ARS_STARTED) && a->kind != HSMA_CANCEL && fid_eq(&a->fid, fid);
}

/*
 * Cookie of the action that a cancel of a file means; 0: there is none. Of several the one that was asked for last,
 * handed out or not: the MDT goes through its whole log, and each that fits takes the place of the one before.
 */
static uint64_t last_request(const struct pfid *fid)
{
	for (struct action *a = sim.cdt.last; a; a = a->prev)
		if (cancellable(a, fid))
			return a->cookie;
	return 0;
}

/* The archive that all of a request's cancels go by: that of the first action in the log that one of them may mean. */
static uint32_t archive_to_cancel(const struct hsm_item *items, size_t n)
{
	for (struct action *a = sim.cdt.first; a; a = a->next)
		for (size_t i = 0; i < n; i++)
			if (items[i].cookie == 0 && a->archive != 0 && cancellable(a, &items[i].fid))
				return a->archive;
	return 0;
}

int cdt_request(uint32_t kind, uint32_t archive, uint64_t flags, const struct hsm_item *items, size_t n, const void *data,
		size_t datalen, const struct who *w, size_t *bad)
{
	struct cdt *c = &sim.cdt;
	bool restore = kind == HSMA_RESTORE;

	*bad = 0;
	if (n * 32 + ((datalen + 7) & ~(size_t)7) >= REQUEST_LIMIT)
		return -E2BIG;
	if (c->state == CDT_STOPPED)
		return -EAGAIN;
	if (kind == HSMA_CANCEL && archive == 0)
		archive = archive_to_cancel(items, n);
	for (size_t i = 0; i < n; i++) {
		const struct hsm_item *item = &items[i];
		struct node *node = node_find(&item->fid);
		uint32_t arc = archive;
		uint64_t cookie = 0;
		int rc;

		*bad = i;
		if (kind == HSMA_CANCEL) {
			cookie = item->cookie ? item->cookie : last_request(&item->fid);
			if (cookie == 0)
				continue;
		}
		if (node && node->synthetic)
			return -EINVAL;
		if (node == NULL) {
			if (w->uid == 0 && (kind == HSMA_REMOVE || kind == HSMA_CANCEL)) {
				record(kind, arc, flags, item, &item->fid, data, datalen, cookie);
				continue;
			}
			return -ENOENT;
		}
		rc = permitted(kind, node, w);
		if (rc)
			return rc;
		if (kind != HSMA_CANCEL) {
			if (!needed(kind, flags, node))
				continue;
			if (!compatible(kind, arc, node))
				return -EPERM;
			if (arc == 0)
				arc = node->hsm_archive ? node->hsm_archive : c->default_archive;
		}
		if (restore && item->off != 0)
			return -EPROTO;
		if (restore && node->restoring)
			continue;
		if (!has_room())
			return -ENOSPC;
		if (restore)
			node->restoring = true;
		record(kind, arc, flags, item, &item->fid, data, datalen, cookie);
	}
	cdt_event();
	return restore && c->nonblocking ? -ENODATA : 0;
}

/* The last name of an archived file went, and remove_archive_on_last_unlink is set. */
void cdt_remove_archived(const struct node *n)
{
	struct hsm_item item = { .fid = n->fid, .len = UINT64_MAX };
	struct pfid none = { 0, 0, 0 };

	if (!sim.cdt.remove_last || sim.cdt.state == CDT_STOPPED || !(n->hsm_flags & HS_EXISTS))
		return;
	record(HSMA_REMOVE, n->hsm_archive, 0, &item, &none, NULL, 0, 0);
	/* nobody wakes the coordinator for these */
}

/* ---- progress ---- */

static void add_extent(struct action *a, uint64_t start, uint64_t len)
{
	uint64_t end = len > UINT64_MAX - start ? UINT64_MAX : start + len;
	unsigned kept = 0;

	for (unsigned i = 0; i < a->nextents; i++) {
		struct extent *e = &a->extents[i];

		if (e->end < start || e->start > end) {
			a->extents[kept++] = *e;
			continue;
		}
		if (e->start < start)
			start = e->start;
		if (e->end > end)
			end = e->end;
	}
	a->extents = xrealloc(a->extents, (kept + 1) * sizeof(*a->extents));
	a->extents[kept].start = start;
	a->extents[kept].end = end;
	a->nextents = kept + 1;
	a->done = 0;
	for (unsigned i = 0; i < a->nextents; i++)
		a->done += a->extents[i].end - a->extents[i].start;
}

static uint32_t event_flags(const struct action *a, uint32_t err)
{
	uint32_t event = a->kind == HSMA_ARCHIVE ? HE_ARCHIVE :
			 a->kind == HSMA_RESTORE ? HE_RESTORE :
			 a->kind == HSMA_REMOVE ? HE_REMOVE : HE_CANCEL;

	return event << 7 | (err > 0x7e ? 0x7f : err);
}

static int completed(struct action *a, uint32_t flags, uint32_t err, uint64_t dv, uint32_t *status)
{
	struct node *n = node_find(&a->fid);
	static const struct who root = { 0 };
	uint32_t clf;
	int rc = 0;

	*status = ARS_WAITING;
	if (err != 0) {
		if (err == ENOSYS) {
			*status = ARS_FAILED;
			err = ECANCELED;
		} else if (err == ECANCELED) {
			*status = ARS_SUCCEED;
		} else {
			*status = sim.cdt.noretry || !(flags & HP_RETRY) || n == NULL ? ARS_FAILED : ARS_WAITING;
		}
		clf = event_flags(a, err);
		/* a copy that may be half overwritten is not trusted */
		if (a->kind == HSMA_ARCHIVE && n && err != EALREADY &&
		    (n->hsm_flags & (HS_ARCHIVED | HS_DIRTY)) == HS_ARCHIVED)
			hsm_set(n, n->hsm_flags | HS_DIRTY, n->hsm_archive, n->hsm_ver, &root);
	} else {
		*status = ARS_SUCCEED;
		clf = event_flags(a, 0);
		if (n && a->kind == HSMA_ARCHIVE)
			hsm_set(n, (n->hsm_flags | HS_ARCHIVED) & ~(uint32_t)(HS_LOST | HS_DIRTY), n->hsm_archive, dv, &root);
		else if (n && a->kind == HSMA_RESTORE)
			hsm_set(n, n->hsm_flags, n->hsm_archive, dv, &root);
		else if (n && a->kind == HSMA_REMOVE)
			hsm_set(n, n->hsm_flags & ~(uint32_t)(HS_ARCHIVED | HS_EXISTS | HS_LOST), n->hsm_archive, n->hsm_ver,
				&root);
	}
	if (n && (n->hsm_flags & HS_DIRTY))
		clf |= CLF_HSM_DIRTY;
	if (a->kind == HSMA_RESTORE) {
		if (err == 0 && n) {
			rc = hsm_swap(n, node_find(&a->run_dfid), &root);
			if (rc) {
				if (sim.cdt.noretry)
					*status = ARS_FAILED;
				clf = event_flags(a, (uint32_t)-rc);
			}
		}
		/* to be done again: the file stays held, and those who wait go on waiting */
		if (*status == ARS_WAITING) {
			cl_plain(CL_HSM, clf, &a->fid, NULL, &root);
			return rc;
		}
		cl_plain(CL_HSM, clf, &a->fid, NULL, &root);
		restore_done(&a->fid);
		return rc;
	}
	cl_plain(CL_HSM, clf, &a->fid, NULL, &root);
	return rc;
}

int cdt_progress(const struct pfid *fid, uint64_t cookie, uint64_t off, uint64_t len, uint32_t flags, uint32_t errval,
		 uint64_t dv, const struct who *w)
{
	struct action *a, *hit;
	uint32_t status;
	int rc;

	if (w->uid != 0)
		return -EPERM;
	if (sim.cdt.state == CDT_STOPPED)
		return -EAGAIN;
	/* What is told goes to the MDT of the FID that it is told under (lmv_iocontrol), and each has a coordinator of its own. */
	a = cdt_running(cookie);
	if (a == NULL || fid_mdt(fid) != fid_mdt(&a->fid))
		return -ENOENT;
	a->updated = now_sec();
	if (a->kind != HSMA_REMOVE && errval == 0 && len != 0)
		add_extent(a, off, len);
	if (flags & HP_COMPLETED)
		agent_count(a, -1, errval == 0, errval != 0);
	/* a restore's first progress under another FID names the file with the data, for good */
	if (a->kind == HSMA_RESTORE && fid_eq(&a->fid, &a->run_dfid))
		a->run_dfid = *fid;
	if ((a->kind == HSMA_RESTORE || a->kind == HSMA_ARCHIVE) && !fid_eq(fid, &a->run_dfid) && !fid_eq(fid, &a->fid))
		return -EINVAL;
	if (errval != 0 && !(flags & HP_COMPLETED))
		return -EINVAL;
	if (!(flags & HP_COMPLETED))
		return a->cancel ? -ECANCELED : 0;
	/* The end names what has the data; the list shows it from then on. */
	if (a->kind == HSMA_RESTORE)
		a->dfid = a->run_dfid;
	fault_point("completed");
	rc = completed(a, flags, errval, dv, &status);
	hit = a->cancel ? a->cancel : a;
	if (hit->status == ARS_STARTED || hit->status == ARS_WAITING) {
		if (status == ARS_WAITING && a->kind == HSMA_RESTORE)
			a->dfid = a->fid;
		hit->later = status == ARS_WAITING;
		set_status(hit, status);
	}
	if (hit != a && a->listed)
		log_action(a);
	run_end(a);
	cdt_event();
	return rc;
}

/* ---- agents ---- */

int cdt_register(unsigned mount, const uint32_t *archives, unsigned n)
{
	struct agent *ag, **at;

	if (sim.cdt.state == CDT_STOPPED)
		return -ENXIO;
	if (agent_of(mount)) {
		cdt_event();
		return -EEXIST;
	}
	ag = xcalloc(1, sizeof(*ag));
	ag->mount = mount;
	ag->narchives = n;
	ag->archives = xmemdup(archives, n * sizeof(*archives));
	for (at = &sim.cdt.agents; *at; at = &(*at)->next)
		;
	*at = ag;
	cdt_event();
	return 0;
}

int cdt_unregister(unsigned mount)
{
	for (struct agent **at = &sim.cdt.agents; *at; at = &(*at)->next)
		if ((*at)->mount == mount) {
			struct agent *ag = *at;

			*at = ag->next;
			free(ag->archives);
			free(ag);
			return 0;
		}
	return -ENOENT;
}

static struct agent *best_agent(uint32_t archive)
{
	struct agent *best = NULL;

	for (struct agent *ag = sim.cdt.agents; ag; ag = ag->next) {
		bool serves = ag->narchives == 0;

		for (unsigned i = 0; i < ag->narchives; i++)
			serves = serves || ag->archives[i] == archive;
		if (!serves)
			continue;
		if (best == NULL || ag->current < best->current)
			best = ag;
		if (ag->current == 0)
			break;
	}
	return best;
}

/* ---- handing out ---- */

struct push {
	struct push *next;
	unsigned mount, mdt;
	struct pmsg msg;
	size_t used;
	uint32_t archive;
	uint64_t flags;
	struct action **items;
	uint64_t *cookies; /* of those that run because of it; 0 for the others */
	unsigned n;
};

static void add_item(struct pmsg *m, const struct action *a, uint32_t kind)
{
	char head[256], fid[PFID_STR_MAX], dfid[PFID_STR_MAX];
	uint8_t *value;
	size_t n;

	n = (size_t)snprintf(head, sizeof(head), "%u,%s,%s,%llu,%llu,%llu,%llu,", kind, pfid_format(&a->fid, fid),
			     pfid_format(&a->dfid, dfid), (unsigned long long)a->cookie, (unsigned long long)a->off,
			     (unsigned long long)a->len, (unsigned long long)a->gid);
	value = xcalloc(1, n + a->datalen + 1);
	memcpy(value, head, n);
	if (a->datalen)
		memcpy(value + n, a->data, a->datalen);
	pmsg_bytes(m, "item", value, n + a->datalen);
	free(value);
}

static void hal_begin(struct pmsg *m, uint32_t archive, uint64_t flags)
{
	pmsg_begin(m, "hal");
	pmsg_u64(m, "archive", archive);
	pmsg_u64(m, "flags", flags);
	pmsg_str(m, "fsname", sim.fsname);
}

/* A remove of archive 0 that no agent serves goes to every archive that is served. */
static bool fan_out(struct action *a)
{
	uint32_t seen[256];
	unsigned nseen = 0;

	for (struct agent *ag = sim.cdt.agents; ag; ag = ag->next)
		for (unsigned i = 0; i < ag->narchives; i++) {
			struct hsm_item item = { .fid = a->fid, .off = a->off, .len = a->len };
			bool dup = false;

			for (unsigned k = 0; k < nseen; k++)
				dup = dup || seen[k] == ag->archives[i];
			if (dup || nseen == 256)
				continue;
			seen[nseen++] = ag->archives[i];
			record(HSMA_REMOVE, ag->archives[i], 0, &item, &a->dfid, a->data, a->datalen, 0);
		}
	return nseen > 0;
}

/* Gives one batch to the best agent; true when it (or what is left of it) went out. */
static bool send_batch(struct push *p)
{
	struct agent *ag = best_agent(p->archive);
	unsigned sent = 0;

	if (ag == NULL && p->archive == 0)
		for (unsigned i = 0; i < p->n; i++)
			if (p->items[i]->kind == HSMA_REMOVE && fan_out(p->items[i]))
				set_status(p->items[i], ARS_SUCCEED);
	if (ag == NULL)
		return false;
	p->mount = ag->mount;
	for (unsigned i = 0; i < p->n; i++) {
		struct action *a = p->items[i];
		struct node *n = node_find(&a->fid);

		if (a->kind == HSMA_CANCEL)
			continue;
		if (n ? !compatible(a->kind, p->archive, n) : a->kind != HSMA_REMOVE) {
			set_status(a, ARS_FAILED);
			if (a->kind == HSMA_RESTORE)
				restore_done(&a->fid);
		}
	}
	for (unsigned i = 0; i < p->n; i++)
		p->flags = p->items[i]->flags;
	hal_begin(&p->msg, p->archive, p->flags);
	p->cookies = xcalloc(p->n, sizeof(*p->cookies));
	for (unsigned i = 0; i < p->n; i++) {
		struct action *a = p->items[i], *orig;
		struct node *n = node_find(&a->fid);

		if (a->status != ARS_WAITING)
			continue;
		add_item(&p->msg, a, a->kind);
		sent++;
		if (a->kind == HSMA_CANCEL) {
			orig = cdt_running(a->cookie);
			if (orig && orig->cancel == NULL) {
				/* goes to the one who runs it */
				set_status(orig, ARS_CANCELED);
				p->mount = orig->agent_mount;
				orig->cancel = a;
			}
			set_status(a, ARS_STARTED);
			continue;
		}
		if (a->kind == HSMA_ARCHIVE && n &&
		    !((n->hsm_flags & HS_EXISTS) && n->hsm_archive == p->archive))
			hsm_set(n, n->hsm_flags | HS_EXISTS, p->archive, n->hsm_ver, &mdt_self);
		run_begin(a, ag->mount);
		p->cookies[i] = a->cookie;
		ag->current++;
		set_status(a, ARS_STARTED);
	}
	return sent > 0;
}

static void housekeeping(void)
{
	int64_t now = now_sec();

	for (struct action *a = sim.cdt.first, *next; a; a = next) {
		next = a->next;
		a->later = false;
		if (a->status == ARS_WAITING)
			continue;
		if (a->status == ARS_STARTED) {
			int64_t last = a->running ? a->updated : a->changed;

			if (now <= last + (int64_t)sim.cdt.active_timeout)
				continue;
			if (a->running)
				agent_count(a, -1, 0, 1);
			cl_plain(CL_HSM, event_flags(a, ECANCELED), &a->fid, &(struct pfid){ 0, 0, 0 }, &nobody);
			set_status(a, ARS_CANCELED);
			if (a->running)
				run_end(a);
			if (a->kind == HSMA_RESTORE)
				restore_done(&a->fid);
			sim.cdt.event = true;
		} else if (a->changed + (int64_t)sim.cdt.grace_delay < now) {
			list_del(a);
		}
	}
}

/* One turn: which waiting actions fit, in their order, grouped by archive. */
static struct push *collect(void)
{
	struct push *first = NULL, *out = NULL, **tail = &out;
	uint64_t count = 0;
	bool one_restore = false;

	if (sim.cdt.agents == NULL)
		return NULL;
	for (struct action *a = sim.cdt.first; a; a = a->next) {
		size_t size = 72 + ((a->datalen + 7) & ~7u);
		struct push *p;

		if (a->status != ARS_WAITING || a->later)
			continue;
		if (sim.cdt.nrunning >= sim.cdt.max_requests)
			break;
		if (count + sim.cdt.nrunning >= sim.cdt.max_requests) {
			/* a restore takes the place of the last one, once a turn */
			struct push *last = first;

			if (a->kind != HSMA_RESTORE || one_restore || last == NULL)
				continue;
			while (last->next)
				last = last->next;
			last->n--;
			last->used -= 72 + ((last->items[last->n]->datalen + 7) & ~7u);
			count--;
		}
		for (p = first; p; p = p->next)
			if (p->archive == a->archive && p->mdt == fid_mdt(&a->fid) && p->used + size <= MAX_HAL)
				break;
		if (p == NULL) {
			struct push **at = &first;

			p = xcalloc(1, sizeof(*p));
			p->archive = a->archive;
			p->mdt = fid_mdt(&a->fid);
			p->used = 48;
			while (*at)
				at = &(*at)->next;
			*at = p;
		}
		p->items = xrealloc(p->items, (p->n + 1) * sizeof(struct action *));
		p->items[p->n++] = a;
		p->used += size;
		count++;
		one_restore = one_restore || a->kind == HSMA_RESTORE;
	}
	while (first) {
		struct push *p = first;

		first = p->next;
		p->next = NULL;
		if (p->n > 0 && send_batch(p)) {
			*tail = p;
			tail = &p->next;
		} else {
			pmsg_free(&p->msg);
			free(p->items);
			free(p->cookies);
			free(p);
		}
	}
	return out;
}

/* What could not be sent waits again, for the coordinator's next round; an agent that is gone is forgotten. */
static void take_back(const struct push *p, int rc)
{
	sim_lock();
	for (unsigned i = 0; i < p->n; i++) {
		struct action *a = p->cookies[i] ? cdt_running(p->cookies[i]) : NULL;

		if (a == NULL || a->agent_mount != p->mount || a->status != ARS_STARTED)
			continue;
		a->later = true;
		set_status(a, ARS_WAITING);
		run_end(a);
	}
	if (rc == -EPIPE)
		cdt_unregister(p->mount);
	sim_unlock();
}

static void deliver(struct push *list)
{
	while (list) {
		struct push *p = list;
		const char *text = pmsg_end(&p->msg);
		int rc = text ? server_push(p->mount, text, p->msg.len) : -E2BIG;

		list = p->next;
		if (rc)
			take_back(p, rc);
		pmsg_free(&p->msg);
		free(p->items);
		free(p->cookies);
		free(p);
	}
}

static void *coordinator(void *arg)
{
	int64_t last = 0;

	(void)arg;
	for (;;) {
		struct push *list = NULL;
		struct timespec until;

		sim_lock();
		if (!sim.cdt.event) {
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec++;
			pthread_cond_timedwait(&wake, &sim.lock, &until);
		}
		if (sim.cdt.state == CDT_RUNNING) {
			bool keep_house = last + (int64_t)sim.cdt.loop_period <= now_sec();

			if (keep_house) {
				last = now_sec();
				housekeeping();
			}
			if (keep_house || sim.cdt.event) {
				sim.cdt.event = false;
				list = collect();
			}
		} else {
			sim.cdt.event = false;
		}
		sim_unlock();
		deliver(list);
		/* a moment for requests that come together to go out together */
		nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	}
	return NULL;
}

void cdt_start_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, coordinator, NULL) != 0)
		abort();
	pthread_detach(t);
}

/* ---- control ---- */

static void forget_running(void)
{
	for (unsigned i = 0; i < HASH; i++)
		while (by_cookie[i])
			run_end(by_cookie[i]);
	while (sim.cdt.agents)
		cdt_unregister(sim.cdt.agents->mount);
}

static void drop_hold(struct node *n, void *ctx)
{
	(void)ctx;
	if (n->restoring) {
		n->restoring = false;
		hsm_wake(n, 0);
	}
}

/* A coordinator that starts has no agents; restores that had begun are to be done again, the rest stays STARTED. */
void cdt_resume(void)
{
	for (struct action *a = sim.cdt.first; a; a = a->next) {
		struct node *n;

		if (a->kind != HSMA_RESTORE || (a->status != ARS_WAITING && a->status != ARS_STARTED))
			continue;
		if (a->status == ARS_STARTED)
			set_status(a, ARS_WAITING);
		n = node_find(&a->fid);
		if (n)
			n->restoring = true;
	}
	cdt_event();
}

/*
 * Clients stay connected, or come back, and register their copytools again by themselves; what was running is not known
 * any more, and what is not a parameter of the configuration has its default again.
 */
void cdt_restart(void)
{
	forget_running();
	sim.cdt.noretry = true;
	sim.cdt.nonblocking = false;
	sim.cdt.user_mask = sim.cdt.group_mask = sim.cdt.other_mask = 1ULL << HSMA_RESTORE;
	if (sim.cdt.state == CDT_STOPPED)
		return;
	cdt_resume();
	agents_reregister();
}

static void purge(void)
{
	struct push *list = NULL, **tail = &list;

	for (unsigned i = 0; i < HASH; i++)
		for (struct action *a = by_cookie[i]; a; a = a->hnext) {
			struct push *p = xcalloc(1, sizeof(*p));

			hal_begin(&p->msg, a->archive, a->flags);
			add_item(&p->msg, a, HSMA_CANCEL);
			p->mount = a->agent_mount;
			*tail = p;
			tail = &p->next;
		}
	for (struct action *a = sim.cdt.first; a; a = a->next) {
		if (a->status != ARS_WAITING && a->status != ARS_STARTED)
			continue;
		set_status(a, ARS_CANCELED);
		if (a->kind == HSMA_RESTORE)
			restore_done(&a->fid);
	}
	sim_unlock();
	deliver(list);
	sim_lock();
}

int cdt_control(const char *cmd)
{
	struct cdt *c = &sim.cdt;

	if (strncmp(cmd, "enabled", 7) == 0) {
		bool start = c->state == CDT_STOPPED;

		c->state = CDT_RUNNING;
		if (start)
			cdt_resume();
		cdt_event();
	} else if (strncmp(cmd, "shutdown", 8) == 0) {
		if (c->state != CDT_STOPPED) {
			c->state = CDT_STOPPED;
			forget_running();
			node_each(drop_hold, NULL);
		}
	} else if (strncmp(cmd, "disabled", 8) == 0) {
		if (c->state != CDT_STOPPED)
			c->state = CDT_DISABLED;
	} else if (strncmp(cmd, "purge", 5) == 0) {
		if (c->state == CDT_STOPPED)
			return -EINVAL;
		purge();
	} else if (strncmp(cmd, "help", 4) != 0) {
		return -EINVAL;
	}
	return 0;
}

/* ---- loading ---- */

/* Loaded actions by index, so that a long history is not searched for every record. */
static struct action **by_idx;
static size_t cap_idx;

void cdt_load_action(struct action *a)
{
	struct action *old;

	if (a->idx >= cap_idx) {
		size_t cap = (size_t)a->idx * 2 + 64;

		by_idx = xrealloc(by_idx, cap * sizeof(struct action *));
		memset(by_idx + cap_idx, 0, (cap - cap_idx) * sizeof(struct action *));
		cap_idx = cap;
	}
	old = by_idx[a->idx];
	if (old == NULL) {
		by_idx[a->idx] = a;
		list_add(a);
		return;
	}
	old->dfid = a->dfid;
	old->status = a->status;
	old->changed = a->changed;
	action_free(a);
}

void cdt_load_action_gone(uint32_t idx)
{
	if (idx < cap_idx && by_idx[idx]) {
		list_del(by_idx[idx]);
		by_idx[idx] = NULL;
	}
}

void cdt_dump(void)
{
	for (struct action *a = sim.cdt.first; a; a = a->next)
		log_action(a);
}
