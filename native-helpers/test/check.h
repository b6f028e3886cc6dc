/* Just enough to check things: a failed check is printed, and the program ends with status 1. */
#ifndef LFSAZSYNC_CHECK_H
#define LFSAZSYNC_CHECK_H

#include <stdio.h>

static int check_count, check_failures;

#define CHECK(condition) \
	do { \
		check_count++; \
		if (!(condition)) { \
			check_failures++; \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
		} \
	} while (0)

static inline int check_result(const char *name)
{
	printf("%s: %d checks, %d failed\n", name, check_count, check_failures);
	return check_failures || !check_count;
}

#endif
