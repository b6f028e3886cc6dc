/* lfs getstripe, setstripe, mirror create */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../llapi/layout.h"
#include "cli.h"

/* ---- getstripe ---- */

enum what { COUNT = 1, SIZE = 2, INDEX = 4, POOL = 8, PATTERN = 16, GEN = 32, COMP_COUNT = 64, MIRRORS = 128 };

struct show {
	unsigned what;	/* one of the above, or ALL */
	bool yaml, dir; /* dir: the directory's own default only */
	bool path;
};
#define ALL (COUNT | SIZE | INDEX | POOL | PATTERN | GEN | COMP_COUNT | MIRRORS)

static const char *pattern_text(uint32_t pattern, char *buf, size_t size)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ LOV_EA_MDT, "mdt" },
		{ LOV_EA_RAID0, "raid0" },
		{ LOV_EA_OVERSTRIPING, "overstriped" },
		{ LOV_EA_RELEASED, "released" },
	};
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!(pattern & names[i].bit))
			continue;
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : "", names[i].name);
		pattern &= ~names[i].bit;
	}
	if (pattern != 0)
		snprintf(buf + n, size - n, "%sunknown_%x", n ? "," : "", pattern);
	return buf;
}

/* Prints one field after its separator; with a label unless it is the only one asked for. */
struct printer {
	const struct show *s;
	const char *sep, *indent, *prefix, *next_sep;
};

static void label(struct printer *p, unsigned what, const char *name)
{
	printf("%s", p->sep);
	if (p->s->what != what)
		printf("%s%s%s", p->indent, p->prefix, name);
	p->sep = p->next_sep;
}

static void print_offset(uint16_t v)
{
	if (v == 0xffff)
		printf("-1");
	else
		printf("%u", v);
}

/* The fields of one component (or of a plain layout, or of a directory's default). */
static void print_fields(const struct show *s, const struct lov_ea_comp *c, bool composite, bool dir)
{
	struct printer p = {
		.s = s,
		.sep = "",
		.indent = composite ? "      " : "",
		.prefix = dir ? "" : "lmm_",
		.next_sep = dir && !s->yaml ? " " : "\n",
	};
	bool bare = composite && !(c->flags & LOV_EA_FL_INIT), dom = (c->pattern & LOV_EA_MDT) != 0;
	char text[64];

	if (s->what & COUNT) {
		label(&p, COUNT, "stripe_count:  ");
		printf("%d", dir && c->stripe_count == 0 && !dom ? 1 : (int16_t)c->stripe_count);
	}
	if (s->what & SIZE) {
		label(&p, SIZE, "stripe_size:   ");
		printf("%u", c->stripe_size == 0 ? 4194304u : c->stripe_size);
	}
	if (s->what & PATTERN) {
		label(&p, PATTERN, "pattern:       ");
		printf("%s", pattern_text(c->pattern, text, sizeof(text)));
	}
	if (s->what & GEN && !dir) {
		label(&p, GEN, "layout_gen:    ");
		printf("%u", bare || composite ? 0 : c->gen);
	}
	if (s->what & INDEX) {
		label(&p, INDEX, dom ? "mdt_index:     " : "stripe_offset: ");
		if (dom)
			printf("%u", c->gen == 0xffff ? 0u : c->gen);
		else if (dir || bare)
			print_offset(dir || composite ? c->gen : 0xffff);
		else
			printf("%u", c->nobjects > 0 ? c->objects[0].ost : 0u);
	}
	if (s->what & POOL && c->pool[0] != '\0') {
		label(&p, POOL, "pool:          ");
		printf("%s", c->pool);
	}
	if (*p.sep != '\0')
		printf("\n");
}

