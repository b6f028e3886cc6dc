/* lfs changelog, changelog_clear */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

/* Low bits of an open record's mode, and what counts as writing. */
#define FMODE_READ 0x1u
#define FMODE_WRITE 0x2u
#define FMODE_EXEC 0x4u
#define OPEN_TRUNC 01000u
#define OPEN_APPEND 02000u

static const char *const types[] = {
	"MARK",	 "CREAT", "MKDIR", "HLINK", "SLINK", "MKNOD", "UNLNK", "RMDIR", "RENME",  "RNMTO", "OPEN",  "CLOSE", "LYOUT",
	"TRUNC", "SATTR", "XATTR", "HSM",   "MTIME", "CTIME", "ATIME", "MIGRT", "FLRW",	"RESYNC", "GXATR", "NOPEN",
};

static void print_nid(const struct lnet_nid *nid)
{
	uint32_t addr;
	unsigned num = ntohs(nid->nid_num);
	const char *net = nid->nid_type == 9 ? "lo" : nid->nid_type == 2 ? "tcp" : nid->nid_type == 5 ? "o2ib" : NULL;

	memcpy(&addr, nid->nid_addr, sizeof(addr));
	addr = ntohl(addr);
	printf(" nid=");
	if (net == NULL)
		printf("%u@<%u:%u>", addr, nid->nid_type, num);
	else if (nid->nid_type == 9)
		printf("%u@lo", addr);
	else
		printf("%u.%u.%u.%u@%s", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255, net);
	if (net != NULL && num != 0)
		printf("%u", num);
}

static void print_mode(uint32_t flags)
{
	char mode[] = "---";

	if (flags & FMODE_EXEC) {
		mode[2] = 'x';
	} else {
		if (flags & FMODE_READ)
			mode[0] = 'r';
		if (flags & (FMODE_WRITE | OPEN_TRUNC | OPEN_APPEND))
			mode[1] = 'w';
	}
	if (strcmp(mode, "---") != 0)
		printf(" m=%s", mode);
}

static bool is_zero(const struct lu_fid *fid)
{
	return fid->f_seq == 0 && fid->f_oid == 0;
}

/* A FID as the records show it: the null FID is written [0:0x0:0x0]. */
static void print_fid(const char *key, const struct lu_fid *fid)
{
	if (fid->f_seq == 0)
		printf(" %s=[0:0x%x:0x%x]", key, fid->f_oid, fid->f_ver);
	else
		printf(" %s=" DFID, key, PFID(fid));
}

/* The extensions behind the fixed part; returns where the names are. */
static const char *print_extensions(const struct changelog_rec *rec, struct changelog_ext_rename *rename)
{
	const char *p = (const char *)(rec + 1);
	uint64_t extra;

	if (rec->cr_flags & CLF_RENAME) {
		memcpy(rename, p, sizeof(*rename));
		p += sizeof(*rename);
	}
	if (rec->cr_flags & CLF_JOBID) {
		if (*p != '\0')
			printf(" j=%s", p);
		p += sizeof(struct changelog_ext_jobid);
	}
	if (!(rec->cr_flags & CLF_EXTRA_FLAGS))
		return p;
	memcpy(&extra, p, sizeof(extra));
	p += sizeof(extra);
	printf(" ef=0x%llx", (unsigned long long)extra);
	if (extra & CLFE_UIDGID) {
		struct changelog_ext_uidgid ids;

		memcpy(&ids, p, sizeof(ids));
		printf(" u=%llu:%llu", (unsigned long long)ids.cr_uid, (unsigned long long)ids.cr_gid);
		p += sizeof(ids);
	}
	if (extra & CLFE_NID) {
		struct changelog_ext_nid before;
		struct lnet_nid nid;

		memcpy(&nid, p, sizeof(nid));
		if (!(extra & CLFE_NID_BE)) {
			memcpy(&before, p, sizeof(before));
			nid = (struct lnet_nid){ .nid_type = (uint8_t)(before.cr_nid >> 48), .nid_num = htons((uint16_t)(before.cr_nid >> 32)) };
			nid.nid_addr[0] = htonl((uint32_t)before.cr_nid);
		}
		print_nid(&nid);
		p += sizeof(struct changelog_ext_nid);
	}
	if (extra & CLFE_OPEN) {
		uint32_t mode;

		memcpy(&mode, p, sizeof(mode));
		print_mode(mode);
		p += sizeof(mode);
	}
	if (extra & CLFE_XATTR) {
		if (*p != '\0')
			printf(" x=%s", p);
		p += sizeof(struct changelog_ext_xattr);
	}
	return p;
}

