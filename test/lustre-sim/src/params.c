/*
 * The tree of `lctl get_param`: what a client has, and what only the server has on top.
 */
#include "sim.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE_MAX (64u << 20)

struct text {
	char *p;
	size_t len, cap;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	for (;;) {
		va_start(ap, fmt);
		n = vsnprintf(t->p ? t->p + t->len : NULL, t->cap - t->len, fmt, ap);
		va_end(ap);
		if (t->p && (size_t)n < t->cap - t->len)
			break;
		t->cap = t->cap * 2 + (size_t)n + 64;
		t->p = xrealloc(t->p, t->cap);
	}
	t->len += (size_t)n;
}

enum where { CLIENT, SERVER };

struct param {
	const char *name; /* %M: MDT, %I: the client's instance */
	enum where where;
	bool root; /* debugfs: only root sees it */
	void (*get)(struct text *t, unsigned which); /* the mount, or the MDT of one with %M */
	int (*set)(const char *value, unsigned which);
	bool kept; /* survives a restart */
};

/* ---- getters ---- */

static void get_version(struct text *t, unsigned m) { (void)m; say(t, "%s", sim.v215 ? "2.15.7" : "2.17.57"); }
static void get_jobid_var(struct text *t, unsigned m) { (void)m; say(t, "%s", sim.jobid_var); }
static void get_healthy(struct text *t, unsigned m) { (void)m; say(t, "healthy"); }
static void get_uuid(struct text *t, unsigned m) { say(t, "%s", sim.mounts[m].uuid); }
static void get_fstype(struct text *t, unsigned m) { (void)m; say(t, "lustre"); }
static void get_blocksize(struct text *t, unsigned m) { (void)m; say(t, "4096"); }
static void get_one(struct text *t, unsigned m) { (void)m; say(t, "1"); }
static void get_zero(struct text *t, unsigned m) { (void)m; say(t, "0"); }

static uint64_t total_kb(bool used)
{
	uint64_t kb = 0;

	for (unsigned i = 0; i < sim.nosts; i++)
		kb += used ? sim.osts[i].used / 1024 + sim.osts[i].fill_kb : sim.osts[i].size_kb;
	return kb;
}

static void get_kbtotal(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, total_kb(false)); }

static void get_kbfree(struct text *t, unsigned m)
{
	uint64_t all = total_kb(false), used = total_kb(true);

	(void)m;
	say(t, "%" PRIu64, all > used ? all - used : 0);
}

static void get_control(struct text *t, unsigned m)
{
	static const char *const names[] = { "enabled", "disabled", "stopped" };

	(void)m;
	say(t, "%s", names[sim.cdt.state]);
}

static void get_max_requests(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, sim.cdt.max_requests); }
static void get_loop(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, sim.cdt.loop_period); }
static void get_grace(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, sim.cdt.grace_delay); }
static void get_timeout(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, sim.cdt.active_timeout); }
static void get_default_archive(struct text *t, unsigned m) { (void)m; say(t, "%u", sim.cdt.default_archive); }
static void get_remove_last(struct text *t, unsigned m) { (void)m; say(t, "%d", sim.cdt.remove_last); }

static void get_policy(struct text *t, unsigned m)
{
	(void)m;
	say(t, sim.cdt.nonblocking ? "[NonBlockingRestore] " : "NonBlockingRestore ");
	say(t, sim.cdt.noretry ? "[NoRetryAction]" : "NoRetryAction");
}

static unsigned running(uint32_t kind, unsigned mdt)
{
	unsigned n = 0;

	for (const struct action *a = sim.cdt.first; a; a = a->next)
		n += a->running && a->kind == kind && fid_mdt(&a->fid) == mdt;
	return n;
}

static void get_archives(struct text *t, unsigned m) { say(t, "%u", running(HSMA_ARCHIVE, m)); }
static void get_restores(struct text *t, unsigned m) { say(t, "%u", running(HSMA_RESTORE, m)); }
static void get_removes(struct text *t, unsigned m) { say(t, "%u", running(HSMA_REMOVE, m)); }

