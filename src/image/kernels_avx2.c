/* SPDX-License-Identifier: Apache-2.0 */
/* For x86 with AVX2: two rows in the halves of a register. */
#include <immintrin.h>
#include <string.h>

#include "image/kernels_avx2.h"
#include "image/kernels_split.h"

static inline __m256i broadcast(const uint8_t *p)
{
	int32_t both;

	memcpy(&both, p, sizeof(both));
	return _mm256_set1_epi32(both);
}

static inline __m256i load_two(const uint8_t *a, const uint8_t *b)
{
	return _mm256_inserti128_si256(
		_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)a)),
		_mm_loadu_si128((const __m128i *)(const void *)b), 1);
}

/* Sums of products with the lower and the upper parts. */
struct sums {
	__m256i lower, upper;
};

static inline void add_pairs(struct sums *s, __m256i pairs, __m256i lower, __m256i upper)
{
	s->lower = _mm256_add_epi32(s->lower, _mm256_madd_epi16(pairs, lower));
	s->upper = _mm256_add_epi32(s->upper, _mm256_madd_epi16(pairs, upper));
}

static inline __m256i together(struct sums s)
{
	__m256i sum = _mm256_add_epi32(s.lower, _mm256_slli_epi32(s.upper, SPLIT_BITS));

	return _mm256_srai_epi32(sum, WEIGHT_BITS);
}

static inline struct sums start(void)
{
	return (struct sums){ _mm256_set1_epi32(WEIGHT_HALF), _mm256_setzero_si256() };
}

/* Four bytes of 32 bits to one, clipped. */
static inline __m256i clip(__m256i a, __m256i b, __m256i c, __m256i d)
{
	return _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
}

/* One pixel of two rows. */
static inline __m256i pixel(const uint8_t *a, const uint8_t *b, const uint8_t *k, uint32_t taps)
{
	/* Channels of two pixels side by side, as numbers of 16 bits. */
	const __m256i first = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1));
	const __m256i second = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1));
	struct sums s = start();

	for (uint32_t j = 0; j < taps; j += 4, k += 16) {
		__m256i four = load_two(a + 4 * j, b + 4 * j);

		add_pairs(&s, _mm256_shuffle_epi8(four, first), broadcast(k), broadcast(k + 4));
		add_pairs(&s, _mm256_shuffle_epi8(four, second), broadcast(k + 8),
			  broadcast(k + 12));
	}
	return together(s);
}

static inline void across_two(const struct image_weights *w, const uint8_t *a, const uint8_t *b,
			      uint8_t *to_a, uint8_t *to_b)
{
	for (uint32_t i = 0; i < w->n; i += 4) {
		const uint8_t *k = w->packed + i * w->packed_each;
		__m256i p[4], four;

		for (unsigned j = 0; j < 4; j++, k += w->packed_each) {
			size_t at = (size_t)w->lo[i + j] * 4;

			p[j] = pixel(a + at, b + at, k, w->taps);
		}
		four = clip(p[0], p[1], p[2], p[3]);
		_mm_store_si128((__m128i *)(void *)(to_a + 4 * i), _mm256_castsi256_si128(four));
		_mm_store_si128((__m128i *)(void *)(to_b + 4 * i),
				_mm256_extracti128_si256(four, 1));
	}
}

static void across(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
		   uint8_t *const to[IMAGE_ROWS])
{
	across_two(w, from[0], from[1], to[0], to[1]);
	across_two(w, from[2], from[3], to[2], to[3]);
}

static inline void down_32(const uint8_t *k, uint32_t taps, const uint8_t *const *rows, size_t at,
			   uint8_t *to)
{
	const __m256i zero = _mm256_setzero_si256();
	struct sums s[4] = { start(), start(), start(), start() };

	for (uint32_t j = 0; j < taps; j += 2, k += 8) {
		__m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(rows[j] + at));
		__m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(rows[j + 1] + at));
		__m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
		__m256i lower = broadcast(k), upper = broadcast(k + 4);

		add_pairs(&s[0], _mm256_unpacklo_epi8(low, zero), lower, upper);
		add_pairs(&s[1], _mm256_unpackhi_epi8(low, zero), lower, upper);
		add_pairs(&s[2], _mm256_unpacklo_epi8(high, zero), lower, upper);
		add_pairs(&s[3], _mm256_unpackhi_epi8(high, zero), lower, upper);
	}
	_mm256_store_si256((__m256i *)(void *)(to + at),
			   clip(together(s[0]), together(s[1]), together(s[2]), together(s[3])));
}

static void down(const struct image_weights *w, uint32_t i, const uint8_t *const *rows, uint8_t *to,
		 size_t n)
{
	for (size_t at = 0; at < n; at += 32)
		down_32(w->packed + i * w->packed_each, w->taps, rows, at, to);
}

