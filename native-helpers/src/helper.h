/* What the modes share: options, the mounted file system, requests, and the table of modes. */
#ifndef LFSAZSYNC_HELPER_H
#define LFSAZSYNC_HELPER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "buf.h"
#include "fields.h"
#include "llapi.h"

#define HELPER_VERSION "0.1.0"
enum { PROTOCOL_VERSION = 1 };
enum { FID_TEXT = 48 };

struct options {
	const char *mode;
	const char *mount;
	const char *library;
	const char *lock;
	const char *mdt;	/* changelog: whose */
	const char *user;	/* changelog: who clears */
	uint64_t start;		/* changelog: the first index, 0: the first there is */
	unsigned long interval; /* changelog: milliseconds between two looks, 0: the default */
	unsigned threads;
	int *archives;
	int archive_count;
	unsigned long renew; /* milliseconds after which an idle copytool registers anew; 0: never */
	/*
	 * When standard input ends, open actions are left to be adopted; those that were not named in any request, which
	 * the asker may not know, are written into this file.
	 */
	const char *keep;
};

/* What this client offers without opening files. */
struct entry_ways {
	bool handles;  /* FIDs by name_to_handle_at */
	bool projects; /* the xattr trusted.projid */
};

struct helper {
	struct options options;
	struct llapi api;
	char fsname[PATH_MAX];
	char mount[PATH_MAX]; /* without symlinks */
	int mount_fd;         /* of the mount's root: ioctls, paths */
	int fid_fd;           /* of .lustre/fid */
	struct lu_fid root;   /* of the mount */
	dev_t device;
	struct entry_ways ways;
	int stop_fd;      /* eventfd: become readable when it is time to leave */
	long long quit_n; /* `n` of the quit request, -1 if there was none */
	uint32_t quit_errval;
	struct copytool *copytool;
	struct changelog *changelog;
	struct scan *scan;
};

struct request {
	struct helper *h;
	const struct json *object;
	struct fields fields;
	char error[256]; /* for people, with a negative rc */
	struct buf event; /* a line to write after the reply, if any */
};

/*
 * Carries out a request: appends what its reply has (each field with a comma before it), and returns rc. On a negative
 * rc what was appended is kept, too.
 */
typedef int op_fn(struct request *rq, struct buf *out);

struct op {
	const char *name;
	op_fn *run;
};

struct mode {
	const char *name;
	const struct op *ops; /* ended by a NULL name; besides those of files */
	bool (*start)(struct helper *h);      /* may be NULL; on false `fatal` has been written */
	void (*after_hello)(struct helper *h); /* may be NULL */
	void (*leaving)(struct helper *h);    /* may be NULL; no request comes any more, those under way go on */
	void (*stop)(struct helper *h);       /* may be NULL; ends what is open */
};

/* Writes the fatal line. */
void fatal(const char *code, int rc, long holder, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* rc -EINVAL with the complaint of the fields. */
int bad_request(struct request *rq);
/* Sets the request's error text, and gives rc back. */
int failed(struct request *rq, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

void fid_text(const struct lu_fid *fid, char out[FID_TEXT]);

/* fs.c: opening by FID. */

/* Fills the mount's part of h. False after `fatal`. */
bool fs_open(struct helper *h);
void fs_close(struct helper *h);
/* A path for calls that know no directory descriptor; it works without the mount's name. */
void fs_fid_path(const struct helper *h, const struct lu_fid *fid, char out[PATH_BYTES]);
/* lstat by FID: 0 or -errno. */
int fs_stat(const struct helper *h, const struct lu_fid *fid, struct stat *st);
/* A regular file by FID, for reading, without touching atime: a descriptor, -ENOTTY for other kinds, or -errno. */
int fs_open_regular(const struct helper *h, const struct lu_fid *fid);
/*
 * openat that tries again for a while after ESTALE: the kernel gives it for a directory that is reached by two ways while
 * anything is being renamed. A descriptor, or -errno.
 */
int fs_openat(int at, const char *path, int flags);
/* A directory by FID, for reading: a descriptor, or -errno. */
int fs_open_directory(const struct helper *h, const struct lu_fid *fid);
/* The FID of a path that is absolute below the mount, or relative to it; its last symlink is not followed. */
int fs_path_fid(const struct helper *h, const char *path, struct lu_fid *fid);
/* One more link's path, relative to the root. Start with *link 0; 1: got one, 0: no more, or -errno. */
int fs_fid_link(const struct helper *h, const struct lu_fid *fid, int *link, char out[PATH_BYTES]);
/* The layout xattr into malloc'd memory: its size, or -errno. */
ssize_t fs_layout_xattr(const struct helper *h, const struct lu_fid *fid, void **value);

/* mdts.c: which metadata server has the files of a sequence of FIDs. */

/* A number that is the same for all sequences known to be on one server; never 0. An unknown one counts as one's own. */
uint64_t mdts_server(uint64_t sequence);
/* The server's number, asked of the kernel once a sequence; -1 where it can't tell. */
int mdts_index(const struct helper *h, const struct lu_fid *fid);
/* After the server has answered: it is remembered, so that the kernel, which knows it by now, is asked once. */
void mdts_answered(const struct helper *h, const struct lu_fid *fid);

extern const struct op file_ops[];
extern const struct mode mode_copytool;
extern const struct mode mode_changelog;
extern const struct mode mode_scan;
extern const struct mode mode_import;

#endif
