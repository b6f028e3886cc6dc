/*
 * lustre-simd: the stand-in Lustre's daemon. Options, start, end.
 */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

struct sim sim = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char usage[] =
	"usage: lustre-simd --dir STATE --mount MNT [--mount MNT2 …] [options]\n"
	"  --dir DIR            where the state is kept; made if missing; resumed if not\n"
	"  --mount DIR          a mount, a Lustre client of its own; up to 16\n"
	"  --fsname NAME        default lustrefs\n"
	"  --mdts N             default 1, up to 8 (as before, when resumed)\n"
	"  --osts N             default 2 (as before, when resumed)\n"
	"  --ost-size SIZE      of each, with K, M or G; plain: KiB; default 1G\n"
	"  --sim-version V      2.15 or 2.17 (default; or LUSTRE_SIM_VERSION)\n"
	"  --no-changelog-user  a new file system begins without cl1, so without records\n"
	"  --foreground         do not go into the background; says 'ready' on standard output\n"
	"Ends on SIGTERM and on the verb `quit`, unmounting. Files: DIR/sock, DIR/pid, DIR/log.\n";

static FILE *log_file;

void sim_lock(void)
{
	pthread_mutex_lock(&sim.lock);
	cl_begin();
}

void sim_unlock(void)
{
	store_commit();
	pthread_mutex_unlock(&sim.lock);
}

int64_t now_sec(void)
{
	return (int64_t)time(NULL);
}

void sim_log(const char *fmt, ...)
{
	char when[32];
	time_t t = time(NULL);
	struct tm tm;
	va_list ap;

	if (log_file == NULL)
		return;
	strftime(when, sizeof(when), "%F %T", localtime_r(&t, &tm));
	flockfile(log_file);
	fprintf(log_file, "%s ", when);
	va_start(ap, fmt);
	vfprintf(log_file, fmt, ap);
	va_end(ap);
	fputc('\n', log_file);
	fflush(log_file);
	funlockfile(log_file);
}

static void no_memory(void)
{
	static const char text[] = "lustre-simd: out of memory\n";

	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(71);
	_exit(71);
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL)
		no_memory();
	return p;
}

void *xrealloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	if (p == NULL)
		no_memory();
	return p;
}

void *xmemdup(const void *p, size_t len)
{
	void *c = xcalloc(1, len + 1);

	if (len)
		memcpy(c, p, len);
	return c;
}

char *xstrdup(const char *s)
{
	return xmemdup(s, strlen(s));
}

static bool size_kb(const char *text, uint64_t *kb)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	if (end == text)
		return false;
	if (*end == 'M')
		v *= 1024;
	else if (*end == 'G')
		v *= 1024 * 1024;
	else if (*end == 'T')
		v *= 1024 * 1024 * 1024;
	else if (*end != 'K' && *end != '\0')
		return false;
	*kb = v;
	return v > 0 && (*end == '\0' || end[1] == '\0');
}

