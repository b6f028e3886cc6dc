/*
 * POSIX ACLs as xattr values: what they mean for the mode, what a chmod means for them, and inheritance.
 * The format is the kernel's: a version (2), then entries of tag, permissions and id.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

static struct entry *entries(void *val, size_t len, size_t *n)
{
	uint32_t version;

	if (len < 4 || (len - 4) % sizeof(struct entry) != 0)
		return NULL;
	memcpy(&version, val, 4);
	if (version != 2)
		return NULL;
	*n = (len - 4) / sizeof(struct entry);
	return (struct entry *)((uint8_t *)val + 4);
}

int acl_to_mode(struct node *n, const void *val, size_t len, bool *plain)
{
	size_t count;
	void *copy = xmemdup(val, len);
	struct entry *e = entries(copy, len, &count);
	uint32_t mode = n->mode & ~0777u;
	bool mask = false;

	*plain = true;
	if (e == NULL) {
		free(copy);
		return -EINVAL;
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t perm = e[i].perm & 7u;

		switch (e[i].tag) {
		case USER_OBJ:
			mode |= perm << 6;
			break;
		case GROUP_OBJ:
			if (!mask)
				mode |= perm << 3;
			break;
		case MASK:
			mask = true;
			mode = (mode & ~070u) | perm << 3;
			*plain = false;
			break;
		case OTHER:
			mode |= perm;
			break;
		default:
			*plain = false;
		}
	}
	free(copy);
	n->mode = mode;
	return 0;
}

/* The mode's bits go into the owner's, the mask's (or the group's) and the others' entries. */
static void set_bits(struct entry *e, size_t count, uint32_t mode)
{
	bool mask = false;

	for (size_t i = 0; i < count; i++)
		mask = mask || e[i].tag == MASK;
	for (size_t i = 0; i < count; i++) {
		if (e[i].tag == USER_OBJ)
			e[i].perm = mode >> 6 & 7;
		else if (e[i].tag == MASK || (e[i].tag == GROUP_OBJ && !mask))
			e[i].perm = mode >> 3 & 7;
		else if (e[i].tag == OTHER)
			e[i].perm = mode & 7;
	}
}

void acl_chmod(struct node *n)
{
	struct xattr *x = xattr_find(n, "system.posix_acl_access");
	struct entry *e;
	size_t count;

	if (x == NULL)
		return;
	e = entries(x->val, x->len, &count);
	if (e)
		set_bits(e, count, n->mode);
}

void acl_inherit(struct node *dir, struct node *child, uint32_t umask)
{
	const struct xattr *def = xattr_find(dir, "system.posix_acl_default");
	struct entry *e;
	size_t count;
	uint8_t *val;
	bool mask = false, more = false;

	if (S_ISLNK(child->mode))
		return;
	if (def == NULL) {
		child->mode &= ~(umask & 0777u);
		return;
	}
	if (S_ISDIR(child->mode))
		xattr_put(child, "system.posix_acl_default", def->val, def->len);
	val = xmemdup(def->val, def->len);
	e = entries(val, def->len, &count);
	if (e == NULL) {
		free(val);
		return;
	}
	for (size_t i = 0; i < count; i++)
		mask = mask || e[i].tag == MASK;
	/* what was asked for and what the default allows, both */
	for (size_t i = 0; i < count; i++) {
		if (e[i].tag == USER_OBJ)
			e[i].perm &= child->mode >> 6 & 7;
		else if (e[i].tag == MASK || (e[i].tag == GROUP_OBJ && !mask))
			e[i].perm &= child->mode >> 3 & 7;
		else if (e[i].tag == OTHER)
			e[i].perm &= child->mode & 7;
		if (e[i].tag == USER || e[i].tag == GROUP || e[i].tag == MASK)
			more = true;
	}
	{
		bool plain;

		acl_to_mode(child, val, def->len, &plain);
	}
	if (more)
		xattr_put(child, "system.posix_acl_access", val, def->len);
	free(val);
}
