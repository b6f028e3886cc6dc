/*
 * The part of Lustre's user-space ABI that the helper relies on, and nothing else.
 *
 * The numbers and layouts are facts of Lustre's interface (the same on 2.12 to 2.17, see ../ABI.md); the assertions
 * below keep our declarations to them, and ../abi-check.sh compares them with the headers of a real Lustre.
 * Only little-endian machines are supported, as by Lustre's own HSM channel.
 */
#ifndef LFSAZSYNC_LUSTRE_ABI_H
#define LFSAZSYNC_LUSTRE_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "xattrs of Lustre are read as little-endian");

struct lu_fid {
	uint64_t f_seq;
	uint32_t f_oid;
	uint32_t f_ver;
};
_Static_assert(sizeof(struct lu_fid) == 16, "lu_fid");

struct hsm_extent {
	uint64_t offset;
	uint64_t length; /* UINT64_MAX: to the end of the file */
} __attribute__((packed));
_Static_assert(sizeof(struct hsm_extent) == 16, "hsm_extent");

/* hai_action */
enum { HSMA_NONE = 10, HSMA_ARCHIVE = 20, HSMA_RESTORE = 21, HSMA_REMOVE = 22, HSMA_CANCEL = 23 };

/* One action in a message of the coordinator; hai_len counts this and the data that follow it. */
struct hsm_action_item {
	uint32_t hai_len;
	uint32_t hai_action;
	struct lu_fid hai_fid;
	struct lu_fid hai_dfid;
	struct hsm_extent hai_extent;
	uint64_t hai_cookie;
	uint64_t hai_gid;
} __attribute__((packed));
_Static_assert(sizeof(struct hsm_action_item) == 72, "hsm_action_item");
_Static_assert(offsetof(struct hsm_action_item, hai_fid) == 8, "hai_fid");
_Static_assert(offsetof(struct hsm_action_item, hai_dfid) == 24, "hai_dfid");
_Static_assert(offsetof(struct hsm_action_item, hai_extent) == 40, "hai_extent");
_Static_assert(offsetof(struct hsm_action_item, hai_cookie) == 56, "hai_cookie");
_Static_assert(offsetof(struct hsm_action_item, hai_gid) == 64, "hai_gid");

/* A message: this, the file system's name with its NUL padded to 8 bytes, then the items, each padded to 8 bytes. */
struct hsm_action_list {
	uint32_t hal_version;
	uint32_t hal_count;
	uint64_t hal_compound_id;
	uint64_t hal_flags;
	uint32_t hal_archive_id;
	uint32_t padding1;
} __attribute__((packed));
_Static_assert(sizeof(struct hsm_action_list) == 32, "hsm_action_list");
_Static_assert(offsetof(struct hsm_action_list, hal_flags) == 16, "hal_flags");
_Static_assert(offsetof(struct hsm_action_list, hal_archive_id) == 24, "hal_archive_id");

enum { HAL_VERSION = 1 };

/* What LL_IOC_HSM_PROGRESS takes. */
struct hsm_progress {
	struct lu_fid hp_fid;
	uint64_t hp_cookie;
	struct hsm_extent hp_extent;
	uint16_t hp_flags;
	uint16_t hp_errval; /* positive errno */
	uint32_t padding;
};
_Static_assert(sizeof(struct hsm_progress) == 48, "hsm_progress");
_Static_assert(offsetof(struct hsm_progress, hp_cookie) == 16, "hp_cookie");
_Static_assert(offsetof(struct hsm_progress, hp_extent) == 24, "hp_extent");
_Static_assert(offsetof(struct hsm_progress, hp_flags) == 40, "hp_flags");
_Static_assert(offsetof(struct hsm_progress, hp_errval) == 42, "hp_errval");

enum { HP_FLAG_COMPLETED = 0x01, HP_FLAG_RETRY = 0x02 };

/*
 * The number carries the size of struct hsm_user_request's fixed part (24), although a struct hsm_progress (48) is
 * what the kernel reads: so it is in every version.
 */
#define LL_IOC_HSM_PROGRESS _IOC(_IOC_WRITE, 'f', 216, 24)
_Static_assert(LL_IOC_HSM_PROGRESS == 0x401866d8, "LL_IOC_HSM_PROGRESS");

