/* lfs hsm_*, data_version */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* ---- state ---- */

static void print_state(const char *path, const struct hsm_user_state *s)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{ HS_RELEASED, "released" },	   { HS_EXISTS, "exists" },
		{ HS_DIRTY, "dirty" },		   { HS_ARCHIVED, "archived" },
		{ HS_NORELEASE, "never_release" }, { HS_NOARCHIVE, "never_archive" },
		{ HS_LOST, "lost_from_hsm" },
	};

	printf("%s: (0x%08x)", path, s->hus_states);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (s->hus_states & names[i].flag)
			printf(" %s", names[i].name);
	if (s->hus_archive_id != 0)
		printf(", archive_id:%d", (int)s->hus_archive_id);
	printf("\n");
}

int lfs_hsm_state(int argc, char **argv)
{
	int first = 0;

	if (argc < 2)
		return CMD_HELP;
	for (int i = 1; i < argc; i++) {
		struct hsm_user_state s;
		int rc = llapi_hsm_state_get(argv[i], &s);

		if (rc == 0) {
			print_state(argv[i], &s);
			continue;
		}
		fprintf(stderr, "%s %s: get HSM state for '%s' failed: %s\n", progname, argv[0], argv[i], strerror(-rc));
		if (first == 0)
			first = rc;
	}
	return first;
}

/* ---- action ---- */

static const char *action_name(uint32_t action)
{
	switch (action) {
	case HUA_NONE:
		return "NOOP";
	case HUA_ARCHIVE:
		return "ARCHIVE";
	case HUA_RESTORE:
		return "RESTORE";
	case HUA_RELEASE:
		return "RELEASE";
	case HUA_REMOVE:
		return "REMOVE";
	case HUA_CANCEL:
		return "CANCEL";
	default:
		return "UNKNOWN";
	}
}

static void print_action(const char *path, const struct hsm_current_action *a)
{
	static const char *const states[] = { "unknown", "waiting", "running", "done" };
	unsigned long long off = a->hca_location.offset, len = a->hca_location.length;

	printf("%s: %s", path, action_name(a->hca_action));
	if (a->hca_action == HUA_NONE) {
		printf("\n");
		return;
	}
	printf(" %s ", a->hca_state <= HPS_DONE ? states[a->hca_state] : states[0]);
	if (a->hca_state == HPS_RUNNING && (a->hca_action == HUA_ARCHIVE || a->hca_action == HUA_RESTORE))
		printf("(%llu bytes moved)\n", len);
	else if (off + len == LUSTRE_EOF)
		printf("(from %llu to EOF)\n", off);
	else
		printf("(from %llu to %llu)\n", off, off + len);
}

int lfs_hsm_action(int argc, char **argv)
{
	int first = 0;

	if (argc < 2)
		return CMD_HELP;
	for (int i = 1; i < argc; i++) {
		struct hsm_current_action a;
		int rc = llapi_hsm_current_action(argv[i], &a);

		if (rc == 0) {
			print_action(argv[i], &a);
			continue;
		}
		fprintf(stderr, "%s %s: get hsm action for '%s' failed: %s\n", progname, argv[0], argv[i],
			strerror(-rc));
		if (first == 0)
			first = rc;
	}
	return first;
}

/* ---- flags ---- */

