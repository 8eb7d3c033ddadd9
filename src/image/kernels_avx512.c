/* SPDX-License-Identifier: Apache-2.0 */
/* For x86 with AVX-512 F and BW: four rows in the quarters of a register. */
#include "image/kernels_avx512.h"

#include <string.h>

#include "image/kernels_split.h"

static inline __m512i broadcast(const uint8_t *p)
{
	int32_t both;

	memcpy(&both, p, sizeof(both));
	return _mm512_set1_epi32(both);
}

/* Sums of products with the lower and the upper parts. */
struct sums {
	__m512i lower, upper;
};

static inline void add_pairs(struct sums *s, __m512i pairs, __m512i lower, __m512i upper)
{
	s->lower = _mm512_add_epi32(s->lower, _mm512_madd_epi16(pairs, lower));
	s->upper = _mm512_add_epi32(s->upper, _mm512_madd_epi16(pairs, upper));
}

static inline __m512i together(struct sums s)
{
	__m512i sum = _mm512_add_epi32(s.lower, _mm512_slli_epi32(s.upper, SPLIT_BITS));

	return _mm512_srai_epi32(sum, WEIGHT_BITS);
}

static inline struct sums start(void)
{
	return (struct sums){ _mm512_set1_epi32(WEIGHT_HALF), _mm512_setzero_si512() };
}

static inline __m512i pixel(const uint8_t *const from[4], size_t at, const uint8_t *k,
			    uint32_t taps)
{
	/* Channels of two pixels side by side, as numbers of 16 bits. */
	const __m512i first = _mm512_broadcast_i32x4(
		_mm_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1));
	const __m512i second = _mm512_broadcast_i32x4(
		_mm_setr_epi8(8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1));
	struct sums s = start();

	for (uint32_t j = 0; j < taps; j += 4, k += 16) {
		__m512i four = load_four(from, at + 4 * j);

		add_pairs(&s, _mm512_shuffle_epi8(four, first), broadcast(k), broadcast(k + 4));
		add_pairs(&s, _mm512_shuffle_epi8(four, second), broadcast(k + 8),
			  broadcast(k + 12));
	}
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
	const __m512i zero = _mm512_setzero_si512();
	struct sums s[4] = { start(), start(), start(), start() };

	for (uint32_t j = 0; j < taps; j += 2, k += 8) {
		__m512i a = _mm512_loadu_si512(rows[j] + at),
			b = _mm512_loadu_si512(rows[j + 1] + at);
		__m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
		__m512i lower = broadcast(k), upper = broadcast(k + 4);

		add_pairs(&s[0], _mm512_unpacklo_epi8(low, zero), lower, upper);
		add_pairs(&s[1], _mm512_unpackhi_epi8(low, zero), lower, upper);
		add_pairs(&s[2], _mm512_unpacklo_epi8(high, zero), lower, upper);
		add_pairs(&s[3], _mm512_unpackhi_epi8(high, zero), lower, upper);
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

static inline __m512 scale(const struct image_scale *s, unsigned band, __m512 x)
{
	x = _mm512_div_ps(x, _mm512_set1_ps(255));
	if (s->plain)
		return x;
	x = _mm512_sub_ps(x, _mm512_set1_ps(s->mean[band]));
	return _mm512_div_ps(x, _mm512_set1_ps(s->std[band]));
}

void avx512_floats(const struct image_scale *s, const uint8_t *from, uint32_t n, unsigned bands,
		   float *const *to)
{
	for (uint32_t x = 0; x < n; x += 16) {
		__mmask16 some = n - x >= 16 ? 0xffff : (__mmask16)((1u << (n - x)) - 1);
		__m512i p = _mm512_loadu_si512(from + 4 * x);

		for (unsigned b = 0; b < bands; b++, p = _mm512_srli_epi32(p, 8)) {
			__m512i bytes = _mm512_and_si512(p, _mm512_set1_epi32(255));

			_mm512_mask_storeu_ps(to[b] + x, some,
					      scale(s, b, _mm512_cvtepi32_ps(bytes)));
		}
	}
}

/* Of 16 pixels, in 32 bits each. Green's weight has 16 bits, half of it 15, which are those of a
 * signed number. */
static inline __m512i luma(__m512i p)
{
	const __m512i lower = _mm512_set1_epi32(0x00ff00ff);
	__m512i red_blue = _mm512_madd_epi16(_mm512_and_si512(p, lower),
					     _mm512_set1_epi32(LUMA_BLUE << 16 | LUMA_RED));
	__m512i green = _mm512_madd_epi16(_mm512_and_si512(_mm512_srli_epi32(p, 8), lower),
					  _mm512_set1_epi32(LUMA_GREEN / 2));
	__m512i sum = _mm512_add_epi32(red_blue, _mm512_set1_epi32(LUMA_HALF));

	return _mm512_srli_epi32(_mm512_add_epi32(sum, _mm512_slli_epi32(green, 1)), LUMA_BITS);
}

void avx512_grey(uint8_t *to, const uint8_t *from, size_t n)
{
	const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11,
						15);
	size_t x = 0;

	for (; n - x >= 64; x += 64) {
		const uint8_t *p = from + 4 * x;
		__m512i v = clip(luma(_mm512_loadu_si512(p)), luma(_mm512_loadu_si512(p + 64)),
				 luma(_mm512_loadu_si512(p + 128)),
				 luma(_mm512_loadu_si512(p + 192)));

		_mm512_storeu_si512(to + x, _mm512_permutexvar_epi32(order, v));
	}
	for (; x < n; x += 16) {
		__mmask16 some = n - x >= 16 ? 0xffff : (__mmask16)((1u << (n - x)) - 1);
		__m512i p = _mm512_maskz_loadu_epi32(some, from + 4 * x);

		_mm_mask_storeu_epi8(to + x, some, _mm512_cvtepi32_epi8(luma(p)));
	}
}

const struct image_kernels image_kernels_avx512 = {
	.name = "avx512",
	.packed = split_packed,
	.pack = split_pack,
	.across = across,
	.down = down,
	.floats = avx512_floats,
	.grey = avx512_grey,
	.light = avx2_light,
};
