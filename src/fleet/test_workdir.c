/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "fleet/workdir.h"
#include "loop/work.h"

static char *below(const char *dir, const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static void what_dead_servers_left_is_removed_and_nothing_else(void **state)
{
	char tmp[] = "/tmp/test-workdir-XXXXXX";
	struct workdir first, second;
	struct lane lane;
	_cleanup_(freep) char *left = NULL, *inside = NULL, *foreign = NULL;

	(void)state;
	assert_non_null(mkdtemp(tmp));
	left = below(tmp, "models/sconce-left");
	inside = below(left, "unpacked");
	foreign = below(tmp, "models/0123456789abcdef");
	assert_int_equal(file_make_dirs(inside, 0755), 0);
	assert_int_equal(file_make_dirs(foreign, 0755), 0);

	lane_init(&lane, uv_default_loop());
	assert_int_equal(workdir_make(&first, tmp, &lane), 0);
	uv_run(lane.loop, UV_RUN_DEFAULT);
	assert_int_not_equal(access(left, F_OK), 0);
	assert_int_equal(access(foreign, F_OK), 0);

	assert_int_equal(workdir_make(&second, tmp, &lane), 0);
	uv_run(lane.loop, UV_RUN_DEFAULT);
	assert_string_not_equal(first.path, second.path);
	assert_int_equal(access(first.path, F_OK), 0); /* its server lives */

	workdir_finish(&second, &lane);
	uv_run(lane.loop, UV_RUN_DEFAULT);
	assert_int_equal(access(first.path, F_OK), 0);
	workdir_finish(&first, &lane);
	uv_run(lane.loop, UV_RUN_DEFAULT);
	assert_int_equal(first.lock, -1);
	assert_int_equal(access(foreign, F_OK), 0);
	assert_int_equal(file_remove_tree(tmp), 0);
}

static void a_place_that_cannot_be_written_is_an_error(void **state)
{
	struct workdir d;
	struct lane lane;

	(void)state;
	lane_init(&lane, uv_default_loop());
	assert_true(workdir_make(&d, "/dev/null", &lane) < 0);
	workdir_finish(&d, &lane);
	lane_finish(&lane);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_dead_servers_left_is_removed_and_nothing_else),
		cmocka_unit_test(a_place_that_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
