/*
 * Faults on demand (FAULTS.md): errors of reads and writes, slow operations, late answers, short reads, a crash at a
 * named point.
 */
#include "sim.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fault {
	struct fault *next;
	char *spec;
	enum { F_IO, F_SLOW, F_LATE, F_SHORT, F_CRASH } kind;
	char what[32]; /* operation or point; "*" any */
	struct pfid fid;
	bool any;
	int ost; /* only files with an object there; -1: any */
	int err;
	unsigned ms;
	long left; /* how often still; -1: always */
	long skip; /* let this many pass first */
};

static struct fault *faults;
static unsigned active;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int errno_of(const char *name)
{
	static const struct {
		const char *name;
		int err;
	} known[] = { { "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT }, { "ESTALE", ESTALE }, { "EINTR", EINTR },
		      { "ENODATA", ENODATA }, { "ETIMEDOUT", ETIMEDOUT }, { "EAGAIN", EAGAIN }, { "EACCES", EACCES },
		      { "EROFS", EROFS }, { "ENOTCONN", ENOTCONN } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].err;
	return atoi(name);
}

/* kind:what[:key=value…], e.g. "error:read:fid=0x…,errno=EIO", "slow:write,ms=200", "crash:after-journal,skip=3" */
int fault_set(const char *spec)
{
	struct fault *f = xcalloc(1, sizeof(*f));
	char *copy = xstrdup(spec), *save = NULL, *word;
	const char *kind;

	f->spec = xstrdup(spec);
	f->left = -1;
	f->any = true;
	f->ost = -1;
	f->err = EIO;
	strcpy(f->what, "*");
	kind = strtok_r(copy, ",", &save);
	if (kind == NULL)
		goto bad;
	{
		char *colon = strchr((char *)(uintptr_t)kind, ':');

		if (colon) {
			*colon = '\0';
			snprintf(f->what, sizeof(f->what), "%s", colon + 1);
		}
	}
	if (strcmp(kind, "error") == 0)
		f->kind = F_IO;
	else if (strcmp(kind, "slow") == 0)
		f->kind = F_SLOW;
	else if (strcmp(kind, "late") == 0)
		f->kind = F_LATE;
	else if (strcmp(kind, "short") == 0 && strcmp(f->what, "read") == 0)
		f->kind = F_SHORT;
	else if (strcmp(kind, "crash") == 0)
		f->kind = F_CRASH;
	else
		goto bad;
	while ((word = strtok_r(NULL, ",", &save)) != NULL) {
		char *eq = strchr(word, '=');

		if (eq == NULL)
			goto bad;
		*eq++ = '\0';
		if (strcmp(word, "fid") == 0) {
			if (!pfid_parse(eq, &f->fid))
				goto bad;
			f->any = false;
		} else if (strcmp(word, "ost") == 0) {
			f->ost = atoi(eq);
		} else if (strcmp(word, "errno") == 0) {
			f->err = errno_of(eq);
			if (f->err <= 0)
				goto bad;
		} else if (strcmp(word, "ms") == 0) {
			f->ms = (unsigned)atoi(eq);
		} else if (strcmp(word, "count") == 0) {
			f->left = atol(eq);
		} else if (strcmp(word, "skip") == 0) {
			f->skip = atol(eq);
		} else {
			goto bad;
		}
	}
	free(copy);
	pthread_mutex_lock(&lock);
	f->next = faults;
	faults = f;
	__atomic_add_fetch(&active, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&lock);
	return 0;
bad:
	free(copy);
	free(f->spec);
	free(f);
	return -EINVAL;
}

void fault_clear(const char *spec)
{
	pthread_mutex_lock(&lock);
	for (struct fault **at = &faults; *at;) {
		struct fault *f = *at;

		if (spec && *spec && strcmp(f->spec, spec) != 0) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		__atomic_sub_fetch(&active, 1, __ATOMIC_SEQ_CST);
		free(f->spec);
		free(f);
	}
	pthread_mutex_unlock(&lock);
}

void fault_rows(void (*row)(void *ctx, const char *spec), void *ctx)
{
	pthread_mutex_lock(&lock);
	for (const struct fault *f = faults; f; f = f->next)
		row(ctx, f->spec);
	pthread_mutex_unlock(&lock);
}

bool fault_active(void)
{
	return __atomic_load_n(&active, __ATOMIC_SEQ_CST) != 0;
}

/* The first fault that fits, counted; its numbers are copied out. */
static bool hit(int kind, const char *what, const struct node *n, int *err, unsigned *ms)
{
	bool found = false;

	if (!fault_active())
		return false;
	pthread_mutex_lock(&lock);
	for (struct fault *f = faults; f && !found; f = f->next) {
		if ((int)f->kind != kind || (strcmp(f->what, "*") != 0 && strcmp(f->what, what) != 0))
			continue;
		if (!f->any && (n == NULL || !fid_eq(&f->fid, &n->fid)))
			continue;
		if (f->ost >= 0 && (n == NULL || !layout_on_ost(n, (unsigned)f->ost)))
			continue;
		if (f->skip > 0) {
			f->skip--;
			continue;
		}
		if (f->left == 0)
			continue;
		if (f->left > 0)
			f->left--;
		*err = f->err;
		*ms = f->ms;
		found = true;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

void fault_slow(const char *op)
{
	unsigned ms = 0;
	int err;

	if (hit(F_SLOW, op, NULL, &err, &ms))
		usleep(ms * 1000);
}

bool fault_late(const char *op)
{
	unsigned ms;
	int err;

	return hit(F_LATE, op, NULL, &err, &ms);
}

void fault_wait_clear(void)
{
	bool late = true;

	while (late) {
		late = false;
		pthread_mutex_lock(&lock);
		for (const struct fault *f = faults; f; f = f->next)
			late |= f->kind == F_LATE;
		pthread_mutex_unlock(&lock);
		if (late)
			usleep(20000);
	}
}

size_t fault_short(const char *op, const struct node *n, size_t size)
{
	unsigned ms;
	int err;

	return size > 1 && hit(F_SHORT, op, n, &err, &ms) ? size / 2 : size;
}

int fault_io(const char *op, const struct node *n)
{
	unsigned ms;
	int err = 0;

	return hit(F_IO, op, n, &err, &ms) ? -err : 0;
}

void fault_point(const char *point)
{
	unsigned ms;
	int err;

	if (hit(F_CRASH, point, NULL, &err, &ms))
		kill(getpid(), SIGKILL);
}
