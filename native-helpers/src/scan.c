/*
 * The mode scan: walks directories by their FIDs, on several threads, and tells what is in them.
 *
 * A thread reads a directory and looks at its entries in the directory's order, which is what the client's read-ahead
 * wants. While others have nothing to do, it hands them pieces of what it has read: a huge directory occupies all.
 * Directories that were found are kept as FIDs on a stack, so a walk goes deep first, and what waits is small.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entry.h"
#include "fid_stack.h"
#include "helper.h"
#include "out.h"

enum {
	DENTS_BYTES = 65536,
	PIECE_ENTRIES = 128,
	BATCH_ROWS = 1000,
	BATCH_BYTES = 256 * 1024,
	WALK_MAX = 1000,
};

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};

/* A directory that is being read. Who drops it last tells that it is complete. */
struct directory {
	struct lu_fid fid;
	int fd;
	int rc; /* why the listing is not complete; set before the reader's own drop */
	atomic_uint users;
	atomic_ullong entries;
};

/* Entries of a directory for another thread: names, each with its NUL. */
struct piece {
	struct piece *next;
	struct directory *d;
	size_t size;
	char names[];
};

struct totals {
	uint64_t directories, unreadable, entries, gone, foreign, failed;
};

struct scan {
	struct helper *h;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct fid_stack stack;
	struct piece *pieces;
	unsigned piece_count;
	unsigned thread_count, waiting;
	uint64_t given; /* directories that were asked for */
	struct totals totals;
	bool idle_told, stopping;
	atomic_uint hungry; /* threads that wait, less the pieces that are there for them */
	atomic_bool leave;
	pthread_t *threads;
};

struct worker {
	struct scan *s;
	struct entry_reader reader;
	struct buf rows, directories, failed; /* of the next line */
	struct lu_fid group;		      /* whose rows are open in `rows` */
	unsigned count;
	/* Directories in `rows`: nobody walks them before the line is written, so an entry is always told before its end. */
	struct lu_fid *found;
	size_t found_count, found_cap;
	struct totals totals;
	char dents[DENTS_BYTES] __attribute__((aligned(8)));
};

static bool same_fid(const struct lu_fid *a, const struct lu_fid *b)
{
	return a->f_seq == b->f_seq && a->f_oid == b->f_oid && a->f_ver == b->f_ver;
}

/* With the lock held, after either has changed. */
static void count_hungry(struct scan *s)
{
	atomic_store(&s->hungry, s->waiting > s->piece_count ? s->waiting - s->piece_count : 0);
}

/* ---- output ---- */

static void out_of_memory(void)
{
	/* Nothing may be missing in what is told: the asker has to see the helper die. */
	note("out of memory");
	_exit(1);
}

static void push_found(struct worker *w)
{
	struct scan *s = w->s;
	bool ok = true;

	if (w->found_count == 0)
		return;
	pthread_mutex_lock(&s->lock);
	while (ok && w->found_count > 0)
		ok = fid_stack_push(&s->stack, &w->found[--w->found_count]);
	if (s->waiting > 0)
		pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
	if (!ok)
		out_of_memory();
}

static void flush(struct worker *w)
{
	struct buf line = { 0 };

	if (w->rows.len == 0 && w->directories.len == 0 && w->failed.len == 0)
		return;
	buf_str(&line, "{\"t\":\"entries\",\"list\":[");
	buf_add(&line, w->rows.data, w->rows.len);
	if (w->rows.len > 0)
		buf_str(&line, "]]");
	buf_str(&line, "],\"directories\":[");
	buf_add(&line, w->directories.data, w->directories.len);
	buf_str(&line, "],\"failed\":[");
	buf_add(&line, w->failed.data, w->failed.len);
	buf_str(&line, "]}");
	line.failed |= w->rows.failed | w->directories.failed | w->failed.failed;
	if (line.failed)
		out_of_memory();
	out_line(&line);
	buf_free(&line);
	w->rows.len = w->directories.len = w->failed.len = 0;
	w->count = 0;
	push_found(w);
}

