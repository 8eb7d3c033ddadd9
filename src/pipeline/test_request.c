/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "image/encode.h"
#include "pipeline/base64.h"
#include "pipeline/labels.h"
#include "pipeline/rig.h"

#define JSON "application/json"
#define RAW "application/octet-stream"
/* Three grey pixels in a row: 0, 128, 255. */
#define PNG                                                                                        \
	"iVBORw0KGgoAAAANSUhEUgAAAAMAAAABCAAAAAA+i0toAAAADElEQVR4"                                 \
	"nGNgaPgPAAIDAYAkYfWXAAAAAElFTkSuQmCC"

/* What binascii.a2b_base64() makes of it, or that it raises. */
static void base64_is_pythons(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL: it raises */
	} cases[] = {
		{ "", "" },           { "YQ==", "a" },        { "YWI=", "ab" },
		{ "YWJj", "abc" },    { "YW Jj\n", "abc" },   { "Y*W.Jj", "abc" },
		{ "YQ", NULL },       { "Y", NULL },          { "YWI", NULL },
		{ "YQ=", NULL },      { "YQ==YQ==", "a" },    { "=YQ==", "a" },
		{ "YQ=Q=", "a\x04" }, { "Y=Q==", "a" },       { "YWJj=", "abc" },
		{ "====", "" },       { "YWJjYQ==", "abca" }, { "YQ=\xc3\xa9=", NULL },
	};
	char out[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool ok = base64_decode(slice_str(cases[i].text), out, &n);

		if (ok != !!cases[i].bytes ||
		    (ok && !slice_eq(slice_make(out, n), slice_str(cases[i].bytes))))
			fail_msg("\"%s\"", cases[i].text);
	}
}

static const char *picture(const char *type, struct slice body)
{
	return rig_answers(
		"[{\"decode_image\": {\"lists\": true}}, \"to_tensor\", \"encode_json\"]", type,
		body);
}

static void a_picture_comes_in_many_ways(void **state)
{
	static const char pixels[] = "[[[0.0, 0.5019608, 1.0]]]";
	char png[128];
	size_t n;

	(void)state;
	assert_true(base64_decode(SLICE(PNG), png, &n));
	assert_string_equal(picture(RAW, slice_make(png, n)), pixels);
	assert_string_equal(picture("", slice_make(png, n)), pixels);
	assert_string_equal(picture(JSON, SLICE("\"" PNG "\"")), pixels);
	assert_string_equal(picture("text/plain", SLICE(PNG)), pixels);
	assert_string_equal(picture(JSON, SLICE("[[1, 2], [3, 4.5]]")), "[[1.0, 2.0], [3.0, 4.5]]");
	assert_string_equal(picture(JSON, SLICE("\xef\xbb\xbf[1]")), "[1.0]");
	/* UTF-16 and UTF-32, with a mark and without. */
	assert_string_equal(picture(JSON, SLICE("\xff\xfe[\0001\0]\0")), "[1.0]");
	assert_string_equal(picture(JSON, SLICE("\xfe\xff\0[\0001\0]")), "[1.0]");
	assert_string_equal(picture(JSON, SLICE("[\0002\0]\0")), "[2.0]");
	assert_string_equal(picture(JSON, SLICE("\0[\0002\0]")), "[2.0]");
	assert_string_equal(picture(JSON, SLICE("\0\0\0[\0\0\0003\0\0\0]")), "[3.0]");
	assert_string_equal(picture(JSON, SLICE("[\0\0\0003\0\0\0]\0\0\0")), "[3.0]");
	assert_string_equal(picture(JSON, SLICE("\xff\xfe\0\0[\0\0\0004\0\0\0]\0\0\0")), "[4.0]");
	assert_string_equal(picture(JSON, SLICE("[NaN, -Infinity, true]")),
			    "[NaN, -Infinity, 1.0]");
}

