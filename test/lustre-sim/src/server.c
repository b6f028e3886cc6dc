/*
 * The control socket (PROTOCOL.md): a thread for each connection, a function for each verb.
 */
#include "sim.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int listener = -1;
static char sock_path[108];
static struct conn *conns;
static pthread_mutex_t conns_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_ct;

/* ---- answers ---- */

static void send_msg(struct conn *c, struct pmsg *m)
{
	const char *text = pmsg_end(m);

	pthread_mutex_lock(&c->wlock);
	if (text)
		psend(c->fd, text, m->len);
	else
		psend(c->fd, "err errno=75 msg=too%20long\n", 27);
	pthread_mutex_unlock(&c->wlock);
	pmsg_free(m);
}

static void reply(struct conn *c, int rc)
{
	struct pmsg m;

	if (rc == 0) {
		pmsg_begin(&m, "ok");
	} else {
		pmsg_begin(&m, "err");
		pmsg_u64(&m, "errno", (uint64_t)-rc);
		pmsg_str(&m, "msg", strerror(-rc));
	}
	send_msg(c, &m);
}

/* Rows are gathered under the lock and sent without it. */
struct rows {
	char *p;
	size_t len, cap;
	uint64_t count, max;
};

static void rows_add(struct rows *r, struct pmsg *m)
{
	const char *text = pmsg_end(m);

	if (text && (r->max == 0 || r->count < r->max)) {
		if (r->len + m->len > r->cap) {
			r->cap = (r->len + m->len) * 2;
			r->p = xrealloc(r->p, r->cap);
		}
		memcpy(r->p + r->len, text, m->len);
		r->len += m->len;
		r->count++;
	}
	pmsg_free(m);
}

static void rows_send(struct conn *c, struct rows *r)
{
	pthread_mutex_lock(&c->wlock);
	if (r->len == 0 || psend(c->fd, r->p, r->len) == 0)
		psend(c->fd, "ok\n", 3);
	pthread_mutex_unlock(&c->wlock);
	free(r->p);
}

static struct who who_of(const struct conn *c)
{
	struct who w = { .uid = c->uid, .gid = c->gid, .pid = c->pid, .mount = c->mount };

	return w;
}

/* Under the lock: the node a request names. */
static int node_of(const struct pline *l, struct node **n)
{
	struct pfid fid;

	if (!pline_fid(l, "fid", &fid))
		return -EINVAL;
	*n = node_find(&fid);
	return *n ? 0 : -ENOENT;
}

/* ---- verbs ---- */

static void v_hello(struct conn *c, const struct pline *l)
{
	const char *client = pline_str(l, "client", "");
	struct pmsg m;
	int i = *client ? mount_index(client) : 0;

	if (i < 0) {
		reply(c, -ENODEV);
		return;
	}
	c->mount = (unsigned)i;
	c->has_mount = *client != '\0';
	c->server = strcmp(pline_str(l, "node", "client"), "server") == 0;
	/* only root may speak for another */
	if (c->uid == 0 && pline_find(l, "uid")) {
		c->uid = (uint32_t)pline_u64(l, "uid", 0);
		c->gid = (uint32_t)pline_u64(l, "gid", c->uid ? c->uid : c->gid);
	}
	pmsg_begin(&m, "ok");
	pmsg_str(&m, "fsname", sim.fsname);
	pmsg_str(&m, "version", sim.v215 ? "2.15.7" : "2.17.57");
	pmsg_str(&m, "clientuuid", sim.mounts[c->mount].uuid);
	pmsg_u64(&m, "mdts", 1);
	pmsg_u64(&m, "osts", sim.nosts);
	send_msg(c, &m);
}

static void v_hsm_state(struct conn *c, const struct pline *l)
{
	const struct action *a;
	struct node *n;
	struct pmsg m;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	if (rc == 0 && !S_ISREG(n->mode))
		rc = -ENOTTY;
	if (rc == 0) {
		a = cdt_current(&n->fid);
		pmsg_begin(&m, "ok");
		pmsg_u64(&m, "states", n->hsm_flags);
		pmsg_i64(&m, "archive", (int32_t)n->hsm_archive);
		pmsg_str(&m, "action", a ? action_name(a->kind) : "0");
		pmsg_u64(&m, "action_state", a == NULL ? 0 : a->status == ARS_WAITING ? 1 : 2);
		pmsg_u64(&m, "done", a && a->running ? a->done : 0);
		pmsg_u64(&m, "extent_off", a ? a->off : 0);
		pmsg_u64(&m, "extent_len", a ? a->len : 0);
	}
	sim_unlock();
	if (rc)
		reply(c, rc);
	else
		send_msg(c, &m);
}

