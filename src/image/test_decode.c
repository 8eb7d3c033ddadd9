/* SPDX-License-Identifier: Apache-2.0 */
/* What decoders share: limits, rows, ends that come too early. What pixels should be is known to
 * Pillow: tests/image compares with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>

#include "base/util.h"
#include "image/decode.h"

struct file {
	uint8_t *p;
	size_t n;
};

static uint8_t sample(unsigned x, unsigned y, unsigned c)
{
	return (uint8_t)(x * 7 + y * 3 + c * 85);
}

static struct file make_jpeg(unsigned width, unsigned height, bool progressive)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr errors;
	struct file f = { NULL, 0 };
	unsigned char *bytes = NULL;
	unsigned long n = 0;
	uint8_t *row = malloc((size_t)width * 3);

	assert_non_null(row);
	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &bytes, &n);
	c.image_width = width;
	c.image_height = height;
	c.input_components = 3;
	c.in_color_space = JCS_RGB;
	jpeg_set_defaults(&c);
	if (progressive)
		jpeg_simple_progression(&c);
	jpeg_start_compress(&c, TRUE);
	for (unsigned y = 0; y < height; y++) {
		JSAMPROW rows[] = { row };

		for (unsigned x = 0; x < width * 3; x++)
			row[x] = sample(x / 3, y, x % 3);
		jpeg_write_scanlines(&c, rows, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	free(row);
	f.p = bytes;
	f.n = n;
	return f;
}

static struct file make_png(unsigned width, unsigned height)
{
	png_image png = { .version = PNG_IMAGE_VERSION,
			  .width = width,
			  .height = height,
			  .format = PNG_FORMAT_RGB };
	uint8_t *pixels = malloc((size_t)width * height * 3);
	png_alloc_size_t n = PNG_IMAGE_PNG_SIZE_MAX(png);
	struct file f = { malloc(n), 0 };

	assert_non_null(pixels);
	assert_non_null(f.p);
	for (unsigned y = 0; y < height; y++)
		for (unsigned x = 0; x < width * 3; x++)
			pixels[(size_t)y * width * 3 + x] = sample(x / 3, y, x % 3);
	assert_true(png_image_write_to_memory(&png, f.p, &n, 0, pixels, 0, NULL));
	free(pixels);
	f.n = n;
	return f;
}

static void a_png_has_the_pixels_that_were_written(void **state _unused_)
{
	struct file f = make_png(37, 11);
	struct image image;
	struct image_error e;

	assert_int_equal(image_decode(f.p, f.n, NULL, &image, &e), 0);
	assert_int_equal(image.mode, IMAGE_RGB);
	assert_int_equal(image.width, 37);
	assert_int_equal(image.height, 11);
	for (unsigned y = 0; y < 11; y++)
		for (unsigned x = 0; x < 37; x++) {
			const uint8_t *p = image.pixels + y * image.stride + (size_t)x * 4;

			for (unsigned c = 0; c < 3; c++)
				assert_int_equal(p[c], sample(x, y, c));
			assert_int_equal(p[3], 255);
		}
	image_free(&image);
	free(f.p);
}

/* Row by row, some at a time and all at once: the same. */
static void check_rows(struct file f)
{
	struct image all, some;
	struct image_error e;

	assert_int_equal(image_decode(f.p, f.n, NULL, &all, &e), 0);
	for (uint32_t step = 1; step < all.height; step += 4) {
		struct image_reader *r;

		assert_int_equal(image_open(f.p, f.n, NULL, &r, &e), 0);
		assert_int_equal(image_create(&some, all.mode, all.width, all.height, &e), 0);
		for (uint32_t y = 0; y < all.height; y += step)
			assert_int_equal(image_reader_rows(r, some.pixels + y * some.stride,
							   some.stride, MIN(step, all.height - y),
							   &e),
					 0);
		for (uint32_t y = 0; y < all.height; y++)
			assert_memory_equal(all.pixels + y * all.stride,
					    some.pixels + y * some.stride, (size_t)all.width * 4);
		image_reader_close(r);
		image_free(&some);
	}
	image_free(&all);
	free(f.p);
}

