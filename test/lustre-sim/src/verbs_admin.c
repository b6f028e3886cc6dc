/*
 * The verbs of the control socket that are about the whole: changelog, space, parameters, faults.
 */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool cl_row(void *ctx, const struct cl_rec *r)
{
	struct rows *rows = ctx;
	struct pmsg m;
	char time[40];

	if (rows->max && rows->count >= rows->max)
		return false;
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
	return true;
}

static int mdt_ok(const struct conn *c, const struct pline *l, unsigned *mdt)
{
	uint64_t wanted = pline_u64(l, "mdt", 0);

	if (wanted >= sim.nmdts)
		return -ENOENT;
	*mdt = (unsigned)wanted;
	return c->uid != 0 ? -EACCES : 0;
}

void v_changelog(struct conn *c, const struct pline *l)
{
	struct rows rows = { .max = pline_u64(l, "max", 0) };
	unsigned mdt = 0;
	int rc = mdt_ok(c, l, &mdt);

	if (rc == 0) {
		sim_lock();
		rc = cl_read(mdt, pline_u64(l, "start", 0), pline_u64(l, "end", 0), pline_str(l, "user", ""), cl_row, &rows);
		sim_unlock();
	}
	if (rc)
		reply(c, rc);
	else
		rows_send(c, &rows);
}

void v_changelog_clear(struct conn *c, const struct pline *l)
{
	unsigned mdt = 0;
	int rc = mdt_ok(c, l, &mdt);

	if (rc == 0) {
		sim_lock();
		rc = cl_clear(mdt, pline_str(l, "user", ""), pline_u64(l, "end", 0));
		sim_unlock();
	}
	reply(c, rc);
}

