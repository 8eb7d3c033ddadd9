/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>

#include "config/model_list.h"

static void expect_refused(enum model_list_kind kind, const char *json, const char *want)
{
	_cleanup_(model_list_finish) struct model_list l;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1024);

	assert_int_equal(model_list_parse(&l, kind, slice_str(json), &why), -EINVAL);
	assert_non_null(strstr(buf_cstr(&why), want));
}

static void test_models(void **state)
{
	static const struct slice json = SLICE(
		"{\"noop\": {\"1.0\": {\"defaultVersion\": true, \"marName\": \"noop.mar\","
		"\"minWorkers\": 1, \"maxWorkers\": \"2\", \"batchSize\": 4, \"maxBatchDelay\": "
		"100, \"responseTimeout\": 0, \"startupTimeout\": 30, \"parallelLevel\": 2,"
		"\"runtimeType\": \"python3\", \"unknown\": [1]}, \"2.0\": {}},}");
	_cleanup_(model_list_finish) struct model_list l;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1024);
	const struct model_entry *e;

	(void)state;
	assert_int_equal(model_list_parse(&l, MODEL_LIST_MODELS, json, &why), 0);
	assert_int_equal(l.n, 2);
	e = model_list_find(&l, SLICE("noop"), SLICE("1.0"));
	assert_true(e->is_default && slice_eq(e->runtime, SLICE("python3")));
	assert_true(slice_eq(e->mar_name, SLICE("noop.mar")));
	assert_int_equal(e->parameters.min_workers, 1);
	assert_int_equal(e->parameters.max_workers, 2);
	assert_int_equal(e->parameters.batch_size, 4);
	assert_int_equal(e->parameters.max_batch_delay_ms, 100);
	assert_int_equal(e->parameters.response_timeout_s, 0);
	assert_int_equal(e->parameters.startup_timeout_s, 30);
	assert_int_equal(e->parameters.parallel_level, 2);
	e = model_list_find(&l, SLICE("noop"), SLICE("2.0"));
	assert_true(!e->is_default && !e->mar_name.p && e->parameters.min_workers == -1);
	assert_null(model_list_find(&l, SLICE("noop"), SLICE("3.0")));
	assert_null(model_list_find(&l, SLICE("other"), SLICE("1.0")));
}

/* As Gson reads it. */
static void test_lenient(void **state)
{
	_cleanup_(model_list_finish) struct model_list l;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1024);

	(void)state;
	assert_int_equal(model_list_parse(&l, MODEL_LIST_MODELS,
					  SLICE("{'noop': {'1.0': {minWorkers: '3'}}}"), &why),
			 0);
	assert_int_equal(l.entries[0].parameters.min_workers, 3);
}

static void test_nothing(void **state)
{
	_cleanup_(model_list_finish) struct model_list l;

	(void)state;
	assert_int_equal(model_list_parse(&l, MODEL_LIST_MODELS, SLICE_NULL, NULL), 0);
	assert_int_equal(l.n, 0);
	assert_null(model_list_find(&l, SLICE("noop"), SLICE("1.0")));
}

static void test_what_is_refused(void **state)
{
	(void)state;
	expect_refused(MODEL_LIST_MODELS, "{\"a\": ", "is not JSON: ");
	expect_refused(MODEL_LIST_MODELS, "[]", "must be an object");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": 1}", "model a: its versions must be an object");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": 1}}",
		       "model a, version 1: its parameters: allowed: an object");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"minWorkers\": -1}}}",
		       "model a, version 1: minWorkers: allowed: 0..100000");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"batchSize\": 18446744073709551615}}}",
		       "batchSize: allowed: 1..2147483647");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"batchSize\": null}}}", "batchSize");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"defaultVersion\": 1}}}",
		       "defaultVersion: allowed: true|false");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"runtimeType\": \"java\"}}}",
		       "runtimeType: allowed: python|python3|LSP");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"marName\": \"a\\u0000b\"}}}",
		       "marName: allowed: text");
	expect_refused(MODEL_LIST_SNAPSHOT, "{}", "must be an object");
	expect_refused(MODEL_LIST_SNAPSHOT, "{\"models\": {\"a\": {\"1\": {}}}}",
		       "marName: allowed: the archive's file name");
	expect_refused(MODEL_LIST_SNAPSHOT, "{\"modelCount\": 2, \"models\": {}}",
		       "modelCount is not the number of models");
}

