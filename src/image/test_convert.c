/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions on values that say which rule is kept; tests/image compares all of them with Pillow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "image/convert.h"

static struct image_palette palette;

static void check(enum image_mode from, enum image_mode to, const char *in, const char *out)
{
	uint8_t got[8];
	image_convert_fn *f = image_convert(from, to);

	assert_non_null(f);
	f(got, (const uint8_t *)in, 1, &palette);
	assert_memory_equal(got, out, image_pixel(to));
}

static void grey_is_the_luma_of_colours(void **state _unused_)
{
	check(IMAGE_RGB, IMAGE_L, "\x01\x00\x00\xff", "\x00");
	check(IMAGE_RGB, IMAGE_L, "\x02\x00\x00\xff", "\x01");
	check(IMAGE_RGBA, IMAGE_L, "\xff\xff\xff\x00", "\xff");
	check(IMAGE_RGBA, IMAGE_LA, "\xff\x00\x00\x07", "\x4c\x4c\x4c\x07");
	check(IMAGE_CMYK, IMAGE_L, "\x00\x00\x00\x40", "\xbf");
}

static void alpha_is_dropped_or_full(void **state _unused_)
{
	check(IMAGE_RGBA, IMAGE_RGB, "\x01\x02\x03\x04", "\x01\x02\x03\xff");
	check(IMAGE_LA, IMAGE_RGB, "\x01\x01\x01\x04", "\x01\x01\x01\xff");
	check(IMAGE_LA, IMAGE_RGBA, "\x01\x01\x01\x04", "\x01\x01\x01\x04");
	check(IMAGE_L, IMAGE_RGBA, "\x05", "\x05\x05\x05\xff");
}

static void ink_takes_light_away(void **state _unused_)
{
	check(IMAGE_CMYK, IMAGE_RGB, "\x00\x80\xff\x00", "\xff\x7f\x00\xff");
	check(IMAGE_CMYK, IMAGE_RGBA, "\x10\x80\xff\x80", "\x77\x3f\x00\xff");
	check(IMAGE_RGB, IMAGE_CMYK, "\x10\x80\xff\xff", "\xef\x7f\x00\x00");
	check(IMAGE_L, IMAGE_CMYK, "\x10", "\x00\x00\x00\xef");
}

static void what_is_brighter_than_255_is_white(void **state _unused_)
{
	check(IMAGE_I16, IMAGE_L, "\x7f\x00", "\x7f");
	check(IMAGE_I16, IMAGE_L, "\x00\x01", "\xff");
	check(IMAGE_I16, IMAGE_RGB, "\x00\x01", "\xff\xff\xff\xff");
}

static void indices_are_looked_up(void **state _unused_)
{
	memcpy(palette.rgba[9], "\x10\x80\xff\x20", 4);
	check(IMAGE_P, IMAGE_RGB, "\x09", "\x10\x80\xff\xff");
	check(IMAGE_P, IMAGE_RGBA, "\x09", "\x10\x80\xff\x20");
	check(IMAGE_P, IMAGE_L, "\x09", "\x6d");
	check(IMAGE_P, IMAGE_LA, "\x09", "\x6d\x6d\x6d\x20");
}

static void one_colour_may_be_transparent(void **state _unused_)
{
	palette = (struct image_palette){ .keyed = true, .key = { 5, 5, 5 } };
	check(IMAGE_L, IMAGE_RGBA, "\x05", "\x05\x05\x05\x00");
	check(IMAGE_L, IMAGE_LA, "\x06", "\x06\x06\x06\xff");
	check(IMAGE_L, IMAGE_RGB, "\x05", "\x05\x05\x05\xff");
	check(IMAGE_RGB, IMAGE_RGBA, "\x05\x05\x05\xff", "\x05\x05\x05\x00");
	check(IMAGE_RGB, IMAGE_RGBA, "\x05\x05\x06\xff", "\x05\x05\x06\xff");
}

static void told(enum image_mode from, enum image_mode to, unsigned n, unsigned r, unsigned g,
		 unsigned b)
{
	image_palette_convert(&palette, from, to);
	assert_int_equal(palette.n_told, n);
	if (!n)
		assert_false(palette.keyed);
	else
		assert_memory_equal(palette.told, ((uint16_t[]){ r, g, b }), sizeof(palette.told));
}

static void the_transparent_colour_is_converted_too(void **state _unused_)
{
	palette = (struct image_palette){ 0 };
	image_palette_key(&palette, IMAGE_I16, (const uint16_t[]){ 0x1234 }, 1);
	assert_memory_equal(palette.key, "\x34\x34\x34", 3);
	told(IMAGE_I16, IMAGE_RGB, 1, 0x1234, 0, 0); /* which Pillow passes over */
	assert_memory_equal(palette.key, "\x34\x00\x00", 3);
	image_palette_key(&palette, IMAGE_RGB, (const uint16_t[]){ 10, 20, 300 }, 3);
	told(IMAGE_RGB, IMAGE_L, 1, 44, 0, 0);
	told(IMAGE_L, IMAGE_RGB, 3, 44, 44, 44);
	told(IMAGE_RGB, IMAGE_RGBA, 0, 0, 0, 0);
	told(IMAGE_RGBA, IMAGE_RGB, 0, 0, 0, 0);
}

static void a_palette_may_have_one_transparent_colour(void **state _unused_)
{
	palette = (struct image_palette){ .alpha = true };
	for (unsigned i = 0; i < 256; i++)
		memcpy(palette.rgba[i], "\x01\x02\x03\xff", 4);
	memcpy(palette.rgba[7], "\x10\x80\xff\x00", 4);
	told(IMAGE_P, IMAGE_RGB, 3, 0x10, 0x80, 0xff);
	palette.rgba[9][3] = 0;
	told(IMAGE_P, IMAGE_RGB, 0, 0, 0, 0);
	palette.rgba[9][3] = 254;
	told(IMAGE_P, IMAGE_L, 0, 0, 0, 0);
}

static void what_is_chosen_or_dithered_is_not_here(void **state _unused_)
{
	for (enum image_mode from = 0; from < IMAGE_MODES; from++) {
		for (enum image_mode to = 0; to < IMAGE_MODES; to++)
			if (to == IMAGE_L || to == IMAGE_LA ||
			    (to >= IMAGE_RGB && to <= IMAGE_CMYK))
				assert_int_equal(!image_convert(from, to), from == IMAGE_LAB);
		if (from != IMAGE_P)
			assert_null(image_convert(from, IMAGE_P));
		if (from != IMAGE_1)
			assert_null(image_convert(from, IMAGE_1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grey_is_the_luma_of_colours),
		cmocka_unit_test(alpha_is_dropped_or_full),
		cmocka_unit_test(ink_takes_light_away),
		cmocka_unit_test(what_is_brighter_than_255_is_white),
		cmocka_unit_test(indices_are_looked_up),
		cmocka_unit_test(one_colour_may_be_transparent),
		cmocka_unit_test(the_transparent_colour_is_converted_too),
		cmocka_unit_test(a_palette_may_have_one_transparent_colour),
		cmocka_unit_test(what_is_chosen_or_dithered_is_not_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
