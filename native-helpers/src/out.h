/* The single writer of standard output: whole lines, one at a time, from any thread. */
#ifndef LFSAZSYNC_OUT_H
#define LFSAZSYNC_OUT_H

#include <stdbool.h>

#include "buf.h"

enum { LINE_MAX_BYTES = 1 << 20 };

/* `gone_fd`: an eventfd that is told when nobody reads any more. */
void out_init(int fd, int gone_fd);
/* Writes the buffer and a line end, and empties the buffer. */
void out_line(struct buf *b);
bool out_gone(void);
/* From now on, a reader that does not read for a while counts as gone: nobody waits for it. */
void out_leaving(void);

/* `{"t":"error","rc":…,"message":…}` */
void out_error(int rc, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line for people, on standard error. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