static void print_objects(const struct show *s, const struct lov_ea_comp *c, bool composite)
{
	if (s->what != ALL || c->nobjects == 0 || c->pattern & (LOV_EA_RELEASED | LOV_EA_MDT))
		return;
	if (composite)
		printf("      lmm_objects:\n");
	else if (s->yaml)
		printf("lmm_objects:\n");
	else
		printf("\tobdidx\t\t objid\t\t objid\t\t group\n");
	for (size_t i = 0; i < c->nobjects; i++) {
		const struct lov_ea_object *o = &c->objects[i];

		if (s->yaml) {
			printf("      - l_ost_idx: %u\n", o->ost);
			printf("        l_fid:     0x%llx:0x%x:0x%x\n", (unsigned long long)o->seq, o->oid, o->ver);
		} else if (composite) {
			printf("      - %3zu: { l_ost_idx: %3u, l_fid: [0x%llx:0x%x:0x%x] }\n", i, o->ost,
			       (unsigned long long)o->seq, o->oid, o->ver);
		} else {
			printf("\t%6u\t%14llu\t%#13llx\t%#14llx\n", o->ost, (unsigned long long)o->oid,
			       (unsigned long long)o->oid, (unsigned long long)o->seq);
		}
	}
}

static const char *flag_text(uint32_t flags, char *buf, size_t size)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ LCME_FL_INIT, "init" },	{ LCME_FL_STALE, "stale" },   { LCME_FL_PREF_RD, "prefrd" },
		{ LCME_FL_PREF_WR, "prefwr" },	{ LCME_FL_OFFLINE, "offline" }, { LCME_FL_NOSYNC, "nosync" },
		{ LCME_FL_EXTENSION, "extension" },
	};
	size_t n = 0;

	snprintf(buf, size, "0");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (flags & names[i].bit)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : "", names[i].name);
	return buf;
}

static void print_composite(const struct show *s, const struct lov_ea *lov, bool dir)
{
	const struct lov_ea_comp *last = NULL;
	char text[64];

	if (s->what == ALL) {
		if (!dir)
			printf("%slcm_layout_gen:    %u\n", s->yaml ? "" : "  ", lov->gen);
		else
			printf("%slcm_layout_gen:    0\n", s->yaml ? "" : "  ");
		printf("%slcm_mirror_count:  %u\n", s->yaml ? "" : "  ", lov->mirrors);
		printf("%slcm_entry_count:   %zu\n", s->yaml ? "" : "  ", lov->ncomps);
		if (s->yaml)
			printf("components:\n");
	}
	for (size_t i = 0; i < lov->ncomps; i++) {
		const struct lov_ea_comp *c = &lov->comps[i];

		if (last == NULL || c->flags & LOV_EA_FL_INIT)
			last = c;
		if (s->what != ALL)
			continue;
		if (c->id != 0)
			printf("%slcme_id:             %u\n", s->yaml ? "  - " : "    ", c->id);
		else
			printf("%slcme_id:             N/A\n", s->yaml ? "  - " : "    ");
		if (c->id != 0)
			printf("    lcme_mirror_id:      %u\n", MIRROR_ID_OF(c->id));
		else
			printf("    lcme_mirror_id:      N/A\n");
		printf("    lcme_flags:          %s\n", flag_text(c->flags, text, sizeof(text)));
		printf("    lcme_extent.e_start: %llu\n", (unsigned long long)c->start);
		if (c->end == LUSTRE_EOF)
			printf("    lcme_extent.e_end:   EOF\n");
		else
			printf("    lcme_extent.e_end:   %llu\n", (unsigned long long)c->end);
		if (s->yaml)
			printf("    sub_layout:\n");
		print_fields(s, c, true, dir);
		print_objects(s, c, true);
		if (!s->yaml)
			printf("\n");
	}
	if (s->what == COMP_COUNT)
		printf("%zu\n", lov->ncomps);
	else if (s->what == MIRRORS)
		printf("%u\n", lov->mirrors);
	else if (s->what == GEN)
		printf("%u\n", lov->gen);
	else if (s->what != ALL && last != NULL) {
		print_fields(s, last, true, dir); /* of the last one that is in use */
		printf("\n");
	}
}

static void print_layout(const struct show *s, const char *path, const struct lov_ea *lov, bool dir)
{
	struct show plain = *s;

	if (s->path && !s->yaml && s->what == ALL)
		printf("%s\n", path);
	if (lov->composite) {
		print_composite(s, lov, dir);
		return;
	}
	if (s->what == COMP_COUNT || s->what == MIRRORS) {
		printf("%d\n", s->what == MIRRORS);
		return;
	}
	print_fields(&plain, &lov->comps[0], false, dir);
	if (!dir)
		print_objects(s, &lov->comps[0], false);
	if (!s->yaml)
		printf("\n");
}

