/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/python.h"
#include "fleet/ranks.h"
#include "fleet/worker_rig.h"

/* A worker of several processes, which are a script that waits to be killed. */

#define RANKS 8

static const struct worker_maker *const makers[] = { &maker_ranks, NULL };
static char script[64], never[] = "never";
static struct children children;
static struct python python = { .executable = script, .packages = script };

static unsigned running(void)
{
	unsigned n = 0;

	list_for_each (l, &children.all)
		n++;
	return n;
}

static int set_up(void **state)
{
	FILE *f;
	int fd;

	snprintf(script, sizeof(script), "/tmp/sconce-test-ranks-XXXXXX");
	fd = mkstemp(script);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	fputs("#!/bin/sh\nexec sleep 1000\n", f);
	fclose(f);
	chmod(script, 0700);
	rig_set_up(state);
	rig_ends(0); /* the fake one */
	children_init(&children, rig.shared.loop);
	rig.settings.native = never;
	rig.settings.initial_distribution_port = 29500;
	rig.devices.level = RANKS;
	rig.shared.makers = makers;
	rig.shared.children = &children;
	rig.shared.python = &python;
	worker_start(rig.w);
	return 0;
}

static int tear_down(void **state)
{
	if (rig.w)
		worker_stop(rig.w, 0);
	while (!rig.gone)
		uv_run(rig.shared.loop, UV_RUN_ONCE);
	assert_int_equal(running(), 0);
	children_finish(&children);
	unlink(script);
	return rig_tear_down(state);
}

static void test_a_start_makes_one_process_and_later_turns_the_others(void **state)
{
	unsigned turns = 0;

	(void)state;
	assert_int_equal(running(), 1);
	while (!rig.w->pid && turns++ < 10 * RANKS)
		workers_launch(&rig.shared);
	assert_int_equal(running(), RANKS);
	assert_int_equal(rig.w->pid, rig.w->child.pid);
	assert_false(rig.w->half_made);
}

static void test_what_is_half_made_can_be_ended(void **state)
{
	(void)state;
	assert_true(rig.w->half_made);
	worker_stop(rig.w, 1000);
	while (!rig.gone)
		uv_run(rig.shared.loop, UV_RUN_ONCE);
	assert_int_equal(running(), 0);
	assert_true(list_empty(&rig.shared.launches));
}

#define RANKS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RANKS_TEST(test_a_start_makes_one_process_and_later_turns_the_others),
		RANKS_TEST(test_what_is_half_made_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
