/*
 * A client's side of its copytools: their registration, the channel that action lists come by, and their verbs.
 */
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static uint64_t last_ct;

/*
 * A copytool has gone without unregistering. Up to 2.16 nobody tells the MDT, which finds out when it sends something
 * (EPIPE). Since then (LU-18238) the kernel unregisters the client when the registration's descriptor is closed, and ends
 * the channels of all copytools on it. Under both locks.
 */
static void crashed(struct conn *c)
{
	c->agent = false;
	if (sim.v215) {
		sim.mounts[c->mount].dead_readers++;
		return;
	}
	cdt_unregister(c->mount);
	for (struct conn *o = conns; o; o = o->next)
		if (o->agent && o->mount == c->mount) {
			o->agent = false;
			shutdown(o->fd, SHUT_WR);
		}
}

/* A connection has ended. */
void agent_gone(struct conn *c)
{
	sim_lock();
	pthread_mutex_lock(&conns_lock);
	if (c->agent && sim.mounts[c->mount].lost)
		c->agent = false;
	else if (c->agent)
		crashed(c);
	pthread_mutex_unlock(&conns_lock);
	copy_forget(c->copies);
	c->copies = NULL;
	sim_unlock();
}

/*
 * A copytool whose process has ended is gone before another registers: its connection is closed already, though the
 * thread that serves it may not have seen that. Under the lock.
 */
static void reap_agents(unsigned mount)
{
	pthread_mutex_lock(&conns_lock);
	for (struct conn *o = conns; o; o = o->next) {
		struct pollfd p = { .fd = o->fd, .events = POLLRDHUP };

		if (o->agent && o->mount == mount && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
			crashed(o);
	}
	pthread_mutex_unlock(&conns_lock);
}

void agents_reregister(void)
{
	pthread_mutex_lock(&conns_lock);
	for (struct conn *c = conns; c; c = c->next)
		if (c->agent)
			cdt_register(c->mount, c->archives, c->narchives); /* one that is there already is no error */
	pthread_mutex_unlock(&conns_lock);
}

/*
 * The servers have thrown the client out: what it had open there is gone. It connects again, and registers its copytools
 * again; for_good: it does not, and the MDT knows that agent until it sends something to it. Under the lock.
 */
int client_evict(unsigned mount, bool for_good)
{
	pthread_mutex_lock(&conns_lock);
	for (struct conn *c = conns; c; c = c->next) {
		if (c->mount != mount || !c->has_mount)
			continue;
		copy_evict(c->copies);
		if (for_good) {
			if (c->agent)
				sim.mounts[mount].dead_readers++;
			c->agent = false;
			shutdown(c->fd, SHUT_RDWR);
		}
	}
	pthread_mutex_unlock(&conns_lock);
	sim.mounts[mount].lost = for_good;
	return 0;
}

void v_ct_register(struct conn *c, const struct pline *l)
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
		free(c->archives);
		c->archives = xmemdup(archives, n * sizeof(*archives));
		c->narchives = n;
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

void v_ct_unregister(struct conn *c, const struct pline *l)
{
	uint64_t ct = pline_u64(l, "ct", 0);
	pid_t pid = (pid_t)pline_u64(l, "pid", 0);
	int rc;

	sim_lock();
	rc = cdt_unregister(c->mount);
	sim_unlock();
	pthread_mutex_lock(&conns_lock);
	for (struct conn *o = conns; o; o = o->next)
		if (o->agent && o->mount == c->mount && (pid ? o->pid == pid : o->ct == ct)) {
			o->agent = false;
			/* the kernel closes its end of the pipe, and what is in it can still be read */
			if (pid)
				shutdown(o->fd, SHUT_WR);
		}
	pthread_mutex_unlock(&conns_lock);
	reply(c, rc);
}

void v_ct_begin(struct conn *c, const struct pline *l)
{
	struct who w = conn_who(c);
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

void v_ct_end(struct conn *c, const struct pline *l)
{
	struct who w = conn_who(c);
	int rc;

	sim_lock();
	rc = copy_end(c, l, &w);
	sim_unlock();
	reply(c, rc);
}

void v_ct_progress(struct conn *c, const struct pline *l)
{
	struct who w = conn_who(c);
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

void v_ct_copy_end(struct conn *c, const struct pline *l)
{
	struct copy_done d = { .cookie = pline_u64(l, "cookie", 0), .dv = pline_u64(l, "dv", 0),
			       .action = (uint32_t)pline_u64(l, "action", 0), .flags = (uint32_t)pline_u64(l, "flags", 0),
			       .err = (uint32_t)pline_u64(l, "errval", 0), .off = pline_u64(l, "off", 0),
			       .len = pline_u64(l, "len", 0) };
	struct who w = conn_who(c);
	int rc = -EINVAL;

	if (pline_fid(l, "fid", &d.fid)) {
		sim_lock();
		rc = copy_done(&d, &w);
		sim_unlock();
	}
	reply(c, rc);
}

int server_push(unsigned mount, const char *text, size_t len)
{
	struct conn *list[256];
	unsigned n = 0, got = 0;
	int rc = -EAGAIN;

	pthread_mutex_lock(&conns_lock);
	for (struct conn *c = conns; c && n < 256; c = c->next)
		if (c->agent && c->mount == mount) {
			c->refs++;
			list[n++] = c;
		}
	pthread_mutex_unlock(&conns_lock);
	for (unsigned i = 0; i < n; i++) {
		pthread_mutex_lock(&list[i]->wlock);
		if (psend(list[i]->fd, text, len) == 0)
			got++;
		else
			rc = -EPIPE;
		pthread_mutex_unlock(&list[i]->wlock);
		conn_put(list[i]);
	}
	sim_lock();
	if (sim.mounts[mount].dead_readers > 0)
		rc = -EPIPE;
	sim.mounts[mount].dead_readers = 0;
	sim_unlock();
	return got > 0 ? 0 : rc;
}