static bool may_write(const struct node *n, const struct conn *c)
{
	if (c->uid == 0)
		return true;
	if (c->uid == n->uid)
		return n->mode & 0200;
	if (c->gid == n->gid)
		return n->mode & 0020;
	return n->mode & 0002;
}

static void v_hsm_state_set(struct conn *c, const struct pline *l)
{
	struct who w = who_of(c);
	struct node *n;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	if (rc == 0 && !S_ISREG(n->mode))
		rc = S_ISDIR(n->mode) ? -EISDIR : -ENOTTY;
	if (rc == 0 && !may_write(n, c))
		rc = -EACCES;
	if (rc == 0)
		rc = hsm_state_set(n, pline_u64(l, "set", 0), pline_u64(l, "clear", 0), (uint32_t)pline_i64(l, "archive", 0),
				   pline_i64(l, "archive", 0) != 0, &w);
	sim_unlock();
	reply(c, rc);
}

static bool parse_item(const struct pword *w, struct hsm_item *item)
{
	char text[96], *at, *plus;

	memset(item, 0, sizeof(*item));
	item->len = UINT64_MAX;
	snprintf(text, sizeof(text), "%s", w->value);
	at = strchr(text, '@');
	if (at) {
		*at++ = '\0';
		plus = strchr(at, '+');
		item->off = strtoull(at, NULL, 0);
		if (plus)
			item->len = strtoull(plus + 1, NULL, 0);
	}
	return pfid_parse(text, &item->fid);
}

static void v_hsm_request(struct conn *c, const struct pline *l)
{
	static const struct {
		const char *name;
		uint32_t kind;
	} kinds[] = { { "ARCHIVE", HSMA_ARCHIVE }, { "RESTORE", HSMA_RESTORE }, { "REMOVE", HSMA_REMOVE },
		      { "CANCEL", HSMA_CANCEL }, { "RELEASE", 0 } };
	const char *name = pline_str(l, "action", "");
	const struct pword *data = pline_find(l, "data"), *w = NULL;
	struct who who = who_of(c);
	struct hsm_item *items = xcalloc(l->nwords + 1, sizeof(*items));
	size_t n = 0, bad = 0, k;
	int rc = 0;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[k].name, name) != 0; k++)
		;
	while ((w = pline_next(l, "item", w)) != NULL)
		if (!parse_item(w, &items[n++]))
			rc = -EINVAL;
	if (k == sizeof(kinds) / sizeof(kinds[0]) || n == 0)
		rc = -EINVAL;
	sim_lock();
	if (rc == 0 && kinds[k].kind) {
		rc = cdt_request(kinds[k].kind, (uint32_t)pline_i64(l, "archive", 0), pline_u64(l, "flags", 0), items, n,
				 data ? data->value : NULL, data ? data->len : 0, &who, &bad);
	} else if (rc == 0) {
		for (bad = 0; bad < n && rc == 0; bad++) {
			struct node *f = node_find(&items[bad].fid);

			rc = f ? hsm_release(f, may_write(f, c), &who) : -ENOENT;
			if (rc)
				break;
		}
	}
	sim_unlock();
	free(items);
	if (rc == 0) {
		reply(c, 0);
	} else {
		struct pmsg m;

		pmsg_begin(&m, "err");
		pmsg_u64(&m, "errno", (uint64_t)-rc);
		pmsg_u64(&m, "index", bad);
		send_msg(c, &m);
	}
}

/*
 * A copytool whose process has ended is unregistered before another registers: its connection is closed already, though
 * the thread that serves it may not have seen that. Under the lock.
 */
static void reap_agents(unsigned mount)
{
	pthread_mutex_lock(&conns_lock);
	for (struct conn *o = conns; o; o = o->next) {
		struct pollfd p = { .fd = o->fd, .events = POLLRDHUP };

		if (o->agent && o->mount == mount && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR))) {
			o->agent = false;
			cdt_unregister(mount);
		}
	}
	pthread_mutex_unlock(&conns_lock);
}

