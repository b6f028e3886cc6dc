/*
 * The verbs of the control socket that are about one file: its HSM state, requests, layout, paths.
 */
#include "ops.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void v_hsm_state(struct conn *c, const struct pline *l)
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

void v_hsm_state_set(struct conn *c, const struct pline *l)
{
	struct who w = conn_who(c);
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

void v_hsm_request(struct conn *c, const struct pline *l)
{
	static const struct {
		const char *name;
		uint32_t kind;
	} kinds[] = { { "ARCHIVE", HSMA_ARCHIVE }, { "RESTORE", HSMA_RESTORE }, { "REMOVE", HSMA_REMOVE },
		      { "CANCEL", HSMA_CANCEL }, { "RELEASE", 0 } };
	const char *name = pline_str(l, "action", "");
	const struct pword *data = pline_find(l, "data"), *w = NULL;
	struct who who = conn_who(c);
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

void v_data_version(struct conn *c, const struct pline *l)
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

void v_fid2path(struct conn *c, const struct pline *l)
{
	uint64_t linkno = pline_u64(l, "linkno", 0);
	char *path = NULL;
	size_t len = 0;
	struct pfid stripe;
	struct node *n;
	struct pmsg m;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	/* a stripe's path is that of its directory (mdt_path_current) */
	if (rc == -ENOENT && pline_fid(l, "fid", &stripe) && (n = stripe_dir(&stripe)))
		rc = 0;
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

void v_getstripe(struct conn *c, const struct pline *l)
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

void v_setstripe(struct conn *c, const struct pline *l)
{
	const struct pword *lum = pline_find(l, "lum");
	struct layout *layout = NULL;
	struct who w = conn_who(c);
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
		layout_free(n->layout);
		n->layout = layout;
		if (S_ISREG(n->mode))
			rc = layout_instantiate(n, 1);
		rc = rc < 0 ? rc : 0;
		if (rc) {
			layout_free(n->layout);
			n->layout = NULL;
		}
	}
	if (rc == 0) {
		log_node(n);
		if (!n->is_volatile) {
			cl_plain(CL_LAYOUT, 0, &n->fid, NULL, &w);
			if (S_ISREG(n->mode))
				cl_plain(CL_CLOSE, MDS_WRITE, &n->fid, &(struct pfid){ 0, 0, 0 }, &w);
		}
	}
	sim_unlock();
	reply(c, rc);
}

void v_import(struct conn *c, const struct pline *l)
{
	struct who w = conn_who(c);
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

/* lfs mkdir: LL_IOC_LMV_SETSTRIPE */
void v_mkdir(struct conn *c, const struct pline *l)
{
	const char *name = pline_str(l, "name", "");
	uint64_t mdt = pline_u64(l, "mdt", UINT64_MAX);
	struct who w = conn_who(c);
	struct node *dir;
	int rc;

	sim_lock();
	rc = node_of(l, &dir);
	if (rc == 0 && !S_ISDIR(dir->mode))
		rc = -ENOTDIR;
	if (rc == 0 && (dir->synthetic || (dir == sim.root && strcmp(name, ".lustre") == 0)))
		rc = -EPERM;
	if (rc == 0 && (*name == '\0' || strchr(name, '/')))
		rc = -EINVAL;
	if (rc == 0 && strlen(name) > MAX_NAME)
		rc = -ENAMETOOLONG;
	if (rc == 0 && !may_write(dir, c))
		rc = -EACCES;
	if (rc == 0 && mdt != UINT64_MAX && mdt >= sim.nmdts)
		rc = -ENODEV;
	if (rc == 0 && dent_find(dir, name, strlen(name)))
		rc = -EEXIST;
	if (rc == 0) {
		sim.wanted_mdt = mdt == UINT64_MAX ? 0 : (unsigned)mdt + 1;
		make_node(dir, name, S_IFDIR | (pline_u64(l, "mode", 0755) & 07777), 0, NULL, &w, 0, false);
		sim.wanted_mdt = 0;
		rc = -cl_failure();
	}
	sim_unlock();
	reply(c, rc);
}

void v_mdtidx(struct conn *c, const struct pline *l)
{
	struct node *n;
	struct pmsg m;
	int rc;

	sim_lock();
	rc = node_of(l, &n);
	sim_unlock();
	if (rc) {
		reply(c, rc);
		return;
	}
	pmsg_begin(&m, "ok");
	pmsg_u64(&m, "mdt", fid_mdt(&n->fid));
	send_msg(c, &m);
}