void v_changelog_register(struct conn *c, const struct pline *l)
{
	char user[64];
	struct pmsg m;
	unsigned mdt = 0;
	int rc = mdt_ok(c, l, &mdt);

	if (rc == 0 && !c->server)
		rc = -ENODEV;
	if (rc == 0) {
		sim_lock();
		rc = cl_register(mdt, pline_str(l, "name", ""), pline_str(l, "mask", ""), user, sizeof(user));
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

void v_changelog_deregister(struct conn *c, const struct pline *l)
{
	char user[16];
	struct pmsg m;
	uint32_t id = 0;
	unsigned mdt = 0;
	int rc = mdt_ok(c, l, &mdt);

	if (rc == 0 && !c->server)
		rc = -ENODEV;
	if (rc == 0) {
		sim_lock();
		rc = cl_deregister(mdt, pline_str(l, "user", ""), &id);
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

/* A target's space and inodes, in a message that is begun with that word. */
static void target(struct pmsg *m, const char *word, const char *kind, unsigned index)
{
	bool mdt = strcmp(kind, "MDT") == 0;
	const struct ost *ost = mdt ? NULL : &sim.osts[index];
	uint64_t total = mdt ? 1160264 : ost->size_kb;
	uint64_t used = mdt ? 1852 + (index ? 0 : sim.nnodes) : ost->used / 1024 + ost->fill_kb;
	uint64_t inodes = mdt ? inodes_total() : 131072;
	uint64_t iused = mdt ? (index ? 0 : sim.nnodes) : ost->next_oid % 131072;
	char name[32], uuid[64];

	snprintf(name, sizeof(name), "%s%04x", kind, index);
	snprintf(uuid, sizeof(uuid), "%s-%s_UUID", sim.fsname, name);
	pmsg_begin(m, word);
	pmsg_str(m, "target", name);
	pmsg_str(m, "uuid", uuid);
	pmsg_u64(m, "index", index);
	pmsg_u64(m, "total_kb", total);
	pmsg_u64(m, "used_kb", used > total ? total : used);
	pmsg_u64(m, "free_kb", used > total ? 0 : total - used);
	pmsg_u64(m, "inodes", inodes);
	pmsg_u64(m, "iused", iused);
	pmsg_u64(m, "ifree", inodes > iused ? inodes - iused : 0);
}

static void df_row(struct rows *rows, const char *kind, unsigned index)
{
	struct pmsg m;

	target(&m, "row", kind, index);
	rows_add(rows, &m);
}

void v_df(struct conn *c, const struct pline *l)
{
	struct rows rows = { 0 };

	(void)l;
	sim_lock();
	for (unsigned i = 0; i < sim.nmdts; i++)
		df_row(&rows, "MDT", i);
	for (unsigned i = 0; i < sim.nosts; i++)
		df_row(&rows, "OST", i);
	sim_unlock();
	rows_send(c, &rows);
}

/* One target, asked as a client asks it: the question waits for a metadata server that is down, unless told not to. */
void v_statfs(struct conn *c, const struct pline *l)
{
	bool mdt = strcmp(pline_str(l, "kind", ""), "MDT") == 0;
	uint64_t index = pline_u64(l, "index", 0);
	struct pmsg m;

	if (index >= (mdt ? sim.nmdts : sim.nosts)) {
		reply(c, -ENODEV);
		return;
	}
	sim_lock();
	if (mdt && sim.mdt_down[index]) {
		if (pline_u64(l, "nodelay", 0) != 0) {
			sim_unlock();
			reply(c, -EAGAIN);
			return;
		}
		sim.mdt_waiting[index]++;
		while (sim.mdt_down[index]) {
			sim_unlock();
			usleep(20000);
			sim_lock();
		}
		sim.mdt_waiting[index]--;
	}
	target(&m, "ok", mdt ? "MDT" : "OST", (unsigned)index);
	sim_unlock();
	send_msg(c, &m);
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

void v_param_get(struct conn *c, const struct pline *l) { get_params(c, l, true); }
void v_param_list(struct conn *c, const struct pline *l) { get_params(c, l, false); }

void v_param_set(struct conn *c, const struct pline *l)
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

void v_fault(struct conn *c, const struct pline *l)
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

/* "0,2" */
static uint64_t ost_mask(const char *list)
{
	uint64_t mask = 0;
	char *end;

	for (unsigned long i = strtoul(list, &end, 10); end != list; i = strtoul(list, &end, 10)) {
		if (i < sim.nosts)
			mask |= 1ULL << i;
		list = *end == ',' ? end + 1 : end;
	}
	return mask;
}

/* How many questions wait for a metadata server that is down. */
static void mdt_waiting(struct conn *c, uint64_t index)
{
	struct pmsg m;

	if (index >= sim.nmdts) {
		reply(c, -EINVAL);
		return;
	}
	sim_lock();
	pmsg_begin(&m, "ok");
	pmsg_u64(&m, "waiting", sim.mdt_waiting[index]);
	sim_unlock();
	send_msg(c, &m);
}

void v_sim(struct conn *c, const struct pline *l)
{
	const char *op = pline_str(l, "op", "");
	uint64_t index = pline_u64(l, "index", 0), kb = pline_u64(l, "kb", 0);
	int rc = 0;

	if (strcmp(op, "mdt_waiting") == 0) {
		mdt_waiting(c, index);
		return;
	}
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
	} else if (strcmp(op, "ost_active") == 0) {
		if (index >= sim.nosts) {
			rc = -EINVAL;
		} else {
			sim.osts[index].inactive = pline_u64(l, "on", 1) == 0;
			log_ost((unsigned)index);
		}
	} else if (strcmp(op, "mdt_down") == 0) {
		if (index >= sim.nmdts)
			rc = -EINVAL;
		else
			sim.mdt_down[index] = pline_u64(l, "on", 1) != 0;
	} else if (strcmp(op, "pool") == 0) {
		rc = pool_set(pline_str(l, "name", ""), ost_mask(pline_str(l, "osts", "")));
	} else if (strcmp(op, "changelog_full") == 0) {
		if (pline_u64(l, "mdt", 0) < sim.nmdts)
			cl_set_full((unsigned)pline_u64(l, "mdt", 0), pline_u64(l, "on", 1) != 0);
		else
			rc = -EINVAL;
	} else if (strcmp(op, "changelog_record") == 0) {
		static const struct who nobody = { .none = true };
		uint64_t type = pline_u64(l, "type", 0);
		struct pfid fid;

		if (pline_fid(l, "fid", &fid) && type > 0 && type < 64)
			cl_plain((int)type, 0, &fid, NULL, &nobody);
		else
			rc = -EINVAL;
	} else if (strcmp(op, "stripe") == 0) {
		struct node *dir;
		struct pfid fid;

		rc = pline_fid(l, "fid", &fid) && (dir = node_find(&fid)) ? stripe_make(dir) : -EINVAL;
	} else if (strcmp(op, "sync") == 0) {
		store_commit();
		store_sync();
	} else if (strcmp(op, "crash") == 0) {
		kill(getpid(), SIGKILL);
	} else if (strcmp(op, "loop") == 0) {
		cdt_event();
	} else if (strcmp(op, "hsm_list") == 0) {
		sim.cdt.list_max = pline_u64(l, "max", 0);
	} else if (strcmp(op, "mdt_restart") == 0) {
		cdt_restart();
	} else if (strcmp(op, "evict") == 0 || strcmp(op, "lose") == 0 || strcmp(op, "find") == 0) {
		int mount = mount_index(pline_str(l, "client", ""));

		if (mount < 0)
			rc = -ENODEV;
		else if (strcmp(op, "find") == 0)
			sim.mounts[mount].lost = false;
		else
			rc = client_evict((unsigned)mount, strcmp(op, "lose") == 0);
	} else {
		rc = -EINVAL;
	}
	sim_unlock();
	reply(c, rc);
}

void v_quit(struct conn *c, const struct pline *l)
{
	(void)l;
	reply(c, 0);
	server_request_quit();
}
