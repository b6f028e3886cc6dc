/* lctl get_param, set_param, list_param */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct param_options {
	bool no_name, only_name, classify;
};

/* Parameters of debugfs; the others are in sysfs. Only shown in messages. */
static const char *root_of(const char *name)
{
	static const char *const debugfs[] = {
		".hsm.actions",	 ".hsm.active_requests",   ".hsm.agents",	".hsm.policy",
		"_request_mask", ".changelog_mask",	   ".changelog_users",	".changelog_current_mask",
		".stats",	 ".import",
	};

	for (size_t i = 0; i < sizeof(debugfs) / sizeof(*debugfs); i++)
		if (strstr(name, debugfs[i]) != NULL)
			return "/sys/kernel/debug/lustre/";
	return "/sys/fs/lustre/";
}

/* "a.b.c" as the file system's "a/b/c". */
static char *as_path(const char *name, char *buf, size_t size)
{
	size_t n = strlen(name);

	if (n >= size)
		n = size - 1;
	for (size_t i = 0; i < n; i++)
		buf[i] = name[i] == '.' ? '/' : name[i];
	buf[n] = '\0';
	return buf;
}

static int call_rows(const char *verb, const char *pattern, int (*each)(const struct pline *row, void *arg), void *arg)
{
	struct sim_conn *c;
	struct pmsg m;
	int rc = sim_get_default(&c);

	if (rc < 0)
		return rc == -ENODEV ? -ENOENT : rc; /* no file system mounted: no parameters */
	pmsg_begin(&m, verb);
	pmsg_str(&m, "pattern", pattern);
	rc = sim_call_rows(c, &m, each, arg);
	sim_put(c, true);
	return rc;
}

/* ---- get, list ---- */

struct shown {
	const struct param_options *o;
	bool any;
};

static int print_name(const struct pline *row, void *arg)
{
	struct shown *s = arg;

	s->any = true;
	printf("%s%s\n", pline_str(row, "name", ""),
	       s->o->classify ? (pline_u64(row, "dir", 0) ? "/" : pline_u64(row, "rw", 0) ? "=" : "") : "");
	return 0;
}

static int print_value(const struct pline *row, void *arg)
{
	struct shown *s = arg;
	const struct pword *w = pline_find(row, "value");
	const char *value = w != NULL ? w->value : "";
	size_t len = w != NULL ? w->len : 0;
	const char *nl = memchr(value, '\n', len);
	bool lines = nl != NULL && nl + 1 < value + len;

	s->any = true;
	if (!s->o->no_name)
		printf("%s%s=%s", pline_str(row, "name", ""),
		       s->o->classify && pline_u64(row, "rw", 0) ? "=" : "", lines ? "\n" : "");
	fwrite(value, 1, len, stdout);
	if ((len > 0 || !s->o->no_name) && (len == 0 || value[len - 1] != '\n'))
		printf("\n");
	return 0;
}

static int show(int argc, char **argv, bool list)
{
	static const struct option options[] = {
		{ "classify", no_argument, NULL, 'F' },	 { "no-name", no_argument, NULL, 'n' },
		{ "only-name", no_argument, NULL, 'N' }, { "recursive", no_argument, NULL, 'R' },
		{ "no-links", no_argument, NULL, 'L' },	 { "links", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },	 { NULL, 0, NULL, 0 },
	};
	struct param_options o = { false, false, false };
	char path[PATH_MAX];
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "FnNRLlh", options, NULL)) != -1) {
		switch (c) {
		case 'F':
			o.classify = true;
			break;
		case 'n':
			o.no_name = true;
			break;
		case 'N':
			o.only_name = true;
			break;
		case 'R':
		case 'L':
		case 'l':
			break;
		default:
			return CMD_HELP;
		}
	}
	if (optind >= argc)
		return CMD_HELP;
	for (; optind < argc; optind++) {
		struct shown s = { .o = &o };
		int one = list || o.only_name ? call_rows("param_list", argv[optind], print_name, &s)
					      : call_rows("param_get", argv[optind], print_value, &s);

		if ((one == 0 && !s.any) || (one == -EACCES && geteuid() != 0))
			one = -ENOENT; /* debugfs is not even visible to users */
		if (one < 0 && !(geteuid() != 0 && one == -ENOENT))
			fprintf(stderr, "error: %s: param_path '%s': %s\n", argv[0],
				as_path(argv[optind], path, sizeof(path)), strerror(-one));
		if (rc == 0)
			rc = one;
	}
	return rc;
}

int lctl_get_param(int argc, char **argv)
{
	return show(argc, argv, false);
}

int lctl_list_param(int argc, char **argv)
{
	return show(argc, argv, true);
}

/* ---- set ---- */

struct names {
	char **list;
	size_t count;
};

static int add_name(const struct pline *row, void *arg)
{
	struct names *n = arg;
	char **grown = realloc(n->list, (n->count + 1) * sizeof(*grown));

	if (grown == NULL)
		return -ENOMEM;
	n->list = grown;
	n->list[n->count] = strdup(pline_str(row, "name", ""));
	return n->list[n->count++] == NULL ? -ENOMEM : 0;
}

static int set_one(const char *name, const char *value, bool quiet)
{
	char path[PATH_MAX];
	struct sim_conn *c;
	struct pmsg m;
	int rc = sim_get_default(&c);

	if (rc == 0) {
		pmsg_begin(&m, "param_set");
		pmsg_str(&m, "name", name);
		pmsg_str(&m, "value", value);
		rc = sim_call(c, &m, NULL);
		sim_put(c, true);
	}
	if (rc < 0)
		fprintf(stderr, "error: set_param: setting %s%s=%s: %s\n", root_of(name),
			as_path(name, path, sizeof(path)), value, strerror(-rc));
	else if (quiet)
		printf("%s\n", value);
	else
		printf("%s=%s\n", name, value);
	return rc;
}

static int set_pattern(const char *pattern, const char *value, bool quiet)
{
	struct names n = { NULL, 0 };
	char path[PATH_MAX];
	int rc = call_rows("param_list", pattern, add_name, &n);

	if (rc == 0 && n.count == 0)
		rc = -ENOENT;
	if (rc < 0)
		fprintf(stderr, "error: set_param: param_path '%s': %s\n", as_path(pattern, path, sizeof(path)),
			strerror(-rc));
	for (size_t i = 0; i < n.count; i++) {
		int one = set_one(n.list[i], value, quiet);

		if (rc == 0)
			rc = one;
		free(n.list[i]);
	}
	free(n.list);
	if (rc < 0)
		fprintf(stderr, "error: set_param: setting '%s'='%s': %s\n", as_path(pattern, path, sizeof(path)), value,
			strerror(-rc));
	return rc;
}

int lctl_set_param(int argc, char **argv)
{
	static const struct option options[] = {
		{ "no-name", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool quiet = false;
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "nh", options, NULL)) != -1) {
		if (c != 'n')
			return CMD_HELP;
		quiet = true;
	}
	if (optind >= argc)
		return CMD_HELP;
	for (; optind < argc; optind++) {
		char *eq = strchr(argv[optind], '=');
		const char *value;
		int one;

		if (eq != NULL) {
			*eq = '\0';
			value = eq + 1;
		} else if (optind + 1 < argc) { /* the older way: NAME VALUE */
			value = argv[optind + 1];
		} else {
			fprintf(stderr, "error: set_param: setting %s: bad param=value\n", argv[optind]);
			return rc < 0 ? rc : -EINVAL;
		}
		one = set_pattern(argv[optind], value, quiet);
		if (eq == NULL)
			optind++;
		if (rc == 0)
			rc = one;
	}
	return rc;
}