static void flush_if_full(struct worker *w)
{
	if (w->count >= BATCH_ROWS || w->rows.len + w->directories.len + w->failed.len >= BATCH_BYTES)
		flush(w);
}

static void tell_directory(struct worker *w, const struct directory *d)
{
	buf_str(&w->directories, w->directories.len > 0 ? ",[" : "[");
	buf_json_fid(&w->directories, &d->fid);
	buf_add(&w->directories, ",", 1);
	buf_u64(&w->directories, atomic_load(&d->entries));
	buf_add(&w->directories, ",", 1);
	buf_i64(&w->directories, d->rc);
	buf_add(&w->directories, "]", 1);
	w->count++;
	flush_if_full(w);
}

/* ---- entries ---- */

static void open_group(struct worker *w, const struct lu_fid *parent)
{
	if (w->rows.len > 0 && same_fid(&w->group, parent)) {
		buf_add(&w->rows, ",", 1);
		return;
	}
	buf_str(&w->rows, w->rows.len > 0 ? "]],[" : "[");
	buf_json_fid(&w->rows, parent);
	buf_str(&w->rows, ",[");
	w->group = *parent;
}

static void add_found(struct worker *w, const struct lu_fid *fid)
{
	if (w->found_count == w->found_cap) {
		w->found_cap = w->found_cap ? w->found_cap * 2 : 64;
		w->found = realloc(w->found, w->found_cap * sizeof(*w->found));
		if (!w->found)
			out_of_memory();
	}
	w->found[w->found_count++] = *fid;
}

static void look_at(struct worker *w, struct directory *d, const char *name)
{
	struct lu_fid fid;
	size_t before = w->rows.len;
	struct lu_fid group = w->group;
	enum entry_result result;
	int rc;

	open_group(w, &d->fid);
	result = entry_read(&w->reader, d->fd, name, &w->rows, &fid, &rc);
	if (result == ENTRY_DIRECTORY)
		add_found(w, &fid);
	switch (result) {
	case ENTRY_DIRECTORY:
	case ENTRY_TOLD:
		w->totals.entries++;
		atomic_fetch_add(&d->entries, 1);
		w->count++;
		if (w->found_count > 0 && atomic_load(&w->s->hungry) > 0)
			flush(w);
		else
			flush_if_full(w);
		return;
	case ENTRY_GONE:
		w->totals.gone++;
		break;
	case ENTRY_FOREIGN:
		w->totals.foreign++;
		break;
	case ENTRY_FAILED:
		w->totals.failed++;
		buf_str(&w->failed, w->failed.len > 0 ? ",[" : "[");
		buf_json_fid(&w->failed, &d->fid);
		buf_add(&w->failed, ",", 1);
		buf_json_name(&w->failed, name, strlen(name));
		buf_add(&w->failed, ",", 1);
		buf_i64(&w->failed, rc);
		buf_add(&w->failed, "]", 1);
		break;
	}
	buf_cut(&w->rows, before);
	w->group = group;
}

static void drop(struct worker *w, struct directory *d)
{
	if (atomic_fetch_sub(&d->users, 1) > 1)
		return;
	if (d->fd >= 0)
		close(d->fd);
	tell_directory(w, d);
	w->totals.directories++;
	w->totals.unreadable += d->rc < 0 && d->rc != -ENOENT;
	free(d);
}

/* ---- directories ---- */

static bool leaving(const struct worker *w)
{
	return atomic_load(&w->s->leave) || out_gone();
}

/* Whether the name is an entry to be told; `.lustre` at the root is Lustre's own. */
static bool counts(const struct worker *w, const struct directory *d, const char *name)
{
	if (name[0] != '.')
		return true;
	if (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))
		return false;
	return strcmp(name, ".lustre") != 0 || !same_fid(&d->fid, &w->s->h->root);
}

