/*
 * The changelog reader. Records are fetched from the daemon in batches and packed as the kernel packs them, with the
 * extensions that the reader asked for. At the end a reader gets 1, and from then on always: the kernel's thread that
 * fetches has ended (mdc_changelog.c, crs_eof). One that follows waits for more, looking once a second as that thread does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim.h"

#define MAGIC 0xCA8E1080u
#define BATCH 1024
#define FOLLOW_POLL_MS 1000

struct reader {
	unsigned magic;
	int flags, xflags;
	bool old; /* up to 2.15: see extensions() */
	char *sock, *user;
	unsigned mdt;
	unsigned long long next; /* the index to ask for next */
	bool ended;		 /* the last batch was the end */
	struct changelog_rec **queue;
	size_t count, at, room;
	int pipe[2]; /* what get_fd gives: readable whenever read() of the real device would not wait */
};

/* ---- packing ---- */

size_t sim_changelog_offset(uint16_t flags, uint64_t extra)
{
	size_t size = sizeof(struct changelog_rec);

	if (flags & CLF_RENAME)
		size += sizeof(struct changelog_ext_rename);
	if (flags & CLF_JOBID)
		size += sizeof(struct changelog_ext_jobid);
	if (!(flags & CLF_EXTRA_FLAGS))
		return size;
	size += sizeof(struct changelog_ext_extra_flags);
	if (extra & CLFE_UIDGID)
		size += sizeof(struct changelog_ext_uidgid);
	if (extra & CLFE_NID)
		size += sizeof(struct changelog_ext_nid);
	if (extra & CLFE_OPEN)
		size += sizeof(struct changelog_ext_openmode);
	if (extra & CLFE_XATTR)
		size += sizeof(struct changelog_ext_xattr);
	return size;
}

static struct lu_fid fid_at(const struct pline *row, const char *key)
{
	struct pfid pf = { 0, 0, 0 };

	pline_fid(row, key, &pf);
	return sim_lu_fid(&pf);
}

/* LNet network types by name, the ones a test may use. */
static int net_type(const char *name, size_t len)
{
	static const struct {
		const char *name;
		int type;
	} types[] = { { "tcp", 2 }, { "o2ib", 5 }, { "lo", 9 }, { "kfi", 16 } };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strlen(types[i].name) == len && strncmp(types[i].name, name, len) == 0)
			return types[i].type;
	return -1;
}

/* "10.0.0.5@tcp1", "0@lo"; anything else, as "0@<0:0>", is all zero. */
static void parse_nid(const char *text, uint32_t *addr, int *type, unsigned *num)
{
	const char *at = strchr(text, '@');
	char host[64];
	struct in_addr in;
	size_t len;

	*addr = 0;
	*type = 0;
	*num = 0;
	if (at == NULL || (size_t)(at - text) >= sizeof(host))
		return;
	len = strcspn(at + 1, "0123456789");
	if (strncmp(at + 1, "o2ib", 4) == 0)
		len = 4;
	*type = net_type(at + 1, len);
	if (*type < 0) {
		*type = 0;
		return;
	}
	*num = (unsigned)strtoul(at + 1 + len, NULL, 10);
	memcpy(host, text, (size_t)(at - text));
	host[at - text] = '\0';
	*addr = inet_pton(AF_INET, host, &in) == 1 ? ntohl(in.s_addr) : (uint32_t)strtoul(host, NULL, 10);
}

static void put_nid(void *out, const char *text, bool big_endian)
{
	struct changelog_ext_nid nid = { 0, 0, 0 };
	struct lnet_nid be = { .nid_size = 0 };
	unsigned num;
	uint32_t addr;
	int type;

	parse_nid(text, &addr, &type, &num);
	if (big_endian) {
		be.nid_type = (uint8_t)type;
		be.nid_num = htons((uint16_t)num);
		be.nid_addr[0] = htonl(addr);
		memcpy(out, &be, sizeof(be));
	} else {
		nid.cr_nid = (uint64_t)((uint32_t)type << 16 | (num & 0xffff)) << 32 | addr;
		memcpy(out, &nid, sizeof(nid));
	}
}