/* What LL_IOC_HSM_CT_START takes; a list of archive ids may follow, which a stop has none of. */
struct lustre_kernelcomm {
	uint32_t lk_wfd;
	uint32_t lk_rfd;
	uint32_t lk_uid;
	uint32_t lk_group;
	uint32_t lk_data_count;
	uint32_t lk_flags;
};
_Static_assert(sizeof(struct lustre_kernelcomm) == 24, "struct lustre_kernelcomm");

enum { KUC_GRP_HSM = 2, LK_FLG_STOP = 1 };

#define LL_IOC_HSM_CT_START _IOC(_IOC_WRITE, 'f', 213, 24)
_Static_assert(LL_IOC_HSM_CT_START == 0x401866d5, "LL_IOC_HSM_CT_START");

/* What LL_IOC_HSM_COPY_END takes. The number carries the size of a pointer to it. */
struct hsm_copy {
	uint64_t hc_data_version; /* of an archive: what it was at the beginning */
	uint16_t hc_flags;
	uint16_t hc_errval; /* positive */
	uint32_t padding;
	struct hsm_action_item hc_hai; /* hai_fid: the file whose data were copied, or that has the copy */
};
_Static_assert(sizeof(struct hsm_copy) == 88, "hsm_copy");
_Static_assert(offsetof(struct hsm_copy, hc_flags) == 8, "hc_flags");
_Static_assert(offsetof(struct hsm_copy, hc_errval) == 10, "hc_errval");
_Static_assert(offsetof(struct hsm_copy, hc_hai) == 16, "hc_hai");

#define LL_IOC_HSM_COPY_END _IOC(_IOC_WRITE, 'f', 215, 8)
_Static_assert(LL_IOC_HSM_COPY_END == 0x400866d7, "LL_IOC_HSM_COPY_END");

/* What LL_IOC_HSM_IMPORT takes, on a file with a released layout. Times in seconds, negative ones as two's complement. */
struct hsm_user_import {
	uint64_t hui_size;
	uint64_t hui_atime;
	uint64_t hui_mtime;
	uint32_t hui_atime_ns;
	uint32_t hui_mtime_ns;
	uint32_t hui_uid;
	uint32_t hui_gid;
	uint32_t hui_mode; /* of which 0777 counts */
	uint32_t hui_archive_id;
};
_Static_assert(sizeof(struct hsm_user_import) == 48, "hsm_user_import");
_Static_assert(offsetof(struct hsm_user_import, hui_uid) == 32, "hui_uid");
_Static_assert(offsetof(struct hsm_user_import, hui_archive_id) == 44, "hui_archive_id");

#define LL_IOC_HSM_IMPORT _IOC(_IOC_READ | _IOC_WRITE, 'f', 245, 48)
_Static_assert(LL_IOC_HSM_IMPORT == 0xc03066f5, "LL_IOC_HSM_IMPORT");

/* Gives a file that was opened with O_LOV_DELAY_CREATE its layout, a struct lov_user_md. The number carries the size of a long. */
#define LL_IOC_LOV_SETSTRIPE _IOC(_IOC_WRITE, 'f', 154, 8)
_Static_assert(LL_IOC_LOV_SETSTRIPE == 0x4008669a, "LL_IOC_LOV_SETSTRIPE");

struct hsm_user_state {
	uint32_t hus_states;
	uint32_t hus_archive_id;
	uint32_t hus_in_progress_state;
	uint32_t hus_in_progress_action;
	struct hsm_extent hus_in_progress_location;
};
_Static_assert(sizeof(struct hsm_user_state) == 32, "hsm_user_state");

/* What llapi_hsm_current_action gives. */
struct hsm_current_action {
	uint32_t hca_state;  /* enum hsm_progress_states */
	uint32_t hca_action; /* enum hsm_user_action */
	struct hsm_extent hca_location;
};
_Static_assert(sizeof(struct hsm_current_action) == 24, "hsm_current_action");

enum { HPS_NONE = 0, HPS_WAITING = 1, HPS_RUNNING = 2, HPS_DONE = 3 };
enum { HUA_NONE = 1, HUA_ARCHIVE = 10, HUA_RESTORE = 11, HUA_RELEASE = 12, HUA_REMOVE = 13, HUA_CANCEL = 14 };

