/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How much of each pixel goes into each pixel of the result, along one axis: Pillow's filters, in
 * fixed point with 22 bits as it has them, or in doubles for pictures of 16 bits a channel. Only
 * of the results that somebody wants.
 *
 * Made once, then only read: any thread.
 */

#include "image/chain.h"

struct image_kernels;

/* Of `size` pixels the part from `from` to `to` becomes `result` pixels, of which those from
 * `first` up to `end` are wanted. */
struct image_axis {
	uint32_t size;
	float from, to;
	uint32_t result, first, end;
	bool mirrored; /* pixels and results are counted from the other end */
};

struct image_weights {
	uint32_t n;      /* results */
	uint32_t taps;   /* places for each: a multiple of 4, what is unused is 0 */
	uint32_t *lo;    /* the first pixel, n of them, and 0 up to the next multiple of 4 */
	uint32_t *count; /* pixels, at most `taps` */
	int32_t *k;      /* taps * n; NULL where there is `exact` */
	double *exact;   /* those of image_kernels_16 and _f */
	uint8_t *packed; /* the same for `kernels`, packed_each bytes a result */
	size_t packed_each;
	const struct image_kernels *kernels; /* those that must be used with it */
};

/* Can it be left out, as Pillow does? */
bool image_axis_same(const struct image_axis *a);
/* 0, IMAGE_TOO_LARGE or IMAGE_NO_MEMORY; `filter` is not nearest. */
int image_weights_init(struct image_weights *ret, const struct image_axis *a,
		       enum image_filter filter, const struct image_kernels *kernels,
		       struct image_error *e);
/* A zeroed one is fine. */
void image_weights_finish(struct image_weights *w);
/* Bytes that it has. */
size_t image_weights_memory(const struct image_weights *w);
/* The pixels that are needed for all of it: *lo up to *end. */
void image_weights_range(const struct image_weights *w, uint32_t *lo, uint32_t *end);
