/*
 * A bare parallel walk: getdents64 and statx of every name, on some threads, and nothing else. What a scan is measured by.
 * usage: statx-walk DIR THREADS      prints the number of entries
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct item {
	struct item *next;
	char path[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct item *stack;
static int busy;
static unsigned long entries;

static void push(const char *dir, const char *name)
{
	struct item *i = malloc(sizeof(*i) + strlen(dir) + strlen(name) + 2);

	sprintf(i->path, "%s%s%s", dir, *name ? "/" : "", name);
	pthread_mutex_lock(&lock);
	i->next = stack;
	stack = i;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

static unsigned long list(const char *path)
{
	DIR *d = opendir(path);
	unsigned long seen = 0;
	struct dirent *e;
	struct statx st;

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, ".lustre"))
			continue;
		if (statx(dirfd(d), e->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st) < 0)
			continue;
		seen++;
		if (S_ISDIR(st.stx_mode))
			push(path, e->d_name);
	}
	if (d)
		closedir(d);
	return seen;
}

static void *work(void *unused)
{
	pthread_mutex_lock(&lock);
	for (;;) {
		struct item *i = stack;
		unsigned long seen;

		if (!i && busy == 0)
			break;
		if (!i) {
			pthread_cond_wait(&more, &lock);
			continue;
		}
		stack = i->next;
		busy++;
		pthread_mutex_unlock(&lock);
		seen = list(i->path);
		free(i);
		pthread_mutex_lock(&lock);
		entries += seen;
		busy--;
		if (!stack && busy == 0)
			pthread_cond_broadcast(&more);
	}
	pthread_mutex_unlock(&lock);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[256];
	int count = argc == 3 ? atoi(argv[2]) : 0;

	if (count < 1 || count > 256)
		return 2;
	push(argv[1], "");
	for (int i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("%lu\n", entries);
	return 0;
}