/* "<sec>.<ns>" as the kernel keeps it. */
static uint64_t parse_time(const char *text)
{
	char *end;
	uint64_t sec = strtoull(text, &end, 10), ns = 0;
	int digits = 0;

	if (*end == '.')
		for (end++; *end >= '0' && *end <= '9' && digits < 9; end++, digits++)
			ns = ns * 10 + (uint64_t)(*end - '0');
	for (; digits < 9; digits++)
		ns *= 10;
	return sec << 30 | ns;
}

static size_t name_of(const struct pline *row, const char *key, const char **name)
{
	const struct pword *w = pline_find(row, key);

	*name = w != NULL ? w->value : "";
	return w == NULL ? 0 : w->len > NAME_MAX ? NAME_MAX : w->len;
}

/* What the record itself has of the extra flags; the reader's wishes are taken off later. */
static uint64_t extra_of(const struct pline *row)
{
	uint64_t extra = 0;

	if (pline_find(row, "uid") != NULL)
		extra |= CLFE_UIDGID;
	if (pline_find(row, "nid") != NULL && *pline_str(row, "nid", "") != '\0')
		extra |= CLFE_NID | CLFE_NID_BE;
	if (pline_find(row, "omode") != NULL && *pline_str(row, "omode", "") != '\0')
		extra |= CLFE_OPEN;
	if (*pline_str(row, "xattr", "") != '\0')
		extra |= CLFE_XATTR;
	return extra;
}

static uint64_t wanted_extra(const struct reader *r)
{
	uint64_t wanted = (uint64_t)r->xflags & (CLFE_UIDGID | CLFE_NID | CLFE_OPEN | CLFE_XATTR);

	if (wanted & CLFE_NID && r->flags & CHANGELOG_FLAG_NID_BE)
		wanted |= CLFE_NID_BE;
	return wanted;
}

/*
 * Which extensions a record gets. From 2.16 on those that it has and the reader wants. Before (changelog_remap_rec) all that the
 * reader wants, empty ones too, a rename's among them; and the record's own flags stay set on top, so that one who wants less
 * than the record has finds flags that speak of extensions which are not there, and names where they are not.
 */
static uint64_t extensions(const struct reader *r, const struct pline *row, uint16_t *flags, uint64_t *told)
{
	uint64_t has = extra_of(row), wanted = wanted_extra(r), given;

	if (r->flags & CHANGELOG_FLAG_JOBID)
		*flags |= CLF_JOBID;
	if (r->flags & CHANGELOG_FLAG_EXTRA_FLAGS)
		*flags |= CLF_EXTRA_FLAGS;
	if (r->old) {
		*flags |= CLF_RENAME;
		given = wanted & ~(uint64_t)CLFE_NID_BE;
		*told = given | (has & ~(uint64_t)CLFE_NID_BE);
	} else {
		if (pline_find(row, "sfid") != NULL)
			*flags |= CLF_RENAME;
		given = has & wanted;
		*told = given;
	}
	return *flags & CLF_EXTRA_FLAGS ? given : 0;
}

static struct changelog_rec *pack(const struct reader *r, const struct pline *row)
{
	const char *name, *sname;
	size_t namelen = name_of(row, "name", &name), snamelen = name_of(row, "sname", &sname), offset;
	uint16_t flags = (uint16_t)(pline_u64(row, "flags", 0) & CLF_FLAGMASK) | CLF_VERSION;
	uint64_t told, extra = extensions(r, row, &flags, &told);
	struct changelog_rec *rec;
	char *p;

