/*
 * The part of Lustre's user interface that the stand-in's library offers: structs, numbers and prototypes of
 * liblustreapi.so.1 as Lustre 2.12 to 2.17 have them (facts from lustre_user.h and lustreapi.h; written anew).
 */
#ifndef LUSTRE_SIM_ABI_H
#define LUSTRE_SIM_ABI_H

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>

/* ---- FIDs ---- */

struct lu_fid {
	uint64_t f_seq;
	uint32_t f_oid;
	uint32_t f_ver;
} __attribute__((packed));

#define DFID "[0x%llx:0x%x:0x%x]"
#define DFID_NOBRACE "0x%llx:0x%x:0x%x"
#define PFID(fid) (unsigned long long)(fid)->f_seq, (fid)->f_oid, (fid)->f_ver
#define FILEID_LUSTRE 0x97

struct lustre_file_handle {
	struct lu_fid lfh_child;
	struct lu_fid lfh_parent;
};

/* ---- targets ---- */

/* What is asked about: the metadata servers or the storage targets, by index; without waiting for one that is down. */
enum { LL_STATFS_LMV = 1, LL_STATFS_LOV = 2, LL_STATFS_NODELAY = 4 };

struct obd_statfs {
	uint64_t os_type, os_blocks, os_bfree, os_bavail, os_files, os_ffree;
	uint8_t os_fsid[40];
	uint32_t os_bsize, os_namelen;
	uint64_t os_maxbytes;
	uint32_t os_state, os_fprecreated, os_granted, os_spare[7];
};

struct obd_uuid {
	char uuid[40];
};

/* ---- messages ---- */

enum llapi_message_level {
	LLAPI_MSG_OFF = 0,
	LLAPI_MSG_FATAL = 1,
	LLAPI_MSG_ERROR = 2,
	LLAPI_MSG_WARN = 3,
	LLAPI_MSG_NORMAL = 4,
	LLAPI_MSG_INFO = 5,
	LLAPI_MSG_DEBUG = 6,
	LLAPI_MSG_MAX
};
#define LLAPI_MSG_MASK 0x07
#define LLAPI_MSG_NO_ERRNO 0x10

typedef void (*llapi_log_callback_t)(enum llapi_message_level level, int err, const char *fmt, va_list ap);

/* ---- HSM ---- */

enum hsm_states {
	HS_NONE = 0x00,
	HS_EXISTS = 0x01,
	HS_DIRTY = 0x02,
	HS_RELEASED = 0x04,
	HS_ARCHIVED = 0x08,
	HS_NORELEASE = 0x10,
	HS_NOARCHIVE = 0x20,
	HS_LOST = 0x40,
};

enum hsm_user_action {
	HUA_NONE = 1,
	HUA_ARCHIVE = 10,
	HUA_RESTORE = 11,
	HUA_RELEASE = 12,
	HUA_REMOVE = 13,
	HUA_CANCEL = 14
};

enum hsm_progress_states { HPS_NONE = 0, HPS_WAITING = 1, HPS_RUNNING = 2, HPS_DONE = 3 };

enum hsm_copytool_action {
	HSMA_NONE = 10,
	HSMA_ARCHIVE = 20,
	HSMA_RESTORE = 21,
	HSMA_REMOVE = 22,
	HSMA_CANCEL = 23
};

#define HP_FLAG_COMPLETED 0x01
#define HP_FLAG_RETRY 0x02

struct hsm_extent {
	uint64_t offset;
	uint64_t length;
} __attribute__((packed));

struct hsm_user_state {
	uint32_t hus_states;
	uint32_t hus_archive_id;
	uint32_t hus_in_progress_state;
	uint32_t hus_in_progress_action;
	struct hsm_extent hus_in_progress_location;
	char hus_extended_info[];
};

struct hsm_current_action {
	uint32_t hca_state;
	uint32_t hca_action;
	struct hsm_extent hca_location;
};

struct hsm_request {
	uint32_t hr_action;
	uint32_t hr_archive_id;
	uint64_t hr_flags;
	uint32_t hr_itemcount;
	uint32_t hr_data_len;
};

struct hsm_user_item {
	struct lu_fid hui_fid;
	struct hsm_extent hui_extent;
} __attribute__((packed));

struct hsm_user_request {
	struct hsm_request hur_request;
	struct hsm_user_item hur_user_item[];
} __attribute__((packed));

