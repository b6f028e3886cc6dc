/* From a line to its reply. */
#ifndef LFSAZSYNC_REQUEST_H
#define LFSAZSYNC_REQUEST_H

#include "helper.h"

struct request_context {
	struct helper *h;
	const struct mode *mode;
};

/*
 * Threads of their own for what must not wait for a request that is stuck with a file's data: heartbeats, and ends with
 * an error (and drops), which only talk to the metadata server.
 */
enum lane { LANE_GENERAL, LANE_END, LANE_PROGRESS, LANES };

/* *sequence: that of the `fid`, which says on which metadata server the file is; 0 without one, and in LANE_GENERAL. */
enum lane request_lane(const char *line, size_t len, uint64_t *sequence);

/* Carries out one line (malloc'd, with a byte to spare; freed here) and writes its reply. `ctx`: request_context. */
void request_work(void *ctx, char *line, size_t len);

/* Only the decoding: `op` and `n` of a parsed line. NULL, or what is wrong. */
const char *request_decode(const struct json *object, const char **op, uint64_t *n);

#endif
