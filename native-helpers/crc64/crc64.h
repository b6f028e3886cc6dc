/*
 * CRC-64/NVME, the checksum that Azure Storage takes as x-ms-content-crc64: polynomial 0xad93d23594c93659 reflected,
 * all ones before and after. The CRC of "123456789" is 0xae8b14860a799888.
 */
#ifndef LFSAZSYNC_CRC64_H
#define LFSAZSYNC_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what `crc` is the CRC of (0: nothing yet) and then these bytes. */
uint64_t crc64_update(uint64_t crc, const void *data, size_t len);
/* The CRC of A followed by B, from theirs and B's length. */
uint64_t crc64_combine(uint64_t a, uint64_t b, uint64_t length_b);

/* The parts, for tests. */
uint64_t crc64_update_tables(uint64_t crc, const void *data, size_t len);
/* "pclmulqdq", "pmull" or "tables": what crc64_update uses on this machine. */
const char *crc64_kind(void);

#endif