static void say_mask(struct text *t, uint64_t mask)
{
	bool first = true;

	for (uint32_t kind = HSMA_NONE; kind <= HSMA_CANCEL; kind++)
		if (mask & 1ULL << kind) {
			say(t, "%s%s", first ? "" : " ", action_name(kind));
			first = false;
		}
}

static void get_user_mask(struct text *t, unsigned m) { (void)m; say_mask(t, sim.cdt.user_mask); }
static void get_group_mask(struct text *t, unsigned m) { (void)m; say_mask(t, sim.cdt.group_mask); }
static void get_other_mask(struct text *t, unsigned m) { (void)m; say_mask(t, sim.cdt.other_mask); }

static void say_extent(struct text *t, const struct action *a)
{
	say(t, "action=%s archive#=%d flags=0x%" PRIx64 " extent=0x%" PRIx64 "-0x%" PRIx64 " gid=0x%" PRIx64, action_name(a->kind),
	    (int)a->archive, a->flags, a->off, a->len, a->gid);
}

/* At most the first five bytes, in hexadecimal. */
static void say_data(struct text *t, const struct action *a)
{
	say(t, " data=[");
	for (uint32_t i = 0; i < a->datalen && i < 5; i++)
		say(t, "%02X", a->data[i]);
	say(t, "]");
}

static void get_actions(struct text *t, unsigned m)
{
	char f[PFID_STR_MAX], d[PFID_STR_MAX];

	for (const struct action *a = sim.cdt.first; a; a = a->next) {
		if (fid_mdt(&a->fid) != m)
			continue;
		say(t, "%slrh=[type=10680000 len=%u idx=1/%u] fid=[%s] dfid=[%s] compound/cookie=0x0/0x%" PRIx64 " ",
		    t->len == 0 ? "" : "\n", 136 + ((a->datalen + 7) & ~7u), a->idx, pfid_format(&a->fid, f),
		    pfid_format(&a->dfid, d), a->cookie);
		say_extent(t, a);
		say(t, " datalen=%u status=%s", a->datalen, status_name(a->status));
		say_data(t, a);
	}
}

static void get_active(struct text *t, unsigned m)
{
	char f[PFID_STR_MAX], d[PFID_STR_MAX];
	bool first = true;

	for (const struct action *a = sim.cdt.first; a; a = a->next) {
		if (!a->running || fid_mdt(&a->fid) != m)
			continue;
		say(t, "%sfid=[%s] dfid=[%s] compound/cookie=0x0/0x%" PRIx64 " ", first ? "" : "\n", pfid_format(&a->fid, f),
		    pfid_format(&a->run_dfid, d), a->cookie);
		say_extent(t, a);
		say_data(t, a);
		say(t, " canceled=%d uuid=%s done=%" PRIu64, a->cancel != NULL, sim.mounts[a->agent_mount].uuid, a->done);
		first = false;
	}
}

static void get_agents(struct text *t, unsigned m)
{
	(void)m;
	for (const struct agent *a = sim.cdt.agents; a; a = a->next) {
		say(t, "%suuid=%s archive_id=", a == sim.cdt.agents ? "" : "\n", sim.mounts[a->mount].uuid);
		if (a->narchives == 0)
			say(t, "ANY");
		for (unsigned i = 0; i < a->narchives; i++)
			say(t, "%s%d", i ? "," : "", (int)a->archives[i]);
		say(t, " requests=[current:%d ok:%d errors:%d]", a->current, a->ok, a->errors);
	}
}

static void get_mask(struct text *t, unsigned m)
{
	char names[256];

	cl_mask_text(cl_mask(m), ' ', names, sizeof(names));
	say(t, "%s", names);
}

static void get_current_mask(struct text *t, unsigned m)
{
	char names[256];

	cl_mask_text(cl_current_mask(m), ' ', names, sizeof(names));
	say(t, "%s", names);
}

