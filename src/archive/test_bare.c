/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/archive.h"
#include "archive/bare.h"
#include "base/file.h"
#include "base/mem.h"

static char folder[] = "/tmp/test-bare-XXXXXX";

static char *put(const char *name, const char *content)
{
	char *path = mem_printf("%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	return path;
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	file_remove_tree(folder);
	return 0;
}

static void files_are_models_by_name_and_content(void **state)
{
	static const struct {
		const char *name, *content;
		bool model;
	} files[] = {
		{ "a.onnx", "", true },
		{ "a.tflite", "", true },
		{ "a.pdmodel", "", true },
		{ "a.pt2", "", true },
		{ ".onnx", "", true }, /* a path has something before it */
		{ "a.pt", "PK code of net/code/__torch__.py", true },
		{ "weights.pt", "PK data of archive/data.pkl", false },
		{ "ir.xml", "<?xml version=\"1.0\"?>\n<net name=\"m\">", true },
		{ "other.xml", "<project/>", false },
		{ "a.mar", "", false },
		{ "a.bin", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_(freep) char *path = put(files[i].name, files[i].content);

		assert_int_equal(bare_is_model(path), files[i].model);
	}
	assert_non_null(strstr(bare_otherwise("weights.pt"), "a pickled Python object"));
	assert_null(bare_otherwise("a.mar"));
	assert_false(bare_is_model("/nowhere/a.onnx"));
	assert_false(bare_is_model(folder));
	assert_int_equal(bare_ending(SLICE(".onnx")).n, 0);
}

static struct region region; /* of what unpack() has read last */

static void unpack(const char *source, struct slice hint, struct manifest *m, struct slice *dir)
{
	_cleanup_(freep) char *unused = mem_printf("%s/unused", folder);
	struct archive_limits limits = { 1 << 20, 10, 10 };
	struct archive_error err = { 0 };

	region_init(&region);
	assert_int_equal(archive_unpack(&region, source, unused, &limits, hint, m, dir, &err), 0);
	assert_int_equal(access(unused, F_OK), -1);
	buf_finish(&err.message);
}

static void they_are_served_from_where_they_lie(void **state)
{
	_cleanup_(freep) char *path = put("net-2.onnx", "x");
	_cleanup_(freep) char *config = put("net-2.onnx.yaml", "engine: onnx\nbatchSize: 4\n");
	struct manifest m;
	struct slice dir;

	(void)state;
	unpack(path, SLICE_NULL, &m, &dir);
	assert_true(slice_eq(dir, slice_str(folder)));
	assert_true(slice_eq(m.model_name, SLICE("net_2")));
	assert_true(slice_eq(m.runtime, BARE_RUNTIME));
	assert_true(slice_eq(m.serialized_file, SLICE("net-2.onnx")));
	assert_int_equal(m.batch_size, 4);
	assert_non_null(strstr(m.config_json.p, "\"engine\": \"onnx\""));
	region_finish(&region);
}

static void one_of_the_folder_that_we_are_in_is_one(void **state)
{
	_cleanup_(freep) char *path = put("here.onnx", "x"), *before = getcwd(NULL, 0);
	struct manifest m;
	struct slice dir;

	(void)state;
	assert_int_equal(chdir(folder), 0);
	unpack("here.onnx", SLICE_NULL, &m, &dir);
	assert_true(slice_eq(dir, SLICE(".")));
	assert_true(slice_eq(m.serialized_file, SLICE("here.onnx")));
	region_finish(&region);
	assert_int_equal(chdir(before), 0);
}

static void folders_of_tensorflow_are_models(void **state)
{
	_cleanup_(freep) char *inside = mem_printf("%s/tf", folder), *file = NULL;
	struct manifest m;
	struct slice dir;

	(void)state;
	assert_int_equal(mkdir(inside, 0755), 0);
	assert_false(bare_is_model(inside));
	file = put("tf/saved_model.pb", "x");
	unpack(inside, SLICE("mine"), &m, &dir);
	assert_true(slice_eq(dir, slice_str(inside)));
	assert_true(slice_eq(m.model_name, SLICE("mine")));
	assert_true(slice_eq(m.serialized_file, SLICE("saved_model.pb")));
	region_finish(&region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_models_by_name_and_content),
		cmocka_unit_test(they_are_served_from_where_they_lie),
		cmocka_unit_test(one_of_the_folder_that_we_are_in_is_one),
		cmocka_unit_test(folders_of_tensorflow_are_models),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
