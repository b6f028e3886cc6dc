/*
 * The shared state of lustre-simd and what its files offer each other.
 *
 * One mutex (sim.lock) guards everything but the bytes of files: bytes are read and written outside of it, on a
 * reference to the data object. Every change made under the lock is noted in the journal's buffer; sim_unlock() commits
 * that buffer with one write, so an operation is on disk as a whole before anybody hears of it.
 */
#ifndef LUSTRE_SIM_SIM_H
#define LUSTRE_SIM_SIM_H

#define FUSE_USE_VERSION 314

#include "proto.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define MAX_OSTS 64
#define MAX_MOUNTS 16
#define MAX_POOLS 16
#define MAX_MDTS 8
#define MAX_NAME 255
#define MAX_XATTR 65536
#define MAX_STRIPES 160
#define MAX_COMPS 32
/* ldiskfs' limit on one object of an OST: what an import checks its size against. */
#define OBJECT_MAX ((17592186044416ULL) - 4096)

/* ---- Lustre's numbers (from its uapi headers) ---- */

enum hsm_flag {
	HS_EXISTS = 1, HS_DIRTY = 2, HS_RELEASED = 4, HS_ARCHIVED = 8, HS_NORELEASE = 16, HS_NOARCHIVE = 32, HS_LOST = 64,
};
#define HS_ALL 0x7f
#define HS_USER (HS_NORELEASE | HS_NOARCHIVE | HS_DIRTY)

/* what a user asks for (hsm_request), and what an agent gets (20..23) */
enum hsm_user_action { HUA_NONE = 1, HUA_ARCHIVE = 10, HUA_RESTORE, HUA_RELEASE, HUA_REMOVE, HUA_CANCEL };
enum hsm_ct_action { HSMA_NONE = 10, HSMA_ARCHIVE = 20, HSMA_RESTORE, HSMA_REMOVE, HSMA_CANCEL };
enum { HP_COMPLETED = 1, HP_RETRY = 2 };
/* the flag that the recordings show on restores made by a blocked reader */
#define HAL_IMPLICIT 0x4
#define HSM_FORCE_ACTION 0x1

enum cl_type {
	CL_MARK, CL_CREATE, CL_MKDIR, CL_HARDLINK, CL_SOFTLINK, CL_MKNOD, CL_UNLINK, CL_RMDIR, CL_RENAME, CL_EXT, CL_OPEN,
	CL_CLOSE, CL_LAYOUT, CL_TRUNC, CL_SETATTR, CL_XATTR, CL_HSM, CL_MTIME, CL_CTIME, CL_ATIME, CL_MIGRATE, CL_FLRW,
	CL_RESYNC, CL_GETXATTR, CL_DN_OPEN, CL_LAST,
};
/* the event of an HSM record (bits 7..9 of its flags) */
enum hsm_event { HE_ARCHIVE = 0, HE_RESTORE, HE_CANCEL, HE_RELEASE, HE_REMOVE, HE_STATE };
#define CLF_HSM_DIRTY 0x400

/* the la_valid bits that become the flags of SATTR and TRUNC records */
enum { LA_ATIME = 1, LA_MTIME = 2, LA_CTIME = 4, LA_SIZE = 8, LA_MODE = 16, LA_UID = 32, LA_GID = 64, LA_GIDCHANGED = 128 };

/* open flags as CLOSE records carry them */
enum { MDS_READ = 1, MDS_WRITE = 2, MDS_CREAT = 0x40, MDS_EXCL = 0x80, MDS_TRUNC = 0x200, MDS_APPEND = 0x400 };

#define PATTERN_RAID0 0x1u
#define PATTERN_MDT 0x100u
#define PATTERN_OVERSTRIPE 0x200u
#define PATTERN_RELEASED 0x80000000u
#define COMP_INIT 0x10u

/* ---- layouts ---- */

struct stripe_obj {
	uint64_t seq;
	uint32_t oid, ost;
};