static void get_users(struct text *t, unsigned m)
{
	say(t, "current_index: %" PRIu64 "\n%-24s %10s (idle) mask", cl_index(m), "ID", "index");
	for (const struct cl_user *u = cl_users(m); u; u = u->next) {
		char id[64], names[256];

		snprintf(id, sizeof(id), "cl%u%s%s", u->id, u->name[0] ? "-" : "", u->name);
		say(t, "\n%-24s %10" PRIu64 " (%lld)", id, u->index, (long long)(now_sec() - u->touched));
		if (u->masked) {
			cl_mask_text(u->mask, ',', names, sizeof(names));
			say(t, " mask=%s", names);
		}
	}
}

static void get_cl_size(struct text *t, unsigned m) { say(t, "%" PRIu64, cl_bytes(m)); }
static void get_idle_time(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, cl_gc.max_idle_time); }
static void get_idle_indexes(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, cl_gc.max_idle_indexes); }
static void get_gc_interval(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, cl_gc.min_interval); }
static void get_gc(struct text *t, unsigned m) { (void)m; say(t, "%" PRIu64, cl_gc.on); }
static void get_free_cat(struct text *t, unsigned m) { (void)m; say(t, "2"); }
static void get_denied(struct text *t, unsigned m) { (void)m; say(t, "60"); }
static void get_mdt_uuid(struct text *t, unsigned m) { say(t, "%s-MDT%04x_UUID", sim.fsname, m); }

/* ---- setters ---- */

static int number(const char *value, uint64_t *out)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(value, &end, 0);
	if (end == value || *end != '\0' || errno || strchr(value, '-'))
		return -EINVAL;
	*out = v;
	return 0;
}

static int positive(const char *value, uint64_t *out)
{
	uint64_t v;
	int rc = number(value, &v);

	if (rc || v == 0)
		return -EINVAL;
	*out = v;
	return 0;
}

static int set_max_requests(const char *v, unsigned m)
{
	int rc = positive(v, &sim.cdt.max_requests);

	(void)m;
	cdt_event();
	return rc;
}

static int set_loop(const char *v, unsigned m) { (void)m; return positive(v, &sim.cdt.loop_period); }
static int set_grace(const char *v, unsigned m) { (void)m; return positive(v, &sim.cdt.grace_delay); }
static int set_timeout(const char *v, unsigned m) { (void)m; return positive(v, &sim.cdt.active_timeout); }

static int set_default_archive(const char *v, unsigned m)
{
	uint64_t n;
	int rc = positive(v, &n);

	(void)m;
	if (rc == 0)
		sim.cdt.default_archive = (uint32_t)n;
	return rc;
}

static int set_remove_last(const char *v, unsigned m)
{
	uint64_t n;
	int rc = number(v, &n);

	(void)m;
	if (rc == 0)
		sim.cdt.remove_last = n != 0;
	return rc;
}

