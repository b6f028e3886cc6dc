/*
 * The copytool's side of HSM: the registration is a connection on which the daemon pushes action lists, and every
 * action that has begun has a connection of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim.h"

#define CT_MAGIC 0xC0BE2001u
#define ACTION_MAGIC 0x19880429u

struct hsm_copytool_private {
	unsigned magic;
	struct sim_conn *channel;
	char *sock, *mnt;
	int mnt_fd, by_fid_fd; /* of the mount's root and of .lustre/fid: files are found by the latter, also once it is unmounted */
	uint64_t number; /* the daemon's for this registration */
	bool nonblocking;
	uint32_t *archives; /* none: all of them */
	int narchives;
	char *line; /* of the channel: what has come of a line so far */
	size_t have, room;
	struct hsm_action_list *hal; /* the last one handed out */
};

struct hsm_copyaction_private {
	unsigned magic;
	const struct hsm_copytool_private *ct;
	struct sim_conn *conn; /* holds the volatile file alive */
	int source_fd, data_fd;
	char *handle;
	struct hsm_action_item hai; /* last: it ends in an (unused) array */
};

/* ---- the channel ---- */

/*
 * One line from the channel, and not a byte more, so that poll shows what is still to come. The line is NUL-ended in
 * ct->line; its length is returned, or -errno (ESHUTDOWN at the channel's end).
 */