/* Flags of llapi_get_data_version: clients write their dirty pages out first. */
enum { LL_DV_RD_FLUSH = 1 };

/*
 * open(2) flags (O_NOCTTY and FASYNC together): make the file without a layout, so that "lustre.lov" can be set. A third
 * bit, 0100000000, was part of it until 2.16 for the sake of 1.8; no kernel of these versions needs it.
 */
#define O_LOV_DELAY_CREATE (00000400 | 00020000)

/* The layout of a file, as in the xattrs trusted.lov and lustre.lov. */
#define LOV_USER_MAGIC_V1 0x0BD10BD0u
#define LOV_USER_MAGIC_V3 0x0BD30BD0u
#define LOV_USER_MAGIC_COMP_V1 0x0BD60BD0u
#define LOV_USER_MAGIC_FOREIGN 0x0BD70BD0u
#define LOV_USER_MAGIC_SEL 0x0BD80BD0u

#define LOV_PATTERN_RAID0 0x00000001u
#define LOV_PATTERN_RAID1 0x00000002u
#define LOV_PATTERN_MDT 0x00000100u
#define LOV_PATTERN_OVERSTRIPING 0x00000200u
#define LOV_PATTERN_FOREIGN 0x00000400u
#define LOV_PATTERN_F_HOLE 0x40000000u
#define LOV_PATTERN_F_RELEASED 0x80000000u

enum { LOV_MAXPOOLNAME = 15 };

/* v1 ends after stripe_offset; v3 has the pool's name, too. Objects of 24 bytes each follow. */
struct lov_user_md {
	uint32_t lmm_magic;
	uint32_t lmm_pattern;
	uint64_t lmm_oi[2];
	uint32_t lmm_stripe_size;
	uint16_t lmm_stripe_count;
	uint16_t lmm_stripe_offset;
	char lmm_pool_name[LOV_MAXPOOLNAME + 1];
} __attribute__((packed));
enum { LOV_USER_MD_V1_SIZE = 32, LOV_USER_MD_V3_SIZE = 48 };
_Static_assert(sizeof(struct lov_user_md) == LOV_USER_MD_V3_SIZE, "lov_user_md_v3");
_Static_assert(offsetof(struct lov_user_md, lmm_stripe_size) == 24, "lmm_stripe_size");
_Static_assert(offsetof(struct lov_user_md, lmm_pool_name) == LOV_USER_MD_V1_SIZE, "lov_user_md_v1");

struct lov_comp_md_v1 {
	uint32_t lcm_magic;
	uint32_t lcm_size;
	uint32_t lcm_layout_gen;
	uint16_t lcm_flags;
	uint16_t lcm_entry_count;
	uint16_t lcm_mirror_count; /* mirrors - 1 */
	uint16_t lcm_padding1[3];
	uint64_t lcm_padding2;
} __attribute__((packed));
_Static_assert(sizeof(struct lov_comp_md_v1) == 32, "lov_comp_md_v1");
_Static_assert(offsetof(struct lov_comp_md_v1, lcm_entry_count) == 14, "lcm_entry_count");

struct lov_comp_md_entry_v1 {
	uint32_t lcme_id;
	uint32_t lcme_flags;
	uint64_t lcme_start;
	uint64_t lcme_end; /* UINT64_MAX: EOF */
	uint32_t lcme_offset;
	uint32_t lcme_size;
	uint32_t lcme_layout_gen;
	uint64_t lcme_timestamp;
	uint32_t lcme_padding_1;
} __attribute__((packed));
_Static_assert(sizeof(struct lov_comp_md_entry_v1) == 48, "lov_comp_md_entry_v1");
_Static_assert(offsetof(struct lov_comp_md_entry_v1, lcme_offset) == 24, "lcme_offset");

/*
 * Changelog records. A record is this head, then the extensions that cr_flags and the extra flags name, in the order of
 * their bits, then cr_namelen bytes: the name, and of a rename a NUL and the old name.
 */