static void v_ct_register(struct conn *c, const struct pline *l)
{
	const char *p = pline_str(l, "archives", "");
	uint32_t archives[256];
	unsigned n = 0;
	struct pmsg m;
	int rc;

	while (*p && n < 256) {
		char *end;

		archives[n++] = (uint32_t)strtoll(p, &end, 0);
		if (end == p) {
			reply(c, -EINVAL);
			return;
		}
		p = *end == ',' ? end + 1 : end;
	}
	/* archive 0 is every archive */
	if (n == 1 && archives[0] == 0)
		n = 0;
	if (c->uid != 0) {
		reply(c, -EACCES);
		return;
	}
	/* nothing is pushed on this connection before the answer */
	pthread_mutex_lock(&c->wlock);
	sim_lock();
	reap_agents(c->mount);
	rc = cdt_register(c->mount, archives, n);
	/* a second copytool of one client shares the first one's registration, and gets everything too */
	if (rc == -EEXIST)
		rc = 0;
	if (rc == 0) {
		c->ct = ++last_ct;
		c->agent = true;
	}
	sim_unlock();
	if (rc == 0) {
		const char *text;

		pmsg_begin(&m, "ok");
		pmsg_u64(&m, "ct", c->ct);
		text = pmsg_end(&m);
		if (text)
			psend(c->fd, text, m.len);
		pmsg_free(&m);
	}
	pthread_mutex_unlock(&c->wlock);
	if (rc)
		reply(c, rc);
}

static void v_ct_unregister(struct conn *c, const struct pline *l)
{
	uint64_t ct = pline_u64(l, "ct", 0);
	int rc;

	sim_lock();
	rc = cdt_unregister(c->mount);
	sim_unlock();
	pthread_mutex_lock(&conns_lock);
	for (struct conn *o = conns; o; o = o->next)
		if (o->agent && o->ct == ct)
			o->agent = false;
	pthread_mutex_unlock(&conns_lock);
	reply(c, rc);
}

static void v_ct_begin(struct conn *c, const struct pline *l)
{
	struct who w = who_of(c);
	struct pmsg m;
	int rc;

	pmsg_begin(&m, "ok");
	sim_lock();
	rc = copy_begin(c, l, &w, &m);
	sim_unlock();
	if (rc) {
		pmsg_free(&m);
		reply(c, rc);
	} else {
		send_msg(c, &m);
	}
}

static void v_ct_end(struct conn *c, const struct pline *l)
{
	struct who w = who_of(c);
	int rc;

	sim_lock();
	rc = copy_end(c, l, &w);
	sim_unlock();
	reply(c, rc);
}

static void v_ct_progress(struct conn *c, const struct pline *l)
{
	struct who w = who_of(c);
	struct pfid fid;
	int rc = -EINVAL;

	if (pline_fid(l, "fid", &fid)) {
		sim_lock();
		rc = cdt_progress(&fid, pline_u64(l, "cookie", 0), pline_u64(l, "off", 0), pline_u64(l, "len", 0),
				  (uint32_t)pline_u64(l, "flags", 0), (uint32_t)pline_u64(l, "errval", 0), 0, &w);
		sim_unlock();
	}
	reply(c, rc);
}

static void v_data_version(struct conn *c, const struct pline *l)
{
	struct node *n;
	struct pmsg m;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	if (rc == 0 && !S_ISREG(n->mode))
		rc = -ENOTTY;
	if (rc == 0) {
		pmsg_begin(&m, "ok");
		pmsg_u64(&m, "dv", n->dv);
		pmsg_u64(&m, "layout", n->layout ? n->layout->gen : 0);
	}
	sim_unlock();
	if (rc)
		reply(c, rc);
	else
		send_msg(c, &m);
}

static void v_fid2path(struct conn *c, const struct pline *l)
{
	uint64_t linkno = pline_u64(l, "linkno", 0);
	char *path = NULL;
	size_t len = 0;
	struct node *n;
	struct pmsg m;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	if (rc == 0 && c->uid != 0)
		rc = -EPERM;
	if (rc == 0) {
		path = node_path(n, (unsigned)linkno, &len);
		if (path == NULL)
			rc = -ENOENT;
		/* the next name, if there is one: a caller asks on until it no longer grows */
		if (path && linkno + 1 < node_links(n))
			linkno++;
	}
	sim_unlock();
	if (rc) {
		reply(c, rc);
		return;
	}
	pmsg_begin(&m, "ok");
	pmsg_bytes(&m, "path", path, len);
	pmsg_i64(&m, "recno", pline_i64(l, "recno", -1));
	pmsg_u64(&m, "linkno", linkno);
	free(path);
	send_msg(c, &m);
}