struct hsm_action_item {
	uint32_t hai_len;
	uint32_t hai_action;
	struct lu_fid hai_fid;
	struct lu_fid hai_dfid;
	struct hsm_extent hai_extent;
	uint64_t hai_cookie;
	uint64_t hai_gid;
	char hai_data[];
} __attribute__((packed));

#define HAL_VERSION 1
struct hsm_action_list {
	uint32_t hal_version;
	uint32_t hal_count;
	uint64_t hal_compound_id;
	uint64_t hal_flags;
	uint32_t hal_archive_id;
	uint32_t padding1;
	char hal_fsname[]; /* NUL-ended, padded to 8; the items follow, each padded to 8 */
} __attribute__((packed));

struct hsm_user_import {
	uint64_t hui_size;
	uint64_t hui_atime;
	uint64_t hui_mtime;
	uint32_t hui_atime_ns;
	uint32_t hui_mtime_ns;
	uint32_t hui_uid;
	uint32_t hui_gid;
	uint32_t hui_mode;
	uint32_t hui_archive_id;
};

struct hsm_progress {
	struct lu_fid hp_fid;
	uint64_t hp_cookie;
	struct hsm_extent hp_extent;
	uint16_t hp_flags;
	uint16_t hp_errval;
	uint32_t padding;
};

struct ioc_data_version {
	uint64_t idv_version;
	uint32_t idv_layout_version;
	uint32_t idv_flags;
};

#define LL_DV_RD_FLUSH 0x1
#define LL_DV_WR_FLUSH 0x2

struct lustre_kernelcomm {
	uint32_t lk_wfd;
	uint32_t lk_rfd;
	uint32_t lk_uid;
	uint32_t lk_group;
	uint32_t lk_data_count;
	uint32_t lk_flags;
};

#define KUC_GRP_HSM 0x02
#define LK_FLG_STOP 0x0001
#define LL_IOC_HSM_CT_START _IOW('f', 213, struct lustre_kernelcomm)
struct hsm_copy {
	uint64_t hc_data_version;
	uint16_t hc_flags;
	uint16_t hc_errval;
	uint32_t padding;
	struct hsm_action_item hc_hai;
};

#define LL_IOC_HSM_COPY_END _IOW('f', 215, struct hsm_copy *)
/* The real header names the user request here, though a struct hsm_progress is passed. */
#define LL_IOC_HSM_PROGRESS _IOW('f', 216, struct hsm_user_request)
#define LL_IOC_DATA_VERSION _IOR('f', 218, struct ioc_data_version)
#define LL_IOC_HSM_IMPORT _IOWR('f', 245, struct hsm_user_import)
#define LL_IOC_LOV_SETSTRIPE _IOW('f', 154, long)

/* What is left of the real flag in a program's open(2): the kernel drops the rest. */
#define O_LOV_DELAY_CREATE_1_8 0100000000
#define O_LOV_DELAY_CREATE (O_LOV_DELAY_CREATE_1_8 | O_NOCTTY | O_ASYNC)

#define LUSTRE_VOLATILE_HDR ".\x0c\x13\x14\x12:VOLATILE"

/* ---- layouts ---- */

#define LOV_PATTERN_RAID0 0x001
#define LOV_PATTERN_MDT 0x100
#define LOV_PATTERN_OVERSTRIPING 0x200
#define LOV_PATTERN_F_RELEASED 0x80000000
#define LOV_PATTERN_DEFAULT 0xffffffff
#define LOV_MAXPOOLNAME 15
#define LOV_USER_MAGIC_V1 0x0BD10BD0
#define LOV_USER_MAGIC_V3 0x0BD30BD0
#define LOV_USER_MD_V1_SIZE 32
#define LOV_USER_MD_V3_SIZE 48 /* with a pool's name */
#define LUSTRE_EOF 0xffffffffffffffffULL

#define LCME_FL_STALE 0x00000001
#define LCME_FL_PREF_RD 0x00000002
#define LCME_FL_PREF_WR 0x00000004
#define LCME_FL_OFFLINE 0x00000008
#define LCME_FL_INIT 0x00000010
#define LCME_FL_NOSYNC 0x00000020
#define LCME_FL_EXTENSION 0x00000040
#define LCME_FL_NEG 0x80000000
#define MIRROR_ID_OF(id) (((id) & 0x7FFF0000) >> 16)

