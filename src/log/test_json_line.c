/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "log/json_line.h"

static struct json_line json;

static const char *made(enum log_file file, const char *thread, struct slice text)
{
	struct line l;

	line_begin(&l, LOG_WARN, slice_str(thread), SLICE("A_LOG"), UINT64_C(1764158400123000000));
	line_put_escaped(&l, text, LINE_TEXT_MAX, false);
	line_end(&l);
	json_line_make(&json, file, slice_make(l.p, l.n), l.tail);
	assert_true(json.n < json.room);
	json.p[json.n] = '\0';
	return json.p;
}

static int set_up(void **state)
{
	(void)state;
	setenv("TZ", "UTC-01:30", 1);
	tzset();
	return 0;
}

static void a_line_is_an_object(void **state)
{
	(void)state;
	assert_string_equal(made(LOG_SERVER, "main", SLICE("hello")),
			    "{\"time\":\"2025-11-26T13:30:00.123+01:30\",\"level\":\"WARN\","
			    "\"logger\":\"A_LOG\",\"thread\":\"main\",\"message\":\"hello\"}\n");
}

/* As log_output() and log_about() put them: the marks are raw. */
static const char *made_marked(enum log_file file, struct slice a, char mark, struct slice b)
{
	static struct line l;

	line_begin(&l, LOG_WARN, SLICE("t"), SLICE("A_LOG"), 1764158400123000000);
	line_put_escaped(&l, a, LINE_TEXT_MAX, false);
	line_put(&l, slice_make(&mark, 1));
	line_put_escaped(&l, b, LINE_TEXT_MAX, false);
	line_end(&l);
	json_line_make(&json, file, slice_make(l.p, l.n), l.tail);
	json.p[json.n] = '\0';
	return strstr(json.p, "\"thread\"");
}

static void a_record_has_lines_and_requests(void **state)
{
	(void)state;
	assert_string_equal(made_marked(LOG_MODEL, SLICE("a"), LINE_BREAK, SLICE("b\x1e")),
			    "\"thread\":\"t\",\"message\":\"a\\nb\\\\x1e\"}\n");
	assert_string_equal(made_marked(LOG_SERVER, SLICE("a"), LINE_ID, SLICE("4f,9e")),
			    "\"thread\":\"t\",\"request_id\":\"4f,9e\",\"message\":\"a\"}\n");
	assert_string_equal(
		made_marked(LOG_ACCESS, SLICE("/p \"GET /\" 200 0"), LINE_ID, SLICE("4f-9e")),
		"\"thread\":\"t\",\"request_id\":\"4f-9e\","
		"\"message\":\"/p \\\"GET /\\\" 200 0\"}\n");
	assert_string_equal(made_marked(LOG_MODEL, SLICE("a"), LINE_ID, SLICE("")),
			    "\"thread\":\"t\",\"message\":\"a\"}\n");
}

/* As log_put_subject() writes them. */
static void a_record_says_where_it_is_in_a_trace(void **state)
{
	static const char ids[] = { 'i', 'd', LINE_ID, 't', 'r', LINE_ID, 's', 'p' };
	static struct line l;

	(void)state;
	line_begin(&l, LOG_WARN, SLICE("t"), SLICE("A_LOG"), 1764158400123000000);
	line_put(&l, SLICE("text\x1f"));
	line_put(&l, slice_make(ids, sizeof(ids)));
	line_end(&l);
	json_line_make(&json, LOG_ACCESS, slice_make(l.p, l.n), l.tail);
	json.p[json.n] = '\0';
	assert_string_equal(strstr(json.p, "\"thread\""),
			    "\"thread\":\"t\",\"request_id\":\"id\",\"trace_id\":\"tr\","
			    "\"span_id\":\"sp\",\"message\":\"text\"}\n");
}

static void metrics_have_their_requests(void **state)
{
	(void)state;
	assert_non_null(strstr(made(LOG_MODEL_METRICS, "t",
				    SLICE("A.ms:1|#|#hostname:h,requestID:4f,9e,timestamp:1")),
			       "\"request_id\":\"4f,9e\",\"message\":\"A.ms:1|#|#hostname:h,"
			       "requestID:4f,9e,timestamp:1\"}"));
	assert_null(strstr(made(LOG_SERVER_METRICS, "t", SLICE("A.ms:1|#|#hostname:h,timestamp:1")),
			   "request_id"));
}

static void a_model_may_have_any_name(void **state)
{
	(void)state;
	assert_non_null(strstr(made(LOG_MODEL, "W-9000-my [odd] model", SLICE("x - y")),
			       "\"thread\":\"W-9000-my [odd] model\",\"message\":\"x - y\"}"));
}

static void nothing_breaks_out_of_its_text(void **state)
{
	(void)state;
	assert_non_null(strstr(made(LOG_MODEL, "t", SLICE("\"},{\"\\ \t \n")),
			       "\"message\":\"\\\"},{\\\"\\\\ \\t \\\\n\"}\n"));
	/* Not UTF-8: a lone byte, an overlong slash, a surrogate, a character cut short. */
	assert_non_null(strstr(made(LOG_MODEL, "t", SLICE("\xff|\xc0\xaf|\xed\xa0\x80|\xe4\xb8")),
			       "\"message\":\"\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd"
			       "\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\"}"));
	assert_non_null(strstr(made(LOG_MODEL, "t", SLICE("\xe4\xb8\xad \xf0\x9f\x94\xa5")),
			       "\"message\":\"\xe4\xb8\xad \xf0\x9f\x94\xa5\"}"));
}

static void what_is_too_long_is_cut_and_closed(void **state)
{
	const size_t n = LINE_LONG_MAX;
	char *text = malloc(LINE_HEAD + n);
	struct line l;

	(void)state;
	memset(text, '"', LINE_TEXT_MAX);
	made(LOG_MODEL, "t", slice_make(text, LINE_TEXT_MAX - 3));
	assert_string_equal(json.p + json.n - 5, "\\\"\"}\n");
	assert_true(json.room < JSON_LINE_MAX);

	memset(text, '"', n);
	line_begin_long(&l, n, LOG_INFO, SLICE("t"), SLICE("l"), 0);
	line_put_escaped(&l, slice_make(text, n), n, false);
	line_end(&l);
	json_line_make(&json, LOG_MODEL, slice_make(l.p, l.n), l.tail);
	assert_int_equal(json.room, JSON_LINE_MAX);
	assert_memory_equal(json.p + json.n - 7, "\"...\"}\n", 7);
	line_finish(&l);
	/* The memory of a long line is given back. */
	made(LOG_MODEL, "t", SLICE("short"));
	assert_true(json.room < JSON_LINE_MAX);
	free(text);
	json_line_finish(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_an_object),
		cmocka_unit_test(a_record_has_lines_and_requests),
		cmocka_unit_test(a_record_says_where_it_is_in_a_trace),
		cmocka_unit_test(metrics_have_their_requests),
		cmocka_unit_test(a_model_may_have_any_name),
		cmocka_unit_test(nothing_breaks_out_of_its_text),
		cmocka_unit_test(what_is_too_long_is_cut_and_closed),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