/* A directory without a layout of its own shows the file system's. */
static int get_or_default(int fd, bool dir, struct lov_ea *lov)
{
	int rc = sim_get_layout(fd, lov);
	struct lov_ea_comp *c;

	if (rc != -ENODATA || !dir)
		return rc;
	memset(lov, 0, sizeof(*lov));
	lov->mirrors = 1;
	c = lov_ea_add(lov);
	if (c == NULL)
		return -ENOMEM;
	c->gen = 0xffff;
	return 0;
}

static int show_one(const struct show *s, const char *path, bool only_file)
{
	int rc, fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct lov_ea lov;
	struct stat st;
	bool dir;

	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		fprintf(stderr, "%s getstripe: cannot open '%s': %s (%d)\n", progname, path, strerror(-rc), -rc);
		return rc;
	}
	dir = S_ISDIR(st.st_mode);
	rc = dir && only_file ? 0 : get_or_default(fd, dir, &lov);
	close(fd);
	if (dir && only_file)
		return 0;
	if (rc == -ENODATA) {
		if (s->what == ALL && s->path && !s->yaml)
			printf("%s has no stripe info\n", path);
		return 0;
	}
	if (rc < 0) {
		fprintf(stderr, "%s getstripe: error: %s (%d) for '%s'\n", progname, strerror(-rc), -rc, path);
		return rc;
	}
	print_layout(s, path, &lov, dir);
	lov_ea_free(&lov);
	return 0;
}

