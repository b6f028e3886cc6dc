/*
 * What is used of Node-API, version 8: ABI-stable, and resolved from the process, so it is declared here and needs no
 * headers of Node's.
 */
#ifndef LFSAZSYNC_NAPI_H
#define LFSAZSYNC_NAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct napi_env_s *napi_env;
typedef struct napi_value_s *napi_value;
typedef struct napi_callback_info_s *napi_callback_info;
typedef int napi_status; /* an enum in Node's header; 0 is napi_ok */
typedef struct napi_deferred_s *napi_deferred;
typedef struct napi_ref_s *napi_ref;
typedef struct napi_async_work_s *napi_async_work;
typedef napi_value (*napi_callback)(napi_env env, napi_callback_info info);
typedef void (*napi_async_execute)(napi_env env, void *data);
typedef void (*napi_async_complete)(napi_env env, napi_status status, void *data);

enum { NAPI_DEFAULT = 0, NAPI_UINT8_ARRAY = 1 };
#define NAPI_AUTO_LENGTH SIZE_MAX

napi_status napi_get_cb_info(napi_env, napi_callback_info, size_t *argc, napi_value *argv, napi_value *this_arg,
			     void **data);
napi_status napi_get_typedarray_info(napi_env, napi_value, int *type, size_t *length, void **data, napi_value *buffer,
				     size_t *offset);
napi_status napi_is_typedarray(napi_env, napi_value, bool *result);
napi_status napi_get_value_bigint_uint64(napi_env, napi_value, uint64_t *result, bool *lossless);
napi_status napi_create_bigint_uint64(napi_env, uint64_t value, napi_value *result);
napi_status napi_create_function(napi_env, const char *name, size_t length, napi_callback, void *data,
				 napi_value *result);
napi_status napi_create_string_utf8(napi_env, const char *text, size_t length, napi_value *result);
napi_status napi_set_named_property(napi_env, napi_value object, const char *name, napi_value value);
napi_status napi_throw_type_error(napi_env, const char *code, const char *message);
napi_status napi_get_value_int32(napi_env, napi_value, int32_t *result);
napi_status napi_get_value_int64(napi_env, napi_value, int64_t *result);
napi_status napi_get_value_bool(napi_env, napi_value, bool *result);
napi_status napi_get_value_string_utf8(napi_env, napi_value, char *buf, size_t bufsize, size_t *result);
napi_status napi_create_double(napi_env, double value, napi_value *result);
napi_status napi_create_object(napi_env, napi_value *result);
napi_status napi_create_promise(napi_env, napi_deferred *deferred, napi_value *promise);
napi_status napi_resolve_deferred(napi_env, napi_deferred, napi_value resolution);
napi_status napi_create_reference(napi_env, napi_value, uint32_t count, napi_ref *result);
napi_status napi_delete_reference(napi_env, napi_ref);
napi_status napi_create_async_work(napi_env, napi_value resource, napi_value name, napi_async_execute execute,
				   napi_async_complete complete, void *data, napi_async_work *result);
napi_status napi_queue_async_work(napi_env, napi_async_work);
napi_status napi_delete_async_work(napi_env, napi_async_work);

/* Of the addon itself. */
void export_function(napi_env env, napi_value exports, const char *name, napi_callback function);
void export_blocks(napi_env env, napi_value exports);

#endif