static void v_getstripe(struct conn *c, const struct pline *l)
{
	uint8_t *lum = NULL;
	size_t len = 0;
	struct node *n;
	struct pmsg m;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	if (rc == 0 && !S_ISREG(n->mode) && !S_ISDIR(n->mode))
		rc = -ENOTTY;
	if (rc == 0) {
		lum = layout_pack(n, &len, false);
		if (lum == NULL)
			rc = -ENODATA;
	}
	sim_unlock();
	if (rc) {
		reply(c, rc);
		return;
	}
	pmsg_begin(&m, "ok");
	pmsg_bytes(&m, "lum", lum, len);
	free(lum);
	send_msg(c, &m);
}

static void v_setstripe(struct conn *c, const struct pline *l)
{
	const struct pword *lum = pline_find(l, "lum");
	struct layout *layout = NULL;
	struct who w = who_of(c);
	struct node *n;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	if (rc == 0 && lum == NULL)
		rc = -EINVAL;
	if (rc == 0 && !S_ISREG(n->mode) && !S_ISDIR(n->mode))
		rc = -ENOTTY;
	if (rc == 0 && n->synthetic)
		rc = -EPERM;
	if (rc == 0 && !may_write(n, c))
		rc = -EACCES;
	/* an attempt on a file that has one makes the server close its own open, as a success does */
	if (rc == 0 && S_ISREG(n->mode) && n->layout)
		rc = -EEXIST;
	if (rc == 0)
		rc = layout_unpack(lum->value, lum->len, &layout);
	if (rc == 0) {
		struct node *dir = node_parent(n);

		layout_free(n->layout);
		n->layout = layout;
		if (S_ISREG(n->mode))
			layout_instantiate(n, 1);
		log_node(n);
		if (!n->is_volatile) {
			cl_plain(CL_LAYOUT, 0, &n->fid, dir ? &dir->fid : NULL, &w);
			if (S_ISREG(n->mode))
				cl_plain(CL_CLOSE, MDS_WRITE, &n->fid, &(struct pfid){ 0, 0, 0 }, &w);
		}
	}
	sim_unlock();
	reply(c, rc);
}

static void v_import(struct conn *c, const struct pline *l)
{
	struct who w = who_of(c);
	struct node *n;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	if (rc == 0)
		rc = hsm_import(n, (uint32_t)pline_u64(l, "mode", 0), (uint32_t)pline_u64(l, "uid", 0),
				(uint32_t)pline_u64(l, "gid", 0), pline_u64(l, "size", 0),
				(uint32_t)pline_i64(l, "archive", 0), pline_i64(l, "atime", 0), pline_i64(l, "mtime", 0), &w);
	sim_unlock();
	reply(c, rc);
}

static void cl_row(void *ctx, const struct cl_rec *r)
{
	struct rows *rows = ctx;
	struct pmsg m;
	char time[40];

	if (rows->max && rows->count >= rows->max)
		return;
	pmsg_begin(&m, "row");
	pmsg_u64(&m, "idx", r->idx);
	pmsg_u64(&m, "type", r->type);
	snprintf(time, sizeof(time), "%lld.%09u", (long long)r->sec, r->ns);
	pmsg_str(&m, "time", time);
	pmsg_u64(&m, "flags", r->flags);
	pmsg_u64(&m, "ef", r->ef);
	pmsg_fid(&m, "tfid", &r->t);
	if (r->p.seq)
		pmsg_fid(&m, "pfid", &r->p);
	if (r->name)
		pmsg_bytes(&m, "name", r->name, r->namelen);
	if (r->sname) {
		pmsg_fid(&m, "sfid", &r->s);
		pmsg_fid(&m, "spfid", &r->sp);
		pmsg_bytes(&m, "sname", r->sname, r->snamelen);
	}
	if (r->ef & 1) {
		pmsg_u64(&m, "uid", r->uid);
		pmsg_u64(&m, "gid", r->gid);
	}
	if (r->nid)
		pmsg_str(&m, "nid", r->nid);
	if (r->jobid)
		pmsg_str(&m, "jobid", r->jobid);
	if (r->xattr)
		pmsg_str(&m, "xattr", r->xattr);
	if (r->ef & 4)
		pmsg_u64(&m, "omode", r->omode);
	rows_add(rows, &m);
}

