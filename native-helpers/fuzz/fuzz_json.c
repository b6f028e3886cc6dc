/* The line parser: whatever it accepts must be within its text. */
#include <stdlib.h>
#include <string.h>

#include "../src/json.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void walk(const struct json *v, const char *text, size_t size, int depth)
{
	if (depth > JSON_MAX_DEPTH)
		abort();
	if ((v->type == JSON_STRING || v->type == JSON_NUMBER) && (v->text < text || v->text + v->len > text + size))
		abort();
	for (const struct json *c = v->child; c; c = c->next)
		walk(c, text, size, depth + 1);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct json_doc doc;
	char *text = malloc(size + 1);

	memcpy(text, data, size);

	const struct json *v = json_parse(&doc, text, size);

	if (v)
		walk(v, text, size, 0);
	else if (!doc.error)
		abort();
	json_free(&doc);
	free(text);
	return 0;
}