static void print_record(const struct changelog_rec *rec)
{
	struct changelog_ext_rename rename = { { 0, 0, 0 }, { 0, 0, 0 } };
	struct lu_fid tfid = rec->cr_tfid, pfid = rec->cr_pfid;
	time_t secs = (time_t)(rec->cr_time >> 30);
	size_t namelen, total = rec->cr_namelen;
	const char *name;
	struct tm tm;

	gmtime_r(&secs, &tm);
	printf("%llu %02u%-5s %02d:%02d:%02d.%09d %04d.%02d.%02d 0x%x", (unsigned long long)rec->cr_index, rec->cr_type,
	       rec->cr_type < sizeof(types) / sizeof(*types) ? types[rec->cr_type] : "UNKNOWN", tm.tm_hour, tm.tm_min,
	       tm.tm_sec, (int)(rec->cr_time & ((1 << 30) - 1)), tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	       (unsigned)rec->cr_flags & CLF_FLAGMASK);
	print_fid("t", &tfid);
	name = print_extensions(rec, &rename);
	if (!is_zero(&pfid))
		print_fid("p", &pfid);
	namelen = strnlen(name, total);
	if (total > 0) {
		printf(" ");
		fwrite(name, 1, namelen, stdout);
	}
	if (rec->cr_flags & CLF_RENAME && !is_zero(&rename.cr_sfid)) {
		print_fid("s", &rename.cr_sfid);
		print_fid("sp", &rename.cr_spfid);
		printf(" ");
		if (namelen < total)
			fwrite(name + namelen + 1, 1, total - namelen - 1, stdout);
	}
	printf("\n");
}

static bool number(const char *text, const char *what, long long *out)
{
	errno = 0;
	*out = strtoll(text, NULL, 10);
	if (errno == 0 && *out >= 0)
		return true;
	fprintf(stderr, "%s changelog: bad %s\n", progname, what);
	return false;
}

int lfs_changelog(int argc, char **argv)
{
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "mask", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	int flags = CHANGELOG_FLAG_BLOCK | CHANGELOG_FLAG_JOBID | CHANGELOG_FLAG_NID_BE | CHANGELOG_FLAG_EXTRA_FLAGS;
	const char *user = NULL, *mdt;
	long long start = 0, end = 0;
	struct changelog_rec *rec;
	void *reader;
	int c, rc;

	while ((c = getopt_long(argc, argv, "fm:u:", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			flags |= CHANGELOG_FLAG_FOLLOW;
			break;
		case 'm': /* as recorded, it filters nothing */
			break;
		case 'u':
			user = optarg;
			break;
		default:
			fprintf(stderr, "%s changelog: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
	}
	if (optind >= argc) {
		fprintf(stderr, "%s changelog: mdtname must be specified\n", progname);
		return CMD_HELP;
	}
	mdt = argv[optind++];
	if (optind < argc && !number(argv[optind++], "startrec", &start))
		return CMD_HELP;
	if (optind < argc && !number(argv[optind++], "endrec", &end))
		return CMD_HELP;
	rc = user != NULL ? llapi_changelog_start_user(&reader, flags, mdt, user, 0, start)
			  : llapi_changelog_start(&reader, flags, mdt, start);
	if (rc < 0) {
		fprintf(stderr, "%s changelog: cannot start changelog: %s\n", progname, strerror(-rc));
		return rc;
	}
	llapi_changelog_set_xflags(reader, CHANGELOG_EXTRA_FLAG_UIDGID | CHANGELOG_EXTRA_FLAG_NID |
						   CHANGELOG_EXTRA_FLAG_OMODE | CHANGELOG_EXTRA_FLAG_XATTR);
	while ((rc = llapi_changelog_recv(reader, &rec)) == 0) {
		bool past = end != 0 && rec->cr_index > (unsigned long long)end;

		if (!past && rec->cr_index >= (unsigned long long)start)
			print_record(rec);
		llapi_changelog_free(&rec);
		if (past)
			break;
	}
	llapi_changelog_fini(&reader);
	if (rc < 0)
		fprintf(stderr, "%s changelog: cannot access changelog: %s\n", progname, strerror(-rc));
	return rc == 1 ? 0 : rc;
}

int lfs_changelog_clear(int argc, char **argv)
{
	long long end;
	int rc;

	if (argc != 4)
		return CMD_HELP;
	errno = 0;
	end = strtoll(argv[3], NULL, 10);
	if (errno != 0 || end < 0) {
		fprintf(stderr, "%s: bad endrec '%s'\n", argv[0], argv[3]);
		return CMD_HELP;
	}
	rc = llapi_changelog_clear(argv[1], argv[2], end);
	if (rc == -EINVAL)
		fprintf(stderr, "%s: record out of range: %llu\n", argv[0], (unsigned long long)end);
	else if (rc == -ENOENT)
		fprintf(stderr, "%s: no changelog user: %s\n", argv[0], argv[2]);
	else if (rc < 0)
		fprintf(stderr, "%s error: %s\n", argv[0], strerror(-rc));
	return rc;
}
