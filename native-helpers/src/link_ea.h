/* The xattr trusted.link: the names of a file, as far as the MDT keeps them with it. */
#ifndef LFSAZSYNC_LINK_EA_H
#define LFSAZSYNC_LINK_EA_H

#include <stdbool.h>
#include <stddef.h>

#include "lustre_abi.h"

struct link_walk {
	const unsigned char *at;
	size_t left;
	uint32_t count; /* links in it */
	bool overflow;	/* Lustre says itself that some are missing */
};

struct link_name {
	struct lu_fid parent;
	const char *name;
	size_t len;
};

/* False if it isn't such an xattr. */
bool link_start(struct link_walk *w, const void *xattr, size_t size);
/* 1 with the next one, 0 at the end, -1 when the rest can't be trusted. */
int link_next(struct link_walk *w, struct link_name *out);

#endif