struct comp {
	uint32_t id, flags, pattern, stripe_size;
	uint16_t stripe_count, gen;
	uint32_t offset; /* first OST asked for, 0xffff: any */
	uint64_t start, end; /* end UINT64_MAX: EOF */
	char pool[16];
	uint16_t nobjs;
	struct stripe_obj *objs; /* only when instantiated and not released */
};

struct layout {
	bool composite;
	uint16_t mirrors;
	uint32_t gen;
	uint16_t ncomps;
	struct comp *comps;
};

/* ---- files ---- */

struct xattr {
	struct xattr *next;
	char *name;
	uint8_t *val;
	uint32_t len;
};

/* The bytes of a file: a backing file data/XX/<id>. Layout swaps exchange these between files. */
struct obj {
	uint64_t id;
	struct node *node; /* the file that owns it; NULL once dropped */
	int fd; /* -1 when closed */
	unsigned io; /* uses in flight */
	uint64_t blocks; /* 512-byte blocks of the backing file */
	uint64_t *charged; /* bytes of this object on each OST */
};

struct waiter;

struct dent {
	struct dent *hnext; /* in the name hash */
	struct dent *prev, *next; /* in the directory */
	struct dent *lnext; /* other links of the child */
	struct node *parent, *child;
	uint16_t len;
	char name[];
};

struct node {
	struct node *hnext; /* in the FID hash */
	struct pfid fid;
	uint32_t mode, uid, gid, nlink;
	uint64_t rdev, size;
	int64_t atime, mtime, ctime, btime;
	uint64_t dv; /* data version */
	uint32_t hsm_flags, hsm_archive;
	uint64_t hsm_ver; /* data version that the archive holds */
	struct xattr *xattrs;
	char *target; /* of a symlink */
	struct layout *layout; /* of a file (NULL: delayed), or a directory's default (NULL: none) */
	struct obj *obj; /* data of a regular file; NULL: empty or released */
	struct dent *links; /* names of this inode, oldest last; a directory has one */
	struct dent *children, *children_tail; /* of a directory */
	uint64_t nchildren;
	bool is_volatile; /* a copytool's nameless file */
	struct pfid vparent; /* the directory it was made in: whose default layout it takes */
	bool synthetic; /* .lustre and what is in it */
	struct pfid stripe; /* of a directory that is striped; otherwise zero */
	bool orphan; /* no name left, kept while open */
	bool modified; /* data written since the last close that told the server */
	bool restoring; /* a restore request holds the layout */
	bool dead; /* removed; only references keep the memory */
	unsigned opens, wopens, pins;
	struct waiter *waiters, *waiters_tail;
};

struct handle {
	struct node *node;
	unsigned mount;
	uint32_t flags; /* MDS_* for the CLOSE record */
	uint32_t uid, gid;
	char jobid[32];
	bool dir;
	struct snapshot *snap;
};

/* A request that waits for a restore: replied to later, holds no thread. */
enum wait_op { W_READ, W_WRITE, W_SETATTR, W_OPEN, W_FALLOCATE };
struct waiter {
	struct waiter *prev, *next;
	struct waiter *rnext; /* in the queue of those to be resumed */
	uint64_t id;
	struct node *node;
	unsigned mount;
	enum wait_op op;
	fuse_req_t req;
	struct fuse_file_info fi;
	bool has_fi;
	size_t size;
	off_t off;
	int mode;
	char *buf;
	struct stat attr;
	int to_set;
	bool announced; /* its TRUNC record was written */
	int err; /* what to reply when resumed; 0: do it again */
};

/* ---- who does something ---- */

struct who {
	uint32_t uid, gid;
	pid_t pid;
	unsigned mount;
	const char *nid; /* NULL: "0@lo" */
	const char *job; /* the job id to record; NULL: that of pid */
	bool none; /* no identity at all in the record (ef=0) */
};

/* ---- changelog ---- */

