/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "worker/front_rig.h"

#define HOSTILE "\"file\":\"good.hostile\""

static void what_was_loaded_is_described(void **state)
{
	struct slice said;

	(void)state;
	front_lends();
	front_loads(HOSTILE ",\"instances\":2");
	said = front_hears_loaded(200);
	assert_true(front_says(said, "\"credits\":2,\"async\":true"));
	assert_true(front_says(said, "\"engine\":\"hostile\""));
	assert_true(front_says(said, "\"threads\":2"));
	assert_true(
		front_says(said, "{\"name\":\"word\",\"datatype\":\"UINT8\",\"shape\":[-1, 8]}"));
}

static void one_instance_has_one_credit(void **state)
{
	(void)state;
	front_loads(HOSTILE);
	assert_true(front_says(front_hears_loaded(200), "\"credits\":1,\"async\":false"));
}

static void refuses(const char *engine, const char *words)
{
	struct slice said;

	front_loads(engine);
	said = front_hears_loaded(500);
	if (!front_says(said, words))
		fail_msg("%.*s", SLICE_ARG(said));
	assert_int_equal(front_joins(), 1);
}

static void a_model_that_the_engine_refuses(void **state)
{
	(void)state;
	refuses("\"file\":\"bad.hostile\"", "the file says: it is broken");
}

static void a_model_without_a_file(void **state)
{
	(void)state;
	refuses("\"name\":\"hostile\"", "names no serializedFile");
}

static void an_engine_that_is_not_there(void **state)
{
	(void)state;
	refuses(HOSTILE ",\"name\":\"nowhere\"", "there is no engine \\\"nowhere\\\"");
}

static void an_engine_without_its_runtime(void **state)
{
	(void)state;
	refuses(HOSTILE ",\"name\":\"absent\"", "its runtime is missing: install it");
}

static void a_configuration_that_contradicts_the_model(void **state)
{
	(void)state;
	refuses(HOSTILE ",\"config\":{\"inputs\":[{\"name\":\"word\",\"datatype\":\"FP32\"}]}",
		"says otherwise of the datatype or shape of \\\"word\\\"");
}

static void a_configuration_with_another_rank(void **state)
{
	(void)state;
	refuses(HOSTILE ",\"config\":{\"inputs\":[{\"name\":\"word\",\"shape\":[8]}]}",
		"says otherwise of the datatype or shape of \\\"word\\\"");
}

static void a_configuration_with_keys_of_its_own(void **state)
{
	(void)state;
	refuses(HOSTILE ",\"config\":{\"inputs\":[{\"name\":\"word\",\"dtype\":\"UINT8\"}]}",
		"each has a name");
}

static void a_configuration_whose_inputs_are_no_list(void **state)
{
	(void)state;
	refuses(HOSTILE ",\"config\":{\"inputs\":{\"word\":\"UINT8\"}}", "must be a list");
}

static void a_configuration_may_say_what_the_model_leaves_open(void **state)
{
	(void)state;
	front_loads(HOSTILE ",\"config\":{\"inputs\":[{\"name\":\"word\",\"shape\":[4,8]}]}");
	assert_true(front_says(front_hears_loaded(200), "\"shape\":[4, 8]"));
}

static void an_output_of_too_many_dimensions(void **state)
{
	(void)state;
	refuses("\"file\":\"ndim.hostile\"", "more than 16 dimensions");
}

static void what_a_signature_is_too_short_for_it_does_not_say(void **state)
{
	char text[FRAME_INLINE_MAX + 1];
	uint64_t ids[2];

	(void)state;
	front_lends();
	front_loads("\"file\":\"brief.hostile\"");
	front_hears_loaded(200);
	front_begins();
	ids[0] = front_adds(true, SLICE("good    "), "", (struct span){ 0 });
	ids[1] = front_adds(false, SLICE("good    "), "", (struct span){ 0 });
	front_runs();
	assert_int_equal(front_hears_reply(text).id, ids[0]);
	assert_string_equal(text, "[[1]]");
	assert_int_equal(front_hears_reply(text).id, ids[1]);
	assert_string_equal(text, "[[1]]");
}

static void an_instance_too_many(void **state)
{
	(void)state;
	refuses(HOSTILE ",\"instances\":7", "six instances are enough");
}

static void a_document_that_is_none(void **state)
{
	(void)state;
	front_loads_text("{");
	assert_true(front_says(front_hears_loaded(500), "cannot be read"));
	assert_int_equal(front_joins(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRONT_TEST(what_was_loaded_is_described),
		FRONT_TEST(one_instance_has_one_credit),
		FRONT_TEST(a_model_that_the_engine_refuses),
		FRONT_TEST(a_model_without_a_file),
		FRONT_TEST(an_engine_that_is_not_there),
		FRONT_TEST(an_engine_without_its_runtime),
		FRONT_TEST(a_configuration_that_contradicts_the_model),
		FRONT_TEST(a_configuration_with_another_rank),
		FRONT_TEST(a_configuration_with_keys_of_its_own),
		FRONT_TEST(a_configuration_whose_inputs_are_no_list),
		FRONT_TEST(a_configuration_may_say_what_the_model_leaves_open),
		FRONT_TEST(an_output_of_too_many_dimensions),
		FRONT_TEST(what_a_signature_is_too_short_for_it_does_not_say),
		FRONT_TEST(an_instance_too_many),
		FRONT_TEST(a_document_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
