/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "archive/allowed.h"
#include "base/mem.h"
#include "base/util.h"

static void one_pattern_has_to_match_the_whole_url(void **state)
{
	static const char list[] = "https://good[.]example/.*, "
				   "http://127[.]0[.]0[.]1(:[0-9]+)?/m/.*";

	(void)state;
	assert_true(url_allowed(list, "https://good.example/a.mar"));
	assert_true(url_allowed(list, "HTTPS://GOOD.EXAMPLE/a.mar"));
	assert_true(url_allowed(list, "http://127.0.0.1:80/m/a.mar"));
	assert_false(url_allowed(list, "http://good.example/a.mar"));
	assert_false(url_allowed(list, "https://bad.example/?https://good.example/a.mar"));
	assert_false(url_allowed(list, "https://goodxexample/a.mar"));
}

static void nothing_is_allowed_by_nothing(void **state)
{
	(void)state;
	assert_false(url_allowed("", "http://a/b.mar"));
	assert_false(url_allowed(NULL, "http://a/b.mar"));
	assert_false(url_allowed(" , ,", ""));
	assert_false(url_allowed("([", "(["));
	assert_true(url_allowed("([,http://.*", "http://a/b.mar"));
}

static void is_kept_as(const char *url, const char *expected)
{
	_cleanup_(freep) char *name = url_file_name(url);

	if (expected)
		assert_string_equal(name, expected);
	else
		assert_null(name);
}

static void a_file_has_the_name_of_the_last_segment(void **state)
{
	(void)state;
	is_kept_as("http://host/a.mar", "a.mar");
	is_kept_as("https://host:8443/x/y/a.mar?sig=a/b.mar#c/d", "a.mar");
	is_kept_as("http://host/%2e%2e%2fa.mar", "%2e%2e%2fa.mar");
}

static void what_is_no_visible_name_is_refused(void **state)
{
	(void)state;
	is_kept_as("http://host", NULL);
	is_kept_as("http://host/", NULL);
	is_kept_as("http://host/x/", NULL);
	is_kept_as("http://host/..", NULL);
	is_kept_as("http://host/.a.mar", NULL);
	is_kept_as("http://host/?/a.mar", NULL);
	is_kept_as("http://host/a\\b.mar", NULL);
	is_kept_as("http://host/a\nb.mar", NULL);
	is_kept_as("http:", NULL);
	is_kept_as("", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_pattern_has_to_match_the_whole_url),
		cmocka_unit_test(nothing_is_allowed_by_nothing),
		cmocka_unit_test(a_file_has_the_name_of_the_last_segment),
		cmocka_unit_test(what_is_no_visible_name_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
