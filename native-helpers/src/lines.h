/* Cutting a stream into lines of a bounded length, and keeping in step after one that is too long. */
#ifndef LFSAZSYNC_LINES_H
#define LFSAZSYNC_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct lines {
	char *data;
	size_t cap; /* one line of the greatest length with its end */
	size_t start, len;
	size_t scanned; /* of len, known to have no line end */
	bool skipping;  /* inside a line that was too long */
	bool too_long;  /* and that was not reported yet */
};

enum lines_state { LINES_NONE, LINES_LINE, LINES_TOO_LONG };

bool lines_init(struct lines *l);
void lines_free(struct lines *l);
/* Where the next bytes may be read to, and how many (at least one). */
size_t lines_room(struct lines *l, char **room);
void lines_read(struct lines *l, size_t n);
/* The next line without its end; it stays until lines_drop. LINES_TOO_LONG is to be dropped, too. */
enum lines_state lines_peek(struct lines *l, char **line, size_t *len);
void lines_drop(struct lines *l);
/* Whether the stream stopped in the middle of a line. */
bool lines_partial(const struct lines *l);

#endif