static ssize_t channel_line(struct hsm_copytool_private *ct)
{
	for (;;) {
		char *at, *nl;
		ssize_t n;

		if (ct->room - ct->have < 4096) {
			char *grown = ct->room < PROTO_LINE_MAX ? realloc(ct->line, ct->room + 65536) : NULL;

			if (grown == NULL)
				return ct->room < PROTO_LINE_MAX ? -ENOMEM : -EPROTO;
			ct->line = grown;
			ct->room += 65536;
		}
		at = ct->line + ct->have;
		n = recv(ct->channel->fd, at, ct->room - ct->have - 1, MSG_PEEK);
		if (n < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		if (n == 0)
			return -ESHUTDOWN;
		nl = memchr(at, '\n', (size_t)n);
		if (nl != NULL)
			n = nl - at + 1;
		if (recv(ct->channel->fd, at, (size_t)n, 0) != n)
			return -EIO;
		ct->have += (size_t)n;
		if (nl != NULL) {
			*nl = '\0';
			n = nl - ct->line;
			ct->have = 0;
			return n;
		}
	}
}

/* ---- registration ---- */

static void free_ct(struct hsm_copytool_private *ct)
{
	sim_close(ct->channel);
	if (ct->mnt_fd >= 0)
		close(ct->mnt_fd);
	if (ct->by_fid_fd >= 0)
		close(ct->by_fid_fd);
	free(ct->sock);
	free(ct->mnt);
	free(ct->archives);
	free(ct->line);
	free(ct->hal);
	ct->magic = 0;
	free(ct);
}

/*
 * Action lists may follow the reply at once, so it is read like them: to its end and no further. Otherwise a list
 * could hide in a buffer where poll doesn't see it.
 */
static int register_agent(struct hsm_copytool_private *ct)
{
	size_t room = 12 * (size_t)ct->narchives + 1, n = 0;
	char *list = calloc(1, room);
	const char *text;
	struct pline l;
	struct pmsg m;
	int64_t err;
	int rc;

	if (list == NULL)
		return -ENOMEM;
	for (int i = 0; i < ct->narchives; i++)
		n += (size_t)snprintf(list + n, room - n, "%s%u", i ? "," : "", ct->archives[i]);
	pmsg_begin(&m, "ct_register");
	pmsg_str(&m, "archives", list);
	free(list);
	text = pmsg_end(&m);
	rc = text == NULL ? -E2BIG : psend(ct->channel->fd, text, m.len);
	pmsg_free(&m);
	if (rc == 0) {
		ssize_t got = channel_line(ct);

		rc = got == -ESHUTDOWN ? -ECONNRESET : got < 0 ? (int)got : pline_parse(&l, ct->line);
	}
	if (rc < 0)
		return rc == -EINVAL ? -EPROTO : rc;
	err = pline_i64(&l, "errno", 0);
	if (strcmp(l.verb, "ok") == 0)
		ct->number = pline_u64(&l, "ct", 0);
	else
		rc = strcmp(l.verb, "err") == 0 && err > 0 && err < 4096 ? (int)-err : -EPROTO;
	pline_free(&l);
	return rc;
}

static int open_mount(struct hsm_copytool_private *ct)
{
	struct sim_mount m;

	ct->mnt_fd = open(ct->mnt, O_RDONLY | O_CLOEXEC);
	if (ct->mnt_fd < 0)
		return -errno;
	/* outside of Lustre there is none, and only root may enter it */
	ct->by_fid_fd = openat(ct->mnt_fd, ".lustre/fid", O_RDONLY | O_CLOEXEC);
	if (ct->by_fid_fd < 0)
		return -errno;
	return sim_mount_by_fd(ct->mnt_fd, &m);
}

static int connect_channel(struct hsm_copytool_private *ct)
{
	char sock[PATH_MAX];
	struct sim_mount m;
	int rc = sim_mount_by_fd(ct->mnt_fd, &m);

	if (rc == 0)
		rc = sim_mount_socket(&m, sock, sizeof(sock));
	if (rc == 0)
		rc = sim_connect(sock, m.mnt, &ct->channel);
	if (rc == 0 && (ct->sock = strdup(sock)) == NULL)
		rc = -ENOMEM;
	return rc;
}

int llapi_hsm_copytool_register(struct hsm_copytool_private **priv, const char *mnt, int archive_count, int *archives,
				int rfd_flags)
{
	struct hsm_copytool_private *ct;
	int rc;

	if (archive_count > 0 && archives == NULL) {
		sim_err_noerrno(LLAPI_MSG_ERROR, "NULL archive numbers");
		return -EINVAL;
	}
	for (int i = 0; i < archive_count; i++)
		if (archives[i] == 0)
			archive_count = 0; /* one zero among them: all */
	ct = calloc(1, sizeof(*ct));
	if (ct == NULL)
		return -ENOMEM;
	ct->magic = CT_MAGIC;
	ct->mnt_fd = ct->by_fid_fd = -1;
	ct->nonblocking = (rfd_flags & O_NONBLOCK) != 0;
	ct->mnt = strdup(mnt);
	ct->archives = calloc((size_t)(archive_count > 0 ? archive_count : 1), sizeof(*ct->archives));
	if (ct->mnt == NULL || ct->archives == NULL) {
		rc = -ENOMEM;
		goto fail;
	}
	rc = open_mount(ct);
	if (rc < 0)
		goto fail;
	for (int i = 0; i < archive_count; i++) {
		if (archives[i] < 0) {
			sim_err_noerrno(LLAPI_MSG_ERROR, "%d requested when archive id >= 0 is supported", archives[i]);
			rc = -EINVAL;
			goto fail;
		}
		ct->archives[ct->narchives++] = (uint32_t)archives[i];
	}
	rc = connect_channel(ct);
	if (rc == 0)
		rc = register_agent(ct);
	if (rc < 0) {
		llapi_error(LLAPI_MSG_ERROR, rc, "cannot start copytool on '%s'", mnt);
		goto fail;
	}
	if (ct->nonblocking)
		fcntl(ct->channel->fd, F_SETFL, O_NONBLOCK);
	*priv = ct;
	return 0;
fail:
	free_ct(ct);
	return rc;
}

int llapi_hsm_copytool_unregister(struct hsm_copytool_private **priv)
{
	struct hsm_copytool_private *ct;
	struct sim_conn *c;
	struct pmsg m;

	if (priv == NULL || *priv == NULL || (*priv)->magic != CT_MAGIC)
		return -EINVAL;
	ct = *priv;
	if (sim_get(ct->sock, ct->channel->client, &c) == 0) {
		pmsg_begin(&m, "ct_unregister");
		pmsg_u64(&m, "ct", ct->number);
		sim_call(c, &m, NULL);
		sim_put(c, true);
	}
	free_ct(ct);
	*priv = NULL;
	return 0;
}

int llapi_hsm_copytool_get_fd(struct hsm_copytool_private *ct)
{
	return ct == NULL || ct->magic != CT_MAGIC ? -EINVAL : ct->channel->fd;
}

/* ---- action lists ---- */

/* A number up to the comma, which is skipped. */
static bool item_number(const char **p, uint64_t *v)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*v = strtoull(*p, &end, 0);
	if (errno != 0 || *end != ',')
		return false;
	*p = end + 1;
	return true;
}

