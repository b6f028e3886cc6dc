#define _GNU_SOURCE
#include "sim.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- requests ---- */

void sim_reply_free(struct sim_reply *r)
{
	pline_free(&r->l);
	free(r->text);
	r->text = NULL;
}

/* The connection is out of step from here on: sim_put won't keep it. */
static int broken(struct sim_conn *c, int rc)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	return rc;
}

bool sim_usable(const struct sim_conn *c)
{
	return c->fd >= 0;
}

static int send_line(struct sim_conn *c, struct pmsg *m)
{
	const char *text = pmsg_end(m);
	int rc;

	if (text == NULL)
		rc = -E2BIG;
	else if (c->fd < 0)
		rc = -ENOTCONN;
	else
		rc = psend(c->fd, text, m->len);
	if (rc < 0 && rc != -E2BIG)
		broken(c, rc);
	pmsg_free(m);
	return rc;
}

/* The errno of an `err` line, as a negative number that is one. */
static int error_of(const struct pline *l)
{
	int64_t e = pline_i64(l, "errno", 0);

	return e > 0 && e < 4096 ? (int)-e : -EPROTO;
}

/* The next line, taken apart: 1 for `row`, 0 for `ok`, or -errno; l is filled for `err` also. */
static int read_line(struct sim_conn *c, struct pline *l)
{
	char *line = preader_line(&c->in);
	int rc;

	memset(l, 0, sizeof(*l));
	if (line == NULL)
		return broken(c, errno == 0 ? -ECONNRESET : errno == EMSGSIZE ? -EPROTO : -errno);
	rc = pline_parse(l, line);
	if (rc < 0)
		return broken(c, rc == -EINVAL ? -EPROTO : rc);
	if (strcmp(l->verb, "ok") == 0)
		return 0;
	if (strcmp(l->verb, "row") == 0)
		return 1;
	if (strcmp(l->verb, "err") == 0)
		return error_of(l);
	pline_free(l);
	return broken(c, -EPROTO);
}

int sim_call(struct sim_conn *c, struct pmsg *m, struct sim_reply *reply)
{
	struct pline l;
	char *line;
	int rc;

	if (reply != NULL)
		memset(reply, 0, sizeof(*reply));
	rc = send_line(c, m);
	if (rc < 0)
		return rc;
	if (reply == NULL) {
		do {
			rc = read_line(c, &l);
			pline_free(&l);
		} while (rc == 1);
		return rc;
	}
	line = preader_line(&c->in);
	if (line == NULL)
		return broken(c, errno == 0 ? -ECONNRESET : errno == EMSGSIZE ? -EPROTO : -errno);
	reply->text = strdup(line);
	if (reply->text == NULL)
		return broken(c, -ENOMEM);
	if (pline_parse(&reply->l, reply->text) < 0) {
		sim_reply_free(reply);
		return broken(c, -EPROTO);
	}
	if (strcmp(reply->l.verb, "ok") == 0)
		return 0;
	if (strcmp(reply->l.verb, "err") == 0)
		return error_of(&reply->l);
	sim_reply_free(reply);
	return broken(c, -EPROTO);
}

int sim_call_rows(struct sim_conn *c, struct pmsg *m, int (*each)(const struct pline *row, void *arg), void *arg)
{
	int rc = send_line(c, m), stop = 0;

	while (rc >= 0) {
		struct pline l;

		rc = read_line(c, &l);
		if (rc == 1 && stop == 0)
			stop = each(&l, arg);
		pline_free(&l);
		if (rc == 0)
			return stop;
	}
	return rc;
}

/* ---- connecting ---- */

static int greet(struct sim_conn *c)
{
	const char *node = getenv("LUSTRE_SIM_NODE");
	struct sim_reply r;
	struct pmsg m;
	int rc;

	pmsg_begin(&m, "hello");
	pmsg_str(&m, "client", c->client);
	pmsg_u64(&m, "uid", c->euid);
	pmsg_str(&m, "node", node != NULL && strcmp(node, "server") == 0 ? "server" : "client");
	rc = sim_call(c, &m, &r);
	if (rc == 0) {
		snprintf(c->fsname, sizeof(c->fsname), "%s", pline_str(&r.l, "fsname", ""));
		snprintf(c->version, sizeof(c->version), "%s", pline_str(&r.l, "version", ""));
		snprintf(c->uuid, sizeof(c->uuid), "%s", pline_str(&r.l, "clientuuid", ""));
		c->mdts = (unsigned)pline_u64(&r.l, "mdts", 1);
		c->osts = (unsigned)pline_u64(&r.l, "osts", 0);
	}
	sim_reply_free(&r);
	return rc;
}

void sim_close(struct sim_conn *c)
{
	if (c == NULL)
		return;
	if (c->fd >= 0)
		close(c->fd);
	preader_free(&c->in);
	free(c->sock);
	free(c->client);
	free(c);
}

