/*
 * The mode changelog: the records of one MDT, in batches, and clearing them for one user.
 *
 * At the end of its records the device is closed, and opened again a while later at the next index. Lustre could wait
 * for more by itself (CHANGELOG_FLAG_FOLLOW, since 2.14), but a client of 2.14 or 2.15 whose file system is unmounted
 * while a reader waits so can't mount again until it is rebooted (LU-19860: the waiting thread keeps a lock).
 *
 * The MDT reads its log from the oldest record that any user still holds, and the client passes over those before the
 * index asked for. With a user that lags far behind opening takes long: so pauses are ten times as long as that.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"
#include "out.h"
#include "record.h"

enum {
	BATCH_RECORDS = 1000,
	BATCH_BYTES = 256 * 1024,
	PAUSE_DEFAULT_MS = 500,
	PAUSE_IDLE_TIMES = 2,
	PAUSE_OPENING_TIMES = 10,
	PAUSE_MAX_MS = 60000,
	RETRY_FIRST_MS = 1000,
	RETRY_LAST_MS = 30000,
	LLAPI_MSG_FATAL = 1,
};

/* Nobody has it: users are numbered from 1 upwards. Clearing with it tells of an index whether it exists, and clears nothing. */
static const char nobody[] = "cl4294967295";

struct changelog {
	struct helper *h;
	const char *mdt, *user;
	int stop_fd;
	pthread_t thread;
	bool running;
	void *reader; /* llapi's, or NULL between two openings */
	/* What was told so far: no clearing beyond it. `next` is the index to read next. */
	pthread_mutex_t lock;
	uint64_t next;
	struct buf batch;
	unsigned batch_count;
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/*
 * All extensions are asked for, though only the owner and the xattr are used: up to 2.15 the library leaves the flags of those
 * that it was not asked for in the record while it takes the extensions out (changelog_remap_rec), so that whatever follows
 * them, the name above all, would be looked for in the wrong place.
 */
#define ALL_EXTENSIONS \
	(CHANGELOG_EXTRA_FLAG_UIDGID | CHANGELOG_EXTRA_FLAG_NID | CHANGELOG_EXTRA_FLAG_OMODE | CHANGELOG_EXTRA_FLAG_XATTR)

static int open_reader(struct changelog *c)
{
	const struct llapi *api = &c->h->api;
	int rc = api->llapi_changelog_start(&c->reader, CHANGELOG_FLAG_EXTRA_FLAGS, c->mdt, (long long)c->next);

	if (rc == 0)
		rc = api->llapi_changelog_set_xflags(c->reader, ALL_EXTENSIONS);
	return rc;
}

static void close_reader(struct changelog *c)
{
	if (c->reader)
		c->h->api.llapi_changelog_fini(&c->reader);
	c->reader = NULL;
}

static void flush(struct changelog *c)
{
	if (c->batch_count == 0)
		return;
	buf_str(&c->batch, "]}");
	out_line(&c->batch);
	c->batch_count = 0;
}

static void advance(struct changelog *c, uint64_t index)
{
	pthread_mutex_lock(&c->lock);
	if (index >= c->next)
		c->next = index + 1;
	pthread_mutex_unlock(&c->lock);
}

static void take_record(struct changelog *c, const struct changelog_rec *data)
{
	struct record r;
	const char *error = record_parse(&r, data, CHANGELOG_RECORD_MAX);

	if (error) {
		struct buf b = { 0 };

		flush(c);
		buf_str(&b, "{\"t\":\"malformed\",\"index\":");
		buf_u64(&b, r.index);
		buf_str(&b, ",\"type\":");
		buf_u64(&b, r.type);
		buf_str(&b, ",\"message\":");
		buf_json_string(&b, error, strlen(error));
		buf_str(&b, "}");
		out_line(&b);
		buf_free(&b);
	} else {
		buf_str(&c->batch, c->batch_count == 0 ? "{\"t\":\"records\",\"list\":[" : ",");
		record_json(&r, &c->batch);
		c->batch_count++;
	}
	advance(c, r.index);
	if (c->batch_count >= BATCH_RECORDS || c->batch.len >= BATCH_BYTES)
		flush(c);
}

/* 1: there is something to receive, 0: not within that time (-1: no limit), -1: it is time to leave. */
static int wait_for(struct changelog *c, int fd, int milliseconds)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = c->stop_fd, .events = POLLIN },
			{ .fd = fd, .events = POLLIN },
		};
		int n = poll(p, 2, milliseconds);

		if (n < 0 && errno == EINTR)
			continue;
		if (p[0].revents || out_gone())
			return -1;
		return n > 0;
	}
}

