/*
 * Lustre's ioctls, as far as FUSE lets them through.
 */
#include "ops.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

struct hsm_progress_arg {
	struct pfid fid;
	uint64_t cookie, off, len;
	uint16_t flags, err;
	uint32_t pad;
};

struct hsm_import_arg {
	uint64_t size, atime, mtime;
	uint32_t atime_ns, mtime_ns, uid, gid, mode, archive;
};

/* struct hsm_copy */
struct hsm_copy_arg {
	uint64_t dv;
	uint16_t flags, err;
	uint32_t pad;
	uint32_t hai_len, action;
	struct pfid fid, dfid;
	uint64_t off, len, cookie, gid;
};

struct hsm_state_arg {
	uint32_t states, archive, in_state, in_action;
	uint64_t off, len;
};

struct hsm_state_set_arg {
	uint32_t valid, archive;
	uint64_t set, clear;
};

struct hsm_action_arg {
	uint32_t state, action;
	uint64_t off, len;
};

struct data_version_arg {
	uint64_t version;
	uint32_t layout, flags;
};

_Static_assert(sizeof(struct hsm_progress_arg) == 48, "struct hsm_progress");
_Static_assert(sizeof(struct hsm_copy_arg) == 88, "struct hsm_copy");
_Static_assert(sizeof(struct hsm_import_arg) == 48, "struct hsm_user_import");
_Static_assert(sizeof(struct hsm_state_arg) == 32, "struct hsm_user_state");
_Static_assert(sizeof(struct hsm_state_set_arg) == 24, "struct hsm_state_set");

#define IOC_STATE_GET _IOR('f', 211, struct hsm_state_arg)
#define IOC_STATE_SET _IOW('f', 212, struct hsm_state_set_arg)
#define IOC_COPY_END _IOC(_IOC_WRITE, 'f', 215, 8) /* its number carries the size of a pointer */
#define IOC_PROGRESS _IOC(_IOC_WRITE, 'f', 216, 24) /* its number carries another structure's size */
#define IOC_DATA_VERSION _IOR('f', 218, struct data_version_arg)
#define IOC_ACTION _IOR('f', 220, struct hsm_action_arg)
#define IOC_IMPORT _IOWR('f', 245, struct hsm_import_arg)

static void current_action(const struct node *n, uint32_t *state, uint32_t *action, uint64_t *off, uint64_t *len)
{
	const struct action *a = cdt_current(&n->fid);

	*state = 0;
	*action = HUA_NONE;
	*off = *len = 0;
	if (a == NULL)
		return;
	*state = a->status == ARS_WAITING ? 1 : 2;
	*action = a->kind == HSMA_REMOVE ? HUA_REMOVE : a->kind - HSMA_ARCHIVE + HUA_ARCHIVE;
	*off = a->off;
	*len = a->status == ARS_STARTED && a->running ? a->done : a->len;
}

/* FUSE brings only as many bytes as an ioctl's number tells of; where that is not the truth, the caller's memory is read. */
static bool from_caller(const struct who *w, void *p, size_t size, uintptr_t arg)
{
	struct iovec to = { p, size }, from = { (void *)arg, size };

	return process_vm_readv(w->pid, &to, 1, &from, 1, 0) == (ssize_t)size;
}

static int do_ioctl(struct node *n, struct handle *h, unsigned cmd, const void *in, uintptr_t arg, const struct who *w,
		    void *out, size_t *outlen)
{
	(void)h;
	*outlen = 0;
	if (cmd == IOC_COPY_END) {
		struct hsm_copy_arg a;
		struct copy_done d;

		if (!from_caller(w, &a, sizeof(a), arg))
			return -EFAULT;
		d = (struct copy_done){ .cookie = a.cookie, .dv = a.dv, .off = a.off, .len = a.len, .fid = a.fid,
					.action = a.action, .flags = a.flags, .err = a.err };
		return copy_done(&d, w);
	}
	if (cmd == IOC_PROGRESS) {
		struct hsm_progress_arg p;

		if (!from_caller(w, &p, sizeof(p), arg))
			return -EFAULT;
		return cdt_progress(&p.fid, p.cookie, p.off, p.len, p.flags, p.err, 0, w);
	}
	if (!S_ISREG(n->mode))
		return -ENOTTY;
	if (cmd == IOC_STATE_GET) {
		struct hsm_state_arg *s = out;

		memset(s, 0, sizeof(*s));
		s->states = n->hsm_flags;
		s->archive = n->hsm_archive;
		*outlen = sizeof(*s);
		return 0;
	}
	if (cmd == IOC_STATE_SET) {
		const struct hsm_state_set_arg *s = in;

		return hsm_state_set(n, s->valid & 1 ? s->set : 0, s->valid & 2 ? s->clear : 0, s->archive, s->valid & 4, w);
	}
	if (cmd == IOC_DATA_VERSION) {
		struct data_version_arg *d = out;

		memset(d, 0, sizeof(*d));
		d->version = n->dv;
		d->layout = n->layout ? n->layout->gen : 0;
		*outlen = sizeof(*d);
		return 0;
	}
	if (cmd == IOC_ACTION) {
		struct hsm_action_arg *a = out;

		current_action(n, &a->state, &a->action, &a->off, &a->len);
		*outlen = sizeof(*a);
		return 0;
	}
	if (cmd == IOC_IMPORT) {
		const struct hsm_import_arg *i = in;

		return hsm_import(n, i->mode, i->uid, i->gid, i->size, i->archive, (int64_t)i->atime, (int64_t)i->mtime, w);
	}
	return -ENOTTY;
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
		     const void *in_buf, size_t in_bufsz, size_t out_bufsz)
{
	struct who w = who_of(req);
	uint8_t out[64] = { 0 };
	size_t outlen = 0;
	struct node *n;
	int rc;

	if (flags & FUSE_IOCTL_COMPAT) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if ((_IOC_DIR(cmd) & _IOC_WRITE) && in_bufsz < _IOC_SIZE(cmd)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	sim_lock();
	n = node_by_ino(ino);
	rc = n ? do_ioctl(n, handle_of(fi), cmd, in_buf, (uintptr_t)arg, &w, out, &outlen) : -ESTALE;
	sim_unlock();
	if (rc)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_ioctl(req, 0, out, outlen < out_bufsz ? outlen : out_bufsz);
}