/* "A B" sets; with any sign, + and unsigned add, - removes. */
static int set_policy(const char *value, unsigned m)
{
	char *copy = xstrdup(value), *save = NULL;
	unsigned set = 0, add = 0, del = 0, policy;
	int rc = 0;

	(void)m;
	for (char *w = strtok_r(copy, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
		char sign = *w == '+' || *w == '-' ? *w++ : 0;
		unsigned bit = strcmp(w, "NBR") == 0 || strcmp(w, "NonBlockingRestore") == 0 ? 1 :
			       strcmp(w, "NRA") == 0 || strcmp(w, "NoRetryAction") == 0 ? 2 : 0;

		if (bit == 0) {
			rc = -EINVAL;
			break;
		}
		*(sign == '-' ? &del : sign == '+' ? &add : &set) |= bit;
	}
	free(copy);
	if (rc)
		return rc;
	policy = (sim.cdt.nonblocking ? 1u : 0) | (sim.cdt.noretry ? 2u : 0);
	policy = add || del ? (policy | set | add) & ~del : set;
	sim.cdt.nonblocking = policy & 1;
	sim.cdt.noretry = policy & 2;
	return 0;
}

static int parse_request_mask(const char *value, uint64_t *mask)
{
	char *copy = xstrdup(value), *save = NULL;
	uint64_t m = 0;
	int rc = 0;

	for (char *w = strtok_r(copy, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
		uint32_t kind = strcasecmp(w, "NOOP") == 0 ? HSMA_NONE : 0;

		for (uint32_t k = HSMA_ARCHIVE; k <= HSMA_CANCEL; k++)
			if (strcasecmp(w, action_name(k)) == 0)
				kind = k;
		if (kind == 0) {
			rc = -EINVAL;
			break;
		}
		m |= 1ULL << kind;
	}
	free(copy);
	if (rc == 0)
		*mask = m;
	return rc;
}

static int set_user_mask(const char *v, unsigned m) { (void)m; return parse_request_mask(v, &sim.cdt.user_mask); }
static int set_group_mask(const char *v, unsigned m) { (void)m; return parse_request_mask(v, &sim.cdt.group_mask); }
static int set_other_mask(const char *v, unsigned m) { (void)m; return parse_request_mask(v, &sim.cdt.other_mask); }

static int set_jobid_var(const char *v, unsigned m)
{
	(void)m;
	if (strlen(v) >= sizeof(sim.jobid_var))
		return -EINVAL;
	snprintf(sim.jobid_var, sizeof(sim.jobid_var), "%s", v);
	return 0;
}

static int set_gc(const char *v, unsigned m) { (void)m; return number(v, &cl_gc.on); }
static int set_idle_time(const char *v, unsigned m) { (void)m; return number(v, &cl_gc.max_idle_time); }
static int set_idle_indexes(const char *v, unsigned m) { (void)m; return number(v, &cl_gc.max_idle_indexes); }
static int set_gc_interval(const char *v, unsigned m) { (void)m; return number(v, &cl_gc.min_interval); }
static int set_control(const char *v, unsigned m) { (void)m; return cdt_control(v); }
static int set_cl_mask(const char *v, unsigned m) { return cl_set_mask(m, v); }

static const struct param params[] = {
	{ "version", CLIENT, false, get_version, NULL, false },
	{ "health_check", CLIENT, false, get_healthy, NULL, false },
	{ "jobid_var", CLIENT, false, get_jobid_var, set_jobid_var, true },
	{ "llite.%I.blocksize", CLIENT, false, get_blocksize, NULL, false },
	{ "llite.%I.fstype", CLIENT, false, get_fstype, NULL, false },
	{ "llite.%I.kbytesavail", CLIENT, false, get_kbfree, NULL, false },
	{ "llite.%I.kbytesfree", CLIENT, false, get_kbfree, NULL, false },
	{ "llite.%I.kbytestotal", CLIENT, false, get_kbtotal, NULL, false },
	{ "llite.%I.user_fid2path", CLIENT, false, get_zero, NULL, false },
	{ "llite.%I.uuid", CLIENT, false, get_uuid, NULL, false },
	{ "llite.%I.xattr_cache", CLIENT, false, get_one, NULL, false },
	{ "mdt.%M.hsm.active_request_timeout", SERVER, false, get_timeout, set_timeout, true },
	{ "mdt.%M.hsm.archive_count", SERVER, false, get_archives, NULL, false },
	{ "mdt.%M.hsm.default_archive_id", SERVER, false, get_default_archive, set_default_archive, true },
	{ "mdt.%M.hsm.grace_delay", SERVER, false, get_grace, set_grace, true },
	{ "mdt.%M.hsm.loop_period", SERVER, false, get_loop, set_loop, true },
	{ "mdt.%M.hsm.max_requests", SERVER, false, get_max_requests, set_max_requests, true },
	{ "mdt.%M.hsm.remove_archive_on_last_unlink", SERVER, false, get_remove_last, set_remove_last, true },
	{ "mdt.%M.hsm.remove_count", SERVER, false, get_removes, NULL, false },
	{ "mdt.%M.hsm.restore_count", SERVER, false, get_restores, NULL, false },
	{ "mdt.%M.hsm.actions", SERVER, true, get_actions, NULL, false },
	{ "mdt.%M.hsm.active_requests", SERVER, true, get_active, NULL, false },
	{ "mdt.%M.hsm.agents", SERVER, true, get_agents, NULL, false },
	{ "mdt.%M.hsm.group_request_mask", SERVER, true, get_group_mask, set_group_mask, true },
	{ "mdt.%M.hsm.other_request_mask", SERVER, true, get_other_mask, set_other_mask, true },
	{ "mdt.%M.hsm.policy", SERVER, true, get_policy, set_policy, true },
	{ "mdt.%M.hsm.user_request_mask", SERVER, true, get_user_mask, set_user_mask, true },
	{ "mdt.%M.hsm_control", SERVER, false, get_control, set_control, false },
	{ "mdd.%M.changelog_deniednext", SERVER, false, get_denied, NULL, false },
	{ "mdd.%M.changelog_gc", SERVER, false, get_gc, set_gc, true },
	{ "mdd.%M.changelog_max_idle_indexes", SERVER, false, get_idle_indexes, set_idle_indexes, true },
	{ "mdd.%M.changelog_max_idle_time", SERVER, false, get_idle_time, set_idle_time, true },
	{ "mdd.%M.changelog_min_free_cat_entries", SERVER, false, get_free_cat, NULL, false },
	{ "mdd.%M.changelog_min_gc_interval", SERVER, false, get_gc_interval, set_gc_interval, true },
	{ "mdd.%M.changelog_size", SERVER, false, get_cl_size, NULL, false },
	{ "mdd.%M.uuid", SERVER, false, get_mdt_uuid, NULL, false },
	{ "mdd.%M.changelog_current_mask", SERVER, true, get_current_mask, NULL, false },
	{ "mdd.%M.changelog_mask", SERVER, true, get_mask, set_cl_mask, false },
	{ "mdd.%M.changelog_users", SERVER, true, get_users, NULL, false },
};

#define NPARAMS (sizeof(params) / sizeof(params[0]))

static bool of_mdt(const struct param *p)
{
	const char *mark = strchr(p->name, '%');

	return mark && mark[1] == 'M';
}

/* All parameters of MDT0000 in the table's order, then those of the next; groups (mdt, mdd) one after the other. */
struct walk {
	size_t i;
	unsigned mdt;
	const struct param *p;
};

static bool walk_next(struct walk *w)
{
	if (w->p == NULL) {
		w->p = params;
		return true;
	}
	if (of_mdt(w->p) && w->mdt + 1 < sim.nmdts && (w->i + 1 == NPARAMS || strncmp(params[w->i + 1].name, w->p->name, 4) != 0)) {
		while (w->i > 0 && strncmp(params[w->i - 1].name, w->p->name, 4) == 0)
			w->i--;
		w->mdt++;
	} else {
		if (++w->i == NPARAMS)
			return false;
		if (strncmp(params[w->i].name, w->p->name, 4) != 0)
			w->mdt = 0;
	}
	w->p = &params[w->i];
	return true;
}

static void full_name(const struct param *p, unsigned which, char *out, size_t len)
{
	const char *mark = strchr(p->name, '%');

	if (mark == NULL)
		snprintf(out, len, "%s", p->name);
	else if (mark[1] == 'M')
		snprintf(out, len, "%.*s%s-MDT%04x%s", (int)(mark - p->name), p->name, sim.fsname, which, mark + 2);
	else
		snprintf(out, len, "%.*s%s-ff11%.8s%.4s%s", (int)(mark - p->name), p->name, sim.fsname, sim.mounts[which].uuid,
			 sim.mounts[which].uuid + 9, mark + 2);
}

/* Part by part: a star does not cross a dot. Both are changed to slashes for fnmatch. */
static bool matches(const char *pattern, const char *name)
{
	char a[512], b[512];

	snprintf(a, sizeof(a), "%s", pattern);
	snprintf(b, sizeof(b), "%s", name);
	for (char *p = a; *p; p++)
		if (*p == '.')
			*p = '/';
	for (char *p = b; *p; p++)
		if (*p == '.')
			*p = '/';
	return fnmatch(a, b, FNM_PATHNAME) == 0;
}

/* Directories above a parameter that the pattern names; `last` is the one shown before, as parameters come sorted by them. */
static unsigned list_dirs(const char *pattern, const char *name, char last[256], param_row_fn *row, void *ctx)
{
	unsigned count = 0;
	char dir[256];

	for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(dot - name), name);
		if (!matches(pattern, dir) || strcmp(dir, last) == 0)
			continue;
		strcpy(last, dir);
		row(ctx, dir, "", false, true);
		count++;
	}
	return count;
}

