/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "trace/span.h"

/* Byte by byte here; tests/e2e/test_tracing.py reads what is sent with opentelemetry-proto. */

static struct trace trace = { .id = "0123456789abcde", .span = "1234567", .flags = 1 };
static struct buf out = BUF_INIT(65536);

static int finish(void **state)
{
	(void)state;
	buf_finish(&out);
	return 0;
}

static struct slice written(const struct trace_span *s)
{
	buf_clear(&out);
	span_write(&out, s, 1000);
	assert_false(out.overflowed);
	return buf_slice(&out);
}

static bool has(struct slice text, struct slice part)
{
	return memmem(text.p, text.n, part.p, part.n) != NULL;
}

static void a_small_one_byte_by_byte(void **state)
{
	static const char want[] = "\x12\x39"
				   "\x0a\x10"
				   "0123456789abcde\0"
				   "\x12\x08"
				   "1234567\0"
				   "\x85\x01\x01\x01\0\0"
				   "\x2a\x01q"
				   "\x30\x01"
				   "\x39\xe9\x03\0\0\0\0\0\0"
				   "\x41\xea\x03\0\0\0\0\0\0";
	const uint8_t none[SPAN_ID_LEN] = { 0 };

	(void)state;
	assert_memory_equal(written(&(struct trace_span){ .trace = &trace,
							  .id = trace.span,
							  .parent = none,
							  .kind = SPAN_INTERNAL,
							  .name = SLICE("q"),
							  .begin_ns = 1,
							  .end_ns = 2 })
				    .p,
			    want, sizeof(want) - 1);
	assert_int_equal(out.n, sizeof(want) - 1);
}

static void facts_events_and_failures_are_told(void **state)
{
	const struct trace_fact facts[] = { { .key = "k", .text = SLICE("v") },
					    { .key = "n", .number = -1 },
					    { .key = "bad", .text = SLICE("\xff") } };
	struct trace_span s = { .trace = &trace,
				.id = trace.span,
				.parent = trace.id,
				.kind = SPAN_SERVER,
				.name = SLICE("x"),
				.begin_ns = 5,
				.end_ns = 4, /* never before it began */
				.facts = facts,
				.n_facts = 3,
				.event = "e",
				.event_ns = 6,
				.event_facts = facts,
				.n_event_facts = 1,
				.failed = true,
				.message = SLICE("why") };
	struct slice text = written(&s);

	(void)state;
	assert_true(has(text, SLICE("\x4a\x08\x0a\x01k\x12\x03\x0a\x01v")));
	assert_true(has(text, SLICE("\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")));
	assert_true(has(text, SLICE("\x0a\x03"
				    "bad\x12\x03\x0a\x01?")));
	assert_true(has(text, SLICE("\x5a\x16\x09\xee\x03\0\0\0\0\0\0\x12\x01"
				    "e\x1a\x08\x0a\x01k")));
	assert_true(has(text, SLICE("\x7a\x07\x12\x03why\x18\x02")));
	assert_true(has(text, SLICE("\x39\xed\x03\0\0\0\0\0\0\x41\xed\x03\0\0\0\0\0\0")));
	assert_true(has(text, SLICE("\x85\x01\x01\x03\0\0"))); /* the parent is another's */
}

static void what_is_too_long_is_cut(void **state)
{
	static char much[100000];
	struct trace_fact facts[64];
	struct trace_span s = { .trace = &trace,
				.id = trace.span,
				.parent = trace.span,
				.name = slice_make(much, sizeof(much)),
				.facts = facts,
				.n_facts = ARRAY_LEN(facts),
				.event = "e",
				.event_facts = facts,
				.n_event_facts = ARRAY_LEN(facts),
				.failed = true,
				.message = slice_make(much, sizeof(much)) };

	(void)state;
	memset(much, 'x', sizeof(much));
	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		facts[i] = (struct trace_fact){ .key = "k",
						.text = slice_make(much, sizeof(much)) };
	trace.state = slice_make(much, TRACESTATE_MAX);
	written(&s);
	assert_in_range(out.n, SPAN_MAX / 2, SPAN_MAX + 16);
	trace.state = SLICE_NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_one_byte_by_byte),
		cmocka_unit_test(facts_events_and_failures_are_told),
		cmocka_unit_test(what_is_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