/* Names of clients that stay the same over restarts. */
static void make_uuid(struct mnt *m)
{
	uint64_t h = 1469598103934665603ULL, g;

	for (const char *p = m->path; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211ULL;
	g = h * 0x9e3779b97f4a7c15ULL;
	snprintf(m->uuid, sizeof(m->uuid), "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(h >> 32), (unsigned)(h >> 16 & 0xffff),
		 (unsigned)(h & 0xfff), (unsigned)(g >> 52), (unsigned long long)(g & 0xffffffffffffULL));
}

static int die(const char *what, int rc)
{
	fprintf(stderr, "lustre-simd: %s: %s\n", what, strerror(-rc));
	sim_log("%s: %s", what, strerror(-rc));
	return 1;
}

static int take_dir(const char *dir)
{
	char real[PATH_MAX], path[PATH_MAX + 16];

	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return -errno;
	if (realpath(dir, real) == NULL)
		return -errno;
	sim.dir = xstrdup(real);
	snprintf(path, sizeof(path), "%s/lock", real);
	sim.lockfd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (sim.lockfd < 0)
		return -errno;
	/* a daemon that was just killed may take a moment to go */
	for (int i = 0; i < 50; i++) {
		if (flock(sim.lockfd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		usleep(100000);
	}
	return -EBUSY;
}

static void write_pid(void)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/pid", sim.dir);
	f = fopen(path, "we");
	if (f == NULL)
		return;
	fprintf(f, "%d\n", (int)getpid());
	fclose(f);
}

/* The parent waits for the child's word. Returns the descriptor to say it on, -1 in the foreground. */
static int go_background(void)
{
	int fds[2];
	char word;
	pid_t pid;

	if (pipe(fds) != 0)
		return -1;
	pid = fork();
	if (pid < 0)
		exit(die("cannot fork", -errno));
	if (pid > 0) {
		close(fds[1]);
		_exit(read(fds[0], &word, 1) == 1 && word == '0' ? 0 : 1);
	}
	close(fds[0]);
	setsid();
	return fds[1];
}

static void detach(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (null > 2)
			close(null);
	}
	if (write(fd, "0", 1) < 0)
		sim_log("the starter is gone");
	close(fd);
}

static int start(bool cl_user, unsigned osts, uint64_t ost_kb, bool osts_given)
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/log", sim.dir);
	log_file = fopen(path, "ae");
	sim.nosts = osts;
	for (unsigned i = 0; i < MAX_OSTS; i++)
		sim.osts[i].size_kb = ost_kb;
	sim.next_obj = 1;
	sim.next_dv = 0x100000000ULL;
	sim.cdt.state = CDT_RUNNING;
	params_init();
	ns_init();
	rc = store_open();
	if (rc)
		return die("cannot load the state", rc);
	(void)osts_given;
	sim_lock();
	ops_init();
	if (cl_user)
		cl_init_default_user();
	cdt_resume();
	sim_unlock();
	rc = server_start();
	if (rc)
		return die("cannot listen on DIR/sock", rc);
	hsm_start_threads();
	rc = mounts_start();
	if (rc) {
		server_stop();
		return die("cannot mount", rc);
	}
	cdt_start_thread();
	write_pid();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },	 { "mount", required_argument, NULL, 'm' },
		{ "fsname", required_argument, NULL, 'f' },	 { "osts", required_argument, NULL, 'o' },
		{ "mdts", required_argument, NULL, 'M' },
		{ "ost-size", required_argument, NULL, 's' },	 { "sim-version", required_argument, NULL, 'v' },
		{ "no-changelog-user", no_argument, NULL, 'n' }, { "foreground", no_argument, NULL, 'F' },
		{ "help", no_argument, NULL, 'h' },		 { NULL, 0, NULL, 0 },
	};
	const char *dir = NULL, *version = getenv("LUSTRE_SIM_VERSION");
	bool foreground = false, cl_user = true, osts_given = false;
	struct rlimit files = { 65536, 65536 };
	unsigned osts = 2;
	uint64_t ost_kb = 1024 * 1024;
	sigset_t set;
	int opt, rc, word = -1, sig;

	strcpy(sim.fsname, "lustrefs");
	sim.nmdts = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		char real[PATH_MAX];

		switch (opt) {
		case 'd':
			dir = optarg;
			break;
		case 'm':
			if (sim.nmounts == MAX_MOUNTS)
				return die("too many mounts", -E2BIG);
			/* a dead mount can't be resolved: taken as it is */
			sim.mounts[sim.nmounts].path = xstrdup(realpath(optarg, real) ? real : optarg);
			make_uuid(&sim.mounts[sim.nmounts++]);
			break;
		case 'f':
			if (strlen(optarg) < 1 || strlen(optarg) > 8)
				return die("--fsname", -EINVAL);
			strcpy(sim.fsname, optarg);
			break;
		case 'o':
			osts = (unsigned)atoi(optarg);
			osts_given = true;
			if (osts < 1 || osts > MAX_OSTS)
				return die("--osts", -EINVAL);
			break;
		case 'M':
			sim.nmdts = (unsigned)atoi(optarg);
			if (sim.nmdts < 1 || sim.nmdts > MAX_MDTS)
				return die("--mdts", -EINVAL);
			break;
		case 's':
			if (!size_kb(optarg, &ost_kb))
				return die("--ost-size", -EINVAL);
			break;
		case 'v':
			version = optarg;
			break;
		case 'n':
			cl_user = false;
			break;
		case 'F':
			foreground = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (dir == NULL || sim.nmounts == 0 || optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (version && strcmp(version, "2.15") == 0)
		sim.v215 = true;
	else if (version && strcmp(version, "2.17") != 0)
		return die("the version must be 2.15 or 2.17", -EINVAL);
	umask(0);
	setrlimit(RLIMIT_NOFILE, &files);
	if (!foreground)
		word = go_background();
	rc = take_dir(dir);
	if (rc)
		return die(rc == -EBUSY ? "another lustre-simd has this directory" : dir, rc);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (start(cl_user, osts, ost_kb, osts_given) != 0)
		return 1;
	if (foreground) {
		puts("ready");
		fflush(stdout);
	} else {
		detach(word);
	}
	sim_log("ready, pid %d", (int)getpid());
	sigwait(&set, &sig);
	mounts_stop();
	server_stop();
	sim_lock();
	store_commit();
	sim_log("ended");
	_exit(0);
}
