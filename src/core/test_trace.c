/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/util.h"
#include "core/trace.h"

/* The cases of headers that W3C's own test suite for trace-context sends to a server. */

#define ID "12345678901234567890123456789012"
#define PARENT "1234567890123456"

static void traceparents_are_read_by_the_letter(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
		{ "00-" ID "-" PARENT "-01", true },
		{ "00-" ID "-" PARENT "-00", true },
		{ "00-" ID "-" PARENT "-ff", true },
		{ "01-" ID "-" PARENT "-00", true }, /* versions that are not known yet … */
		{ "fe-" ID "-" PARENT "-00", true },
		{ "cc-" ID "-" PARENT "-01-what-the-future-will-be-like", true },
		{ "cc-" ID "-" PARENT "-01-", true },
		{ "cc-" ID "-" PARENT "-01.what", false }, /* … and may not have this */
		{ "cc-" ID "-" PARENT "-01what", false },
		{ "ff-" ID "-" PARENT "-01", false },
		{ "ff-" ID "-" PARENT "-01-more", false },
		{ "00-" ID "-" PARENT "-01-", false },
		{ "00-" ID "-" PARENT "-01-what", false },
		{ "00-" ID "-" PARENT "-01.", false },
		{ "00-" ID "-" PARENT "-0", false },
		{ "00-" ID "-" PARENT "-1", false },
		{ "00-" ID "-" PARENT "-", false },
		{ "00-" ID "-" PARENT, false },
		{ "00-" ID "-" PARENT "-.0", false },
		{ "00-" ID "-" PARENT "-0x", false },
		{ "00-" ID "-" PARENT "-0A", false },
		{ "00-00000000000000000000000000000000-" PARENT "-01", false },
		{ "00-" ID "-0000000000000000-01", false },
		{ "00-1234567890123456789012345678901.-" PARENT "-01", false },
		{ "00-1234567890123456789012345678901-" PARENT "-01", false },
		{ "00-123456789012345678901234567890123-" PARENT "-01", false },
		{ "00-" ID "-123456789012345.-01", false },
		{ "00-" ID "-123456789012345-01", false },
		{ "00-" ID "-12345678901234567-01", false },
		{ "00-1234567890123456789012345678901A-" PARENT "-01", false },
		{ "00-" ID "-123456789012345F-01", false },
		{ ".0-" ID "-" PARENT "-01", false },
		{ "0.-" ID "-" PARENT "-01", false },
		{ "CC-" ID "-" PARENT "-01", false },
		{ "0-" ID "-" PARENT "-01", false },
		{ "000-" ID "-" PARENT "-01", false },
		{ "00_" ID "-" PARENT "-01", false },
		{ "00-" ID "_" PARENT "-01", false },
		{ "00-" ID "-" PARENT "_01", false },
		{ "", false },
		{ "-", false },
	};
	struct trace t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (traceparent_read(slice_str(rows[i].text), &t) != rows[i].valid)
			fail_msg("%s should be %s", rows[i].text, rows[i].valid ? "read" : "no");
	assert_false(traceparent_read(SLICE_NULL, &t));
}

static void what_is_read_is_written(void **state)
{
	struct trace parent, t;
	char out[TRACEPARENT_LEN], again[TRACEPARENT_LEN];
	const struct trace_sampler always = { .ratio = 1 };

	(void)state;
	assert_true(traceparent_read(SLICE("cc-" ID "-" PARENT "-fe-x"), &parent));
	assert_int_equal(parent.flags, TRACE_RANDOM);
	trace_begin(&t, &parent, &always);
	assert_int_equal(t.flags, TRACE_RANDOM | TRACE_SAMPLED);
	traceparent_write(&t, out);
	assert_memory_equal(out, "00-" ID "-", 36);
	assert_memory_not_equal(out + 36, PARENT, 16);
	assert_memory_equal(out + 52, "-03", 3);
	assert_memory_equal(t.parent, parent.parent, SPAN_ID_LEN);
	/* One that begins here has ids of its own. */
	trace_begin(&t, NULL, &always);
	traceparent_write(&t, again);
	assert_true(traceparent_read(slice_make(again, sizeof(again)), &parent));
	assert_memory_equal(parent.id, t.id, TRACE_ID_LEN);
	assert_memory_not_equal(again + 3, ID, 32);
}

static struct trace from(const char *text)
{
	struct trace t = { 0 };

	assert_true(traceparent_read(slice_str(text), &t));
	return t;
}