/* Until the end of the records: 0, or -errno. *opening: milliseconds to the first record or the end. 1: it is time to leave. */
static int read_to_end(struct changelog *c, long long *opening, bool *any)
{
	const struct llapi *api = &c->h->api;
	long long start = now_ms();
	int rc = open_reader(c), fd;

	*any = false;
	*opening = 0;
	if (rc < 0)
		return rc;
	fd = api->llapi_changelog_get_fd(c->reader);
	if (fd < 0)
		return fd;
	for (;;) {
		struct changelog_rec *rec = NULL;

		if (api->llapi_changelog_in_buf && !api->llapi_changelog_in_buf(c->reader)) {
			int ready = wait_for(c, fd, c->batch_count > 0 ? 0 : -1);

			if (ready < 0)
				return 1;
			if (ready == 0) {
				flush(c); /* what is here is not held back */
				continue;
			}
		}
		rc = api->llapi_changelog_recv(c->reader, &rec);
		if (!*any)
			*opening = now_ms() - start;
		if (rc == -EINTR || rc == -EAGAIN)
			continue;
		if (rc != 0)
			return rc < 0 ? rc : 0;
		if (!rec)
			return -EPROTO;
		*any = true;
		if (rec->cr_index >= c->next)
			take_record(c, rec);
		api->llapi_changelog_free(&rec);
	}
}

static void tell_end(struct changelog *c, int rc, bool again)
{
	struct buf b = { 0 };

	buf_str(&b, rc < 0 ? "{\"t\":\"lost\",\"rc\":" : again ? "{\"t\":\"reopened\"" : "{\"t\":\"end\"");
	if (rc < 0) {
		buf_i64(&b, rc);
		buf_str(&b, ",\"message\":");
		buf_json_string(&b, strerror(-rc), strlen(strerror(-rc)));
	}
	buf_str(&b, ",\"next\":");
	buf_u64(&b, c->next);
	buf_str(&b, "}");
	out_line(&b);
	buf_free(&b);
}

static int min_int(long long a, long long b)
{
	return (int)(a < b ? a : b);
}

static void *read_changelog(void *arg)
{
	struct changelog *c = arg;
	const int shortest = (int)(c->h->options.interval ? c->h->options.interval : PAUSE_DEFAULT_MS);
	int pause = shortest, retry = RETRY_FIRST_MS;
	bool lost = false;

	for (;;) {
		long long opening;
		bool any;
		int rc = read_to_end(c, &opening, &any);

		close_reader(c);
		flush(c);
		if (rc > 0)
			break;
		if (rc < 0) {
			tell_end(c, rc, false);
			lost = true;
			if (wait_for(c, -1, retry) < 0)
				break;
			retry = min_int(retry * 2LL, RETRY_LAST_MS);
			continue;
		}
		if (lost)
			tell_end(c, 0, true);
		lost = false;
		retry = RETRY_FIRST_MS;
		tell_end(c, 0, false);
		pause = any ? shortest : min_int(pause * 2LL, (long long)shortest * PAUSE_IDLE_TIMES);
		if (opening * PAUSE_OPENING_TIMES > pause)
			pause = min_int(opening * PAUSE_OPENING_TIMES, PAUSE_MAX_MS);
		if (wait_for(c, -1, pause) < 0)
			break;
	}
	buf_free(&c->batch);
	return NULL;
}

/* ---- requests ---- */

/* Whether a record of that index was ever written. Costs one request to the MDT. 1, 0, or -errno. */
static int index_exists(struct changelog *c, uint64_t index)
{
	/* The MDT compares the index with its last one (EINVAL) before it looks for the user (ENOENT). */
	int rc = index == 0 ? -EDOM : c->h->api.llapi_changelog_clear(c->mdt, nobody, (long long)index);

	return rc == -ENOENT ? 1 : rc == -EINVAL ? 0 : rc < 0 ? rc : -EPROTO;
}

static int op_last_index(struct request *rq, struct buf *out)
{
	struct changelog *c = rq->h->changelog;
	uint64_t low, high, step = 1; /* low is there (0 always is), high is not */
	int rc = 1;

	pthread_mutex_lock(&c->lock);
	low = c->next - 1;
	pthread_mutex_unlock(&c->lock);
	if (low > 0)
		rc = index_exists(c, low);
	if (rc == 0) {
		high = low;
		low = 0;
	} else {
		high = low + 1;
		while (rc > 0 && (rc = index_exists(c, high)) > 0) {
			low = high;
			if (step > INT64_MAX / 4 || high > INT64_MAX / 4)
				return failed(rq, -EPROTO, "the MDT says that every index exists");
			step *= 2;
			high += step;
		}
	}
	while (rc >= 0 && high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		rc = index_exists(c, middle);
		if (rc > 0)
			low = middle;
		else
			high = middle;
	}
	if (rc < 0)
		return failed(rq, rc, "cannot find the last index of %s", c->mdt);
	buf_str(out, ",\"index\":");
	buf_u64(out, low);
	return 0;
}