	offset = sim_changelog_offset(flags, extra);
	rec = calloc(1, offset + namelen + snamelen + 2 * (NAME_MAX + 2)); /* a reader may look for the NULs */
	if (rec == NULL)
		return NULL;
	rec->cr_flags = flags;
	rec->cr_type = (uint32_t)pline_u64(row, "type", 0);
	rec->cr_index = pline_u64(row, "idx", 0);
	rec->cr_time = parse_time(pline_str(row, "time", "0"));
	rec->cr_tfid = fid_at(row, "tfid");
	rec->cr_pfid = fid_at(row, "pfid");
	p = (char *)(rec + 1);
	if (flags & CLF_RENAME) {
		struct changelog_ext_rename rn = { fid_at(row, "sfid"), fid_at(row, "spfid") };

		memcpy(p, &rn, sizeof(rn));
		p += sizeof(rn);
	}
	if (flags & CLF_JOBID) {
		snprintf(p, LUSTRE_JOBID_SIZE, "%s", pline_str(row, "jobid", ""));
		p += sizeof(struct changelog_ext_jobid);
	}
	if (flags & CLF_EXTRA_FLAGS) {
		memcpy(p, &told, sizeof(told));
		p += sizeof(told);
	}
	if (extra & CLFE_UIDGID) {
		struct changelog_ext_uidgid ids = { pline_u64(row, "uid", 0), pline_u64(row, "gid", 0) };

		memcpy(p, &ids, sizeof(ids));
		p += sizeof(ids);
	}
	if (extra & CLFE_NID) {
		put_nid(p, pline_str(row, "nid", ""), (extra & CLFE_NID_BE) != 0);
		p += sizeof(struct changelog_ext_nid);
	}
	if (extra & CLFE_OPEN) {
		uint32_t mode = (uint32_t)pline_u64(row, "omode", 0);

		memcpy(p, &mode, sizeof(mode));
		p += sizeof(mode);
	}
	if (extra & CLFE_XATTR) {
		snprintf(p, CLF_XATTR_SIZE, "%s", pline_str(row, "xattr", ""));
		p += sizeof(struct changelog_ext_xattr);
	}
	memcpy(p, name, namelen);
	if (pline_find(row, "sfid") != NULL) { /* name, NUL, source's name */
		memcpy(p + namelen + 1, sname, snamelen);
		namelen += 1 + snamelen;
	}
	rec->cr_namelen = (uint16_t)namelen;
	return rec;
}

/* ---- fetching ---- */