static void the_client_decides_or_the_ratio(void **state)
{
	const struct trace yes = from("00-" ID "-" PARENT "-01"),
			   no = from("00-" ID "-" PARENT "-00"),
			   low = from("00-ffffffffffffffff0000000000000001-" PARENT "-00"),
			   high = from("00-0000000000000001ffffffffffffffff-" PARENT "-01");
	struct trace own = { .id = { [15] = 1 } };
	struct trace_sampler s = { .parent_based = true };

	(void)state;
	assert_true(trace_sample(&s, &yes));
	assert_false(trace_sample(&s, &own));
	s.ratio = 1;
	assert_false(trace_sample(&s, &no));
	assert_true(trace_sample(&s, &own));
	s.parent_based = false;
	assert_true(trace_sample(&s, &no));
	s.ratio = 0.5;
	assert_true(trace_sample(&s, &low));
	assert_false(trace_sample(&s, &high));
	s.ratio = 1;
	assert_true(trace_sample(&s, &high));
	s.ratio = 0;
	assert_false(trace_sample(&s, &own));
}

static void a_ratio_takes_that_many(void **state)
{
	const struct trace_sampler s = { .ratio = 0.1, .parent_based = true };
	unsigned sampled = 0;
	struct trace t;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		trace_begin(&t, NULL, &s);
		sampled += trace_is_sampled(&t);
	}
	assert_in_range(sampled, 1700, 2300);
	assert_false(trace_is_sampled(NULL));
}

/* `headers`: one a line. */
static bool state_is(const char *headers, const char *want)
{
	struct slice rest = slice_str(headers);
	struct tracestate s = { 0 };

	while (rest.n)
		tracestate_add(&s, slice_cut(&rest, '\n'));
	return want ? slice_eq(tracestate_text(&s), slice_str(want)) : !tracestate_text(&s).p;
}

static void tracestates_are_whole_or_none(void **state)
{
	static const struct {
		const char *headers, *want;
	} rows[] = {
		{ "foo=1,bar=2", "foo=1,bar=2" },
		{ "foo=1\nbar=2", "foo=1,bar=2" },
		{ "foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3" },
		{ "foo=1,,,\t,bar=2,", "foo=1,bar=2" },
		{ "foo= 1", "foo= 1" },
		{ "0ab@system=1", "0ab@system=1" },
		{ "a-z_*/0=!~", "a-z_*/0=!~" },
		{ "", NULL },
		{ "foo=1,foo=2", NULL },
		{ "foo", NULL },
		{ "foo=", NULL },
		{ "=1", NULL },
		{ "foo =1", NULL },
		{ "FOO=1", NULL },
		{ "foo.bar=1", NULL },
		{ "0foo=1", NULL },
		{ "foo@=1,bar=2", NULL },
		{ "@foo=1,bar=2", NULL },
		{ "foo@@bar=1", NULL },
		{ "foo@bar@baz=1", NULL },
		{ "foo@0bar=1", NULL },
		{ "foo@abcdefghijklmno=1", NULL },
		{ "foo=bar=baz", NULL },
		{ "foo=b\x7f", NULL },
		{ "foo=1,bar=\xc3\xa9", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!state_is(rows[i].headers, rows[i].want))
			fail_msg("%s should be %s", rows[i].headers, rows[i].want);
}

/* "name=value", each padded to so many letters. */
static const char *member(const char *name, size_t name_n, const char *value, size_t value_n)
{
	static char text[1024];
	size_t n = name_n + 1;

	memset(text, 'z', sizeof(text));
	memcpy(text, name, strcspn(name, "@"));
	if (strchr(name, '@'))
		memcpy(text + name_n - 2, "@v", 2); /* a tenant of the others */
	text[name_n] = '=';
	memcpy(text + n, value, strlen(value));
	text[n + value_n] = '\0';
	return text;
}

static void tracestates_have_limits(void **state)
{
	struct tracestate s = { 0 };
	char text[512];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 33; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%sbar%u=%u", i ? "," : "", i, i);
		assert_true(i < 32 ? state_is(text, text) : state_is(text, NULL));
	}
	assert_true(state_is(member("a", 256, "1", 1), member("a", 256, "1", 1)));
	assert_true(state_is(member("a", 257, "1", 1), NULL));
	assert_true(state_is(member("a", 1, "1", 256), member("a", 1, "1", 256)));
	assert_true(state_is(member("a", 1, "1", 257), NULL));
	assert_true(state_is(member("z@", 243, "1", 1), member("z@", 243, "1", 1)));
	assert_true(state_is(member("z@", 244, "1", 1), NULL));
	/* What is beyond what is passed on goes by whole members, from the end. */
	tracestate_add(&s, slice_str(member("k0", 2, "1", 200)));
	tracestate_add(&s, slice_str(member("k1", 2, "1", 200)));
	tracestate_add(&s, slice_str(member("k2", 2, "1", 200)));
	tracestate_add(&s, SLICE("short=1"));
	assert_int_equal(tracestate_text(&s).n, 2 * 203 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traceparents_are_read_by_the_letter),
		cmocka_unit_test(what_is_read_is_written),
		cmocka_unit_test(the_client_decides_or_the_ratio),
		cmocka_unit_test(a_ratio_takes_that_many),
		cmocka_unit_test(tracestates_are_whole_or_none),
		cmocka_unit_test(tracestates_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