/* Whose steps begin with one that decodes, or with a picture that others take, too. */
static void pictures_become_pictures(void **state)
{
	static const char *const steps[] = {
		"[\"decode_image\", \"encode_png\"]",
		"[\"decode_image\", {\"resize\": {\"width\": 5, \"height\": 2}}, "
		"{\"convert\": \"RGB\"}, \"encode_png\"]",
		"[{\"decode_image\": {\"as\": \"whole\"}}, {\"flip\": {\"as\": \"turned\"}}, "
		"{\"pad\": {\"size\": 1, \"from\": \"whole\"}}, \"encode_png\"]",
		"[{\"decode_image\": {\"as\": \"whole\"}}, "
		"{\"crop\": {\"width\": 1, \"height\": 1}}, "
		"{\"to_tensor\": {\"values\": \"bytes\", \"from\": \"whole\"}}, "
		"{\"to_image\": 255}, \"encode_png\"]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		const char *png = rig_answers(steps[i], "text/plain", SLICE(PNG));

		if (rig_code)
			fail_msg("%s", png);
		assert_memory_equal(png, "\x89PNG", 4);
		rig_answers(steps[i], RAW, SLICE("no picture"));
		assert_int_equal(rig_code, SCONCE_BAD_INPUT);
	}
}

static void what_is_no_picture_is_refused(void **state)
{
	(void)state;
	picture(RAW, SLICE("no picture"));
	assert_int_equal(rig_code, SCONCE_BAD_INPUT);
	picture(RAW, SLICE(""));
	assert_int_equal(rig_code, SCONCE_BAD_INPUT);
	picture(JSON, SLICE("{\"instances\": [[1]]}"));
	assert_int_equal(rig_code, SCONCE_BAD_INPUT);
	picture(JSON, SLICE("7"));
	assert_int_equal(rig_code, SCONCE_BAD_INPUT);
	picture(JSON, SLICE("[nan]")); /* no JSON for Python, so bytes */
	assert_int_equal(rig_code, SCONCE_BAD_INPUT);
	assert_string_equal(picture(JSON, SLICE("\"YQ\"")),
			    "step 1, decode_image: the text is not base64");
}