/* A directory: itself, then its files, unless -d. */
static int show_path(const struct show *s, const char *path)
{
	char child[PATH_MAX];
	struct dirent *e;
	struct stat st;
	int rc = show_one(s, path, false), one;
	DIR *d;

	if (rc < 0 || s->dir || stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return rc;
	d = opendir(path);
	if (d == NULL)
		return -errno;
	while ((e = readdir(d)) != NULL) {
		if (e->d_type != DT_REG || snprintf(child, sizeof(child), "%s/%s", path, e->d_name) >= (int)sizeof(child))
			continue;
		one = show_one(s, child, true);
		if (rc == 0)
			rc = one;
	}
	closedir(d);
	return rc;
}

int lfs_getstripe(int argc, char **argv)
{
	static const struct option options[] = {
		{ "stripe-count", no_argument, NULL, 'c' }, { "directory", no_argument, NULL, 'd' },
		{ "generation", no_argument, NULL, 'g' },   { "help", no_argument, NULL, 'h' },
		{ "stripe-index", no_argument, NULL, 'i' }, { "layout", no_argument, NULL, 'L' },
		{ "mirror-count", no_argument, NULL, 'N' }, { "pool", no_argument, NULL, 'p' },
		{ "quiet", no_argument, NULL, 'q' },	    { "raw", no_argument, NULL, 'R' },
		{ "stripe-size", no_argument, NULL, 'S' },  { "verbose", no_argument, NULL, 'v' },
		{ "yaml", no_argument, NULL, 'y' },	    { "component-count", no_argument, NULL, 'C' },
		{ "comp-count", no_argument, NULL, 'C' },   { NULL, 0, NULL, 0 },
	};
	struct show s = { .what = 0, .path = true };
	int c, rc = 0, one;

	while ((c = getopt_long(argc, argv, "cdghiLNpqRSvy", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			s.what |= COUNT;
			break;
		case 'd':
			s.dir = true;
			break;
		case 'g':
			s.what |= GEN;
			break;
		case 'i':
			s.what |= INDEX;
			break;
		case 'L':
			s.what |= PATTERN;
			break;
		case 'N':
			s.what |= MIRRORS;
			break;
		case 'C':
			s.what |= COMP_COUNT;
			break;
		case 'p':
			s.what |= POOL;
			break;
		case 'S':
			s.what |= SIZE;
			break;
		case 'y':
			s.yaml = true;
			break;
		case 'q':
		case 'R':
		case 'v':
			break;
		case 'h':
			return CMD_HELP;
		default:
			fprintf(stderr, "%s getstripe: unrecognized option '%s'\n", progname, argv[optind - 1]);
			return CMD_HELP;
		}
	}
	if (optind >= argc)
		return CMD_HELP;
	s.path = !(s.dir);
	if (s.what == 0)
		s.what = ALL;
	for (; optind < argc; optind++) {
		one = show_path(&s, argv[optind]);
		if (rc == 0)
			rc = one;
	}
	return rc;
}

/* ---- setstripe ---- */

/* "1M", "64K", "4G", "-1" and "eof" for the end. */
static bool parse_size(const char *text, uint64_t *out)
{
	unsigned long long v;
	char *end;
	int shift = 0;

	if (strcmp(text, "-1") == 0 || strcasecmp(text, "eof") == 0) {
		*out = LUSTRE_EOF;
		return true;
	}
	errno = 0;
	v = strtoull(text, &end, 0);
	if (end == text || errno != 0)
		return false;
	switch (*end) {
	case 'T':
	case 't':
		shift += 10; /* fall through */
	case 'G':
	case 'g':
		shift += 10; /* fall through */
	case 'M':
	case 'm':
		shift += 10; /* fall through */
	case 'K':
	case 'k':
		shift += 10;
		end++;
		break;
	default:
		break;
	}
	if (*end != '\0' && strcmp(end, "B") != 0 && strcmp(end, "iB") != 0)
		return false;
	*out = v << shift;
	return true;
}

/* What was said since the last -E; given tells whether anything was. */
struct spec {
	long count, index;
	uint64_t size;
	const char *pool;
	bool mdt, overstripe, given;
};
static const struct spec no_spec = { .count = LONG_MIN, .index = -1 };

static int apply(struct llapi_layout *l, const struct spec *s)
{
	int rc = 0;

	if (s->mdt)
		rc |= llapi_layout_pattern_set(l, LLAPI_LAYOUT_MDT);
	else if (s->overstripe)
		rc |= llapi_layout_pattern_set(l, LLAPI_LAYOUT_OVERSTRIPING);
	if (s->count != LONG_MIN)
		rc |= llapi_layout_stripe_count_set(l, s->count == -1  ? LLAPI_LAYOUT_WIDE
						       : s->count == 0 ? LLAPI_LAYOUT_DEFAULT
								       : (uint64_t)s->count);
	if (s->size != 0)
		rc |= llapi_layout_stripe_size_set(l, s->size);
	if (s->index != -1)
		rc |= llapi_layout_ost_index_set(l, 0, (uint64_t)s->index);
	if (s->pool != NULL)
		rc |= llapi_layout_pool_name_set(l, s->pool);
	return rc;
}

/* The next component of a composite layout, from where the last one ended. */
static int add_component(struct llapi_layout *l, bool *first, uint64_t end, const struct spec *s, uint64_t *start)
{
	if (end <= *start)
		return -1;
	if (*first ? 0 : *start == 0 ? llapi_layout_add_first_comp(l) : llapi_layout_comp_add(l))
		return -1;
	*first = false;
	if (llapi_layout_comp_extent_set(l, *start, end) < 0 || apply(l, s) < 0)
		return -1;
	*start = end == LUSTRE_EOF ? 0 : end;
	return 0;
}

static int create(const char *cmd, const char *path, const struct llapi_layout *l)
{
	struct stat st;
	bool dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	int fd = dir ? llapi_layout_file_open(path, O_RDONLY | O_DIRECTORY, 0, l)
		     : llapi_layout_file_open(path, O_CREAT | O_WRONLY, 0666, l), rc = -errno;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	fprintf(stderr, "%s %s: %s: %s '%s': %s (%d)\n", progname, cmd, progname,
		dir ? "cannot set default composite layout for" : "cannot create composite file", path, strerror(-rc),
		-rc);
	return rc;
}

static int create_plain(const char *path, const struct spec *s)
{
	const struct llapi_stripe_param p = {
		.lsp_stripe_size = s->size,
		.lsp_stripe_offset = (int)s->index,
		.lsp_stripe_count = s->count == LONG_MIN ? 0 : (int)s->count,
		.lsp_stripe_pattern = s->mdt	      ? LOV_PATTERN_MDT
				      : s->overstripe ? LOV_PATTERN_RAID0 | LOV_PATTERN_OVERSTRIPING
						      : 0,
		.lsp_pool = (char *)s->pool,
	};
	int fd = llapi_file_open_param(path, O_CREAT | O_WRONLY, 0666, &p);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static bool number_option(const char *cmd, const char *what, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(optarg, &end, 0);
	if (errno == 0 && end != optarg && *end == '\0' && *out >= -1)
		return true;
	fprintf(stderr, "%s %s: invalid %s '%s'\n", progname, cmd, what, optarg);
	return false;
}

static int set_layout(const char *cmd, int argc, char **argv, bool mirrors_wanted)
{
	static const struct option options[] = {
		{ "stripe-count", required_argument, NULL, 'c' },      { "overstripe-count", required_argument, NULL, 'C' },
		{ "component-end", required_argument, NULL, 'E' },     { "help", no_argument, NULL, 'h' },
		{ "stripe-index", required_argument, NULL, 'i' },      { "layout", required_argument, NULL, 'L' },
		{ "mirror-count", optional_argument, NULL, 'N' },      { "pool", required_argument, NULL, 'p' },
		{ "stripe-size", required_argument, NULL, 'S' },       { NULL, 0, NULL, 0 },
	};
	struct llapi_layout *l = llapi_layout_alloc();
	struct spec s = no_spec;
	uint64_t start = 0, end = 0;
	bool composite = false, first = true, pending = false;
	int c, rc = CMD_HELP, mirrors = 0;

	if (l == NULL)
		return -ENOMEM;
	while ((c = getopt_long(argc, argv, "c:C:E:hi:L:N::p:S:", options, NULL)) != -1) {
		s.given = c != 'E' && c != 'N';
		switch (c) {
		case 'C':
			s.overstripe = true; /* fall through */
		case 'c':
			if (!number_option(cmd, "stripe count", &s.count))
				goto out;
			break;
		case 'i':
			if (!number_option(cmd, "layout stripe index", &s.index))
				goto out;
			break;
		case 'S':
			if (!parse_size(optarg, &s.size) || s.size == LUSTRE_EOF) {
				fprintf(stderr, "%s %s: invalid stripe size '%s'\n", progname, cmd, optarg);
				goto out;
			}
			break;
		case 'p':
			s.pool = optarg;
			break;
		case 'L':
			if (strcmp(optarg, "mdt") == 0) {
				s.mdt = true;
			} else if (strcmp(optarg, "raid0") != 0) {
				fprintf(stderr, "%s %s: invalid layout type '%s'\n", progname, cmd, optarg);
				goto out;
			}
			break;
		case 'E':
			if (pending && add_component(l, &first, end, &s, &start) < 0)
				goto invalid;
			if (!parse_size(optarg, &end)) {
				fprintf(stderr, "%s %s: invalid component end '%s'\n", progname, cmd, optarg);
				goto out;
			}
			composite = pending = true;
			s = no_spec;
			break;
		case 'N':
			if (pending && add_component(l, &first, end, &s, &start) < 0)
				goto invalid;
			pending = false;
			mirrors += optarg != NULL ? atoi(optarg) : 1;
			break;
		case 'h':
			goto out;
		default:
			fprintf(stderr, "%s %s: unrecognized option '%s'\n", progname, cmd, argv[optind - 1]);
			goto out;
		}
	}
	if (optind >= argc) {
		fprintf(stderr, "%s %s: FILE must be specified\n", progname, cmd);
		goto out;
	}
	if (mirrors_wanted && mirrors == 0) {
		fprintf(stderr, "error: %s: --mirror-count|-N option is required\n", cmd);
		goto out;
	}
	if (pending && add_component(l, &first, end, &s, &start) < 0)
		goto invalid;
	if (mirrors > 0 && !composite) { /* as many whole-file mirrors */
		for (int i = 0; i < mirrors; i++)
			if (start = 0, add_component(l, &first, LUSTRE_EOF, &s, &start) < 0)
				goto invalid;
		composite = true;
	}
	if (mirrors > 1)
		llapi_layout_mirror_count_set(l, (uint16_t)mirrors);
	for (rc = 0; optind < argc && rc == 0; optind++)
		rc = composite ? create(cmd, argv[optind], l) : create_plain(argv[optind], &s);
	goto out;
invalid:
	fprintf(stderr, "%s %s: invalid layout\n", progname, cmd);
	rc = -EINVAL;
out:
	llapi_layout_free(l);
	return rc;
}

int lfs_setstripe(int argc, char **argv)
{
	return set_layout("setstripe", argc, argv, false);
}

int lfs_mirror(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "create") != 0)
		return CMD_HELP;
	return set_layout("mirror create", argc - 1, argv + 1, true);
}