/*
 * Lustre clears everything when it is asked to clear up to 0, and answers with ENOENT or EINVAL (by version) to a user
 * that is not there, to an index before the user's own, and to one that does not exist yet.
 */
static int op_clear(struct request *rq, struct buf *out)
{
	struct changelog *c = rq->h->changelog;
	uint64_t index, told;
	int rc, exists;

	(void)out;
	if (!field_u64(&rq->fields, "index", true, &index))
		return bad_request(rq);
	pthread_mutex_lock(&c->lock);
	told = c->next - 1;
	pthread_mutex_unlock(&c->lock);
	if (!c->user)
		return failed(rq, -EINVAL, "started without --user, nothing can be cleared");
	if (index == 0 || index > told || index > INT64_MAX)
		return failed(rq, -EINVAL, "index must be from 1 to the last one that was told (%llu)",
			      (unsigned long long)told);
	rc = c->h->api.llapi_changelog_clear(c->mdt, c->user, (long long)index);
	if (rc != -ENOENT && rc != -EINVAL)
		return rc < 0 ? failed(rq, rc, "cannot clear %s", c->mdt) : 0;
	exists = index_exists(c, index);
	if (exists < 0)
		return failed(rq, exists, "cannot clear %s", c->mdt);
	if (exists == 0)
		return failed(rq, -ERANGE, "%s has no record %llu: its changelog began anew", c->mdt,
			      (unsigned long long)index);
	return failed(rq, -ENOENT, "%s has no changelog user %s, or it was cleared beyond %llu already", c->mdt, c->user,
		      (unsigned long long)index);
}

static const struct op changelog_ops[] = {
	{ "clear", op_clear },
	{ "last_index", op_last_index },
	{ NULL, NULL },
};

/* ---- start and stop ---- */

/* `cl1`, or `cl5-name` as users with names are shown. */
static bool user_ok(const char *user)
{
	size_t digits;

	if (strncmp(user, "cl", 2) != 0)
		return false;
	digits = strspn(user + 2, "0123456789");
	return digits > 0 && digits <= 9 && user[2] != '0' && (user[2 + digits] == '\0' || user[2 + digits] == '-') &&
	       strlen(user) < 64;
}

/* `<fsname>-MDT0000` of the mounted file system, and of no other. */
static bool mdt_ok(const struct helper *h, const char *mdt)
{
	size_t len = strlen(h->fsname);

	return strncmp(mdt, h->fsname, len) == 0 && strncmp(mdt + len, "-MDT", 4) == 0 &&
	       strspn(mdt + len + 4, "0123456789abcdef") == 4 && mdt[len + 8] == '\0';
}

static bool changelog_start(struct helper *h)
{
	static struct changelog c = { .lock = PTHREAD_MUTEX_INITIALIZER };
	const struct options *o = &h->options;
	int rc;

	if (!o->mdt || !mdt_ok(h, o->mdt)) {
		fatal("USAGE", -EINVAL, 0, "--mdt must name an MDT of this file system, such as %s-MDT0000", h->fsname);
		return false;
	}
	if (o->user && !user_ok(o->user)) {
		fatal("USAGE", -EINVAL, 0, "--user must be a changelog user as Lustre names them, such as cl1");
		return false;
	}
	c.h = h;
	c.mdt = o->mdt;
	c.user = o->user;
	c.next = o->start ? o->start : 1;
	c.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->changelog = &c;
	if (h->api.llapi_msg_set_level) /* its texts mislead, and replies say what is known */
		h->api.llapi_msg_set_level(LLAPI_MSG_FATAL);
	rc = c.stop_fd < 0 ? -errno : open_reader(&c);
	close_reader(&c);
	if (rc < 0) {
		fatal("NO_CHANGELOG", rc, 0, "the changelog of %s can't be opened: %s", c.mdt, strerror(-rc));
		return false;
	}
	return true;
}

static void changelog_after_hello(struct helper *h)
{
	struct changelog *c = h->changelog;
	int rc = pthread_create(&c->thread, NULL, read_changelog, c);

	c->running = rc == 0;
	if (rc != 0)
		tell_end(c, -rc, false);
}

static void changelog_stop(struct helper *h)
{
	struct changelog *c = h->changelog;
	uint64_t one = 1;

	if (!c || !c->running)
		return;
	if (write(c->stop_fd, &one, sizeof(one)) < 0)
		note("cannot stop reading: %s", strerror(errno));
	pthread_join(c->thread, NULL);
	c->running = false;
}

const struct mode mode_changelog = {
	.name = "changelog",
	.ops = changelog_ops,
	.start = changelog_start,
	.after_hello = changelog_after_hello,
	.stop = changelog_stop,
};
