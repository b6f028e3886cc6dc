/*
 * The mounts: one FUSE session each, each a client of its own. Mounted by hand, so that the mount table shows the source
 * and type that a Lustre client would be looked for by.
 */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define WORKERS 6
/* Direct I/O and shared mappings together; newer than libfuse 3.14, so it is put into the answer by hand. */
#define DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#define INIT_EXT (1u << 30)

/* ---- what is dropped from the kernel's caches, by a thread that holds no lock ---- */

static pthread_mutex_t inval_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t inval_cond = PTHREAD_COND_INITIALIZER;
static uint64_t *inval_queue;
static size_t inval_count, inval_cap;

void mounts_inval(struct node *n, int except)
{
	(void)except;
	if (n->is_volatile)
		return;
	pthread_mutex_lock(&inval_lock);
	if (inval_count == 0 || inval_queue[inval_count - 1] != fid_ino(&n->fid)) {
		if (inval_count == inval_cap) {
			inval_cap = inval_cap * 2 + 64;
			inval_queue = xrealloc(inval_queue, inval_cap * sizeof(*inval_queue));
		}
		inval_queue[inval_count++] = fid_ino(&n->fid);
	}
	pthread_cond_signal(&inval_cond);
	pthread_mutex_unlock(&inval_lock);
}

static void *invalidator(void *arg)
{
	(void)arg;
	for (;;) {
		uint64_t *list;
		size_t count;

		pthread_mutex_lock(&inval_lock);
		while (inval_count == 0)
			pthread_cond_wait(&inval_cond, &inval_lock);
		list = inval_queue;
		count = inval_count;
		inval_queue = NULL;
		inval_count = inval_cap = 0;
		pthread_mutex_unlock(&inval_lock);
		for (size_t i = 0; i < count; i++)
			for (unsigned m = 0; m < sim.nmounts; m++)
				fuse_lowlevel_notify_inval_inode(sim.mounts[m].se, list[i], 0, 0);
		free(list);
	}
	return NULL;
}

/* ---- the channel ---- */

static ssize_t channel_read(int fd, void *buf, size_t len, void *userdata)
{
	struct mnt *m = userdata;
	ssize_t n = read(fd, buf, len);

	if (n >= (ssize_t)sizeof(struct fuse_in_header)) {
		const struct fuse_in_header *h = buf;

		if (h->opcode == FUSE_INIT) {
			const struct fuse_init_in *in = (const struct fuse_init_in *)(h + 1);

			m->init_unique = h->unique;
			/* flags2 follows the first four words where the kernel is new enough */
			if (n >= (ssize_t)(sizeof(*h) + 20) && (in->flags & INIT_EXT)) {
				uint32_t flags2;

				memcpy(&flags2, (const uint8_t *)in + 16, 4);
				m->direct_mmap = (uint64_t)flags2 << 32 & DIRECT_IO_ALLOW_MMAP;
			}
		}
	}
	return n;
}

static ssize_t channel_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct mnt *m = userdata;
	const struct fuse_out_header *h = iov[0].iov_base;

	if (m->init_unique && h->unique == m->init_unique && h->error == 0 && count > 1 && iov[1].iov_len >= 36 &&
	    m->direct_mmap) {
		uint8_t *outarg = iov[1].iov_base;
		uint32_t flags, flags2;

		memcpy(&flags, outarg + 12, 4);
		memcpy(&flags2, outarg + 32, 4);
		flags |= INIT_EXT;
		flags2 |= (uint32_t)(DIRECT_IO_ALLOW_MMAP >> 32);
		memcpy(outarg + 12, &flags, 4);
		memcpy(outarg + 32, &flags2, 4);
		m->init_unique = 0;
	}
	return writev(fd, iov, count);
}

/* A client that has lost its servers answers nothing but an error; what only ends something passes. */
static bool refused(struct mnt *m, const struct fuse_in_header *h)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = -EIO, .unique = h->unique };

	if (!__atomic_load_n(&m->lost, __ATOMIC_SEQ_CST) || h->opcode == FUSE_FORGET || h->opcode == FUSE_BATCH_FORGET ||
	    h->opcode == FUSE_INTERRUPT || h->opcode == FUSE_RELEASE || h->opcode == FUSE_RELEASEDIR || h->opcode == FUSE_INIT ||
	    h->opcode == FUSE_DESTROY)
		return false;
	return write(m->fd, &out, sizeof(out)) == (ssize_t)sizeof(out);
}

/*
 * What is answered at once, by the one who received it and without handing the channel on: the big lock lets one pass at a
 * time anyway, and a thread that is woken for nothing costs more than the answer. With faults about, anything may be slow.
 *
 * close(2) returns before FUSE has told of it: what was closed is seen before anything that came later, so its record stands
 * where Lustre's would.
 */
