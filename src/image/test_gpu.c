/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors of a GPU are those of the processor, bit for bit. The arithmetic is that of the kernel
 * (cuda_job.h), done by a stand-in here; with the library itself and a GPU the same is tested with
 * these, and skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/gpu.h"

#define CASES 1500

static struct image_gpu *gpu;
static unsigned done;
static uint64_t state = 7;

static uint32_t draw(uint32_t below)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % below;
}

static size_t draw_steps(struct image_step *to)
{
	size_t n = 0;

	if (draw(4)) {
		to[n].op = draw(2) ? IMAGE_RESIZE : IMAGE_RESIZE_SHORT;
		to[n].resize.height = 1 + draw(60);
		to[n].resize.width = to[n].op == IMAGE_RESIZE ? 1 + draw(60) : 0;
		to[n++].resize.filter = IMAGE_BOX + draw(IMAGE_FILTERS - IMAGE_BOX);
	}
	if (draw(2)) {
		to[n].op = draw(2) ? IMAGE_CENTER_CROP : IMAGE_CROP;
		to[n].box.width = 1 + (int32_t)draw(40);
		to[n].box.height = 1 + (int32_t)draw(40);
		to[n].box.x = (int32_t)draw(9);
		to[n].box.y = (int32_t)draw(9);
		n++;
	}
	to[n++].op = draw(5) ? IMAGE_TO_TENSOR : IMAGE_TO_BYTES;
	if (to[n - 1].op == IMAGE_TO_TENSOR && draw(3)) {
		to[n].op = IMAGE_NORMALIZE;
		to[n].normalize.n = 1;
		to[n].normalize.mean[0] = (float)draw(1000) / 1009;
		to[n++].normalize.std[0] = (float)(1 + draw(1000)) / 997;
	}
	if (to[n - 1].op != IMAGE_TO_BYTES && !draw(4))
		to[n++].op = IMAGE_TO_HALF;
	if (!draw(4))
		to[n++].op = IMAGE_TO_HWC;
	return n;
}

static void draw_image(struct image *ret)
{
	static const enum image_mode modes[] = { IMAGE_L, IMAGE_RGB, IMAGE_RGB, IMAGE_CMYK,
						 IMAGE_RGBA };
	struct image_error e;

	assert_int_equal(
		image_create(ret, modes[draw(ARRAY_LEN(modes))], 1 + draw(150), 1 + draw(150), &e),
		0);
	for (size_t i = 0; i < ret->stride * ret->height; i++)
		ret->pixels[i] = (uint8_t)draw(256);
}

static void compare(const struct image_plan *plan, const struct image *image)
{
	size_t bytes = image_plan_result(plan)->bytes, room = ALIGN_UP(bytes, (size_t)IMAGE_ALIGN);
	uint8_t *here = aligned_alloc(IMAGE_ALIGN, room), *there = malloc(bytes);
	struct image_reader *reader;
	struct image_error e;
	void *made;

	assert_int_equal(image_reader_of(image, 1, &reader, &e), 0);
	assert_int_equal(image_plan_tensor(plan, reader, here, &e), 0);
	image_reader_close(reader);
	assert_int_equal(image_reader_of(image, 1, &reader, &e), 0);
	if (image_gpu_tensor(gpu, plan, (struct slice){ 0 }, reader, &made, &e))
		fail_msg("%s", e.text);
	image_reader_close(reader);
	assert_int_equal(image_gpu_fetch(gpu, there, made, bytes, &e), 0);
	assert_memory_equal(here, there, bytes);
	image_gpu_free(gpu, made);
	free(here);
	free(there);
	done++;
}

static void tensors_are_those_of_the_processor(void **test)
{
	(void)test;
	if (!gpu)
		skip();
	done = 0;
	for (unsigned i = 0; i < CASES; i++) {
		struct image_step steps[8] = { { 0 } };
		struct image_chain chain = { .steps = steps, .n = draw_steps(steps) };
		struct image_info info = { .format = IMAGE_FORMATS, .orientation = 1 };
		struct image_plan *plan = NULL;
		struct image_error e;
		struct image image;

		draw_image(&image);
		info.mode = image.mode;
		info.width = image.width;
		info.height = image.height;
		if (image_plan_create(&chain, &info, &plan, &e))
			fail_msg("%s", e.text);
		if (image_gpu_does(gpu, plan))
			compare(plan, &image);
		image_plan_free(plan);
		image_free(&image);
	}
	/* Margins and alpha are not for it, but most is. */
	assert_true(done > CASES / 2);
}

static void memory_is_copied_within_it(void **test)
{
	struct image_error e;
	void *one, *other;
	char got[4];

	(void)test;
	if (!gpu)
		skip();
	assert_int_equal(image_gpu_alloc(gpu, 4, &one, &e), 0);
	assert_int_equal(image_gpu_alloc(gpu, 4, &other, &e), 0);
	assert_int_equal(image_gpu_copy(gpu, other, one, 4, &e), 0);
	assert_int_equal(image_gpu_fetch(gpu, got, other, 4, &e), 0);
	image_gpu_free(gpu, one);
	image_gpu_free(gpu, other);
}

static int opens(const char *device, struct image_error *e)
{
	struct image_gpu *g;
	int r = image_gpu_open(device, &g, e);

	assert_ptr_equal(r ? NULL : g, g);
	image_gpu_close(g);
	return r;
}

static void what_is_missing_is_said(void **test)
{
	const char *before = getenv("SCONCE_IMAGE_CUDA");
	char *library = before ? strdup(before) : NULL;
	struct image_error e;

	(void)test;
	assert_int_equal(opens("cpu", &e), IMAGE_BAD);
	assert_string_equal(e.text, "\"cpu\" is no GPU of CUDA");
	assert_int_equal(opens("cuda:x", &e), IMAGE_BAD);
	assert_int_equal(opens("cuda:900", &e), IMAGE_BAD); /* nor has anybody as many */
	setenv("SCONCE_IMAGE_CUDA", "/nowhere/library.so", 1);
	assert_int_equal(opens("cuda", &e), IMAGE_BAD);
	assert_non_null(strstr(e.text, "/nowhere/library.so"));
	setenv("SCONCE_IMAGE_CUDA", "libm.so.6", 1);
	assert_int_equal(opens("cuda", &e), IMAGE_BAD);
	assert_non_null(strstr(e.text, "another version"));
	if (library)
		setenv("SCONCE_IMAGE_CUDA", library, 1);
	else
		unsetenv("SCONCE_IMAGE_CUDA");
	free(library);
}

static int group_setup(void **test)
{
	struct image_error e;

	(void)test;
	if (image_gpu_open("cuda:0", &gpu, &e))
		print_message("skipped, there is no GPU: %s\n", e.text);
	return 0;
}

static int group_teardown(void **test)
{
	(void)test;
	image_gpu_close(gpu);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tensors_are_those_of_the_processor),
		cmocka_unit_test(memory_is_copied_within_it),
		cmocka_unit_test(what_is_missing_is_said),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