static inline __m256 scale(const struct image_scale *s, unsigned band, __m256 x)
{
	x = _mm256_div_ps(x, _mm256_set1_ps(255));
	if (s->plain)
		return x;
	x = _mm256_sub_ps(x, _mm256_set1_ps(s->mean[band]));
	return _mm256_div_ps(x, _mm256_set1_ps(s->std[band]));
}

static void floats(const struct image_scale *s, const uint8_t *from, uint32_t n, unsigned bands,
		   float *const *to)
{
	uint32_t whole = n - n % 8;
	float *rest[4] = { 0 };

	for (unsigned b = 0; b < bands; b++) {
		__m128i shift = _mm_cvtsi32_si128(8 * (int)b);

		for (uint32_t x = 0; x < whole; x += 8) {
			__m256i p = _mm256_loadu_si256(
				(const __m256i *)(const void *)(from + 4 * x));

			p = _mm256_and_si256(_mm256_srl_epi32(p, shift), _mm256_set1_epi32(255));
			_mm256_storeu_ps(to[b] + x, scale(s, b, _mm256_cvtepi32_ps(p)));
		}
		rest[b] = to[b] + whole;
	}
	image_kernels_plain.floats(s, from + (size_t)whole * 4, n - whole, bands, rest);
}

/* Of 8 pixels, in 32 bits each. Green's weight has 16 bits, half of it 15, which are those of a
 * signed number. */
static inline __m256i luma(const uint8_t *from)
{
	const __m256i lower = _mm256_set1_epi32(0x00ff00ff);
	__m256i p = _mm256_loadu_si256((const __m256i *)(const void *)from);
	__m256i red_blue = _mm256_madd_epi16(_mm256_and_si256(p, lower),
					     _mm256_set1_epi32(LUMA_BLUE << 16 | LUMA_RED));
	__m256i green = _mm256_madd_epi16(_mm256_and_si256(_mm256_srli_epi32(p, 8), lower),
					  _mm256_set1_epi32(LUMA_GREEN / 2));
	__m256i sum = _mm256_add_epi32(red_blue, _mm256_set1_epi32(LUMA_HALF));

	return _mm256_srli_epi32(_mm256_add_epi32(sum, _mm256_slli_epi32(green, 1)), LUMA_BITS);
}

static void grey(uint8_t *to, const uint8_t *from, size_t n)
{
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	size_t whole = n - n % 32;

	for (size_t x = 0; x < whole; x += 32) {
		const uint8_t *p = from + 4 * x;
		__m256i v = clip(luma(p), luma(p + 32), luma(p + 64), luma(p + 96));

		_mm256_storeu_si256((__m256i *)(void *)(to + x),
				    _mm256_permutevar8x32_epi32(v, order));
	}
	image_kernels_plain.grey(to + whole, from + 4 * whole, n - whole);
}

/* Of 4 pixels, in 16 bits each: what of the paper's white the inks leave. `black`: where theirs is.
 */
static inline __m256i under_ink(__m256i inks, __m256i black)
{
	__m256i white = _mm256_xor_si256(_mm256_shuffle_epi8(inks, black), _mm256_set1_epi16(255));
	__m256i product = _mm256_mullo_epi16(inks, white);

	product = _mm256_add_epi16(product, _mm256_set1_epi16(128));
	product = _mm256_add_epi16(product, _mm256_srli_epi16(product, 8));
	return _mm256_sub_epi16(white, _mm256_srli_epi16(product, 8));
}

void avx2_light(uint8_t *to, const uint8_t *from, size_t n)
{
	const __m256i zero = _mm256_setzero_si256();
	const __m256i black = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(6, -1, 6, -1, 6, -1, 6, -1, 14, -1, 14, -1, 14, -1, 14, -1));
	size_t whole = n - n % 8;

	for (size_t x = 0; x < whole; x += 8) {
		__m256i p = _mm256_loadu_si256((const __m256i *)(const void *)(from + 4 * x));
		__m256i low = under_ink(_mm256_unpacklo_epi8(p, zero), black);
		__m256i high = under_ink(_mm256_unpackhi_epi8(p, zero), black);

		p = _mm256_or_si256(_mm256_packus_epi16(low, high),
				    _mm256_set1_epi32((int32_t)0xff000000));
		_mm256_storeu_si256((__m256i *)(void *)(to + 4 * x), p);
	}
	image_kernels_plain.light(to + 4 * whole, from + 4 * whole, n - whole);
}

const struct image_kernels image_kernels_avx2 = {
	.name = "avx2",
	.packed = split_packed,
	.pack = split_pack,
	.across = across,
	.down = down,
	.floats = floats,
	.grey = grey,
	.light = avx2_light,
};
