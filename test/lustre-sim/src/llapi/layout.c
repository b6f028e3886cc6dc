/*
 * llapi_layout_*: a layout as a list of components with a cursor. As in the real library these functions return -1
 * (or NULL) and set errno, except comp_use, which returns 1 at either end of the list.
 */
#define _GNU_SOURCE
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

#define MAGIC 0x11AD1107u

/* One component in the interface's terms: LLAPI_LAYOUT_DEFAULT stands for what the file system chooses. */
struct part {
	uint64_t pattern, stripe_size, stripe_count, offset;
	uint32_t id, flags;
	uint64_t start, end;
	char pool[LOV_MAXPOOLNAME + 1];
	uint32_t *osts;
	size_t nosts;
};

struct llapi_layout {
	uint32_t magic, gen, flags;
	uint16_t mirrors;
	bool composite;
	struct part *parts;
	size_t nparts, at;
};

static int bad(int err)
{
	errno = err;
	return -1;
}

static struct part *current(const struct llapi_layout *l)
{
	if (l == NULL || l->magic != MAGIC || l->nparts == 0) {
		errno = EINVAL;
		return NULL;
	}
	return &l->parts[l->at];
}

static struct part *append(struct llapi_layout *l)
{
	struct part *grown = realloc(l->parts, (l->nparts + 1) * sizeof(*grown)), *p;

	if (grown == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	l->parts = grown;
	p = &grown[l->nparts++];
	memset(p, 0, sizeof(*p));
	p->pattern = p->stripe_size = p->stripe_count = p->offset = LLAPI_LAYOUT_DEFAULT;
	p->end = LUSTRE_EOF;
	return p;
}

static struct llapi_layout *empty(void)
{
	struct llapi_layout *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	l->magic = MAGIC;
	l->mirrors = 1;
	return l;
}

struct llapi_layout *llapi_layout_alloc(void)
{
	struct llapi_layout *l = empty();

	if (l != NULL && append(l) == NULL) {
		llapi_layout_free(l);
		return NULL;
	}
	return l;
}

void llapi_layout_free(struct llapi_layout *layout)
{
	if (layout == NULL)
		return;
	for (size_t i = 0; i < layout->nparts; i++)
		free(layout->parts[i].osts);
	free(layout->parts);
	layout->magic = 0;
	free(layout);
}

/* ---- to and from the codec ---- */

/* As the real library: what is not one of the three, such as a released layout's pattern, comes as it is. */
static uint64_t pattern_from(uint32_t lov)
{
	if (lov == LOV_EA_RAID0)
		return LLAPI_LAYOUT_RAID0;
	if (lov == (LOV_EA_RAID0 | LOV_EA_OVERSTRIPING))
		return LLAPI_LAYOUT_OVERSTRIPING;
	if (lov & LOV_EA_MDT)
		return LLAPI_LAYOUT_MDT;
	return lov;
}

/* The other way; 0 for a pattern that can't be asked for. */
static uint32_t pattern_to(uint64_t pattern)
{
	if (pattern == LLAPI_LAYOUT_DEFAULT)
		return LOV_EA_RAID0;
	switch (pattern & ~LLAPI_LAYOUT_SPECIFIC) {
	case LLAPI_LAYOUT_RAID0:
		return LOV_EA_RAID0;
	case LLAPI_LAYOUT_MDT:
		return LOV_EA_MDT;
	case LLAPI_LAYOUT_OVERSTRIPING:
		return LOV_EA_RAID0 | LOV_EA_OVERSTRIPING;
	default:
		return 0;
	}
}

static struct llapi_layout *layout_from(const struct lov_ea *lov)
{
	struct llapi_layout *l = empty();