static void rows_come_in_any_number(void **state _unused_)
{
	check_rows(make_jpeg(45, 33, false));
	check_rows(make_jpeg(45, 33, true));
	check_rows(make_png(45, 33));
}

static void check_truncated(struct file f)
{
	for (size_t n = 0; n + 40 < f.n; n += 1 + n / 64) {
		uint8_t *exact = malloc(n ? n : 1);
		struct image image;
		struct image_error e;

		assert_non_null(exact);
		memcpy(exact, f.p, n);
		assert_int_equal(image_decode(exact, n, NULL, &image, &e), IMAGE_BAD);
		assert_null(image.pixels);
		free(exact);
	}
	free(f.p);
}

static void files_that_end_too_early_are_bad(void **state _unused_)
{
	check_truncated(make_jpeg(45, 33, false));
	check_truncated(make_jpeg(45, 33, true));
	check_truncated(make_png(45, 33));
}

static void sizes_are_judged_by_the_head(void **state _unused_)
{
	struct file f = make_png(40, 30);
	struct image_limits limits = { .pixels = 1200 };
	struct image_error e;
	struct image image;

	assert_int_equal(image_decode(f.p, f.n, &limits, &image, &e), 0);
	image_free(&image);
	limits.pixels = 1199;
	assert_int_equal(image_decode(f.p, f.n, &limits, &image, &e), IMAGE_TOO_LARGE);
	assert_string_equal(e.text, "the PNG has 40 × 30 pixels, more than the 1199 allowed");
	f.p[16] = 0x7f;
	assert_int_equal(image_decode(f.p, f.n, NULL, &image, &e), IMAGE_TOO_LARGE);
	memset(f.p + 16, 0, 4);
	assert_int_equal(image_decode(f.p, f.n, NULL, &image, &e), IMAGE_BAD);
	assert_string_equal(e.text, "the PNG has no pixels");
	free(f.p);
}

/* A progressive JPEG stands in memory as coefficients: three components, two of them a quarter. */
static void a_progressive_jpeg_is_weighed(void **state _unused_)
{
	struct file f = make_jpeg(64, 64, true);
	struct image_limits limits = { .memory = 64 * 64 * 3 - 1 };
	struct image_error e;
	struct image image;

	assert_int_equal(image_decode(f.p, f.n, &limits, &image, &e), IMAGE_TOO_LARGE);
	assert_string_equal(e.text, "decoding the JPEG would take 12288 bytes of memory, more "
				    "than the 12287 allowed");
	limits.memory++;
	assert_int_equal(image_decode(f.p, f.n, &limits, &image, &e), 0);
	image_free(&image);
	free(f.p);
}

static void a_jpeg_is_decoded_smaller(void **state _unused_)
{
	static const struct {
		uint32_t width, height, by;
	} cases[] = { { 1000, 1000, 1 }, { 100, 50, 1 }, { 50, 20, 2 },
		      { 13, 6, 4 },      { 1, 1, 8 },    { 0, 0, 8 } };
	struct file f = make_jpeg(101, 51, false);
	struct image_error e;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t by = cases[i].by;
		struct image_reader *r;
		_Alignas(IMAGE_ALIGN) uint8_t row[448];

		assert_int_equal(image_open(f.p, f.n, NULL, &r, &e), 0);
		image_reader_scale(r, 1, 1);
		image_reader_scale(r, cases[i].width, cases[i].height);
		assert_int_equal(image_reader_info(r)->width, (101 + by - 1) / by);
		assert_int_equal(image_reader_info(r)->height, (51 + by - 1) / by);
		for (uint32_t y = 0; y < image_reader_info(r)->height; y++)
			assert_int_equal(image_reader_rows(r, row, sizeof(row), 1, &e), 0);
		image_reader_close(r);
	}
	free(f.p);
}

/* Linked in the place of the functions without __wrap_: the n-th call from now on fails. */
static unsigned fails_at, calls;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

