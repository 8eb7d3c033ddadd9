/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/yaml.h"

static int setup(void **state)
{
	struct region *r = mem_new(struct region);

	region_init(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	region_finish(*state);
	free(*state);
	return 0;
}

static void expect(struct region *r, struct slice text, const char *json)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1000), out = BUF_INIT(1 << 20);
	struct yaml *y = NULL;

	if (yaml_parse(r, text, &y, &why) < 0)
		fail_msg("%.*s: %s", SLICE_ARG(text), buf_cstr(&why));
	yaml_to_json(y, &out);
	assert_string_equal(buf_cstr(&out), json);
}

static void refuse(struct region *r, struct slice text, const char *reason)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1000);
	struct yaml *y = NULL;

	assert_int_equal(yaml_parse(r, text, &y, &why), -EINVAL);
	assert_null(y);
	assert_string_equal(buf_cstr(&why), reason);
}

static void test_model_config(void **state)
{
	static const char text[] = "# TorchServe frontend parameters\n"
				   "minWorkers: 1\n"
				   "maxBatchDelay: 100\n"
				   "deviceIds: [0, 1]\n"
				   "parallelType: \"pp\"\n"
				   "useJobTicket: yes\n"
				   "torchrun:\n"
				   "    nproc-per-node: 4\n"
				   "handler:\n"
				   "  prompt: |\n"
				   "    two\n"
				   "    lines\n"
				   "  list:\n"
				   "  - a: 1\n"
				   "    b: ~\n"
				   "  - 'x'\n";
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1000);
	struct region *r = *state;
	const struct yaml *v;
	struct yaml *y;

	expect(r, SLICE(text),
	       "{\"minWorkers\": 1, \"maxBatchDelay\": 100, \"deviceIds\": [0, 1], "
	       "\"parallelType\": \"pp\", \"useJobTicket\": true, \"torchrun\": "
	       "{\"nproc-per-node\": 4}, \"handler\": {\"prompt\": \"two\\nlines\\n\", "
	       "\"list\": [{\"a\": 1, \"b\": null}, \"x\"]}}");
	assert_int_equal(yaml_parse(r, SLICE(text), &y, &why), 0);
	v = yaml_get(yaml_get(y, "torchrun"), "nproc-per-node");
	assert_int_equal(v->kind, YAML_INT);
	assert_int_equal(v->integer, 4);
	assert_true(slice_eq(v->text, SLICE("4")));
	assert_null(yaml_get(y, "none"));
	assert_null(yaml_get(v, "none"));
	assert_null(yaml_get(NULL, "none"));
}

static void test_empty_documents(void **state)
{
	struct region *r = *state;

	expect(r, SLICE(""), "null");
	expect(r, SLICE_NULL, "null");
	expect(r, SLICE("# nothing\n"), "null");
	expect(r, SLICE("---\n...\n"), "null");
	expect(r, SLICE("{}"), "{}");
	expect(r, SLICE("[]"), "[]");
	expect(r, SLICE("--- just text\n"), "\"just text\"");
}

