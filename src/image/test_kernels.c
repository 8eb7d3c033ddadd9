/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every table of kernels that this processor can run gives what the plain one gives. Without
 * cmocka, so that a compiler for another processor needs only its C library (the step neon of
 * tools/run_tests.py).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/kernels.h"

#define ROW 8192 /* bytes: the longest one, and room behind it */
#define ROUNDS 300

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static uint8_t *random_rows(uint32_t n)
{
	uint8_t *rows = aligned_alloc(IMAGE_ALIGN, (size_t)n * ROW);
	bool edges = draw(2);

	for (size_t i = 0; i < (size_t)n * ROW; i++)
		rows[i] = (uint8_t)(edges ? -(int)draw(2) : (int)draw(256));
	return rows;
}

static struct image_weights weights(const struct image_axis *a, enum image_filter filter,
				    const struct image_kernels *k)
{
	struct image_error e;
	struct image_weights w;

	int rc = image_weights_init(&w, a, filter, k, &e);

	assert(!rc);
	return w;
}

static struct image_axis random_axis(enum image_filter *filter)
{
	struct image_axis a = { .size = 1 + draw(900), .result = 1 + draw(900) };
	/* Of a picture that was decoded smaller there may be a part of the last pixel only. */
	float lacks = (float)draw(8) / 8;

	*filter = IMAGE_BOX + draw(IMAGE_FILTERS - IMAGE_BOX);
	a.mirrored = draw(2);
	a.from = a.mirrored ? lacks : 0;
	a.to = a.mirrored ? (float)a.size : (float)a.size - lacks;
	a.first = draw(a.result);
	a.end = a.first + 1 + draw(a.result - a.first);
	return a;
}

static void across_is_the_same(const struct image_kernels *k)
{
	enum image_filter filter;
	struct image_axis a = random_axis(&filter);
	struct image_weights plain = weights(&a, filter, &image_kernels_plain);
	struct image_weights w = weights(&a, filter, k);
	uint8_t *in = random_rows(IMAGE_ROWS), *out = random_rows(2 * IMAGE_ROWS);
	const uint8_t *from[IMAGE_ROWS];
	uint8_t *to[IMAGE_ROWS], *expected[IMAGE_ROWS];

	for (unsigned r = 0; r < IMAGE_ROWS; r++) {
		from[r] = in + r * ROW;
		to[r] = out + r * ROW;
		expected[r] = out + (IMAGE_ROWS + r) * ROW;
	}
	image_kernels_plain.across(&plain, from, expected);
	w.kernels->across(&w, from, to);
	for (unsigned r = 0; r < IMAGE_ROWS; r++)
		assert(!memcmp(to[r], expected[r], (size_t)w.n * 4));
	free(in);
	free(out);
	image_weights_finish(&plain);
	image_weights_finish(&w);
}

static void down_is_the_same(const struct image_kernels *k)
{
	enum image_filter filter;
	struct image_axis a = random_axis(&filter);
	struct image_weights plain = weights(&a, filter, &image_kernels_plain);
	struct image_weights w = weights(&a, filter, k);
	uint8_t *in = random_rows(w.taps), *out = random_rows(2);
	const uint8_t **rows = calloc(w.taps, sizeof(*rows));
	size_t n = 1 + draw(4000), skip = draw(64);
	uint32_t i = draw(w.n);

	for (uint32_t j = 0; j < w.taps; j++)
		rows[j] = in + (size_t)MIN(j, w.count[i] - 1) * ROW + skip;
	image_kernels_plain.down(&plain, i, rows, out, n);
	w.kernels->down(&w, i, rows, out + ROW, n);
	assert(!memcmp(out + ROW, out, n));
	free(in);
	free(out);
	free(rows);
	image_weights_finish(&plain);
	image_weights_finish(&w);
}

static float random_float(void)
{
	return (float)draw(2000) / 1000 - 1;
}