	if (l == NULL)
		return NULL;
	l->composite = lov->composite;
	l->gen = lov->gen;
	l->flags = lov->flags;
	l->mirrors = lov->mirrors;
	for (size_t i = 0; i < lov->ncomps; i++) {
		const struct lov_ea_comp *c = &lov->comps[i];
		struct part *p = append(l);

		if (p == NULL)
			goto no_memory;
		p->pattern = pattern_from(c->pattern);
		p->stripe_size = c->stripe_size == 0 ? LLAPI_LAYOUT_DEFAULT : c->stripe_size;
		p->stripe_count = c->stripe_count == 0xffff ? LLAPI_LAYOUT_WIDE
				  : c->stripe_count == 0    ? LLAPI_LAYOUT_DEFAULT
							    : c->stripe_count;
		if (c->gen != 0xffff)
			p->offset = c->gen;
		p->id = c->id;
		p->flags = c->flags;
		p->start = c->start;
		p->end = c->end;
		memcpy(p->pool, c->pool, sizeof(p->pool));
		if (c->nobjects == 0)
			continue;
		p->osts = calloc(c->nobjects, sizeof(*p->osts));
		if (p->osts == NULL) {
			errno = ENOMEM;
			goto no_memory;
		}
		p->nosts = c->nobjects;
		for (size_t j = 0; j < c->nobjects; j++)
			p->osts[j] = c->objects[j].ost;
		p->offset = p->osts[0];
	}
	l->at = l->nparts > 0 ? l->nparts - 1 : 0; /* the cursor is left at the last one */
	return l;
no_memory:
	llapi_layout_free(l);
	return NULL;
}

static int layout_to(const struct llapi_layout *l, struct lov_ea *lov)
{
	memset(lov, 0, sizeof(*lov));
	lov->composite = l->composite;
	lov->flags = (uint16_t)l->flags;
	lov->mirrors = l->mirrors;
	for (size_t i = 0; i < l->nparts; i++) {
		const struct part *p = &l->parts[i];
		struct lov_ea_comp *c = lov_ea_add(lov);

		if (c == NULL)
			goto no_memory;
		c->pattern = pattern_to(p->pattern);
		if (c->pattern == 0) {
			lov_ea_free(lov);
			return -EINVAL;
		}
		c->id = p->id;
		c->flags = p->flags & ~(uint32_t)LOV_EA_FL_INIT;
		c->start = p->start;
		c->end = p->end;
		c->stripe_size = p->stripe_size == LLAPI_LAYOUT_DEFAULT ? 0 : (uint32_t)p->stripe_size;
		c->stripe_count = p->stripe_count == LLAPI_LAYOUT_DEFAULT ? 0
				  : p->stripe_count == LLAPI_LAYOUT_WIDE  ? 0xffff
									  : (uint16_t)p->stripe_count;
		c->gen = p->offset == LLAPI_LAYOUT_DEFAULT ? 0xffff : (uint16_t)p->offset;
		memcpy(c->pool, p->pool, sizeof(c->pool));
		if (!(p->pattern & LLAPI_LAYOUT_SPECIFIC) || p->pattern == LLAPI_LAYOUT_DEFAULT)
			continue;
		c->specific = true;
		c->nobjects = p->nosts < c->stripe_count ? p->nosts : c->stripe_count;
		c->objects = calloc(c->nobjects + 1, sizeof(*c->objects));
		if (c->objects == NULL)
			goto no_memory;
		for (size_t j = 0; j < c->nobjects; j++)
			c->objects[j].ost = p->osts[j];
	}
	return 0;
no_memory:
	lov_ea_free(lov);
	return -ENOMEM;
}

/* ---- reading a file's ---- */

int sim_get_layout(int fd, struct lov_ea *lov)
{
	const struct pword *w;
	struct sim_reply r;
	struct lu_fid fid;
	struct pfid pf;
	struct pmsg m;
	int rc = sim_fd_fid(fd, &fid);

	memset(lov, 0, sizeof(*lov));
	if (rc < 0)
		return rc == -ENODATA ? -ENOTTY : rc;
	pf = sim_pfid(&fid);
	pmsg_begin(&m, "getstripe");
	pmsg_fid(&m, "fid", &pf);
	rc = sim_call_fd(fd, &m, &r);
	if (rc == 0) {
		w = pline_find(&r.l, "lum");
		rc = w == NULL ? -EPROTO : lov_ea_decode(w->value, w->len, lov);
		if (rc == -EINVAL)
			rc = -EPROTO;
	}
	sim_reply_free(&r);
	return rc;
}

struct llapi_layout *llapi_layout_get_by_fd(int fd, uint32_t flags)
{
	struct llapi_layout *l;
	struct lov_ea lov;
	int rc = sim_get_layout(fd, &lov);

	(void)flags;
	if (rc == -ENODATA) /* the file system's defaults */
		return llapi_layout_alloc();
	if (rc < 0) {
		errno = -rc;
		return NULL;
	}
	l = layout_from(&lov);
	lov_ea_free(&lov);
	return l;
}

struct llapi_layout *llapi_layout_get_by_path(const char *path, uint32_t flags)
{
	struct llapi_layout *l;
	int saved, fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	l = llapi_layout_get_by_fd(fd, flags);
	saved = errno;
	close(fd);
	errno = saved;
	return l;
}

struct llapi_layout *llapi_layout_get_by_fid(const char *path, const struct lu_fid *fid, uint32_t flags)
{
	struct llapi_layout *l;
	int saved, fd = llapi_open_by_fid(path, fid, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	l = llapi_layout_get_by_fd(fd, flags);
	saved = errno;
	close(fd);
	errno = saved;
	return l;
}

struct llapi_layout *llapi_layout_get_by_xattr(void *lov_xattr, ssize_t lov_xattr_size, uint32_t flags)
{
	struct llapi_layout *l;
	struct lov_ea lov;
	int rc;