struct cl_rec {
	uint64_t idx;
	int64_t sec;
	uint32_t ns, flags, ef, uid, gid, omode;
	uint8_t type, mdt;
	struct pfid t, p, s, sp;
	char *name, *sname, *xattr, *jobid, *nid; /* NULL: none */
	uint16_t namelen, snamelen;
};

struct cl_user {
	struct cl_user *next;
	uint32_t id;
	uint8_t mdt;
	char name[40];
	bool masked;
	uint64_t mask, index;
	int64_t touched;
};

/* ---- coordinator ---- */

enum action_status { ARS_WAITING, ARS_STARTED, ARS_FAILED, ARS_CANCELED, ARS_SUCCEED };

struct action {
	struct action *prev, *next;
	struct action *hnext; /* running ones, by cookie */
	uint32_t idx;
	struct pfid fid, dfid;
	uint64_t cookie;
	uint32_t kind; /* HSMA_* */
	uint32_t archive;
	uint64_t flags;
	uint64_t off, len, gid;
	uint8_t *data;
	uint32_t datalen;
	uint32_t status;
	int64_t changed, created;
	/* while an agent runs it (lost with the daemon or the coordinator) */
	bool running;
	struct pfid run_dfid;
	unsigned agent_mount;
	bool agent_known;
	int64_t updated;
	uint64_t done;
	struct extent { uint64_t start, end; } *extents; /* moved so far, merged */
	unsigned nextents;
	struct action *cancel; /* the cancel request that hit it */
	bool later; /* to be tried again: only a turn that goes over the whole list looks at it */
	bool listed; /* on the list of actions; one that is not may still be running */
};

struct agent {
	struct agent *next;
	unsigned mount;
	uint32_t *archives;
	unsigned narchives; /* 0: all */
	int current, ok, errors;
};

struct conn;

struct cdt {
	enum { CDT_RUNNING, CDT_DISABLED, CDT_STOPPED } state;
	uint64_t max_requests, loop_period, grace_delay, active_timeout;
	uint32_t default_archive;
	bool nonblocking, noretry, remove_last;
	uint64_t user_mask, group_mask, other_mask; /* bit n: action HSMA n */
	uint64_t last_cookie;
	uint32_t last_idx;
	struct action *first, *last;
	uint64_t nactions, nrunning;
	uint64_t list_max; /* a request for more actions than this gets ENOSPC where it goes beyond; 0: there is room */
	struct agent *agents;
	bool event;
};

/* ---- OSTs, mounts ---- */

struct ost {
	uint64_t size_kb, fill_kb, used; /* used: bytes of files */
	uint64_t next_oid;
	bool inactive; /* switched off on the MDT: gets no new objects */
};

struct pool {
	char name[16];
	uint64_t osts;
};

struct mnt {
	char *path;
	char uuid[40];
	struct fuse_session *se;
	int fd;
	bool mounted, direct_mmap;
	bool lost; /* cut off from the servers: nothing is answered any more */
	unsigned dead_readers; /* copytools that went without a word, and the client's kernel has not noticed */
	uint64_t init_unique;
	pthread_mutex_t recv;
};

struct sim {
	pthread_mutex_t lock;
	char *dir;
	char fsname[9];
	bool v215; /* dialect */
	unsigned nosts, nmdts, nmounts;
	struct ost osts[MAX_OSTS];
	struct pool pools[MAX_POOLS];
	unsigned npools;
	struct mnt mounts[MAX_MOUNTS];
	struct cdt cdt;
	uint64_t next_dv, next_obj;
	uint64_t fid_seq[MAX_MDTS];
	uint32_t fid_oid[MAX_MDTS];
	uint64_t nnodes;
	struct node *root;
	bool mdt_down[MAX_MDTS]; /* does not answer; gone with the daemon */
	unsigned mdt_waiting[MAX_MDTS]; /* questions that wait for it */
	unsigned wanted_mdt; /* for the directory being made: its MDT + 1, 0: as usual */
	char jobid_var[32];
	int lockfd;
};

