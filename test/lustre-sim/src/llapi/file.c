/* Creating files with a layout, and volatile files. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../lov_ea.h"
#include "layout.h"
#include "sim.h"

#define STRIPE_UNIT 65536

int sim_set_layout(int fd, const struct lov_ea *lov)
{
	struct lu_fid fid;
	struct pfid pf;
	struct pmsg m;
	void *bytes;
	size_t size;
	int rc = sim_fd_fid(fd, &fid);

	if (rc < 0)
		return rc == -ENODATA ? -ENOTTY : rc;
	rc = lov_ea_encode(lov, &bytes, &size);
	if (rc < 0)
		return rc;
	pf = sim_pfid(&fid);
	pmsg_begin(&m, "setstripe");
	pmsg_fid(&m, "fid", &pf);
	pmsg_bytes(&m, "lum", bytes, size);
	free(bytes);
	return sim_call_fd(fd, &m, NULL);
}

static int check_param(const struct llapi_stripe_param *p)
{
	if (p->lsp_stripe_size % STRIPE_UNIT != 0) {
		llapi_error(LLAPI_MSG_ERROR, -EINVAL, "error: bad stripe_size %llu, must be an even multiple of %d bytes",
			    p->lsp_stripe_size, STRIPE_UNIT);
		return -EINVAL;
	}
	if (p->lsp_stripe_offset < -1 || p->lsp_stripe_offset > 0xffff) {
		llapi_error(LLAPI_MSG_ERROR, -EINVAL, "error: bad stripe offset %d", p->lsp_stripe_offset);
		return -EINVAL;
	}
	if (p->lsp_stripe_size >= 1ull << 32) {
		llapi_error(LLAPI_MSG_ERROR, -EINVAL, "error: stripe size '%llu' over 4GB limit", p->lsp_stripe_size);
		return -EINVAL;
	}
	if (p->lsp_stripe_pattern != -1 && p->lsp_stripe_pattern & LOV_PATTERN_MDT) {
		llapi_error(LLAPI_MSG_ERROR, -EINVAL, "Invalid pattern: '-L mdt', must be specified with -E\n");
		return -EINVAL;
	}
	if (p->lsp_stripe_count < -1 || p->lsp_stripe_count > LOV_EA_MAX_STRIPES) {
		llapi_error(LLAPI_MSG_ERROR, -EINVAL, "Invalid stripe count %d\n", p->lsp_stripe_count);
		return -EINVAL;
	}
	if (p->lsp_pool != NULL && strlen(p->lsp_pool) > LOV_MAXPOOLNAME) {
		llapi_error(LLAPI_MSG_ERROR, -EINVAL, "Invalid Poolname '%s'", p->lsp_pool);
		return -EINVAL;
	}
	return 0;
}

/* The layout that the parameters ask for; free with lov_ea_free. */
static int layout_of(const struct llapi_stripe_param *p, struct lov_ea *lov)
{
	struct lov_ea_comp *c;

	memset(lov, 0, sizeof(*lov));
	lov->mirrors = 1;
	c = lov_ea_add(lov);
	if (c == NULL)
		return -ENOMEM;
	c->pattern = (uint32_t)p->lsp_stripe_pattern;
	if (c->pattern == 0 || c->pattern == LOV_PATTERN_DEFAULT)
		c->pattern = LOV_PATTERN_RAID0;
	c->stripe_size = (uint32_t)p->lsp_stripe_size;
	c->stripe_count = (uint16_t)p->lsp_stripe_count;
	c->gen = (uint16_t)p->lsp_stripe_offset;
	if (p->lsp_pool != NULL)
		snprintf(c->pool, sizeof(c->pool), "%s", p->lsp_pool);
	if (!p->lsp_is_specific || p->lsp_stripe_count <= 0)
		return 0;
	c->specific = true;
	c->objects = calloc((size_t)p->lsp_stripe_count, sizeof(*c->objects));
	if (c->objects == NULL) {
		lov_ea_free(lov);
		return -ENOMEM;
	}
	c->nobjects = (size_t)p->lsp_stripe_count;
	for (size_t i = 0; i < c->nobjects; i++)
		c->objects[i].ost = p->lsp_osts[i];
	return 0;
}

