#include "out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	int fd, gone_fd;
	atomic_bool gone;
} writer = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDOUT_FILENO, .gone_fd = -1 };

void out_init(int fd, int gone_fd)
{
	writer.fd = fd;
	writer.gone_fd = gone_fd;
}

bool out_gone(void)
{
	return atomic_load(&writer.gone);
}

static void write_all(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(writer.fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = writer.fd, .events = POLLOUT };

			poll(&p, 1, -1);
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else {
			uint64_t one = 1;

			atomic_store(&writer.gone, true);
			if (writer.gone_fd >= 0 && write(writer.gone_fd, &one, sizeof(one)) < 0)
				return;
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
