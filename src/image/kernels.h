/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The loops over pixels that take the time, once in plain C and once for each kind of processor;
 * all give the same bits. Sums are of 32 bits and exact: weights, which have 24, are split into
 * parts that the processor multiplies fast, and nothing is left out.
 *
 * Rows begin IMAGE_ALIGN-aligned. Kernels may read up to IMAGE_ALIGN bytes behind what they need
 * and write up to the next multiple of IMAGE_ALIGN, so rows are in memory that has room for it.
 */

#include "image/weights.h"

#define IMAGE_ROWS 4 /* are resized along their width at once */

/* What becomes of a channel: (x / 255 - mean) / std, each step rounded to a float. */
struct image_scale {
	float mean[4], std[4];
	bool plain; /* mean 0 and std 1 */
};

struct image_kernels {
	const char *name; /* as SCONCE_SIMD has it */
	/* Bytes of the packed form of `taps` weights; NULL where k is used. */
	size_t (*packed)(uint32_t taps);
	/* False: k has what cannot be packed. */
	bool (*pack)(const int32_t *k, uint32_t taps, uint8_t *to);
	/* w->n pixels of 4 bytes of each row, and what is up to the next multiple of 4. */
	void (*across)(const struct image_weights *w, const uint8_t *const from[IMAGE_ROWS],
		       uint8_t *const to[IMAGE_ROWS]);
	/* n bytes of the result's row i from w->taps rows. */
	void (*down)(const struct image_weights *w, uint32_t i, const uint8_t *const *rows,
		     uint8_t *to, size_t n);
	/* n pixels of 4 bytes to the floats of `bands` (3 or 4) planes, of which none is
	 * aligned or has room. */
	void (*floats)(const struct image_scale *s, const uint8_t *from, uint32_t n, unsigned bands,
		       float *const *to);
	/* The luma of n pixels of 4 bytes, as convert.h has it; nothing is aligned or has room. */
	void (*grey)(uint8_t *to, const uint8_t *from, size_t n);
	/* CMYK to RGB, likewise: the last byte of each pixel is 255. */
	void (*light)(uint8_t *to, const uint8_t *from, size_t n);
};

/* ITU-R 601-2, in Pillow's fixed point. */
#define LUMA_RED 19595
#define LUMA_GREEN 38470
#define LUMA_BLUE 7471
#define LUMA_HALF 0x8000
#define LUMA_BITS 16

/* A machine has some of them: ask image_kernels_all(). */
extern const struct image_kernels image_kernels_plain, image_kernels_avx2, image_kernels_avx512,
	image_kernels_vnni, image_kernels_neon;
/* Of pixels of 16 bits and of floats, in doubles; only across() and down(). */
extern const struct image_kernels image_kernels_16, image_kernels_f;

/* Those of this machine that it can run, the best one first, the plain ones last; NULL ends them.
 */
const struct image_kernels *const *image_kernels_all(void);
/* The best one, or what the environment says in SCONCE_SIMD; told once if that cannot be had. */
const struct image_kernels *image_kernels(void);
