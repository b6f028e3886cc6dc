/* Layout xattrs: what is parsed can be printed, and what is built parses to the same. */
#include <stdlib.h>
#include <string.h>

#include "../src/lov.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	unsigned char *xattr = malloc(size ? size : 1);
	static struct lov_layout layout, again;
	struct buf out = { 0 }, built = { 0 };

	memcpy(xattr, data, size);
	if (lov_parse(&layout, xattr, size) == NULL) {
		lov_json(&layout, &out);
		if (lov_build(&layout, &built) == 0 &&
		    (lov_parse(&again, built.data, built.len) != NULL || again.count != layout.count || !again.plain))
			abort();
	}
	buf_free(&out);
	buf_free(&built);
	free(xattr);
	return 0;
}