struct changelog_rec {
	uint16_t cr_namelen;
	uint16_t cr_flags; /* 12 bits by type, then CLF_* */
	uint32_t cr_type;
	uint64_t cr_index;
	uint64_t cr_prev;
	uint64_t cr_time;	/* seconds << 30 | nanoseconds */
	struct lu_fid cr_tfid; /* of CL_MARK: flags in its first 4 bytes */
	struct lu_fid cr_pfid;
} __attribute__((packed));
_Static_assert(sizeof(struct changelog_rec) == 64, "changelog_rec");
_Static_assert(offsetof(struct changelog_rec, cr_index) == 8, "cr_index");
_Static_assert(offsetof(struct changelog_rec, cr_time) == 24, "cr_time");
_Static_assert(offsetof(struct changelog_rec, cr_tfid) == 32, "cr_tfid");
_Static_assert(offsetof(struct changelog_rec, cr_pfid) == 48, "cr_pfid");

enum { CL_MARK = 0, CL_RENAME = 8, CL_SETXATTR = 15 };
enum {
	CLF_FLAGMASK = 0x0fff,
	CLF_VERSION = 0x1000,
	CLF_RENAME = 0x2000,
	CLF_JOBID = 0x4000,
	CLF_EXTRA_FLAGS = 0x8000,
};
enum {
	CLFE_UIDGID = 0x01,
	CLFE_NID = 0x02,
	CLFE_OPEN = 0x04,
	CLFE_XATTR = 0x08,
	CLFE_NID_BE = 0x10, /* since 2.16: how the NID is written, not how long it is */
	CLFE_KNOWN = 0x1f,
};
/* The extensions' sizes. */
enum {
	CHANGELOG_RENAME_SIZE = 32, /* two FIDs: the source, its parent */
	CHANGELOG_JOBID_SIZE = 32,
	CHANGELOG_EXTRA_FLAGS_SIZE = 8,
	CHANGELOG_UIDGID_SIZE = 16, /* two 64-bit numbers */
	CHANGELOG_NID_SIZE = 24,
	CHANGELOG_OPEN_SIZE = 4,
	CHANGELOG_XATTR_SIZE = 256, /* a name and its NUL */
};
/* CR_MAXSIZE: two names with NULs and all of the above, in whole 8 bytes. */
enum { CHANGELOG_RECORD_MAX = 952 };
_Static_assert(CHANGELOG_RECORD_MAX == (2 * 255 + 2 + 64 + 32 + 32 + 8 + 16 + 24 + 4 + 256 + 7) / 8 * 8, "CR_MAXSIZE");

/* xattrs of files, as root may read them on a client, without opening the file. */
struct hsm_attrs { /* trusted.hsm */
	uint32_t hsm_compat;
	uint32_t hsm_flags;
	uint64_t hsm_arch_id;
	uint64_t hsm_arch_ver;
};
_Static_assert(sizeof(struct hsm_attrs) == 24, "hsm_attrs");

struct lustre_mdt_attrs { /* trusted.lma */
	uint32_t lma_compat;
	uint32_t lma_incompat;
	struct lu_fid lma_self_fid;
};
_Static_assert(sizeof(struct lustre_mdt_attrs) == 24, "lustre_mdt_attrs");

/* trusted.link: this, then for each link 2 bytes of length (with themselves), the parent's FID, both big-endian, and the name. */
struct link_ea_header {
	uint32_t leh_magic;
	uint32_t leh_reccount;
	uint64_t leh_len; /* of all */
	uint32_t leh_overflow_time; /* not zero: there are links that did not fit */
	uint32_t leh_padding;
};
_Static_assert(sizeof(struct link_ea_header) == 24, "link_ea_header");
enum { LINK_EA_ENTRY_SIZE = 18 };
#define LINK_EA_MAGIC 0x11EAF1DFu

/* What name_to_handle_at gives on a client: the FID, and a second one that is not used. */
enum { FILEID_LUSTRE = 0x97, FILEID_LUSTRE_SIZE = 32 };

/* An object of a file, behind its lov_user_md. */
struct lov_user_ost_data_v1 {
	uint64_t l_ost_oi[2];
	uint32_t l_ost_gen;
	uint32_t l_ost_idx;
} __attribute__((packed));
_Static_assert(sizeof(struct lov_user_ost_data_v1) == 24, "lov_user_ost_data_v1");

