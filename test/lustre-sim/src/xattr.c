/*
 * Extended attributes as Lustre answers them: kept ones (user., trusted., security., ACLs), those that are made from the
 * node (trusted.hsm, .lma, .link, .lov and lustre.lov), and the stand-in's own, never listed.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define LINK_MAGIC 0x11EAF1DFu

static void be64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static void be_fid(uint8_t *p, const struct pfid *f)
{
	be64(p, f->seq);
	for (int i = 0; i < 4; i++) {
		p[8 + i] = (uint8_t)(f->oid >> (24 - 8 * i));
		p[12 + i] = (uint8_t)(f->ver >> (24 - 8 * i));
	}
}

/* struct link_ea_header (24 bytes), then entries: length (big-endian), parent's FID (big-endian), name. */
static uint8_t *make_link(const struct node *n, size_t *len)
{
	uint32_t magic = LINK_MAGIC, count = 0;
	uint64_t total = 24;
	uint8_t *buf, *p;

	for (const struct dent *d = n->links; d && total < 4096; d = d->lnext) {
		total += 18u + d->len;
		count++;
	}
	buf = xcalloc(1, total);
	memcpy(buf, &magic, 4);
	memcpy(buf + 4, &count, 4);
	memcpy(buf + 8, &total, 8);
	p = buf + 24;
	for (const struct dent *d = n->links; d && count > 0; d = d->lnext, count--) {
		struct pfid parent = stripe_of(d->parent);
		size_t rec = 18u + d->len;

		p[0] = (uint8_t)(rec >> 8);
		p[1] = (uint8_t)rec;
		be_fid(p + 2, &parent);
		memcpy(p + 18, d->name, d->len);
		p += rec;
	}
	*len = total;
	return buf;
}

static uint8_t *make_fid(const struct node *n, size_t *len)
{
	uint8_t *buf = xcalloc(1, 16);

	memcpy(buf, &n->fid.seq, 8);
	memcpy(buf + 8, &n->fid.oid, 4);
	memcpy(buf + 12, &n->fid.ver, 4);
	*len = 16;
	return buf;
}

static uint8_t *make_lma(const struct node *n, size_t *len)
{
	uint8_t *fid = make_fid(n, len), *buf = xcalloc(1, 24);

	memcpy(buf + 8, fid, 16);
	free(fid);
	*len = 24;
	return buf;
}

static uint8_t *make_hsm(const struct node *n, size_t *len)
{
	uint8_t *buf = xcalloc(1, 24);
	uint64_t archive = n->hsm_archive;

	memcpy(buf + 4, &n->hsm_flags, 4);
	memcpy(buf + 8, &archive, 8);
	memcpy(buf + 16, &n->hsm_ver, 8);
	*len = 24;
	return buf;
}

static bool has_hsm(const struct node *n)
{
	return S_ISREG(n->mode) && (n->hsm_flags != 0 || n->hsm_archive != 0);
}

static bool trusted(const char *name)
{
	return strncmp(name, "trusted.", 8) == 0;
}

static bool is_lov(const char *name)
{
	return strcmp(name, "trusted.lov") == 0 || strcmp(name, "lustre.lov") == 0;
}

static bool is_made(const char *name)
{
	return is_lov(name) || strcmp(name, "trusted.hsm") == 0 || strcmp(name, "trusted.lma") == 0 ||
	       strcmp(name, "trusted.link") == 0;
}

int xattr_get(struct node *n, const char *name, uint32_t uid, uint8_t **val, size_t *len)
{
	const struct xattr *x;

	*val = NULL;
	*len = 0;
	if (strcmp(name, "lustre.sim_fid") == 0) {
		*val = make_fid(n, len);
		return 0;
	}
	if (strcmp(name, "lustre.sim_socket") == 0) {
		char path[4096];

		if (n != sim.root)
			return -ENODATA;
		snprintf(path, sizeof(path), "%s/sock", sim.dir);
		*len = strlen(path);
		*val = xmemdup(path, *len);
		return 0;
	}
	if (trusted(name) && uid != 0)
		return -ENODATA;
	if (strcmp(name, "trusted.lma") == 0 && !n->synthetic)
		*val = make_lma(n, len);
	else if (strcmp(name, "trusted.link") == 0 && n->links && !n->synthetic)
		*val = make_link(n, len);
	else if (strcmp(name, "trusted.hsm") == 0 && has_hsm(n))
		*val = make_hsm(n, len);
	else if (is_lov(name) && (S_ISREG(n->mode) || S_ISDIR(n->mode)) && !(trusted(name) && n->synthetic))
		*val = layout_pack(n, len, true);
	if (*val)
		return 0;
	if (is_made(name))
		return -ENODATA;
	x = xattr_find(n, name);
	if (x == NULL)
		return -ENODATA;
	*len = x->len;
	*val = xmemdup(x->val, x->len);
	return 0;
}

