/* lfs path2fid, fid2path, getname */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* "[parent]/name" of every link, tabs between them. */
static int print_parents(const char *path, bool several)
{
	char name[NAME_MAX + 1];
	struct lu_fid fid;
	unsigned link = 0;
	int rc;

	while ((rc = llapi_path2parent(path, link, &fid, name, sizeof(name))) == 0) {
		if (link == 0 && several)
			printf("%s: ", path);
		printf("%s" DFID "/%s", link > 0 ? "\t" : "", PFID(&fid), name);
		link++;
	}
	if (link == 0 || rc != -ENODATA)
		return rc;
	printf("\n");
	return 0;
}

int lfs_path2fid(int argc, char **argv)
{
	static const struct option options[] = { { "parents", no_argument, NULL, 'p' }, { NULL, 0, NULL, 0 } };
	bool parents = false, several;
	int c, first = 0;

	while ((c = getopt_long(argc, argv, "p", options, NULL)) != -1) {
		if (c != 'p') {
			fprintf(stderr, "%s path2fid: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
		parents = true;
	}
	if (optind == argc) {
		fprintf(stderr, "%s path2fid: FILE... must be specified\n", progname);
		return CMD_HELP;
	}
	several = optind < argc - 1;
	for (; optind < argc; optind++) {
		const char *path = argv[optind];
		struct lu_fid fid;
		int rc = parents ? print_parents(path, several) : llapi_path2fid(path, &fid);

		if (rc == 0 && !parents)
			printf("%s%s" DFID "\n", several ? path : "", several ? ": " : "", PFID(&fid));
		if (rc == 0)
			continue;
		fprintf(stderr, "%s path2fid: cannot get %sfid for '%s': %s\n", progname, parents ? "parent " : "", path,
			strerror(-rc));
		if (first == 0)
			first = rc;
	}
	return first;
}

struct resolve {
	const char *what; /* file system or directory, as given */
	const char *mnt;  /* printed before the paths; NULL: relative paths */
	int fd;
	int link; /* only this one; -1: all */
	long long recno;
	char end;
	bool print_fid, print_link, only_name;
};

static void print_path(const struct resolve *r, const char *fid, const char *path, int link)
{
	const char *slash = strrchr(path, '/');

	if (r->print_fid)
		printf("%s ", fid);
	if (r->print_link)
		printf("%d ", link);
	if (r->only_name)
		printf("%s\n", slash ? slash + 1 : path);
	else
		printf("%s%s%s%c", r->mnt ? r->mnt : "", r->mnt || *path == '\0' ? "/" : "", path, r->end);
}

static int resolve_fid(const struct resolve *r, const char *text)
{
	char path[2 * PATH_MAX];
	struct lu_fid fid;
	int link = r->link >= 0 ? r->link : 0, rc = llapi_fid_parse(text, &fid, NULL);

	if (rc < 0) {
		fprintf(stderr, "%s fid2path: invalid FID '%s'\n", progname, text);
		return rc;
	}
	for (;;) {
		int before = link;
		long long recno = r->recno;

		rc = llapi_fid2path_at(r->fd, &fid, path, sizeof(path), &recno, &link);
		if (rc < 0) {
			fprintf(stderr, "%s fid2path: cannot find %s %s: %s\n", progname, r->what, text, strerror(-rc));
			return rc;
		}
		print_path(r, text, path, link);
		if (r->link >= 0 || link == before)
			return 0;
	}
}

int lfs_fid2path(int argc, char **argv)
{
	static const struct option options[] = {
		{ "print0", no_argument, NULL, '0' },	  { "cur", no_argument, NULL, 'c' },
		{ "current", no_argument, NULL, 'c' },	  { "print-link", no_argument, NULL, 'c' },
		{ "print-fid", no_argument, NULL, 'f' },  { "link", required_argument, NULL, 'l' },
		{ "name", no_argument, NULL, 'n' },	  { NULL, 0, NULL, 0 },
	};
	struct resolve r = { .link = -1, .recno = -1, .end = '\n' };
	char mnt[PATH_MAX], *end;
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "0cfl:pr:n", options, NULL)) != -1) {
		switch (c) {
		case '0':
			r.end = '\0';
			break;
		case 'c':
			r.print_link = true;
			break;
		case 'f':
			r.print_fid = true;
			break;
		case 'n':
			r.only_name = true;
			break;
		case 'l':
			r.link = (int)strtol(optarg, &end, 10);
			if (*end != '\0' || r.link < 0) {
				fprintf(stderr, "%s fid2path: invalid linkno '%s'\n", progname, optarg);
				return CMD_HELP;
			}
			break;
		case 'r':
			r.recno = strtoll(optarg, &end, 10);
			if (*end != '\0' || r.recno < 0) {
				fprintf(stderr, "%s fid2path: invalid recno '%s'\n", progname, optarg);
				return CMD_HELP;
			}
			break;
		default:
			fprintf(stderr, "%s fid2path: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
	}
	if (argc - optind < 2) {
		fprintf(stderr, "Usage: %s fid2path FSNAME|ROOT FID...\n", progname);
		return CMD_HELP;
	}
	r.what = argv[optind];
	rc = *r.what == '/' ? llapi_search_mounts(r.what, 0, mnt, NULL) : llapi_search_rootpath(mnt, r.what);
	if (rc < 0) {
		fprintf(stderr, "%s fid2path: cannot resolve mount point for '%s': %s\n", progname, r.what,
			strerror(-rc));
		return rc;
	}
	r.mnt = *r.what == '/' ? mnt : NULL;
	r.fd = open(mnt, O_RDONLY | O_DIRECTORY);
	if (r.fd < 0) {
		rc = -errno;
		fprintf(stderr, "%s fid2path: cannot open mount point for '%s': %s\n", progname, r.what, strerror(-rc));
		return rc;
	}
	for (int i = optind + 1; i < argc; i++) {
		int one = resolve_fid(&r, argv[i]);

		if (rc == 0)
			rc = one;
	}
	close(r.fd);
	return rc;
}

struct name_options {
	bool instance, fsname, uuid;
};

static int print_name(const char *mnt, const struct name_options *o, bool with_mount)
{
	char name[PATH_MAX];
	int rc;

	if (o->uuid) {
		rc = llapi_get_agent_uuid((char *)mnt, name, sizeof(name));
		name[rc == 0 ? strcspn(name, "\n") : 0] = '\0';
	} else if (o->fsname == o->instance) {
		rc = llapi_getname(mnt, name, sizeof(name));
	} else if (o->fsname) {
		rc = llapi_get_fsname(mnt, name, sizeof(name));
	} else {
		rc = llapi_get_instance(mnt, name, sizeof(name));
	}
	if (rc < 0)
		fprintf(stderr, "cannot get instance for '%s': %s\n", mnt, strerror(-rc));
	else if (with_mount)
		printf("%s %s\n", name, mnt);
	else
		printf("%s\n", name);
	return rc;
}

int lfs_getname(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },   { "instance", no_argument, NULL, 'i' },
		{ "fsname", no_argument, NULL, 'n' }, { "uuid", no_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	struct name_options o = { false, false, false };
	char mnt[PATH_MAX];
	bool with_mount;
	int c, rc = 0, one;

	while ((c = getopt_long(argc, argv, "hinu", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			o.instance = true;
			break;
		case 'n':
			o.fsname = true;
			break;
		case 'u':
			o.uuid = true;
			break;
		case 'h':
			return CMD_HELP;
		default:
			fprintf(stderr, "%s: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
	}
	for (int i = 0; optind == argc && llapi_search_mounts(NULL, i, mnt, NULL) == 0; i++) {
		one = print_name(mnt, &o, true);
		if (rc == 0)
			rc = one;
	}
	with_mount = argc - optind != 1;
	for (; optind < argc; optind++) {
		one = print_name(argv[optind], &o, with_mount);
		if (rc == 0)
			rc = one;
	}
	return rc;
}
