/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "worker/answer.h"
#include "worker/body.h"
#include "base/half.h"
#include "pipeline/npy.h"
#include "worker/stack.h"
#include "pipeline/tensor.h"

static const struct sconce_tensor_spec image = {
	.name = "image", .dtype = SCONCE_FP32, .ndim = 2, .shape = { SCONCE_DIM_ANY, 2 }
};
static const struct sconce_tensor_spec two[] = {
	{ .name = "a", .dtype = SCONCE_INT64, .ndim = 1, .shape = { SCONCE_DIM_ANY } },
	{ .name = "b", .dtype = SCONCE_BYTES, .ndim = 1, .shape = { SCONCE_DIM_ANY } },
};
static const struct sconce_tensor_spec any = { .name = "x", .ndim = SCONCE_NDIM_ANY };
static const struct sconce_signature one_input = { sizeof(one_input), &image, &image, 1, 1, 1 };
static const struct sconce_signature two_inputs = { sizeof(two_inputs), two, two, 2, 2, 0 };
static const struct sconce_signature any_input = { sizeof(any_input), &any, &any, 1, 1, 0 };

static struct body_part json(const char *text)
{
	return (struct body_part){ .name = SLICE("body"),
				   .type = SLICE("application/json"),
				   .bytes = slice_str(text),
				   .whole = true };
}

static struct body_part field(const char *name, const char *text)
{
	return (struct body_part){ .name = slice_str(name), .bytes = slice_str(text) };
}

