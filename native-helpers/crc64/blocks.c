#include "blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "crc64.h"

/* Of one write: stays in a core's own cache after the checksum, and is no less than Lustre sends at once. */
#define WRITE_PIECE (1024u * 1024u)

static int failed(struct block_result *result, const char *what)
{
	result->what = what;
	return errno;
}

static size_t at_most(size_t a, size_t b)
{
	return a < b ? a : b;
}

int block_read(int fd, int64_t offset, unsigned char *data, size_t len, struct block_result *result)
{
	*result = (struct block_result){0};
	while (result->bytes < len) {
		unsigned char *to = data + result->bytes;
		/* All at once: several places of a file are read at the same time, which Lustre's readahead sees nothing in. */
		ssize_t n = pread(fd, to, len - result->bytes, offset + (int64_t)result->bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(result, "read");
		if (n == 0)
			break;
		result->crc64 = crc64_update(result->crc64, to, (size_t)n);
		result->bytes += (size_t)n;
	}
	return 0;
}

int block_read_file(const char *path, unsigned char *data, size_t len, struct block_result *result)
{
	int fd = open(path, O_RDONLY | O_NOATIME | O_CLOEXEC);
	int rc;

	*result = (struct block_result){0};
	/* Only the owner may leave the access time alone. */
	if (fd < 0 && errno == EPERM)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(result, "open");
	rc = block_read(fd, 0, data, len, result);
	close(fd);
	return rc;
}

static bool is_zero(const unsigned char *data, size_t len)
{
	/* Most data differs within its first bytes. */
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static int write_all(int fd, int64_t offset, const unsigned char *data, size_t len, struct block_result *result)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(result, "write");
		data += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

int block_write(int fd, int64_t offset, const unsigned char *data, size_t len, struct block_result *result)
{
	size_t from = 0; /* what was looked at, and is yet to be written, begins here */

	*result = (struct block_result){0};
	while (result->bytes < len) {
		size_t at = result->bytes;
		size_t piece = at_most(len - at, BLOCK_HOLE);
		bool hole = piece == BLOCK_HOLE && is_zero(data + at, piece);
		int rc = 0;

		result->crc64 = crc64_update(result->crc64, data + at, piece);
		result->bytes += piece;
		if (hole && at > from)
			rc = write_all(fd, offset + (int64_t)from, data + from, at - from, result);
		else if (!hole && (result->bytes - from >= WRITE_PIECE || result->bytes == len))
			rc = write_all(fd, offset + (int64_t)from, data + from, result->bytes - from, result);
		else if (!hole)
			continue;
		if (rc != 0)
			return rc;
		from = result->bytes;
	}
	return 0;
}

int block_write_file(const char *path, const unsigned char *data, size_t len, bool truncate,
		     struct block_result *result)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = 0;

	*result = (struct block_result){0};
	if (fd < 0)
		return failed(result, "open");
	if (truncate && ftruncate(fd, 0) != 0)
		rc = failed(result, "ftruncate");
	if (rc == 0)
		rc = block_write(fd, 0, data, len, result);
	/* A hole at the end has no other way to be there. */
	if (rc == 0 && ftruncate(fd, (off_t)len) != 0)
		rc = failed(result, "ftruncate");
	/* Errors of the servers (no space, a lost target) may only show here, or at the close. */
	if (rc == 0 && fsync(fd) != 0)
		rc = failed(result, "fsync");
	if (close(fd) != 0 && rc == 0)
		rc = failed(result, "close");
	return rc;
}