static bool item_fid(const char **p, struct lu_fid *fid)
{
	size_t n = strcspn(*p, ",");
	char text[PFID_STR_MAX];
	struct pfid pf;

	if ((*p)[n] != ',' || n >= sizeof(text))
		return false;
	memcpy(text, *p, n);
	text[n] = '\0';
	if (!pfid_parse(text, &pf))
		return false;
	*fid = sim_lu_fid(&pf);
	*p += n + 1;
	return true;
}

/* action,fid,dfid,cookie,off,len,gid,data: the fixed part into *hai, the data's place into *data. */
static bool parse_item(const struct pword *w, struct hsm_action_item *hai, const char **data, size_t *data_len)
{
	uint64_t action, cookie, off, len, gid;
	struct lu_fid fid, dfid;
	const char *p = w->value;

	if (!item_number(&p, &action) || !item_fid(&p, &fid) || !item_fid(&p, &dfid) || !item_number(&p, &cookie) ||
	    !item_number(&p, &off) || !item_number(&p, &len) || !item_number(&p, &gid))
		return false;
	*data = p;
	*data_len = w->len - (size_t)(p - w->value);
	*hai = (struct hsm_action_item){
		.hai_len = (uint32_t)(sizeof(*hai) + *data_len),
		.hai_action = (uint32_t)action,
		.hai_fid = fid,
		.hai_dfid = dfid,
		.hai_extent = { off, len },
		.hai_cookie = cookie,
		.hai_gid = gid,
	};
	return true;
}

static size_t align8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/* Packs the list as the kernel does; ct->hal and *size, or -errno. */
static int pack_list(struct hsm_copytool_private *ct, const struct pline *l, int *size)
{
	const char *fsname = pline_str(l, "fsname", ct->channel->fsname), *data;
	size_t total = sizeof(struct hsm_action_list) + align8(strlen(fsname) + 1), at, data_len;
	struct hsm_action_item hai;
	const struct pword *w;
	uint32_t count = 0;

	for (w = pline_find(l, "item"); w != NULL; w = pline_next(l, "item", w), count++) {
		if (!parse_item(w, &hai, &data, &data_len))
			return -EPROTO;
		total += align8(hai.hai_len);
	}
	free(ct->hal);
	ct->hal = calloc(1, total);
	if (ct->hal == NULL)
		return -ENOMEM;
	ct->hal->hal_version = HAL_VERSION;
	ct->hal->hal_count = count;
	ct->hal->hal_flags = pline_u64(l, "flags", 0);
	ct->hal->hal_archive_id = (uint32_t)pline_i64(l, "archive", 0);
	strcpy(ct->hal->hal_fsname, fsname);
	at = sizeof(struct hsm_action_list) + align8(strlen(fsname) + 1);
	for (w = pline_find(l, "item"); w != NULL; w = pline_next(l, "item", w)) {
		parse_item(w, &hai, &data, &data_len);
		memcpy((char *)ct->hal + at, &hai, sizeof(hai));
		memcpy((char *)ct->hal + at + sizeof(hai), data, data_len);
		at += align8(hai.hai_len);
	}
	*size = (int)total;
	return 0;
}

static bool served(const struct hsm_copytool_private *ct, uint32_t archive)
{
	for (int i = 0; i < ct->narchives; i++)
		if (ct->archives[i] == archive)
			return true;
	return ct->narchives == 0;
}

int llapi_hsm_copytool_recv(struct hsm_copytool_private *ct, struct hsm_action_list **hal, int *msgsize)
{
	int rc;

	if (ct == NULL || ct->magic != CT_MAGIC || hal == NULL || msgsize == NULL)
		return -EINVAL;
	do {
		ssize_t n = channel_line(ct);
		struct pline l;

		if (n < 0) {
			rc = (int)n;
			break;
		}
		rc = pline_parse(&l, ct->line) < 0 ? -EPROTO : strcmp(l.verb, "hal") == 0 ? 0 : -EPROTO;
		if (rc == 0)
			rc = pack_list(ct, &l, msgsize);
		pline_free(&l);
	} while (rc == 0 && !served(ct, ct->hal->hal_archive_id));
	*hal = rc == 0 ? ct->hal : NULL;
	if (rc < 0)
		*msgsize = 0;
	return rc;
}