struct llapi_stripe_param {
	unsigned long long lsp_stripe_size;
	char *lsp_pool;
	int lsp_stripe_offset;
	int lsp_stripe_pattern;
	int lsp_stripe_count;
	bool lsp_is_specific;
	bool lsp_is_create;
	uint8_t lsp_max_inherit;
	uint8_t lsp_max_inherit_rr;
	uint32_t lsp_osts[];
};

struct llapi_layout;

#define LLAPI_LAYOUT_INVALID 0x1000000000000001ULL
#define LLAPI_LAYOUT_DEFAULT (LLAPI_LAYOUT_INVALID + 1)
#define LLAPI_LAYOUT_WIDE (LLAPI_LAYOUT_INVALID + 2)
#define LLAPI_LAYOUT_RAID0 0ULL
#define LLAPI_LAYOUT_MDT 2ULL
#define LLAPI_LAYOUT_OVERSTRIPING 4ULL
#define LLAPI_LAYOUT_FOREIGN 8ULL
#define LLAPI_LAYOUT_SPECIFIC 0x2000000000000000ULL
#define LLAPI_LAYOUT_IDX_MAX 0x00000000FFFFFFFFULL

enum {
	LLAPI_LAYOUT_COMP_USE_FIRST = 1,
	LLAPI_LAYOUT_COMP_USE_LAST = 2,
	LLAPI_LAYOUT_COMP_USE_NEXT = 3,
	LLAPI_LAYOUT_COMP_USE_PREV = 4,
};

enum { LLAPI_LAYOUT_ITER_CONT = 0, LLAPI_LAYOUT_ITER_STOP = 1 };
typedef int (*llapi_layout_iter_cb)(struct llapi_layout *layout, void *cbdata);

/* ---- changelog ---- */

enum changelog_rec_type {
	CL_MARK = 0,
	CL_RENAME = 8,
	CL_OPEN = 10,
	CL_HSM = 16,
	CL_LAST = 25
};

enum changelog_rec_flags {
	CLF_VERSION = 0x1000,
	CLF_RENAME = 0x2000,
	CLF_JOBID = 0x4000,
	CLF_EXTRA_FLAGS = 0x8000,
	CLF_FLAGMASK = 0x0fff,
};

enum changelog_rec_extra_flags {
	CLFE_UIDGID = 0x0001,
	CLFE_NID = 0x0002,
	CLFE_OPEN = 0x0004,
	CLFE_XATTR = 0x0008,
	CLFE_NID_BE = 0x0010,
};

enum changelog_send_flag {
	CHANGELOG_FLAG_FOLLOW = 0x01,
	CHANGELOG_FLAG_BLOCK = 0x02,
	CHANGELOG_FLAG_JOBID = 0x04,
	CHANGELOG_FLAG_EXTRA_FLAGS = 0x08,
	CHANGELOG_FLAG_NID_BE = 0x10,
};

enum changelog_send_extra_flag {
	CHANGELOG_EXTRA_FLAG_UIDGID = CLFE_UIDGID,
	CHANGELOG_EXTRA_FLAG_NID = CLFE_NID,
	CHANGELOG_EXTRA_FLAG_OMODE = CLFE_OPEN,
	CHANGELOG_EXTRA_FLAG_XATTR = CLFE_XATTR,
};

#define LUSTRE_JOBID_SIZE 32
#define CLF_XATTR_SIZE 256

struct changelog_rec {
	uint16_t cr_namelen;
	uint16_t cr_flags;
	uint32_t cr_type;
	uint64_t cr_index;
	uint64_t cr_prev;
	uint64_t cr_time; /* seconds << 30 | nanoseconds */
	struct lu_fid cr_tfid;
	struct lu_fid cr_pfid;
} __attribute__((packed));

struct changelog_ext_rename {
	struct lu_fid cr_sfid;
	struct lu_fid cr_spfid;
};

struct changelog_ext_jobid {
	char cr_jobid[LUSTRE_JOBID_SIZE];
};

struct changelog_ext_extra_flags {
	uint64_t cr_extra_flags;
};

struct changelog_ext_uidgid {
	uint64_t cr_uid;
	uint64_t cr_gid;
};

