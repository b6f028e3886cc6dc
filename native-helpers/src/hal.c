#include "hal.h"

#include <string.h>

enum { HAL_MAX_FSNAME = 64 };

static size_t round_up_8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

const char *hal_start(struct hal_walk *w, const void *message, size_t size)
{
	struct hsm_action_list head;

	*w = (struct hal_walk){ .message = message, .size = size };
	if (!message || size < sizeof(head))
		return "shorter than a list's head";
	memcpy(&head, message, sizeof(head));
	if (head.hal_version != HAL_VERSION)
		return "unknown version of the list";

	const unsigned char *name = w->message + sizeof(head);
	size_t room = size - sizeof(head);
	const unsigned char *nul = memchr(name, 0, room < HAL_MAX_FSNAME ? room : HAL_MAX_FSNAME);

	if (!nul)
		return "the file system's name does not end";
	w->at = sizeof(head) + round_up_8((size_t)(nul - name) + 1);
	w->left = head.hal_count;
	w->archive = head.hal_archive_id;
	w->flags = head.hal_flags;
	return NULL;
}

int hal_next(struct hal_walk *w, struct hal_item *out, const char **error)
{
	if (w->left == 0)
		return 0;
	if (w->at > w->size || w->size - w->at < sizeof(out->item)) {
		*error = "more items are announced than the message holds";
		w->left = 0;
		return -1;
	}
	memcpy(&out->item, w->message + w->at, sizeof(out->item));
	if (out->item.hai_len < sizeof(out->item) || out->item.hai_len > w->size - w->at) {
		*error = "an item's length is not within the message";
		w->left = 0;
		return -1;
	}
	out->data = w->message + w->at + sizeof(out->item);
	out->data_len = out->item.hai_len - sizeof(out->item);
	w->at += round_up_8(out->item.hai_len); /* the last one's padding may be missing */
	w->left--;
	return 1;
}

static const struct {
	uint32_t number;
	const char *name;
} actions[] = {
	{ HSMA_ARCHIVE, "ARCHIVE" },
	{ HSMA_RESTORE, "RESTORE" },
	{ HSMA_REMOVE, "REMOVE" },
	{ HSMA_CANCEL, "CANCEL" },
};

const char *hsm_action_name(uint32_t hai_action)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (actions[i].number == hai_action)
			return actions[i].name;
	return NULL;
}

uint32_t hsm_action_number(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strlen(actions[i].name) == len && memcmp(actions[i].name, name, len) == 0)
			return actions[i].number;
	return 0;
}