static void test_scalars(void **state)
{
	static const char *const cases[][2] = {
		{ "yes", "true" },
		{ "On", "true" },
		{ "OFF", "false" },
		{ "n", "\"n\"" },
		{ "tRUE", "\"tRUE\"" },
		{ "Null", "null" },
		{ "nil", "\"nil\"" },
		{ "0", "0" },
		{ "-12", "-12" },
		{ "+1_000", "1000" },
		{ "010", "8" },
		{ "-0x1F", "-31" },
		{ "0b1_01", "5" },
		{ "08", "\"08\"" },
		{ "0x", "\"0x\"" },
		{ "0x_", "\"0x_\"" },
		{ "0o7", "\"0o7\"" },
		{ "0_", "0" },
		{ "_1", "\"_1\"" },
		{ "1:30", "90" },
		{ "-1:30:05", "-5405" },
		{ "1:60", "\"1:60\"" },
		{ "0:30", "\"0:30\"" },
		{ "1:30.5", "{\"!\": \"float\", \"v\": \"1:30.5\"}" },
		{ "1.5", "1.5" },
		{ "1.", "1.0" },
		{ "-1_0.2_5", "-10.25" },
		{ ".5", "0.5" },
		{ "-.5", "\"-.5\"" },
		{ "1e5", "\"1e5\"" },
		{ "1.0e5", "\"1.0e5\"" },
		{ "1.0e+5", "100000.0" },
		{ "1.5e-300", "1.5e-300" },
		{ "0.1", "0.1" },
		{ "3.141592653589793", "3.141592653589793" },
		{ "100.0", "100.0" },
		{ ".", "\".\"" },
		{ "1.2.3", "\"1.2.3\"" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "9223372036854775808", "{\"!\": \"int\", \"v\": \"9223372036854775808\"}" },
		{ "-9223372036854775809", "{\"!\": \"int\", \"v\": \"-9223372036854775809\"}" },
		{ ".inf", "1e999" },
		{ "-.INF", "-1e999" },
		{ ".nan", "{\"!\": \"float\", \"v\": \".nan\"}" },
		{ "+.nan", "\"+.nan\"" },
		{ "'1'", "\"1\"" },
		{ "\"yes\"", "\"yes\"" },
		{ "\"a\\0b\\u00e9\"", "\"a\\u0000b\xc3\xa9\"" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		expect(*state, slice_str(cases[i][0]), cases[i][1]);
}

/* What JSON has no value for keeps its text. */
static void test_timestamps(void **state)
{
	static const char *const yes[] = {
		"2026-11-24",
		"2026-11-24T09:05:07",
		"2026-1-4t9:05:07.",
		"2026-11-24 \t 9:05:07.123456789",
		"2026-11-24 9:05:07Z",
		"2026-11-24 09:05:07  +2",
		"2026-11-24 09:05:07-02:30",
		"2026-99-99", /* a date or not: Python says */
	};
	static const char *const no[] = {
		"2026-1-4",
		"2026-11",
		"26-11-24",
		"2026-11-24x",
		"2026-11-24T",
		"2026-11-24T9",
		"2026-11-24 9:5:07",
		"2026-11-24 9:05",
		"2026-11-24 9:05:07 UTC",
		"2026-11-24 9:05:07z",
		"2026-11-24 9:05:07+123",
		"2026-11-24 9:05:07+2:3",
		"2026-111-24",
	};
	char json[200];

	for (unsigned i = 0; i < ARRAY_LEN(yes); i++) {
		snprintf(json, sizeof(json), "{\"!\": \"timestamp\", \"v\": \"%s\"}", yes[i]);
		if (!strchr(yes[i], '\t'))
			expect(*state, slice_str(yes[i]), json);
		else
			expect(*state, slice_str(yes[i]),
			       "{\"!\": \"timestamp\", \"v\": "
			       "\"2026-11-24 \\t 9:05:07.123456789\"}");
	}
	for (unsigned i = 0; i < ARRAY_LEN(no); i++) {
		snprintf(json, sizeof(json), "\"%s\"", no[i]);
		expect(*state, slice_str(no[i]), json);
	}
	expect(*state, SLICE("'2026-11-24'"), "\"2026-11-24\"");
}

static void test_values_beyond_json(void **state)
{
	struct region *r = *state;

	expect(r, SLICE("!!binary aGk="), "{\"!\": \"binary\", \"v\": \"aGk=\"}");
	expect(r, SLICE("!!timestamp '2026-1-4'"), "{\"!\": \"timestamp\", \"v\": \"2026-1-4\"}");
	expect(r, SLICE("!!set {a, 1}"),
	       "{\"!\": \"set\", \"v\": {\"!\": \"map\", \"v\": [[\"a\", null], [1, null]]}}");
	expect(r, SLICE("!!omap [a: 1, b: 2]"),
	       "{\"!\": \"pairs\", \"v\": [{\"a\": 1}, {\"b\": 2}]}");
	expect(r, SLICE("!!pairs []"), "{\"!\": \"pairs\", \"v\": []}");
	expect(r, SLICE("!!float 99999999999999999999"),
	       "{\"!\": \"float\", \"v\": \"99999999999999999999\"}");
	expect(r, SLICE("{1: a, '1': b, 1: c, yes: d, ~: e, 2026-11-24: f, 1.5: g}"),
	       "{\"!\": \"map\", \"v\": [[1, \"c\"], [\"1\", \"b\"], [true, \"d\"], [null, \"e\"], "
	       "[{\"!\": \"timestamp\", \"v\": \"2026-11-24\"}, \"f\"], [1.5, \"g\"]]}");
	expect(r, SLICE("{'!': 1}"), "{\"!\": \"map\", \"v\": [[\"!\", 1]]}");
	expect(r, SLICE("[&k 7, {*k : 1}]"), "[7, {\"!\": \"map\", \"v\": [[7, 1]]}]");
	expect(r, SLICE("a: &d {1: x}\nb: {<<: *d, 2: y}"),
	       "{\"a\": {\"!\": \"map\", \"v\": [[1, \"x\"]]}, "
	       "\"b\": {\"!\": \"map\", \"v\": [[1, \"x\"], [2, \"y\"]]}}");
}

static void test_tags_make_no_objects(void **state)
{
	struct region *r = *state;

	expect(r, SLICE("!!str 1"), "\"1\"");
	expect(r, SLICE("! 1"), "\"1\"");
	expect(r, SLICE("!!int '7'"), "{\"!\": \"int\", \"v\": \"7\"}");
	expect(r, SLICE("!!float 7"), "{\"!\": \"float\", \"v\": \"7\"}");
	expect(r, SLICE("!!float 1e5"), "{\"!\": \"float\", \"v\": \"1e5\"}");
	expect(r, SLICE("!!float x"), "{\"!\": \"float\", \"v\": \"x\"}");
	expect(r, SLICE("!!int x"), "{\"!\": \"int\", \"v\": \"x\"}");
	expect(r, SLICE("!!null x"), "null");
	expect(r, SLICE("!!bool 'yes'"), "true");
	expect(r, SLICE("!mine 1"), "1");
	expect(r, SLICE("!!python/object/apply:os.system ['true']"), "[\"true\"]");
	expect(r, SLICE("!!python/name:os.system x"), "\"x\"");
}

static void test_aliases_and_merges(void **state)
{
	struct region *r = *state;

	expect(r, SLICE("a: &x [1, 2]\nb: *x\nc: *x\n"),
	       "{\"a\": [1, 2], \"b\": [1, 2], \"c\": [1, 2]}");
	expect(r, SLICE("- &x 1\n- &x 2\n- *x\n"), "[1, 2, 2]");
	expect(r, SLICE("- &k key\n- *k : 1\n"), "[\"key\", {\"key\": 1}]");
	expect(r, SLICE("a: &d {x: 1, y: 2}\nb:\n  y: 3\n  <<: *d\n  z: 4\n"),
	       "{\"a\": {\"x\": 1, \"y\": 2}, \"b\": {\"x\": 1, \"y\": 3, \"z\": 4}}");
	expect(r, SLICE("{<<: [{a: 1, b: 1}, {a: 2, c: 2}], b: 3}"),
	       "{\"a\": 1, \"c\": 2, \"b\": 3}");
	expect(r, SLICE("{'<<': 1}"), "{\"<<\": 1}");
	expect(r, SLICE("{a: 1, b: 2, a: 3, c: 4, a: 5}"), "{\"a\": 5, \"b\": 2, \"c\": 4}");
	expect(r, SLICE("{a: 1, a: 2}"), "{\"a\": 2}");
	refuse(r, SLICE("a: *x\n"), "line 1: an alias without its anchor");
	refuse(r, SLICE("a: &x\n  b: *x\n"), "line 2: an alias within its own anchor");
	refuse(r, SLICE("{<<: 1}"), "line 1: << takes a mapping or a list of mappings");
}

static void test_refusals(void **state)
{
	struct region *r = *state;

	refuse(r, SLICE("a: 1\n---\nb: 2\n"), "line 2: more than one document");
	refuse(r, SLICE("? [1]\n: 2\n"), "line 1: a key must be a scalar");
	refuse(r, SLICE("&a [1]: 2\n"), "line 1: a key must be a scalar");
	refuse(r, SLICE("- &a [1]\n- {*a : 2}\n"), "line 2: a key must be a scalar");
	refuse(r, SLICE("a: [1\n"), "line 2: did not find expected ',' or ']'");
	refuse(r, SLICE("a:\n\t- 1\n"), "line 2: found character that cannot start any token");
	refuse(r, SLICE("a: \xff\n"), "line 1: invalid leading UTF-8 octet");
}

/* n brackets, then an alias of a list two levels deep. */
static struct slice nested(struct region *r, unsigned n, const char *inner)
{
	char *p = region_alloc(r, 2 * n + 100);
	size_t len = strlen(inner);

	memset(p, '[', n);
	memcpy(p + n, inner, len);
	memset(p + n + len, ']', n);
	return slice_make(p, 2 * n + len);
}

static void test_depth_is_bounded(void **state)
{
	struct region *r = *state;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1000);
	struct yaml *y;

	assert_int_equal(yaml_parse(r, nested(r, 32, ""), &y, &why), 0);
	assert_int_equal(y->height, 32);
	refuse(r, nested(r, 33, ""), "line 1: nested more than 32 levels deep");
	refuse(r, nested(r, 10000, ""), "line 1: nested more than 32 levels deep");
	assert_int_equal(yaml_parse(r, nested(r, 30, "&a [[]], *a"), &y, &why), 0);
	refuse(r, nested(r, 30, "&a [[]], [*a]"), "line 1: nested more than 32 levels deep");
}

/* Nine levels of ten aliases each would be a thousand million nodes. */
static void test_laughs_are_bounded(void **state)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(100000);

	buf_puts(&text, "l0: &l0 lol\n");
	for (unsigned i = 1; i <= 9; i++) {
		buf_printf(&text, "l%u: &l%u [", i, i);
		for (unsigned j = 0; j < 10; j++)
			buf_printf(&text, "%s*l%u", j ? ", " : "", i - 1);
		buf_puts(&text, "]\n");
	}
	refuse(*state, buf_slice(&text), "line 6: more than 100000 nodes");

	/* The same with one long text, and with merge keys. */
	buf_clear(&text);
	buf_puts(&text, "a: &a ");
	for (unsigned i = 0; i < 50000; i++)
		buf_putc(&text, 'x');
	buf_puts(&text, "\nb: [");
	for (unsigned i = 0; i < 1000; i++)
		buf_puts(&text, "*a, ");
	buf_puts(&text, "]\n");
	refuse(*state, buf_slice(&text), "line 2: more than 100000 nodes");

	buf_clear(&text);
	buf_puts(&text, "a: &a {");
	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&text, "k%u: 1, ", i);
	buf_puts(&text, "}\nb: [");
	for (unsigned i = 0; i < 1000; i++)
		buf_puts(&text, "{<<: *a}, ");
	buf_puts(&text, "]\n");
	refuse(*state, buf_slice(&text), "line 2: more than 100000 nodes");
}

static void test_size_is_bounded(void **state)
{
	size_t n = (1 << 20) + 1;
	_cleanup_(freep) char *text = mem_alloc(n);
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1000), out = BUF_INIT(100);
	struct region *r = *state;
	struct yaml *y;

	memset(text, '#', n);
	refuse(r, slice_make(text, n), "line 1: the text is longer than 1048576 bytes");
	expect(r, slice_make(text, n - 1), "null");
	for (size_t i = 0; i < n; i++)
		text[i] = "- 1\n"[i % 4];
	refuse(r, slice_make(text, n - 1), "line 100000: more than 100000 nodes");

	/* A bound that is reached while writing is seen by the caller. */
	assert_int_equal(yaml_parse(r, slice_make(text, 4000), &y, &why), 0);
	yaml_to_json(y, &out);
	assert_true(buf_overflowed(&out));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_model_config),
		TEST(test_empty_documents),
		TEST(test_scalars),
		TEST(test_timestamps),
		TEST(test_values_beyond_json),
		TEST(test_tags_make_no_objects),
		TEST(test_aliases_and_merges),
		TEST(test_refusals),
		TEST(test_depth_is_bounded),
		TEST(test_laughs_are_bounded),
		TEST(test_size_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