unsigned params_get(const char *pattern, bool server, uint32_t uid, unsigned mount, bool values, param_row_fn *row, void *ctx,
		    int *err)
{
	char last[256] = "";
	unsigned count = 0;

	*err = 0;
	for (struct walk w = { 0, 0, NULL }; walk_next(&w);) {
		const struct param *p = w.p;
		unsigned which = of_mdt(p) ? w.mdt : mount;
		struct text t = { NULL, 0, 0 };
		char name[256];

		if (p->where == SERVER && !server)
			continue;
		full_name(p, which, name, sizeof(name));
		if (!values)
			count += list_dirs(pattern, name, last, row, ctx);
		if (!matches(pattern, name))
			continue;
		if (p->root && uid != 0) {
			*err = EACCES;
			continue;
		}
		if (values)
			p->get(&t, which);
		row(ctx, name, t.p ? t.p : "", p->set != NULL, false);
		free(t.p);
		count++;
	}
	return count;
}

int params_set(const char *pattern, const char *value, bool server, uint32_t uid, unsigned mount)
{
	bool found = false;

	for (struct walk w = { 0, 0, NULL }; walk_next(&w);) {
		const struct param *p = w.p;
		unsigned which = of_mdt(p) ? w.mdt : mount;
		char name[256];
		int rc;

		if (p->where == SERVER && !server)
			continue;
		full_name(p, which, name, sizeof(name));
		if (!matches(pattern, name))
			continue;
		found = true;
		if (uid != 0)
			return -EACCES;
		if (p->set == NULL)
			return -EROFS;
		rc = p->set(value, which);
		if (rc)
			return rc;
		if (p->kept)
			log_param(p->name, value);
	}
	return found ? 0 : -ENOENT;
}