struct changelog_ext_nid {
	uint64_t cr_nid;
	uint64_t extra;
	uint32_t padding;
};

/* What a struct changelog_ext_nid holds when CLFE_NID_BE is set: struct lnet_nid, the numbers big-endian. */
struct lnet_nid {
	uint8_t nid_size; /* bytes of the address minus 4 */
	uint8_t nid_type;
	uint16_t nid_num;
	uint32_t nid_addr[4];
} __attribute__((packed));

struct changelog_ext_openmode {
	uint32_t cr_openflags;
};

struct changelog_ext_xattr {
	char cr_xattr[CLF_XATTR_SIZE];
};

static_assert(sizeof(struct lu_fid) == 16, "lu_fid");
static_assert(sizeof(struct obd_statfs) == 144, "obd_statfs");
static_assert(sizeof(struct hsm_user_state) == 32, "hsm_user_state");
static_assert(sizeof(struct hsm_current_action) == 24, "hsm_current_action");
static_assert(sizeof(struct hsm_user_request) == 24, "hsm_user_request");
static_assert(sizeof(struct hsm_user_item) == 32, "hsm_user_item");
static_assert(sizeof(struct hsm_action_item) == 72, "hsm_action_item");
static_assert(sizeof(struct hsm_action_list) == 32, "hsm_action_list");
static_assert(sizeof(struct hsm_user_import) == 48, "hsm_user_import");
static_assert(sizeof(struct hsm_progress) == 48, "hsm_progress");
static_assert(sizeof(struct hsm_copy) == 88, "hsm_copy");
static_assert(sizeof(struct ioc_data_version) == 16, "ioc_data_version");
static_assert(sizeof(struct changelog_rec) == 64, "changelog_rec");
static_assert(sizeof(struct changelog_ext_rename) == 32, "changelog_ext_rename");
static_assert(sizeof(struct changelog_ext_nid) == 24, "changelog_ext_nid");
static_assert(sizeof(struct lnet_nid) == 20, "lnet_nid");
static_assert(offsetof(struct llapi_stripe_param, lsp_osts) == 32, "llapi_stripe_param");

/* ---- functions ---- */

extern bool liblustreapi_initialized;

