/* The frame of every mode: options, the library, hello, the reader of standard input, and an orderly, bounded end. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "entry.h"
#include "helper.h"
#include "lines.h"
#include "out.h"
#include "pool.h"
#include "request.h"

enum {
	EXIT_FATAL = 1,
	EXIT_USAGE = 2,
	EXIT_STUCK = 3,
	THREADS_DEFAULT = 8,
	THREADS_MAX = 256,
	QUEUE_PER_THREAD = 64,
	END_THREADS = 32,
	PROGRESS_THREADS = 64,
	SAME_MDT = 4, /* of those: a metadata server that is down takes no more */
	QUEUE_QUICK = 65536, /* short lines, of as many actions as can be open */
	ARCHIVES_MAX = 4096,
	INTERVAL_MAX = 60000,
	RENEW_MAX = 86400000,
	DRAIN_MS = 3000,
	LEAVE_SECONDS = 10,
	ERRVAL_DEFAULT = EINTR,
};

static const struct mode mode_attrs = { .name = "attrs" };

static const struct mode *const modes[] = { &mode_attrs, &mode_copytool, &mode_changelog, &mode_scan, &mode_import };

static const char usage[] =
	"usage: lfsazsync-helper MODE --mount DIR [--liblustreapi FILE] [--threads N]\n"
	"       MODE copytool: [--archive N]... [--lock FILE] [--keep FILE] [--renew MS]\n"
	"       MODE attrs\n"
	"       MODE scan\n"
	"       MODE import\n"
	"       MODE changelog: --mdt NAME [--user ID] [--start INDEX] [--interval MILLISECONDS]\n"
	"Speaks lines of JSON on standard input and output; see docs/internals/helper-protocol.md.\n";

static bool number(const char *text, unsigned long max, unsigned long *value)
{
	uint64_t v;

	if (!parse_u64(text, strlen(text), &v) || v > max)
		return false;
	*value = (unsigned long)v;
	return true;
}

static int bad_usage(const char *what, const char *value)
{
	fatal("USAGE", -EINVAL, 0, "%s%s%s", what, value ? ": " : "", value ? value : "");
	fputs(usage, stderr);
	return EXIT_USAGE;
}

/* 0, or the status to leave with. */
static int parse_options(int argc, char **argv, struct options *o, const struct mode **mode)
{
	static const struct option known[] = {
		{ "mount", required_argument, NULL, 'm' },   { "liblustreapi", required_argument, NULL, 'l' },
		{ "threads", required_argument, NULL, 't' }, { "archive", required_argument, NULL, 'a' },
		{ "lock", required_argument, NULL, 'k' },    { "keep", required_argument, NULL, 'p' },
		{ "mdt", required_argument, NULL, 'd' },     { "user", required_argument, NULL, 'u' },
		{ "start", required_argument, NULL, 's' },   { "interval", required_argument, NULL, 'i' },
		{ "renew", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long n;
	int c;

	*o = (struct options){ .library = "liblustreapi.so.1", .threads = THREADS_DEFAULT };
	if (argc < 2)
		return bad_usage("a mode is needed", NULL);
	o->mode = argv[1];
	*mode = NULL;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i]->name, o->mode) == 0)
			*mode = modes[i];
	if (!*mode)
		return bad_usage("unknown mode", o->mode);
	o->archives = calloc(ARCHIVES_MAX, sizeof(*o->archives));
	if (!o->archives)
		return bad_usage("out of memory", NULL);
	opterr = 0;
	while ((c = getopt_long(argc - 1, argv + 1, "", known, NULL)) != -1) {
		switch (c) {
		case 'm':
			o->mount = optarg;
			break;
		case 'l':
			o->library = optarg;
			break;
		case 't':
			if (!number(optarg, THREADS_MAX, &n) || n == 0)
				return bad_usage("--threads must be from 1 to 256", optarg);
			o->threads = (unsigned)n;
			break;
		case 'a':
			if (!number(optarg, INT_MAX, &n) || n == 0 || o->archive_count == ARCHIVES_MAX)
				return bad_usage("--archive must be a positive archive id", optarg);
			o->archives[o->archive_count++] = (int)n;
			break;
		case 'k':
			o->lock = optarg;
			break;
		case 'p':
			o->keep = optarg;
			break;
		case 'd':
			o->mdt = optarg;
			break;
		case 'u':
			o->user = optarg;
			break;
		case 's':
			if (!parse_u64(optarg, strlen(optarg), &o->start) || o->start > INT64_MAX)
				return bad_usage("--start must be a record's index", optarg);
			break;
		case 'i':
			if (!number(optarg, INTERVAL_MAX, &o->interval) || o->interval == 0)
				return bad_usage("--interval must be from 1 to 60000 milliseconds", optarg);
			break;
		case 'r':
			if (!number(optarg, RENEW_MAX, &o->renew))
				return bad_usage("--renew must be milliseconds, at most a day, or 0", optarg);
			break;
		default:
			return bad_usage("unknown option, or one without its value", argv[optind]);
		}
	}
	if (optind + 1 < argc)
		return bad_usage("an argument too many", argv[optind + 1]);
	if (!o->mount)
		return bad_usage("--mount is needed", NULL);
	if (*mode != &mode_copytool && (o->lock || o->keep || o->renew || o->archive_count > 0))
		return bad_usage("--archive, --lock, --keep and --renew belong to the mode copytool", NULL);
	if (*mode != &mode_changelog && (o->mdt || o->user || o->start || o->interval))
		return bad_usage("--mdt, --user, --start and --interval belong to the mode changelog", NULL);
	return 0;
}

