/* Walking a message of the coordinator, every item checked against the message's size before it is looked at. */
#ifndef LFSAZSYNC_HAL_H
#define LFSAZSYNC_HAL_H

#include <stddef.h>
#include <stdint.h>

#include "lustre_abi.h"

struct hal_walk {
	const unsigned char *message;
	size_t size;
	size_t at;
	uint32_t left;
	/* of the whole message */
	uint32_t archive;
	uint64_t flags;
};

/* One action, its data still in the message. `item` is an aligned copy of the fixed part. */
struct hal_item {
	struct hsm_action_item item;
	const unsigned char *data;
	size_t data_len;
};

/* NULL, or what is wrong with the message's head. */
const char *hal_start(struct hal_walk *w, const void *message, size_t size);
/* 1 with the next item, 0 at the end, -1 with `error` when the rest can't be trusted. */
int hal_next(struct hal_walk *w, struct hal_item *out, const char **error);

/* "ARCHIVE" etc., or NULL. */
const char *hsm_action_name(uint32_t hai_action);
/* The reverse, 0 if unknown. */
uint32_t hsm_action_number(const char *name, size_t len);

#endif
