/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "config/otel.h"

static struct settings s;
static struct buf why = BUF_INIT(8192);

static void load(const char *const *environment)
{
	settings_finish(&s);
	settings_init(&s);
	buf_clear(&why);
	assert_int_equal(settings_load_environment(&s, (char *const *)(uintptr_t)environment, &why),
			 0);
}

#define LOAD(...) load((const char *[]){ __VA_ARGS__, NULL })

static int finish(void **state)
{
	(void)state;
	settings_finish(&s);
	buf_finish(&why);
	return 0;
}

static void an_endpoint_for_all_signals_gets_its_path(void **state)
{
	(void)state;
	LOAD("OTEL_SERVICE_NAME=x");
	assert_null(s.trace_endpoint);
	LOAD("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318");
	assert_string_equal(s.trace_endpoint, "http://c:4318/v1/traces");
	assert_string_equal(settings_origin(&s, "trace_endpoint"), "OTEL_EXPORTER_OTLP_ENDPOINT");
	LOAD("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/otlp/");
	assert_string_equal(s.trace_endpoint, "http://c:4318/otlp/v1/traces");
	LOAD("OTEL_EXPORTER_OTLP_ENDPOINT=http://c",
	     "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t/x");
	assert_string_equal(s.trace_endpoint, "http://t/x");
	LOAD("OTEL_EXPORTER_OTLP_ENDPOINT=  ");
	assert_null(s.trace_endpoint);
	/* What is ours goes before it. */
	LOAD("OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "SCONCE_TRACE_ENDPOINT=http://ours");
	assert_string_equal(s.trace_endpoint, "http://ours");
	assert_string_equal(buf_cstr(&why), "");
}

static void the_others_are_settings_too(void **state)
{
	(void)state;
	LOAD("OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=b=2",
	     "OTEL_EXPORTER_OTLP_TIMEOUT=2500", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
	     "OTEL_EXPORTER_OTLP_CERTIFICATE=/c.pem", "OTEL_RESOURCE_ATTRIBUTES=a=b",
	     "OTEL_SERVICE_NAME=lanterns", "OTEL_BSP_SCHEDULE_DELAY=50");
	assert_string_equal(s.trace_headers, "b=2");
	assert_int_equal(s.trace_timeout_ms, 2500);
	assert_string_equal(s.trace_compression, "gzip");
	assert_string_equal(s.trace_certificate, "/c.pem");
	assert_string_equal(s.trace_resource_attributes, "a=b");
	assert_string_equal(s.trace_service_name, "lanterns");
	assert_int_equal(s.trace_interval_ms, 50);
	assert_string_equal(buf_cstr(&why), "");
}

static void samplers_are_a_share_and_who_decides(void **state)
{
	static const struct {
		const char *name, *arg;
		bool parent_based;
		double ratio;
	} rows[] = {
		{ "always_on", "0.5", false, 1 },
		{ "always_off", "", false, 0 },
		{ "traceidratio", "0.25", false, 0.25 },
		{ "traceidratio", "", false, 1 },
		{ "parentbased_always_on", "x", true, 1 }, /* an argument of another sampler */
		{ "parentbased_always_off", "", true, 0 },
		{ "parentbased_traceidratio", "0.01", true, 0.01 },
		{ "", "0.5", true, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *name = mem_printf("OTEL_TRACES_SAMPLER=%s", rows[i].name);
		_cleanup_(freep) char *arg = mem_printf("OTEL_TRACES_SAMPLER_ARG=%s", rows[i].arg);

		LOAD(name, arg);
		assert_int_equal(s.trace_parent_based, rows[i].parent_based);
		assert_true(s.trace_ratio == rows[i].ratio);
		assert_string_equal(buf_cstr(&why), "");
	}
}

static void what_does_not_fit_is_told_and_left_out(void **state)
{
	(void)state;
	LOAD("OTEL_TRACES_SAMPLER=jaeger_remote", "OTEL_EXPORTER_OTLP_TIMEOUT=soon");
	assert_true(s.trace_parent_based && s.trace_ratio == 1);
	assert_int_equal(s.trace_timeout_ms, 10000);
	assert_non_null(strstr(buf_cstr(&why), "warning: not used: OTEL_TRACES_SAMPLER: "
					       "'jaeger_remote' is not known"));
	assert_non_null(
		strstr(buf_cstr(&why), "OTEL_EXPORTER_OTLP_TIMEOUT: trace_timeout_ms: 'soon'"));
	LOAD("OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=2");
	assert_true(s.trace_ratio == 1);
	assert_non_null(strstr(buf_cstr(&why), "OTEL_TRACES_SAMPLER_ARG: trace_ratio: '2'"));
	LOAD("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317");
	assert_null(s.trace_endpoint);
	assert_non_null(strstr(buf_cstr(&why), "warning: OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc'"));
	LOAD("OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318");
	assert_null(s.trace_endpoint);
	assert_non_null(strstr(buf_cstr(&why), "'collector:4318' is not the URL"));
	LOAD("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json",
	     "OTEL_EXPORTER_OTLP_ENDPOINT=http://c");
	assert_non_null(s.trace_endpoint);
	assert_non_null(strstr(buf_cstr(&why), "http/protobuf"));
}

static void it_can_be_off_for_all(void **state)
{
	(void)state;
	LOAD("OTEL_SDK_DISABLED=TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c");
	assert_true(s.trace_disabled);
	LOAD("OTEL_SDK_DISABLED=1", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c");
	assert_false(s.trace_disabled);
	LOAD("OTEL_TRACES_EXPORTER=none", "SCONCE_TRACE_ENDPOINT=http://c");
	assert_true(s.trace_disabled);
	assert_string_equal(buf_cstr(&why), "");
	LOAD("OTEL_TRACES_EXPORTER=zipkin");
	assert_true(s.trace_disabled);
	assert_non_null(strstr(buf_cstr(&why), "'zipkin' is not known"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_endpoint_for_all_signals_gets_its_path),
		cmocka_unit_test(the_others_are_settings_too),
		cmocka_unit_test(samplers_are_a_share_and_who_decides),
		cmocka_unit_test(what_does_not_fit_is_told_and_left_out),
		cmocka_unit_test(it_can_be_off_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