/* `data` counts, or `body` where that is empty in Python's eyes; of one name the last. */
static void parts_are_chosen_as_by_python(void **state)
{
	static const struct {
		struct pipeline_part parts[3];
		size_t n;
		const char *answer;
	} cases[] = {
		{ { { SLICE_CONST("data"), SLICE_CONST(JSON), SLICE_CONST("[1]") },
		    { SLICE_CONST("body"), SLICE_CONST(JSON), SLICE_CONST("[2]") } },
		  2,
		  "[1.0]" },
		{ { { SLICE_CONST("data"), SLICE_CONST(JSON), SLICE_CONST("0") },
		    { SLICE_CONST("body"), SLICE_CONST(JSON), SLICE_CONST("[2]") } },
		  2,
		  "[2.0]" },
		{ { { SLICE_CONST("data"), SLICE_CONST(JSON), SLICE_CONST("[]") },
		    { SLICE_CONST("body"), SLICE_CONST(JSON), SLICE_CONST("[2]") } },
		  2,
		  "[2.0]" },
		{ { { SLICE_CONST("data"), SLICE_CONST(JSON), SLICE_CONST("[1]") },
		    { SLICE_CONST("data"), SLICE_CONST(JSON), SLICE_CONST("[3]") } },
		  2,
		  "[3.0]" },
		{ { { SLICE_CONST("image"), SLICE_CONST(JSON), SLICE_CONST("[1]") } },
		  1,
		  "step 1, from_json: the request has nothing for it" },
	};
	struct sconce_error e = { "" };
	struct pipeline *p;

	(void)state;
	assert_int_equal(pipeline_parse_text(SLICE("[\"from_json\", \"encode_json\"]"), &p, &e), 0);
	assert_int_equal(pipeline_bind(p, NULL, "/nowhere", &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pipeline_request r = { cases[i].parts, cases[i].n, true, true };
		struct pipeline_answer a = { .body = BUF_INIT(1000) };
		struct pipeline_run *run;

		assert_int_equal(pipeline_before(p, &r, &run, &e), 0);
		if (pipeline_after(run, NULL, &a, &e) < 0)
			assert_string_equal(e.text, cases[i].answer);
		else
			assert_string_equal(buf_cstr(&a.body), cases[i].answer);
		pipeline_end(run);
		buf_finish(&a.body);
	}
	pipeline_free(p);
}

/* ---- what costs more than it says ---- */

static const char *npy(const char *shape, const char *steps)
{
	static char file[256];
	int n = snprintf(file + 10, sizeof(file) - 10,
			 "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n", shape);

	memcpy(file, "\x93NUMPY\x01\0", 8);
	file[8] = (char)n;
	file[9] = 0;
	return rig_answers(steps, RAW, slice_make(file, (size_t)n + 10));
}

/* Loops over sizes that no byte stands for would not end. */
static void a_tensor_without_elements_is_small(void **state)
{
	static const char *const steps[] = {
		"[\"from_npy\", {\"normalize\": {\"mean\": 0, \"std\": 1}}, \"encode_raw\"]",
		"[\"from_npy\", {\"transpose\": [0, 2, 1]}, \"encode_raw\"]",
		"[\"from_npy\", {\"softmax\": 0}, \"encode_raw\"]",
		"[\"from_npy\", {\"argmax\": 0}, \"encode_raw\"]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert_string_equal(npy("9223372036854775807, 0, 0", steps[i]),
				    "step 1, from_npy: its file has no elements, but sizes that "
				    "are too large");
		assert_int_equal(rig_code, SCONCE_BAD_INPUT);
		npy("4611686018427387904, 4, 0", steps[i]);
		assert_int_equal(rig_code, SCONCE_BAD_INPUT);
		assert_string_equal(npy("3, 0, 7", steps[i]), "");
		assert_int_equal(rig_code, 0);
	}
}

/* A line of pixels is a file of a few bytes. */
static void a_line_becomes_no_picture_without_end(void **state)
{
	static const char *const steps[] = { "\"to_tensor\"",
					     "{\"resize\": {\"width\": 2, \"height\": 2}}, "
					     "\"to_tensor\"" };
	_cleanup_(buf_finish) struct buf png = BUF_INIT(65536);
	char text[256];
	struct image line;
	struct image_error e;

	(void)state;
	assert_int_equal(image_create(&line, IMAGE_L, 1, 20000, &e), 0);
	memset(line.pixels, 0, line.stride * line.height);
	assert_int_equal(image_encode_png(&line, &png, &e), 0);
	image_free(&line);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		snprintf(text, sizeof(text),
			 "[\"decode_image\", {\"resize\": 256}, %s, \"encode_raw\"]", steps[i]);
		assert_non_null(strstr(rig_answers(text, RAW, buf_slice(&png)),
				       "a picture of 1 × 20000 becomes one of 1310720000 pixels, "
				       "more than the 178956970 allowed"));
		assert_int_equal(rig_code, SCONCE_BAD_INPUT);
	}
	/* Only what is wanted is made. */
	rig_answers("[\"decode_image\", {\"resize\": 256}, {\"center_crop\": 4}, \"to_tensor\", "
		    "\"encode_raw\"]",
		    RAW, buf_slice(&png));
	assert_int_equal(rig_code, 0);
}

/* ---- names ---- */

static const char *named(const char *json, int64_t class)
{
	static char name[256];
	struct sconce_error e = { "" };
	struct labels *l = labels_parse(slice_str(json), &e);
	const struct label *found = l ? labels_find(l, class) : NULL;

	if (!l)
		snprintf(name, sizeof(name), "error: %s", e.text);
	else if (!found)
		snprintf(name, sizeof(name), "none");
	else
		snprintf(name, sizeof(name), "%.*s%s", SLICE_ARG(found->name),
			 found->shared ? " (shared)" : "");
	labels_free(l);
	return name;
}