extern struct sim sim;

/* As many inodes as an MDT of the recordings has, or twice what is in use. */
static inline uint64_t inodes_total(void)
{
	return sim.nnodes * 2 > 838864 ? sim.nnodes * 2 : 838864;
}

void sim_lock(void);
void sim_unlock(void);
int64_t now_sec(void);
void sim_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* malloc and friends that end the daemon when there is no memory: it is a test stand-in, and half an operation is worse. */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
void *xmemdup(const void *p, size_t len);
char *xstrdup(const char *s);
static inline bool fid_eq(const struct pfid *a, const struct pfid *b)
{
	return a->seq == b->seq && a->oid == b->oid && a->ver == b->ver;
}

/* ---- store.c: the journal and the data objects ---- */

int store_open(void); /* loads the state; creates it when the directory is new */
void store_commit(void); /* called by sim_unlock */
void store_sync(void);
void store_flush(void); /* while all is written anew: what has been noted so far may go to the file */
void log_node(const struct node *n); /* everything about it */
void log_attr(const struct node *n); /* numbers only */
void log_node_gone(const struct pfid *fid);
void log_link(const struct dent *d);
void log_unlink(const struct node *parent, const char *name, size_t len);
void log_action(const struct action *a);
void log_action_gone(uint32_t idx);
void log_changelog(const struct cl_rec *r);
void log_changelog_purged(unsigned mdt);
void log_user(const struct cl_user *u);
void log_user_gone(unsigned mdt, uint32_t id);
void log_param(const char *name, const char *value);
void log_counters(void);
void log_ost(unsigned i);
void log_pool(const struct pool *p);

struct obj *obj_new(struct node *n);
int obj_begin(struct obj *o); /* under the lock: opens if needed and counts a use; 0 or -errno */
void obj_end(struct obj *o); /* under the lock */
void obj_drop(struct obj *o); /* under the lock: deletes the bytes */
void obj_idle(struct obj *o); /* closes the descriptor when nothing uses it */
void obj_refresh(struct obj *o); /* reads its blocks again and charges the OSTs */
/* Would writing up to end fit? 0 or -ENOSPC. */
int obj_room(struct node *n, uint64_t end);

/* ---- layout.c ---- */

struct layout *layout_default(const struct node *dir);
struct layout *layout_copy(const struct layout *l);
void layout_free(struct layout *l);
/*
 * Gives a file its layout if it was delayed, and objects to the components that reach below end. 1 if it changed, 0 if not,
 * -ENOSPC when no OST takes an object, -EFBIG when fewer do than a layout with a first OST wants.
 */
int layout_instantiate(struct node *n, uint64_t end);
/* Could a new file in dir get its objects? 0 or -errno. */
int layout_check(const struct node *dir);
bool layout_released(const struct layout *l);
void layout_release(struct layout *l);
void layout_bump(struct layout *l, uint32_t gen);
/* The binary form of trusted.lov; returns a malloc'ed buffer. */
uint8_t *layout_pack(const struct node *n, size_t *len, bool as_xattr); /* false: as LL_IOC_LOV_GETSTRIPE, with the generation */
/* From setxattr/ioctl: 0 or -errno. */
int layout_unpack(const void *buf, size_t len, struct layout **out);
void layout_encode(const struct layout *l, void (*put)(void *ctx, const void *p, size_t n), void *ctx);
struct layout *layout_decode(const uint8_t **p, const uint8_t *end);
/* How the bytes of a range lie on the OSTs. */
void layout_spread(const struct node *n, uint64_t from, uint64_t to, uint64_t bytes[MAX_OSTS]);
bool layout_on_ost(const struct node *n, unsigned ost);
/* A pool's OSTs, as a mask; none: as if there were no such pool. 0 or -errno. */
int pool_set(const char *name, uint64_t osts);

/* ---- ns.c: nodes and names ---- */

