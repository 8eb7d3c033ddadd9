/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "worker/cache.h"

static char folder[] = "/tmp/test-cache-XXXXXX";

static char *place(const char *name, mode_t mode)
{
	char *path = mem_printf("%s/%s", folder, name);

	assert_int_equal(file_make_dirs(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void it_is_made_for_its_owner(void **state)
{
	_cleanup_(freep) char *path = mem_printf("%s/deep/cache", folder), *found = NULL;
	struct stat st;

	(void)state;
	found = cache_open(path);
	assert_string_equal(found, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void what_others_can_write_to_is_none(void **state)
{
	static const mode_t modes[] = { 0777, 01777, 0702 };

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		_cleanup_(freep) char *open = place("open", modes[i]);

		assert_null(cache_open(open));
	}
}

static void nor_is_what_lies_in_such_a_folder(void **state)
{
	_cleanup_(freep) char *around = place("around", 0777);
	_cleanup_(freep) char *inside = place("around/inside", 0700), *found = NULL;

	(void)state;
	assert_null(cache_open(inside));
	assert_int_equal(chmod(around, 01777), 0); /* as /tmp: nobody else renames what is ours */
	found = cache_open(inside);
	assert_string_equal(found, inside);
}

static void a_link_leads_to_what_is_looked_at(void **state)
{
	_cleanup_(freep) char *open = place("target", 0777);
	_cleanup_(freep) char *link = mem_printf("%s/link", folder);

	(void)state;
	assert_int_equal(symlink(open, link), 0);
	assert_null(cache_open(link));
}

static void a_file_is_no_folder(void **state)
{
	_cleanup_(freep) char *path = mem_printf("%s/file", folder);

	(void)state;
	assert_int_equal(file_write_atomic(path, SLICE("x"), 0600), 0);
	assert_null(cache_open(path));
}

static void without_a_setting_it_is_where_caches_are(void **state)
{
	_cleanup_(freep) char *wanted = mem_printf("%s/xdg/sconce", folder), *own = NULL,
			      *shared = NULL, *at_home = NULL;
	_cleanup_(freep) char *xdg = mem_printf("%s/xdg", folder);

	(void)state;
	setenv("XDG_CACHE_HOME", xdg, 1);
	shared = cache_open("");
	assert_string_equal(shared, wanted);
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", folder, 1);
	at_home = cache_open("");
	assert_non_null(strstr(at_home, "/.cache/sconce"));
	setenv("SCONCE_CACHE_DIR", wanted, 1);
	own = cache_open("");
	assert_string_equal(own, wanted);
	unsetenv("SCONCE_CACHE_DIR");
	unsetenv("HOME");
	assert_null(cache_open(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_made_for_its_owner),
		cmocka_unit_test(what_others_can_write_to_is_none),
		cmocka_unit_test(nor_is_what_lies_in_such_a_folder),
		cmocka_unit_test(a_link_leads_to_what_is_looked_at),
		cmocka_unit_test(a_file_is_no_folder),
		cmocka_unit_test(without_a_setting_it_is_where_caches_are),
	};
	int failed;

	assert(mkdtemp(folder));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	file_remove_tree(folder);
	return failed;
}
