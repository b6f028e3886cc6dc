/*
 * What tests need from the kernel and from liblustreapi that Node can't do: mapped memory, extended attributes, renames
 * with flags, exact times, imports, and datagrams. One call a run; prints `rc=N` (0 or a negative errno) and what was read.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The argument of LL_IOC_HSM_IMPORT (uapi lustre_user.h): 48 bytes. */
struct import_argument {
	uint64_t size, atime, mtime;
	uint32_t atime_ns, mtime_ns, uid, gid, mode, archive;
};
_Static_assert(sizeof(struct import_argument) == 48, "the kernel's size");
#define IMPORT_IOCTL _IOWR('f', 245, struct import_argument)
#define PATTERN_RAID0 0x1
#define PATTERN_RELEASED 0x80000000
struct fid { uint64_t seq; uint32_t oid, ver; };

static int say(long rc)
{
	printf("rc=%ld\n", rc < 0 ? (long)-errno : 0L);
	return 0;
}

static int map(const char *path, long offset, const char *text)
{
	size_t length = strlen(text);
	int fd = open(path, O_RDWR);
	if (fd < 0)
		return say(-1);
	char *at = mmap(NULL, offset + length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return say(-1);
	memcpy(at + offset, text, length);
	int rc = msync(at, offset + length, MS_SYNC);
	munmap(at, offset + length);
	close(fd);
	return say(rc);
}

static int map_read(const char *path, long length)
{
	int fd = open(path, O_RDONLY);
	char *at = fd < 0 ? MAP_FAILED : mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return say(-1);
	fwrite(at, 1, length, stdout);
	putchar('\n');
	return say(0);
}

static int get(const char *path, const char *name)
{
	static char value[65536];
	ssize_t length = lgetxattr(path, name, value, sizeof(value));
	for (ssize_t i = 0; i < length; i++)
		printf("%02x", (unsigned char)value[i]);
	if (length >= 0)
		putchar('\n');
	return say(length);
}

static int set_hex(const char *path, const char *name, const char *hex)
{
	static char value[65536];
	size_t length = 0;
	for (unsigned byte; length < sizeof(value) && sscanf(hex + 2 * length, "%2x", &byte) == 1; length++)
		value[length] = (char)byte;
	return say(lsetxattr(path, name, value, length, 0));
}

static int list(const char *path)
{
	static char names[65536];
	ssize_t length = llistxattr(path, names, sizeof(names));
	for (char *at = names; length > 0 && at < names + length; at += strlen(at) + 1)
		puts(at);
	return say(length);
}

static int touch(const char *path, long seconds, long nanoseconds)
{
	struct timespec times[2] = { { seconds, nanoseconds }, { seconds, nanoseconds } };
	return say(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}

/* library path size mode uid gid mtime archive stripes */
static int import_plain(void *library, char **a)
{
	int (*import)(const char *, int, const struct stat *, unsigned long long, int, int, int, char *, struct fid *);
	*(void **)&import = dlsym(library, "llapi_hsm_import");
	struct stat st = { .st_size = atoll(a[1]), .st_mode = strtol(a[2], NULL, 8), .st_uid = atoi(a[3]), .st_gid = atoi(a[4]) };
	struct fid fid = { 0, 0, 0 };
	st.st_mtim.tv_sec = atoll(a[5]);
	st.st_atim.tv_sec = atoll(a[5]) + 1;
	int rc = import(a[0], atoi(a[6]), &st, 0, -1, atoi(a[7]), PATTERN_RAID0, NULL, &fid);
	printf("0x%lx:0x%x:0x%x\nrc=%d\n", (unsigned long)fid.seq, fid.oid, fid.ver, rc);
	return 0;
}

/* The same arguments; made with O_EXCL, our attribute first, the full mode last. Stops half way when stripes is negative. */
static int import_exclusive(void *library, char **a)
{
	int (*make)(const char *, int, int, unsigned long long, int, int, int, char *);
	/* The stand-in's library brings an ioctl of its own, for what FUSE can't carry; otherwise this is libc's. */
	int (*control)(int, unsigned long, ...);
	*(void **)&make = dlsym(library, "llapi_file_open_pool");
	*(void **)&control = dlsym(library, "ioctl");
	int stripes = atoi(a[7]);
	int fd = make(a[0], O_CREAT | O_EXCL | O_WRONLY, 0600, 0, -1, abs(stripes), (int)(PATTERN_RAID0 | PATTERN_RELEASED), NULL);
	if (fd < 0) {
		printf("rc=%d\n", fd);
		return 0;
	}
	if (stripes < 0)
		return say(0);
	struct import_argument argument = {
		.size = strtoull(a[1], NULL, 10), .atime = strtoull(a[5], NULL, 10), .mtime = strtoull(a[5], NULL, 10),
		.mtime_ns = 123456789, .uid = atoi(a[3]), .gid = atoi(a[4]),
		.mode = (uint32_t)(strtol(a[2], NULL, 8) & 0777) | S_IFREG, .archive = atoi(a[6]),
	};
	if (fsetxattr(fd, "trusted.lfsazsync", "{\"v\":1}", 7, 0) < 0 || control(fd, IMPORT_IOCTL, &argument) < 0)
		return say(-1);
	return say(fchmod(fd, strtol(a[2], NULL, 8) & 07777));
}

/* The argument of LL_IOC_HSM_COPY_END (uapi lustre_user.h): 88 bytes; the number carries the size of a pointer. */
struct copy_argument {
	uint64_t data_version;
	uint16_t flags, error;
	uint32_t padding, item_size, action;
	struct fid fid, dfid;
	uint64_t offset, length, cookie, gid;
};
_Static_assert(sizeof(struct copy_argument) == 88, "the kernel's size");
#define COPY_END_IOCTL _IOC(_IOC_WRITE, 'f', 215, 8)

/* mount action (20: archive, 21: restore) fid cookie data-version error */
static int copy_end(char **a)
{
	struct copy_argument argument = { .item_size = 72, .action = atoi(a[1]), .data_version = strtoull(a[4], NULL, 10),
					  .error = atoi(a[5]), .cookie = strtoull(a[3], NULL, 10) };
	unsigned long long seq;
	int fd = open(a[0], O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return say(-1);
	if (sscanf(a[2], "%llx:%x:%x", &seq, &argument.fid.oid, &argument.fid.ver) != 3)
		return 1;
	argument.fid.seq = seq;
	return say(ioctl(fd, COPY_END_IOCTL, &argument));
}

static int import_with(char **a, int (*how)(void *, char **))
{
	void *library = dlopen(a[0], RTLD_NOW);
	if (library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	return how(library, a + 1);
}

/* library mdt extensions name: the flags of the record of this name, as the library gives it, and where its name is. */
static int changelog_record(char **a)
{
	struct record { uint16_t namelen, flags; uint32_t type; uint64_t index, previous, time; struct fid target, parent; } *rec;
	int (*start)(void **, int, const char *, long long), (*set)(void *, int), (*receive)(void *, void **);
	void *library = dlopen(a[0], RTLD_NOW), *reader = NULL, *got = NULL;

	_Static_assert(sizeof(*rec) == 64, "the kernel's size");
	if (library == NULL)
		return 1;
	*(void **)&start = dlsym(library, "llapi_changelog_start");
	*(void **)&set = dlsym(library, "llapi_changelog_set_xflags");
	*(void **)&receive = dlsym(library, "llapi_changelog_recv");
	int rc = start(&reader, 0x4 | 0x8 /* job and extra flags */, a[1], 0);
	if (rc == 0)
		rc = set(reader, atoi(a[2]));
	while (rc == 0 && (rc = receive(reader, &got)) == 0) {
		rec = got;
		char *at = (char *)(rec + 1);
		for (int offset = 0; rec->type == 1 && rec->namelen == strlen(a[3]) && offset < 512; offset++) {
			uint64_t extra;
			if (memcmp(at + offset, a[3], rec->namelen) != 0)
				continue;
			memcpy(&extra, at + (rec->flags & 0x2000 ? 32 : 0) + (rec->flags & 0x4000 ? 32 : 0), sizeof(extra));
			printf("flags=%#x extra=%#lx name=%d\n", rec->flags & 0xf000, (unsigned long)extra, offset);
			return say(0);
		}
		free(rec);
	}
	printf("rc=%d\n", rc);
	return 0;
}

/* socket count: listens there (a path, or @name) until so many datagrams have come, and prints them, '|' for line breaks. */
static int datagrams(const char *name, int count)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char message[4096];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strncpy(address.sun_path, name, sizeof(address.sun_path) - 1);
	if (name[0] == '@')
		address.sun_path[0] = 0;
	if (fd < 0 || bind(fd, (void *)&address, offsetof(struct sockaddr_un, sun_path) + strlen(name)) < 0)
		return say(-1);
	puts("listening");
	fflush(stdout);
	for (; count > 0; count--) {
		ssize_t length = recv(fd, message, sizeof(message), 0);
		if (length < 0)
			return say(-1);
		for (ssize_t i = 0; i < length; i++)
			putchar(message[i] == '\n' ? '|' : message[i]);
		putchar('\n');
		fflush(stdout);
	}
	return say(0);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	char **a = argv + 2;
#define IS(name, count) (strcmp(what, name) == 0 && argc == 2 + (count))
	if (IS("mmap-write", 3)) return map(a[0], atol(a[1]), a[2]);
	if (IS("mmap-read", 2)) return map_read(a[0], atol(a[1]));
	if (IS("setxattr", 3)) return say(lsetxattr(a[0], a[1], a[2], strlen(a[2]), 0));
	if (IS("setxattr_hex", 3)) return set_hex(a[0], a[1], a[2]);
	if (IS("getxattr", 2)) return get(a[0], a[1]);
	if (IS("removexattr", 2)) return say(lremovexattr(a[0], a[1]));
	if (IS("listxattr", 1)) return list(a[0]);
	if (IS("rename", 3)) return say(renameat2(AT_FDCWD, a[0], AT_FDCWD, a[1], atoi(a[2])));
	if (IS("touch", 3)) return touch(a[0], atol(a[1]), atol(a[2]));
	if (IS("tmpfile", 1)) return say(open(a[0], O_TMPFILE | O_RDWR, 0600));
	if (IS("changelog-record", 4)) return changelog_record(a);
	if (IS("copy-end", 6)) return copy_end(a);
	if (IS("datagrams", 2)) return datagrams(a[0], atoi(a[1]));
	if (IS("import", 9)) return import_with(a, import_plain);
	if (IS("import-exclusive", 9)) return import_with(a, import_exclusive);
	fprintf(stderr, "usage: seam-tool WHAT ARGUMENTS…\n");
	return 2;
}
