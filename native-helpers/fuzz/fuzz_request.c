/* The fields of requests, in whatever combination. */
#include <stdlib.h>
#include <string.h>

#include "../src/fields.h"
#include "../src/request.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct json_doc doc;
	char *text = malloc(size + 1), path[PATH_BYTES];

	memcpy(text, data, size);

	struct fields f = { .object = json_parse(&doc, text, size) };
	uint64_t u64 = 0;
	uint32_t u32 = 0;
	int32_t i32 = 0;
	bool flag = false;
	struct lu_fid fid;
	const char *op;
	unsigned char *bytes;
	size_t len;

	if (f.object && request_decode(f.object, &op, &u64) == NULL) {
		field_fid(&f, "fid", true, &fid, &flag);
		field_u64(&f, "cookie", true, &u64);
		field_u64(&f, "offset", false, &u64);
		field_u32(&f, "errval", false, &u32);
		field_i32(&f, "mdt", &i32);
		field_bool(&f, "retry", &flag);
		if (field_base64(&f, "value", false, 100, &bytes, &len)) {
			if (len > 100)
				abort();
			free(bytes);
		}
		if (path_bytes(&f, json_get(f.object, "path"), json_get(f.object, "path_b64"), path) &&
		    strlen(path) >= PATH_BYTES)
			abort();
	}
	json_free(&doc);
	free(text);
	return 0;
}
