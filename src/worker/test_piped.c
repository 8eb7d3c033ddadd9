/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "base/util.h"
#include "worker/front_rig.h"

#define STEPS "{\"steps\":[\"from_json\",\"batch\",\"infer\",{\"topk\":2},\"encode_json\"]}"

static char text[FRAME_INLINE_MAX + 1];

static void loads_instances(const char *pipeline, int instances, const char *more)
{
	_cleanup_(freep) char *json = mem_printf(
		"{\"model_name\":\"m\",\"model_dir\":\"%s\",\"threads\":1,\"max_response_size\":"
		"500000,\"batch_size\":4,\"pipeline\":%s,\"engine\":{\"device\":\"cpu\",\"file\":"
		"\"any.echo\",\"instances\":%d}%s}",
		front.folder, pipeline, instances, more);

	front.type = "application/json";
	front_loads_text(json);
}

static void loads(const char *pipeline, const char *more)
{
	loads_instances(pipeline, 1, more);
}

static uint64_t asks(const char *body)
{
	uint64_t id;

	front_begins();
	id = front_adds(true, slice_str(body), "*/*", (struct span){ 0 });
	front_runs();
	return id;
}

static struct frame_reply answered(uint64_t id, unsigned status, const char *body)
{
	struct frame_reply r = front_hears_reply(text);

	assert_int_equal(r.id, id);
	assert_string_equal(text, body);
	assert_int_equal(r.status, status);
	return r;
}

static void requests_go_through_the_steps(void **state)
{
	struct frame_reply r;

	(void)state;
	front_lends();
	loads(STEPS, "");
	front_hears_loaded(200);
	r = answered(asks("[1, 9, 3]"), 200, "{\"1\": 9.0, \"2\": 3.0}");
	assert_true(slice_eq(r.type, SLICE("application/json")));
	answered(asks("[[1]]"), 500,
		 "The model failed: step 4, topk: the scores of classes must have one dimension");
	answered(asks("[\"a\"]"), 400,
		 "step 1, from_json: the lists hold something other than numbers");
}

/* One pipeline for all instances: nothing of it is changed by running. */
static void instances_share_the_pipeline(void **state)
{
	enum { N = 64 };
	uint64_t ids[N];
	unsigned right = 0;

	(void)state;
	front_lends();
	loads_instances(STEPS, 4, "");
	front_hears_loaded(200);
	for (unsigned i = 0; i < N; i++)
		ids[i] = asks(i % 8 ? "[1, 9, 3]" : "[[1]]");
	for (unsigned i = 0; i < N; i++) {
		struct frame_reply r = front_hears_reply(text);
		bool wrong = (r.id - ids[0]) % 8 == 0;

		right += r.status == (wrong ? 500 : 200) &&
			 (wrong || !strcmp(text, "{\"1\": 9.0, \"2\": 3.0}"));
	}
	assert_int_equal(right, N);
}

/* Python would have failed both. */
static void who_fails_in_a_batch_fails_alone(void **state)
{
	uint64_t ids[2];

	(void)state;
	front_lends();
	loads(STEPS, "");
	front_hears_loaded(200);
	front_begins();
	ids[0] = front_adds(true, SLICE("[1"), "", (struct span){ 0 });
	ids[1] = front_adds(false, SLICE("[1, 2]"), "", (struct span){ 0 });
	front_runs();
	answered(ids[0], 400, "step 1, from_json: the request is no JSON");
	answered(ids[1], 200, "{\"1\": 2.0, \"0\": 1.0}");
}

static void a_default_handler_fails_as_pythons_do(void **state)
{
	struct slice metric;
	struct frame_reply r;

	(void)state;
	front_lends();
	loads("{\"handler\":\"image_classifier\"}", "");
	front_hears_loaded(200);
	r = answered(asks("{}"), 503, "Prediction failed");
	assert_true(r.flags & FRAME_REPLY_ERROR);
	asks("[1, 2]");
	metric = front_hears(FRAME_METRIC).body;
	assert_true(front_says(metric, "\"name\":\"HandlerTime\""));
	assert_true(front_says(metric, "[\"ModelName\",\"m\"]"));
	r = front_hears_reply(text);
	assert_int_equal(r.status, 200);
	assert_int_equal(r.type.n, 0); /* as of what Python's handlers return */
	assert_string_equal(text,
			    "{\n  \"1\": 0.7310585975646973,\n  \"0\": 0.2689414322376251\n}");
}

/* There is no Python here. */
static void what_only_pillow_would_read(void **state)
{
	(void)state;
	front_lends();
	loads("{\"handler\":\"image_classifier\"}", "");
	front_hears_loaded(200);
	front.type = "image/tiff";
	answered(asks("II*"), 503,
		 "pictures that are not JPEG, PNG, WebP, GIF or BMP need Python with Pillow: "
		 "install both");
	/* Of what is known it is known what is wrong. */
	answered(asks("BMnothing"), 503, "Prediction failed");
}

