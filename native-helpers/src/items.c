/* The table of the actions that the coordinator gave us and that have not been ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copytool.h"

static struct item **bucket(struct copytool *ct, uint64_t cookie)
{
	return &ct->buckets[(cookie ^ cookie >> 17) % ITEM_BUCKETS];
}

static bool same_fid(const struct lu_fid *a, const struct lu_fid *b)
{
	return a->f_seq == b->f_seq && a->f_oid == b->f_oid && a->f_ver == b->f_ver;
}

static struct lu_fid item_fid(const struct item *it)
{
	return it->hai.hai_fid;
}

/* With the lock held. */
static struct item *find(struct copytool *ct, uint64_t cookie, const struct lu_fid *fid, int *rc)
{
	struct item *found = NULL;

	for (struct item *it = *bucket(ct, cookie); it; it = it->next) {
		struct lu_fid own = item_fid(it);

		if (it->hai.hai_cookie != cookie || (fid && !same_fid(&own, fid)))
			continue;
		if (found) {
			*rc = -ENOTUNIQ;
			return NULL;
		}
		found = it;
	}
	*rc = found ? 0 : -ENOENT;
	return found;
}

/* With the lock held. From its first request on, the asker is known to know it. */
static void forget_event(struct item *it)
{
	free(it->event);
	it->event = NULL;
}

static void keep_event(struct copytool *ct, struct item *it, const struct buf *event)
{
	if (event && event->len > 0 && ct->h->options.keep)
		it->event = strndup(event->data, event->len);
}

static void free_resent(struct resent *r)
{
	if (r)
		buf_free(&r->event);
	free(r);
}

/* With the lock held. The latest counts: the coordinator has given up those before. */
static int keep_resent(struct item *it, const struct hsm_action_item *hai, uint32_t archive, struct buf *event)
{
	struct resent *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	free_resent(it->resent);
	*r = (struct resent){ .hai = *hai, .archive = archive, .event = *event };
	*event = (struct buf){ 0 };
	it->resent = r;
	return 1;
}

int item_add(struct copytool *ct, const struct hsm_action_item *hai, uint32_t archive, struct buf *event)
{
	struct item *it = calloc(1, sizeof(*it)), *known;
	struct lu_fid fid = hai->hai_fid;
	int rc;

	if (!it)
		return -ENOMEM;
	it->hai = *hai;
	it->archive = archive;
	pthread_mutex_lock(&ct->lock);
	known = find(ct, hai->hai_cookie, &fid, &rc);
	if (known && known->ending && event) {
		rc = keep_resent(known, hai, archive, event);
	} else if (rc == -ENOENT && ct->count < ITEMS_MAX) {
		struct item **head = bucket(ct, hai->hai_cookie);

		keep_event(ct, it, event);
		it->next = *head;
		*head = it;
		ct->count++;
		it = NULL;
		rc = 0;
	} else {
		rc = rc == -ENOENT ? -ENOSPC : -EEXIST;
	}
	pthread_mutex_unlock(&ct->lock);
	free(it);
	return rc;
}

struct item *item_take(struct copytool *ct, uint64_t cookie, const struct lu_fid *fid, int *rc)
{
	struct item *it;

	pthread_mutex_lock(&ct->lock);
	while ((it = find(ct, cookie, fid, rc)) && it->busy)
		pthread_cond_wait(&ct->changed, &ct->lock);
	if (it) {
		it->busy = true;
		forget_event(it);
	}
	pthread_mutex_unlock(&ct->lock);
	return it;
}

void item_give(struct copytool *ct, struct item *it)
{
	pthread_mutex_lock(&ct->lock);
	it->busy = false;
	pthread_cond_broadcast(&ct->changed);
	pthread_mutex_unlock(&ct->lock);
}

/* With the lock held. */
static void unlink_item(struct copytool *ct, struct item *it)
{
	for (struct item **p = bucket(ct, it->hai.hai_cookie); *p; p = &(*p)->next)
		if (*p == it) {
			*p = it->next;
			ct->count--;
			break;
		}
	pthread_cond_broadcast(&ct->changed);
}

void item_ending(struct copytool *ct, struct item *it)
{
	pthread_mutex_lock(&ct->lock);
	it->ending = true;
	pthread_mutex_unlock(&ct->lock);
}

void item_stays(struct copytool *ct, struct item *it)
{
	pthread_mutex_lock(&ct->lock);
	free_resent(it->resent);
	it->resent = NULL;
	it->ending = false;
	it->busy = false;
	pthread_cond_broadcast(&ct->changed);
	pthread_mutex_unlock(&ct->lock);
}

bool item_sent_again(struct copytool *ct, struct item *it)
{
	bool again;

	pthread_mutex_lock(&ct->lock);
	again = it->resent != NULL;
	pthread_mutex_unlock(&ct->lock);
	return again;
}

void item_remove(struct copytool *ct, struct item *it, struct buf *event)
{
	struct resent *r;

	pthread_mutex_lock(&ct->lock);
	r = it->resent;
	forget_event(it);
	if (r) {
		/* The same cookie and FID: it stays in its bucket. */
		*it = (struct item){ .next = it->next, .hai = r->hai, .archive = r->archive };
		keep_event(ct, it, &r->event);
		pthread_cond_broadcast(&ct->changed);
	} else {
		unlink_item(ct, it);
	}
	pthread_mutex_unlock(&ct->lock);
	if (!r) {
		free(it);
		return;
	}
	if (event) {
		*event = r->event;
		r->event = (struct buf){ 0 };
	}
	free_resent(r);
}

void item_abandon(struct copytool *ct, struct item *it)
{
	pthread_mutex_lock(&ct->lock);
	unlink_item(ct, it);
	it->next = ct->abandoned;
	ct->abandoned = it;
	pthread_mutex_unlock(&ct->lock);
}

int item_peek(struct copytool *ct, uint64_t cookie, const struct lu_fid *fid, struct hsm_action_item *hai)
{
	int rc;

	pthread_mutex_lock(&ct->lock);

	struct item *it = find(ct, cookie, fid, &rc);

	if (it) {
		*hai = it->hai;
		forget_event(it);
	}
	pthread_mutex_unlock(&ct->lock);
	return rc;
}

struct item *item_take_any(struct copytool *ct)
{
	struct item *found = NULL;

	pthread_mutex_lock(&ct->lock);
	for (unsigned i = 0; i < ITEM_BUCKETS && !found; i++)
		for (struct item *it = ct->buckets[i]; it && !found; it = it->next)
			if (!it->busy)
				found = it;
	if (found)
		found->busy = true;
	pthread_mutex_unlock(&ct->lock);
	return found;
}

void item_untouched(struct copytool *ct, struct buf *lines)
{
	pthread_mutex_lock(&ct->lock);
	for (unsigned i = 0; i < ITEM_BUCKETS; i++)
		for (struct item *it = ct->buckets[i]; it; it = it->next)
			if (it->event) {
				buf_str(lines, it->event);
				buf_str(lines, "\n");
			}
	pthread_mutex_unlock(&ct->lock);
}

unsigned item_snapshot(struct copytool *ct, struct hsm_action_item **list)
{
	unsigned n = 0;

	pthread_mutex_lock(&ct->lock);
	*list = calloc(ct->count + 1u, sizeof(**list));
	for (unsigned i = 0; i < ITEM_BUCKETS && *list; i++)
		for (struct item *it = ct->buckets[i]; it; it = it->next)
			(*list)[n++] = it->hai;
	pthread_mutex_unlock(&ct->lock);
	return n;
}
