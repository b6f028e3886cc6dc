/*
 * crc64.node: the checksum for Node, and blocks of files with it (addon_blocks.c).
 *
 *   crc64(data: Uint8Array, seed: bigint): bigint      seed 0n at the beginning
 *   combine(a: bigint, b: bigint, lengthB: bigint): bigint
 *   update(data: Uint8Array, state: Uint8Array): void  the same as crc64 on 8 little-endian bytes (as Azure's header
 *                                                      has them, in base64), without a BigInt
 *   kind: string                                       how it is computed here
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crc64.h"
#include "napi.h"

static bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values)
{
	size_t n = count;

	if (napi_get_cb_info(env, info, &n, values, NULL, NULL) == 0 && n >= count)
		return true;
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "too few arguments");
	return false;
}

/* The bytes of a Uint8Array (a Buffer is one). */
static bool bytes(napi_env env, napi_value value, unsigned char **data, size_t *len)
{
	bool is_array = false;
	int type = -1;
	void *p = NULL;

	if (napi_is_typedarray(env, value, &is_array) != 0 || !is_array ||
	    napi_get_typedarray_info(env, value, &type, len, &p, NULL, NULL) != 0 || type != NAPI_UINT8_ARRAY) {
		napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "a Uint8Array was expected");
		return false;
	}
	*data = p;
	if (!p)
		*len = 0; /* detached */
	return true;
}

static bool integer(napi_env env, napi_value value, uint64_t *result)
{
	bool lossless = false;

	if (napi_get_value_bigint_uint64(env, value, result, &lossless) == 0 && lossless)
		return true;
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "a bigint from 0n to 2n**64n-1n was expected");
	return false;
}

static napi_value bigint(napi_env env, uint64_t value)
{
	napi_value result = NULL;

	napi_create_bigint_uint64(env, value, &result);
	return result;
}

static napi_value js_crc64(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	unsigned char *data;
	size_t len;
	uint64_t seed;

	if (!arguments(env, info, 2, args) || !bytes(env, args[0], &data, &len) || !integer(env, args[1], &seed))
		return NULL;
	return bigint(env, crc64_update(seed, data, len));
}

static napi_value js_update(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	unsigned char *data, *state;
	size_t len, state_len;
	uint64_t crc;

	if (!arguments(env, info, 2, args) || !bytes(env, args[0], &data, &len) ||
	    !bytes(env, args[1], &state, &state_len))
		return NULL;
	if (state_len != sizeof(crc)) {
		napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "the state has 8 bytes");
		return NULL;
	}
	memcpy(&crc, state, sizeof(crc));
	crc = crc64_update(crc, data, len);
	memcpy(state, &crc, sizeof(crc));
	return NULL;
}

static napi_value js_combine(napi_env env, napi_callback_info info)
{
	napi_value args[3];
	uint64_t a, b, length;

	if (!arguments(env, info, 3, args) || !integer(env, args[0], &a) || !integer(env, args[1], &b) ||
	    !integer(env, args[2], &length))
		return NULL;
	return bigint(env, crc64_combine(a, b, length));
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback function)
{
	napi_value value;

	if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value) == 0)
		napi_set_named_property(env, exports, name, value);
}

__attribute__((visibility("default"))) int32_t node_api_module_get_api_version_v1(void);
__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports);

int32_t node_api_module_get_api_version_v1(void)
{
	return 8;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
	napi_value kind;

	export_function(env, exports, "crc64", js_crc64);
	export_function(env, exports, "update", js_update);
	export_function(env, exports, "combine", js_combine);
	export_blocks(env, exports);
	if (napi_create_string_utf8(env, crc64_kind(), NAPI_AUTO_LENGTH, &kind) == 0)
		napi_set_named_property(env, exports, "kind", kind);
	return exports;
}
