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

	assert_int_equal(model_list_parse(&l, kind, slice_str(json), &why, NULL), -EINVAL);
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
	assert_int_equal(model_list_parse(&l, MODEL_LIST_MODELS, json, &why, NULL), 0);
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
					  SLICE("{'noop': {'1.0': {minWorkers: '3'}}}"), &why,
					  NULL),
			 0);
	assert_int_equal(l.entries[0].parameters.min_workers, 3);
}

/* Whole numbers, as Helm, Terraform and Jinja write them. */
static void test_numbers_as_templates_render_them(void **state)
{
	static const struct slice json = SLICE(
		"{\"m\": {\"1.0\": {\"minWorkers\": 1.0, \"maxWorkers\": \"2 \", \"batchSize\": "
		"\"4.0\", \"maxBatchDelay\": 1e+06, \"responseTimeout\": \"1e2\"}}} ");
	_cleanup_(model_list_finish) struct model_list l;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1024), doubts = BUF_INIT(1024);
	const struct model_parameters *p;

	(void)state;
	assert_int_equal(model_list_parse(&l, MODEL_LIST_MODELS, json, &why, &doubts), 0);
	assert_int_equal(doubts.n, 0);
	p = &l.entries[0].parameters;
	assert_true(p->min_workers == 1 && p->max_workers == 2 && p->batch_size == 4);
	assert_true(p->max_batch_delay_ms == 1000000 && p->response_timeout_s == 100);
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"batchSize\": 1.5}}}",
		       "batchSize: 1.5 is not accepted; allowed: 1..");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"batchSize\": \"two\"}}}",
		       "batchSize: \"two\" is not accepted");
}

static void expect_workers(const char *parameters, int64_t min, int64_t max, const char *doubt)
{
	_cleanup_(model_list_finish) struct model_list l;
	_cleanup_(buf_finish) struct buf json = BUF_INIT(1024), why = BUF_INIT(1024),
					 doubts = BUF_INIT(1024);

	buf_printf(&json, "{m: {'1': {%s}}}", parameters);
	assert_int_equal(model_list_parse(&l, MODEL_LIST_MODELS, buf_slice(&json), &why, &doubts),
			 0);
	assert_int_equal(l.entries[0].parameters.min_workers, min);
	assert_int_equal(l.entries[0].parameters.max_workers, max);
	assert_non_null(strstr(doubts.n ? buf_cstr(&doubts) : "", doubt));
	assert_true(*doubt || !doubts.n);
}

/* A snapshot can have models without workers, the setting cannot. */
static void test_workers(void **state)
{
	_cleanup_(model_list_finish) struct model_list l;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1024), doubts = BUF_INIT(1024);

	(void)state;
	expect_workers("maxWorkers: 3", 1, 3, "");
	expect_workers("minWorkers: 2", 2, -1, "");
	expect_workers("minWorkers: 0", 1, -1, "model m, version 1: minWorkers: 0 counts as 1\n");
	expect_workers("minWorkers: 0, maxWorkers: 4", 1, 4, "minWorkers: 0 counts as 1\n");
	expect_workers("minWorkers: 2, maxWorkers: 1", 2, 2,
		       "maxWorkers: 1 is less than minWorkers and counts as 2\n");
	expect_workers("maxWorkers: 0", -1, -1, "maxWorkers: 0 counts as minWorkers\n");
	assert_int_equal(
		model_list_parse(
			&l, MODEL_LIST_SNAPSHOT,
			SLICE("{models: {m: {'1': {marName: 'm', minWorkers: 0, maxWorkers: 0}}}}"),
			&why, &doubts),
		0);
	assert_true(!doubts.n && l.entries[0].parameters.min_workers == 0);
}

static void test_members_that_are_not_known(void **state)
{
	_cleanup_(model_list_finish) struct model_list l;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(1024), doubts = BUF_INIT(1024);

	(void)state;
	assert_int_equal(model_list_parse(&l, MODEL_LIST_MODELS,
					  SLICE("{m: {'1': {minWorker: 2, 'a\\n\\u001b': 1}}}"),
					  &why, &doubts),
			 0);
	assert_string_equal(buf_cstr(&doubts),
			    "model m, version 1: minWorker: is not known and has no effect; did "
			    "you mean 'minWorkers'?\n"
			    "model m, version 1: a??: is not known and has no effect\n");
}

static void test_nothing(void **state)
{
	_cleanup_(model_list_finish) struct model_list l;

	(void)state;
	assert_int_equal(model_list_parse(&l, MODEL_LIST_MODELS, SLICE_NULL, NULL, NULL), 0);
	assert_int_equal(l.n, 0);
	assert_null(model_list_find(&l, SLICE("noop"), SLICE("1.0")));
}

static void test_what_is_refused(void **state)
{
	(void)state;
	expect_refused(MODEL_LIST_MODELS, "{\"a\": ", "is not JSON: ");
	expect_refused(MODEL_LIST_MODELS, "a=a.mar", "archives to load are named by load_models");
	expect_refused(MODEL_LIST_MODELS, "[]", "must be an object");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": 1}", "model a: its versions must be an object");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": 1}}",
		       "model a, version 1: its parameters: 1 is not accepted; allowed: an object");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"minWorkers\": -1}}}",
		       "model a, version 1: minWorkers: -1 is not accepted; allowed: 0..100000");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"batchSize\": 18446744073709551615}}}",
		       "batchSize: 18446744073709551615 is not accepted; allowed: 1..2147483647");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"batchSize\": null}}}", "batchSize");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"defaultVersion\": 1}}}",
		       "defaultVersion: 1 is not accepted; allowed: true|false");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"runtimeType\": \"java\"}}}",
		       "runtimeType: \"java\" is not accepted; allowed: python|python3|LSP");
	expect_refused(MODEL_LIST_MODELS, "{\"a\": {\"1\": {\"marName\": \"a\\u0000b\"}}}",
		       "marName: \"a\\u0000b\" is not accepted; allowed: text");
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
	assert_int_equal(model_list_parse(&l, MODEL_LIST_SNAPSHOT, buf_slice(&out), &why, NULL), 0);
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

		assert_int_equal(model_list_parse(&l, MODEL_LIST_SNAPSHOT, slice_make(json.p, n),
						  &why, NULL),
				 -EINVAL);
		assert_true(why.n > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_numbers_as_templates_render_them),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_members_that_are_not_known),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_snapshot_reads_back),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