/* Flags of llapi_changelog_start, and of llapi_changelog_set_xflags. */
enum { CHANGELOG_FLAG_EXTRA_FLAGS = 0x08 };
enum {
	CHANGELOG_EXTRA_FLAG_UIDGID = 0x01,
	CHANGELOG_EXTRA_FLAG_NID = 0x02,
	CHANGELOG_EXTRA_FLAG_OMODE = 0x04,
	CHANGELOG_EXTRA_FLAG_XATTR = 0x08,
};

/* The functions taken from liblustreapi.so.1; all of them return 0 or a negative errno unless said otherwise. */
struct hsm_copytool_private;
struct hsm_copyaction_private;

typedef int llapi_get_version_string_fn(char *version, unsigned int version_size); /* -1 with errno on error */
typedef void llapi_msg_set_level_fn(int level);
typedef int llapi_search_fsname_fn(const char *pathname, char *fsname); /* fsname: PATH_MAX bytes */
typedef int llapi_path2fid_fn(const char *path, struct lu_fid *fid);
typedef int llapi_fid2path_fn(const char *device, const char *fidstr, char *path, int pathlen, long long *recno,
			      int *linkno);
typedef int llapi_fid2path_at_fn(int mnt_fd, const struct lu_fid *fid, char *path, int pathlen, long long *recno,
				 int *linkno);
typedef int llapi_get_data_version_fn(int fd, uint64_t *data_version, uint64_t flags);
typedef int llapi_hsm_state_get_fd_fn(int fd, struct hsm_user_state *hus);
typedef int llapi_hsm_state_set_fd_fn(int fd, uint64_t setmask, uint64_t clearmask, uint32_t archive_id);
typedef int llapi_hsm_current_action_fn(const char *path, struct hsm_current_action *hca);
typedef int llapi_hsm_copytool_register_fn(struct hsm_copytool_private **priv, const char *mnt, int archive_count,
					   int *archives, int rfd_flags);
typedef int llapi_hsm_copytool_unregister_fn(struct hsm_copytool_private **priv);
typedef int llapi_hsm_copytool_get_fd_fn(struct hsm_copytool_private *ct);
typedef int llapi_hsm_copytool_recv_fn(struct hsm_copytool_private *priv, struct hsm_action_list **hal, int *msgsize);
typedef int llapi_hsm_action_begin_fn(struct hsm_copyaction_private **phcp, const struct hsm_copytool_private *ct,
				      const struct hsm_action_item *hai, int restore_mdt_index, int restore_open_flags,
				      bool is_error);
typedef int llapi_hsm_action_end_fn(struct hsm_copyaction_private **phcp, const struct hsm_extent *he, int hp_flags,
				    int errval);
typedef int llapi_hsm_action_get_dfid_fn(const struct hsm_copyaction_private *hcp, struct lu_fid *fid);
typedef int llapi_hsm_action_get_fd_fn(const struct hsm_copyaction_private *hcp); /* a new descriptor: close it */
typedef int llapi_changelog_start_fn(void **priv, unsigned flags, const char *mdtname, long long startrec);
typedef int llapi_changelog_fini_fn(void **priv);
typedef int llapi_changelog_recv_fn(void *priv, struct changelog_rec **rec); /* 1: no more for now */
typedef int llapi_changelog_in_buf_fn(void *priv);
typedef int llapi_changelog_free_fn(struct changelog_rec **rec);
typedef int llapi_changelog_get_fd_fn(void *priv);
typedef int llapi_changelog_set_xflags_fn(void *priv, unsigned extra_flags);
typedef int llapi_changelog_clear_fn(const char *mdtname, const char *user, long long endrec); /* 0: ALL */
/* What one metadata server says of its space: only asked whether it answers; the buffer is larger than any version's. */
enum { LL_STATFS_LMV = 1, OBD_STATFS_BYTES = 1024, OBD_UUID_BYTES = 40 };
typedef int llapi_obd_statfs_fn(char *path, uint32_t type, uint32_t index, void *stat_buf, void *uuid_buf);
typedef int llapi_get_mdt_index_by_fid_fn(int fd, const struct lu_fid *fid, int *mdt_index);
typedef int lustre_ioctl_fn(int fd, unsigned long request, ...);

#endif