int llapi_file_open_param(const char *name, int flags, mode_t mode, const struct llapi_stripe_param *param)
{
	struct lov_ea lov;
	int fd, rc = check_param(param);

	if (rc < 0)
		return rc;
	rc = layout_of(param, &lov);
	if (rc < 0)
		return rc;
	fd = open(name, flags | O_LOV_DELAY_CREATE, mode);
	if (fd < 0 && errno == EISDIR && !(flags & O_DIRECTORY))
		fd = open(name, O_DIRECTORY | O_RDONLY);
	if (fd < 0) {
		rc = -errno;
		llapi_error(LLAPI_MSG_ERROR, rc, "unable to open '%s'", name);
		lov_ea_free(&lov);
		return rc;
	}
	rc = sim_set_layout(fd, &lov);
	lov_ea_free(&lov);
	if (rc < 0) {
		close(fd);
		sim_err_noerrno(LLAPI_MSG_ERROR, "setstripe error for '%s': %s", name,
				rc == -EEXIST || rc == -EALREADY ? "stripe already set" : strerror(-rc));
		return rc;
	}
	return fd;
}

int llapi_file_fget_mdtidx(int fd, int *mdtidx)
{
	struct lu_fid fid;
	struct sim_reply r;
	struct pfid pf;
	struct pmsg m;
	int rc = sim_fd_fid(fd, &fid);

	if (rc < 0)
		return rc == -ENODATA ? -ENOTTY : rc;
	pf = sim_pfid(&fid);
	pmsg_begin(&m, "mdtidx");
	pmsg_fid(&m, "fid", &pf);
	rc = sim_call_fd(fd, &m, &r);
	if (rc == 0)
		*mdtidx = (int)pline_u64(&r.l, "mdt", 0);
	sim_reply_free(&r);
	return rc;
}

int llapi_file_open_pool(const char *name, int flags, int mode, unsigned long long stripe_size, int stripe_offset,
			 int stripe_count, int stripe_pattern, char *pool_name)
{
	const struct llapi_stripe_param param = {
		.lsp_stripe_size = stripe_size,
		.lsp_stripe_count = stripe_count,
		.lsp_stripe_pattern = stripe_pattern,
		.lsp_stripe_offset = stripe_offset,
		.lsp_pool = pool_name,
	};

	return llapi_file_open_param(name, flags, (mode_t)mode, &param);
}

int llapi_file_open(const char *name, int flags, int mode, unsigned long long stripe_size, int stripe_offset,
		    int stripe_count, int stripe_pattern)
{
	return llapi_file_open_pool(name, flags, mode, stripe_size, stripe_offset, stripe_count, stripe_pattern, NULL);
}

int llapi_file_create_pool(const char *name, unsigned long long stripe_size, int stripe_offset, int stripe_count,
			   int stripe_pattern, char *pool_name)
{
	int fd = llapi_file_open_pool(name, O_CREAT | O_WRONLY, 0644, stripe_size, stripe_offset, stripe_count,
				      stripe_pattern, pool_name);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int llapi_file_create(const char *name, unsigned long long stripe_size, int stripe_offset, int stripe_count,
		      int stripe_pattern)
{
	return llapi_file_create_pool(name, stripe_size, stripe_offset, stripe_count, stripe_pattern, NULL);
}

int llapi_create_volatile_param(const char *directory, int mdt_idx, int open_flags, mode_t mode,
				const struct llapi_stripe_param *stripe_param)
{
	char path[PATH_MAX], index[16] = "";
	unsigned number;
	int fd, n;

	if ((open_flags & O_ACCMODE) == O_RDONLY)
		open_flags = O_RDWR | (open_flags & ~O_ACCMODE);
	open_flags |= O_CREAT | O_EXCL | O_NOFOLLOW;
	if (mdt_idx != -1)
		snprintf(index, sizeof(index), "%.4X", (unsigned)mdt_idx);
	do {
		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			return -EIO;
		n = snprintf(path, sizeof(path), "%s/" LUSTRE_VOLATILE_HDR ":%s:%.4X", directory, index, number);
		if (n < 0 || n >= (int)sizeof(path))
			return -ENAMETOOLONG;
		if (stripe_param != NULL) {
			fd = llapi_file_open_param(path, open_flags, mode, stripe_param);
		} else {
			fd = open(path, open_flags, mode);
			if (fd < 0)
				fd = -errno;
		}
	} while (fd == -EEXIST);
	if (fd < 0) {
		llapi_error(LLAPI_MSG_ERROR, fd, "Cannot create volatile file '%s' in '%s'",
			    path + strlen(directory) + 1, directory);
		return fd;
	}
	unlink(path); /* only the descriptor keeps it */
	return fd;
}

int llapi_create_volatile_idx(const char *directory, int mdt_idx, int open_flags)
{
	return llapi_create_volatile_param(directory, mdt_idx, open_flags, S_IRUSR | S_IWUSR, NULL);
}
