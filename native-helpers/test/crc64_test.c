/* CRC-64/NVME against its definition, bit by bit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../crc64/crc64.h"
#include "check.h"

static uint64_t by_definition(uint64_t crc, const unsigned char *p, size_t len)
{
	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x9a6c9329ac4bc9b5ull : crc >> 1;
	}
	return ~crc;
}

int main(void)
{
	static unsigned char data[5000];

	CHECK(crc64_update(0, "123456789", 9) == 0xae8b14860a799888ull);
	CHECK(crc64_update_tables(0, "123456789", 9) == 0xae8b14860a799888ull);
	CHECK(crc64_update(0, "", 0) == 0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 131 + (i >> 7) * 17 + 5);
	for (size_t len = 0; len < 700; len++)
		for (size_t offset = 0; offset < 17; offset += 4) {
			uint64_t want = by_definition(0x123456789abcdef0ull * len, data + offset, len);

			CHECK(crc64_update(0x123456789abcdef0ull * len, data + offset, len) == want);
			CHECK(crc64_update_tables(0x123456789abcdef0ull * len, data + offset, len) == want);
		}
	for (size_t cut = 0; cut <= sizeof(data); cut += 97) {
		uint64_t a = crc64_update(0, data, cut), b = crc64_update(0, data + cut, sizeof(data) - cut);

		CHECK(crc64_combine(a, b, sizeof(data) - cut) == crc64_update(0, data, sizeof(data)));
		CHECK(crc64_update(a, data + cut, sizeof(data) - cut) == crc64_update(0, data, sizeof(data)));
	}
	CHECK(crc64_combine(5, 7, 0) == (5 ^ 7));
	printf("crc64: %s\n", crc64_kind());
	return check_result("crc64");
}