/* Gives the names from dents[at..size) to whoever waits. Where they end, or `at` if nobody can take them. */
static size_t hand_over(struct worker *w, struct directory *d, size_t at, size_t size)
{
	struct scan *s = w->s;
	struct piece *p = malloc(sizeof(*p) + DENTS_BYTES);
	size_t end = at;

	if (!p)
		return at;
	p->d = d;
	p->size = 0;
	for (unsigned n = 0; end < size && n < PIECE_ENTRIES; n++) {
		const struct linux_dirent64 *e = (const void *)(w->dents + end);

		if (counts(w, d, e->d_name)) {
			size_t len = strlen(e->d_name) + 1;

			memcpy(p->names + p->size, e->d_name, len);
			p->size += len;
		}
		end += e->d_reclen;
	}
	/* Rows that we hold belong before the end of the directory, which another may tell now. */
	flush(w);
	atomic_fetch_add(&d->users, 1);
	pthread_mutex_lock(&s->lock);
	p->next = s->pieces;
	s->pieces = p;
	s->piece_count++;
	count_hungry(s);
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	return end;
}

static void list_directory(struct worker *w, const struct lu_fid *fid)
{
	struct directory *d = calloc(1, sizeof(*d));
	bool shared = false;

	if (!d)
		out_of_memory();
	d->fid = *fid;
	atomic_init(&d->users, 1);
	d->fd = fs_open_directory(w->s->h, fid);
	if (d->fd < 0)
		d->rc = d->fd;
	while (d->fd >= 0 && !leaving(w)) {
		long n = syscall(SYS_getdents64, d->fd, w->dents, sizeof(w->dents));

		if (n <= 0) {
			d->rc = n < 0 ? -errno : 0;
			break;
		}
		for (size_t at = 0; at < (size_t)n && !leaving(w);) {
			const struct linux_dirent64 *e = (const void *)(w->dents + at);

			if ((size_t)n - at > 2048 && atomic_load(&w->s->hungry) > 0) {
				size_t end = hand_over(w, d, at, (size_t)n);

				shared |= end > at;
				if (end > at) {
					at = end;
					continue;
				}
			}
			if (counts(w, d, e->d_name))
				look_at(w, d, e->d_name);
			at += e->d_reclen;
		}
	}
	if (leaving(w))
		d->rc = -EINTR;
	if (shared)
		flush(w);
	drop(w, d);
}

static void take_piece(struct worker *w, struct piece *p)
{
	for (size_t at = 0; at < p->size && !leaving(w); at += strlen(p->names + at) + 1)
		look_at(w, p->d, p->names + at);
	if (leaving(w))
		p->d->rc = -EINTR;
	flush(w);
	drop(w, p->d);
	free(p);
}

/* ---- threads ---- */

static void add_totals(struct totals *to, struct totals *from)
{
	to->directories += from->directories;
	to->unreadable += from->unreadable;
	to->entries += from->entries;
	to->gone += from->gone;
	to->foreign += from->foreign;
	to->failed += from->failed;
	*from = (struct totals){ 0 };
}

/* With the lock held: nothing is left to do of what was given. */
static void tell_idle(struct scan *s)
{
	const struct totals *t = &s->totals;
	struct buf b = { 0 };

	buf_printf(&b,
		   "{\"t\":\"idle\",\"given\":%llu,\"directories\":%llu,\"unreadable\":%llu,\"entries\":%llu,"
		   "\"gone\":%llu,\"foreign\":%llu,\"failed\":%llu}",
		   (unsigned long long)s->given, (unsigned long long)t->directories, (unsigned long long)t->unreadable,
		   (unsigned long long)t->entries, (unsigned long long)t->gone, (unsigned long long)t->foreign,
		   (unsigned long long)t->failed);
	out_line(&b);
	buf_free(&b);
	s->idle_told = true;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct scan *s = w->s;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		struct piece *p = s->pieces;
		struct lu_fid fid;
		int rc = p ? 0 : fid_stack_pop(&s->stack, &fid);

		if (p) {
			s->pieces = p->next;
			s->piece_count--;
			count_hungry(s);
		}
		if (rc < 0) {
			note("directories still to be read are lost: %s", strerror(-rc));
			_exit(1);
		}
		if (p || rc > 0) {
			pthread_mutex_unlock(&s->lock);
			if (p)
				take_piece(w, p);
			else
				list_directory(w, &fid);
			pthread_mutex_lock(&s->lock);
			continue;
		}
		if (w->count > 0 || w->rows.len > 0 || w->failed.len > 0 || w->directories.len > 0) {
			pthread_mutex_unlock(&s->lock);
			flush(w);
			pthread_mutex_lock(&s->lock);
			continue; /* there may be something to do by now */
		}
		add_totals(&s->totals, &w->totals);
		s->waiting++;
		if (s->waiting == s->thread_count && !s->idle_told && s->given > 0)
			tell_idle(s);
		count_hungry(s);
		pthread_cond_wait(&s->more, &s->lock);
		s->waiting--;
		count_hungry(s);
	}
	pthread_mutex_unlock(&s->lock);
	entry_reader_free(&w->reader);
	buf_free(&w->rows);
	buf_free(&w->directories);
	buf_free(&w->failed);
	free(w->found);
	free(w);
	return NULL;
}

