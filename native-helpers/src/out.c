#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLL_MS = 500, LEAVING_POLLS = 3 };

static struct {
	pthread_mutex_t lock;
	int fd, gone_fd;
	atomic_bool gone, leaving;
} writer = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDOUT_FILENO, .gone_fd = -1 };

void out_init(int fd, int gone_fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	writer.fd = fd;
	writer.gone_fd = gone_fd;
	/* So that a write can be given up. Only what is ours alone: a terminal is shared. */
	if (flags >= 0 && fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void out_leaving(void)
{
	atomic_store(&writer.leaving, true);
}

bool out_gone(void)
{
	return atomic_load(&writer.gone);
}

static void reader_is_gone(void)
{
	uint64_t one = 1;

	atomic_store(&writer.gone, true);
	if (writer.gone_fd >= 0 && write(writer.gone_fd, &one, sizeof(one)) < 0)
		note("cannot stop: %s", strerror(errno));
}

/* False when the reader has not read for long enough. */
static bool wait_for_reader(void)
{
	for (int waited = 0; !atomic_load(&writer.leaving) || waited < LEAVING_POLLS; waited++) {
		struct pollfd p = { .fd = writer.fd, .events = POLLOUT };

		if (poll(&p, 1, POLL_MS) != 0)
			return true;
		if (!atomic_load(&writer.leaving))
			waited = -1;
	}
	return false;
}

static void write_all(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(writer.fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN && wait_for_reader()) {
			continue;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else {
			reader_is_gone();
			return;
		}
	}
}

void out_line(struct buf *b)
{
	buf_str(b, "\n");
	if (b->failed) {
		note("out of memory: a line was lost");
		buf_free(b);
		return;
	}
	pthread_mutex_lock(&writer.lock);
	if (!out_gone())
		write_all(b->data, b->len);
	pthread_mutex_unlock(&writer.lock);
	b->len = 0;
}

void out_error(int rc, const char *format, ...)
{
	char text[512];
	struct buf b = { 0 };
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	buf_printf(&b, "{\"t\":\"error\",\"rc\":%d,\"message\":", rc);
	buf_json_string(&b, text, strlen(text));
	buf_str(&b, "}");
	out_line(&b);
	buf_free(&b);
}

void note(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fprintf(stderr, "lfsazsync-helper: %s\n", text); /* one call, one write: lines of threads do not mix */
}