void ns_init(void);
struct node *node_find(const struct pfid *fid);
struct node *node_by_ino(uint64_t ino); /* FUSE's node id */
/*
 * In the node ids of directories that are found below .lustre/fid: to the kernel they are others. It has one place for
 * each directory that it knows, and where one is looked up by its FID, that would be there; a rename from its own place
 * to another directory's holds what moving it back takes, and so failed with ESTALE.
 */
#define BY_FID (1ULL << 62)
uint64_t fid_ino(const struct pfid *fid);
struct pfid fid_next(unsigned mdt);
unsigned fid_mdt(const struct pfid *fid); /* which MDT has it */
struct node *node_new(const struct pfid *fid, uint32_t mode, uint32_t uid, uint32_t gid);
void node_pin(struct node *n);
void node_unpin(struct node *n); /* frees it when dead and unused */
void node_remove(struct node *n); /* no names, no handles: data and all go */
struct dent *dent_find(const struct node *dir, const char *name, size_t len);
struct dent *dent_add(struct node *dir, const char *name, size_t len, struct node *child);
void dent_remove(struct dent *d);
struct xattr *xattr_find(const struct node *n, const char *name);
void xattr_put(struct node *n, const char *name, const void *val, size_t len);
bool xattr_del(struct node *n, const char *name);
void node_stat(const struct node *n, struct stat *st);
/* Path of the linkno'th name from the root, without a leading slash; NULL when there is none. Caller frees. */
char *node_path(const struct node *n, unsigned linkno, size_t *len);
unsigned node_links(const struct node *n);
struct node *node_parent(const struct node *n);
/*
 * Directories that are striped over metadata servers: what is in them hangs on a stripe, whose FID clients are not given the
 * attributes of (EPERM, lmv_unpackmd). One stripe each, until the daemon ends; bytes and names are where they always are.
 */
int stripe_make(struct node *dir);
/* What names in it are kept under: the stripe's FID, or its own. */
struct pfid stripe_of(const struct node *dir);
/* The directory that a FID is the stripe of, or NULL. */
struct node *stripe_dir(const struct pfid *stripe);
uint64_t dv_next(void);
/* Every node, in no order. */
void node_each(void (*fn)(struct node *n, void *ctx), void *ctx);

/* ---- acl.c ---- */

/* The mode bits that a posix_acl_access value stands for are set on n; *plain: it says no more than the mode. -EINVAL if malformed. */
int acl_to_mode(struct node *n, const void *val, size_t len, bool *plain);
void acl_chmod(struct node *n); /* after the mode changed */
void acl_inherit(struct node *dir, struct node *child, uint32_t umask);

/* ---- xattr.c: the names Lustre answers ---- */

int xattr_get(struct node *n, const char *name, uint32_t uid, uint8_t **val, size_t *len);
int xattr_set(struct node *n, const char *name, const void *val, size_t len, int flags, const struct who *w);
int xattr_remove(struct node *n, const char *name, const struct who *w);
char *xattr_list(struct node *n, uint32_t uid, size_t *len);

/* ---- changelog.c ---- */

void cl_init_default_user(void);
void cl_jobid(const struct who *w, char *out, size_t len); /* as the parameter jobid_var wants it; empty for none */
void cl_name(int type, uint32_t flags, const struct pfid *t, const struct pfid *p, const char *name, size_t len,
	     const struct who *w);
void cl_rename(uint32_t flags, const struct pfid *t, const struct pfid *p, const char *name, size_t len, const struct pfid *s,
	       const struct pfid *sp, const char *sname, size_t slen, const struct who *w);
