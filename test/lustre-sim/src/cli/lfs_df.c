/* lfs df, mdts, osts, check */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- what the daemon says of the targets ---- */

struct rows {
	struct target *list;
	int count;
};

static int add_row(const struct pline *row, void *arg)
{
	struct rows *r = arg;
	struct target *grown = realloc(r->list, (size_t)(r->count + 1) * sizeof(*grown)), *t;

	if (grown == NULL)
		return -ENOMEM;
	r->list = grown;
	t = &grown[r->count++];
	snprintf(t->name, sizeof(t->name), "%s", pline_str(row, "target", ""));
	snprintf(t->uuid, sizeof(t->uuid), "%s", pline_str(row, "uuid", ""));
	t->mdt = strncmp(t->name, "MDT", 3) == 0;
	t->index = (unsigned)pline_u64(row, "index", 0);
	t->total_kb = pline_u64(row, "total_kb", 0);
	t->used_kb = pline_u64(row, "used_kb", 0);
	t->avail_kb = pline_u64(row, "free_kb", 0);
	t->inodes = pline_u64(row, "inodes", 0);
	t->iused = pline_u64(row, "iused", 0);
	t->ifree = pline_u64(row, "ifree", 0);
	return 0;
}

int cli_targets(const struct sim_mount *m, struct target **out)
{
	struct rows r = { NULL, 0 };
	struct sim_conn *c;
	struct pmsg msg;
	int rc = sim_get_mount(m, &c);

	if (rc < 0)
		return rc;
	pmsg_begin(&msg, "df");
	rc = sim_call_rows(c, &msg, add_row, &r);
	for (int i = 0; i < r.count && rc == 0; i++)
		if (r.list[i].uuid[0] == '\0')
			snprintf(r.list[i].uuid, sizeof(r.list[i].uuid), "%.20s-%.20s_UUID", c->fsname, r.list[i].name);
	sim_put(c, true);
	if (rc < 0) {
		free(r.list);
		return rc;
	}
	*out = r.list;
	return r.count;
}

/* ---- df ---- */

struct df_options {
	bool inodes, human, no_header, summary_only, mdts, osts;
	int base, mdt_index, ost_index;
};

static void print_value(unsigned long long v, const struct df_options *o, bool kb)
{
	const char *suffix = o->base == 1000 ? "kMGTPEZY" : "KMGTPEZY";
	double d = (double)v * (kb ? 1024 : 1);
	int radix = 0;

	if (!o->human) {
		printf("%11llu ", v);
		return;
	}
	for (; d > o->base; d /= o->base)
		radix++;
	if (radix > 0)
		printf("%8.1f%c ", d, suffix[radix - 1]);
	else
		printf("%11llu ", v * (kb ? 1024 : 1));
}

/* Rounded up, as df(1) does. */
static int percent(unsigned long long used, unsigned long long avail)
{
	double ratio = used + avail > 0 ? (double)used / (double)(used + avail) * 100 : 0;

	return ratio > (int)ratio ? (int)ratio + 1 : (int)ratio;
}

static void print_line(const struct df_options *o, const char *name, const struct target *t)
{
	printf("%-20s ", name);
	print_value(o->inodes ? t->inodes : t->total_kb, o, !o->inodes);
	print_value(o->inodes ? t->iused : t->used_kb, o, !o->inodes);
	print_value(o->inodes ? t->ifree : t->avail_kb, o, !o->inodes);
	printf("%3d%% ", o->inodes ? percent(t->iused, t->ifree) : percent(t->used_kb, t->avail_kb));
}

static bool wanted(const struct df_options *o, const struct target *t)
{
	int index = t->mdt ? o->mdt_index : o->ost_index;

	return (t->mdt ? o->mdts : o->osts) && (index < 0 || (unsigned)index == t->index);
}

