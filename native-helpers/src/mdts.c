/*
 * On which metadata server the files of a FID's sequence are, as far as that is known: so that requests to one that is
 * down take no more than their share of the threads.
 */
#include <pthread.h>
#include <stdlib.h>

#include "helper.h"

enum { SLOTS = 4096 };

struct mdts {
	pthread_mutex_t lock;
	struct {
		uint64_t sequence; /* 0: free */
		int index;
	} slots[SLOTS]; /* a sequence has one place; another that comes to it takes it over */
};

static struct mdts all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static unsigned slot_of(uint64_t sequence)
{
	return (unsigned)((sequence * 0x9e3779b97f4a7c15ULL) >> 52) % SLOTS;
}

/* -1: not known here */
static int known_index(uint64_t sequence)
{
	unsigned slot = slot_of(sequence);
	int index;

	pthread_mutex_lock(&all.lock);
	index = all.slots[slot].sequence == sequence ? all.slots[slot].index : -1;
	pthread_mutex_unlock(&all.lock);
	return index;
}

uint64_t mdts_server(uint64_t sequence)
{
	int index = known_index(sequence);

	/* Sequences of files begin far above any index. */
	return index < 0 ? sequence : (uint64_t)index + 1;
}

int mdts_index(const struct helper *h, const struct lu_fid *fid)
{
	unsigned slot = slot_of(fid->f_seq);
	int index = known_index(fid->f_seq);

	if (index >= 0)
		return index;
	if (fid->f_seq == 0 || !h->api.llapi_get_mdt_index_by_fid ||
	    h->api.llapi_get_mdt_index_by_fid(h->mount_fd, fid, &index) < 0 || index < 0)
		return -1;
	pthread_mutex_lock(&all.lock);
	all.slots[slot].sequence = fid->f_seq;
	all.slots[slot].index = index;
	pthread_mutex_unlock(&all.lock);
	return index;
}

void mdts_answered(const struct helper *h, const struct lu_fid *fid)
{
	mdts_index(h, fid);
}
