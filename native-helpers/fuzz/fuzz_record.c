/* Changelog records: whatever they claim of their flags and lengths, nothing outside is read, and what comes out is JSON. */
#include <stdlib.h>
#include <string.h>

#include "../src/json.h"
#include "../src/record.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	unsigned char *exact = malloc(size ? size : 1);
	struct buf out = { 0 };
	struct json_doc doc;
	struct record r;

	memcpy(exact, data, size);
	if (record_parse(&r, exact, size) == NULL) {
		record_json(&r, &out);
		buf_str(&out, " "); /* json_parse wants a byte to spare */
		if (out.failed || !json_parse(&doc, out.data, out.len - 1))
			abort();
		json_free(&doc);
	}
	buf_free(&out);
	free(exact);
	return 0;
}