/* The library and the mount. False after `fatal`. */
static bool connect_lustre(struct helper *h)
{
	char message[PATH_MAX + 256];
	enum llapi_status status = llapi_load(&h->api, h->options.library, message, sizeof(message));

	if (status != LLAPI_OK) {
		fatal(status == LLAPI_NO_LIBRARY ? "NO_LIBRARY" : "LIBRARY_UNFIT",
		      status == LLAPI_NO_LIBRARY ? -ENOENT : -ENOSYS, 0, "%s", message);
		return false;
	}
	if (geteuid() != 0) {
		fatal("NOT_ROOT", -EPERM, 0, "opening by FID, trusted xattrs and the copytool's channel need root");
		return false;
	}
	if (!fs_open(h))
		return false;
	h->ways = entry_ways(h);
	if (llapi_check_version(&h->api, message, sizeof(message)) != LLAPI_OK) {
		fatal("LIBRARY_UNFIT", -EPROTO, 0, "%s", message);
		return false;
	}
	return true;
}

static void say_hello(const struct helper *h)
{
	struct buf b = { 0 };

	buf_printf(&b, "{\"t\":\"hello\",\"protocol\":%d,\"helper\":\"" HELPER_VERSION "\",\"mode\":\"%s\",\"llapi\":",
		   PROTOCOL_VERSION, h->options.mode);
	buf_json_string(&b, h->api.version, strlen(h->api.version));
	buf_str(&b, ",\"lib\":");
	buf_json_string(&b, h->api.path, strlen(h->api.path));
	buf_str(&b, ",");
	buf_json_bytes(&b, "mount", h->options.mount, strlen(h->options.mount));
	buf_str(&b, ",\"fsname\":");
	buf_json_string(&b, h->fsname, strlen(h->fsname));
	buf_str(&b, "}");
	out_line(&b);
	buf_free(&b);
}

struct reader {
	struct lines lines;
	struct pool *pools[LANES]; /* but for the mode copytool, only the first */
	int signal_fd, room_fd, stop_fd;
};

/* Gives the pool every whole line that has been read. False when the pool is full. */
static bool pass_lines(struct reader *r)
{
	char *line;
	size_t len;

	for (;;) {
		switch (lines_peek(&r->lines, &line, &len)) {
		case LINES_NONE:
			return true;
		case LINES_TOO_LONG:
			out_error(-EMSGSIZE, "a line is longer than 1 MiB; it was ignored");
			lines_drop(&r->lines);
			break;
		case LINES_LINE:
			if (len > 0) {
				char *copy = malloc(len + 1);

				if (!copy) {
					out_error(-ENOMEM, "out of memory; a line was ignored");
				} else {
					uint64_t sequence = 0;
					enum lane lane = r->pools[LANE_END] ? request_lane(line, len, &sequence) : LANE_GENERAL;

					memcpy(copy, line, len);
					if (!pool_put(r->pools[lane], copy, len, sequence)) {
						free(copy);
						return false;
					}
				}
			}
			lines_drop(&r->lines);
			break;
		}
	}
}

static void swallow(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* Reads requests until standard input ends, a signal comes, nobody reads our output, or `quit`. */
static void read_requests(struct reader *r)
{
	bool full = false, over = false;

	for (;;) {
		struct pollfd p[] = {
			{ .fd = r->signal_fd, .events = POLLIN },
			{ .fd = r->stop_fd, .events = POLLIN },
			{ .fd = r->room_fd, .events = POLLIN },
			/* a full queue makes the asker wait; but it may go away */
			{ .fd = over ? -1 : STDIN_FILENO, .events = full ? 0 : POLLIN },
		};
		int ready = poll(p, 4, over ? DRAIN_MS : -1);

		if (ready < 0) {
			if (errno == EINTR)
				continue;
			note("poll: %s", strerror(errno));
			return;
		}
		if (p[0].revents || p[1].revents || ready == 0)
			return; /* ready == 0: nobody asks any more, and nothing of what was asked comes to an end */
		if (p[2].revents) {
			swallow(r->room_fd);
			full = !pass_lines(r);
		}
		over = full && (over || (p[3].revents & (POLLHUP | POLLERR)) != 0);
		if (full || !p[3].revents)
			continue;

		char *room;
		size_t size = lines_room(&r->lines, &room);
		ssize_t n = read(STDIN_FILENO, room, size);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0) {
			if (lines_partial(&r->lines))
				out_error(-EINVAL, "the last line has no end; it was ignored");
			return;
		}
		lines_read(&r->lines, (size_t)n);
		full = !pass_lines(r);
	}
}

