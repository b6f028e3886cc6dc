/*
 * The functions of blocks.h for Node: each is one task of libuv's thread pool, where node:fs needs one for every system
 * call. Promises of {errno, what, bytes, crc64}; errno 0 is success.
 *
 *   readBlock(fd: number, offset: number, into: Uint8Array)
 *   readFile(path: string, into: Uint8Array)
 *   writeBlock(fd: number, offset: number, from: Uint8Array)
 *   writeFile(path: string, from: Uint8Array, truncate: boolean)
 */
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "napi.h"

enum task_kind { READ_BLOCK, READ_FILE, WRITE_BLOCK, WRITE_FILE };

struct task {
	enum task_kind kind;
	int fd;
	int64_t offset;
	char *path;
	bool truncate;
	unsigned char *data;
	size_t len;
	int error;
	struct block_result result;
	napi_deferred deferred;
	napi_ref buffer; /* keeps the memory */
	napi_async_work work;
};

static void execute(napi_env env, void *arg)
{
	struct task *task = arg;

	(void)env;
	switch (task->kind) {
	case READ_BLOCK:
		task->error = block_read(task->fd, task->offset, task->data, task->len, &task->result);
		break;
	case READ_FILE:
		task->error = block_read_file(task->path, task->data, task->len, &task->result);
		break;
	case WRITE_BLOCK:
		task->error = block_write(task->fd, task->offset, task->data, task->len, &task->result);
		break;
	case WRITE_FILE:
		task->error = block_write_file(task->path, task->data, task->len, task->truncate, &task->result);
		break;
	}
}

static void forget(napi_env env, struct task *task)
{
	if (task->work)
		napi_delete_async_work(env, task->work);
	if (task->buffer)
		napi_delete_reference(env, task->buffer);
	free(task->path);
	free(task);
}

static void set_number(napi_env env, napi_value object, const char *name, double number)
{
	napi_value value;

	if (napi_create_double(env, number, &value) == 0)
		napi_set_named_property(env, object, name, value);
}

static void complete(napi_env env, napi_status status, void *arg)
{
	struct task *task = arg;
	const struct block_result *result = &task->result;
	napi_value object, value;

	(void)status; /* never cancelled; a thread that ends waits for it, and nobody listens then */
	if (napi_create_object(env, &object) == 0) {
		set_number(env, object, "errno", task->error);
		set_number(env, object, "bytes", (double)result->bytes);
		if (napi_create_bigint_uint64(env, result->crc64, &value) == 0)
			napi_set_named_property(env, object, "crc64", value);
		if (result->what && napi_create_string_utf8(env, result->what, NAPI_AUTO_LENGTH, &value) == 0)
			napi_set_named_property(env, object, "what", value);
		napi_resolve_deferred(env, task->deferred, object);
	}
	forget(env, task);
}

static napi_value refuse(napi_env env, struct task *task, const char *message)
{
	forget(env, task);
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
	return NULL;
}

static bool take_path(napi_env env, napi_value value, struct task *task)
{
	size_t len = 0;

	if (napi_get_value_string_utf8(env, value, NULL, 0, &len) != 0)
		return false;
	task->path = malloc(len + 1);
	if (!task->path || napi_get_value_string_utf8(env, value, task->path, len + 1, &len) != 0)
		return false;
	/* What comes after a NUL would be lost: another file. */
	return strlen(task->path) == len;
}

static bool take_place(napi_env env, napi_value fd, napi_value offset, struct task *task)
{
	int32_t number = -1;

	if (napi_get_value_int32(env, fd, &number) != 0 || napi_get_value_int64(env, offset, &task->offset) != 0)
		return false;
	task->fd = number;
	return number >= 0 && task->offset >= 0;
}

static bool take_bytes(napi_env env, napi_value value, struct task *task)
{
	bool is_array = false;
	int type = -1;
	void *data = NULL;

	if (napi_is_typedarray(env, value, &is_array) != 0 || !is_array ||
	    napi_get_typedarray_info(env, value, &type, &task->len, &data, NULL, NULL) != 0 ||
	    type != NAPI_UINT8_ARRAY)
		return false;
	task->data = data;
	if (!data)
		task->len = 0; /* detached, or of no length */
	return napi_create_reference(env, value, 1, &task->buffer) == 0;
}

static napi_value begin(napi_env env, napi_callback_info info, enum task_kind kind)
{
	static const char NAME[] = "lfsazsync";
	napi_value args[3], promise, name;
	size_t n = 3;
	struct task *task = calloc(1, sizeof(*task));
	bool by_path = kind == READ_FILE || kind == WRITE_FILE;

	if (!task)
		return NULL;
	task->kind = kind;
	if (napi_get_cb_info(env, info, &n, args, NULL, NULL) != 0 || n < (kind == READ_FILE ? 2 : 3))
		return refuse(env, task, "too few arguments");
	if (by_path ? !take_path(env, args[0], task) : !take_place(env, args[0], args[1], task))
		return refuse(env, task, by_path ? "a path was expected" : "a descriptor and an offset were expected");
	if (!take_bytes(env, args[by_path ? 1 : 2], task))
		return refuse(env, task, "a Uint8Array was expected");
	if (kind == WRITE_FILE && napi_get_value_bool(env, args[2], &task->truncate) != 0)
		return refuse(env, task, "a boolean was expected");
	if (napi_create_promise(env, &task->deferred, &promise) != 0 ||
	    napi_create_string_utf8(env, NAME, NAPI_AUTO_LENGTH, &name) != 0 ||
	    napi_create_async_work(env, NULL, name, execute, complete, task, &task->work) != 0 ||
	    napi_queue_async_work(env, task->work) != 0)
		return refuse(env, task, "the work could not be begun");
	return promise;
}

static napi_value js_read_block(napi_env env, napi_callback_info info)
{
	return begin(env, info, READ_BLOCK);
}

static napi_value js_read_file(napi_env env, napi_callback_info info)
{
	return begin(env, info, READ_FILE);
}

static napi_value js_write_block(napi_env env, napi_callback_info info)
{
	return begin(env, info, WRITE_BLOCK);
}

static napi_value js_write_file(napi_env env, napi_callback_info info)
{
	return begin(env, info, WRITE_FILE);
}

void export_blocks(napi_env env, napi_value exports)
{
	export_function(env, exports, "readBlock", js_read_block);
	export_function(env, exports, "readFile", js_read_file);
	export_function(env, exports, "writeBlock", js_write_block);
	export_function(env, exports, "writeFile", js_write_file);
}
