/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "pipeline/npy.h"
#include "worker/optimized.h"

#define FOLDER "/tmp/test-optimized-XXXXXX"

static char folder[sizeof(FOLDER)];

static void put(const char *name, struct slice content)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", folder, name);

	assert_int_equal(file_write_atomic(path, content, 0644), 0);
}

static void put_tensor(const char *name, uint32_t dtype, void *data, int64_t n)
{
	_cleanup_(buf_finish) struct buf file = BUF_INIT(4096);
	struct sconce_tensor t = { .data = data,
				   .bytes = (uint64_t)n * sconce_dtype_size(dtype),
				   .dtype = dtype,
				   .ndim = 2,
				   .shape = { 1, n } };
	struct sconce_error e;

	assert_int_equal(npy_write(&file, &t, &e), 0);
	put(name, buf_slice(&file));
}

static void put_row(const char *name, float first)
{
	float row[3] = { first, 2, 100 };

	put_tensor(name, SCONCE_FP32, row, 3);
}

#define FACTS_OF(model, engine, artifact, device, input, output, tolerance)                        \
	"{\"format\":1,\"model\":\"" model "\",\"engine\":\"" engine "\",\"artifact\":\"" artifact \
	"\",\"precision\":\"fp32\",\"device\":\"" device "\",\"input_names\":[\"" input            \
	"\"],\"output_names\":[\"" output "\"],\"tolerance\":" tolerance ",\"difference\":0}"
#define FACTS(...) FACTS_OF("original.echo", __VA_ARGS__)
#define USUAL FACTS("echo", "model.echo", "cpu", "input", "output", "0.001")

static bool opened(const char *facts, struct pipeline *p)
{
	struct model_wish w = { .engine = "",
				.dir = folder,
				.file = "original.echo",
				.device = "cpu",
				.python = "",
				.cache = "",
				.config = "{}",
				.instances = 1,
				.threads = 1 };
	struct model m;
	bool r;

	put("optimized/optimized.json", slice_str(facts));
	r = optimized_open(&m, &w, p);
	if (r)
		assert_non_null(strstr(m.path, "/optimized/model."));
	else
		assert_null(m.engine);
	model_close(&m);
	return r;
}

/* `answer`: what the original has for 1; the engine answers what it is sent. */
static bool used(const char *facts, float answer)
{
	put_row("optimized/sample-output-0.npy", answer);
	return opened(facts, NULL);
}

/* The same for what this pipeline needs. */
static bool opened_for(const char *facts, const char *steps)
{
	struct sconce_error e;
	struct pipeline *p;
	bool r;

	if (pipeline_parse_text(slice_str(steps), &p, &e) < 0)
		fail_msg("%s", e.text);
	r = opened(facts, p);
	pipeline_free(p);
	return r;
}

static int set_up(void **state)
{
	_cleanup_(freep) char *inside = NULL;

	(void)state;
	memcpy(folder, FOLDER, sizeof(FOLDER));
	assert_non_null(mkdtemp(folder));
	inside = mem_printf("%s/optimized", folder);
	assert_int_equal(mkdir(inside, 0755), 0);
	put("original.echo", SLICE(""));
	put("optimized/model.echo", SLICE(""));
	put_row("optimized/sample-input-0.npy", 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return file_remove_tree(folder);
}

static void it_is_used_where_the_sample_is_answered_as_the_original_does(void **state)
{
	(void)state;
	assert_true(used(USUAL, 1));
	/* 0.1 of 100 is the tolerance, twice that its margin. */
	assert_true(used(USUAL, 1.15f));
	assert_false(used(USUAL, 1.25f));
	assert_true(used(FACTS("echo", "model.echo", "cpu", "input", "output", "0.01"), 1.25f));
}

static void what_is_no_number_is_no_answer(void **state)
{
	(void)state;
	assert_false(used(USUAL, __builtin_nanf("")));
	assert_false(used(USUAL, __builtin_inff()));
	put_row("optimized/sample-input-0.npy", __builtin_nanf(""));
	assert_true(used(USUAL, __builtin_nanf("")));
	assert_false(used(USUAL, 1));
}

static void what_cannot_be_used_is_not(void **state)
{
	static const char *const facts[] = {
		"",
		"[]",
		"{\"format\":2}",
		FACTS_OF("other.echo", "echo", "model.echo", "cpu", "input", "output", "1"),
		FACTS("", "model.echo", "cpu", "input", "output", "1"),
		FACTS("nowhere", "model.echo", "cpu", "input", "output", "1"),
		FACTS("hostile", "model.echo", "cpu", "input", "output", "1"),
		FACTS("echo", "../original.echo", "cpu", "input", "output", "1"),
		FACTS("echo", "", "cpu", "input", "output", "1"),
		FACTS("echo", "model.echo", "cuda", "input", "output", "1"),
		FACTS("echo", "model.echo", "cpu", "image", "output", "1"),
		FACTS("echo", "model.echo", "cpu", "input\",\"input", "output", "1"),
		FACTS("echo", "model.echo", "cpu", "input", "scores", "1"),
		"{\"format\":1,\"model\":\"original.echo\",\"engine\":\"echo\","
		"\"artifact\":\"model.echo\",\"device\":\"cpu\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		if (used(facts[i], 1))
			fail_msg("%s", facts[i]);
}

/* It may have lost a name or a dimension that the pipeline needs, and the original has. */
static void what_the_pipeline_does_not_fit_is_not_used(void **state)
{
	(void)state;
	put_row("optimized/sample-output-0.npy", 1);
	assert_true(opened_for(USUAL, "[{\"from_npy\": {\"as\": \"a\"}}, {\"infer\": "
				      "{\"inputs\": {\"input\": \"a\"}}}, \"encode_json\"]"));
	assert_false(opened_for(USUAL, "[{\"from_npy\": {\"as\": \"a\"}}, {\"infer\": "
				       "{\"inputs\": {\"other\": \"a\"}}}, \"encode_json\"]"));
}

/* Also where the pipeline tells the engine of inputs. */
static void its_own_configuration_is_what_its_engine_gets(void **state)
{
	int64_t rows = 1;

	(void)state;
	put("optimized/model.hostile", SLICE("good if told"));
	put_tensor("optimized/sample-input-0.npy", SCONCE_UINT8, (char[]){ "good    " }, 8);
	put_tensor("optimized/sample-output-0.npy", SCONCE_INT64, &rows, 1);
	assert_true(opened_for("{\"format\":1,\"model\":\"original.echo\",\"engine\":\"hostile\","
			       "\"artifact\":\"model.hostile\",\"device\":\"cpu\",\"config\":"
			       "{\"told\":1},\"input_names\":[\"word\"],"
			       "\"output_names\":[\"rows\"]}",
			       "[{\"from_raw\": {\"shape\": [1, 8], \"datatype\": \"UINT8\"}}, "
			       "\"infer\", \"encode_json\"]"));
}

static void a_sample_that_is_cut_short_proves_nothing(void **state)
{
	(void)state;
	put("optimized/sample-input-0.npy", SLICE("\x93NUMPY\x01"));
	assert_false(used(USUAL, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			it_is_used_where_the_sample_is_answered_as_the_original_does, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_number_is_no_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_used_is_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_pipeline_does_not_fit_is_not_used, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(its_own_configuration_is_what_its_engine_gets,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_sample_that_is_cut_short_proves_nothing, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
