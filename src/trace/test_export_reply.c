/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/util.h"
#include "trace/export_reply.h"

static void what_may_pass_is_tried_again(void **state)
{
	static const struct {
		long status;
		enum export_verdict want;
	} rows[] = {
		{ 200, EXPORT_SENT },  { 202, EXPORT_SENT },  { 204, EXPORT_SENT },
		{ 0, EXPORT_AGAIN },   { 429, EXPORT_AGAIN }, { 502, EXPORT_AGAIN },
		{ 503, EXPORT_AGAIN }, { 504, EXPORT_AGAIN }, { 301, EXPORT_LOST },
		{ 400, EXPORT_LOST },  { 401, EXPORT_LOST },  { 404, EXPORT_LOST },
		{ 413, EXPORT_LOST },  { 500, EXPORT_LOST },  { 100, EXPORT_LOST },
		{ 999, EXPORT_LOST },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(export_verdict(rows[i].status), rows[i].want);
}

static void waits_grow_and_are_spread(void **state)
{
	(void)state;
	assert_int_equal(export_wait_ns(0, 0, 0), NS_PER_S);
	assert_int_equal(export_wait_ns(3, 0, 0), 8 * NS_PER_S);
	assert_int_equal(export_wait_ns(1000, 0, 0), 32 * NS_PER_S);
	for (uint64_t random = 0; random < 1000; random++)
		assert_in_range(export_wait_ns(1, 0, random * 123456789), NS_PER_S, 2 * NS_PER_S);
	/* What the collector asks for, within reason. */
	assert_int_equal(export_wait_ns(0, 7, 99), 7 * NS_PER_S);
	assert_int_equal(export_wait_ns(0, UINT64_MAX, 0), 300 * NS_PER_S);
}

static void what_was_not_taken_is_read(void **state)
{
	/* partial_success { rejected_spans: 3, error_message: "no" } */
	static const char some[] = "\x0a\x06\x08\x03\x12\x02no";
	struct slice why;

	(void)state;
	assert_int_equal(export_rejected(SLICE(some), 10, &why), 3);
	assert_true(slice_eq(why, SLICE("no")));
	assert_int_equal(export_rejected(SLICE(some), 2, &why), 2);
	assert_int_equal(export_rejected(SLICE(""), 10, &why), 0);
	assert_null(why.p);
	/* With fields that are not known yet, of each kind. */
	assert_int_equal(export_rejected(SLICE("\x10\x05\x19"
					       "12345678"
					       "\x25"
					       "1234"
					       "\x0a\x02\x08\x04"),
					 10, &why),
			 4);
}

static void garbage_says_nothing(void **state)
{
	static const struct slice rows[] = {
		SLICE_CONST("<html>"),
		SLICE_CONST("{\"partialSuccess\":{}}"),
		SLICE_CONST("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		SLICE_CONST("\x0a\x06\x08\x03"),
		SLICE_CONST("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		SLICE_CONST("\x0a"),
		SLICE_CONST("\x19\x01"),
		SLICE_CONST("\x0b\x0c"),
		/* rejected_spans: -1 */
		SLICE_CONST("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	};
	struct slice why;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(export_rejected(rows[i], 10, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_pass_is_tried_again),
		cmocka_unit_test(waits_grow_and_are_spread),
		cmocka_unit_test(what_was_not_taken_is_read),
		cmocka_unit_test(garbage_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
