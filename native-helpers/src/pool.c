#include "pool.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct job {
	struct job *next;
	char *line;
	size_t len;
	uint64_t key;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more, idle;
	struct pool_options o;
	bool starved; /* somebody was refused */
	bool ending;
	unsigned busy;
	unsigned threads;
	size_t used;
	struct job *first, **last; /* those that wait, in their order */
	uint64_t *at_work;         /* by thread: the key, or 0 */
	pthread_t ids[];
};

/* What lines of a kind have in common; 0: nothing that is bounded. */
static uint64_t kind_of(const struct pool *p, uint64_t key)
{
	return p->o.same && key ? p->o.same(p->o.ctx, key) : 0;
}

/* Whether as many of the kind are at work as may be. */
static bool enough_of(const struct pool *p, uint64_t kind)
{
	unsigned count = 0;

	if (kind == 0)
		return false;
	for (unsigned i = 0; i < p->o.threads; i++)
		count += kind_of(p, p->at_work[i]) == kind;
	return count >= p->o.same_most;
}

/* The first that may be worked on now, taken out; or NULL. */
static struct job *take_job(struct pool *p)
{
	uint64_t refused = 0;

	for (struct job **at = &p->first; *at; at = &(*at)->next) {
		struct job *job = *at;
		uint64_t kind = kind_of(p, job->key);

		if (kind != 0 && kind == refused)
			continue;
		if (enough_of(p, kind)) {
			refused = kind;
			continue;
		}
		*at = job->next;
		if (!job->next)
			p->last = at;
		p->used--;
		return job;
	}
	return NULL;
}

struct pool_seat {
	struct pool *p;
	unsigned number;
};

/* The number of its place in at_work is a thread's for good. */
static void *pool_thread(void *arg)
{
	struct pool_seat seat = *(struct pool_seat *)arg;
	struct pool *p = seat.p;

	free(arg);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct job *job = take_job(p);

		if (!job) {
			if (p->ending && p->used == 0)
				break;
			pthread_cond_wait(&p->more, &p->lock);
			continue;
		}
		p->busy++;
		p->at_work[seat.number] = job->key;
		if (p->starved) {
			uint64_t one = 1;

			p->starved = false;
			if (write(p->o.room_fd, &one, sizeof(one)) < 0)
				p->starved = true;
		}
		pthread_mutex_unlock(&p->lock);
		p->o.work(p->o.ctx, job->line, job->len);
		free(job);
		pthread_mutex_lock(&p->lock);
		p->at_work[seat.number] = 0;
		if (--p->busy == 0 && p->used == 0)
			pthread_cond_broadcast(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static bool start_thread(struct pool *p)
{
	struct pool_seat *seat = malloc(sizeof(*seat));

	if (!seat)
		return false;
	*seat = (struct pool_seat){ p, p->threads };
	if (pthread_create(&p->ids[p->threads], NULL, pool_thread, seat) != 0) {
		free(seat);
		return false;
	}
	p->threads++;
	return true;
}

struct pool *pool_start(const struct pool_options *options)
{
	struct pool *p = calloc(1, sizeof(*p) + options->threads * sizeof(pthread_t));
	pthread_condattr_t monotonic;

	if (!p)
		return NULL;
	p->at_work = calloc(options->threads, sizeof(*p->at_work));
	if (!p->at_work) {
		free(p);
		return NULL;
	}
	p->o = *options;
	p->last = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	while (p->threads < options->threads && start_thread(p))
		;
	if (p->threads == 0) {
		free(p->at_work);
		free(p);
		return NULL;
	}
	return p;
}

bool pool_put(struct pool *p, char *line, size_t len, uint64_t key)
{
	struct job *job = malloc(sizeof(*job));
	bool ok;

	pthread_mutex_lock(&p->lock);
	ok = job && p->used < p->o.bound;
	if (ok) {
		*job = (struct job){ .line = line, .len = len, .key = key };
		*p->last = job;
		p->last = &job->next;
		p->used++;
		pthread_cond_signal(&p->more);
	} else {
		p->starved = true;
	}
	pthread_mutex_unlock(&p->lock);
	if (!ok)
		free(job);
	return ok;
}

bool pool_drain(struct pool *p, unsigned milliseconds)
{
	struct timespec until;
	bool idle;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += milliseconds / 1000;
	until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&p->lock);
	while (p->used > 0 || p->busy > 0)
		if (pthread_cond_timedwait(&p->idle, &p->lock, &until) != 0)
			break;
	idle = p->used == 0 && p->busy == 0;
	pthread_mutex_unlock(&p->lock);
	return idle;
}

void pool_end(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->ids[i], NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->more);
	pthread_cond_destroy(&p->idle);
	free(p->at_work);
	free(p);
}
