/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"
#include "base/util.h"

static void characters_have_one_form(void **state)
{
	static const struct {
		struct slice text;
		size_t n;
		uint32_t c;
	} rows[] = {
		{ SLICE_CONST("\0"), 1, 0 },
		{ SLICE_CONST("z"), 1, 'z' },
		{ SLICE_CONST("\x7f"), 1, 0x7f },
		{ SLICE_CONST("\xc2\x80"), 2, 0x80 },
		{ SLICE_CONST("\xdf\xbf"), 2, 0x7ff },
		{ SLICE_CONST("\xe0\xa0\x80"), 3, 0x800 },
		{ SLICE_CONST("\xed\x9f\xbf"), 3, 0xd7ff },
		{ SLICE_CONST("\xee\x80\x80"), 3, 0xe000 },
		{ SLICE_CONST("\xef\xbf\xbd"), 3, 0xfffd },
		{ SLICE_CONST("\xf0\x90\x80\x80"), 4, 0x10000 },
		{ SLICE_CONST("\xf4\x8f\xbf\xbf"), 4, 0x10ffff },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t c = 1;

		assert_int_equal(utf8_char(rows[i].text, &c), rows[i].n);
		assert_int_equal(c, rows[i].c);
		assert_true(utf8_valid(rows[i].text));
	}
}

static void what_is_no_character(void **state)
{
	static const struct slice rows[] = {
		SLICE_CONST("\x80"),
		SLICE_CONST("\xbf"),
		SLICE_CONST("\xc0\x80"),
		SLICE_CONST("\xc1\xbf"),
		SLICE_CONST("\xc2"),
		SLICE_CONST("\xc2z"),
		SLICE_CONST("\xe0\x9f\xbf"),
		SLICE_CONST("\xed\xa0\x80"),
		SLICE_CONST("\xe2\x82"),
		SLICE_CONST("\xf0\x8f\xbf\xbf"),
		SLICE_CONST("\xf4\x90\x80\x80"),
		SLICE_CONST("\xf5\x80\x80\x80"),
		SLICE_CONST("\xf8\x90\x80\x80"),
		SLICE_CONST("\xff\xbf\xbf\xbf"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(utf8_char(rows[i], NULL), 0);
		assert_false(utf8_valid(rows[i]));
	}
	assert_true(utf8_valid(SLICE_NULL) && utf8_valid(SLICE("a\xc3\xa9")));
}

static void what_is_cut_ends_with_a_whole_character(void **state)
{
	struct slice s = SLICE("a\xc3\xa9\xe2\x82\xac"); /* of 1, 2 and 3 bytes */
	static const size_t left[] = { 0, 1, 1, 3, 3, 3, 6, 6 };

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(left); n++)
		assert_int_equal(utf8_cut(s, n).n, left[n]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_have_one_form),
		cmocka_unit_test(what_is_no_character),
		cmocka_unit_test(what_is_cut_ends_with_a_whole_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