static void and_in_steps_of_ones_own(void **state)
{
	(void)state;
	front_lends();
	loads("{\"steps\":[\"decode_image\",\"to_tensor\",\"batch\",\"infer\",\"encode_json\"]}",
	      "");
	front_hears_loaded(200);
	front.type = "image/tiff";
	answered(asks("II*"), 400,
		 "step 1, decode_image: this is no picture that is known: JPEG, PNG, WebP, GIF or "
		 "BMP");
}

/* A BMP of 2 × 1 pixels of 24 bits. */
static struct slice small_picture(uint8_t blue)
{
	static uint8_t file[62] = { 'B', 'M', 62, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40,
				    0,   0,   0,  2, 0, 0, 0, 1, 0, 0, 0,  1, 0, 24 };

	memset(file + 54, 0, 8);
	file[54] = blue;
	return slice_make((const char *)file, sizeof(file));
}

/* Two pictures in one run of the model, all of it in the memory of the GPU, which is a stand-in. */
static void tensors_are_stacked_on_the_gpu(void **state)
{
	_cleanup_(freep) char *json = mem_printf(
		"{\"model_name\":\"m\",\"model_dir\":\"%s\",\"threads\":1,\"max_response_size\":"
		"500000,\"batch_size\":4,\"pipeline\":{\"steps\":[{\"decode_image\":{\"device\":"
		"\"gpu\"}},{\"to_tensor\":"
		"\"bytes\"},\"batch\",\"infer\",\"encode_json\"]},\"engine\":{"
		"\"device\":\"cuda:0\",\"file\":\"any.placed\",\"instances\":1}}",
		front.folder);
	struct slice said;
	uint64_t ids[2];

	(void)state;
	front_lends();
	front_loads_text(json);
	said = front_hears_loaded(200);
	assert_true(front_says(said, "\"pictures\":\"GPU: a stand-in\""));
	assert_true(front_says(said, "\"jpegDecoder\":\"CPU: /nowhere.so: cannot open"));
	front.type = "image/bmp";
	front_begins();
	ids[0] = front_adds(true, small_picture(7), "", (struct span){ 0 });
	ids[1] = front_adds(false, small_picture(9), "", (struct span){ 0 });
	front_runs();
	answered(ids[0], 200, "[[[0, 0]], [[0, 0]], [[7, 0]]]");
	answered(ids[1], 200, "[[[0, 0]], [[0, 0]], [[9, 0]]]");
}

static void refuses(const char *pipeline, const char *more, const char *words)
{
	struct slice said;

	loads(pipeline, more);
	said = front_hears_loaded(500);
	if (!front_says(said, words))
		fail_msg("%.*s", SLICE_ARG(said));
	assert_int_equal(front_joins(), 1);
}

static void a_pipeline_that_is_wrong(void **state)
{
	(void)state;
	refuses("{\"steps\":[\"from_json\",\"sofmax\"]}", "",
		"model-config.yaml: pipeline: step 2: there is no op \\\"sofmax\\\": did you mean "
		"softmax?");
}

static void a_pipeline_without_the_model(void **state)
{
	(void)state;
	refuses("{\"steps\":[\"from_json\",\"encode_json\"]}", "", "none of its steps is infer");
}

static void a_handler_that_is_none(void **state)
{
	(void)state;
	refuses("{\"handler\":\"text_classifier\"}", "",
		"the handler text_classifier is no pipeline: it needs Python");
}

static void a_model_that_does_not_fit(void **state)
{
	(void)state;
	refuses("{\"handler\":\"object_detector\"}", "",
		"step 5, boxes: the model has no output \\\"output_0.boxes\\\", but: output");
}

static void an_envelope(void **state)
{
	(void)state;
	refuses(STEPS, ",\"envelope\":\"json\"", "the service envelope json is Python");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRONT_TEST(requests_go_through_the_steps),
		FRONT_TEST(instances_share_the_pipeline),
		FRONT_TEST(who_fails_in_a_batch_fails_alone),
		FRONT_TEST(a_default_handler_fails_as_pythons_do),
		FRONT_TEST(what_only_pillow_would_read),
		FRONT_TEST(and_in_steps_of_ones_own),
		FRONT_TEST(tensors_are_stacked_on_the_gpu),
		FRONT_TEST(a_pipeline_that_is_wrong),
		FRONT_TEST(a_pipeline_without_the_model),
		FRONT_TEST(a_handler_that_is_none),
		FRONT_TEST(a_model_that_does_not_fit),
		FRONT_TEST(an_envelope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