/* If a thread is stuck in the kernel, nobody waits for it longer than this. */
static void *watchdog(void *unused)
{
	struct timespec left = { .tv_sec = LEAVE_SECONDS };

	(void)unused;
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	note("not everything could be ended within %d s; leaving all the same", LEAVE_SECONDS);
	_exit(EXIT_STUCK);
}

static uint64_t same_server(void *ctx, uint64_t sequence)
{
	(void)ctx;
	return mdts_server(sequence);
}

static bool start_pools(struct reader *r, unsigned threads, bool lanes, struct request_context *context)
{
	struct pool_options o = { threads, threads * QUEUE_PER_THREAD, r->room_fd, request_work, NULL, 0, context };

	r->pools[LANE_GENERAL] = pool_start(&o);
	if (!lanes)
		return r->pools[LANE_GENERAL];
	o.bound = QUEUE_QUICK;
	o.same = same_server;
	o.same_most = SAME_MDT;
	o.threads = END_THREADS;
	r->pools[LANE_END] = pool_start(&o);
	o.threads = PROGRESS_THREADS;
	r->pools[LANE_PROGRESS] = pool_start(&o);
	return r->pools[LANE_GENERAL] && r->pools[LANE_END] && r->pools[LANE_PROGRESS];
}

/* Waits for all requests, DRAIN_MS altogether. */
static bool drain_pools(const struct reader *r)
{
	struct timespec start, now;
	bool idle = true;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < LANES && r->pools[i]; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);

		long long spent = (now.tv_sec - start.tv_sec) * 1000LL + (now.tv_nsec - start.tv_nsec) / 1000000;

		idle &= pool_drain(r->pools[i], spent < DRAIN_MS ? (unsigned)(DRAIN_MS - spent) : 0);
	}
	return idle;
}

static void run(struct helper *h, const struct mode *mode, int signal_fd)
{
	struct request_context context = { .h = h, .mode = mode };
	struct reader r = { .signal_fd = signal_fd, .stop_fd = h->stop_fd, .room_fd = eventfd(0, EFD_CLOEXEC) };
	pthread_t dog;

	if (r.room_fd < 0 || !start_pools(&r, h->options.threads, mode == &mode_copytool, &context) || !lines_init(&r.lines)) {
		out_error(-ENOMEM, "cannot start the threads");
		_exit(EXIT_FATAL);
	}
	if (mode->after_hello)
		mode->after_hello(h);
	read_requests(&r);
	out_leaving();
	if (mode->leaving)
		mode->leaving(h);

	if (pthread_create(&dog, NULL, watchdog, NULL) == 0)
		pthread_detach(dog);

	bool idle = drain_pools(&r);

	if (mode->stop)
		mode->stop(h);
	if (h->quit_n >= 0) {
		struct buf b = { 0 };

		buf_printf(&b, "{\"t\":\"reply\",\"n\":%lld,\"rc\":0}", h->quit_n);
		out_line(&b);
		buf_free(&b);
	}
	if (!idle)
		_exit(0); /* threads are in the kernel; all that could be ended was */
	for (int i = 0; i < LANES && r.pools[i]; i++)
		pool_end(r.pools[i]);
	lines_free(&r.lines);
	close(r.room_fd);
}

/*
 * Signals arrive on a descriptor; a reader that goes away gives EPIPE. Who has us on a pipe ends us by closing it: a
 * service manager that signals the whole group at once means our asker, who needs us until what is at work has ended.
 */
static int signals(void)
{
	static const int ending[] = { SIGTERM, SIGINT, SIGHUP };
	bool ours = isatty(STDIN_FILENO);
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		if (ours)
			sigaddset(&set, ending[i]);
		else
			signal(ending[i], SIG_IGN);
	}
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	static struct helper h = { .mount_fd = -1, .fid_fd = -1, .quit_n = -1, .quit_errval = ERRVAL_DEFAULT };
	const struct mode *mode = NULL;
	int signal_fd = signals(), status;

	h.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	out_init(STDOUT_FILENO, h.stop_fd);
	status = parse_options(argc, argv, &h.options, &mode);
	if (status == 0 && (signal_fd < 0 || h.stop_fd < 0)) {
		fatal("USAGE", -errno, 0, "cannot make descriptors: %s", strerror(errno));
		status = EXIT_FATAL;
	}
	if (status == 0) {
		status = EXIT_FATAL;
		if (connect_lustre(&h)) {
			if (!mode->start || mode->start(&h)) {
				say_hello(&h);
				run(&h, mode, signal_fd);
				status = 0;
			} else if (mode->stop) {
				mode->stop(&h);
			}
		}
		fs_close(&h);
	}
	free(h.options.archives);
	return status;
}