static int mdt_ok(const struct conn *c, const struct pline *l)
{
	if (pline_u64(l, "mdt", 0) != 0)
		return -ENOENT;
	return c->uid != 0 ? -EACCES : 0;
}

static void v_changelog(struct conn *c, const struct pline *l)
{
	struct rows rows = { .max = pline_u64(l, "max", 0) };
	int rc = mdt_ok(c, l);

	if (rc == 0) {
		sim_lock();
		rc = cl_read(pline_u64(l, "start", 0), pline_u64(l, "end", 0), pline_str(l, "user", ""), cl_row, &rows);
		sim_unlock();
	}
	if (rc)
		reply(c, rc);
	else
		rows_send(c, &rows);
}

static void v_changelog_clear(struct conn *c, const struct pline *l)
{
	int rc = mdt_ok(c, l);

	if (rc == 0) {
		sim_lock();
		rc = cl_clear(pline_str(l, "user", ""), pline_u64(l, "end", 0));
		sim_unlock();
	}
	reply(c, rc);
}

static void v_changelog_register(struct conn *c, const struct pline *l)
{
	char user[64];
	struct pmsg m;
	int rc = mdt_ok(c, l);

	if (rc == 0 && !c->server)
		rc = -ENODEV;
	if (rc == 0) {
		sim_lock();
		rc = cl_register(pline_str(l, "name", ""), pline_str(l, "mask", ""), user, sizeof(user));
		sim_unlock();
	}
	if (rc) {
		reply(c, rc);
		return;
	}
	pmsg_begin(&m, "ok");
	pmsg_str(&m, "user", user);
	send_msg(c, &m);
}

static void v_changelog_deregister(struct conn *c, const struct pline *l)
{
	char user[16];
	struct pmsg m;
	uint32_t id = 0;
	int rc = mdt_ok(c, l);

	if (rc == 0 && !c->server)
		rc = -ENODEV;
	if (rc == 0) {
		sim_lock();
		rc = cl_deregister(pline_str(l, "user", ""), &id);
		sim_unlock();
	}
	if (rc) {
		reply(c, rc);
		return;
	}
	snprintf(user, sizeof(user), "cl%u", id);
	pmsg_begin(&m, "ok");
	pmsg_str(&m, "user", user);
	send_msg(c, &m);
}

static void df_row(struct rows *rows, const char *kind, unsigned index, uint64_t total, uint64_t used, uint64_t inodes,
		   uint64_t iused)
{
	struct pmsg m;
	char name[32], uuid[64];

	snprintf(name, sizeof(name), "%s%04x", kind, index);
	snprintf(uuid, sizeof(uuid), "%s-%s_UUID", sim.fsname, name);
	pmsg_begin(&m, "row");
	pmsg_str(&m, "target", name);
	pmsg_str(&m, "uuid", uuid);
	pmsg_u64(&m, "index", index);
	pmsg_u64(&m, "total_kb", total);
	pmsg_u64(&m, "used_kb", used > total ? total : used);
	pmsg_u64(&m, "free_kb", used > total ? 0 : total - used);
	pmsg_u64(&m, "inodes", inodes);
	pmsg_u64(&m, "iused", iused);
	pmsg_u64(&m, "ifree", inodes > iused ? inodes - iused : 0);
	rows_add(rows, &m);
}

static void v_df(struct conn *c, const struct pline *l)
{
	struct rows rows = { 0 };

	(void)l;
	sim_lock();
	df_row(&rows, "MDT", 0, 1160264, 1852 + sim.nnodes, 838864, sim.nnodes);
	for (unsigned i = 0; i < sim.nosts; i++)
		df_row(&rows, "OST", i, sim.osts[i].size_kb, sim.osts[i].used / 1024 + sim.osts[i].fill_kb, 131072,
		       sim.osts[i].next_oid % 131072);
	sim_unlock();
	rows_send(c, &rows);
}

static void param_row(void *ctx, const char *name, const char *value, bool settable, bool dir)
{
	struct pmsg m;

	(void)settable;
	(void)dir;
	pmsg_begin(&m, "row");
	pmsg_str(&m, "name", name);
	pmsg_str(&m, "value", value);
	rows_add(ctx, &m);
}

