/*
 * Blocks of files: read or written in one go, and the checksum taken, in the same task.
 * Every function returns 0 or an errno; they may block, and know nothing of Node.
 */
#ifndef LFSAZSYNC_BLOCKS_H
#define LFSAZSYNC_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_result {
	size_t bytes;	 /* that were read or written */
	uint64_t crc64;	 /* of these bytes */
	const char *what; /* the system call that failed */
};

/* Reads at the offset until the buffer is full or the file ends. */
int block_read(int fd, int64_t offset, unsigned char *data, size_t len, struct block_result *result);

/* The same from the beginning of a file that is opened for it, its access time untouched where that is allowed. */
int block_read_file(const char *path, unsigned char *data, size_t len, struct block_result *result);

/* Writes at the offset; whole pieces of BLOCK_HOLE zeros are left out, so the place must be empty. */
int block_write(int fd, int64_t offset, const unsigned char *data, size_t len, struct block_result *result);

/* Makes the buffer the content of an existing file, on disk when it returns. */
int block_write_file(const char *path, const unsigned char *data, size_t len, bool truncate,
		     struct block_result *result);

/* Runs of zeros shorter than this are written: a hole must be worth an extent. */
#define BLOCK_HOLE (64u * 1024u)

#endif
