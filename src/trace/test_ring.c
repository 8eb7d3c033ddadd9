/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "trace/ring.h"

static struct span_ring ring;
static struct buf out = BUF_INIT(4096);

static int finish(void **state)
{
	(void)state;
	span_ring_finish(&ring);
	buf_finish(&out);
	return 0;
}

static bool put(const char *text)
{
	return span_ring_put(&ring, slice_str(text));
}

static const char *take(unsigned n_max)
{
	buf_clear(&out);
	span_ring_take(&ring, n_max, &out);
	return buf_cstr(&out);
}

static void what_comes_first_goes_first(void **state)
{
	(void)state;
	span_ring_init(&ring, 64);
	assert_true(put("one") && put("two") && put("") && put("three"));
	assert_int_equal(ring.n, 4);
	assert_string_equal(take(2), "onetwo");
	assert_string_equal(take(9), "three");
	assert_string_equal(take(9), "");
	assert_int_equal(ring.used, 0);
	span_ring_finish(&ring);
}

static void what_does_not_fit_is_refused_and_the_others_stay(void **state)
{
	(void)state;
	span_ring_init(&ring, 24);
	assert_true(put("12345678"));
	assert_true(put("12345678"));
	assert_false(put(""));
	assert_string_equal(take(1), "12345678");
	assert_false(put("123456789"));
	assert_true(put("abcdefgh")); /* around the end */
	assert_string_equal(take(9), "12345678abcdefgh");
	span_ring_finish(&ring);
}

static void as_many_are_taken_as_there_is_room_for(void **state)
{
	struct buf small = BUF_INIT(7);

	(void)state;
	span_ring_init(&ring, 64);
	assert_true(put("abc") && put("def") && put("ghi"));
	assert_int_equal(span_ring_take(&ring, 9, &small), 2);
	assert_false(small.overflowed);
	assert_string_equal(take(9), "ghi");
	buf_finish(&small);
	span_ring_finish(&ring);
}

/* Of many, of all lengths, in a ring of an odd size: all come out, once, in order. */
static void nothing_is_lost_around_the_end(void **state)
{
	char text[32];
	unsigned in = 0, next = 0;

	(void)state;
	span_ring_init(&ring, 257);
	while (next < 2000) {
		while (in < 2000) {
			snprintf(text, sizeof(text), "%u.%.*s", in, (int)(in % 13),
				 "xxxxxxxxxxxxx");
			if (!put(text))
				break;
			in++;
		}
		for (unsigned i = 0; i < 1 + next % 5 && next < in; i++, next++) {
			snprintf(text, sizeof(text), "%u.%.*s", next, (int)(next % 13),
				 "xxxxxxxxxxxxx");
			assert_string_equal(take(1), text);
		}
	}
	assert_int_equal(ring.n, 0);
	span_ring_finish(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_first_goes_first),
		cmocka_unit_test(what_does_not_fit_is_refused_and_the_others_stay),
		cmocka_unit_test(as_many_are_taken_as_there_is_room_for),
		cmocka_unit_test(nothing_is_lost_around_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