static void floats_are_the_same(const struct image_kernels *k)
{
	uint32_t n = 1 + draw(1000);
	unsigned bands = 3 + draw(2);
	uint8_t *in = random_rows(1);
	float *out = calloc(8 * (n + 1), sizeof(*out)), *to[4], *expected[4];
	struct image_scale s = { .plain = draw(4) == 0 };

	for (unsigned b = 0; b < 4; b++) {
		s.mean[b] = s.plain ? 0 : random_float();
		s.std[b] = s.plain ? 1 : random_float() + 1.001f;
		to[b] = out + b * (n + 1);
		expected[b] = to[b] + 4 * (n + 1);
	}
	image_kernels_plain.floats(&s, in, n, bands, expected);
	k->floats(&s, in, n, bands, to);
	/* What is behind a plane is another's. */
	assert(!memcmp(out, expected[0], 4 * (n + 1) * sizeof(*out)));
	free(in);
	free(out);
}

static void grey_is_the_same(const struct image_kernels *k)
{
	size_t n = draw(1000), skip = 4 * draw(32);
	uint8_t *in = random_rows(1), *out = random_rows(2), *expected = out + ROW;

	memcpy(expected, out, ROW);
	image_kernels_plain.grey(expected + skip, in + skip, n);
	k->grey(out + skip, in + skip, n);
	/* Nothing beside them is written. */
	assert(!memcmp(out, expected, ROW));
	free(in);
	free(out);
}

/* Each red and green with some blues, in a row that ends where its memory does. */
static void each_colour_is_as_grey(const struct image_kernels *k)
{
	enum { N = 256 * 256 };
	uint8_t *in = malloc(4 * (size_t)N), *out = malloc(2 * (size_t)N);

	for (unsigned blue = 0; blue < 256; blue += 15) {
		for (uint32_t i = 0; i < N; i++)
			memcpy(in + 4 * (size_t)i, (uint8_t[]){ i >> 8, i & 255, blue, 255 - blue },
			       4);
		image_kernels_plain.grey(out + N, in, N);
		k->grey(out, in, N);
		assert(!memcmp(out, out + N, N));
	}
	free(in);
	free(out);
}

static void light_is_the_same(const struct image_kernels *k)
{
	size_t n = draw(1000), skip = 4 * draw(32);
	uint8_t *in = random_rows(1), *out = random_rows(2), *expected = out + ROW;

	memcpy(expected, out, ROW);
	image_kernels_plain.light(expected + skip, in + skip, n);
	k->light(out + skip, in + skip, n);
	assert(!memcmp(out, expected, ROW));
	free(in);
	free(out);
}

/* Each ink under each black. */
static void each_ink_is_as_light(const struct image_kernels *k)
{
	enum { N = 256 * 256 };
	uint8_t *in = malloc(4 * (size_t)N), *out = malloc(8 * (size_t)N);

	for (uint32_t i = 0; i < N; i++)
		memcpy(in + 4 * (size_t)i,
		       (uint8_t[]){ i & 255, 255 - (i & 255), (i * 7) & 255, i >> 8 }, 4);
	image_kernels_plain.light(out + 4 * (size_t)N, in, N);
	k->light(out, in, N);
	assert(!memcmp(out, out + 4 * (size_t)N, 4 * (size_t)N));
	free(in);
	free(out);
}

/* A weight beyond what filters make is refused, or kept as it is. */
static void large_weights_are_the_same(const struct image_kernels *k)
{
	const int32_t weights[4] = { 3 << 22, -(200 << 22), 1 << 22, 1 };
	uint8_t packed[4 * 8];

	if (k->packed && k->pack(weights, 4, packed))
		assert(strcmp(k->name, "vnni"));
}

int main(void)
{
	for (const struct image_kernels *const *k = image_kernels_all(); *k; k++) {
		for (unsigned i = 0; i < ROUNDS; i++) {
			across_is_the_same(*k);
			down_is_the_same(*k);
			floats_are_the_same(*k);
			grey_is_the_same(*k);
			light_is_the_same(*k);
		}
		each_colour_is_as_grey(*k);
		each_ink_is_as_light(*k);
		large_weights_are_the_same(*k);
		printf("%s: %u times the same\n", (*k)->name, 5 * ROUNDS);
	}
	return 0;
}
