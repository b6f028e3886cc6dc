/* Threads that carry out requests, fed by a bounded queue. */
#ifndef LFSAZSYNC_POOL_H
#define LFSAZSYNC_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

/*
 * `work` owns the line (malloc'd, len bytes and one to spare). `room_fd`: an eventfd told when a full queue has room.
 * `same`, if given: of lines that it gives the same number for, other than 0, no more than `same_most` are worked on at
 * a time; it is asked with the pool's lock held, again for every turn.
 */
struct pool_options {
	unsigned threads;
	size_t bound;
	int room_fd;
	void (*work)(void *ctx, char *line, size_t len);
	uint64_t (*same)(void *ctx, uint64_t key);
	unsigned same_most;
	void *ctx;
};

struct pool *pool_start(const struct pool_options *options);
/* False if the queue is full: ask again after room_fd. `key`: what `same` is asked about; 0 counts as nobody's. */
bool pool_put(struct pool *p, char *line, size_t len, uint64_t key);
/* Waits until all is done, at most so long. */
bool pool_drain(struct pool *p, unsigned milliseconds);
/* After a successful drain: ends the threads and frees the pool. */
void pool_end(struct pool *p);

#endif
