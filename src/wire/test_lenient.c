/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/lenient.h"

static void becomes(const char *lenient, const char *strict)
{
	struct buf out = BUF_INIT(4096);

	assert_true(lenient_rewrite(slice_str(lenient), &out));
	assert_string_equal(buf_cstr(&out), strict);
	buf_finish(&out);
}

static void strict_documents_stay(void **state)
{
	static const char *const all[] = { "", "{}",
					   "{\"a\": [1, -2.5e3, true, null], \"b\": \"c\"}",
					   "\"\\\"\\\\\\u0041\\n\"", "\"'\"" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		becomes(all[i], all[i]);
}

static void what_torchserves_own_test_sends(void **state)
{
	(void)state;
	becomes("{'url':'noop.mar','initial_workers':'1','synchronous':'true'}",
		"{\"url\":\"noop.mar\",\"initial_workers\":\"1\",\"synchronous\":\"true\"}");
}

static void quotes_may_be_single_or_missing(void **state)
{
	(void)state;
	becomes("{url: noop.mar, n: 4, b: false}",
		"{\"url\": \"noop.mar\", \"n\": 4, \"b\": false}");
	becomes("'it\\'s \"so\"'", "\"it's \\\"so\\\"\"");
	becomes("'a\\nb\\\\'", "\"a\\nb\\\\\"");
	becomes("{v: 1.0.0, w: 1.0}", "{\"v\": \"1.0.0\", \"w\": 1.0}");
	becomes("{t: trouble, f: no, n: -, i: -1e3}",
		"{\"t\": \"trouble\", \"f\": \"no\", \"n\": \"-\", \"i\": -1e3}");
	becomes("{a=1;b=>2}", "{\"a\":1,\"b\":2}");
}

static void comments_are_left_out(void **state)
{
	(void)state;
	becomes("{# one\n'a': /* two: ' */ 1} // three", "{\"a\":  1} ");
	becomes("1 /* open", "1 ");
	becomes("/", "/");
}

static void what_is_wrong_stays_wrong(void **state)
{
	(void)state;
	becomes("{'a", "{\"a");
	becomes("'\\", "\"\\");
	becomes("{a\\b}", "{\"a\"\\\"b\"}");
	becomes("\"tab\there\"", "\"tab\there\"");
}

static void has_a_bound(void **state)
{
	struct buf out = BUF_INIT(4);

	(void)state;
	assert_false(lenient_rewrite(SLICE("'abcdef'"), &out));
	buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict_documents_stay),
		cmocka_unit_test(what_torchserves_own_test_sends),
		cmocka_unit_test(quotes_may_be_single_or_missing),
		cmocka_unit_test(comments_are_left_out),
		cmocka_unit_test(what_is_wrong_stays_wrong),
		cmocka_unit_test(has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
