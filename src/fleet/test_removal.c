/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "fleet/removal.h"

struct seen {
	unsigned calls;
	const char *path; /* that must be gone by then */
};

static void seen_done(void *arg)
{
	struct seen *s = arg;

	s->calls++;
	if (s->path)
		assert_int_not_equal(access(s->path, F_OK), 0);
}

static void what_is_removed_is_gone_when_done_and_not_before_the_loop_runs(void **state)
{
	char tmp[] = "/tmp/test-removal-XXXXXX";
	_cleanup_(freep) char *tree = NULL, *deep = NULL, *archive = NULL;
	struct seen of_tree = { 0 }, of_all = { 0 };
	struct removals rs;

	(void)state;
	assert_non_null(mkdtemp(tmp));
	of_tree.path = tree = mem_printf("%s/tree", tmp);
	deep = mem_printf("%s/a/b/c", tree);
	of_all.path = archive = mem_printf("%s/archive.mar", tmp);
	assert_int_equal(file_make_dirs(deep, 0755), 0);
	assert_int_equal(file_write_atomic(archive, SLICE("x"), 0600), 0);
	removals_init(&rs, uv_default_loop());

	removal_add(&rs, mem_strdup(tree), seen_done, &of_tree);
	removal_add(&rs, mem_strdup(archive), NULL, NULL);
	removal_add(&rs, mem_strdup("/nonexistent/file"), NULL, NULL);
	removal_add(&rs, NULL, seen_done, &of_all);
	assert_int_equal(of_tree.calls + of_all.calls, 0);
	assert_int_equal(access(archive, F_OK), 0); /* its turn comes with the loop's */
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	assert_int_equal(of_tree.calls, 1);
	assert_int_equal(of_all.calls, 1);
	removals_finish(&rs);
	assert_int_equal(rmdir(tmp), 0);
}

static void what_there_is_no_time_for_is_left(void **state)
{
	char tmp[] = "/tmp/test-removal-XXXXXX";
	_cleanup_(freep) char *tree = NULL;
	struct seen seen = { 0 };
	struct removals rs;

	(void)state;
	assert_non_null(mkdtemp(tmp));
	tree = mem_printf("%s/tree", tmp);
	assert_int_equal(file_make_dirs(tree, 0755), 0);
	removals_init(&rs, uv_default_loop());
	removals_limit(&rs, clock_now_ns());
	removal_add(&rs, mem_strdup(tree), seen_done, &seen);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(access(tree, F_OK), 0);
	/* There is as long as nobody says so. */
	removals_limit(&rs, clock_now_ns() + 3600 * NS_PER_S);
	removal_add(&rs, mem_strdup(tree), seen_done, &seen);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	assert_int_not_equal(access(tree, F_OK), 0);
	removals_finish(&rs);
	assert_int_equal(rmdir(tmp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_removed_is_gone_when_done_and_not_before_the_loop_runs),
		cmocka_unit_test(what_there_is_no_time_for_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