static void test_too_many(void **state)
{
	_cleanup_(buf_finish) struct buf json = BUF_INIT((size_t)1 << 20);

	(void)state;
	buf_puts(&json, "{\"a\":{");
	for (unsigned i = 0; i <= MODEL_LIST_MAX; i++)
		buf_printf(&json, "%s\"%u\":{}", i ? "," : "", i);
	buf_puts(&json, "}}");
	expect_refused(MODEL_LIST_MODELS, buf_cstr(&json), "at most 10000");
}

static void test_snapshot_reads_back(void **state)
{
	static const struct model_entry entries[] = {
		{ .model = SLICE_CONST("a\"b"),
		  .version = SLICE_CONST("1.0"),
		  .mar_name = SLICE_CONST("a.mar"),
		  .parameters = { 0, 0, 1, 100, 120, 120, -1 } },
		{ .model = SLICE_CONST("a\"b"),
		  .version = SLICE_CONST("2.0"),
		  .mar_name = SLICE_CONST("a2.mar"),
		  .url = SLICE_CONST("file:///a2.mar"),
		  .handler = SLICE_CONST("h.py"),
		  .is_default = true,
		  .parameters = { 2, 3, 8, 50, 10, 20, 2 } },
		{ .model = SLICE_CONST("c"),
		  .version = SLICE_CONST("1.0"),
		  .mar_name = SLICE_CONST("c.mar"),
		  .runtime = SLICE_CONST("LSP"),
		  .parameters = { -1, -1, -1, -1, -1, -1, -1 } },
	};
	_cleanup_(buf_finish) struct buf out = BUF_INIT(4096), why = BUF_INIT(1024);
	_cleanup_(model_list_finish) struct model_list l;

	(void)state;
	model_list_write_snapshot(&out, "x.cfg", 1592240151442, entries, 3);
	assert_memory_equal(out.p,
			    "{\"name\":\"x.cfg\",\"modelCount\":2,\"created\":1592240151442,", 55);
	assert_int_equal(model_list_parse(&l, MODEL_LIST_SNAPSHOT, buf_slice(&out), &why), 0);
	assert_int_equal(l.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(slice_eq(l.entries[i].model, entries[i].model));
		assert_true(slice_eq(l.entries[i].version, entries[i].version));
		assert_true(slice_eq(l.entries[i].mar_name, entries[i].mar_name));
		assert_true(slice_eq(l.entries[i].url, entries[i].url));
		assert_true(slice_eq(l.entries[i].handler, entries[i].handler));
		assert_true(slice_eq(l.entries[i].runtime, entries[i].runtime));
		assert_int_equal(l.entries[i].is_default, entries[i].is_default);
		assert_memory_equal(&l.entries[i].parameters, &entries[i].parameters,
				    sizeof(struct model_parameters));
	}
	buf_clear(&out);
	model_list_write_snapshot(&out, "x.cfg", 1, NULL, 0);
	assert_string_equal(buf_cstr(&out),
			    "{\"name\":\"x.cfg\",\"modelCount\":0,\"created\":1,\"models\":{}}");
}

/* Every beginning of a snapshot is refused: a file that was cut short is known by it. */
static void test_cut_short(void **state)
{
	static const struct slice json = SLICE(
		"{\"modelCount\":1,\"models\":{\"a\":{\"1.0\":{\"marName\":\"a.mar\"}}}}");

	(void)state;
	for (size_t n = 1; n < json.n; n++) {
		_cleanup_(model_list_finish) struct model_list l;
		_cleanup_(buf_finish) struct buf why = BUF_INIT(1024);

		assert_int_equal(
			model_list_parse(&l, MODEL_LIST_SNAPSHOT, slice_make(json.p, n), &why),
			-EINVAL);
		assert_true(why.n > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_models),    cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_nothing),   cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_too_many),  cmocka_unit_test(test_snapshot_reads_back),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