	(void)flags;
	if (lov_xattr == NULL || lov_xattr_size <= 0) {
		errno = EINVAL;
		return NULL;
	}
	rc = lov_ea_decode(lov_xattr, (size_t)lov_xattr_size, &lov);
	if (rc < 0) {
		errno = rc == -EINVAL ? EINTR : -rc; /* the real library's word for a truncated layout */
		return NULL;
	}
	l = layout_from(&lov);
	lov_ea_free(&lov);
	return l;
}

int llapi_layout_set_by_fd(int fd, struct llapi_layout *layout)
{
	struct lov_ea lov;
	int rc;

	if (current(layout) == NULL)
		return -1;
	rc = layout_to(layout, &lov);
	if (rc == 0) {
		rc = sim_set_layout(fd, &lov);
		lov_ea_free(&lov);
	}
	return rc < 0 ? bad(-rc) : 0;
}

/* ---- fields of the current component ---- */

/* int name(layout, out): the value of a layout that is one; p is its current component. */
#define GETTER(name, layout_type, type, value)                    \
	int name(layout_type *layout, type *out)                  \
	{                                                         \
		const struct part *p = current(layout);           \
                                                                  \
		if (p == NULL || out == NULL)                     \
			return bad(EINVAL);                       \
		*out = (value);                                   \
		return 0;                                         \
	}

GETTER(llapi_layout_stripe_count_get, const struct llapi_layout, uint64_t, p->stripe_count)
GETTER(llapi_layout_stripe_size_get, const struct llapi_layout, uint64_t, p->stripe_size)
GETTER(llapi_layout_pattern_get, const struct llapi_layout, uint64_t, p->pattern)
GETTER(llapi_layout_comp_flags_get, const struct llapi_layout, uint32_t, p->flags)
GETTER(llapi_layout_comp_id_get, const struct llapi_layout, uint32_t, p->id)
GETTER(llapi_layout_mirror_id_get, const struct llapi_layout, uint32_t, MIRROR_ID_OF(p->id))
GETTER(llapi_layout_flags_get, struct llapi_layout, uint32_t, layout->flags)
GETTER(llapi_layout_mirror_count_get, struct llapi_layout, uint16_t, layout->mirrors)

static int change_flags(struct llapi_layout *layout, uint32_t set, uint32_t clear)
{
	struct part *p = current(layout);

	if (p == NULL)
		return -1;
	p->flags = (p->flags | set) & ~clear;
	return 0;
}

int llapi_layout_comp_flags_set(struct llapi_layout *layout, uint32_t flags)
{
	return change_flags(layout, flags, 0);
}

int llapi_layout_comp_flags_clear(struct llapi_layout *layout, uint32_t flags)
{
	return change_flags(layout, 0, flags);
}

bool llapi_layout_stripe_count_is_valid(int64_t count)
{
	return count == (int64_t)LLAPI_LAYOUT_DEFAULT || count == (int64_t)LLAPI_LAYOUT_WIDE ||
	       (count >= 0 && count <= LOV_EA_MAX_STRIPES);
}

int llapi_layout_stripe_count_set(struct llapi_layout *layout, uint64_t count)
{
	struct part *p = current(layout);

	if (p == NULL || !llapi_layout_stripe_count_is_valid((int64_t)count))
		return bad(EINVAL);
	p->stripe_count = count;
	return 0;
}

int llapi_layout_stripe_size_set(struct llapi_layout *layout, uint64_t size)
{
	struct part *p = current(layout);

	if (p == NULL || (size != LLAPI_LAYOUT_DEFAULT && (size == 0 || size % 65536 != 0 || size >= 1ull << 32)))
		return bad(EINVAL);
	p->stripe_size = size;
	return 0;
}

int llapi_layout_pattern_set(struct llapi_layout *layout, uint64_t pattern)
{
	struct part *p = current(layout);

	if (p == NULL)
		return -1;
	if (pattern != LLAPI_LAYOUT_DEFAULT && pattern != LLAPI_LAYOUT_RAID0 && pattern != LLAPI_LAYOUT_MDT &&
	    pattern != LLAPI_LAYOUT_OVERSTRIPING)
		return bad(EOPNOTSUPP);
	p->pattern = pattern;
	return 0;
}

int llapi_layout_ost_index_get(const struct llapi_layout *layout, uint64_t stripe_number, uint64_t *index)
{
	struct part *p = current(layout);

	if (p == NULL || index == NULL || stripe_number >= p->stripe_count || stripe_number >= p->nosts)
		return bad(EINVAL);
	*index = p->offset == LLAPI_LAYOUT_DEFAULT ? LLAPI_LAYOUT_DEFAULT : p->osts[stripe_number];
	return 0;
}

int llapi_layout_ost_index_set(struct llapi_layout *layout, int stripe_number, uint64_t index)
{
	struct part *p = current(layout);
	size_t n = (size_t)stripe_number;

	if (p == NULL || stripe_number < 0 || n >= LOV_EA_MAX_STRIPES)
		return bad(EINVAL);
	if (n == 0 && index == LLAPI_LAYOUT_DEFAULT) {
		p->offset = index;
		if (p->pattern != LLAPI_LAYOUT_DEFAULT)
			p->pattern &= ~LLAPI_LAYOUT_SPECIFIC;
		return 0;
	}
	if (index >= 0xffff)
		return bad(EINVAL);
	if (n >= p->nosts) {
		uint32_t *grown = realloc(p->osts, (n + 1) * sizeof(*grown));

		if (grown == NULL)
			return bad(ENOMEM);
		for (size_t i = p->nosts; i <= n; i++)
			grown[i] = (uint32_t)LLAPI_LAYOUT_IDX_MAX;
		p->osts = grown;
		p->nosts = n + 1;
	}
	p->osts[n] = (uint32_t)index;
	if (n == 0)
		p->offset = index;
	else
		p->pattern = (p->pattern == LLAPI_LAYOUT_DEFAULT ? LLAPI_LAYOUT_RAID0 : p->pattern) |
			     LLAPI_LAYOUT_SPECIFIC;
	if (p->stripe_count == LLAPI_LAYOUT_DEFAULT || p->stripe_count <= n)
		p->stripe_count = n + 1;
	return 0;
}

int llapi_layout_pool_name_get(const struct llapi_layout *layout, char *pool_name, size_t pool_name_len)
{
	struct part *p = current(layout);

	if (p == NULL || pool_name == NULL)
		return bad(EINVAL);
	snprintf(pool_name, pool_name_len, "%s", p->pool);
	return 0;
}

int llapi_layout_pool_name_set(struct llapi_layout *layout, const char *pool_name)
{
	struct part *p = current(layout);
	const char *dot;

	if (p == NULL || pool_name == NULL)
		return bad(EINVAL);
	dot = strchr(pool_name, '.'); /* fsname.pool */
	if (dot != NULL)
		pool_name = dot + 1;
	if (strlen(pool_name) > LOV_MAXPOOLNAME)
		return bad(EINVAL);
	strcpy(p->pool, pool_name);
	return 0;
}

/* ---- the whole, and its components ---- */

int llapi_layout_flags_set(struct llapi_layout *layout, uint32_t flags)
{
	if (current(layout) == NULL)
		return -1;
	layout->flags = flags;
	return 0;
}

int llapi_layout_mirror_count_set(struct llapi_layout *layout, uint16_t count)
{
	if (current(layout) == NULL || count == 0 || count > 16)
		return bad(EINVAL);
	layout->mirrors = count;
	return 0;
}

int llapi_layout_comp_extent_get(const struct llapi_layout *layout, uint64_t *start, uint64_t *end)
{
	struct part *p = current(layout);

	if (p == NULL || start == NULL || end == NULL)
		return bad(EINVAL);
	*start = p->start;
	*end = p->end;
	return 0;
}

int llapi_layout_comp_extent_set(struct llapi_layout *layout, uint64_t start, uint64_t end)
{
	struct part *p = current(layout);

	if (p == NULL || start > end)
		return bad(EINVAL);
	p->start = start;
	p->end = end;
	layout->composite = true;
	return 0;
}

int llapi_layout_comp_add(struct llapi_layout *layout)
{
	struct part *p;
	uint64_t start;

	if (current(layout) == NULL)
		return -1;
	start = layout->parts[layout->nparts - 1].end;
	if (start >= LUSTRE_EOF - 1)
		return bad(EINVAL); /* nothing can follow the last one */
	p = append(layout);
	if (p == NULL)
		return -1;
	p->start = start;
	p->end = LUSTRE_EOF - 1; /* until the caller sets it */
	layout->at = layout->nparts - 1;
	layout->composite = true;
	return 0;
}

int llapi_layout_add_first_comp(struct llapi_layout *layout)
{
	struct part *p;

	if (current(layout) == NULL)
		return -1;
	p = append(layout);
	if (p == NULL)
		return -1;
	layout->at = layout->nparts - 1;
	layout->composite = true;
	return llapi_layout_comp_extent_set(layout, 0, LUSTRE_EOF);
}

int llapi_layout_comp_del(struct llapi_layout *layout)
{
	if (current(layout) == NULL)
		return -1;
	if (!layout->composite || layout->at != layout->nparts - 1)
		return bad(EINVAL);
	free(layout->parts[layout->at].osts);
	layout->nparts--;
	layout->at = layout->nparts > 0 ? layout->nparts - 1 : 0;
	return 0;
}

int llapi_layout_comp_use_id(struct llapi_layout *layout, uint32_t id)
{
	if (current(layout) == NULL)
		return -1;
	if (!layout->composite || id == 0)
		return bad(EINVAL);
	for (size_t i = 0; i < layout->nparts; i++) {
		if (layout->parts[i].id == id) {
			layout->at = i;
			return 0;
		}
	}
	return bad(ENOENT);
}

int llapi_layout_comp_use(struct llapi_layout *layout, uint32_t pos)
{
	size_t last;

	if (current(layout) == NULL)
		return -1;
	last = layout->nparts - 1;
	if ((pos == LLAPI_LAYOUT_COMP_USE_NEXT && layout->at == last) ||
	    (pos == LLAPI_LAYOUT_COMP_USE_PREV && layout->at == 0)) {
		errno = ENOENT;
		return 1;
	}
	switch (pos) {
	case LLAPI_LAYOUT_COMP_USE_FIRST:
		layout->at = 0;
		return 0;
	case LLAPI_LAYOUT_COMP_USE_LAST:
		layout->at = last;
		return 0;
	case LLAPI_LAYOUT_COMP_USE_NEXT:
		layout->at++;
		return 0;
	case LLAPI_LAYOUT_COMP_USE_PREV:
		layout->at--;
		return 0;
	default:
		return bad(EINVAL);
	}
}

bool llapi_layout_is_composite(struct llapi_layout *layout)
{
	return layout != NULL && layout->magic == MAGIC && layout->composite;
}

int llapi_layout_comp_iterate(struct llapi_layout *layout, llapi_layout_iter_cb cb, void *cbdata)
{
	int rc = llapi_layout_comp_use(layout, LLAPI_LAYOUT_COMP_USE_FIRST);

	if (rc < 0)
		return rc;
	for (;;) {
		rc = cb(layout, cbdata);
		if (rc != LLAPI_LAYOUT_ITER_CONT)
			return rc;
		rc = llapi_layout_comp_use(layout, LLAPI_LAYOUT_COMP_USE_NEXT);
		if (rc != 0)
			return rc < 0 ? rc : LLAPI_LAYOUT_ITER_CONT;
	}
}

/* ---- creating files ---- */

/* The checks that stop the real library before it opens anything: extents without gaps, DoM first. */
static bool sane(const struct llapi_layout *l)
{
	uint64_t expected = 0;

	if (!l->composite)
		return l->parts[0].pattern != LLAPI_LAYOUT_MDT;
	for (size_t i = 0; i < l->nparts; i++) {
		const struct part *p = &l->parts[i];

		if (p->start == 0)
			expected = 0; /* the next mirror */
		if (p->start != expected || p->end <= p->start || p->end == LUSTRE_EOF - 1)
			return false;
		if (p->pattern == LLAPI_LAYOUT_MDT && (p->start != 0 || p->end == LUSTRE_EOF))
			return false;
		expected = p->end;
	}
	return true;
}

int llapi_layout_file_open(const char *path, int open_flags, mode_t mode, const struct llapi_layout *layout)
{
	int fd, saved;

	if (path == NULL || (layout != NULL && current(layout) == NULL) || (layout != NULL && !sane(layout)))
		return bad(EINVAL);
	if (open_flags & O_CREAT)
		open_flags |= O_LOV_DELAY_CREATE;
	fd = open(path, open_flags, mode);
	if (fd < 0 || layout == NULL)
		return fd;
	if (llapi_layout_set_by_fd(fd, (struct llapi_layout *)layout) < 0) {
		saved = errno == EOPNOTSUPP ? ENOTTY : errno;
		close(fd);
		return bad(saved);
	}
	return fd;
}

int llapi_layout_file_create(const char *path, int open_flags, int mode, const struct llapi_layout *layout)
{
	return llapi_layout_file_open(path, open_flags | O_CREAT | O_EXCL, (mode_t)mode, layout);
}
