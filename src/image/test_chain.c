/* SPDX-License-Identifier: Apache-2.0 */
/* What plans say of sizes and steps; tests/image compares what they do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "image/chain.h"

static struct image_result result_of(const struct image_step *steps, size_t n, uint32_t width,
				     uint32_t height)
{
	struct image_info info = {
		.mode = IMAGE_RGB, .width = width, .height = height, .orientation = 1
	};
	struct image_chain chain = { .steps = steps, .n = n };
	struct image_result ret;
	struct image_plan *plan;
	struct image_error e;

	if (image_plan_create(&chain, &info, &plan, &e))
		fail_msg("%s", e.text);
	ret = *image_plan_result(plan);
	image_plan_free(plan);
	return ret;
}

static void sizes_are_torchvisions(void **state _unused_)
{
	static const struct {
		uint32_t width, height, shorter, most, to_width, to_height;
	} cases[] = {
		{ 640, 427, 256, 0, 383, 256 }, /* 383.7 */
		{ 427, 640, 256, 0, 256, 383 }, { 500, 375, 256, 0, 341, 256 },
		{ 256, 256, 256, 0, 256, 256 }, { 300, 100, 100, 150, 150, 50 },
		{ 299, 100, 33, 70, 70, 23 }, /* 98, then 23.57 */
		{ 3, 1, 7, 0, 21, 7 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct image_step step = { IMAGE_RESIZE_SHORT,
					   .resize = { cases[i].most, cases[i].shorter,
						       IMAGE_BILINEAR } };
		struct image_result r = result_of(&step, 1, cases[i].width, cases[i].height);

		assert_int_equal(r.width, cases[i].to_width);
		assert_int_equal(r.height, cases[i].to_height);
	}
}

/* A picture whose columns count themselves, cropped in the middle: halves go to the even side. */
static void the_middle_is_rounded_to_even(void **state _unused_)
{
	static const struct {
		uint32_t width, part, first;
	} cases[] = { { 309, 224, 42 }, { 341, 224, 58 }, { 10, 7, 2 }, { 12, 7, 2 }, { 9, 9, 0 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct image_step step = {
			IMAGE_CENTER_CROP, .box = { .width = (int32_t)cases[i].part, .height = 1 }
		};
		struct image_info info = { .mode = IMAGE_I16,
					   .width = cases[i].width,
					   .height = 1 };
		struct image_chain chain = { .steps = &step, .n = 1 };
		struct image_reader *reader;
		struct image_plan *plan;
		struct image in, out;
		struct image_error e;

		assert_int_equal(image_create(&in, IMAGE_I16, cases[i].width, 1, &e), 0);
		for (uint32_t x = 0; x < in.width; x++)
			((uint16_t *)(void *)in.pixels)[x] = (uint16_t)x;
		assert_int_equal(image_reader_of(&in, 1, &reader, &e), 0);
		assert_int_equal(image_plan_create(&chain, &info, &plan, &e), 0);
		assert_int_equal(image_plan_image(plan, reader, &out, &e), 0);
		assert_int_equal(((uint16_t *)(void *)out.pixels)[0], cases[i].first);
		image_free(&in);
		image_free(&out);
		image_plan_free(plan);
		image_reader_close(reader);
	}
}

static void shapes_are_told(void **state _unused_)
{
	struct image_step steps[] = { { IMAGE_CENTER_CROP, .box = { .width = 5, .height = 4 } },
				      { IMAGE_TO_TENSOR },
				      { IMAGE_TO_HALF },
				      { IMAGE_TO_HWC } };
	struct image_result r = result_of(steps, 2, 100, 100);

	assert_true(r.tensor);
	assert_int_equal(r.element, IMAGE_F32);
	assert_int_equal(r.bytes, 240);
	assert_memory_equal(r.shape, ((uint32_t[]){ 3, 4, 5 }), sizeof(r.shape));
	r = result_of(steps, 4, 100, 100);
	assert_int_equal(r.element, IMAGE_F16);
	assert_int_equal(r.bytes, 120);
	assert_memory_equal(r.shape, ((uint32_t[]){ 4, 5, 3 }), sizeof(r.shape));
	r = result_of(steps, 1, 100, 100);
	assert_false(r.tensor);
	assert_int_equal(r.bytes, 80);
}

static void a_plan_is_for_one_size(void **state _unused_)
{
	struct image_chain chain = { 0 };
	struct image_info info = { .mode = IMAGE_L, .width = 3, .height = 2 };
	struct image_reader *reader;
	struct image_plan *plan;
	struct image in, out;
	struct image_error e;

	assert_int_equal(image_plan_create(&chain, &info, &plan, &e), 0);
	assert_int_equal(image_create(&in, IMAGE_L, 2, 2, &e), 0);
	assert_int_equal(image_reader_of(&in, 1, &reader, &e), 0);
	assert_int_equal(image_plan_image(plan, reader, &out, &e), IMAGE_BAD);
	assert_string_equal(e.text, "the picture is not of the size or mode planned for");
	image_reader_close(reader);
	image_plan_free(plan);
	image_free(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_torchvisions),
		cmocka_unit_test(the_middle_is_rounded_to_even),
		cmocka_unit_test(shapes_are_told),
		cmocka_unit_test(a_plan_is_for_one_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
