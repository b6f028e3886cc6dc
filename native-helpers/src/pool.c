#include "pool.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct job {
	char *line;
	size_t len;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more, idle;
	void (*work)(void *ctx, char *line, size_t len);
	void *ctx;
	int room_fd;
	bool starved; /* somebody was refused */
	bool ending;
	unsigned busy;
	unsigned threads;
	size_t bound, first, used;
	struct job *jobs; /* a ring of `bound` */
	pthread_t ids[];
};

static void *pool_thread(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->used == 0 && !p->ending)
			pthread_cond_wait(&p->more, &p->lock);
		if (p->used == 0)
			break;

		struct job job = p->jobs[p->first];

		p->first = (p->first + 1) % p->bound;
		p->used--;
		p->busy++;
		if (p->starved) {
			uint64_t one = 1;

			p->starved = false;
			if (write(p->room_fd, &one, sizeof(one)) < 0)
				p->starved = true;
		}
		pthread_mutex_unlock(&p->lock);
		p->work(p->ctx, job.line, job.len);
		pthread_mutex_lock(&p->lock);
		if (--p->busy == 0 && p->used == 0)
			pthread_cond_broadcast(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *pool_start(unsigned threads, size_t bound, int room_fd, void (*work)(void *ctx, char *line, size_t len),
			void *ctx)
{
	struct pool *p = calloc(1, sizeof(*p) + threads * sizeof(pthread_t));
	pthread_condattr_t monotonic;

	if (!p)
		return NULL;
	p->jobs = calloc(bound, sizeof(*p->jobs));
	if (!p->jobs) {
		free(p);
		return NULL;
	}
	p->bound = bound;
	p->work = work;
	p->ctx = ctx;
	p->room_fd = room_fd;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	while (p->threads < threads && pthread_create(&p->ids[p->threads], NULL, pool_thread, p) == 0)
		p->threads++;
	if (p->threads == 0) {
		free(p->jobs);
		free(p);
		return NULL;
	}
	return p;
}

bool pool_put(struct pool *p, char *line, size_t len)
{
	bool ok;

	pthread_mutex_lock(&p->lock);
	ok = p->used < p->bound;
	if (ok) {
		p->jobs[(p->first + p->used) % p->bound] = (struct job){ line, len };
		p->used++;
		pthread_cond_signal(&p->more);
	} else {
		p->starved = true;
	}
	pthread_mutex_unlock(&p->lock);
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
	free(p->jobs);
	free(p);
}