static void list_row(void *ctx, const char *name, const char *value, bool settable, bool dir)
{
	struct pmsg m;

	(void)value;
	pmsg_begin(&m, "row");
	pmsg_str(&m, "name", name);
	if (settable)
		pmsg_u64(&m, "rw", 1);
	if (dir)
		pmsg_u64(&m, "dir", 1);
	rows_add(ctx, &m);
}

static void get_params(struct conn *c, const struct pline *l, bool values)
{
	struct rows rows = { 0 };
	unsigned n;
	int err;

	sim_lock();
	n = params_get(pline_str(l, "pattern", ""), c->server, c->uid, c->mount, values, values ? param_row : list_row, &rows,
		       &err);
	sim_unlock();
	if (n == 0) {
		free(rows.p);
		reply(c, err ? -err : -ENOENT);
	} else {
		rows_send(c, &rows);
	}
}

static void v_param_get(struct conn *c, const struct pline *l) { get_params(c, l, true); }
static void v_param_list(struct conn *c, const struct pline *l) { get_params(c, l, false); }

static void v_param_set(struct conn *c, const struct pline *l)
{
	int rc;

	sim_lock();
	rc = params_set(pline_str(l, "name", ""), pline_str(l, "value", ""), c->server, c->uid, c->mount);
	sim_unlock();
	reply(c, rc);
}

static void fault_row(void *ctx, const char *spec)
{
	struct pmsg m;

	pmsg_begin(&m, "row");
	pmsg_str(&m, "fault", spec);
	rows_add(ctx, &m);
}

static void v_fault(struct conn *c, const struct pline *l)
{
	if (pline_find(l, "set")) {
		reply(c, fault_set(pline_str(l, "set", "")));
	} else if (pline_find(l, "clear")) {
		const char *spec = pline_str(l, "clear", "");

		fault_clear(strcmp(spec, "all") == 0 ? "" : spec);
		reply(c, 0);
	} else {
		struct rows rows = { 0 };

		fault_rows(fault_row, &rows);
		rows_send(c, &rows);
	}
}

static void v_sim(struct conn *c, const struct pline *l)
{
	const char *op = pline_str(l, "op", "");
	uint64_t index = pline_u64(l, "index", 0), kb = pline_u64(l, "kb", 0);
	int rc = 0;

	sim_lock();
	if (strcmp(op, "ost_size") == 0 || strcmp(op, "ost_fill") == 0) {
		if (index >= sim.nosts)
			rc = -EINVAL;
		else if (strcmp(op, "ost_size") == 0)
			sim.osts[index].size_kb = kb;
		else
			sim.osts[index].fill_kb = kb;
		if (rc == 0)
			log_ost((unsigned)index);
	} else if (strcmp(op, "sync") == 0) {
		store_commit();
		store_sync();
	} else if (strcmp(op, "crash") == 0) {
		kill(getpid(), SIGKILL);
	} else if (strcmp(op, "loop") == 0) {
		cdt_event();
	} else {
		rc = -EINVAL;
	}
	sim_unlock();
	reply(c, rc);
}

static void v_quit(struct conn *c, const struct pline *l)
{
	(void)l;
	reply(c, 0);
	server_request_quit();
}

static const struct {
	const char *name;
	void (*run)(struct conn *c, const struct pline *l);
	bool settled; /* what was closed before must be seen first */
} verbs[] = {
	{ "hello", v_hello, false },
	{ "hsm_state", v_hsm_state, true },
	{ "hsm_state_set", v_hsm_state_set, true },
	{ "hsm_request", v_hsm_request, true },
	{ "ct_register", v_ct_register, false },
	{ "ct_unregister", v_ct_unregister, false },
	{ "ct_begin", v_ct_begin, true },
	{ "ct_progress", v_ct_progress, false },
	{ "ct_end", v_ct_end, true },
	{ "data_version", v_data_version, true },
	{ "fid2path", v_fid2path, false },
	{ "getstripe", v_getstripe, true },
	{ "setstripe", v_setstripe, true },
	{ "import", v_import, true },
	{ "changelog", v_changelog, true },
	{ "changelog_clear", v_changelog_clear, true },
	{ "changelog_register", v_changelog_register, true },
	{ "changelog_deregister", v_changelog_deregister, true },
	{ "df", v_df, true },
	{ "param_get", v_param_get, true },
	{ "param_list", v_param_list, false },
	{ "param_set", v_param_set, true },
	{ "fault", v_fault, false },
	{ "sim", v_sim, false },
	{ "quit", v_quit, false },
};

