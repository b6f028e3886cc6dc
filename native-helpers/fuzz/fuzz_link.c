/* The xattr trusted.link: whatever its lengths say, every name lies inside of it. */
#include <stdlib.h>
#include <string.h>

#include "../src/link_ea.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *exact = malloc(size ? size : 1);
	struct link_walk w;
	struct link_name link;

	memcpy(exact, data, size);
	if (link_start(&w, exact, size))
		while (link_next(&w, &link) > 0)
			if (link.len == 0 || link.name < exact || link.name + link.len > exact + size)
				abort();
	free(exact);
	return 0;
}
