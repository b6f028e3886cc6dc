#include "llapi.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

enum { OLDEST_MINOR = 12 };

/* ISO C has no conversion from what dlsym gives to a function pointer; POSIX promises that the bytes are the same. */
static bool symbol(void *handle, const char *name, void *function)
{
	void *address = dlsym(handle, name);

	memcpy(function, &address, sizeof(address));
	return address != NULL;
}

enum llapi_status llapi_load(struct llapi *api, const char *library, char *message, size_t size)
{
	struct link_map *map;

	*api = (struct llapi){ .handle = dlopen(library, RTLD_NOW | RTLD_LOCAL) };
	if (!api->handle) {
		snprintf(message, size, "cannot load %s: %s; install the Lustre client's packages, or name the library "
			 "with --liblustreapi", library, dlerror());
		return LLAPI_NO_LIBRARY;
	}
	if (dlinfo(api->handle, RTLD_DI_LINKMAP, &map) == 0)
		snprintf(api->path, sizeof(api->path), "%s", map->l_name);
	else
		snprintf(api->path, sizeof(api->path), "%s", library);

#define X(name) \
	if (!symbol(api->handle, #name, &api->name)) { \
		snprintf(message, size, "%s has no function %s: it is not a liblustreapi of Lustre 2.12 or later", \
			 api->path, #name); \
		return LLAPI_UNFIT; \
	}
	LLAPI_FUNCTIONS(X)
#undef X
	symbol(api->handle, "llapi_fid2path_at", &api->llapi_fid2path_at);
	symbol(api->handle, "llapi_msg_set_level", &api->llapi_msg_set_level);
	symbol(api->handle, "llapi_changelog_in_buf", &api->llapi_changelog_in_buf);
	symbol(api->handle, "llapi_obd_statfs", &api->llapi_obd_statfs);
	symbol(api->handle, "llapi_get_mdt_index_by_fid", &api->llapi_get_mdt_index_by_fid);
	if (!symbol(api->handle, "ioctl", &api->ioctl)) {
		snprintf(message, size, "%s is not linked with a C library that has ioctl", api->path);
		return LLAPI_UNFIT;
	}
	return LLAPI_OK;
}

bool llapi_parse_version(const char *version, unsigned *major, unsigned *minor)
{
	int n = 0;

	return sscanf(version, "%3u.%3u%n", major, minor, &n) == 2 && n >= 3;
}

enum llapi_status llapi_check_version(struct llapi *api, char *message, size_t size)
{
	char text[sizeof(api->version)] = "";
	unsigned major, minor;

	errno = 0;
	if (api->llapi_get_version_string(text, sizeof(text)) != 0) {
		snprintf(message, size, "%s does not tell its version: %s", api->path, strerror(errno ? errno : EINVAL));
		return LLAPI_UNFIT;
	}

	/* 'lustre: 2.x' and a trailing line end were seen in some releases. */
	const char *start = text + strcspn(text, "0123456789");

	snprintf(api->version, sizeof(api->version), "%.*s", (int)strcspn(start, " \t\r\n"), start);
	if (!llapi_parse_version(api->version, &major, &minor)) {
		snprintf(message, size, "%s calls its version '%s', which is none of Lustre's", api->path, text);
		return LLAPI_UNFIT;
	}
	if (major != 2 || minor < OLDEST_MINOR) {
		snprintf(message, size, "%s is of Lustre %s; this program works with 2.%d and later 2.x", api->path,
			 api->version, OLDEST_MINOR);
		return LLAPI_UNFIT;
	}
	return LLAPI_OK;
}