void params_load(const char *name, const char *value)
{
	for (size_t i = 0; i < NPARAMS; i++)
		if (params[i].kept && strcmp(params[i].name, name) == 0)
			params[i].set(value, 0);
}

void params_dump(void)
{
	for (size_t i = 0; i < NPARAMS; i++) {
		struct text t = { NULL, 0, 0 };

		if (!params[i].kept)
			continue;
		params[i].get(&t, 0);
		/* a policy is shown with brackets around what is on: written as signs instead */
		if (params[i].get == get_policy) {
			log_param(params[i].name, sim.cdt.nonblocking ? "+NBR" : "-NBR");
			log_param(params[i].name, sim.cdt.noretry ? "+NRA" : "-NRA");
		} else {
			log_param(params[i].name, t.p ? t.p : "");
		}
		free(t.p);
	}
}

void params_init(void)
{
	struct cdt *c = &sim.cdt;

	c->state = CDT_RUNNING;
	c->max_requests = 3;
	/* Lustre's default is 10; a test would only wait */
	c->loop_period = 1;
	c->grace_delay = 60;
	c->active_timeout = 3600;
	c->default_archive = 1;
	c->noretry = true;
	c->user_mask = c->group_mask = c->other_mask = 1ULL << HSMA_RESTORE;
	c->last_cookie = (uint64_t)now_sec();
	strcpy(sim.jobid_var, "disable");
}