int sim_connect(const char *sock, const char *client, struct sim_conn **out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct sim_conn *c;
	int rc;

	if (strlen(sock) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, sock);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->sock = strdup(sock);
	c->client = strdup(client);
	c->pid = getpid();
	c->euid = geteuid();
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->sock == NULL || c->client == NULL) {
		rc = -ENOMEM;
	} else if (c->fd < 0) {
		rc = -errno;
	} else if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		rc = errno == EINTR || errno == EAGAIN ? -EAGAIN : errno == EACCES ? -EACCES : -ENOTCONN;
	} else {
		preader_init(&c->in, c->fd);
		rc = greet(c);
	}
	if (rc < 0) {
		sim_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

/* ---- the pool ---- */

#define POOL_MAX 8

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sim_conn *pool;
static int pool_count;

/* Nothing may be readable on an idle connection; its end shows as readable too. */
static bool idle_alive(const struct sim_conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return c->fd >= 0 && c->in.start == c->in.end && poll(&p, 1, 0) == 0;
}

int sim_get(const char *sock, const char *client, struct sim_conn **out)
{
	for (;;) {
		struct sim_conn **p, *c = NULL;

		pthread_mutex_lock(&pool_lock);
		for (p = &pool; *p != NULL; p = &(*p)->next) {
			if (strcmp((*p)->sock, sock) == 0 && strcmp((*p)->client, client) == 0 &&
			    (*p)->euid == geteuid() && (*p)->pid == getpid()) {
				c = *p;
				*p = c->next;
				pool_count--;
				break;
			}
		}
		pthread_mutex_unlock(&pool_lock);
		if (c == NULL)
			return sim_connect(sock, client, out);
		if (idle_alive(c)) {
			*out = c;
			return 0;
		}
		sim_close(c);
	}
}

void sim_put(struct sim_conn *c, bool reusable)
{
	if (c == NULL)
		return;
	if (reusable && c->fd >= 0 && c->pid == getpid()) {
		pthread_mutex_lock(&pool_lock);
		if (pool_count < POOL_MAX) {
			c->next = pool;
			pool = c;
			pool_count++;
			c = NULL;
		}
		pthread_mutex_unlock(&pool_lock);
	}
	sim_close(c);
}

/* For programs that look for leaks, and for dlclose. */
__attribute__((destructor)) static void empty_pool(void)
{
	while (pool != NULL) {
		struct sim_conn *next = pool->next;

		sim_close(pool);
		pool = next;
	}
}

int sim_get_mount(const struct sim_mount *m, struct sim_conn **out)
{
	char sock[PATH_MAX];
	int rc = sim_mount_socket(m, sock, sizeof(sock));

	return rc < 0 ? rc : sim_get(sock, m->mnt, out);
}

int sim_get_fd(int fd, struct sim_conn **out)
{
	struct sim_mount m;
	int rc = sim_mount_by_fd(fd, &m);

	return rc < 0 ? rc : sim_get_mount(&m, out);
}

int sim_get_default(struct sim_conn **out)
{
	char sock[PATH_MAX];
	int rc = sim_default_socket(sock, sizeof(sock));

	return rc < 0 ? rc : sim_get(sock, "", out);
}

int sim_call_fd(int fd, struct pmsg *m, struct sim_reply *reply)
{
	struct sim_conn *c;
	int rc = sim_get_fd(fd, &c);

	if (rc < 0) {
		pmsg_free(m);
		if (reply != NULL)
			memset(reply, 0, sizeof(*reply));
		return rc;
	}
	rc = sim_call(c, m, reply);
	sim_put(c, true);
	return rc;
}

/* ---- FIDs ---- */

struct pfid sim_pfid(const struct lu_fid *fid)
{
	return (struct pfid){ .seq = fid->f_seq, .oid = fid->f_oid, .ver = fid->f_ver };
}

struct lu_fid sim_lu_fid(const struct pfid *fid)
{
	return (struct lu_fid){ .f_seq = fid->seq, .f_oid = fid->oid, .f_ver = fid->ver };
}

int sim_fd_fid(int fd, struct lu_fid *fid)
{
	char proc[64];
	ssize_t n = fgetxattr(fd, SIM_XATTR_FID, fid, sizeof(*fid));

	if (n < 0 && errno == EBADF) { /* an O_PATH descriptor takes no fgetxattr */
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		n = getxattr(proc, SIM_XATTR_FID, fid, sizeof(*fid));
		if (n < 0 && errno == ENOENT)
			return -EBADF;
	}
	if (n == (ssize_t)sizeof(*fid))
		return 0;
	memset(fid, 0, sizeof(*fid));
	return n >= 0 || errno == ENODATA || errno == EOPNOTSUPP || errno == EPERM || errno == ERANGE ? -ENODATA : -errno;
}
