/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For x86 with AVX-512 VNNI, which multiplies four bytes with four signed ones and adds all to a
 * sum of 32 bits. A weight is three signed digits of 8 bits; for four taps there are the lowest
 * digits of all, then the middle and the highest ones.
 */
#include <string.h>

#include "image/kernels_avx512.h"
#include "image/kernels_split.h"

#define DIGITS 3

static size_t packed(uint32_t taps)
{
	return (size_t)taps * DIGITS;
}

static bool pack(const int32_t *k, uint32_t taps, uint8_t *to)
{
	for (uint32_t i = 0; i < taps; i++) {
		int32_t rest = k[i];

		for (unsigned d = 0; d < DIGITS; d++) {
			int8_t digit = (int8_t)(rest & 255);

			memcpy(to + i / 4 * 4 * DIGITS + d * 4 + i % 4, &digit, 1);
			rest = (rest - digit) / 256;
		}
		if (rest)
			return false;
	}
	return true;
}

struct sums {
	__m512i digit[DIGITS];
};

static inline struct sums start(void)
{
	return (struct sums){ { _mm512_set1_epi32(WEIGHT_HALF), _mm512_setzero_si512(),
				_mm512_setzero_si512() } };
}

static inline void add_four(struct sums *s, __m512i bytes, const uint8_t *k)
{
	for (unsigned d = 0; d < DIGITS; d++) {
		int32_t digits;

		memcpy(&digits, k + 4 * d, sizeof(digits));
		s->digit[d] = _mm512_dpbusd_epi32(s->digit[d], bytes, _mm512_set1_epi32(digits));
	}
}

static inline __m512i together(struct sums s)
{
	__m512i sum = _mm512_add_epi32(s.digit[1], _mm512_slli_epi32(s.digit[2], 8));

	sum = _mm512_add_epi32(s.digit[0], _mm512_slli_epi32(sum, 8));
	return _mm512_srai_epi32(sum, WEIGHT_BITS);
}

static inline __m512i pixel(const uint8_t *const from[4], size_t at, const uint8_t *k,
			    uint32_t taps)
{
	/* Each channel's four pixels side by side. */
	const __m512i channels = _mm512_broadcast_i32x4(
		_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
	struct sums s = start();

	for (uint32_t j = 0; j < taps; j += 4, k += 4 * DIGITS)
		add_four(&s, _mm512_shuffle_epi8(load_four(from, at + 4 * j), channels), k);
	return together(s);
}

static void across(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
		   uint8_t *const to[IMAGE_ROWS])
{
	across_by(w, from, to, pixel);
}

static inline void down_64(const uint8_t *k, uint32_t taps, const uint8_t *const *rows, size_t at,
			   uint8_t *to)
{
	struct sums s[4] = { start(), start(), start(), start() };

	for (uint32_t j = 0; j < taps; j += 4, k += 4 * DIGITS) {
		__m512i a = _mm512_loadu_si512(rows[j] + at),
			b = _mm512_loadu_si512(rows[j + 1] + at);
		__m512i c = _mm512_loadu_si512(rows[j + 2] + at);
		__m512i d = _mm512_loadu_si512(rows[j + 3] + at);
		__m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
		__m512i cd_low = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);

		add_four(&s[0], _mm512_unpacklo_epi16(ab_low, cd_low), k);
		add_four(&s[1], _mm512_unpackhi_epi16(ab_low, cd_low), k);
		add_four(&s[2], _mm512_unpacklo_epi16(ab_high, cd_high), k);
		add_four(&s[3], _mm512_unpackhi_epi16(ab_high, cd_high), k);
	}
	_mm512_store_si512(to + at,
			   clip(together(s[0]), together(s[1]), together(s[2]), together(s[3])));
}

static void down(const struct image_weights *w, uint32_t i, const uint8_t *const *rows, uint8_t *to,
		 size_t n)
{
	for (size_t at = 0; at < n; at += 64)
		down_64(w->packed + i * w->packed_each, w->taps, rows, at, to);
}

const struct image_kernels image_kernels_vnni = {
	.name = "vnni",
	.packed = packed,
	.pack = pack,
	.across = across,
	.down = down,
	.floats = avx512_floats,
	.grey = avx512_grey,
	.light = avx2_light,
};