/* ---- actions ---- */

static int open_fid(const struct hsm_copytool_private *ct, const struct lu_fid *fid, int flags)
{
	char name[PFID_STR_MAX];
	int fd;

	snprintf(name, sizeof(name), DFID_NOBRACE, PFID(fid));
	fd = openat(ct->by_fid_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

static void free_action(struct hsm_copyaction_private *a)
{
	if (a->source_fd >= 0)
		close(a->source_fd);
	if (a->data_fd >= 0)
		close(a->data_fd);
	sim_close(a->conn);
	free(a->handle);
	a->magic = 0;
	free(a);
}

/* Tells the daemon; it makes the volatile file of a restore and remembers the data version of an archive. */
static int tell_begin(struct hsm_copyaction_private *a, int mdt, int oflags, bool is_error)
{
	struct pfid fid = sim_pfid(&a->hai.hai_fid), dfid;
	struct sim_reply r;
	struct pmsg m;
	int rc = sim_connect(a->ct->sock, a->ct->channel->client, &a->conn);

	if (rc < 0)
		return rc;
	pmsg_begin(&m, "ct_begin");
	pmsg_u64(&m, "cookie", a->hai.hai_cookie);
	pmsg_fid(&m, "fid", &fid);
	pmsg_u64(&m, "action", a->hai.hai_action);
	pmsg_u64(&m, "archive", 0); /* the item does not tell; the coordinator knows it by the cookie */
	pmsg_u64(&m, "off", a->hai.hai_extent.offset);
	pmsg_u64(&m, "len", a->hai.hai_extent.length);
	pmsg_i64(&m, "mdt", mdt);
	pmsg_i64(&m, "oflags", oflags);
	pmsg_u64(&m, "error", is_error);
	rc = sim_call(a->conn, &m, &r);
	if (rc == 0) {
		a->handle = strdup(pline_str(&r.l, "handle", ""));
		if (a->handle == NULL)
			rc = -ENOMEM;
		if (a->hai.hai_action == HSMA_RESTORE && !is_error) {
			if (pline_fid(&r.l, "dfid", &dfid))
				a->hai.hai_dfid = sim_lu_fid(&dfid);
			else
				rc = -EPROTO;
		}
	}
	sim_reply_free(&r);
	return rc;
}

static int begin_action(struct hsm_copyaction_private *a, int mdt, int oflags)
{
	const int read_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME;
	int rc, access = oflags & O_ACCMODE;

	if (a->hai.hai_action == HSMA_ARCHIVE) {
		a->source_fd = open_fid(a->ct, &a->hai.hai_dfid, read_flags);
		return a->source_fd < 0 ? a->source_fd : tell_begin(a, mdt, oflags, false);
	}
	if (a->hai.hai_action == HSMA_RESTORE) {
		rc = tell_begin(a, mdt, oflags, false);
		if (rc < 0)
			return rc;
		a->data_fd = open_fid(a->ct, &a->hai.hai_dfid, access == O_RDONLY ? O_RDWR : access);
		return a->data_fd < 0 ? a->data_fd : 0;
	}
	if (a->hai.hai_action == HSMA_REMOVE) {
		/* the file may be gone, and the MDT is not told of the beginning of a removal */
		rc = open_fid(a->ct, &a->hai.hai_fid, read_flags);
		if (rc < 0 && rc != -ENOENT)
			return rc;
		a->source_fd = rc < 0 ? -1 : rc;
		tell_begin(a, mdt, oflags, false);
		return 0;
	}
	return tell_begin(a, mdt, oflags, false);
}

int llapi_hsm_action_begin(struct hsm_copyaction_private **phcp, const struct hsm_copytool_private *ct,
			   const struct hsm_action_item *hai, int restore_mdt_index, int restore_open_flags,
			   bool is_error)
{
	struct hsm_copyaction_private *a;
	int rc = 0;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->ct = ct;
	a->source_fd = a->data_fd = -1;
	memcpy(&a->hai, hai, sizeof(*hai));
	a->hai.hai_len = sizeof(*hai);
	if (is_error)
		tell_begin(a, restore_mdt_index, restore_open_flags, true); /* begins here only: can't fail */
	else
		rc = begin_action(a, restore_mdt_index, restore_open_flags);
	if (rc < 0) {
		free_action(a);
		return rc;
	}
	a->magic = ACTION_MAGIC;
	*phcp = a;
	return 0;
}

int llapi_hsm_action_end(struct hsm_copyaction_private **phcp, const struct hsm_extent *he, int hp_flags, int errval)
{
	struct hsm_copyaction_private *a;
	struct pfid fid, dfid;
	struct pmsg m;
	int rc = 0;

	if (phcp == NULL || *phcp == NULL || he == NULL || (*phcp)->magic != ACTION_MAGIC)
		return -EINVAL;
	a = *phcp;
	if (a->hai.hai_action == HSMA_RESTORE && errval == 0 && (a->data_fd < 0 || fsync(a->data_fd) < 0))
		errval = a->data_fd < 0 ? EBADF : errno;
	fid = sim_pfid(&a->hai.hai_fid);
	dfid = sim_pfid(&a->hai.hai_dfid);
	pmsg_begin(&m, "ct_end");
	pmsg_u64(&m, "cookie", a->hai.hai_cookie);
	pmsg_fid(&m, "fid", &fid);
	pmsg_fid(&m, "dfid", &dfid);
	pmsg_str(&m, "handle", a->handle != NULL ? a->handle : "");
	pmsg_u64(&m, "action", a->hai.hai_action);
	pmsg_u64(&m, "off", he->offset);
	pmsg_u64(&m, "len", he->length);
	pmsg_i64(&m, "flags", hp_flags);
	pmsg_i64(&m, "errval", abs(errval));
	if (a->conn == NULL || !sim_usable(a->conn)) {
		sim_close(a->conn);
		a->conn = NULL;
		rc = sim_connect(a->ct->sock, a->ct->channel->client, &a->conn);
	}
	if (rc == 0)
		rc = sim_call(a->conn, &m, NULL);
	else
		pmsg_free(&m);
	free_action(a);
	*phcp = NULL;
	return rc;
}

int llapi_hsm_action_progress(struct hsm_copyaction_private *hcp, const struct hsm_extent *he, uint64_t total,
			      int hp_flags)
{
	struct sim_conn *c;
	struct pfid fid;
	struct pmsg m;
	int rc;

	(void)total; /* only for the event stream */
	if (hcp == NULL || he == NULL || hcp->magic != ACTION_MAGIC)
		return -EINVAL;
	rc = sim_get(hcp->ct->sock, hcp->ct->channel->client, &c);
	if (rc < 0)
		return rc;
	fid = sim_pfid(&hcp->hai.hai_dfid); /* of a restore: the volatile's, which is why it can't be adopted after */
	pmsg_begin(&m, "ct_progress");
	pmsg_u64(&m, "cookie", hcp->hai.hai_cookie);
	pmsg_fid(&m, "fid", &fid);
	pmsg_u64(&m, "off", he->offset);
	pmsg_u64(&m, "len", he->length);
	pmsg_i64(&m, "flags", hp_flags);
	pmsg_i64(&m, "errval", 0);
	rc = sim_call(c, &m, NULL);
	sim_put(c, true);
	return rc;
}

int llapi_hsm_action_get_dfid(const struct hsm_copyaction_private *hcp, struct lu_fid *fid)
{
	if (hcp == NULL || hcp->magic != ACTION_MAGIC)
		return -EINVAL;
	if (hcp->hai.hai_action != HSMA_RESTORE && hcp->hai.hai_action != HSMA_ARCHIVE)
		return -EINVAL;
	*fid = hcp->hai.hai_dfid;
	return 0;
}

int llapi_hsm_action_get_fd(const struct hsm_copyaction_private *hcp)
{
	int fd;

	if (hcp == NULL || hcp->magic != ACTION_MAGIC)
		return -EINVAL;
	if (hcp->hai.hai_action != HSMA_RESTORE && hcp->hai.hai_action != HSMA_ARCHIVE)
		return -EINVAL;
	fd = dup(hcp->hai.hai_action == HSMA_ARCHIVE ? hcp->source_fd : hcp->data_fd);
	return fd < 0 ? -errno : fd;
}