static void files_of_labels(void **state)
{
	static const char bad[] =
		"error: it must be an object with a name, or a list of names, for each class";

	(void)state;
	assert_string_equal(named("{\"0\": \"tench\", \"7\": \"cock\"}", 7), "cock");
	assert_string_equal(named("{\"0\": [\"n01\", \"tench\"]}", 0), "tench");
	assert_string_equal(named("{\"0\": \"a\", \"0\": \"b\"}", 0), "b");
	assert_string_equal(named("{\"0\": \"a\", \"1\": \"b\", \"0\": \"c\"}", 0), "c");
	assert_string_equal(named("{\"00\": \"a\", \"+0\": \"b\", \"x\": \"c\"}", 0), "none");
	assert_string_equal(named("{\"-1\": \"a\"}", -1), "a");
	assert_string_equal(named("{\"0\": \"a\", \"1\": \"a\"}", 1), "a (shared)");
	assert_string_equal(named("{\"object_type_names\": [\"a\", \"b\"]}", 1), "b");
	assert_string_equal(named("{}", 0), "none");
	assert_string_equal(named("[]", 0), bad);
	assert_string_equal(named("{\"0\": 1}", 0), bad);
	assert_string_equal(named("{\"0\": []}", 0), bad);
	assert_string_equal(named("{\"0\": [\"a\", 1]}", 0), bad);
	assert_string_equal(named("{\"object_type_names\": [1]}", 0), bad);
	assert_true(strstr(named("{", 0), "error: it is no JSON from byte 1 on"));
}

/* Characters of every length, in other encodings. */
static void names_are_in_any_encoding(void **state)
{
	static const char *const steps =
		"[{\"from_json\": {\"member\": \"\xc3\xa9\xf0\x9d\x84\x9e\xe2\x82\xac\"}}, "
		"\"encode_json\"]";
	static const unsigned char utf16[] = { 123, 0, 34, 0, 233, 0, 52, 216, 30, 221, 172, 32,
					       34,  0, 58, 0, 91,  0, 53, 0,   93, 0,   125, 0 };
	static const unsigned char utf32[] = { 0,   0,  0,  123, 0,  0,  0,  34, 0,   0,  0,
					       233, 0,  1,  209, 30, 0,  0,  32, 172, 0,  0,
					       0,   34, 0,  0,   0,  58, 0,  0,  0,   91, 0,
					       0,   0,  53, 0,   0,  0,  93, 0,  0,   0,  125 };
	static const unsigned char half[] = { 123, 0,  34, 0,  52, 216, 34, 0,   58,
					      0,   91, 0,  53, 0,  93,  0,  125, 0 };

	(void)state;
	assert_string_equal(
		rig_answers(steps, JSON, slice_make((const char *)utf16, sizeof(utf16))), "[5.0]");
	assert_string_equal(
		rig_answers(steps, JSON, slice_make((const char *)utf32, sizeof(utf32))), "[5.0]");
	assert_string_equal(
		rig_answers(steps, JSON, slice_make((const char *)utf16, sizeof(utf16) - 1)),
		"step 1, from_json: the request is no JSON");
	assert_string_equal(rig_answers(steps, JSON, slice_make((const char *)half, sizeof(half))),
			    "step 1, from_json: the request is no JSON");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_pythons),
		cmocka_unit_test(a_picture_comes_in_many_ways),
		cmocka_unit_test(names_are_in_any_encoding),
		cmocka_unit_test(pictures_become_pictures),
		cmocka_unit_test(what_is_no_picture_is_refused),
		cmocka_unit_test(parts_are_chosen_as_by_python),
		cmocka_unit_test(a_tensor_without_elements_is_small),
		cmocka_unit_test(a_line_becomes_no_picture_without_end),
		cmocka_unit_test(files_of_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
