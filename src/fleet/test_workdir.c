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

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "fleet/removal.h"
#include "fleet/workdir.h"

static char *below(const char *dir, const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static void what_dead_servers_left_is_removed_and_nothing_else(void **state)
{
	char tmp[] = "/tmp/test-workdir-XXXXXX";
	struct workdir first, second;
	struct removals rs;
	_cleanup_(freep) char *left = NULL, *inside = NULL, *foreign = NULL;
	_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);

	(void)state;
	assert_non_null(mkdtemp(tmp));
	left = below(tmp, "models/sconce-left");
	inside = below(left, "unpacked");
	foreign = below(tmp, "models/0123456789abcdef");
	assert_int_equal(file_make_dirs(inside, 0755), 0);
	assert_int_equal(file_make_dirs(foreign, 0755), 0);

	removals_init(&rs, uv_default_loop());
	assert_int_equal(workdir_make(&first, tmp, &rs, &why), 0);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	assert_int_not_equal(access(left, F_OK), 0);
	assert_int_equal(access(foreign, F_OK), 0);

	assert_int_equal(workdir_make(&second, tmp, &rs, &why), 0);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	assert_string_not_equal(first.path, second.path);
	assert_int_equal(access(first.path, F_OK), 0); /* its server lives */

	workdir_finish(&second, &rs);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	assert_int_equal(access(first.path, F_OK), 0);
	workdir_finish(&first, &rs);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	assert_int_equal(first.lock, -1);
	assert_int_equal(access(foreign, F_OK), 0);
	assert_int_equal(file_remove_tree(tmp), 0);
}

/* A sentence with `want` in it. */
static void expect_refused(const char *tmp, const char *want)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);
	struct workdir d;
	struct removals rs;

	removals_init(&rs, uv_default_loop());
	assert_true(workdir_make(&d, tmp, &rs, &why) < 0);
	assert_non_null(strstr(buf_cstr(&why), want));
	assert_non_null(strstr(buf_cstr(&why), "TEMP or tmp_dir"));
	workdir_finish(&d, &rs);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	removals_finish(&rs);
}

static void a_place_that_cannot_be_written_is_an_error(void **state)
{
	(void)state;
	expect_refused("/dev/null", "/dev/null/models, which cannot be used: Not a directory");
}

static void a_place_where_others_write_is_refused(void **state)
{
	char tmp[] = "/tmp/test-workdir-XXXXXX";
	_cleanup_(freep) char *models = NULL, *left = NULL, *real = NULL;

	(void)state;
	assert_non_null(mkdtemp(tmp));
	models = below(tmp, "models");
	left = below(tmp, "models/sconce-left");
	real = below(tmp, "real");
	assert_int_equal(file_make_dirs(left, 0755), 0);
	assert_int_equal(chmod(models, 0777), 0);
	expect_refused(tmp, "every user may write to /tmp/test-workdir-");
	assert_int_equal(access(left, F_OK), 0);
	if (geteuid() == 0) {
		assert_int_equal(chmod(models, 0755), 0);
		assert_int_equal(chown(models, 4711, 4711), 0);
		expect_refused(tmp, "/models belongs to another user (uid 4711), who could");
		assert_int_equal(access(left, F_OK), 0);
		/* Neither through a link of somebody else's. */
		assert_int_equal(chown(models, 0, 0), 0);
		assert_int_equal(rename(models, real), 0);
		assert_int_equal(symlink(real, models), 0);
		assert_int_equal(lchown(models, 4711, 4711), 0);
		expect_refused(tmp, "belongs to another user (uid 4711)");
	}
	assert_int_equal(file_remove_tree(tmp), 0);
}

static void links_among_what_is_left_are_not_followed(void **state)
{
	char tmp[] = "/tmp/test-workdir-XXXXXX";
	_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);
	_cleanup_(freep) char *kept = NULL, *link = NULL, *inner = NULL, *left = NULL;
	struct workdir d;
	struct removals rs;

	(void)state;
	assert_non_null(mkdtemp(tmp));
	kept = below(tmp, "kept");
	left = below(tmp, "models/sconce-left/model");
	link = below(tmp, "models/sconce-link");
	inner = below(tmp, "models/sconce-left/model/link");
	assert_int_equal(file_make_dirs(kept, 0755), 0);
	assert_int_equal(file_make_dirs(left, 0755), 0);
	assert_true(symlink(kept, link) == 0 && symlink(kept, inner) == 0);
	removals_init(&rs, uv_default_loop());
	assert_int_equal(workdir_make(&d, tmp, &rs, &why), 0);
	workdir_finish(&d, &rs);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	removals_finish(&rs);
	assert_true(access(kept, F_OK) == 0 && access(left, F_OK) != 0);
	assert_int_equal(access(link, F_OK), 0);
	assert_int_equal(file_remove_tree(tmp), 0);
}

static void what_a_stop_has_no_time_for_is_removed_by_the_next_start(void **state)
{
	char tmp[] = "/tmp/test-workdir-XXXXXX";
	_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);
	_cleanup_(freep) char *model = NULL;
	struct removals rs, next;
	struct workdir d;

	(void)state;
	assert_non_null(mkdtemp(tmp));
	removals_init(&rs, uv_default_loop());
	assert_int_equal(workdir_make(&d, tmp, &rs, &why), 0);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	model = below(d.path, "model");
	assert_int_equal(file_make_dirs(model, 0755), 0);
	removals_limit(&rs, clock_now_ns());
	workdir_finish(&d, &rs);
	uv_run(rs.lane.loop, UV_RUN_DEFAULT);
	assert_int_equal(d.lock, -1);
	assert_int_equal(access(model, F_OK), 0);
	removals_init(&next, uv_default_loop());
	assert_int_equal(workdir_make(&d, tmp, &next, &why), 0);
	workdir_finish(&d, &next);
	uv_run(next.lane.loop, UV_RUN_DEFAULT);
	assert_int_not_equal(access(model, F_OK), 0);
	assert_int_equal(file_remove_tree(tmp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_dead_servers_left_is_removed_and_nothing_else),
		cmocka_unit_test(a_place_that_cannot_be_written_is_an_error),
		cmocka_unit_test(a_place_where_others_write_is_refused),
		cmocka_unit_test(what_a_stop_has_no_time_for_is_removed_by_the_next_start),
		cmocka_unit_test(links_among_what_is_left_are_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
