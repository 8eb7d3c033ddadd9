/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"
#include "worker/plugin.h"

/* SCONCE_ENGINE_PATH has engines that are wrong in one way each, and the smallest one. */

static char *file_of(const char *name)
{
	size_t n;
	char **files = plugin_files(&n), *found = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!found && strcmp(strrchr(files[i], '/') + 1, name) == 0)
			found = files[i];
		else
			free(files[i]);
	}
	free(files);
	assert_non_null(found);
	return found;
}

static void refused(const char *file, const char *words)
{
	struct sconce_error e = { "" };
	struct plugin p;

	assert_true(plugin_open(&p, file, &e) < 0);
	if (!strstr(e.text, words))
		fail_msg("%s", e.text);
	assert_null(p.library);
}

static void what_is_no_engine_is_refused(void **state)
{
	_cleanup_(freep) char *tomorrow = file_of("tomorrow.so");
	_cleanup_(freep) char *cut = file_of("short.so");

	(void)state;
	refused(tomorrow, "built for interface 2, and this is 1: build it again");
	refused(cut, "its table lacks functions");
	refused("/dev/null", "is no engine for this server");
	refused("/nowhere/at/all.so", "No such file");
	refused("libm.so.6", "does not export sconce_engine");
}

static void an_engine_says_what_it_takes(void **state)
{
	static const struct sconce_engine table = { .suffixes = ".onnx /saved_model.pb" };
	const struct plugin p = { .table = &table };

	(void)state;
	assert_true(plugin_takes(&p, SLICE("/m/a.onnx")));
	assert_true(plugin_takes(&p, SLICE("/m/saved_model.pb")));
	assert_false(plugin_takes(&p, SLICE("/m/a.onnx.data")));
	assert_false(plugin_takes(&p, SLICE("/m/my_saved_model.pb")));
	assert_false(plugin_takes(&p, SLICE("")));
}

static void engines_are_found_by_name(void **state)
{
	struct sconce_error e = { "" };
	struct plugin p;
	size_t from = 0;

	(void)state;
	assert_int_equal(plugin_find(&p, &from, "hostile", "/m/a.echo", &e), 0);
	assert_string_equal(p.table->name, "hostile");
	assert_int_equal(from, 1); /* no other was loaded */
	plugin_close(&p);
	assert_true(plugin_find(&p, &from, "hostile", "/m/a.echo", &e) < 0);
	from = 0;
	assert_true(plugin_find(&p, &from, "nothing", "/m/a.echo", &e) < 0);
	assert_non_null(strstr(e.text, "there is no engine \"nothing\""));
}

static void engines_are_found_by_what_they_take(void **state)
{
	struct sconce_error e = { "" };
	struct plugin p;
	size_t from = 0;

	(void)state;
	assert_int_equal(plugin_find(&p, &from, "", "/m/a.hostile", &e), 0);
	assert_string_equal(p.table->name, "absent");
	plugin_close(&p);
	assert_int_equal(plugin_find(&p, &from, "", "/m/a.hostile", &e), 0);
	assert_string_equal(p.table->name, "hostile");
	plugin_close(&p);
	assert_true(plugin_find(&p, &from, "", "/m/a.hostile", &e) < 0);
	from = 0;
	assert_true(plugin_find(&p, &from, "", "/m/a.nothing", &e) < 0);
	/* Perhaps one of those would have. */
	assert_non_null(strstr(e.text, "built for interface 2"));
}

static void an_engine_may_leave_out_what_it_does_not_need(void **state)
{
	struct sconce_engine_info info;
	struct sconce_error e = { "" };
	void *engine = &e, *instance = NULL;
	struct plugin p;
	size_t from = 0;

	(void)state;
	assert_int_equal(plugin_find(&p, &from, "echo", "", &e), 0);
	assert_int_equal(p.table->open(NULL, &engine, &e), 0);
	assert_null(engine);
	plugin_info(p.table, engine, &info);
	assert_string_equal(info.runtime, "echo");
	assert_string_equal(info.devices, "cpu");
	assert_int_equal(p.table->instance_create(&e, 0, &instance, &e), 0);
	assert_ptr_equal(instance, &e);
	p.table->instance_destroy(instance);
	p.table->unload(&e);
	p.table->close(engine);
	assert_false(SCONCE_HAS(p.table, memory) && p.table->memory);
	plugin_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_engine_is_refused),
		cmocka_unit_test(an_engine_says_what_it_takes),
		cmocka_unit_test(engines_are_found_by_name),
		cmocka_unit_test(engines_are_found_by_what_they_take),
		cmocka_unit_test(an_engine_may_leave_out_what_it_does_not_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
