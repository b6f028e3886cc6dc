#include "fid_stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = FID_STACK_CHUNK * sizeof(struct lu_fid) };

void fid_stack_init(struct fid_stack *s)
{
	*s = (struct fid_stack){ .fd = -1 };
}

void fid_stack_free(struct fid_stack *s)
{
	free(s->items);
	if (s->fd >= 0)
		close(s->fd);
	fid_stack_init(s);
}

static int nameless_file(void)
{
	const char *dirs[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		int fd = dirs[i] ? open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;

		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* Moves the older half out. */
static bool spill(struct fid_stack *s)
{
	if (s->fd < 0)
		s->fd = nameless_file();
	if (s->fd < 0 || pwrite(s->fd, s->items, CHUNK_BYTES, (off_t)(s->spilled * CHUNK_BYTES)) != CHUNK_BYTES)
		return false;
	s->spilled++;
	s->count -= FID_STACK_CHUNK;
	memmove(s->items, s->items + FID_STACK_CHUNK, s->count * sizeof(*s->items));
	return true;
}

bool fid_stack_push(struct fid_stack *s, const struct lu_fid *fid)
{
	/* Where nothing can be spilled, memory has to do. */
	if (s->count == s->cap && (s->cap < 2 * (size_t)FID_STACK_CHUNK || !spill(s))) {
		size_t cap = s->cap ? s->cap * 2 : 1024;
		struct lu_fid *items = realloc(s->items, cap * sizeof(*items));

		if (!items)
			return false;
		s->items = items;
		s->cap = cap;
	}
	s->items[s->count++] = *fid;
	return true;
}

int fid_stack_pop(struct fid_stack *s, struct lu_fid *fid)
{
	if (s->count == 0 && s->spilled > 0) {
		off_t at = (off_t)((s->spilled - 1) * CHUNK_BYTES);
		ssize_t n = pread(s->fd, s->items, CHUNK_BYTES, at);

		if (n != CHUNK_BYTES)
			return n < 0 ? -errno : -EIO;
		s->spilled--;
		s->count = FID_STACK_CHUNK;
	}
	if (s->count == 0)
		return 0;
	*fid = s->items[--s->count];
	return 1;
}
