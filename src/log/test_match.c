/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/match.h"

static bool of_request(const char *line, const char *request)
{
	const struct log_filter f = { .request = slice_str(request) };

	return log_filter_takes(&f, slice_str(line));
}

static bool of_model(const char *line, const char *model, const char *version)
{
	const struct log_filter f = { .model = slice_str(model), .version = slice_str(version) };

	return log_filter_takes(&f, slice_str(line));
}

static void requests_are_whole_words(void **state)
{
	(void)state;
	assert_true(of_request("d - /p \"GET / HTTP/1.1\" 200 0 4f-9e\n", "4f-9e"));
	assert_true(of_request("d [WARN ] t l - Request 4f-9e fails\n", "4f-9e"));
	assert_true(of_request("A.ms:1|#hostname:h,requestID:77,4f-9e,timestamp:1", "4f-9e"));
	assert_true(of_request("A.ms:1|#hostname:h,requestID:4f-9e,timestamp:1", "4f-9e"));
	assert_true(of_request("{\"request_id\":\"4f-9e\",\"message\":\"\"}", "4f-9e"));
	assert_false(of_request("d - x 4f-9e-7\n", "4f-9e"));
	assert_false(of_request("d - x a4f-9e\n", "4f-9e"));
	assert_true(of_request("d - x a4f-9e 4f-9e\n", "4f-9e"));
	assert_false(of_request("", "4f-9e"));
}

static void models_are_known_by_their_places(void **state)
{
	(void)state;
	assert_true(of_model("d [INFO ] W-9000-echo_1.0-stdout MODEL_LOG - x", "echo", NULL));
	assert_true(of_model("d [INFO ] W-9000-echo_1.0-stdout MODEL_LOG - x", "echo", "1.0"));
	assert_false(of_model("d [INFO ] W-9000-echo_1.0-stdout MODEL_LOG - x", "echo", "1"));
	assert_false(of_model("d [INFO ] W-9000-my-echo_1.0 MODEL_LOG - x", "echo", NULL));
	assert_true(of_model("d - \"POST /predictions/echo HTTP/1.1\" 200 1", "echo", NULL));
	assert_true(of_model("d - \"POST /predictions/echo/2.0?a HTTP/1.1\" 200 1", "echo", "2.0"));
	assert_false(of_model("d - \"POST /predictions/echo HTTP/1.1\" 200 1", "echo", "2.0"));
	assert_false(of_model("d - \"POST /predictions/echo2 HTTP/1.1\" 200 1", "echo", NULL));
	assert_true(of_model("A.ms:1|#ModelName:echo,Level:Model|#x", "echo", NULL));
	assert_true(of_model("a.ms:1|#model_name:echo,model_version:1.0|#x", "echo", "1.0"));
	assert_true(of_model("d l - Model echo version 1.0 is gone", "echo", "1.0"));
	assert_true(of_model("d l - model: echo, number of", "echo", NULL));
	assert_false(of_model("d l - said echo", "echo", NULL));
}

#define OF(thread, text) "2026-11-24T12:00:00,123 [WARN ] " thread "-stderr MODEL_LOG - " text "\n"
#define LATER(thread, text)                                                                        \
	"2026-11-24T12:00:00,124 [WARN ] " thread "-stderr MODEL_LOG - " text "\n"

static void a_traceback_is_of_the_request_before_it(void **state)
{
	static const struct {
		const char *line;
		bool takes;
	} lines[] = {
		{ OF("W-1-m_1", "said before"), false },
		{ OF("W-1-m_1", "The handler failed for 4f-9e"), true },
		{ OF("W-1-m_1", "Traceback (most recent call last):"), true },
		{ OF("W-2-m_1", "  File of another"), false },
		{ LATER("W-1-m_1", "  File \"h.py\", line 1"), true },
		{ LATER("W-1-m_1", "ValueError: one"), true },
		{ LATER("W-1-m_1", "said later"), false },
		{ OF("W-1-m_1", "  indented"), false },
		{ OF("W-1-m_1", "The handler failed for 4f-9e"), true },
		{ OF("W-1-m_1", "  File \"h.py\", line 1"), true },
		{ OF("W-1-m_1", "ValueError: of"), true },
		{ OF("W-1-m_1", "two lines"), true },
		{ OF("W-1-m_1", ""), true },
		{ OF("W-1-m_1", "The handler failed for 5a"), false },
		{ OF("W-1-m_1", "Traceback (most recent call last):"), false },
	};
	const struct log_filter f = { .request = SLICE("4f-9e") };
	struct log_trail t = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (log_trail_takes(&t, &f, slice_str(lines[i].line)) != lines[i].takes)
			fail_msg("line %zu: %s", i, lines[i].line);
}

static void both_have_to_hold(void **state)
{
	const struct log_filter f = { .request = SLICE("7"), .model = SLICE("m") }, any = { 0 };

	(void)state;
	assert_true(log_filter_takes(&f, SLICE("W-9000-m_1.0 x 7")));
	assert_false(log_filter_takes(&f, SLICE("W-9000-n_1.0 x 7")));
	assert_false(log_filter_takes(&f, SLICE("W-9000-m_1.0 x 8")));
	assert_true(log_filter_takes(&any, SLICE("")));
}

static void times_of_text_and_json_compare(void **state)
{
	char a[MATCH_STAMP + 1] = "", b[MATCH_STAMP + 1] = "";

	(void)state;
	assert_true(log_stamp(SLICE("2026-11-24T12:00:00,123 - x"), a));
	assert_true(log_stamp(SLICE("{\"time\":\"2026-11-24T12:00:00.123+01:00\",\"l"), b));
	assert_string_equal(a, "2026-11-24T12:00:00.123");
	assert_string_equal(a, b);
	assert_false(log_stamp(SLICE("2026-11-24T12:00"), a));
	assert_false(log_stamp(SLICE("Traceback (most recent call last):"), a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_whole_words),
		cmocka_unit_test(models_are_known_by_their_places),
		cmocka_unit_test(a_traceback_is_of_the_request_before_it),
		cmocka_unit_test(both_have_to_hold),
		cmocka_unit_test(times_of_text_and_json_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