void llapi_msg_set_level(int level);
int llapi_msg_get_level(void);
llapi_log_callback_t llapi_error_callback_set(llapi_log_callback_t cb);
llapi_log_callback_t llapi_info_callback_set(llapi_log_callback_t cb);
void llapi_set_command_name(const char *cmd);
void llapi_clear_command_name(void);
void llapi_error(enum llapi_message_level level, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void llapi_printf(enum llapi_message_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int llapi_search_mounts(const char *pathname, int index, char *mntdir, char *fsname);
int llapi_search_fsname(const char *pathname, char *fsname);
int llapi_search_rootpath(char *pathname, const char *fsname);
int llapi_search_rootpath_by_dev(char *pathname, dev_t dev);
int llapi_root_path_open(const char *device, int *rootfd);
int llapi_get_fsname_instance(const char *path, char *fsname, size_t fsname_len, char *instance, size_t instance_len);
int llapi_get_instance(const char *path, char *instance, size_t instance_len);
int llapi_get_fsname(const char *path, char *fsname, size_t fsname_len);
int llapi_getname(const char *path, char *name, size_t namelen);
int llapi_get_agent_uuid(char *path, char *buf, size_t bufsize);
int llapi_get_version_string(char *version, unsigned int version_size);
int llapi_get_version(char *buffer, int buffer_size, char **version);

int llapi_fid_parse(const char *fidstr, struct lu_fid *fid, char **endptr);
int llapi_fid2path_at(int mnt_fd, const struct lu_fid *fid, char *path, int pathlen, long long *recno, int *linkno);
int llapi_fid2path(const char *device, const char *fidstr, char *path, int pathlen, long long *recno, int *linkno);
int llapi_path2fid(const char *path, struct lu_fid *fid);
int llapi_fd2fid(int fd, struct lu_fid *fid);
int llapi_fd2parent(int fd, unsigned int linkno, struct lu_fid *parent_fid, char *name, size_t name_size);
int llapi_path2parent(const char *path, unsigned int linkno, struct lu_fid *parent_fid, char *name, size_t name_size);
int llapi_get_mdt_index_by_fid(int fd, const struct lu_fid *fid, int *mdt_index);
int llapi_obd_statfs(char *path, uint32_t type, uint32_t index, struct obd_statfs *stat_buf, struct obd_uuid *uuid_buf);
int llapi_obd_fstatfs(int fd, uint32_t type, uint32_t index, struct obd_statfs *stat_buf, struct obd_uuid *uuid_buf);
struct file_handle;
int llapi_fid_to_handle(struct file_handle **handle, const struct lu_fid *fid);
int llapi_open_by_fid_at(int lustre_fd, const struct lu_fid *fid, int open_flags);
int llapi_open_by_fid(const char *lustre_dir, const struct lu_fid *fid, int open_flags);
int llapi_get_data_version(int fd, uint64_t *data_version, uint64_t flags);
int llapi_get_ost_layout_version(int fd, uint32_t *layout_version);
int llapi_file_flush(int fd);

int llapi_hsm_state_get_fd(int fd, struct hsm_user_state *hus);
int llapi_hsm_state_get(const char *path, struct hsm_user_state *hus);
int llapi_hsm_state_set_fd(int fd, uint64_t setmask, uint64_t clearmask, uint32_t archive_id);
int llapi_hsm_state_set(const char *path, uint64_t setmask, uint64_t clearmask, uint32_t archive_id);
int llapi_hsm_current_action(const char *path, struct hsm_current_action *hca);
struct hsm_user_request *llapi_hsm_user_request_alloc(int itemcount, int data_len);
int llapi_hsm_request(const char *path, const struct hsm_user_request *request);
int llapi_hsm_import(const char *dst, int archive, const struct stat *st, unsigned long long stripe_size,
		     int stripe_offset, int stripe_count, int stripe_pattern, char *pool_name, struct lu_fid *newfid);
int llapi_hsm_register_event_fifo(const char *path);
int llapi_hsm_unregister_event_fifo(const char *path);
void llapi_hsm_log_error(enum llapi_message_level level, int rc, const char *fmt, va_list args);

struct hsm_copytool_private;
struct hsm_copyaction_private;
int llapi_hsm_copytool_register(struct hsm_copytool_private **priv, const char *mnt, int archive_count, int *archives,
				int rfd_flags);
int llapi_hsm_copytool_unregister(struct hsm_copytool_private **priv);
int llapi_hsm_copytool_get_fd(struct hsm_copytool_private *ct);
int llapi_hsm_copytool_recv(struct hsm_copytool_private *priv, struct hsm_action_list **hal, int *msgsize);
int llapi_hsm_action_begin(struct hsm_copyaction_private **phcp, const struct hsm_copytool_private *ct,
			   const struct hsm_action_item *hai, int restore_mdt_index, int restore_open_flags,
			   bool is_error);
int llapi_hsm_action_end(struct hsm_copyaction_private **phcp, const struct hsm_extent *he, int hp_flags, int errval);
int llapi_hsm_action_progress(struct hsm_copyaction_private *hcp, const struct hsm_extent *he, uint64_t total,
			      int hp_flags);
int llapi_hsm_action_get_dfid(const struct hsm_copyaction_private *hcp, struct lu_fid *fid);
int llapi_hsm_action_get_fd(const struct hsm_copyaction_private *hcp);

int llapi_file_open_param(const char *name, int flags, mode_t mode, const struct llapi_stripe_param *param);
int llapi_file_fget_mdtidx(int fd, int *mdtidx);
int llapi_file_open_pool(const char *name, int flags, int mode, unsigned long long stripe_size, int stripe_offset,
			 int stripe_count, int stripe_pattern, char *pool_name);
int llapi_file_open(const char *name, int flags, int mode, unsigned long long stripe_size, int stripe_offset,
		    int stripe_count, int stripe_pattern);
int llapi_file_create(const char *name, unsigned long long stripe_size, int stripe_offset, int stripe_count,
		      int stripe_pattern);
int llapi_file_create_pool(const char *name, unsigned long long stripe_size, int stripe_offset, int stripe_count,
			   int stripe_pattern, char *pool_name);
int llapi_create_volatile_idx(const char *directory, int mdt_idx, int open_flags);
int llapi_create_volatile_param(const char *directory, int mdt_idx, int open_flags, mode_t mode,
				const struct llapi_stripe_param *stripe_param);

struct llapi_layout *llapi_layout_alloc(void);
void llapi_layout_free(struct llapi_layout *layout);
struct llapi_layout *llapi_layout_get_by_fd(int fd, uint32_t flags);
struct llapi_layout *llapi_layout_get_by_path(const char *path, uint32_t flags);
struct llapi_layout *llapi_layout_get_by_fid(const char *path, const struct lu_fid *fid, uint32_t flags);
struct llapi_layout *llapi_layout_get_by_xattr(void *lov_xattr, ssize_t lov_xattr_size, uint32_t flags);
int llapi_layout_set_by_fd(int fd, struct llapi_layout *layout);
int llapi_layout_stripe_count_get(const struct llapi_layout *layout, uint64_t *count);
int llapi_layout_stripe_count_set(struct llapi_layout *layout, uint64_t count);
bool llapi_layout_stripe_count_is_valid(int64_t stripe_count);
int llapi_layout_stripe_size_get(const struct llapi_layout *layout, uint64_t *size);
int llapi_layout_stripe_size_set(struct llapi_layout *layout, uint64_t size);
int llapi_layout_pattern_get(const struct llapi_layout *layout, uint64_t *pattern);
int llapi_layout_pattern_set(struct llapi_layout *layout, uint64_t pattern);
int llapi_layout_ost_index_get(const struct llapi_layout *layout, uint64_t stripe_number, uint64_t *index);
int llapi_layout_ost_index_set(struct llapi_layout *layout, int stripe_number, uint64_t index);
int llapi_layout_pool_name_get(const struct llapi_layout *layout, char *pool_name, size_t pool_name_len);
int llapi_layout_pool_name_set(struct llapi_layout *layout, const char *pool_name);
int llapi_layout_file_open(const char *path, int open_flags, mode_t mode, const struct llapi_layout *layout);
int llapi_layout_file_create(const char *path, int open_flags, int mode, const struct llapi_layout *layout);
int llapi_layout_flags_get(struct llapi_layout *layout, uint32_t *flags);
int llapi_layout_flags_set(struct llapi_layout *layout, uint32_t flags);
int llapi_layout_mirror_count_get(struct llapi_layout *layout, uint16_t *count);
int llapi_layout_mirror_count_set(struct llapi_layout *layout, uint16_t count);
int llapi_layout_comp_extent_get(const struct llapi_layout *layout, uint64_t *start, uint64_t *end);
int llapi_layout_comp_extent_set(struct llapi_layout *layout, uint64_t start, uint64_t end);
int llapi_layout_comp_flags_get(const struct llapi_layout *layout, uint32_t *flags);
int llapi_layout_comp_flags_set(struct llapi_layout *layout, uint32_t flags);
int llapi_layout_comp_flags_clear(struct llapi_layout *layout, uint32_t flags);
int llapi_layout_comp_id_get(const struct llapi_layout *layout, uint32_t *id);
int llapi_layout_mirror_id_get(const struct llapi_layout *layout, uint32_t *id);
int llapi_layout_comp_add(struct llapi_layout *layout);
int llapi_layout_add_first_comp(struct llapi_layout *layout);
int llapi_layout_comp_del(struct llapi_layout *layout);
int llapi_layout_comp_use_id(struct llapi_layout *layout, uint32_t id);
int llapi_layout_comp_use(struct llapi_layout *layout, uint32_t pos);
bool llapi_layout_is_composite(struct llapi_layout *layout);
int llapi_layout_comp_iterate(struct llapi_layout *layout, llapi_layout_iter_cb cb, void *cbdata);

int llapi_changelog_start(void **priv, enum changelog_send_flag flags, const char *mdtname, long long startrec);
int llapi_changelog_start_user(void **priv, enum changelog_send_flag flags, const char *mdtname, const char *username,
			       uint64_t mask, long long startrec);
int llapi_changelog_fini(void **priv);
int llapi_changelog_recv(void *priv, struct changelog_rec **rech);
int llapi_changelog_in_buf(void *priv);
int llapi_changelog_free(struct changelog_rec **rech);
int llapi_changelog_get_fd(void *priv);
int llapi_changelog_clear(const char *mdtname, const char *idstr, long long endrec);
int llapi_changelog_set_xflags(void *priv, enum changelog_send_extra_flag extra_flags);
size_t sim_changelog_offset(uint16_t flags, uint64_t extra);

#endif
