/*
 * The bare loop that an import is held to: files made by llapi_hsm_import, on some threads, and nothing else.
 * import-loop LIBRARY DIRECTORY FILES THREADS: makes FILES files in DIRECTORY/0, /1, …, 1,000 in each; prints seconds.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

struct fid { uint64_t seq; uint32_t oid, ver; };
typedef int import_fn(const char *, int, const struct stat *, unsigned long long, int, int, int, char *, struct fid *);

static import_fn *import;
static const char *top;
static long files, threads;

static void *work(void *arg)
{
	for (long i = (long)(intptr_t)arg; i < files; i += threads) {
		char path[4096];
		struct stat st = { .st_size = 4096, .st_mode = 0640, .st_uid = 1000, .st_gid = 1000 };
		struct fid fid;

		st.st_mtim.tv_sec = st.st_atim.tv_sec = 1500000000;
		snprintf(path, sizeof(path), "%s/%ld/f%ld", top, i / 1000, i);
		if (import(path, 1, &st, 0, -1, 0, 1, NULL, &fid) < 0)
			exit(1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t all[256];
	struct timespec a, b;
	void *library = argc == 5 ? dlopen(argv[1], RTLD_NOW) : NULL;

	if (!library || !(*(void **)&import = dlsym(library, "llapi_hsm_import")))
		return 2;
	top = argv[2];
	files = atol(argv[3]);
	threads = atol(argv[4]) > 256 ? 256 : atol(argv[4]);
	for (long d = 0; d * 1000 < files; d++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%ld", top, d);
		mkdir(path, 0755);
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (long t = 0; t < threads; t++)
		pthread_create(&all[t], NULL, work, (void *)(intptr_t)t);
	for (long t = 0; t < threads; t++)
		pthread_join(all[t], NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.3f\n", (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return 0;
}
