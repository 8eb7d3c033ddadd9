/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Processes that are done with, and do not end. */

#include <signal.h>

#include "fleet/worker_rig.h"

/* It is in the kernel's hands: a file system or a driver hangs. */
static void test_one_that_does_not_even_die_is_not_waited_for(void **state)
{
	struct request r = rig_asked(7, NULL);

	(void)state;
	rig_loads();
	rig_begins(&r);
	rig_notes(1);
	worker_kill(rig.w, "it hangs");
	assert_int_equal(rig.kills, 1);
	assert_int_equal(rig.replies, 0);
	assert_int_equal(uv_timer_get_due_in(rig.w->timer), 10000);
	uv_timer_start(rig.w->timer, rig.w->timer->timer_cb, 0, 0);
	close(rig.peer);
	rig_turn();
	assert_int_equal(rig.replies, 1);
	assert_true(rig.last.error);
	assert_int_equal(rig.starts, 2);
	rig_loads();
}

/* A handler has closed all descriptors that are not its own. */
static void test_one_that_goes_on_without_its_socket_is_ended(void **state)
{
	struct request r = rig_asked(7, NULL);

	(void)state;
	rig.settings.retry = true;
	rig_loads();
	rig_begins(&r);
	rig_notes(1);
	close(rig.peer);
	rig.peer = -1;
	rig_turn();
	assert_int_equal(rig.kills, 0);
	assert_int_equal(uv_timer_get_due_in(rig.w->timer), 5000);
	uv_timer_start(rig.w->timer, rig.w->timer->timer_cb, 0, 0);
	rig_turn();
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
	assert_true(r.retried);
	assert_ptr_equal(queue_first(&rig.queue), &r);
	queue_remove(&rig.queue, &r);
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(test_one_that_does_not_even_die_is_not_waited_for),
		WORKER_TEST(test_one_that_goes_on_without_its_socket_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
