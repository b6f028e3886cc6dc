/* The functions of liblustreapi, found with dlopen. */
#ifndef LFSAZSYNC_LLAPI_H
#define LFSAZSYNC_LLAPI_H

#include "lustre_abi.h"

#define LLAPI_FUNCTIONS(X) \
	X(llapi_get_version_string) \
	X(llapi_search_fsname) \
	X(llapi_path2fid) \
	X(llapi_fid2path) \
	X(llapi_get_data_version) \
	X(llapi_hsm_state_get_fd) \
	X(llapi_hsm_state_set_fd) \
	X(llapi_hsm_current_action) \
	X(llapi_hsm_copytool_register) \
	X(llapi_hsm_copytool_unregister) \
	X(llapi_hsm_copytool_get_fd) \
	X(llapi_hsm_copytool_recv) \
	X(llapi_hsm_action_begin) \
	X(llapi_hsm_action_end) \
	X(llapi_hsm_action_get_dfid) \
	X(llapi_hsm_action_get_fd) \
	X(llapi_changelog_start) \
	X(llapi_changelog_fini) \
	X(llapi_changelog_recv) \
	X(llapi_changelog_free) \
	X(llapi_changelog_get_fd) \
	X(llapi_changelog_set_xflags) \
	X(llapi_changelog_clear)

struct llapi {
	void *handle;
	char path[4096]; /* where the linker found it */
	char version[64];
#define X(name) name##_fn *name;
	LLAPI_FUNCTIONS(X)
#undef X
	llapi_fid2path_at_fn *llapi_fid2path_at;     /* since 2.15; NULL before */
	llapi_msg_set_level_fn *llapi_msg_set_level; /* NULL is fine */
	llapi_changelog_in_buf_fn *llapi_changelog_in_buf; /* since 2.14; NULL before */
	llapi_obd_statfs_fn *llapi_obd_statfs; /* optional, as the next */
	llapi_get_mdt_index_by_fid_fn *llapi_get_mdt_index_by_fid;
	/* From the library's scope: libc's, unless the library stands in for Lustre's ioctls itself. */
	lustre_ioctl_fn *ioctl;
};

enum llapi_status { LLAPI_OK, LLAPI_NO_LIBRARY, LLAPI_UNFIT };

/* Loads the library and its functions; it stays loaded, as it may hold state of its own. On error `message` (of `size`) says why. */
enum llapi_status llapi_load(struct llapi *api, const char *library, char *message, size_t size);
/* Asks for Lustre's version, which needs a loaded client; refuses anything but 2.12 and later 2.x. */
enum llapi_status llapi_check_version(struct llapi *api, char *message, size_t size);

/* "2.15.4_5_gabc" to 2, 15. For tests. */
bool llapi_parse_version(const char *version, unsigned *major, unsigned *minor);

#endif
