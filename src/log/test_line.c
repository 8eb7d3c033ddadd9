/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "log/line.h"

#define NOON UINT64_C(1795521600) /* 2026-11-24T12:00:00 UTC */

static struct line line;

static void begin(void)
{
	line_begin(&line, LOG_INFO, SLICE("main"), SLICE("sconce.fleet"),
		   NOON * NS_PER_S + 123 * NS_PER_MS + 999);
}

static void expect(struct slice got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p, want, got.n);
}

static struct slice text_of(struct slice s, size_t max, bool quoted)
{
	begin();
	line_put_escaped(&line, s, max, quoted);
	return slice_make(line_tail(&line).p + 3, line_tail(&line).n - 3);
}

static void test_both_layouts(void **state)
{
	(void)state;
	begin();
	line_put(&line, SLICE("workers: "));
	line_put_u64(&line, 0);
	line_put_u64(&line, UINT64_MAX);
	line_end(&line);
	expect(slice_make(line.p, line.n), "2026-11-24T12:00:00,123 [INFO ] main sconce.fleet - "
					   "workers: 018446744073709551615\n");
	expect(line_date(&line), "2026-11-24T12:00:00,123");
	expect(line_tail(&line), " - workers: 018446744073709551615\n");
}

static void test_levels_and_clock(void **state)
{
	static const char *const want[] = { "[ERROR]", "[WARN ]", "[INFO ]", "[DEBUG]" };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		line_begin(&line, (enum log_level)i, SLICE("t"), SLICE("l"), (NOON + i) * NS_PER_S);
		expect(slice_make(line.p + 24, 7), want[i]);
		assert_int_equal(line.p[18], '0' + i);
	}
	begin();
	expect(line_date(&line), "2026-11-24T12:00:00,123");
}

static void test_forged_lines_stay_one_line(void **state)
{
	(void)state;
	expect(text_of(SLICE("a\r\n2026 [INFO ] b\0c\x1b[2J\x7f\td"), 100, false),
	       "a\\r\\n2026 [INFO ] b\\x00c\\x1b[2J\\x7f\td");
	expect(text_of(SLICE("/a\" 200 0\\"), 100, true), "/a\\\" 200 0\\\\");
	expect(text_of(SLICE("C:\\x \"y\""), 100, false), "C:\\x \"y\"");
	/* U+009B starts a terminal command; U+00E9 is a letter. */
	expect(text_of(SLICE("\xc2\x9b\xc3\xa9\xc2\xa0\xc2"), 100, false),
	       "\\xc2\\x9b\xc3\xa9\xc2\xa0\xef\xbf\xbd");
	/* Latin-1, and a character that was cut off. */
	expect(text_of(SLICE("caf\xe9 \xe2\x82"), 100, false),
	       "caf\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd");
	expect(text_of(SLICE("1234\xe9"), 6, false), "1234...");
	line_begin(&line, LOG_INFO, SLICE("a\nb"), SLICE("c\nd"), NOON * NS_PER_S);
	assert_null(memchr(line.p, '\n', line.n));
}

static void test_long_lines(void **state)
{
	const size_t n = LINE_LONG_MAX + 100;
	char *big = malloc(n);

	(void)state;
	memset(big, 'x', n);
	line_begin_long(&line, 500000, LOG_INFO, SLICE("t"), SLICE("l"), 0);
	line_put_escaped(&line, slice_make(big, 500000), n, false);
	line_end(&line);
	assert_int_equal(line_tail(&line).n, 3 + 500000 + 1);
	line_finish(&line);
	line_begin_long(&line, n, LOG_INFO, SLICE("t"), SLICE("l"), 0);
	line_put_escaped(&line, slice_make(big, n), n, false);
	line_end(&line);
	expect(slice_make(line.p + line.n - 5, 5), "x...\n");
	assert_int_equal(line_tail(&line).n, LINE_LONG_MAX + 4);
	line_finish(&line);
	/* Short ones need no memory. */
	line_begin_long(&line, 100, LOG_INFO, SLICE("t"), SLICE("l"), 0);
	assert_ptr_equal(line.p, line.own);
	line_finish(&line);
	free(big);
}

static void test_bounds(void **state)
{
	char *big = malloc(100000);

	(void)state;
	memset(big, 'x', 100000);
	expect(text_of(slice_make(big, 10), 10, false), "xxxxxxxxxx");
	expect(text_of(slice_make(big, 11), 10, false), "xxxxxxxxxx...");
	expect(text_of(SLICE("12345\n"), 6, false), "12345...");
	/* Never half a character: euro sign, and one of four bytes. */
	expect(text_of(SLICE("1234\xe2\x82\xac"), 6, false), "1234...");
	expect(text_of(SLICE("1234\xf0\x9f\x98\x80z"), 7, false), "1234...");
	expect(text_of(SLICE("1234\xe2\x82\xac"), 7, false), "1234\xe2\x82\xac");

	text_of(slice_make(big, 100000), 100000, false);
	line_put(&line, SLICE("more"));
	line_put_escaped(&line, slice_make(big, 1000), 1000, true);
	line_put_u64(&line, 7);
	line_end(&line);
	assert_true(line.n < sizeof(line.own));
	expect(slice_make(line.p + line.n - 5, 5), "x...\n");

	memset(big, '\n', 100000);
	line_begin(&line, LOG_WARN, slice_make(big, 100000), slice_make(big, 100000), 0);
	line_put_escaped(&line, slice_make(big, 100000), 100000, false);
	line_end(&line);
	assert_ptr_equal(memchr(line.p, '\n', line.n), line.p + line.n - 1);
	begin();
	line_put(&line, slice_make(big, 100000));
	line_end(&line);
	assert_true(line.n < sizeof(line.own));
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_layouts),
		cmocka_unit_test(test_levels_and_clock),
		cmocka_unit_test(test_forged_lines_stay_one_line),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_long_lines),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
