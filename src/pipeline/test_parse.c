/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/rig.h"

/* Every sentence names the step, its op and the reason. */
static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *steps, *why;
	} cases[] = {
		{ "", "the pipeline is no JSON" },
		{ "{}", "a pipeline must be a list of steps" },
		{ "[]", "a pipeline must be a list of steps" },
		{ "[7]", "step 1: it must be the name of an op, or an op with its parameters" },
		{ "[{\"a\": 1, \"b\": 2}]",
		  "step 1: it must be the name of an op, or an op with its parameters" },
		{ "[\"decode_imgae\"]",
		  "step 1: there is no op \"decode_imgae\": did you mean decode_image?" },
		{ "[\"frobnicate\"]", "step 1: there is no op \"frobnicate\"" },
		{ "[\"decode_image\", {\"resize\": {\"sise\": 256}}]",
		  "step 2, resize: it has no parameter \"sise\": did you mean size?" },
		{ "[\"decode_image\", \"resize\"]",
		  "step 2, resize: it needs size, or width and height" },
		{ "[\"decode_image\", {\"resize\": {\"width\": 3}}]",
		  "step 2, resize: it needs size, or width and height" },
		{ "[\"decode_image\", {\"resize\": \"big\"}]",
		  "step 2, resize: size must be a whole number" },
		{ "[\"decode_image\", {\"resize\": 1000000}]",
		  "step 2, resize: size must be from 0 to 65535" },
		{ "[\"decode_image\", {\"resize\": {\"size\": 9, \"filter\": \"best\"}}]",
		  "step 2, resize: filter: there is no filter \"best\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(rig_refuses(cases[i].steps), cases[i].why);
}

static void what_does_not_go_together_is_said(void **state)
{
	static const struct {
		const char *steps, *why;
	} cases[] = {
		{ "[\"decode_image\", \"softmax\"]",
		  "step 2, softmax: it takes tensor, but is given image" },
		{ "[{\"decode_image\": {\"device\": \"gpu\", \"scaled\": true}}]",
		  "step 1, decode_image: scaled: true and device: gpu exclude each other" },
		{ "[{\"resize\": 5}]",
		  "step 1, resize: it takes image, but is the first step and gets bytes" },
		{ "[\"decode_image\", \"to_tensor\"]",
		  "step 2, to_tensor: it is the last one and gives tensor, which is no answer: add "
		  "encode_json, or another that encodes" },
		{ "[\"from_npy\", \"infer\", \"infer\", \"encode_json\"]",
		  "step 3, infer: step 2 is one already, and there can be but one" },
		{ "[\"from_npy\", {\"softmax\": {\"from\": \"later\"}}, {\"softmax\": {\"as\": "
		  "\"later\"}}]",
		  "step 2, softmax: no step before it has the name \"later\" "
		  "(as: NAME gives one)" },
		{ "[{\"from_npy\": {\"as\": \"a\"}}, {\"softmax\": {\"as\": \"a\"}}]",
		  "step 2, softmax: step 1 has the name a already" },
		{ "[{\"from_npy\": {\"as\": \"request\"}}]",
		  "step 1, from_npy: as must be a name of letters, digits, '_' and '-' other than "
		  "request and infer" },
		{ "[\"from_npy\", {\"transpose\": [0, 0]}]",
		  "step 2, transpose: axes must have each axis once" },
		{ "[\"from_npy\", {\"transpose\": 32}]",
		  "step 2, transpose: axes must be from 0 to 15" },
		{ "[\"from_npy\", {\"transpose\": 18446744073709551584}]",
		  "step 2, transpose: axes must be from 0 to 15" },
		{ "[\"decode_image\", {\"pad\": {\"size\": 1, \"fill\": 300}}]",
		  "step 2, pad: fill must be from 0 to 255" },
		{ "[{\"from_raw\": {\"shape\": -5}}]",
		  "step 1, from_raw: shape must be from -1 to 1073741824" },
		{ "[\"from_npy\", \"transpose\"]",
		  "step 2, transpose: it needs axes: which of its axes comes where: [1, 2, 0]" },
		{ "[{\"from_raw\": {\"shape\": [-1, -1]}}]",
		  "step 1, from_raw: shape: only one size may be -1" },
		{ "[{\"from_raw\": {\"shape\": [2, 3]}}, {\"softmax\": 2}]",
		  "step 2, softmax: there is no axis 2 of 2" },
		{ "[{\"from_raw\": {\"shape\": [2, 3]}}, {\"topk\": 2}]",
		  "step 2, topk: it takes the scores of classes, one dimension, but is given 2" },
		{ "[\"from_npy\", {\"topk\": 2}, \"nms\"]",
		  "step 3, nms: it takes objects, as boxes gives them" },
		{ "[\"from_npy\", {\"cast\": \"BYTES\"}]",
		  "step 2, cast: datatype: there is no datatype of numbers \"BYTES\"" },
		{ "[{\"decode_image\": {\"lists\": true}}, {\"resize\": 5}, \"encode_png\"]",
		  "step 1, decode_image: with lists: true the steps on the picture must follow and "
		  "end with a tensor FP32" },
		{ "[\"from_npy\", {\"normalize\": {\"mean\": [1, 2], \"std\": 1}}]",
		  "step 2, normalize: mean and std must have as many values" },
		{ "[\"from_npy\", {\"normalize\": {\"mean\": 1, \"std\": 0}}]",
		  "step 2, normalize: a standard deviation of 0 cannot be divided by" },
		{ "[{\"from_npy\": 3}]", "step 1, from_npy: it has no parameters" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(rig_refuses(cases[i].steps), cases[i].why);
}

static void too_many_steps(void **state)
{
	struct buf steps = BUF_INIT(4096);

	(void)state;
	buf_puts(&steps, "[\"from_npy\"");
	for (int i = 0; i < PIPELINE_STEPS_MAX; i++)
		buf_puts(&steps, ", \"softmax\"");
	buf_putc(&steps, ']');
	assert_string_equal(rig_refuses(buf_cstr(&steps)), "a pipeline has at most 64 steps");
	buf_finish(&steps);
}

static void default_handlers_are_pipelines(void **state)
{
	static const char *const names[] = { "image_classifier", "image_segmenter",
					     "object_detector" };
	struct sconce_error e = { "" };
	struct pipeline *p;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		if (pipeline_of_handler(names[i], &p, &e) < 0)
			fail_msg("%s", e.text);
		assert_true(pipeline_is_handler(p) && pipeline_has_infer(p));
		pipeline_free(p);
	}
	assert_int_equal(pipeline_of_handler("text_classifier", &p, &e), -1);
	assert_string_equal(e.text, "the handler text_classifier is no pipeline: it needs Python");
	assert_null(p);
}

static void the_model_is_told_what_it_will_get(void **state)
{
	struct sconce_tensor_spec spec;
	struct sconce_error e = { "" };
	struct pipeline *p;

	(void)state;
	assert_int_equal(pipeline_of_handler("image_classifier", &p, &e), 0);
	assert_true(pipeline_input(p, &spec));
	assert_int_equal(spec.dtype, SCONCE_FP32);
	assert_int_equal(spec.ndim, 4);
	assert_int_equal(spec.shape[0], SCONCE_DIM_ANY);
	assert_int_equal(spec.shape[1], 3);
	assert_int_equal(spec.shape[2], 224);
	assert_int_equal(spec.shape[3], 224);
	pipeline_free(p);
}

static const char *binds(const char *steps, const struct sconce_signature *s)
{
	static struct sconce_error e;
	struct pipeline *p;

	e.text[0] = '\0';
	if ((*steps == '[' ? pipeline_parse_text(slice_str(steps), &p, &e)
			   : pipeline_of_handler(steps, &p, &e)) == 0)
		pipeline_bind(p, s, "/nowhere", &e);
	pipeline_free(p);
	return e.text;
}

/* Before the first request, not at it. */
static void models_that_do_not_fit_are_refused(void **state)
{
	static const struct sconce_tensor_spec picture = {
		"x", SCONCE_FP32, 4, { -1, 3, 224, 224 }
	};
	static const struct sconce_tensor_spec small = { "x", SCONCE_FP32, 4, { -1, 3, 32, 32 } };
	static const struct sconce_tensor_spec half = { "x", SCONCE_FP16, 4, { -1, 3, 224, 224 } };
	static const struct sconce_tensor_spec two[] = {
		{ "x", SCONCE_FP32, 4, { -1, 3, 224, 224 } }, { "y", SCONCE_FP32, 1, { -1 } }
	};
	static const struct sconce_tensor_spec classes = { "y", SCONCE_FP32, 2, { -1, 1000 } };
	static const struct sconce_tensor_spec map = { "y", SCONCE_FP32, 4, { -1, 21, 224, 224 } };
	static const struct sconce_tensor_spec dict[] = {
		{ "out", SCONCE_FP32, 4, { -1, 21, 9, 9 } },
		{ "aux", SCONCE_FP32, 4, { -1, 21, 9, 9 } }
	};
	static const struct {
		const char *steps;
		struct sconce_signature s;
		const char *why;
	} cases[] = {
		{ "image_classifier", { 0, &picture, &classes, 1, 1, 1 }, "" },
		{ "image_segmenter", { 0, &picture, dict, 1, 2, 1 }, "" },
		{ "image_classifier",
		  { 0, &small, &classes, 1, 1, 1 },
		  "step 7, infer: the model's input \"x\" is a tensor FP32 [-1, 3, 32, 32], "
		  "but given "
		  "a tensor FP32 [1, 3, 224, 224]" },
		{ "image_classifier",
		  { 0, &half, &classes, 1, 1, 1 },
		  "step 7, infer: the model's input \"x\" is a tensor FP16 [-1, 3, 224, 224], but "
		  "given a tensor FP32 [1, 3, 224, 224]" },
		{ "image_classifier",
		  { 0, two, &classes, 2, 1, 1 },
		  "step 7, infer: the model has 2 inputs, but is given 1 values "
		  "(inputs: names them)" },
		{ "image_classifier",
		  { 0, &picture, dict, 1, 2, 1 },
		  "step 8, softmax: the model has 2 outputs: say which one (from: infer.NAME), of "
		  "out, aux" },
		{ "image_classifier",
		  { 0, &picture, &map, 1, 1, 1 },
		  "step 9, topk: it takes the scores of classes, one dimension, but is given 3" },
		{ "image_segmenter",
		  { 0, &picture, &map, 1, 1, 1 },
		  "step 8, softmax: the model has no output \"out\", but: y" },
		{ "object_detector",
		  { 0, &picture, dict, 1, 2, 1 },
		  "step 5, boxes: the model has no output \"output_0.boxes\", but: out, aux" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sconce_signature s = cases[i].s;

		s.size = sizeof(s);
		assert_string_equal(binds(cases[i].steps, &s), cases[i].why);
	}
}

/* Also for a handler that has no use for it: Python's would not load either. */
static void a_broken_file_of_labels_is_no_model(void **state)
{
	static const struct sconce_tensor_spec in = { "x", SCONCE_FP32, 4, { -1, 3, 224, 224 } };
	static const struct sconce_tensor_spec out = { "out", SCONCE_FP32, 4, { -1, 21, 9, 9 } };
	static const struct sconce_signature s = { sizeof(s), &in, &out, 1, 1, 1 };
	char folder[] = "/tmp/sconce-labels-XXXXXX", path[64];
	struct sconce_error e = { "" };
	struct pipeline *p;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/index_to_name.json", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("[1]", f);
	fclose(f);
	assert_int_equal(pipeline_of_handler("image_segmenter", &p, &e), 0);
	assert_int_equal(pipeline_bind(p, &s, folder, &e), -1);
	assert_string_equal(e.text,
			    "index_to_name.json: it must be an object with a name, or a list "
			    "of names, for each class");
	pipeline_free(p);
	assert_int_equal(remove(path), 0);
	assert_int_equal(remove(folder), 0);
}

static void a_pipeline_is_shown(void **state)
{
	struct buf out = BUF_INIT(65536);
	struct sconce_error e = { "" };
	struct pipeline *p;

	(void)state;
	assert_int_equal(pipeline_of_handler("image_classifier", &p, &e), 0);
	pipeline_show(p, &out);
	assert_non_null(strstr(buf_cstr(&out), " 1 ┌ decode_image lists=true"));
	assert_non_null(strstr(buf_cstr(&out), " 3 │ center_crop  size=224"));
	assert_non_null(strstr(buf_cstr(&out), " 5 └ normalize    mean=[0.485, 0.456, 0.406]"));
	assert_non_null(strstr(buf_cstr(&out), "tensor FP32 [3, 224, 224]"));
	assert_non_null(strstr(buf_cstr(&out), " 7 ─ infer"));
	buf_finish(&out);
	pipeline_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(what_does_not_go_together_is_said),
		cmocka_unit_test(too_many_steps),
		cmocka_unit_test(default_handlers_are_pipelines),
		cmocka_unit_test(the_model_is_told_what_it_will_get),
		cmocka_unit_test(models_that_do_not_fit_are_refused),
		cmocka_unit_test(a_broken_file_of_labels_is_no_model),
		cmocka_unit_test(a_pipeline_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
