/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of operations on doubles below is Pillow's, because each rounds: a reciprocal that is
 * multiplied with, a sum from left to right, a division by it.
 */
#include "image/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/kernels.h"

#define BITS 22 /* of a weight's fraction: 32 less 8 of the pixel and 2 that sums may need */
#define MEMORY_MAX ((size_t)256 << 20)
#define BEYOND_MAX (IMAGE_ALIGN / 4) /* pixels that there is room for behind a row */

static double box(double x)
{
	return x > -0.5 && x <= 0.5;
}

static double bilinear(double x)
{
	x = fabs(x);
	return x < 1 ? 1 - x : 0;
}

static double hamming(double x)
{
	x = fabs(x);
	if (x == 0)
		return 1;
	if (x >= 1)
		return 0;
	x *= M_PI;
	return sin(x) / x * ((double)0.54f + (double)0.46f * cos(x));
}

static double bicubic(double x)
{
	const double a = -0.5;

	x = fabs(x);
	if (x < 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x)
{
	if (x == 0)
		return 1;
	x *= M_PI;
	return sin(x) / x;
}

static double lanczos(double x)
{
	return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct {
	double support;
	double (*at)(double x);
} filters[IMAGE_FILTERS] = {
	[IMAGE_BOX] = { 0.5, box },       [IMAGE_BILINEAR] = { 1, bilinear },
	[IMAGE_HAMMING] = { 1, hamming }, [IMAGE_BICUBIC] = { 2, bicubic },
	[IMAGE_LANCZOS] = { 3, lanczos },
};

/* What is the same for all results of an axis. */
struct frame {
	double scale, per_step, support;
};

bool image_axis_same(const struct image_axis *a)
{
	return a->size == a->result && a->from == 0 && a->to == (float)a->size;
}

static struct frame frame_of(const struct image_axis *a, enum image_filter filter)
{
	double scale = (double)(a->to - a->from) / a->result, wide = MAX(scale, 1.0);

	return (struct frame){ scale, 1.0 / wide, filters[filter].support * wide };
}

/* The pixels of result `i`, and where its middle is; both not mirrored. Beyond 2^24 pixels the end
 * of the axis is a rounded float, as in Pillow, and may lie behind the last one: results there are
 * of that one, with a weight of 0. */
static double span(const struct image_axis *a, const struct frame *f, uint32_t i, uint32_t *lo,
		   uint32_t *count)
{
	double center = a->from + (i + 0.5) * f->scale;
	double first = center - f->support + 0.5, end = center + f->support + 0.5;

	*lo = first < 0 ? 0 : MIN((uint32_t)first, a->size - 1);
	*count = MAX(end > a->size ? a->size : (uint32_t)end, *lo) - *lo;
	return center;
}

static void weigh(double *w, uint32_t lo, uint32_t n, double center, double per_step,
		  enum image_filter filter)
{
	double sum = 0;

	for (uint32_t j = 0; j < n; j++) {
		w[j] = filters[filter].at((lo + j - center + 0.5) * per_step);
		sum += w[j];
	}
	for (uint32_t j = 0; j < n && sum != 0; j++)
		w[j] /= sum;
}

static int32_t fixed(double w)
{
	return (int32_t)(w * (1 << BITS) + (w < 0 ? -0.5 : 0.5));
}

static void fill(struct image_weights *w, const struct image_axis *a, const struct frame *f,
		 enum image_filter filter, double *row)
{
	for (uint32_t i = 0; i < w->n; i++) {
		uint32_t result = a->first + i, at = a->mirrored ? a->result - 1 - result : result;
		double center = span(a, f, at, &w->lo[i], &w->count[i]);
		uint32_t last = w->count[i] - 1;

		weigh(row, w->lo[i], w->count[i], center, f->per_step, filter);
		if (a->mirrored)
			w->lo[i] = a->size - w->lo[i] - w->count[i];
		for (uint32_t j = 0; j < w->count[i]; j++) {
			size_t to = (size_t)i * w->taps + (a->mirrored ? last - j : j);

			if (w->exact)
				w->exact[to] = row[j];
			else
				w->k[to] = fixed(row[j]);
		}
	}
}

/* Results at the end have fewer pixels than taps, and kernels read as many pixels as there are
 * taps: where that is far beyond the last one that is there, they begin before their first one,
 * with weights of 0. */
static void keep_inside(struct image_weights *w)
{
	uint32_t first, end;

	image_weights_range(w, &first, &end);
	for (uint32_t i = 0; i < w->n; i++) {
		int32_t *k = w->k + (size_t)i * w->taps;
		uint32_t beyond = w->lo[i] + w->taps, by;

		if (beyond <= end + BEYOND_MAX)
			continue;
		by = MIN(beyond - end, w->lo[i] - first);
		memmove(k + by, k, w->count[i] * sizeof(*k));
		memset(k, 0, by * sizeof(*k));
		w->lo[i] -= by;
		w->count[i] += by;
	}
}

/* Kernels say no where a weight is beyond what they can hold; the plain ones never do. */
static bool pack(struct image_weights *w, const struct image_kernels *kernels)
{
	w->kernels = kernels;
	w->packed_each = kernels->packed ? kernels->packed(w->taps) : 0;
	free(w->packed);
	w->packed = NULL;
	if (!w->packed_each)
		return true;
	w->packed = calloc(ALIGN_UP(w->n, 4), w->packed_each);
	for (uint32_t i = 0; w->packed && i < w->n; i++)
		if (!kernels->pack(w->k + (size_t)i * w->taps, w->taps,
				   w->packed + i * w->packed_each))
			return pack(w, &image_kernels_plain);
	return w->packed;
}

static bool allocate(struct image_weights *w, bool exact)
{
	uint32_t n = ALIGN_UP(w->n, 4);

	w->lo = calloc(n, sizeof(*w->lo));
	w->count = calloc(n, sizeof(*w->count));
	if (exact)
		w->exact = calloc((size_t)n * w->taps, sizeof(*w->exact));
	else
		w->k = calloc((size_t)n * w->taps, sizeof(*w->k));
	return w->lo && w->count && (w->k || w->exact);
}

static uint32_t taps_of(const struct image_axis *a, const struct frame *f)
{
	uint32_t most = 1, lo, count;

	for (uint32_t i = 0; i < a->end - a->first; i++) {
		span(a, f, a->mirrored ? a->result - a->end + i : a->first + i, &lo, &count);
		most = MAX(most, count);
	}
	return ALIGN_UP(most, 4);
}

int image_weights_init(struct image_weights *ret, const struct image_axis *a,
		       enum image_filter filter, const struct image_kernels *kernels,
		       struct image_error *e)
{
	struct image_weights w = { .n = a->end - a->first, .kernels = kernels };
	bool exact = kernels == &image_kernels_16 || kernels == &image_kernels_f;
	struct frame f = frame_of(a, filter);
	_cleanup_(freep) double *row = NULL;

	assert(filter != IMAGE_NEAREST && a->first < a->end && a->end <= a->result);
	*ret = (struct image_weights){ 0 };
	w.taps = taps_of(a, &f);
	if ((uint64_t)w.taps * w.n * sizeof(double) > MEMORY_MAX)
		return image_fail(e, IMAGE_TOO_LARGE,
				  "%u pixels in a line are too many to be resized to %u", a->size,
				  a->result);
	row = calloc(w.taps, sizeof(*row));
	if (!row || !allocate(&w, exact))
		goto no_memory;
	fill(&w, a, &f, filter, row);
	if (!exact)
		keep_inside(&w);
	if (!exact && !pack(&w, kernels))
		goto no_memory;
	*ret = w;
	return 0;
no_memory:
	image_weights_finish(&w);
	return image_fail(e, IMAGE_NO_MEMORY, "there is no memory for the weights of %u pixels",
			  w.n);
}

void image_weights_finish(struct image_weights *w)
{
	free(w->lo);
	free(w->count);
	free(w->k);
	free(w->exact);
	free(w->packed);
	*w = (struct image_weights){ 0 };
}

size_t image_weights_memory(const struct image_weights *w)
{
	size_t each = w->exact ? sizeof(double) : sizeof(int32_t);

	return ALIGN_UP((size_t)w->n, 4) * (w->taps * each + w->packed_each + 8);
}

void image_weights_range(const struct image_weights *w, uint32_t *lo, uint32_t *end)
{
	*lo = w->lo[0];
	*end = 0;
	for (uint32_t i = 0; i < w->n; i++) {
		*lo = MIN(*lo, w->lo[i]);
		*end = MAX(*end, w->lo[i] + w->count[i]);
	}
}
