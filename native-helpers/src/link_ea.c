#include "link_ea.h"

#include <string.h>

static uint64_t big_endian(const unsigned char *p, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | p[i];
	return value;
}

bool link_start(struct link_walk *w, const void *xattr, size_t size)
{
	struct link_ea_header head;

	*w = (struct link_walk){ 0 };
	if (size < sizeof(head))
		return false;
	memcpy(&head, xattr, sizeof(head));
	if (head.leh_magic != LINK_EA_MAGIC)
		return false;
	w->at = (const unsigned char *)xattr + sizeof(head);
	w->left = size - sizeof(head);
	w->count = head.leh_reccount;
	w->overflow = head.leh_overflow_time != 0;
	return true;
}

int link_next(struct link_walk *w, struct link_name *out)
{
	size_t length;

	if (w->count == 0)
		return 0;
	if (w->left < LINK_EA_ENTRY_SIZE)
		return -1;
	length = (size_t)big_endian(w->at, 2);
	if (length <= LINK_EA_ENTRY_SIZE || length > w->left)
		return -1;
	out->parent.f_seq = big_endian(w->at + 2, 8);
	out->parent.f_oid = (uint32_t)big_endian(w->at + 10, 4);
	out->parent.f_ver = (uint32_t)big_endian(w->at + 14, 4);
	out->name = (const char *)w->at + LINK_EA_ENTRY_SIZE;
	out->len = length - LINK_EA_ENTRY_SIZE;
	w->at += length;
	w->left -= length;
	w->count--;
	return 1;
}
