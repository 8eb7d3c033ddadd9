/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/snapshot_files.h"

static int setup(void **state)
{
	char folder[] = "/tmp/test_snapshots.XXXXXX";

	setenv("TZ", "UTC", 1);
	*state = mkdtemp(folder) ? mem_printf("%s/config", folder) : NULL;
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	char *folder = *state;

	*strrchr(folder, '/') = '\0';
	file_remove_tree(folder);
	free(folder);
	return 0;
}

static void test_names(void **state)
{
	static const char *const wrong[] = { "2026-startup.cfg",
					     "20261126110424123-startup.cfg.1.tmp",
					     "20261126110424123-other.cfg",
					     "startup.cfg",
					     "",
					     "202611261104241234-startup.cfg" };
	_cleanup_(freep) char *name = snapshot_name_make("startup", 1792926264123, NULL);

	(void)state;
	assert_string_equal(name, "20261025110424123-startup.cfg");
	assert_true(snapshot_name_is(name));
	assert_true(snapshot_name_is("20261126110424123-snapshot.cfg"));
	assert_true(snapshot_name_is("20261126110424123-shutdown.cfg"));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(snapshot_name_is(wrong[i]));
}

static void test_names_only_grow(void **state)
{
	_cleanup_(freep) char *first = snapshot_name_make("snapshot", 1792926264123, NULL);
	_cleanup_(freep) char *same = snapshot_name_make("shutdown", 1792926264123, first);
	_cleanup_(freep) char *back = snapshot_name_make("snapshot", 5, same);

	(void)state;
	assert_string_equal(same, "20261025110424124-shutdown.cfg");
	assert_string_equal(back, "20261025110424125-snapshot.cfg");
}

static void test_written_and_listed(void **state)
{
	_cleanup_(freep) char *path = mem_printf("%s/20260101000000001-startup.cfg",
						 (char *)*state);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(100);
	struct snapshot_files f;

	snapshot_files_list(&f, *state);
	assert_int_equal(f.n, 0);
	snapshot_files_finish(&f);
	assert_int_equal(
		snapshot_files_write(*state, "20260101000000001-startup.cfg", SLICE("a=1\n")), 0);
	assert_int_equal(snapshot_files_write(*state, "20260101000000002-shutdown.cfg", SLICE("")),
			 0);
	assert_int_equal(file_read(path, &text), 0);
	assert_string_equal(buf_cstr(&text), "a=1\n");
	snapshot_files_list(&f, *state);
	assert_int_equal(f.n, 2);
	assert_string_equal(f.names[0], "20260101000000002-shutdown.cfg");
	snapshot_files_finish(&f);
}

static void test_only_the_newest_are_kept(void **state)
{
	_cleanup_(freep) char *foreign = mem_printf("%s/mine.cfg", (char *)*state);
	struct snapshot_files f;

	for (unsigned i = 0; i < SNAPSHOTS_KEPT + 3; i++) {
		_cleanup_(freep) char *name = mem_printf("202601010000000%02u-snapshot.cfg", i);

		assert_int_equal(snapshot_files_write(*state, name, SLICE("a=1\n")), 0);
		if (i == 0)
			assert_int_equal(file_write_atomic(foreign, SLICE(""), 0600), 0);
	}
	snapshot_files_list(&f, *state);
	assert_int_equal(f.n, SNAPSHOTS_KEPT + 1);
	assert_string_equal(f.names[0], "mine.cfg");
	assert_string_equal(f.names[1], "20260101000000022-snapshot.cfg");
	assert_string_equal(f.names[SNAPSHOTS_KEPT], "20260101000000003-snapshot.cfg");
	snapshot_files_finish(&f);
}

static void test_leftovers_are_swept(void **state)
{
	static const char *const names[] = { "20260101000000001-snapshot.cfg.77.tmp", "mine.tmp" };
	char *paths[2];

	for (int i = 0; i < 2; i++)
		paths[i] = mem_printf("%s/%s", (char *)*state, names[i]);
	assert_int_equal(file_make_dirs(*state, 0755), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(file_write_atomic(paths[i], SLICE("half"), 0600), 0);
	snapshot_files_sweep(*state);
	assert_int_equal(access(paths[0], F_OK), -1);
	assert_int_equal(access(paths[1], F_OK), 0);
	free(paths[0]);
	free(paths[1]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_names_only_grow),
		TEST(test_written_and_listed),
		TEST(test_only_the_newest_are_kept),
		TEST(test_leftovers_are_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
