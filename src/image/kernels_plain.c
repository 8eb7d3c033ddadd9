/* SPDX-License-Identifier: Apache-2.0 */
/* For every processor, and what the others are tested against. */
#include "base/util.h"
#include "image/kernels.h"

#define BITS 22
#define HALF (1 << (BITS - 1))

static uint8_t clip(int32_t sum)
{
	sum >>= BITS;
	return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void across_row(const struct image_weights *w, const uint8_t *from, uint8_t *to)
{
	for (uint32_t i = 0; i < w->n; i++) {
		const uint8_t *p = from + (size_t)w->lo[i] * 4;
		const int32_t *k = w->k + (size_t)i * w->taps;
		int32_t s0 = HALF, s1 = HALF, s2 = HALF, s3 = HALF;

		for (uint32_t j = 0; j < w->count[i]; j++, p += 4) {
			s0 += p[0] * k[j];
			s1 += p[1] * k[j];
			s2 += p[2] * k[j];
			s3 += p[3] * k[j];
		}
		to[4 * i] = clip(s0);
		to[4 * i + 1] = clip(s1);
		to[4 * i + 2] = clip(s2);
		to[4 * i + 3] = clip(s3);
	}
}

static void across(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
		   uint8_t *const to[IMAGE_ROWS])
{
	for (unsigned r = 0; r < IMAGE_ROWS; r++)
		across_row(w, from[r], to[r]);
}

/* Pieces that stay in the nearest cache while all rows are added. */
static void down(const struct image_weights *w, uint32_t i, const uint8_t *const *rows, uint8_t *to,
		 size_t n)
{
	const int32_t *k = w->k + (size_t)i * w->taps;
	int32_t sums[256];

	for (size_t at = 0; at < n; at += ARRAY_LEN(sums)) {
		size_t len = MIN(n - at, ARRAY_LEN(sums));

		for (size_t x = 0; x < len; x++)
			sums[x] = HALF;
		for (uint32_t j = 0; j < w->count[i]; j++)
			for (size_t x = 0; x < len; x++)
				sums[x] += rows[j][at + x] * k[j];
		for (size_t x = 0; x < len; x++)
			to[at + x] = clip(sums[x]);
	}
}

static void floats(const struct image_scale *s, const uint8_t *from, uint32_t n, unsigned bands,
		   float *const *to)
{
	for (unsigned b = 0; b < bands; b++)
		for (uint32_t x = 0; x < n; x++)
			to[b][x] = ((float)from[4 * x + b] / 255 - s->mean[b]) / s->std[b];
}

static void grey(uint8_t *to, const uint8_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++, from += 4)
		to[i] = (uint8_t)((from[0] * LUMA_RED + from[1] * LUMA_GREEN + from[2] * LUMA_BLUE +
				   LUMA_HALF) >>
				  LUMA_BITS);
}

static uint8_t without_ink(uint8_t v, uint8_t white)
{
	unsigned product = v * white + 128U;

	return (uint8_t)(white - (((product >> 8) + product) >> 8));
}

static void light(uint8_t *to, const uint8_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++, from += 4, to += 4) {
		uint8_t white = (uint8_t)~from[3];

		to[0] = without_ink(from[0], white);
		to[1] = without_ink(from[1], white);
		to[2] = without_ink(from[2], white);
		to[3] = 255;
	}
}

const struct image_kernels image_kernels_plain = {
	.name = "plain",
	.across = across,
	.down = down,
	.floats = floats,
	.grey = grey,
	.light = light,
};
