/* Directories still to be read: a stack that keeps little in memory and the rest in a file without a name. */
#ifndef LFSAZSYNC_FID_STACK_H
#define LFSAZSYNC_FID_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "lustre_abi.h"

enum { FID_STACK_CHUNK = 1 << 15 };

struct fid_stack {
	struct lu_fid *items; /* the newest */
	size_t count, cap;
	size_t spilled; /* chunks in the file */
	int fd;		/* -1: none yet */
};

void fid_stack_init(struct fid_stack *s);
void fid_stack_free(struct fid_stack *s);
/* False when there is neither memory nor room in the file. */
bool fid_stack_push(struct fid_stack *s, const struct lu_fid *fid);
/* 1, 0: it is empty, or -errno when what was spilled can't be read. */
int fid_stack_pop(struct fid_stack *s, struct lu_fid *fid);

#endif