static int change_flags(int argc, char **argv, bool set)
{
	static const struct option options[] = {
		{ "archived", no_argument, NULL, 'A' }, { "noarchive", no_argument, NULL, 'a' },
		{ "dirty", no_argument, NULL, 'd' },	{ "exists", no_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },	{ "archive-id", required_argument, NULL, 'i' },
		{ "lost", no_argument, NULL, 'l' },	{ "norelease", no_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t mask = 0;
	uint32_t archive = 0;
	int c, first = 0;
	char *end;

	if (argc < 3)
		return CMD_HELP;
	while ((c = getopt_long(argc, argv, "aAdehi:lr", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			mask |= HS_LOST;
			break;
		case 'a':
			mask |= HS_NOARCHIVE;
			break;
		case 'A':
			mask |= HS_ARCHIVED;
			break;
		case 'r':
			mask |= HS_NORELEASE;
			break;
		case 'd':
			mask |= HS_DIRTY;
			break;
		case 'e':
			mask |= HS_EXISTS;
			break;
		case 'i':
			errno = 0;
			archive = (uint32_t)strtol(optarg, &end, 10);
			if (errno != 0 || *end != '\0') {
				fprintf(stderr, "%s: invalid archive_id: '%s'\n", progname, end);
				return CMD_HELP;
			}
			break;
		case 'h':
			return CMD_HELP;
		default:
			fprintf(stderr, "%s: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
	}
	if (mask == 0)
		return CMD_HELP;
	for (; optind < argc; optind++) {
		int rc = llapi_hsm_state_set(argv[optind], set ? mask : 0, set ? 0 : mask, set ? archive : 0);

		if (rc == 0)
			continue;
		fprintf(stderr, "%s %s: change hsm flags for '%s' failed: %s\n", progname, argv[0], argv[optind],
			strerror(-rc));
		if (first == 0)
			first = rc;
	}
	return first;
}

int lfs_hsm_set(int argc, char **argv)
{
	return change_flags(argc, argv, true);
}

int lfs_hsm_clear(int argc, char **argv)
{
	return change_flags(argc, argv, false);
}

/* ---- requests ---- */

struct batch {
	struct lu_fid *fids;
	size_t count, room;
	const char *mount; /* the names are FIDs, and this is where */
	dev_t dev;	   /* of the files so far, 0: none yet */
};

/* The file's FID, after the checks that lfs makes itself. */
static int fid_of_file(const char *name, struct batch *b, struct lu_fid *fid)
{
	struct stat st;
	int rc;

	if (lstat(name, &st) < 0) {
		rc = -errno;
		fprintf(stderr, "Cannot stat %s: %s\n", name, strerror(-rc));
		return rc;
	}
	if (!S_ISREG(st.st_mode)) {
		fprintf(stderr, "error: \"%s\" is not a regular file\n", name);
		return CMD_HELP;
	}
	if (b->dev != 0 && b->dev != st.st_dev) {
		fprintf(stderr, "All files should be on the same filesystem: %s\n", name);
		return -EINVAL;
	}
	b->dev = st.st_dev;
	rc = llapi_path2fid(name, fid);
	if (rc < 0)
		fprintf(stderr, "Cannot read FID of %s: %s\n", name, strerror(-rc));
	return rc;
}

static int add_name(struct batch *b, const char *name)
{
	struct lu_fid fid;
	int rc;

	if (b->mount != NULL) {
		rc = llapi_fid_parse(name, &fid, NULL);
		if (rc < 0)
			fprintf(stderr, "hsm: '%s' is not a valid FID\n", name);
	} else {
		rc = fid_of_file(name, b, &fid);
	}
	if (rc != 0)
		return rc;
	if (b->count == b->room) {
		size_t room = b->room ? b->room * 2 : 64;
		struct lu_fid *grown = realloc(b->fids, room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		b->fids = grown;
		b->room = room;
	}
	b->fids[b->count++] = fid;
	return 0;
}

/* One name a line; the first becomes *some when there is none yet. */
static int add_list(struct batch *b, const char *filelist, char **some)
{
	FILE *f = fopen(filelist, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;

	if (f == NULL) {
		rc = -errno;
		fprintf(stderr, "Cannot read the file list %s: %s\n", filelist, strerror(-rc));
		return rc;
	}
	while (rc == 0 && (n = getline(&line, &cap, f)) != -1) {
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		rc = add_name(b, line);
		if (*some == NULL)
			*some = strdup(line);
	}
	free(line);
	fclose(f);
	return rc;
}

static int send_request(const struct batch *b, int action, int archive, const char *data, const char *some)
{
	size_t len = data != NULL ? strlen(data) : 0;
	struct hsm_user_request *r;
	char full[PATH_MAX];
	int rc;

	r = llapi_hsm_user_request_alloc((int)b->count, (int)len);
	if (r == NULL) {
		fprintf(stderr, "Cannot create the request: %s\n", strerror(errno));
		return -ENOMEM;
	}
	r->hur_request.hr_action = (uint32_t)action;
	r->hur_request.hr_archive_id = (uint32_t)archive;
	r->hur_request.hr_itemcount = (uint32_t)b->count;
	r->hur_request.hr_data_len = (uint32_t)len;
	for (size_t i = 0; i < b->count; i++) {
		r->hur_user_item[i].hui_fid = b->fids[i];
		r->hur_user_item[i].hui_extent.length = LUSTRE_EOF;
	}
	if (len > 0)
		memcpy((char *)(r + 1) + b->count * sizeof(struct hsm_user_item), data, len);
	if (realpath(some, full) == NULL) {
		fprintf(stderr, "Could not find path '%s': %s\n", some, strerror(errno));
		full[0] = '\0';
	}
	rc = llapi_hsm_request(full, r);
	if (rc < 0)
		fprintf(stderr, "Cannot send HSM request (use of %s): %s\n", some, strerror(-rc));
	free(r);
	return rc;
}

static int request(int argc, char **argv, int action)
{
	static const struct option options[] = {
		{ "archive", required_argument, NULL, 'a' },  { "data", required_argument, NULL, 'D' },
		{ "help", no_argument, NULL, 'h' },	      { "filelist", required_argument, NULL, 'l' },
		{ "mntpath", required_argument, NULL, 'm' },  { NULL, 0, NULL, 0 },
	};
	struct batch b = { .count = 0 };
	const char *filelist = NULL, *data = NULL;
	char *some = NULL;
	int c, archive = 0, rc = 0;

	if (argc < 2)
		return CMD_HELP;
	while ((c = getopt_long(argc, argv, "a:D:hl:m:", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			filelist = optarg;
			break;
		case 'D':
			data = optarg;
			break;
		case 'a':
			if (action != HUA_ARCHIVE && action != HUA_REMOVE) {
				fprintf(stderr, "error: -a is supported only when archiving or removing\n");
				return CMD_HELP;
			}
			archive = atoi(optarg);
			break;
		case 'm':
			if (b.mount == NULL)
				b.mount = optarg;
			break;
		case 'h':
			return CMD_HELP;
		default:
			fprintf(stderr, "%s: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
	}
	if (optind == argc && filelist == NULL)
		return 0; /* the real one returns errno, which is 0 here */
	if (b.mount != NULL || optind < argc)
		some = strdup(b.mount != NULL ? b.mount : argv[optind]);
	for (int i = optind; i < argc && rc == 0; i++)
		rc = add_name(&b, argv[i]);
	if (rc == 0 && filelist != NULL)
		rc = add_list(&b, filelist, &some);
	if (rc == 0)
		rc = send_request(&b, action, archive, data, some != NULL ? some : "");
	free(b.fids);
	free(some);
	return rc;
}

int lfs_hsm_archive(int argc, char **argv)
{
	return request(argc, argv, HUA_ARCHIVE);
}

int lfs_hsm_restore(int argc, char **argv)
{
	return request(argc, argv, HUA_RESTORE);
}

int lfs_hsm_release(int argc, char **argv)
{
	return request(argc, argv, HUA_RELEASE);
}

int lfs_hsm_remove(int argc, char **argv)
{
	return request(argc, argv, HUA_REMOVE);
}

int lfs_hsm_cancel(int argc, char **argv)
{
	return request(argc, argv, HUA_CANCEL);
}

/* ---- data version ---- */

int lfs_data_version(int argc, char **argv)
{
	uint64_t flags = LL_DV_RD_FLUSH, dv;
	int c, fd, rc;

	while ((c = getopt(argc, argv, "hnrw")) != -1) {
		switch (c) {
		case 'n':
			flags = 0;
			break;
		case 'r':
			flags |= LL_DV_RD_FLUSH;
			break;
		case 'w':
			flags |= LL_DV_WR_FLUSH;
			break;
		case 'h':
			return CMD_HELP;
		default:
			fprintf(stderr, "%s data_version: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "%s data_version: FILE must be specified\n", progname);
		return CMD_HELP;
	}
	fd = open(argv[optind], O_RDONLY);
	if (fd < 0) {
		rc = -errno;
		fprintf(stderr, "%s data_version: cannot open file '%s': %s\n", progname, argv[optind], strerror(-rc));
		return rc;
	}
	rc = llapi_get_data_version(fd, &dv, flags);
	close(fd);
	if (rc < 0)
		fprintf(stderr, "%s data_version: cannot get version for '%s': %s\n", progname, argv[optind],
			strerror(-rc));
	else
		printf("%llu\n", (unsigned long long)dv);
	return rc;
}