/* Without p: whatever parent the server had in its buffer. */
void cl_plain(int type, uint32_t flags, const struct pfid *t, const struct pfid *p, const struct who *w);
void cl_xattr(int type, const struct pfid *t, const char *xattr, const struct who *w);
void cl_open(uint32_t flags, const struct pfid *t, const struct who *w);
int cl_register(unsigned mdt, const char *name, const char *mask, char *out, size_t outlen);
int cl_deregister(unsigned mdt, const char *user, uint32_t *id);
int cl_clear(unsigned mdt, const char *user, uint64_t endrec);
int cl_set_mask(unsigned mdt, const char *mask);
uint64_t cl_index(unsigned mdt);
uint64_t cl_purged(unsigned mdt);
void cl_mask_text(uint64_t mask, char sep, char *out, size_t outlen);
uint64_t cl_mask(unsigned mdt);
uint64_t cl_current_mask(unsigned mdt);
uint64_t cl_bytes(unsigned mdt);
const struct cl_user *cl_users(unsigned mdt);
/* Users that do not clear: when they are taken off. Parameters of Lustre's mdd, here the same on all MDTs. */
extern struct cl_gc {
	uint64_t on, max_idle_time, max_idle_indexes, min_interval;
} cl_gc;
/* A full catalog: what is done is done, but whoever did it gets EFAULT, as no record could be written. */
void cl_set_full(unsigned mdt, bool full);
void cl_begin(void); /* an operation begins; by sim_lock */
int cl_failure(void); /* what it has to return: 0 or EFAULT */
/* Rows of a read, until row returns false; user: its mask filters. 0 or -errno. */
int cl_read(unsigned mdt, uint64_t start, uint64_t end, const char *user, bool (*row)(void *ctx, const struct cl_rec *r),
	    void *ctx);
/* loading */
void cl_load_rec(struct cl_rec *r);
void cl_load_state(unsigned mdt, uint64_t purged, uint64_t index, uint64_t mask);
void cl_load_user(struct cl_user *u);
void cl_load_user_gone(unsigned mdt, uint32_t id);
void cl_dump(void); /* into the journal, for compaction */

/* ---- hsm.c: state, release, import, restore's swap, waiting ---- */

void hsm_set(struct node *n, uint32_t flags, uint32_t archive, uint64_t ver, const struct who *w);
int hsm_state_set(struct node *n, uint64_t set, uint64_t clear, uint32_t archive, bool with_archive, const struct who *w);
int hsm_release(struct node *n, bool may_write, const struct who *w);
int hsm_import(struct node *n, uint32_t mode, uint32_t uid, uint32_t gid, uint64_t size, uint32_t archive, int64_t atime,
	       int64_t mtime, const struct who *w);
void hsm_mark_dirty(struct node *n, const struct who *w);
int hsm_swap(struct node *n, struct node *vol, const struct who *w);
bool hsm_needs_restore(const struct node *n);
/* Registers the waiter with its node and asks for the restore. 0, or the errno to reply with (waiter not kept). */
int hsm_wait(struct waiter *wt, const struct who *w);
void hsm_wake(struct node *n, int err);
void hsm_interrupted(uint64_t id);
void hsm_start_threads(void);

/* ---- cdt.c: the coordinator ---- */

struct hsm_item {
	struct pfid fid;
	uint64_t off, len;
	uint64_t cookie;
};
int cdt_request(uint32_t kind, uint32_t archive, uint64_t flags, const struct hsm_item *items, size_t n, const void *data,
		size_t datalen, const struct who *w, size_t *bad);
void cdt_remove_archived(const struct node *n);
int cdt_progress(const struct pfid *fid, uint64_t cookie, uint64_t off, uint64_t len, uint32_t flags, uint32_t errval,
		 uint64_t dv, const struct who *w);
int cdt_control(const char *cmd);
void cdt_restart(void); /* the MDT was restarted */
void cdt_event(void);
struct action *cdt_current(const struct pfid *fid);
struct action *cdt_running(uint64_t cookie);
int cdt_register(unsigned mount, const uint32_t *archives, unsigned n);
int cdt_unregister(unsigned mount);
const char *action_name(uint32_t kind);
const char *status_name(uint32_t status);
void cdt_load_action(struct action *a);
void cdt_load_action_gone(uint32_t idx);
void cdt_dump(void);
void cdt_start_thread(void);
void cdt_resume(void); /* after loading: restores hold their files again */

