/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "pipeline/order.h"
#include "pipeline/rig.h"

#define JSON "application/json"

/* One op between JSON and JSON. */
static const char *gives(const char *op, const char *body)
{
	char steps[1024];

	snprintf(steps, sizeof(steps), "[\"from_json\", %s, \"encode_json\"]", op);
	return rig_answers(steps, JSON, slice_str(body));
}

/* Numbers are torch's. */
static void tensors_become_others(void **state)
{
	static const struct {
		const char *op, *body, *answer;
	} cases[] = {
		{ "{\"softmax\": -1}", "[1, 2, 3]", "[0.09003057, 0.24472848, 0.66524094]" },
		{ "{\"softmax\": 0}", "[[1, -2], [3, 0.5]]",
		  "[[0.11920292, 0.075858176], [0.880797, 0.9241418]]" },
		{ "{\"softmax\": 1}", "[[5], [7]]", "[[1.0], [1.0]]" },
		{ "\"sigmoid\"", "[-1, 0, 2]", "[0.26894143, 0.5, 0.880797]" },
		{ "\"argmax\"", "[[1, 5, 5], [9, 2, 3]]", "[1, 0]" },
		{ "{\"argmax\": 0}", "[[1, 5, 5], [9, 2, 3]]", "[1, 0, 0]" },
		{ "\"argmax\"", "[1, NaN, 3]", "1" },
		{ "{\"best\": 0}", "[[1, 5], [9, 2]]", "[[1.0, 9.0], [0.0, 5.0]]" },
		{ "{\"best\": {\"axis\": 0, \"dimensions\": 3}}", "[[1, 5]]",
		  "step 2, best: it takes 3 dimensions, but is given 2" },
		{ "{\"cast\": \"INT64\"}", "[1.9, -1.9, 3e9]", "[1, -1, 3000000000]" },
		{ "{\"cast\": \"UINT8\"}", "[1.9, -1.9, 300]", "[1, 0, 255]" },
		{ "{\"cast\": \"INT8\"}", "[NaN, -129, 127]", "[0, -128, 127]" },
		{ "{\"cast\": \"BOOL\"}", "[0, 2]", "[false, true]" },
		{ "{\"cast\": \"FP16\"}", "[0.1, 70000]", "[0.099975586, Infinity]" },
		{ "{\"cast\": \"FP64\"}", "[0.5]", "[0.5]" },
		{ "{\"transpose\": [1, 0]}", "[[1, 2, 3], [4, 5, 6]]",
		  "[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]" },
		{ "{\"transpose\": [2, 0, 1]}", "[[[1, 2], [3, 4]]]",
		  "[[[1.0, 3.0]], [[2.0, 4.0]]]" },
		{ "{\"reshape\": [2, -1]}", "[1, 2, 3, 4]", "[[1.0, 2.0], [3.0, 4.0]]" },
		{ "\"batch\"", "[1, 2]", "[[1.0, 2.0]]" },
		{ "{\"normalize\": {\"mean\": 1, \"std\": 2}}", "[[[1, 3]], [[5, 7]]]",
		  "[[[0.0, 1.0]], [[2.0, 3.0]]]" },
		{ "{\"normalize\": {\"mean\": [1, 5], \"std\": [2, 4]}}", "[[[1, 3]], [[5, 7]]]",
		  "[[[0.0, 1.0]], [[0.0, 0.5]]]" },
		{ "{\"topk\": 2}", "[1, 9, 3]", "{\"1\": 9.0, \"2\": 3.0}" },
		{ "{\"topk\": 9}", "[1, 9]", "{\"1\": 9.0, \"0\": 1.0}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(gives(cases[i].op, cases[i].body), cases[i].answer);
}

static void what_does_not_fit_at_run_time(void **state)
{
	static const struct {
		const char *op, *body, *why;
	} cases[] = {
		{ "{\"softmax\": 1}", "[1]",
		  "step 2, softmax: the tensor has no axis 1 with numbers" },
		{ "{\"softmax\": 0}", "[]",
		  "step 2, softmax: the tensor has no axis 0 with numbers" },
		{ "{\"transpose\": [1, 0]}", "[1]",
		  "step 2, transpose: it takes a tensor with 2 axes" },
		{ "{\"reshape\": [3, -1]}", "[1]",
		  "step 2, reshape: 1 elements do not fill its shape" },
		{ "{\"reshape\": [2]}", "[1]",
		  "step 2, reshape: 1 elements do not fill its shape" },
		{ "\"batch\"", "[1, [2]]",
		  "step 1, from_json: the lists hold something other than numbers" },
		{ "\"batch\"", "[[1], [2, 3]]",
		  "step 1, from_json: the lists differ in length or depth" },
		{ "\"batch\"", "[[[1, 2, 3], [1, 2, 3]], []]",
		  "step 1, from_json: the lists differ in length or depth" },
		{ "\"batch\"", "[\"1\"]",
		  "step 1, from_json: the lists hold something other than numbers" },
		{ "\"batch\"", "{\"a\": 1}",
		  "step 1, from_json: it takes lists of numbers, not other JSON" },
		{ "{\"topk\": 2}", "[[1]]",
		  "step 2, topk: the scores of classes must have one dimension" },
		{ "{\"normalize\": {\"mean\": [1, 5], \"std\": [2, 4]}}", "[[[1, 3]]]",
		  "step 2, normalize: it takes a tensor FP32 of 2 channels × height × width" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(gives(cases[i].op, cases[i].body), cases[i].why);
}

/* Hashes of torch.topk()'s indices, of scores with many that are equal. */
static void the_largest_come_in_the_order_of_torch(void **state)
{
	static const struct {
		unsigned n, k, levels, seed, hash;
	} cases[] = {
		{ 1000, 5, 3, 1, 0x37c52116u },   { 1000, 5, 1000, 2, 0xd3d45bd7u },
		{ 320, 5, 2, 3, 0x1baf8051u },    { 319, 5, 2, 4, 0xed291a19u },
		{ 10, 10, 2, 5, 0xb12da442u },    { 100, 50, 4, 6, 0x0debd0afu },
		{ 1000, 400, 7, 7, 0xe50feebdu }, { 17, 17, 1, 8, 0xae1fa83bu },
		{ 4, 3, 2, 9, 0xef80da49u },      { 3, 2, 1, 10, 0x1076963au },
		{ 500, 20, 2, 11, 0xb7f492e6u },  { 1, 1, 1, 12, 0x050c5d1fu },
	};
	static struct ranked all[1000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned x = cases[i].seed, hash = 2166136261u;

		for (unsigned k = 0; k < cases[i].n; k++) {
			x = (x * 1103515245u + 12345u) & 0x7fffffffu;
			all[k] = (struct ranked){ (float)((x >> 16) % cases[i].levels), k };
		}
		order_top(all, cases[i].n, cases[i].k);
		for (unsigned k = 0; k < cases[i].k; k++)
			hash = (hash ^ (unsigned)all[k].place) * 16777619u;
		assert_int_equal(hash, cases[i].hash);
	}
}

/* ---- objects ---- */

static float boxes[] = { 0,  0,  10, 10, 1,  1,  11, 11, 0, 0, 9, 10,
			 20, 20, 30, 30, 21, 21, 29, 29, 5, 5, 5, 5 };
static float scores[] = { 0.9F, 0.8F, 0.95F, 0.7F, 0.75F, 0.6F };
static int64_t classes[] = { 0, 0, 1, 1, 1, 0 };
static const char *const names[] = { "boxes", "scores", "classes" };
static const struct sconce_tensor objects[] = {
	{ .data = boxes,
	  .bytes = sizeof(boxes),
	  .dtype = SCONCE_FP32,
	  .ndim = 2,
	  .shape = { 6, 4 } },
	{ .data = scores,
	  .bytes = sizeof(scores),
	  .dtype = SCONCE_FP32,
	  .ndim = 1,
	  .shape = { 6 } },
	{ .data = classes,
	  .bytes = sizeof(classes),
	  .dtype = SCONCE_INT64,
	  .ndim = 1,
	  .shape = { 6 } },
};

/* The scores that remain, in their order. */
static void remain(const char *nms, const char *expected)
{
	char steps[1024], found[256] = "";
	const char *at;

	snprintf(steps, sizeof(steps),
		 "[\"from_json\", {\"infer\": {\"rows\": false}}, {\"boxes\": {\"boxes\": "
		 "\"infer.boxes\", \"scores\": \"infer.scores\", \"classes\": \"infer.classes\"}}, "
		 "%s, {\"encode_json\": {\"form\": \"records\"}}]",
		 nms);
	at = rig_infers(steps, SLICE("[1]"), objects, names, 3);
	while ((at = strstr(at, "\"score\": "))) {
		at += strlen("\"score\": ");
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%.*s ",
			 (int)strcspn(at, ",}"), at);
	}
	assert_string_equal(found, expected);
}

/* The float next to 0.3 is more than 0.3. */
static void what_is_in_common_is_a_float_and_its_bound_a_double(void **state)
{
	static float lines[] = { 0, 0, 10, 1, 0, 0, 3, 1 };
	struct sconce_tensor two[3];

	(void)state;
	memcpy(two, objects, sizeof(two));
	two[0].data = lines;
	two[0].shape[0] = two[1].shape[0] = two[2].shape[0] = 2;
	two[0].bytes = sizeof(lines);
	two[1].bytes = 2 * sizeof(float);
	two[2].bytes = 2 * sizeof(int64_t);
	assert_string_equal(
		rig_infers(
			"[\"from_json\", {\"infer\": {\"rows\": false}}, {\"boxes\": {\"boxes\": "
			"\"infer.boxes\", \"scores\": \"infer.scores\", \"classes\": "
			"\"infer.classes\"}}, {\"nms\": 0.3}, \"encode_json\"]",
			SLICE("[1]"), two, names, 3),
		"[{\"0\": [0.0, 0.0, 10.0, 1.0], \"score\": 0.9}]");
}

/* torchvision's nms(), in its words: std::max() and std::min() of floats. */
static bool is_on(const float *a, const float *b, double iou)
{
	float left = a[0] < b[0] ? b[0] : a[0], top = a[1] < b[1] ? b[1] : a[1];
	float right = b[2] < a[2] ? b[2] : a[2], bottom = b[3] < a[3] ? b[3] : a[3];
	float width = 0 < right - left ? right - left : 0;
	float height = 0 < bottom - top ? bottom - top : 0;
	float both = width * height;
	float all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;

	return (double)(both / all) > iou;
}

enum { MANY = 150 };

struct drawn {
	float boxes[MANY][4], scores[MANY];
	int64_t classes[MANY];
};

/* Some without a number, some turned around, some as large as all. */
static void draw_objects(struct drawn *d)
{
	static uint32_t x = 1;

	for (unsigned i = 0; i < MANY; i++) {
		for (unsigned k = 0; k < 4; k++) {
			x = x * 1103515245u + 12345u;
			d->boxes[i][k] = (float)(x >> 16 & 31) + (k > 1 ? 12 : 0);
		}
		if (i % 17 == 3)
			d->boxes[i][x >> 20 & 3] = NAN;
		d->scores[i] = 1 - (float)i / 256;
		d->classes[i] = (int64_t)(x >> 24 & 1) << (x >> 23 & 1 ? 32 : 0);
	}
}

/* The scores of those that remain, the highest first; how many. */
static size_t leave(const struct drawn *d, double iou, bool apart, float *ret)
{
	bool kept[MANY] = { false };
	size_t n = 0;

	for (unsigned i = 0; i < MANY; i++) {
		kept[i] = true;
		for (unsigned k = 0; k < i && kept[i]; k++)
			kept[i] = !kept[k] || (apart && d->classes[k] != d->classes[i]) ||
				  !is_on(d->boxes[k], d->boxes[i], iou);
		if (kept[i])
			ret[n++] = d->scores[i];
	}
	return n;
}

static void those_remain_that_torchvision_leaves(void **state)
{
	struct drawn d;
	const struct sconce_tensor many[] = {
		{ d.boxes, sizeof(d.boxes), SCONCE_FP32, 2, { MANY, 4 }, NULL, NULL },
		{ d.scores, sizeof(d.scores), SCONCE_FP32, 1, { MANY }, NULL, NULL },
		{ d.classes, sizeof(d.classes), SCONCE_INT64, 1, { MANY }, NULL, NULL },
	};

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		double iou = (round % 10) / 10.0;
		char steps[512];
		const char *at;
		float left[MANY];
		size_t n, i = 0;

		draw_objects(&d);
		n = leave(&d, iou, round % 2, left);
		snprintf(steps, sizeof(steps),
			 "[\"from_json\", {\"infer\": {\"rows\": false}}, {\"boxes\": {"
			 "\"boxes\": \"infer.boxes\", \"scores\": \"infer.scores\", "
			 "\"classes\": \"infer.classes\", \"threshold\": 0}}, "
			 "{\"nms\": {\"iou\": %g, \"apart\": %s}}, "
			 "{\"encode_json\": {\"form\": \"records\"}}]",
			 iou, round % 2 ? "true" : "false");
		at = rig_infers(steps, SLICE("[1]"), many, names, 3);
		for (; (at = strstr(at, "\"score\": ")) && i < n; i++) {
			at += strlen("\"score\": ");
			assert_true(strtof(at, NULL) == left[i]);
		}
		assert_int_equal(i, n);
		assert_null(at);
	}
}

/* By torchvision.ops.nms() and batched_nms(). */
static void of_boxes_on_each_other_one_remains(void **state)
{
	(void)state;
	remain("{\"nms\": {\"iou\": 0.5, \"apart\": false}}", "0.95 0.75 0.6 ");
	remain("{\"nms\": {\"iou\": 0.7, \"apart\": false}}", "0.95 0.8 0.75 0.7 0.6 ");
	remain("{\"nms\": {\"iou\": 0.3, \"apart\": false}}", "0.95 0.75 0.6 ");
	remain("{\"nms\": {\"iou\": 0.5}}", "0.95 0.9 0.75 0.6 ");
	remain("{\"nms\": {\"iou\": 0.5, \"max\": 2}}", "0.95 0.9 ");
	remain("\"labels\"", "0.9 0.8 0.95 0.7 0.75 0.6 ");
}

static void boxes_by_their_middle_and_scores_by_class(void **state)
{
	static float middle[] = { 10, 20, 4, 8, 50, 50, 2, 2 };
	static float by_class[] = { 0.1F, 0.75F, 0.3F, 0.2F };
	static const struct sconce_tensor outputs[] = {
		{ .data = middle,
		  .bytes = sizeof(middle),
		  .dtype = SCONCE_FP32,
		  .ndim = 2,
		  .shape = { 2, 4 } },
		{ .data = by_class,
		  .bytes = sizeof(by_class),
		  .dtype = SCONCE_FP32,
		  .ndim = 2,
		  .shape = { 2, 2 } },
	};

	(void)state;
	assert_string_equal(
		rig_infers(
			"[\"from_json\", {\"infer\": {\"rows\": false}}, {\"boxes\": {\"boxes\": "
			"\"infer.boxes\", \"scores\": \"infer.scores\", \"form\": \"middle\"}}, "
			"\"encode_json\"]",
			SLICE("[1]"), outputs, names, 2),
		"[{\"1\": [8.0, 16.0, 12.0, 24.0], \"score\": 0.75}]");
}

/* As TorchServe's object_detector answers, to the letter. */
static void the_default_detector(void **state)
{
	static const char *const of_torch[] = { "output_0.boxes", "output_0.scores",
						"output_0.labels" };
	struct sconce_tensor few[3];

	(void)state;
	memcpy(few, objects, sizeof(few));
	few[0].shape[0] = few[1].shape[0] = few[2].shape[0] = 1;
	few[0].bytes = 16;
	few[1].bytes = 4;
	few[2].bytes = 8;
	assert_string_equal(
		rig_infers("object_detector", SLICE("[[[1, 2]]]"), few, of_torch, 3),
		"[\n  {\n    \"0\": [\n      0.0,\n      0.0,\n      10.0,\n      10.0\n    ],\n"
		"    \"score\": 0.8999999761581421\n  }\n]");
	assert_int_equal(rig_given.ndim, 4);
	few[0].shape[0] = few[1].shape[0] = few[2].shape[0] = 0;
	few[0].bytes = few[1].bytes = few[2].bytes = 0;
	assert_string_equal(rig_infers("object_detector", SLICE("[[[1, 2]]]"), few, of_torch, 3),
			    "[]");
	few[0].data = few[1].data = few[2].data = NULL;
	assert_string_equal(rig_infers("object_detector", SLICE("[[[1, 2]]]"), few, of_torch, 3),
			    "[]");
}

/* Torch's tensors without elements have no memory; nor has a body without bytes. */
static void nothing_lies_nowhere(void **state)
{
	static const char *const out[] = { "out" };
	static const struct sconce_tensor none = { .dtype = SCONCE_FP32, .ndim = 1 };

	(void)state;
	assert_string_equal(rig_infers("[\"from_json\", {\"infer\": {\"rows\": false}}, "
				       "{\"reshape\": [2, 0]}, \"sigmoid\", \"encode_json\"]",
				       SLICE("[1]"), &none, out, 1),
			    "[[], []]");
	assert_string_equal(rig_answers("[{\"from_raw\": {\"shape\": [-1, 2]}}, \"encode_json\"]",
					"", SLICE_NULL),
			    "[]");
}

static void the_default_segmenter(void **state)
{
	static float map[] = { 0, 3, 0, 1 };
	static const char *const out[] = { "out" };
	static const struct sconce_tensor output = { .data = map,
						     .bytes = sizeof(map),
						     .dtype = SCONCE_FP32,
						     .ndim = 4,
						     .shape = { 1, 2, 1, 2 } };

	(void)state;
	assert_string_equal(
		rig_infers("image_segmenter", SLICE("[1]"), &output, out, 1),
		"[\n  [\n    [\n      0.0,\n      0.5\n    ],\n    [\n      0.0,\n      "
		"0.8807970285415649\n    ]\n  ]\n]");
}

static void the_default_classifier(void **state)
{
	static float logits[] = { 1, 2 };
	static const char *const out[] = { "y" };
	static const struct sconce_tensor output = { .data = logits,
						     .bytes = sizeof(logits),
						     .dtype = SCONCE_FP32,
						     .ndim = 2,
						     .shape = { 1, 2 } };

	(void)state;
	assert_string_equal(rig_infers("image_classifier", SLICE("[1]"), &output, out, 1),
			    "{\n  \"1\": 0.7310585975646973,\n  \"0\": 0.2689414322376251\n}");
}

/* ---- pictures ---- */

static void a_mask_is_a_picture(void **state)
{
	const char *png = rig_answers("[\"from_json\", \"mask\", \"encode_png\"]", JSON,
				      SLICE("[[[0, 9]], [[1, 1]]]"));

	(void)state;
	assert_int_equal(rig_code, 0);
	assert_memory_equal(png, "\x89PNG", 4);
	png = rig_answers("[\"from_json\", \"to_image\", {\"encode_jpeg\": 50}]", JSON,
			  SLICE("[[[0, 1]], [[1, 0]], [[0.5, 0.5]]]"));
	assert_int_equal(rig_code, 0);
	assert_memory_equal(png, "\xff\xd8\xff", 3);
	assert_string_equal(
		rig_answers("[\"from_json\", \"mask\", \"encode_png\"]", JSON, SLICE("[1]")),
		"step 2, mask: it takes classes × height × width, or height × width of "
		"classes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tensors_become_others),
		cmocka_unit_test(what_does_not_fit_at_run_time),
		cmocka_unit_test(the_largest_come_in_the_order_of_torch),
		cmocka_unit_test(those_remain_that_torchvision_leaves),
		cmocka_unit_test(of_boxes_on_each_other_one_remains),
		cmocka_unit_test(what_is_in_common_is_a_float_and_its_bound_a_double),
		cmocka_unit_test(boxes_by_their_middle_and_scores_by_class),
		cmocka_unit_test(the_default_detector),
		cmocka_unit_test(nothing_lies_nowhere),
		cmocka_unit_test(the_default_segmenter),
		cmocka_unit_test(the_default_classifier),
		cmocka_unit_test(a_mask_is_a_picture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