/* ---- requests, start and stop ---- */

static int op_walk(struct request *rq, struct buf *out)
{
	struct scan *s = rq->h->scan;
	const struct json *list = json_get(rq->object, "fids");
	struct lu_fid *fids;
	unsigned count = 0;
	bool ok = true;

	if (!list || list->type != JSON_ARRAY || list->count == 0 || list->count > WALK_MAX) {
		field_bad(&rq->fields, "fids", "must be a list of 1 to 1,000 FIDs");
		return bad_request(rq);
	}
	fids = calloc(list->count, sizeof(*fids));
	if (!fids)
		return -ENOMEM;
	for (const struct json *f = list->child; f && ok; f = f->next)
		ok = f->type == JSON_STRING && parse_fid(f->text, f->len, &fids[count++]);
	if (!ok) {
		free(fids);
		field_bad(&rq->fields, "fids", "must be a list of 1 to 1,000 FIDs");
		return bad_request(rq);
	}
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < count && ok; i++) {
		ok = fid_stack_push(&s->stack, &fids[i]);
		s->given += ok;
	}
	s->idle_told = false;
	buf_str(out, ",\"given\":");
	buf_u64(out, s->given);
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
	free(fids);
	return ok ? 0 : -ENOMEM;
}

static const struct op scan_ops[] = {
	{ "walk", op_walk },
	{ NULL, NULL },
};

static bool scan_start(struct helper *h)
{
	static struct scan s = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

	s.h = h;
	fid_stack_init(&s.stack);
	h->scan = &s;
	s.threads = calloc(h->options.threads, sizeof(*s.threads));
	if (!s.threads) {
		fatal("NO_THREADS", -ENOMEM, 0, "out of memory");
		return false;
	}
	for (unsigned i = 0; i < h->options.threads; i++) {
		struct worker *w = calloc(1, sizeof(*w));

		if (w)
			w->s = &s;
		pthread_mutex_lock(&s.lock); /* so that nobody counts the threads while they become more */
		if (!w || !entry_reader_init(&w->reader, h, h->ways) ||
		    pthread_create(&s.threads[s.thread_count], NULL, work, w) != 0) {
			pthread_mutex_unlock(&s.lock);
			free(w);
			break;
		}
		s.thread_count++;
		pthread_mutex_unlock(&s.lock);
	}
	if (s.thread_count == 0)
		fatal("NO_THREADS", -ENOMEM, 0, "no thread can be started");
	return s.thread_count > 0;
}

static void scan_stop(struct helper *h)
{
	struct scan *s = h->scan;

	if (!s)
		return;
	atomic_store(&s->leave, true);
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->thread_count; i++)
		pthread_join(s->threads[i], NULL);
	s->thread_count = 0;
	free(s->threads);
	for (struct piece *p; (p = s->pieces);) {
		s->pieces = p->next;
		if (atomic_fetch_sub(&p->d->users, 1) == 1) {
			close(p->d->fd);
			free(p->d);
		}
		free(p);
	}
	fid_stack_free(&s->stack);
}

const struct mode mode_scan = {
	.name = "scan",
	.ops = scan_ops,
	.start = scan_start,
	.stop = scan_stop,
};