/* ---- params.c ---- */

void params_init(void);
/* Rows for a pattern ('.' or '/' separated, with * ? [ ]); returns how many matched. */
typedef void param_row_fn(void *ctx, const char *name, const char *value, bool settable, bool dir);
unsigned params_get(const char *pattern, bool server, uint32_t uid, unsigned mount, bool values, param_row_fn *row, void *ctx,
		    int *err);
int params_set(const char *name, const char *value, bool server, uint32_t uid, unsigned mount);
void params_load(const char *name, const char *value);
void params_dump(void);

/* ---- ops.c, mounts.c ---- */

extern const struct fuse_lowlevel_ops sim_ops;
int mounts_start(void); /* mounts and starts the threads */
void mounts_stop(void);
/* Returns when every close that happened before has been seen: close(2) does not wait for FUSE. */
void mounts_barrier(void);
void mounts_inval(struct node *n, int except); /* drops cached pages and attributes; queued, never blocks */
unsigned mount_of(fuse_req_t req);
int mount_index(const char *path); /* -1 when none */
bool mount_direct_mmap(unsigned mount); /* direct I/O and shared mappings go together on this kernel */
void ops_resume(struct waiter *wt);
void node_closed(struct node *n);
extern struct node *fid_dir; /* .lustre/fid */
void ops_init(void);

/* ---- copy.c: the copytool's calls ---- */

struct copy {
	struct copy *next;
	uint64_t handle, cookie, dv;
	struct pfid fid, dfid;
	uint32_t action;
	bool is_error;
};
int copy_begin(struct conn *c, const struct pline *l, const struct who *w, struct pmsg *reply);
int copy_end(struct conn *c, const struct pline *l, const struct who *w);
void copy_forget(struct copy *list);
void copy_evict(struct copy *list); /* with files that are still open on the client */
/* The kernel's half of an end (llite's ll_ioc_copy_end, LL_IOC_HSM_COPY_END): the data's version is checked and told. */
struct copy_done {
	uint64_t cookie, dv; /* dv: of an archive, what it was at the beginning */
	uint64_t off, len;
	struct pfid fid; /* of the file that was copied, or that has the copy */
	uint32_t action, flags, err;
};
int copy_done(const struct copy_done *d, const struct who *w);

/* ---- fault.c ---- */

int fault_set(const char *spec);
void fault_clear(const char *spec); /* NULL: all */
void fault_rows(void (*row)(void *ctx, const char *spec), void *ctx);
bool fault_active(void); /* is there any? */
void fault_slow(const char *op); /* sleeps when told to; never under the lock */
bool fault_late(const char *op); /* is its answer to be kept back? */
void fault_wait_clear(void); /* until there is no fault of late answers any more; never under the lock */
size_t fault_short(const char *op, const struct node *n, size_t size); /* how much of it to carry out */
int fault_io(const char *op, const struct node *n); /* 0 or -errno */
void fault_point(const char *point); /* a crash here, perhaps */

/* ---- server.c ---- */

int server_start(void);
void server_stop(void);
struct conn {
	int fd;
	unsigned mount, refs;
	bool has_mount, server, agent;
	bool late; /* the next answer is kept back (fault.c) */
	uint32_t uid, gid;
	pid_t pid;
	uint64_t ct;
	uint32_t *archives; /* of a copytool's registration */
	unsigned narchives;
	pthread_mutex_t wlock;
	struct conn *next;
	struct copy *copies;
};
/*
 * Sends a line to every copytool of a client; called without the lock. 0 when one got it, -EPIPE when all that were there
 * have gone, -EAGAIN when there is none.
 */
int server_push(unsigned mount, const char *text, size_t len);
/* What clients do when their server is back. Under the lock. */
void agents_reregister(void);
int client_evict(unsigned mount, bool for_good);
void server_request_quit(void);

#endif
