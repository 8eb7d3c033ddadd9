/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/curl.h"

static void the_library_is_loaded_once(void **state)
{
	struct buf why = BUF_INIT(4096);
	const struct curl *curl = curl_load(&why);
	CURL *easy;

	(void)state;
	if (!curl) {
		assert_non_null(strstr(buf_cstr(&why), "libcurl"));
		buf_finish(&why);
		skip();
	}
	assert_ptr_equal(curl, curl_load(&why));
	assert_int_equal(why.n, 0);
	easy = curl->easy_init();
	assert_non_null(easy);
	assert_int_equal(curl->easy_setopt(easy, CURLOPT_URL, "unknown://host"), CURLE_OK);
	assert_int_equal(curl->easy_perform(easy), CURLE_UNSUPPORTED_PROTOCOL);
	curl->easy_cleanup(easy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_library_is_loaded_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
