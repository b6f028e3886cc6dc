#include "lines.h"

#include <stdlib.h>
#include <string.h>

#include "out.h"

bool lines_init(struct lines *l)
{
	*l = (struct lines){ .cap = LINE_MAX_BYTES + 1 };
	l->data = malloc(l->cap);
	return l->data != NULL;
}

void lines_free(struct lines *l)
{
	free(l->data);
	*l = (struct lines){ 0 };
}

size_t lines_room(struct lines *l, char **room)
{
	if (l->start > 0) {
		memmove(l->data, l->data + l->start, l->len);
		l->start = 0;
	}
	*room = l->data + l->len;
	return l->cap - l->len;
}

void lines_read(struct lines *l, size_t n)
{
	l->len += n;
}

static void take(struct lines *l, size_t n)
{
	l->start += n;
	l->len -= n;
	l->scanned = 0;
	if (l->len == 0)
		l->start = 0;
}

/* The place of the next line end, or len. */
static size_t line_end(struct lines *l)
{
	char *nl = NULL;

	if (l->len > l->scanned)
		nl = memchr(l->data + l->start + l->scanned, '\n', l->len - l->scanned);
	if (!nl) {
		l->scanned = l->len;
		return l->len;
	}
	return (size_t)(nl - (l->data + l->start));
}

enum lines_state lines_peek(struct lines *l, char **line, size_t *len)
{
	if (l->too_long)
		return LINES_TOO_LONG;
	if (l->skipping) {
		size_t end = line_end(l);

		if (end == l->len) {
			take(l, end);
			return LINES_NONE;
		}
		take(l, end + 1);
		l->skipping = false;
	}

	size_t end = line_end(l);

	if (end == l->len) {
		if (l->len < l->cap)
			return LINES_NONE;
		take(l, l->len);
		l->skipping = l->too_long = true;
		return LINES_TOO_LONG;
	}
	*line = l->data + l->start;
	*len = end;
	return LINES_LINE;
}

void lines_drop(struct lines *l)
{
	if (l->too_long) {
		l->too_long = false;
		return;
	}

	size_t end = line_end(l);

	if (end < l->len)
		take(l, end + 1);
}

bool lines_partial(const struct lines *l)
{
	return l->len > 0 || l->skipping;
}