/* Reads, answers with the inputs as outputs, and compares. */
static void echoes(const struct sconce_signature *s, const char *text, const char *answer)
{
	struct answer a = { .body = BUF_INIT(65536) };
	struct sconce_error e = { "" };
	struct body_part part = json(text);
	struct body b = { 0 };

	if (body_read(&b, s, &part, 1, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	assert_int_equal(answer_write(&a, &b, s, "m", b.inputs, &e), 0);
	assert_string_equal(buf_cstr(&a.body), answer);
	buf_finish(&a.body);
	body_finish(&b);
}

static void refused(const struct sconce_signature *s, struct body_part part, const char *words)
{
	struct sconce_error e = { "" };
	struct body b = { 0 };

	assert_int_equal(body_read(&b, s, &part, 1, &e), SCONCE_BAD_INPUT);
	if (!strstr(e.text, words))
		fail_msg("'%s' does not say '%s'", e.text, words);
	body_finish(&b);
}

static void json_comes_in_many_dialects(void **state)
{
	(void)state;
	echoes(&one_input, "[[1, 2.5], [3, 4]]", "[[1.0, 2.5], [3.0, 4.0]]");
	echoes(&one_input, "{\"image\": [[1, 2]]}", "[[1.0, 2.0]]");
	echoes(&one_input, "{\"instances\": [[1, 2]]}", "{\"predictions\": [[1.0, 2.0]]}");
	echoes(&one_input, "{\"inputs\": [[1, 2]]}", "{\"outputs\": [[1.0, 2.0]]}");
	echoes(&one_input,
	       "{\"inputs\": [{\"name\": \"image\", \"shape\": [2, 2], \"datatype\": \"FP32\", "
	       "\"data\": [1, 2, 3, 4]}]}",
	       "{\"model_name\": \"m\", \"outputs\": [{\"name\": \"image\", "
	       "\"datatype\": \"FP32\", \"shape\": [2, 2], "
	       "\"data\": [1.0, 2.0, 3.0, 4.0]}]}");
	echoes(&two_inputs, "{\"a\": [-7, 9007199254740993], \"b\": [\"\\u00e4\", \"\"]}",
	       "{\"a\": [-7, 9007199254740993], \"b\": [\"ä\", \"\"]}");
	echoes(&any_input, "[[true, false]]", "[[true, false]]");
	echoes(&any_input, "[1, 2.5]", "[1.0, 2.5]");
	echoes(&any_input, "7", "7");
	echoes(&any_input, "[]", "[]");
}

static void rows_may_be_objects_of_inputs(void **state)
{
	(void)state;
	echoes(&two_inputs, "{\"instances\": [{\"a\": 1, \"b\": \"x\"}, {\"b\": \"\", \"a\": 2}]}",
	       "{\"predictions\": [{\"a\": 1, \"b\": \"x\"}, {\"a\": 2, \"b\": \"\"}]}");
	echoes(&one_input, "{\"instances\": [{\"image\": [1, 2]}, {\"image\": [3, 4]}]}",
	       "{\"predictions\": [[1.0, 2.0], [3.0, 4.0]]}");
	echoes(&any_input, "{\"instances\": [{\"x\": 1}, {\"x\": 2.5}]}",
	       "{\"predictions\": [1.0, 2.5]}");
	refused(&two_inputs, json("{\"instances\": [{\"a\": 1, \"b\": \"x\"}, {\"a\": 1}]}"),
		"row 1 of \"instances\" has other members");
	refused(&two_inputs, json("{\"instances\": [{\"a\": 1}, {\"b\": \"x\"}]}"),
		"\"a\" is missing in row 1");
	refused(&one_input, json("{\"instances\": [{\"image\": [1, 2]}, {\"image\": [1]}]}"),
		"different length");
	refused(&one_input, json("{\"instances\": [{\"photo\": 1}]}"), "no input \"photo\"");
	refused(&two_inputs, json("{\"instances\": [1]}"), "2 inputs");
}

static void a_missing_dimension_of_one_is_added_and_taken_away(void **state)
{
	const struct body_part part = json("[1, 2]");
	struct answer a = { .body = BUF_INIT(4096) };
	struct sconce_error e = { "" };
	struct body b = { 0 };

	(void)state;
	echoes(&one_input, "[1, 2]", "[1.0, 2.0]");
	assert_int_equal(body_read(&b, &one_input, &part, 1, &e), 0);
	assert_int_equal(answer_choose(&b, SLICE("application/octet-stream"), &e), 0);
	assert_int_equal(answer_write(&a, &b, &one_input, "m", b.inputs, &e), 0);
	assert_string_equal(a.shape, "2");
	assert_int_equal(a.body.n, 8);
	buf_clear(&a.body);
	assert_int_equal(answer_choose(&b, SLICE("application/x-npy"), &e), 0);
	assert_int_equal(answer_write(&a, &b, &one_input, "m", b.inputs, &e), 0);
	assert_non_null(strstr(buf_cstr(&a.body) + 10, "'shape': (2,)"));
	buf_finish(&a.body);
	body_finish(&b);
}

static void several_outputs_are_json_only(void **state)
{
	const struct body_part part = json("{\"a\": [1], \"b\": [\"\"]}");
	struct sconce_error e = { "" };
	struct body b = { 0 };

	(void)state;
	assert_int_equal(body_read(&b, &two_inputs, &part, 1, &e), 0);
	assert_int_equal(answer_choose(&b, SLICE("application/octet-stream"), &e),
			 SCONCE_BAD_INPUT);
	assert_int_equal(answer_choose(&b, SLICE("application/json"), &e), 0);
	/* Nobody has asked for it. */
	b.form = FORM_NPY;
	assert_int_equal(answer_choose(&b, SLICE("*/*"), &e), 0);
	assert_int_equal(b.form, FORM_ARRAY);
	body_finish(&b);
}

static void numbers_read_back_equal(void **state)
{
	(void)state;
	echoes(&one_input, "[[0.1, 16777217], [NaN, -Infinity]]",
	       "[[0.1, 16777216.0], [NaN, -Infinity]]");
	echoes(&one_input, "[[3.4028235e38, 1.1754944e-38]]", "[[3.4028235e+38, 1.1754944e-38]]");
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
	static const char *const texts[][2] = {
		{ "[[1, 2], [3]]", "different length" },
		{ "[[1, 2], 3]", "different length" },
		{ "[[[1, 2]]]", "must have the shape [-1, 2]" },
		{ "[[1, 2, 3]]", "but has [1, 3]" },
		{ "[[1, \"2\"]]", "must be FP32" },
		{ "{\"imago\": [[1, 2]]}", "there is no input \"imago\"" },
		{ "{}", "input \"image\" is missing" },
		{ "[[1, 2]", "broken at byte" },
		{ "{\"inputs\": [{\"name\": \"image\", \"datatype\": \"FP32\", \"shape\": [3, 2], "
		  "\"data\": [1]}]}",
		  "does not fit its shape" },
		{ "{\"inputs\": [{\"name\": \"image\", \"datatype\": \"INT64\", "
		  "\"data\": [[1, 2]]}]}",
		  "must be FP32, but is INT64" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		refused(&one_input, json(texts[i][0]), texts[i][1]);
	refused(&two_inputs, json("{\"a\": [1.5], \"b\": []}"), "must be INT64, which 1.5 is not");
	refused(&two_inputs, json("{\"a\": [9223372036854775808], \"b\": []}"), "must be INT64");
	refused(&two_inputs, json("[1]"), "2 inputs");
}

static void lists_as_deep_as_the_document_do_no_harm(void **state)
{
	_cleanup_(freep) char *text = mem_alloc(200001);

	(void)state;
	memset(text, '[', 100000);
	memset(text + 100000, ']', 100000);
	text[200000] = '\0';
	refused(&any_input, json(text), "more than 16 dimensions");
}

static void raw_bytes_are_counted(void **state)
{
	float values[4] = { 1, 2, 3, 4 };
	struct body_part part = { .name = SLICE("body"),
				  .type = SLICE("application/octet-stream"),
				  .bytes = { (const char *)values, sizeof(values) } };
	struct sconce_error e = { "" };
	struct body b = { 0 };

	(void)state;
	assert_int_equal(body_read(&b, &one_input, &part, 1, &e), 0);
	assert_int_equal(b.inputs[0].shape[0], 2);
	assert_memory_equal(b.inputs[0].data, values, sizeof(values));
	body_finish(&b);
	part.bytes.n = 12;
	refused(&one_input, part, "came as 12 bytes");
	b.shape = SLICE("1,1");
	part.bytes.n = 8;
	assert_int_equal(body_read(&b, &one_input, &part, 1, &e), SCONCE_BAD_INPUT);
	body_finish(&b);
}

/* What stands behind a header in the frame is another request's. */
static void refusals_show_the_header_and_nothing_else(void **state)
{
	const struct body_part part = { .name = SLICE("body"),
					.type = SLICE("application/octet-stream"),
					.bytes = SLICE("12345678") };
	struct body b = { .dtype = slice_make("FP7secret", 3) };
	struct sconce_error e = { "" };

	(void)state;
	assert_int_equal(body_read(&b, &one_input, &part, 1, &e), SCONCE_BAD_INPUT);
	assert_string_equal(e.text, "x-tensor-dtype: there is no type FP7");
	body_finish(&b);
	b.shape = slice_make("1,xsecret", 3);
	assert_int_equal(body_read(&b, &one_input, &part, 1, &e), SCONCE_BAD_INPUT);
	assert_string_equal(e.text, "x-tensor-shape must be at most 16 numbers with commas: 1,x");
	body_finish(&b);
}

static void files_of_numpy_go_there_and_back(void **state)
{
	float values[2] = { 1.5F, -2 };
	struct sconce_tensor t = { .data = values,
				   .bytes = sizeof(values),
				   .dtype = SCONCE_FP32,
				   .ndim = 2,
				   .shape = { 1, 2 } };
	struct buf file = BUF_INIT(4096);
	struct sconce_error e = { "" };
	struct body b = { 0 };
	struct body_part part = { .name = SLICE("image") };

	(void)state;
	assert_int_equal(npy_write(&file, &t, &e), 0);
	assert_int_equal(file.n % 64, sizeof(values));
	part.bytes = buf_slice(&file);
	assert_int_equal(body_read(&b, &one_input, &part, 1, &e), 0);
	assert_memory_equal(b.inputs[0].data, values, sizeof(values));
	body_finish(&b);
	for (size_t n = 6; n < file.n; n++) {
		part.bytes.n = n;
		refused(&one_input, part, "image");
	}
	buf_finish(&file);
}

/* A few bytes that would take gigabytes if the first lists were believed. */
static void lists_take_no_more_memory_than_they_have_values(void **state)
{
	struct buf text = BUF_INIT(4096);

	(void)state;
	for (unsigned depth = 0; depth < 6; depth++)
		buf_putc(&text, '[');
	for (unsigned depth = 0; depth < 6; depth++) {
		for (unsigned i = depth ? 1 : 0; i < 38; i++)
			buf_puts(&text, i ? ",0" : "0");
		buf_putc(&text, ']');
	}
	refused(&any_input, json(buf_cstr(&text)), "lists of different length");
	buf_finish(&text);
}

static void numbers_that_begin_like_text_are_numbers(void **state)
{
	static const char bytes[] = "[\0\0\1{\0\0\1";
	struct body_part part = { .bytes = { bytes, 8 }, .whole = true };
	struct sconce_error e = { "" };
	struct body b = { 0 };

	(void)state;
	assert_int_equal(body_read(&b, &one_input, &part, 1, &e), 0);
	assert_memory_equal(b.inputs->data, bytes, 8);
	body_finish(&b);
	part.bytes = SLICE("[[1, 2] ");
	refused(&one_input, part, "broken at byte");
	part.bytes = SLICE("[[1, 2]]");
	assert_int_equal(body_read(&b, &one_input, &part, 1, &e), 0);
	assert_int_equal(b.inputs->ndim, 2);
	body_finish(&b);
}

static void headers_tell_of_raw_bytes(void **state)
{
	struct body_part part = { .type = SLICE("application/octet-stream"),
				  .bytes = SLICE("\0\1\2\0\1\2"),
				  .whole = true };
	static const struct {
		struct slice dtype, shape;
		const char *words;
	} cases[] = {
		{ SLICE_CONST("int16"), SLICE_CONST("3, 1"), NULL },
		{ SLICE_CONST("INT16"), SLICE_CONST(""), NULL },
		{ SLICE_CONST("BOOL"), SLICE_CONST("6"), "must be BOOL, bytes of 0 or 1" },
		{ SLICE_CONST("INT99"), SLICE_CONST(""), "there is no type INT99" },
		{ SLICE_CONST("INT8"), SLICE_CONST("2,x"), "numbers with commas: 2,x" },
		{ SLICE_CONST("INT8"), SLICE_CONST("-2,-3"), "no INT8 of shape [-2, -3]" },
		{ SLICE_CONST("INT8"), SLICE_CONST("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,6"),
		  "at most 16 numbers" },
		{ SLICE_CONST("INT64"), SLICE_CONST("4294967296,4294967296,4294967296"),
		  "6 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* Nothing ends with a zero byte. */
		_cleanup_(freep) char *shape = mem_alloc(cases[i].shape.n + 1);
		struct body b = { .dtype = cases[i].dtype,
				  .shape = { shape + 1, cases[i].shape.n } };
		struct sconce_error e = { "" };
		int r;

		memcpy(shape + 1, cases[i].shape.p, cases[i].shape.n);
		r = body_read(&b, &any_input, &part, 1, &e);
		assert_int_equal(r, cases[i].words ? SCONCE_BAD_INPUT : 0);
		if (cases[i].words && !strstr(e.text, cases[i].words))
			fail_msg("'%s' does not say '%s'", e.text, cases[i].words);
		body_finish(&b);
	}
}

static void what_is_beside_the_body_is_for_others(void **state)
{
	const struct body_part query[] = { field("verbose", "1"), json("[[1, 2]]") };
	const struct body_part form[] = { field("model_name", "m"), field("image", "[[1, 2]]") };
	struct sconce_error e = { "" };
	struct body b = { 0 };

	(void)state;
	assert_int_equal(body_read(&b, &one_input, query, 2, &e), 0);
	body_finish(&b);
	assert_int_equal(body_read(&b, &one_input, form, 2, &e), 0);
	body_finish(&b);
	refused(&one_input, field("img", "[[1, 2]]"), "there is no input \"img\"");
	/* What curl calls a form. */
	refused(&one_input, field("[[1, 2]", ""), "broken at byte");
}

static void parts_of_a_form_are_inputs(void **state)
{
	const struct body_part parts[] = { { .name = SLICE("b"), .bytes = SLICE("[\"x\"]") },
					   { .name = SLICE("a"), .bytes = SLICE("[1, 2]") } };
	struct sconce_error e = { "" };
	struct body b = { 0 };

	(void)state;
	assert_int_equal(body_read(&b, &two_inputs, parts, 2, &e), 0);
	assert_int_equal(b.inputs[0].shape[0], 2);
	assert_int_equal(b.inputs[1].bytes, 5);
	body_finish(&b);
}

static void batches_are_stacked_and_taken_apart(void **state)
{
	const struct body_part parts[] = { json("[[1, 2]]"), json("[[3, 4], [5, 6]]"),
					   json("[[7, 8]]") };
	const bool in[] = { true, false, true };
	struct sconce_error e = { "" };
	struct body bodies[3] = { 0 };
	struct sconce_tensor part;
	struct stack k;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		assert_int_equal(body_read(&bodies[i], &one_input, &parts[i], 1, &e), 0);
	assert_true(stack_agrees(&bodies[0], &bodies[1]));
	assert_int_equal(stack_make(&k, bodies, in, 3, &one_input), 0);
	assert_int_equal(k.total, 2);
	assert_true(stack_fits(&k, k.all.inputs, 1));
	part = stack_part(&k, k.all.inputs, 1, 1);
	assert_memory_equal(part.data, ((float[]){ 7, 8 }), 8);
	assert_int_equal(part.bytes, 8);
	stack_finish(&k);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		body_finish(&bodies[i]);
}

/* A header, or a file, of a few bytes may say so: an engine that makes a number of each row would
 * take all the memory there is. */
static void rows_of_nothing_are_few(void **state)
{
	static const struct {
		struct slice shape;
		bool taken;
	} cases[] = { { SLICE_CONST("9223372036854775807, 0"), false },
		      { SLICE_CONST("0, 9223372036854775807"), false },
		      { SLICE_CONST("4194304, 0"), false },
		      { SLICE_CONST("2048, 0, 2048"), false },
		      { SLICE_CONST("1000000, 0"), true },
		      { SLICE_CONST("0, 4"), true } };
	const struct body_part part = { .name = SLICE("body"), .bytes = SLICE(""), .whole = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct body b = { .dtype = SLICE("FP32"), .shape = cases[i].shape };
		struct sconce_error e = { "" };
		int r = body_read(&b, &any_input, &part, 1, &e);

		assert_int_equal(r, cases[i].taken ? 0 : SCONCE_BAD_INPUT);
		if (r)
			assert_string_equal(e.text, "input \"x\" has no elements, but sizes that "
						    "are too large");
		body_finish(&b);
	}
	refused(&any_input,
		json("{\"inputs\": [{\"name\": \"x\", \"datatype\": \"FP32\", "
		     "\"shape\": [4194304, 0], \"data\": []}]}"),
		"sizes that are too large");
}

static void rows_that_cannot_be_counted_are_not_stacked(void **state)
{
	struct sconce_tensor none = { .dtype = SCONCE_FP32, .ndim = 2, .shape = { INT64_MAX, 0 } };
	struct body bodies[2] = { { .inputs = &none, .n = 1 }, { .inputs = &none, .n = 1 } };
	const bool in[] = { true, true };
	struct stack k;

	(void)state;
	assert_true(stack_agrees(&bodies[0], &bodies[1]));
	assert_int_equal(stack_make(&k, bodies, in, 2, &any_input), -EOVERFLOW);
	stack_finish(&k);
}

static void outputs_of_engines_are_checked(void **state)
{
	char text[] = "\1\0\0\0x";
	struct sconce_tensor t = { .data = text, .bytes = 5, .dtype = SCONCE_BYTES };

	(void)state;
	assert_true(tensor_sound(&t));
	t.bytes = 4;
	assert_false(tensor_sound(&t));
	t = (struct sconce_tensor){ .dtype = SCONCE_FP32, .ndim = 2, .shape = { 1, -1 } };
	assert_false(tensor_sound(&t));
	t = (struct sconce_tensor){ .dtype = SCONCE_FP32,
				    .ndim = 3,
				    .shape = { INT64_MAX, INT64_MAX, 4 } };
	assert_false(tensor_sound(&t));
	t = (struct sconce_tensor){ .dtype = 99, .ndim = 0 };
	assert_false(tensor_sound(&t));
}

static void halves_are_rounded_as_hardware_does(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x7c00; h++)
		assert_int_equal(half_from_float(half_to_float((uint16_t)h)), h);
	assert_int_equal(half_from_float(65519), 0x7bff);
	assert_int_equal(half_from_float(65520), 0x7c00);
	assert_int_equal(half_from_float(-1e-9F), 0x8000);
	assert_int_equal(half_from_float(1.0009765F), 0x3c01);
	assert_int_equal(bfloat_from_float(1), 0x3f80);
	assert_int_equal(bfloat_from_float(1.00390625F), 0x3f80); /* half way: to the even one */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_comes_in_many_dialects),
		cmocka_unit_test(a_missing_dimension_of_one_is_added_and_taken_away),
		cmocka_unit_test(rows_may_be_objects_of_inputs),
		cmocka_unit_test(several_outputs_are_json_only),
		cmocka_unit_test(lists_take_no_more_memory_than_they_have_values),
		cmocka_unit_test(numbers_that_begin_like_text_are_numbers),
		cmocka_unit_test(headers_tell_of_raw_bytes),
		cmocka_unit_test(what_is_beside_the_body_is_for_others),
		cmocka_unit_test(numbers_read_back_equal),
		cmocka_unit_test(what_does_not_fit_is_refused_by_name),
		cmocka_unit_test(lists_as_deep_as_the_document_do_no_harm),
		cmocka_unit_test(raw_bytes_are_counted),
		cmocka_unit_test(refusals_show_the_header_and_nothing_else),
		cmocka_unit_test(files_of_numpy_go_there_and_back),
		cmocka_unit_test(parts_of_a_form_are_inputs),
		cmocka_unit_test(batches_are_stacked_and_taken_apart),
		cmocka_unit_test(rows_of_nothing_are_few),
		cmocka_unit_test(rows_that_cannot_be_counted_are_not_stacked),
		cmocka_unit_test(outputs_of_engines_are_checked),
		cmocka_unit_test(halves_are_rounded_as_hardware_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
