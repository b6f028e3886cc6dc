/* lfs mkdir, setdirstripe, getdirstripe: which MDT a directory is on. Directories over several MDTs there are none. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static int make(const char *path, unsigned mode, long mdt)
{
	char copy[PATH_MAX], *name, *end;
	const char *dir = ".";
	struct lu_fid fid;
	struct pfid parent;
	struct pmsg m;
	int fd, rc;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	for (end = copy + strlen(copy); end > copy + 1 && end[-1] == '/'; end--)
		end[-1] = '\0';
	name = strrchr(copy, '/');
	if (name != NULL) {
		*name++ = '\0';
		dir = *copy ? copy : "/";
	} else {
		name = copy;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = sim_fd_fid(fd, &fid);
	if (rc == -ENODATA)
		rc = -ENOTTY;
	if (rc == 0) {
		parent = sim_pfid(&fid);
		pmsg_begin(&m, "mkdir");
		pmsg_fid(&m, "fid", &parent);
		pmsg_str(&m, "name", name);
		pmsg_u64(&m, "mode", mode);
		if (mdt >= 0)
			pmsg_u64(&m, "mdt", (uint64_t)mdt);
		rc = sim_call_fd(fd, &m, NULL);
	}
	close(fd);
	return rc;
}

int lfs_setdirstripe(int argc, char **argv)
{
	static const struct option options[] = { { "mdt-index", required_argument, NULL, 'i' },
						 { "index", required_argument, NULL, 'i' },
						 { "mdt-count", required_argument, NULL, 'c' },
						 { "mode", required_argument, NULL, 'o' },
						 { NULL, 0, NULL, 0 } };
	mode_t mask = umask(0);
	unsigned long mode = 0777 & ~mask;
	long mdt = -1;
	char *end;
	int c, rc = 0;

	umask(mask);
	while ((c = getopt_long(argc, argv, "i:c:o:", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			mdt = strtol(optarg, &end, 0);
			if (end == optarg || *end != '\0') {
				fprintf(stderr, "%s %s: invalid MDT index '%s'\n", progname, argv[0], optarg);
				return CMD_HELP;
			}
			break;
		case 'c':
			if (atoi(optarg) > 1) {
				fprintf(stderr, "%s %s: the stand-in has no directories over several MDTs\n", progname, argv[0]);
				return -EOPNOTSUPP;
			}
			break;
		case 'o':
			mode = strtoul(optarg, NULL, 8);
			break;
		default:
			fprintf(stderr, "%s %s: unrecognized option '%s'\n", progname, argv[0], argv[optind - 1]);
			return CMD_HELP;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "%s %s: DIR must be specified\n", progname, argv[0]);
		return CMD_HELP;
	}
	for (; rc == 0 && optind < argc; optind++) {
		rc = make(argv[optind], (unsigned)mode, mdt);
		if (rc < 0)
			fprintf(stderr, "%s setdirstripe: cannot create dir '%s': %s\n", progname, argv[optind], strerror(-rc));
	}
	return rc;
}

int lfs_getdirstripe(int argc, char **argv)
{
	static const struct option options[] = { { "mdt-index", no_argument, NULL, 'm' },
						 { "index", no_argument, NULL, 'm' },
						 { "mdt-count", no_argument, NULL, 'c' },
						 { NULL, 0, NULL, 0 } };
	bool index = false, count = false;
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "imc", options, NULL)) != -1) {
		if (c == '?') {
			fprintf(stderr, "%s getdirstripe: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
		index = index || c != 'c';
		count = count || c == 'c';
	}
	if (optind == argc)
		return CMD_HELP;
	for (; rc == 0 && optind < argc; optind++) {
		int fd = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC), mdt = 0;

		rc = fd < 0 ? -errno : llapi_file_fget_mdtidx(fd, &mdt);
		if (fd >= 0)
			close(fd);
		if (rc < 0)
			fprintf(stderr, "error: getdirstripe failed for %s: %s\n", argv[optind], strerror(-rc));
		else if (index && !count)
			printf("%d\n", mdt);
		else if (count && !index)
			printf("0\n");
		else
			printf("lmv_stripe_count: 0 lmv_stripe_offset: %d lmv_hash_type: none\n", mdt);
	}
	return rc;
}
