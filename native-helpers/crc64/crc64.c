#include "crc64.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/*
 * Bit-reflected throughout: the lowest bit of a word is the coefficient of the highest power. POLY is the polynomial
 * without its x^64.
 */
#define POLY 0x9a6c9329ac4bc9b5ull

static uint64_t tables[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Folding constants x^n mod P, see fold_constants. */
static uint64_t fold_128[2], fold_512[2];
static bool carryless;

/* a * b mod P. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (uint64_t bit = 1ull << 63; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? b >> 1 ^ POLY : b >> 1;
	}
	return product;
}

/* x^n mod P. */
static uint64_t power_of_x(uint64_t n)
{
	uint64_t result = 1ull << 63, square = 1ull << 62;

	for (; n; n >>= 1) {
		if (n & 1)
			result = multiply(result, square);
		square = multiply(square, square);
	}
	return result;
}

static bool machine_has_carryless(void);

static void setup(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ POLY : c >> 1;
		tables[0][i] = c;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 255];

	/*
	 * A 128-bit block B (low half: the higher powers) is moved by D bits as low * x^(D+64) + high * x^D. The
	 * carry-less product of two reflected words comes out one bit too low, hence the -1.
	 */
	fold_128[0] = power_of_x(128 + 64 - 1);
	fold_128[1] = power_of_x(128 - 1);
	fold_512[0] = power_of_x(512 + 64 - 1);
	fold_512[1] = power_of_x(512 - 1);
	carryless = machine_has_carryless();
}

static uint64_t load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v; /* little-endian machines only, as asserted below */
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as little-endian");

/* Without the inversions. */
static uint64_t raw_tables(uint64_t crc, const unsigned char *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		crc ^= load64(p);
		crc = tables[7][crc & 255] ^ tables[6][crc >> 8 & 255] ^ tables[5][crc >> 16 & 255] ^
		      tables[4][crc >> 24 & 255] ^ tables[3][crc >> 32 & 255] ^ tables[2][crc >> 40 & 255] ^
		      tables[1][crc >> 48 & 255] ^ tables[0][crc >> 56];
	}
	for (; len > 0; p++, len--)
		crc = crc >> 8 ^ tables[0][(crc ^ *p) & 255];
	return crc;
}

#if defined(__x86_64__)

#include <emmintrin.h>
#include <wmmintrin.h>

static const char kind[] = "pclmulqdq";

static bool machine_has_carryless(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("pclmul") != 0;
}

typedef __m128i block;
#define CARRYLESS __attribute__((target("pclmul,sse2")))

CARRYLESS static inline block load(const unsigned char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

CARRYLESS static inline void store(unsigned char *p, block b)
{
	_mm_storeu_si128((__m128i *)(void *)p, b);
}

CARRYLESS static inline block xor (block a, block b)
{
	return _mm_xor_si128(a, b);
}

CARRYLESS static inline block pair(uint64_t low, uint64_t high)
{
	return _mm_set_epi64x((long long)high, (long long)low);
}

/* b moved by the constants' distance. */
CARRYLESS static inline block fold(block b, block constants)
{
	return _mm_xor_si128(_mm_clmulepi64_si128(b, constants, 0x00), _mm_clmulepi64_si128(b, constants, 0x11));
}

#elif defined(__aarch64__)

#include <arm_neon.h>
#include <sys/auxv.h>

static const char kind[] = "pmull";

static bool machine_has_carryless(void)
{
	return (getauxval(AT_HWCAP) & (1ul << 4)) != 0; /* HWCAP_PMULL */
}

typedef uint64x2_t block;
#define CARRYLESS __attribute__((target("+crypto")))

CARRYLESS static inline block load(const unsigned char *p)
{
	return vreinterpretq_u64_u8(vld1q_u8(p));
}

CARRYLESS static inline void store(unsigned char *p, block b)
{
	vst1q_u8(p, vreinterpretq_u8_u64(b));
}

CARRYLESS static inline block xor (block a, block b)
{
	return veorq_u64(a, b);
}

CARRYLESS static inline block pair(uint64_t low, uint64_t high)
{
	return vcombine_u64(vcreate_u64(low), vcreate_u64(high));
}

CARRYLESS static inline block fold(block b, block constants)
{
	poly128_t low = vmull_p64((poly64_t)vgetq_lane_u64(b, 0), (poly64_t)vgetq_lane_u64(constants, 0));
	poly128_t high = vmull_p64((poly64_t)vgetq_lane_u64(b, 1), (poly64_t)vgetq_lane_u64(constants, 1));

	return veorq_u64(vreinterpretq_u64_p128(low), vreinterpretq_u64_p128(high));
}

#else

static const char kind[] = "tables";

static bool machine_has_carryless(void)
{
	return false;
}

#endif

#ifdef CARRYLESS

/* len is at least 64. Four blocks abreast, then one; what 16 bytes are left over is as good as any other data. */
CARRYLESS static uint64_t raw_carryless(uint64_t crc, const unsigned char *p, size_t len)
{
	const block by_512 = pair(fold_512[0], fold_512[1]), by_128 = pair(fold_128[0], fold_128[1]);
	block a = xor(load(p), pair(crc, 0)), b = load(p + 16), c = load(p + 32), d = load(p + 48);
	unsigned char rest[16];

	for (p += 64, len -= 64; len >= 64; p += 64, len -= 64) {
		a = xor(fold(a, by_512), load(p));
		b = xor(fold(b, by_512), load(p + 16));
		c = xor(fold(c, by_512), load(p + 32));
		d = xor(fold(d, by_512), load(p + 48));
	}
	b = xor(fold(a, by_128), b);
	c = xor(fold(b, by_128), c);
	d = xor(fold(c, by_128), d);
	for (; len >= 16; p += 16, len -= 16)
		d = xor(fold(d, by_128), load(p));
	store(rest, d);
	return raw_tables(raw_tables(0, rest, sizeof(rest)), p, len);
}

#else

static uint64_t raw_carryless(uint64_t crc, const unsigned char *p, size_t len)
{
	return raw_tables(crc, p, len);
}

#endif

uint64_t crc64_update_tables(uint64_t crc, const void *data, size_t len)
{
	pthread_once(&once, setup);
	return ~raw_tables(~crc, data, len);
}

uint64_t crc64_update(uint64_t crc, const void *data, size_t len)
{
	pthread_once(&once, setup);
	if (carryless && len >= 64)
		return ~raw_carryless(~crc, data, len);
	return ~raw_tables(~crc, data, len);
}

const char *crc64_kind(void)
{
	pthread_once(&once, setup);
	return carryless ? kind : "tables";
}

uint64_t crc64_combine(uint64_t a, uint64_t b, uint64_t length_b)
{
	uint64_t shift = power_of_x(length_b);

	for (int i = 0; i < 3; i++)
		shift = multiply(shift, shift); /* to bits, without an overflow */
	return multiply(a, shift) ^ b;
}
