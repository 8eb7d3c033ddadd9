/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "trace/tracer.h"

static struct settings s;
static struct buf why = BUF_INIT(8192);

static int begin(void **state)
{
	(void)state;
	settings_init(&s);
	return 0;
}

static int end(void **state)
{
	(void)state;
	settings_finish(&s);
	buf_finish(&why);
	return 0;
}

static void set(const char *key, const char *value)
{
	assert_int_equal(settings_set(&s, slice_str(key), slice_str(value), "--x", &why), 0);
}

/* NULL: it is made. */
static const char *refusal(void)
{
	struct tracer *t;

	buf_clear(&why);
	if (tracer_create(&t, &s, &why) < 0) {
		assert_null(t);
		return buf_cstr(&why);
	}
	tracer_destroy(t);
	return NULL;
}

static void without_an_endpoint_there_is_none(void **state)
{
	struct tracer *t;

	(void)state;
	assert_int_equal(tracer_create(&t, &s, &why), 0);
	assert_null(t);
	assert_int_equal(tracer_stats(t).dropped, 0);
	set("trace_endpoint", "http://127.0.0.1:1");
	s.trace_disabled = true;
	assert_int_equal(tracer_create(&t, &s, &why), 0);
	assert_null(t);
}

static void an_endpoint_is_a_url(void **state)
{
	static const char *const wrong[] = { "collector:4318",  "ftp://c",     "http://",
					     "http:///x",       "http://a b/", "grpc://c:4317",
					     "http://me:key@c/" };
	_cleanup_(freep) char *bare = tracer_url("http://c:4318", &why),
			      *path = tracer_url("HTTPS://c/x", &why),
			      *root = tracer_url("http://c/", &why);

	(void)state;
	assert_string_equal(bare, "http://c:4318/v1/traces");
	assert_string_equal(path, "HTTPS://c/x");
	assert_string_equal(root, "http://c/");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_null(tracer_url(wrong[i], &why));
	set("trace_endpoint", "collector:4318");
	assert_non_null(strstr(refusal(), "--x: trace_endpoint: 'collector:4318' is not the URL"));
}

static void headers_and_attributes_are_pairs(void **state)
{
	static const char *const wrong[] = { "a", "=1", "a=%zz", "a b=1", "a=x%0d%0ab: c" };

	(void)state;
	set("trace_endpoint", "http://127.0.0.1:1");
	set("trace_headers", "authorization=Bearer%20x, a=1,,b=");
	set("trace_resource_attributes", "service.name=a,deployment.environment=b%2Cc");
	assert_null(refusal());
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		set("trace_headers", wrong[i]);
		assert_non_null(strstr(refusal(), "trace_headers: these are no headers"));
	}
	set("trace_headers", "");
	set("trace_resource_attributes", "x");
	assert_non_null(strstr(refusal(), "trace_resource_attributes: these are no attributes"));
}

static struct buf seen = BUF_INIT(65536);

static void see(void *sink, struct slice span)
{
	(void)sink;
	buf_put_slice(&seen, span);
}

static void a_span_is_put_at_once(void **state)
{
	struct tracer t = { .put = see };
	struct trace trace = { .id = "id", .span = "sp", .flags = TRACE_SAMPLED };

	(void)state;
	tracer_put(&t, &(struct trace_span){ .trace = &trace,
					     .id = trace.span,
					     .parent = trace.parent,
					     .name = SLICE("a name") });
	assert_non_null(memmem(seen.p, seen.n, "a name", 6));
	buf_finish(&seen);
}

static void a_subject_is_in_hexadecimal(void **state)
{
	struct trace trace = { .id = { 1, 0xab }, .span = { 0xff } };
	struct log_subject a = tracer_subject("r", &trace), none = tracer_subject("r", NULL);

	(void)state;
	assert_string_equal(a.trace, "01ab0000000000000000000000000000");
	assert_string_equal(a.span, "ff00000000000000");
	assert_string_equal(none.trace, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_an_endpoint_there_is_none, begin, end),
		cmocka_unit_test_setup_teardown(an_endpoint_is_a_url, begin, end),
		cmocka_unit_test_setup_teardown(headers_and_attributes_are_pairs, begin, end),
		cmocka_unit_test(a_span_is_put_at_once),
		cmocka_unit_test(a_subject_is_in_hexadecimal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
