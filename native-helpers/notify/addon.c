/*
 * notify.node: tells the service manager how it goes. Node can't send datagrams to Unix sockets.
 *
 *   send(socket: string, message: string): number      0, or the errno; never blocks
 *
 * `socket` is what systemd puts into NOTIFY_SOCKET: a path, or an abstract name that begins with '@'.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../crc64/napi.h"

enum { MAX_MESSAGE = 4096 };

static int send_to(const char *name, size_t name_len, const char *message, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len);
	int fd, rc = 0;

	memcpy(address.sun_path, name, name_len);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	if (sendto(fd, message, len, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, size) < 0)
		rc = errno;
	close(fd);
	return rc;
}

static napi_value js_send(napi_env env, napi_callback_info info)
{
	napi_value args[2], result;
	size_t count = 2, name_len = 0, len = 0;
	/* One byte more than fits, so that what is too long shows. */
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1], message[MAX_MESSAGE + 2];
	int rc;

	if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != 0 || count < 2 ||
	    napi_get_value_string_utf8(env, args[0], name, sizeof(name), &name_len) != 0 ||
	    napi_get_value_string_utf8(env, args[1], message, sizeof(message), &len) != 0) {
		napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "a socket and a message were expected");
		return NULL;
	}
	if (name_len == 0 || name_len >= sizeof(name) - 1 || (name[0] != '/' && name[0] != '@'))
		rc = EINVAL;
	else if (len > MAX_MESSAGE)
		rc = EMSGSIZE;
	else
		rc = send_to(name, name_len, message, len);
	return napi_create_double(env, rc, &result) == 0 ? result : NULL;
}

__attribute__((visibility("default"))) int32_t node_api_module_get_api_version_v1(void);
__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports);

int32_t node_api_module_get_api_version_v1(void)
{
	return 8;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
	napi_value function;

	if (napi_create_function(env, "send", NAPI_AUTO_LENGTH, js_send, NULL, &function) == 0)
		napi_set_named_property(env, exports, "send", function);
	return exports;
}
