/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A picture to a tensor on a GPU: what is to be done, as numbers, and the arithmetic of it. The
 * same functions are compiled for the GPU (cuda_kernel.cu) and for the processor, where tests
 * compare them with the plain stages.
 *
 * Everything that is read lies in one block: rows of pixels, weights, tables. Places are bytes from
 * its beginning, so the block means the same wherever it is copied to.
 *
 * Each element of the result is made by itself: along the width for as many rows as it needs,
 * rounded to bytes as between Pillow's two passes, then along the height. Rows are made anew for
 * each element, which a GPU does sooner than it would write them down.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__ /* tidy: allow conditional: one text for two compilers */
#define JOB_BOTH static inline __host__ __device__
#else
#define JOB_BOTH static inline
#endif

#define JOB_BITS 22 /* of weights, behind the point */

/* Of image/weights.h. n results; 0: the pass is left out. */
struct image_job_pass {
	uint64_t lo, count, k;
	uint32_t taps, n;
};

struct image_job {
	uint64_t pixels, stride; /* pixels: not where they lie elsewhere */
	uint64_t values; /* what becomes of each byte: [4][256] floats or halves; of bytes none */
	struct image_job_pass across, down;
	uint32_t x, y; /* of the result's first pixel, among the results of a pass or pixels */
	uint32_t width, height;
	uint32_t pixel, bands; /* bytes and channels of a pixel */
	uint32_t element;      /* bytes of an element: 1, 2 or 4 */
	uint32_t last;         /* channels last */
	uint8_t at[4];         /* of each channel, its byte in the pixel */
};

JOB_BOTH uint8_t job_clip(int32_t sum)
{
	sum >>= JOB_BITS;
	return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One byte of a row that is resized along its width. `pixels`: where they lie. */
JOB_BOTH uint8_t job_across(const uint8_t *block, const uint8_t *pixels, const struct image_job *j,
			    uint32_t row, uint32_t x, uint32_t byte)
{
	const uint8_t *from = pixels + row * j->stride + byte;
	const struct image_job_pass *p = &j->across;
	int32_t sum = 1 << (JOB_BITS - 1);
	const int32_t *k;
	uint32_t count;

	if (!p->n)
		return from[(uint64_t)x * j->pixel];
	from += (uint64_t)((const uint32_t *)(const void *)(block + p->lo))[x] * j->pixel;
	count = ((const uint32_t *)(const void *)(block + p->count))[x];
	k = (const int32_t *)(const void *)(block + p->k) + (uint64_t)x * p->taps;
	for (uint32_t i = 0; i < count; i++)
		sum += from[(uint64_t)i * j->pixel] * k[i];
	return job_clip(sum);
}

JOB_BOTH uint8_t job_down(const uint8_t *block, const uint8_t *pixels, const struct image_job *j,
			  uint32_t x, uint32_t y, uint32_t byte)
{
	const struct image_job_pass *p = &j->down;
	int32_t sum = 1 << (JOB_BITS - 1);
	const int32_t *k;
	uint32_t lo, count;

	if (!p->n)
		return job_across(block, pixels, j, y, x, byte);
	lo = ((const uint32_t *)(const void *)(block + p->lo))[y];
	count = ((const uint32_t *)(const void *)(block + p->count))[y];
	k = (const int32_t *)(const void *)(block + p->k) + (uint64_t)y * p->taps;
	for (uint32_t i = 0; i < count; i++)
		sum += job_across(block, pixels, j, lo + i, x, byte) * k[i];
	return job_clip(sum);
}

/* All channels of one pixel of the result, to their places in the tensor. `decoded`: the rows,
 * where they are not in the block. */
JOB_BOTH void job_pixel(const uint8_t *block, const uint8_t *decoded, const struct image_job *j,
			uint32_t x, uint32_t y, void *to)
{
	const uint8_t *pixels = decoded ? decoded : block + j->pixels;
	uint64_t at = (uint64_t)y * j->width + x, area = (uint64_t)j->width * j->height;

	for (uint32_t b = 0; b < j->bands; b++) {
		uint64_t place = j->last ? at * j->bands + b : b * area + at;
		uint8_t v = job_down(block, pixels, j, j->x + x, j->y + y, j->at[b]);
		uint64_t entry = j->values + (uint64_t)(b * 256 + v) * j->element;

		if (j->element == 4)
			((uint32_t *)to)[place] = *(const uint32_t *)(const void *)(block + entry);
		else if (j->element == 2)
			((uint16_t *)to)[place] = *(const uint16_t *)(const void *)(block + entry);
		else
			((uint8_t *)to)[place] = v;
	}
}
