/* SPDX-License-Identifier: Apache-2.0 */
/* A picture in memory as a reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "image/chain.h"

static void a_picture_in_memory_is_read(void **state _unused_)
{
	struct image_error e;
	struct image_reader *r;
	struct image image;
	_Alignas(IMAGE_ALIGN) uint8_t rows[3][IMAGE_ALIGN];

	assert_int_equal(image_create(&image, IMAGE_RGB, 5, 4, &e), 0);
	for (size_t i = 0; i < 4 * image.stride; i++)
		image.pixels[i] = (uint8_t)i;
	assert_int_equal(image_reader_of(&image, 1, &r, &e), 0);
	assert_string_equal(image_format_name(image_reader_info(r)->format), "picture");
	assert_int_equal(image_reader_info(r)->mode, IMAGE_RGB);
	assert_int_equal(image_reader_info(r)->width, 5);
	assert_int_equal(image_reader_info(r)->height, 4);
	assert_int_equal(image_reader_info(r)->orientation, 1);
	image_reader_scale(r, 1, 1);
	assert_int_equal(image_reader_info(r)->width, 5);

	assert_int_equal(image_reader_rows(r, rows[0], sizeof(rows[0]), 1, &e), 0);
	assert_int_equal(image_reader_rows(r, rows[0], sizeof(rows[0]), 3, &e), 0);
	assert_memory_equal(rows[0], image.pixels + image.stride, 20);
	assert_memory_equal(rows[2], image.pixels + 3 * image.stride, 20);
	image_reader_close(r);
	image_reader_close(NULL);
	image_free(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_picture_in_memory_is_read) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
