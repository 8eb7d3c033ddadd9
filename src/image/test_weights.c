/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of small axes by hand; and whatever the window, the same ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "image/kernels.h"

#define ONE (1 << 22)

static struct image_weights weights(const struct image_axis *a, enum image_filter filter)
{
	struct image_error e;
	struct image_weights w;

	assert_int_equal(image_weights_init(&w, a, filter, &image_kernels_plain, &e), 0);
	return w;
}

static struct image_axis axis(uint32_t size, uint32_t result)
{
	return (struct image_axis){
		.size = size, .to = (float)size, .result = result, .end = result
	};
}

static void halving_weighs_neighbours(void **state _unused_)
{
	struct image_axis a = axis(4, 2);
	struct image_weights w = weights(&a, IMAGE_BILINEAR);

	/* Support 2: pixels at 0.25, 0.75, 0.75 of the slope, of 1.75 in all. */
	assert_int_equal(w.n, 2);
	assert_int_equal(w.taps, 4);
	assert_int_equal(w.lo[0], 0);
	assert_int_equal(w.count[0], 3);
	assert_int_equal(w.k[0], (int32_t)(0.75 / 1.75 * ONE + 0.5));
	assert_int_equal(w.k[1], (int32_t)(0.75 / 1.75 * ONE + 0.5));
	assert_int_equal(w.k[2], (int32_t)(0.25 / 1.75 * ONE + 0.5));
	assert_int_equal(w.k[3], 0);
	assert_int_equal(w.lo[1], 1);
	assert_int_equal(w.count[1], 3);
	image_weights_finish(&w);
}

static void a_box_is_a_mean(void **state _unused_)
{
	struct image_axis a = axis(12, 3);
	struct image_weights w = weights(&a, IMAGE_BOX);

	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(w.lo[i], 4 * i);
		assert_int_equal(w.count[i], 4);
		for (uint32_t j = 0; j < 4; j++)
			assert_int_equal(w.k[4 * i + j], ONE / 4);
	}
	image_weights_finish(&w);
}

static void bicubic_has_negative_weights(void **state _unused_)
{
	struct image_axis a = axis(10, 20);
	struct image_weights w = weights(&a, IMAGE_BICUBIC);
	int32_t sum = 0;

	/* Result 10 is in the middle at 5.25: pixels 3 to 6 at distances of 1.75, 0.75, … */
	assert_int_equal(w.lo[10], 3);
	assert_int_equal(w.count[10], 4);
	assert_int_equal(w.k[40], (int32_t)(-0.0234375 * ONE - 0.5));
	assert_int_equal(w.k[42], (int32_t)(0.8671875 * ONE + 0.5));
	for (uint32_t j = 0; j < 4; j++)
		sum += w.k[40 + j];
	assert_int_equal(sum, ONE);
	image_weights_finish(&w);
}

static void a_window_has_those_of_the_whole(void **state _unused_)
{
	for (enum image_filter filter = IMAGE_BOX; filter < IMAGE_FILTERS; filter++) {
		struct image_axis a = axis(301, 97), part = a;
		struct image_weights whole = weights(&a, filter), w;

		part.first = 13;
		part.end = 41;
		w = weights(&part, filter);
		for (uint32_t i = 0; i < w.n; i++) {
			assert_int_equal(w.lo[i], whole.lo[13 + i]);
			assert_int_equal(w.count[i], whole.count[13 + i]);
			assert_memory_equal(w.k + i * w.taps, whole.k + (13 + i) * whole.taps,
					    w.count[i] * sizeof(*w.k));
		}
		image_weights_finish(&whole);
		image_weights_finish(&w);
	}
}

static void mirrored_ones_are_in_the_other_order(void **state _unused_)
{
	struct image_axis a = axis(50, 17), b = a;
	struct image_weights w = weights(&a, IMAGE_LANCZOS), m;

	b.mirrored = true;
	m = weights(&b, IMAGE_LANCZOS);
	for (uint32_t i = 0; i < w.n; i++) {
		uint32_t other = w.n - 1 - i, count = w.count[i];

		assert_int_equal(m.count[other], count);
		assert_int_equal(m.lo[other], 50 - w.lo[i] - count);
		for (uint32_t j = 0; j < count; j++)
			assert_int_equal(m.k[other * m.taps + count - 1 - j], w.k[i * w.taps + j]);
	}
	image_weights_finish(&w);
	image_weights_finish(&m);
}

/* Kernels read taps, not pixels: never far beyond the last pixel. */
static void taps_stay_near_the_picture(void **state _unused_)
{
	static const uint32_t sizes[][2] = { { 400, 3 }, { 1000, 7 }, { 397, 1 }, { 30, 29 } };

	for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
		for (enum image_filter filter = IMAGE_BOX; filter < IMAGE_FILTERS; filter++) {
			struct image_axis a = axis(sizes[s][0], sizes[s][1]);
			struct image_weights w = weights(&a, filter);

			for (uint32_t i = 0; i < w.n; i++) {
				assert_true(w.lo[i] + w.taps <= a.size + IMAGE_ALIGN / 4);
				assert_true(w.count[i] <= w.taps);
				assert_true(w.lo[i] + w.count[i] <= a.size);
			}
			image_weights_finish(&w);
		}
}

/* As a float, 126999997 is three more: Pillow sums up nothing for results there. */
static void results_behind_the_last_pixel_are_of_nothing(void **state _unused_)
{
	for (unsigned mirrored = 0; mirrored < 2; mirrored++)
		for (enum image_filter filter = IMAGE_BOX; filter < IMAGE_FILTERS; filter++) {
			struct image_axis a = axis(126999997, 2 * 126999997);
			struct image_weights w;
			uint32_t lo, end;

			a.mirrored = mirrored;
			a.first = mirrored ? 0 : a.result - 40;
			a.end = a.first + 40;
			w = weights(&a, filter);
			image_weights_range(&w, &lo, &end);
			assert_true(lo < end && end <= a.size);
			for (uint32_t i = 0; i < w.n; i++)
				assert_true(w.count[i] && w.count[i] <= w.taps);
			if (filter == IMAGE_BOX || filter == IMAGE_BILINEAR)
				assert_int_equal(w.k[mirrored ? 0 : (w.n - 1) * w.taps], 0);
			image_weights_finish(&w);
		}
}

static void too_many_are_refused(void **state _unused_)
{
	struct image_axis a = axis(170000000, 224);
	struct image_error e;
	struct image_weights w;

	assert_int_equal(image_weights_init(&w, &a, IMAGE_LANCZOS, &image_kernels_plain, &e),
			 IMAGE_TOO_LARGE);
	assert_string_equal(e.text, "170000000 pixels in a line are too many to be resized to 224");
	image_weights_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halving_weighs_neighbours),
		cmocka_unit_test(a_box_is_a_mean),
		cmocka_unit_test(bicubic_has_negative_weights),
		cmocka_unit_test(a_window_has_those_of_the_whole),
		cmocka_unit_test(mirrored_ones_are_in_the_other_order),
		cmocka_unit_test(taps_stay_near_the_picture),
		cmocka_unit_test(results_behind_the_last_pixel_are_of_nothing),
		cmocka_unit_test(too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
