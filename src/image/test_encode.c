/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "image/decode.h"
#include "image/encode.h"

#define WIDTH 37 /* a stride has bytes that are nobody's */
#define HEIGHT 11

static struct image drawn(enum image_mode mode)
{
	struct image_error e;
	struct image image;

	assert_int_equal(image_create(&image, mode, WIDTH, HEIGHT, &e), 0);
	memset(image.pixels, 0xee, image.stride * HEIGHT);
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH; x++) {
			uint8_t *to = image.pixels + y * image.stride + x * image_pixel(mode);

			for (unsigned c = 0; c < image_pixel(mode); c++)
				to[c] = (uint8_t)(c == 3 && mode == IMAGE_RGB
							  ? 255
							  : 3 * x + 5 * y + 30 * c);
		}
	return image;
}

static int difference(const struct image *a, const struct image *b)
{
	int most = 0;

	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->width, b->width);
	assert_int_equal(a->height, b->height);
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH * image_pixel(a->mode); x++) {
			int apart = abs(a->pixels[y * a->stride + x] -
					b->pixels[y * b->stride + x]);

			most = apart > most ? apart : most;
		}
	return most;
}

static void what_is_written_is_read_again(void **state)
{
	static const enum image_mode modes[] = { IMAGE_L, IMAGE_RGB, IMAGE_RGBA };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct image image = drawn(modes[i]), again;
		struct buf out = { .max = 1 << 20 };
		struct image_error e;

		assert_int_equal(image_encode_png(&image, &out, &e), 0);
		assert_int_equal(image_decode(out.p, out.n, NULL, &again, &e), 0);
		assert_int_equal(difference(&image, &again), 0);
		image_free(&again);
		buf_clear(&out);
		if (modes[i] != IMAGE_RGBA) {
			assert_int_equal(image_encode_jpeg(&image, 100, &out, &e), 0);
			assert_int_equal(image_decode(out.p, out.n, NULL, &again, &e), 0);
			assert_true(difference(&image, &again) < 40); /* of colours, by half */
			image_free(&again);
		}
		image_free(&image);
		buf_finish(&out);
	}
}

static void what_a_format_does_not_have(void **state)
{
	struct image cmyk = drawn(IMAGE_CMYK), alpha = drawn(IMAGE_RGBA);
	struct buf out = { .max = 1 << 20 };
	struct image_error e;

	(void)state;
	assert_int_equal(image_encode_png(&cmyk, &out, &e), IMAGE_BAD);
	assert_string_equal(e.text, "a picture of mode CMYK is not written as PNG: convert it");
	assert_int_equal(image_encode_jpeg(&alpha, 90, &out, &e), IMAGE_BAD);
	assert_string_equal(e.text, "a picture of mode RGBA is not written as JPEG: convert it");
	assert_int_equal(out.n, 0);
	image_free(&cmyk);
	image_free(&alpha);
}

static void an_answer_has_a_bound(void **state)
{
	struct image image = drawn(IMAGE_RGB);
	struct buf out = { .max = 30 };
	struct image_error e;

	(void)state;
	assert_int_equal(image_encode_png(&image, &out, &e), 0);
	assert_true(buf_overflowed(&out));
	image_free(&image);
	buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(what_a_format_does_not_have),
		cmocka_unit_test(an_answer_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