/* ---- connections ---- */

static void conn_put(struct conn *c)
{
	bool last;

	pthread_mutex_lock(&conns_lock);
	last = --c->refs == 0;
	pthread_mutex_unlock(&conns_lock);
	if (last) {
		close(c->fd);
		pthread_mutex_destroy(&c->wlock);
		free(c);
	}
}

void server_push(unsigned mount, const char *text, size_t len)
{
	struct conn *list[256];
	unsigned n = 0;

	pthread_mutex_lock(&conns_lock);
	for (struct conn *c = conns; c && n < 256; c = c->next)
		if (c->agent && c->mount == mount) {
			c->refs++;
			list[n++] = c;
		}
	pthread_mutex_unlock(&conns_lock);
	for (unsigned i = 0; i < n; i++) {
		pthread_mutex_lock(&list[i]->wlock);
		psend(list[i]->fd, text, len);
		pthread_mutex_unlock(&list[i]->wlock);
		conn_put(list[i]);
	}
}

/* Is there another copytool on this client? */
static void hang_up(struct conn *c)
{
	bool was_agent;

	pthread_mutex_lock(&conns_lock);
	for (struct conn **at = &conns; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	was_agent = c->agent;
	c->agent = false;
	pthread_mutex_unlock(&conns_lock);
	sim_lock();
	/* one that leaves takes the client's registration with it, even if another is still there */
	if (was_agent)
		cdt_unregister(c->mount);
	copy_forget(c->copies);
	c->copies = NULL;
	sim_unlock();
	conn_put(c);
}

static void *serve(void *arg)
{
	struct conn *c = arg;
	struct preader r;
	char *line;

	preader_init(&r, c->fd);
	while ((line = preader_line(&r)) != NULL) {
		struct pline l;
		int rc = pline_parse(&l, line);
		size_t i;

		if (rc) {
			reply(c, rc);
			continue;
		}
		for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[i].name, l.verb) != 0; i++)
			;
		if (i == sizeof(verbs) / sizeof(verbs[0])) {
			reply(c, -EOPNOTSUPP);
		} else {
			if (verbs[i].settled)
				mounts_barrier();
			fault_slow(verbs[i].name);
			rc = fault_io(verbs[i].name, NULL);
			if (rc)
				reply(c, rc);
			else
				verbs[i].run(c, &l);
		}
		pline_free(&l);
	}
	preader_free(&r);
	hang_up(c);
	return NULL;
}

static void *acceptor(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		struct timeval patience = { .tv_sec = 20 };
		struct ucred cred;
		socklen_t len = sizeof(cred);
		pthread_attr_t attr;
		struct conn *c;
		pthread_t t;

		if (fd < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (errno == EMFILE || errno == ENFILE) {
				usleep(10000);
				continue;
			}
			return NULL;
		}
		/* a copytool that does not read must not hold up the coordinator for ever */
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		c = xcalloc(1, sizeof(*c));
		c->fd = fd;
		c->refs = 1;
		c->uid = c->gid = 65534;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
			c->uid = cred.uid;
			c->gid = cred.gid;
			c->pid = cred.pid;
		}
		pthread_mutex_init(&c->wlock, NULL);
		pthread_mutex_lock(&conns_lock);
		c->next = conns;
		conns = c;
		pthread_mutex_unlock(&conns_lock);
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, 256 * 1024);
		if (pthread_create(&t, &attr, serve, c) != 0)
			hang_up(c);
		pthread_attr_destroy(&attr);
	}
}

int server_start(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	pthread_t t;

	if (snprintf(sock_path, sizeof(sock_path), "%s/sock", sim.dir) >= (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	unlink(sock_path);
	strcpy(addr.sun_path, sock_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 || chmod(sock_path, 0666) != 0 ||
	    listen(listener, 512) != 0)
		return -errno;
	if (pthread_create(&t, NULL, acceptor, NULL) != 0)
		return -EAGAIN;
	pthread_detach(t);
	return 0;
}

void server_stop(void)
{
	unlink(sock_path);
}

void server_request_quit(void)
{
	kill(getpid(), SIGTERM);
}