/* Space is what the OSTs have; inodes are the MDTs', or fewer when the OSTs have no objects for them. */
static void add_up(struct target *sum, const struct target *list, int n, const struct df_options *o)
{
	unsigned long long ost_free = 0, ost_inodes = 0;
	bool osts = false;

	memset(sum, 0, sizeof(*sum));
	for (int i = 0; i < n; i++) {
		const struct target *t = &list[i];

		if (!wanted(o, t))
			continue;
		if (!t->mdt && !osts) {
			osts = true;
			sum->total_kb = sum->used_kb = sum->avail_kb = 0;
		}
		sum->total_kb += t->total_kb;
		sum->used_kb += t->used_kb;
		sum->avail_kb += t->avail_kb;
		if (t->mdt) {
			sum->inodes += t->inodes;
			sum->iused += t->iused;
			sum->ifree += t->ifree;
		} else {
			ost_inodes += t->inodes;
			ost_free += t->ifree;
		}
	}
	if (ost_inodes > 0 && ost_free < sum->ifree) {
		sum->inodes = sum->iused + ost_free;
		sum->ifree = ost_free;
	}
}

static int df_mount(const struct sim_mount *m, const struct df_options *o)
{
	bool indexed = o->mdt_index >= 0 || o->ost_index >= 0;
	struct target *list, sum;
	int n = cli_targets(m, &list);

	if (n < 0) {
		fprintf(stderr, "%s: cannot open '%s': %s\n", progname, m->mnt, strerror(-n));
		return n;
	}
	if (!indexed && !o->no_header && !o->summary_only) {
		printf("%-20s ", "UUID");
		if (o->inodes)
			printf("%11s %11s %11s %4s ", "Inodes", "IUsed", "IFree", "IUse%");
		else
			printf("%11s %11s %11s %4s ", o->human ? "bytes" : "1K-blocks", "Used", "Available", "Use%");
		printf(" Mounted on\n");
	}
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < n && !(o->summary_only && !indexed); i++) {
			if (list[i].mdt != (pass == 0) || !wanted(o, &list[i]))
				continue;
			print_line(o, list[i].uuid, &list[i]);
			printf(" %s[%s:%u] \n", m->mnt, list[i].mdt ? "MDT" : "OST", list[i].index);
		}
	}
	if (!indexed && (!o->no_header || o->summary_only)) {
		add_up(&sum, list, n, o);
		if (!o->summary_only)
			printf("\n");
		print_line(o, "filesystem_summary:", &sum);
		printf(" %s \n", m->mnt);
		if (!o->summary_only)
			printf("\n");
	}
	free(list);
	return 0;
}

static bool index_option(const char *what, int *out)
{
	char *end;

	if (optarg == NULL)
		return true;
	*out = (int)strtol(optarg, &end, 0);
	if (*end == '\0' && *out >= 0)
		return true;
	fprintf(stderr, "%s: invalid %s index '%s'\n", progname, what, optarg);
	return false;
}

