/* The walker of the coordinator's messages: every item it gives must lie within the message. */
#include <stdlib.h>
#include <string.h>

#include "../src/hal.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	unsigned char *message = malloc(size ? size : 1);
	struct hal_walk w;
	struct hal_item one;
	const char *error;
	unsigned sum = 0;

	memcpy(message, data, size);
	if (hal_start(&w, message, size) == NULL)
		while (hal_next(&w, &one, &error) > 0)
			for (size_t i = 0; i < one.data_len; i++)
				sum += one.data[i];
	free(message);
	return sum == UINT32_MAX ? -1 : 0; /* never: but the bytes must really be read */
}