static int take(const struct pline *row, void *arg)
{
	struct reader *r = arg;
	struct changelog_rec *rec;

	if (r->count == r->room) {
		size_t room = r->room ? r->room * 2 : BATCH;
		struct changelog_rec **grown = realloc(r->queue, room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		r->queue = grown;
		r->room = room;
	}
	rec = pack(r, row);
	if (rec == NULL)
		return -ENOMEM;
	r->queue[r->count++] = rec;
	return 0;
}

static int fetch(struct reader *r)
{
	struct sim_conn *c;
	struct pmsg m;
	int rc = sim_get(r->sock, "", &c);

	if (rc < 0)
		return rc;
	r->count = r->at = 0;
	pmsg_begin(&m, "changelog");
	pmsg_u64(&m, "mdt", r->mdt);
	pmsg_u64(&m, "start", r->next);
	pmsg_u64(&m, "end", 0);
	pmsg_str(&m, "user", r->user);
	pmsg_u64(&m, "max", BATCH);
	rc = sim_call_rows(c, &m, take, r);
	sim_put(c, true);
	if (r->count > 0)
		r->next = r->queue[r->count - 1]->cr_index + 1;
	r->ended = r->count < BATCH;
	return rc;
}

/* The pipe holds one byte while something can be read without waiting (the end counts, unless following). */
static void signal_state(struct reader *r)
{
	bool now = r->at < r->count || !(r->flags & CHANGELOG_FLAG_FOLLOW);
	struct pollfd p = { .fd = r->pipe[0], .events = POLLIN };
	bool was = poll(&p, 1, 0) > 0;
	char byte = 0;

	if (now && !was)
		(void)!write(r->pipe[1], &byte, 1);
	else if (!now && was)
		(void)!read(r->pipe[0], &byte, 1);
}

/* ---- the interface ---- */

/* "lustrefs-MDT0000" on the daemon at hand: its socket and the MDT's number. */
static int find_mdt(const char *mdtname, char *sock, size_t size, unsigned *mdt, bool *old)
{
	const char *dash = strrchr(mdtname, '-');
	char fsname[64];
	struct sim_mount *m;
	struct sim_conn *c;
	char *end;
	int rc;

	if (dash == NULL || strncmp(dash, "-MDT", 4) != 0 || (size_t)(dash - mdtname) >= sizeof(fsname))
		return -ENOENT;
	*mdt = (unsigned)strtoul(dash + 4, &end, 16);
	if (end != dash + 8 || *end != '\0')
		return -ENOENT;
	snprintf(fsname, sizeof(fsname), "%.*s", (int)(dash - mdtname), mdtname);
	m = malloc(sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	if (getenv("LUSTRE_SIM_DIR") != NULL)
		rc = sim_default_socket(sock, size);
	else if ((rc = sim_mount_by_fsname(fsname, m)) == 0)
		rc = sim_mount_socket(m, sock, size);
	free(m);
	if (rc == 0)
		rc = sim_get(sock, "", &c);
	if (rc < 0)
		return rc == -ENODEV || rc == -ENOTCONN ? -ENOENT : rc; /* nothing mounted: no device */
	if (strcmp(c->fsname, fsname) != 0 || *mdt >= c->mdts)
		rc = -ENOENT;
	*old = strncmp(c->version, "2.15", 4) == 0;
	sim_put(c, true);
	return rc < 0 ? rc : geteuid() != 0 ? -EACCES : 0; /* the device is root's */
}

static void free_reader(struct reader *r)
{
	for (size_t i = r->at; i < r->count; i++)
		free(r->queue[i]);
	free(r->queue);
	free(r->sock);
	free(r->user);
	if (r->pipe[0] >= 0) {
		close(r->pipe[0]);
		close(r->pipe[1]);
	}
	r->magic = 0;
	free(r);
}

static int start(void **priv, int flags, const char *mdtname, const char *user, long long startrec)
{
	char sock[PATH_MAX];
	struct reader *r;
	unsigned mdt;
	bool old;
	int rc = find_mdt(mdtname, sock, sizeof(sock), &mdt, &old);

	if (rc < 0)
		return rc;
	if (startrec < 0)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->magic = MAGIC;
	r->flags = flags;
	r->old = old;
	r->mdt = mdt;
	r->next = (unsigned long long)startrec;
	r->pipe[0] = -1;
	r->sock = strdup(sock);
	r->user = strdup(user);
	if (r->sock == NULL || r->user == NULL || pipe2(r->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		free_reader(r);
		return -ENOMEM;
	}
	*priv = r;
	return 0;
}

int llapi_changelog_start(void **priv, enum changelog_send_flag flags, const char *mdtname, long long startrec)
{
	static bool told_extra, told_jobid;
	int rc = start(priv, (int)flags, mdtname, "", startrec);

	if (rc < 0)
		return rc;
	if (!(flags & CHANGELOG_FLAG_EXTRA_FLAGS) && !told_extra) {
		told_extra = true;
		sim_err_noerrno(LLAPI_MSG_WARN, "warning: %s() called without CHANGELOG_FLAG_EXTRA_FLAGS", __func__);
	}
	if (!(flags & CHANGELOG_FLAG_JOBID) && !told_jobid) {
		told_jobid = true;
		sim_err_noerrno(LLAPI_MSG_WARN, "warning: %s() called without CHANGELOG_FLAG_JOBID", __func__);
	}
	signal_state(*priv);
	return 0;
}

int llapi_changelog_start_user(void **priv, enum changelog_send_flag flags, const char *mdtname, const char *username,
			       uint64_t mask, long long startrec)
{
	struct reader *r;
	int rc = start(priv, (int)flags, mdtname, username, startrec);

	(void)mask; /* as recorded: a mask given here does not filter, the user's own does */
	if (rc < 0)
		return rc;
	r = *priv;
	rc = fetch(r); /* the daemon refuses a user that it does not know */
	if (rc == 0) {
		r->next = (unsigned long long)startrec; /* read again with the extra flags, once they are set */
		for (size_t i = 0; i < r->count; i++)
			free(r->queue[i]);
		r->count = 0;
		r->ended = false;
		signal_state(r);
		return 0;
	}
	llapi_error(LLAPI_MSG_ERROR, rc, "cannot set changelog filter");
	free_reader(r);
	*priv = NULL;
	return rc;
}

int llapi_changelog_set_xflags(void *priv, enum changelog_send_extra_flag extra_flags)
{
	struct reader *r = priv;
	static bool told;

	if (r == NULL || r->magic != MAGIC)
		return -EINVAL;
	r->xflags = (int)extra_flags;
	if (!(extra_flags & CHANGELOG_EXTRA_FLAG_UIDGID) && !told) {
		told = true;
		sim_err_noerrno(LLAPI_MSG_WARN, "warning: %s() called without CHANGELOG_EXTRA_FLAG_UIDGID", __func__);
	}
	return 0;
}

int llapi_changelog_recv(void *priv, struct changelog_rec **rech)
{
	struct reader *r = priv;
	int rc;

	if (r == NULL || r->magic != MAGIC || rech == NULL)
		return -EINVAL;
	*rech = NULL;
	while (r->at == r->count) {
		if (r->ended && !(r->flags & CHANGELOG_FLAG_FOLLOW))
			return 1;
		if (r->ended)
			poll(NULL, 0, FOLLOW_POLL_MS);
		rc = fetch(r);
		if (rc < 0)
			return rc;
	}
	*rech = r->queue[r->at++];
	signal_state(r);
	return 0;
}

int llapi_changelog_free(struct changelog_rec **rech)
{
	free(*rech);
	*rech = NULL;
	return 0;
}

int llapi_changelog_in_buf(void *priv)
{
	struct reader *r = priv;

	return r != NULL && r->magic == MAGIC && r->at < r->count;
}

int llapi_changelog_get_fd(void *priv)
{
	struct reader *r = priv;

	return r == NULL || r->magic != MAGIC ? -EINVAL : r->pipe[0];
}

int llapi_changelog_fini(void **priv)
{
	struct reader *r = *priv;

	if (r == NULL || r->magic != MAGIC)
		return -EINVAL;
	free_reader(r);
	*priv = NULL;
	return 0;
}

int llapi_changelog_clear(const char *mdtname, const char *idstr, long long endrec)
{
	char sock[PATH_MAX], user[64];
	struct sim_conn *c;
	struct pmsg m;
	unsigned mdt;
	bool old;
	int rc;

	if (endrec < 0) {
		sim_err_noerrno(LLAPI_MSG_ERROR, "can't purge negative records\n");
		return -EINVAL;
	}
	rc = find_mdt(mdtname, sock, sizeof(sock), &mdt, &old);
	if (rc < 0) {
		llapi_error(LLAPI_MSG_ERROR, rc, "cannot open '/dev/changelog-%s'", mdtname);
		return rc;
	}
	snprintf(user, sizeof(user), "%.*s", (int)strcspn(idstr, "-"), idstr); /* cl5-name: the number is enough */
	rc = sim_get(sock, "", &c);
	if (rc == 0) {
		pmsg_begin(&m, "changelog_clear");
		pmsg_u64(&m, "mdt", mdt);
		pmsg_str(&m, "user", user);
		pmsg_i64(&m, "end", endrec);
		rc = sim_call(c, &m, NULL);
		sim_put(c, true);
	}
	if (rc < 0)
		llapi_error(LLAPI_MSG_ERROR, rc, "cannot purge records for '%s'", idstr);
	return rc;
}