int lfs_df(int argc, char **argv)
{
	static const struct option options[] = {
		{ "human-readable", no_argument, NULL, 'h' }, { "si", no_argument, NULL, 'H' },
		{ "inodes", no_argument, NULL, 'i' },	      { "lazy", no_argument, NULL, 'l' },
		{ "mdt", optional_argument, NULL, 'm' },      { "no-header", no_argument, NULL, 'N' },
		{ "ost", optional_argument, NULL, 'o' },      { "pool", required_argument, NULL, 'p' },
		{ "only-summary", no_argument, NULL, 's' },   { "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct df_options o = { .base = 1024, .mdt_index = -1, .ost_index = -1 };
	struct sim_mount m;
	char path[PATH_MAX];
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "hHilm::No::p:sv", options, NULL)) != -1) {
		switch (c) {
		case 'H':
			o.base = 1000;
			o.human = true;
			break;
		case 'h':
			o.human = true;
			break;
		case 'i':
			o.inodes = true;
			break;
		case 'm':
			o.mdts = true;
			if (!index_option("MDT", &o.mdt_index))
				return CMD_HELP;
			break;
		case 'o':
			o.osts = true;
			if (!index_option("OST", &o.ost_index))
				return CMD_HELP;
			break;
		case 'N':
			o.no_header = true;
			break;
		case 's':
			o.summary_only = true;
			break;
		case 'l':
		case 'p':
		case 'v':
			break;
		default:
			fprintf(stderr, "%s: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
	}
	if (!o.mdts && !o.osts)
		o.mdts = o.osts = true;
	for (int i = 0; optind == argc && rc == 0 && sim_mount_by_index(i, &m) == 0; i++)
		rc = df_mount(&m, &o);
	for (; optind < argc; optind++) {
		int one;

		if (realpath(argv[optind], path) == NULL) {
			one = -errno;
			fprintf(stderr, "error: invalid path '%s': %s\n", argv[optind], strerror(-one));
		} else if (sim_mount_by_path(path, &m) < 0) {
			one = -EOPNOTSUPP;
			printf("df:%s Not a Lustre filesystem\n", argv[optind]);
		} else {
			one = df_mount(&m, &o);
		}
		if (rc == 0)
			rc = one;
	}
	return rc;
}

/* ---- mdts, osts ---- */

static int list_targets(const struct sim_mount *m, bool mdts)
{
	struct target *list;
	int n = cli_targets(m, &list);

	if (n < 0)
		return n;
	printf("%s:\n", mdts ? "MDTS" : "OBDS");
	for (int i = 0; i < n; i++)
		if (list[i].mdt == mdts)
			printf("%u: %s ACTIVE\n", list[i].index, list[i].uuid);
	free(list);
	return 0;
}

int lfs_targets(int argc, char **argv)
{
	bool mdts = strcmp(argv[0], "mdts") == 0;
	char path[PATH_MAX];
	struct sim_mount m;
	int rc = 0;

	if (argc > 2)
		return CMD_HELP;
	if (argc == 2) {
		if (realpath(argv[1], path) == NULL) {
			rc = -errno;
			fprintf(stderr, "error: invalid path '%s': %s\n", argv[1], strerror(-rc));
			return rc;
		}
		return sim_mount_by_path(path, &m) < 0 ? 0 : list_targets(&m, mdts);
	}
	for (int i = 0; rc == 0 && sim_mount_by_index(i, &m) == 0; i++)
		rc = list_targets(&m, mdts);
	return rc;
}

/* ---- check ---- */

int lfs_check(int argc, char **argv)
{
	bool mdts, osts, mgts;
	char instance[32];
	struct sim_mount m;

	if (argc < 2)
		return CMD_HELP;
	mdts = strcmp(argv[1], "mds") == 0 || strcmp(argv[1], "mdts") == 0 || strcmp(argv[1], "all") == 0;
	osts = strcmp(argv[1], "osts") == 0 || strcmp(argv[1], "all") == 0;
	mgts = strcmp(argv[1], "mgts") == 0 || strcmp(argv[1], "all") == 0;
	if (!mdts && !osts && !mgts) {
		fprintf(stderr, "%s check: unrecognized option '%s'\n", progname, argv[1]);
		return CMD_HELP;
	}
	for (int i = 0; sim_mount_by_index(i, &m) == 0; i++) {
		struct target *list;
		int n = cli_targets(&m, &list);

		if (n < 0 || llapi_get_instance(m.mnt, instance, sizeof(instance)) < 0)
			return n < 0 ? n : -EIO;
		for (int pass = 0; pass < 2; pass++)
			for (int j = 0; j < n; j++)
				if (list[j].mdt == (pass == 1) && (pass == 1 ? mdts : osts))
					printf("%s-%s-%s-%s active.\n", m.fsname, list[j].name, pass ? "mdc" : "osc",
					       instance);
		free(list);
		if (mgts)
			printf("MGC127.0.0.1@tcp active.\n");
	}
	return 0;
}