static bool at_once(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_INIT:
		return true;
	case FUSE_LOOKUP:
	case FUSE_GETATTR:
	case FUSE_READLINK:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_OPENDIR:
	case FUSE_READDIR:
	case FUSE_STATFS:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return !fault_active();
	default:
		return false;
	}
}

static void *worker(void *arg)
{
	struct mnt *m = arg;
	struct fuse_buf buf = { .mem = NULL };

	pthread_mutex_lock(&m->recv);
	while (!fuse_session_exited(m->se)) {
		const struct fuse_in_header *h;
		int res = fuse_session_receive_buf(m->se, &buf);

		if (res == -EINTR)
			continue;
		if (res <= 0)
			break;
		h = buf.mem;
		if (refused(m, h))
			continue;
		if (at_once(h->opcode)) {
			fuse_session_process_buf(m->se, &buf);
			continue;
		}
		pthread_mutex_unlock(&m->recv);
		fuse_session_process_buf(m->se, &buf);
		pthread_mutex_lock(&m->recv);
	}
	pthread_mutex_unlock(&m->recv);
	free(buf.mem);
	return NULL;
}

void mounts_barrier(void)
{
	for (unsigned i = 0; i < sim.nmounts; i++) {
		struct statvfs st;

		/* comes behind every close in the queue */
		if (sim.mounts[i].mounted)
			(void)statvfs(sim.mounts[i].path, &st);
	}
}

unsigned mount_of(fuse_req_t req)
{
	return (unsigned)((struct mnt *)fuse_req_userdata(req) - sim.mounts);
}

int mount_index(const char *path)
{
	for (unsigned i = 0; i < sim.nmounts; i++)
		if (strcmp(sim.mounts[i].path, path) == 0)
			return (int)i;
	return -1;
}

bool mount_direct_mmap(unsigned mount)
{
	return sim.mounts[mount].direct_mmap;
}

static int mount_one(struct mnt *m)
{
	static const struct fuse_custom_io io = { .writev = channel_writev, .read = channel_read };
	char *argv[] = { "lustre-simd", "-o", "max_read=1048576", NULL }, source[64], opts[256];
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct stat st;
	pthread_t t;

	/* a mount that a killed daemon left behind answers nothing */
	while (stat(m->path, &st) != 0 && (errno == ENOTCONN || errno == ECONNABORTED))
		if (umount2(m->path, MNT_DETACH) != 0)
			break;
	pthread_mutex_init(&m->recv, NULL);
	m->se = fuse_session_new(&args, &sim_ops, sizeof(sim_ops), m);
	fuse_opt_free_args(&args);
	if (m->se == NULL)
		return -ENOMEM;
	m->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (m->fd < 0)
		return -errno;
	snprintf(source, sizeof(source), "127.0.0.1@tcp:/%s", sim.fsname);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,max_read=1048576",
		 m->fd);
	if (mount(source, m->path, "fuse.lustre-sim", 0, opts) != 0)
		return -errno;
	m->mounted = true;
	if (fuse_session_custom_io(m->se, &io, m->fd) != 0)
		return -EINVAL;
	for (unsigned i = 0; i < WORKERS; i++) {
		if (pthread_create(&t, NULL, worker, m) != 0)
			return -EAGAIN;
		pthread_detach(t);
	}
	return 0;
}

int mounts_start(void)
{
	pthread_t t;

	for (unsigned i = 0; i < sim.nmounts; i++) {
		int rc = mount_one(&sim.mounts[i]);

		if (rc) {
			fprintf(stderr, "lustre-simd: cannot mount %s: %s\n", sim.mounts[i].path, strerror(-rc));
			mounts_stop();
			return rc;
		}
	}
	if (pthread_create(&t, NULL, invalidator, NULL) != 0)
		return -EAGAIN;
	pthread_detach(t);
	for (unsigned i = 0; i < sim.nmounts; i++) {
		struct statvfs st;

		if (statvfs(sim.mounts[i].path, &st) != 0) {
			int rc = -errno;

			fprintf(stderr, "lustre-simd: %s does not answer: %s\n", sim.mounts[i].path, strerror(-rc));
			mounts_stop();
			return rc;
		}
	}
	return 0;
}

void mounts_stop(void)
{
	for (unsigned i = 0; i < sim.nmounts; i++)
		if (sim.mounts[i].mounted) {
			umount2(sim.mounts[i].path, MNT_DETACH);
			sim.mounts[i].mounted = false;
		}
}
