/* What the mode import is to make, in whatever form. */
#include <stdlib.h>
#include <string.h>

#include "../src/import_item.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static struct import_item item;
	struct json_doc doc;
	char *text = malloc(size + 1);

	memcpy(text, data, size);

	const struct json *parsed = json_parse(&doc, text, size);

	if (parsed && import_item(parsed, &item)) {
		size_t len = strlen(item.name);

		if (len == 0 || len >= NAME_BYTES || strchr(item.name, '/') || (item.attributes.mode & ~07777u))
			abort();
		if (item.kind == IMPORT_FILE && (item.size == 0 || !item.record.before || !item.record.after))
			abort();
		if (item.kind == IMPORT_SYMLINK && (item.target[0] == '\0' || strlen(item.target) >= PATH_BYTES))
			abort();
	}
	json_free(&doc);
	free(text);
	return 0;
}