void *__wrap_calloc(size_t n, size_t size)
{
	return ++calls == fails_at ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t n)
{
	return ++calls == fails_at ? NULL : __real_malloc(n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return ++calls == fails_at ? NULL : __real_aligned_alloc(align, n);
}

#define HEAD_GIF "GIF89a\3\0\1\0\0\0\0"
#define FRAME_GIF ",\0\0\0\0\3\0\1\0\0"

/* The smallest of each format that is not made by a library: one row of three pixels. */
static const struct {
	const char *bytes;
	size_t n;
	enum image_format format;
	enum image_mode mode;
	const char *pixels;
} small[] = {
#define SMALL(literal) literal, sizeof(literal) - 1
	{ SMALL(HEAD_GIF FRAME_GIF "\2\2\x44\x54\0;"), IMAGE_GIF, IMAGE_L, "\0\1\2" },
	{ SMALL("BM\0\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\3\0\1\0\1\0\x18\0"
		"\1\2\3\4\5\6\7\x08\x09"),
	  IMAGE_BMP, IMAGE_RGB, "\3\2\1\xff\6\5\4\xff\x09\x08\7\xff" },
	{ SMALL("BM\0\0\0\0\0\0\0\0\x46\0\0\0\x28\0\0\0\3\0\0\0\1\0\0\0\1\0\x08\0"
		"\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0"
		"\7\0\0\0\1\1\1\0\2\2\2\0\3\3\3\0\2\1\1\2"),
	  IMAGE_BMP, IMAGE_P, "\1\1\2" },
#undef SMALL
};

static void small_files_are_read(void **state _unused_)
{
	for (unsigned i = 0; i < ARRAY_LEN(small); i++) {
		struct image_reader *r;
		struct image_error e;
		_Alignas(IMAGE_ALIGN) uint8_t row[IMAGE_ALIGN];

		assert_int_equal(image_open(small[i].bytes, small[i].n, NULL, &r, &e), 0);
		assert_int_equal(image_reader_info(r)->format, small[i].format);
		assert_int_equal(image_reader_info(r)->mode, small[i].mode);
		assert_int_equal(image_reader_info(r)->width, 3);
		assert_int_equal(image_reader_info(r)->height, 1);
		assert_int_equal(image_reader_rows(r, row, sizeof(row), 1, &e), 0);
		assert_memory_equal(row, small[i].pixels, 3 * image_pixel(small[i].mode));
		image_reader_close(r);
	}
}

/* Each allocation is failed once; sanitizers see what is left behind. */
static void check_memory(const void *p, size_t n)
{
	unsigned failed = 0;

	for (unsigned at = 1;; at++) {
		struct image image;
		struct image_error e;
		int code;

		calls = 0;
		fails_at = at;
		code = image_decode(p, n, NULL, &image, &e);
		fails_at = 0;
		if (code == 0) {
			image_free(&image);
			assert_true(calls < at);
			break;
		}
		assert_int_equal(code, IMAGE_NO_MEMORY);
		failed++;
	}
	assert_true(failed >= 3);
}

static void memory_that_is_not_there_is_told(void **state _unused_)
{
	struct file files[] = { make_jpeg(9, 9, true), make_png(9, 9) };

	for (unsigned i = 0; i < ARRAY_LEN(small); i++)
		check_memory(small[i].bytes, small[i].n);
	for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
		check_memory(files[i].p, files[i].n);
		free(files[i].p);
	}
}

static void what_is_no_picture_is_told(void **state _unused_)
{
	static const char *const texts[] = { "", "\xff\xd8", "hello", "\x89PNG\r\n\x1a" };
	struct image_error e;
	struct image image;

	for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(image_decode(texts[i], strlen(texts[i]), NULL, &image, &e),
				 IMAGE_BAD);
		assert_string_equal(e.text, "this is no picture that is known: JPEG, PNG, WebP, "
					    "GIF or BMP");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_png_has_the_pixels_that_were_written),
		cmocka_unit_test(rows_come_in_any_number),
		cmocka_unit_test(files_that_end_too_early_are_bad),
		cmocka_unit_test(sizes_are_judged_by_the_head),
		cmocka_unit_test(a_progressive_jpeg_is_weighed),
		cmocka_unit_test(a_jpeg_is_decoded_smaller),
		cmocka_unit_test(small_files_are_read),
		cmocka_unit_test(memory_that_is_not_there_is_told),
		cmocka_unit_test(what_is_no_picture_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
