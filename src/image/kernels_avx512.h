/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What both kinds of AVX-512 kernels share. For files that are compiled for it. */

#include <immintrin.h>

#include "image/kernels_avx2.h"

/* The same 16 bytes of four rows. */
static inline __m512i load_four(const uint8_t *const from[4], size_t at)
{
	__m512i four = _mm512_castsi128_si512(
		_mm_loadu_si128((const __m128i *)(const void *)(from[0] + at)));

	four = _mm512_inserti32x4(
		four, _mm_loadu_si128((const __m128i *)(const void *)(from[1] + at)), 1);
	four = _mm512_inserti32x4(
		four, _mm_loadu_si128((const __m128i *)(const void *)(from[2] + at)), 2);
	return _mm512_inserti32x4(
		four, _mm_loadu_si128((const __m128i *)(const void *)(from[3] + at)), 3);
}

static inline void store_four(uint8_t *const to[4], size_t at, __m512i four)
{
	_mm_store_si128((__m128i *)(void *)(to[0] + at), _mm512_castsi512_si128(four));
	_mm_store_si128((__m128i *)(void *)(to[1] + at), _mm512_extracti32x4_epi32(four, 1));
	_mm_store_si128((__m128i *)(void *)(to[2] + at), _mm512_extracti32x4_epi32(four, 2));
	_mm_store_si128((__m128i *)(void *)(to[3] + at), _mm512_extracti32x4_epi32(four, 3));
}

/* Four numbers of 32 bits to bytes, clipped. */
static inline __m512i clip(__m512i a, __m512i b, __m512i c, __m512i d)
{
	return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

/* One pixel of four rows, from the bytes at `at`. */
typedef __m512i pixel_fn(const uint8_t *const from[4], size_t at, const uint8_t *k, uint32_t taps);

__attribute__((always_inline)) static inline void across_by(const struct image_weights *w,
							    const uint8_t *const from[IMAGE_ROWS],
							    uint8_t *const to[IMAGE_ROWS],
							    pixel_fn *pixel)
{
	for (uint32_t i = 0; i < w->n; i += 4) {
		const uint8_t *k = w->packed + i * w->packed_each;
		__m512i p[4];

		for (unsigned j = 0; j < 4; j++, k += w->packed_each)
			p[j] = pixel(from, (size_t)w->lo[i + j] * 4, k, w->taps);
		store_four(to, 4 * i, clip(p[0], p[1], p[2], p[3]));
	}
}

void avx512_floats(const struct image_scale *s, const uint8_t *from, uint32_t n, unsigned bands,
		   float *const *to);
void avx512_grey(uint8_t *to, const uint8_t *from, size_t n);
