/* The copytool's items and registration; see copytool.c. */
#ifndef LFSAZSYNC_COPYTOOL_H
#define LFSAZSYNC_COPYTOOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "helper.h"

enum { ITEM_BUCKETS = 1024, ITEMS_MAX = 65536, ITEM_DATA_MAX = 4096 };

/* One registration. llapi's action handles point into it, so it lives until no item refers to it any more. */
struct registration {
	struct hsm_copytool_private *ct;
	unsigned users; /* begun items */
	struct registration *next; /* of the retired ones */
};

/* An action that the coordinator sent again while its end was on the way, and the event that is to tell of it. */
struct resent {
	struct hsm_action_item hai;
	uint32_t archive;
	struct buf event;
};

struct item {
	struct item *next;
	struct hsm_action_item hai; /* hai_dfid is the file's own until begin */
	uint32_t archive;
	bool busy;                           /* a thread is in begin or end */
	struct hsm_copyaction_private *hcp;  /* begun */
	struct registration *registration;   /* of hcp */
	bool dv_known;
	uint64_t dv;                         /* begun archive: the data version then */
	char *event;                         /* as it was told, until a request names it; only with --keep */
	bool ending;                         /* the coordinator may have heard of its end already */
	struct resent *resent;
};

struct copytool {
	struct helper *h;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* an item is no longer busy */
	struct item *buckets[ITEM_BUCKETS];
	unsigned count;
	struct item *abandoned; /* dropped after begin: their files stay open until the process ends */
	struct registration *current; /* NULL while not registered */
	struct registration *retired;
	int lock_fd;
	int leave_fd; /* eventfd: ends the receiving thread */
	bool running;
	pthread_t receiver;
	/* The renewal of the registration: see copytool.c. */
	bool renewing; /* the channel is ended by ourselves */
	bool renew_asked;
	int64_t renew_not_before; /* of now_ms: not all metadata servers answered */
	int64_t registered_at; /* of now_ms */
	bool renewer_runs;
	bool renewer_stuck; /* it waits for a metadata server, and goes with the process */
	pthread_t renewer;
};

/* items.c: the table. All of them take the lock themselves. */

/*
 * 0; -EEXIST when it is known, -ENOSPC when there are too many. When it is known and ending, and there is an `event`,
 * both are kept for item_remove: 1, and the buffer is empty then.
 */
int item_add(struct copytool *ct, const struct hsm_action_item *hai, uint32_t archive, struct buf *event);
/*
 * Finds the item of that cookie (and FID, if given: cookies are unique per MDT only) and makes it busy, waiting while
 * another thread has it. NULL with *rc -ENOENT, or -ENOTUNIQ if the FID is needed.
 */
struct item *item_take(struct copytool *ct, uint64_t cookie, const struct lu_fid *fid, int *rc);
void item_give(struct copytool *ct, struct item *it);
/* Before the coordinator is told of a busy item's end: from now on it may send the action again, as a new one. */
void item_ending(struct copytool *ct, struct item *it);
/* Whether it did. */
bool item_sent_again(struct copytool *ct, struct item *it);
/* Takes item_ending back: what was sent again meanwhile is this very item. Not busy any more. */
void item_stays(struct copytool *ct, struct item *it);
/* Removes and frees a busy item. If it was sent again, that takes its place, and its event goes to *event (if given). */
void item_remove(struct copytool *ct, struct item *it, struct buf *event);
/* Moves a busy item out of the table, its handle kept. */
void item_abandon(struct copytool *ct, struct item *it);
/* Copies an item's fixed part without making it busy. */
int item_peek(struct copytool *ct, uint64_t cookie, const struct lu_fid *fid, struct hsm_action_item *hai);
/* Any item that isn't busy, made busy; NULL when there is none. */
struct item *item_take_any(struct copytool *ct);
/* The events of the items that no request has named, a line each. */
void item_untouched(struct copytool *ct, struct buf *lines);
/* Copies of all items, busy or not; the caller frees. */
unsigned item_snapshot(struct copytool *ct, struct hsm_action_item **list);

extern const struct op copytool_ops[];

/* actions.c */

/* LL_IOC_HSM_PROGRESS under the file's own FID: 0 or -errno. */
int action_progress(struct helper *h, const struct hsm_action_item *hai, uint64_t offset, uint64_t length,
		    uint16_t flags, uint16_t errval);
/*
 * Ends a busy item, begun or not, and removes it. Says in *why more than rc does, if there is more to say; *event (if
 * given) gets the line to write when the action was sent again meanwhile.
 */
int action_end(struct copytool *ct, struct item *it, const struct hsm_extent *extent, bool retry, int errval,
	       const char **why, struct buf *event);

/* Milliseconds of a clock that never jumps. */
int64_t now_ms(void);

/* copytool.c */

/* Waits. True when it is time to leave. */
bool copytool_pause(struct copytool *ct, int milliseconds);

#endif
