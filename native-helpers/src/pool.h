/* Threads that carry out requests, fed by a bounded queue. */
#ifndef LFSAZSYNC_POOL_H
#define LFSAZSYNC_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pool;

/* `work` owns the line (malloc'd, len bytes and one to spare). `room_fd`: an eventfd told when a full queue has room. */
struct pool *pool_start(unsigned threads, size_t bound, int room_fd, void (*work)(void *ctx, char *line, size_t len),
			void *ctx);
/* False if the queue is full: ask again after room_fd. */
bool pool_put(struct pool *p, char *line, size_t len);
/* Waits until all is done, at most so long. */
bool pool_drain(struct pool *p, unsigned milliseconds);
/* After a successful drain: ends the threads and frees the pool. */
void pool_end(struct pool *p);

#endif
