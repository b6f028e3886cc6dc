/*
 * The control socket (PROTOCOL.md): a thread for each connection, a function for each verb.
 */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int listener = -1;
static char sock_path[108];
struct conn *conns;
pthread_mutex_t conns_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- answers ---- */

static void keep_back(struct conn *c)
{
	if (c->late)
		fault_wait_clear();
	c->late = false;
}

void send_msg(struct conn *c, struct pmsg *m)
{
	const char *text = pmsg_end(m);

	keep_back(c);
	pthread_mutex_lock(&c->wlock);
	if (text)
		psend(c->fd, text, m->len);
	else
		psend(c->fd, "err errno=75 msg=too%20long\n", 27);
	pthread_mutex_unlock(&c->wlock);
	pmsg_free(m);
}

void reply(struct conn *c, int rc)
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

void rows_add(struct rows *r, struct pmsg *m)
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

void rows_send(struct conn *c, struct rows *r)
{
	keep_back(c);
	pthread_mutex_lock(&c->wlock);
	if (r->len == 0 || psend(c->fd, r->p, r->len) == 0)
		psend(c->fd, "ok\n", 3);
	pthread_mutex_unlock(&c->wlock);
	free(r->p);
}

struct who conn_who(const struct conn *c)
{
	struct who w = { .uid = c->uid, .gid = c->gid, .pid = c->pid, .mount = c->mount };

	return w;
}

/* Under the lock: the node a request names. */
int node_of(const struct pline *l, struct node **n)
{
	struct pfid fid;

	if (!pline_fid(l, "fid", &fid))
		return -EINVAL;
	*n = node_find(&fid);
	return *n ? 0 : -ENOENT;
}

/* ---- the verbs ---- */

static void v_hello(struct conn *c, const struct pline *l)
{
	const char *client = pline_str(l, "client", "");
	struct pmsg m;
	int i = *client ? mount_index(client) : 0;

	if (i < 0) {
		reply(c, -ENODEV);
		return;
	}
	if (*client && sim.mounts[i].lost) {
		reply(c, -ESHUTDOWN);
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
	pmsg_u64(&m, "mdts", sim.nmdts);
	pmsg_u64(&m, "osts", sim.nosts);
	send_msg(c, &m);
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
	{ "ct_copy_end", v_ct_copy_end, true },
	{ "data_version", v_data_version, true },
	{ "fid2path", v_fid2path, false },
	{ "getstripe", v_getstripe, true },
	{ "setstripe", v_setstripe, true },
	{ "import", v_import, true },
	{ "mkdir", v_mkdir, true },
	{ "mdtidx", v_mdtidx, false },
	{ "grow", v_grow, true },
	{ "changelog", v_changelog, true },
	{ "changelog_clear", v_changelog_clear, true },
	{ "changelog_register", v_changelog_register, true },
	{ "changelog_deregister", v_changelog_deregister, true },
	{ "df", v_df, true },
	{ "statfs", v_statfs, true },
	{ "param_get", v_param_get, true },
	{ "param_list", v_param_list, false },
	{ "param_set", v_param_set, true },
	{ "fault", v_fault, false },
	{ "sim", v_sim, false },
	{ "quit", v_quit, false },
};

/* ---- connections ---- */

void conn_put(struct conn *c)
{
	bool last;

	pthread_mutex_lock(&conns_lock);
	last = --c->refs == 0;
	pthread_mutex_unlock(&conns_lock);
	if (last) {
		close(c->fd);
		pthread_mutex_destroy(&c->wlock);
		free(c->archives);
		free(c);
	}
}

static void hang_up(struct conn *c)
{
	pthread_mutex_lock(&conns_lock);
	for (struct conn **at = &conns; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	pthread_mutex_unlock(&conns_lock);
	agent_gone(c);
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
			c->late = fault_late(verbs[i].name);
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