static bool recorded(const char *name)
{
	/* an access ACL is an attribute change without a record (facts, surprise 7) */
	return strcmp(name, "system.posix_acl_access") != 0;
}

static int set_lov(struct node *n, const void *val, size_t len, const struct who *w)
{
	struct layout *l;
	int rc;

	if (S_ISREG(n->mode) && n->layout != NULL) {
		/* what cp -a and the like write back: taken without effect, as Lustre does on a file that has one */
		return 0;
	}
	if (!S_ISREG(n->mode) && !S_ISDIR(n->mode))
		return -EOPNOTSUPP;
	rc = layout_unpack(val, len, &l);
	if (rc)
		return rc;
	layout_free(n->layout);
	n->layout = l;
	if (S_ISREG(n->mode))
		rc = layout_instantiate(n, 1);
	if (rc < 0) {
		layout_free(n->layout);
		n->layout = NULL;
		return rc;
	}
	log_node(n);
	if (!n->is_volatile)
		cl_plain(CL_LAYOUT, 0, &n->fid, NULL, w);
	return 0;
}

int xattr_set(struct node *n, const char *name, const void *val, size_t len, int flags, const struct who *w)
{
	const struct xattr *old = xattr_find(n, name);

	if (strncmp(name, "lustre.sim_", 11) == 0)
		return -EOPNOTSUPP;
	if (n->synthetic)
		return -EPERM;
	if (is_lov(name))
		return set_lov(n, val, len, w);
	/* Lustre's own are left alone, and nobody is told */
	if (is_made(name))
		return 0;
	if (strlen(name) > 255)
		return -ERANGE;
	if (len > MAX_XATTR)
		return -ERANGE;
	if ((flags & XATTR_CREATE) && old)
		return -EEXIST;
	if ((flags & XATTR_REPLACE) && !old)
		return -ENODATA;
	if (strcmp(name, "system.posix_acl_access") == 0) {
		bool plain;
		int rc = acl_to_mode(n, val, len, &plain);

		if (rc)
			return rc;
		if (plain)
			xattr_del(n, name);
		else
			xattr_put(n, name, val, len);
	} else {
		xattr_put(n, name, val, len);
	}
	n->ctime = now_sec();
	log_node(n);
	if (recorded(name) && !n->is_volatile)
		cl_xattr(CL_XATTR, &n->fid, name, w);
	return 0;
}

int xattr_remove(struct node *n, const char *name, const struct who *w)
{
	if (n->synthetic)
		return -EPERM;
	if (is_lov(name)) {
		if (!S_ISDIR(n->mode) || n->layout == NULL)
			return S_ISDIR(n->mode) ? -ENODATA : -EOPNOTSUPP;
		layout_free(n->layout);
		n->layout = NULL;
		log_node(n);
		cl_plain(CL_LAYOUT, 0, &n->fid, NULL, w);
		return 0;
	}
	if (is_made(name))
		return -EPERM;
	if (!xattr_del(n, name))
		return -ENODATA;
	n->ctime = now_sec();
	log_node(n);
	if (recorded(name) && !n->is_volatile)
		cl_xattr(CL_XATTR, &n->fid, name, w);
	return 0;
}

static void add(char **list, size_t *len, const char *name)
{
	size_t n = strlen(name) + 1;

	*list = xrealloc(*list, *len + n);
	memcpy(*list + *len, name, n);
	*len += n;
}

char *xattr_list(struct node *n, uint32_t uid, size_t *len)
{
	char *list = NULL;

	*len = 0;
	if (n->synthetic && n != sim.root)
		return NULL;
	if ((S_ISREG(n->mode) || S_ISDIR(n->mode)) && n->layout)
		add(&list, len, "lustre.lov");
	if (uid == 0) {
		if (has_hsm(n))
			add(&list, len, "trusted.hsm");
		if (n->links)
			add(&list, len, "trusted.link");
		add(&list, len, "trusted.lma");
		if ((S_ISREG(n->mode) || S_ISDIR(n->mode)) && n->layout)
			add(&list, len, "trusted.lov");
	}
	for (const struct xattr *x = n->xattrs; x; x = x->next)
		if (uid == 0 || !trusted(x->name))
			add(&list, len, x->name);
	return list;
}
