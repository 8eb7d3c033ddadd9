/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fleet/worker_rig.h"

/* The tick in which memory that it is done with goes back. */
static uint64_t rig_trims_at(unsigned id)
{
	struct span grant;
	uint64_t tick = 0;

	rig.w->id = id;
	assert_int_equal(outbound_grant(rig.w->memory->outbound, 1 << 20, &grant), 0);
	outbound_revoke(rig.w->memory->outbound, grant);
	while (!worker_trim(rig.w, tick, 5, UINT64_MAX))
		assert_true(++tick < 10);
	return tick % 5;
}

static void test_no_two_give_memory_back_at_once(void **state)
{
	(void)state;
	rig_loads();
	for (unsigned id = 9000; id < 9005; id++)
		assert_int_equal(rig_trims_at(id), id - 9000);
}

static void rig_closes(void *arg, struct memfd memory, int read_only)
{
	assert_int_equal(read_only, -1);
	memfd_close(&memory);
	++*(unsigned *)arg;
}

/* When nobody reads from it any more. */
static void test_reply_memory_is_closed_by_somebody_else(void **state)
{
	struct worker_memory *memory;
	unsigned closed = 0;

	(void)state;
	pool_on_segment_close(rig.pool, rig_closes, &closed);
	rig_loads();
	memory = rig.w->memory;
	memory->refs++; /* an answer on its way */
	rig_ends(0);
	assert_int_equal(closed, 0);
	worker_memory_unref(memory);
	assert_int_equal(closed, 1);
	pool_on_segment_close(rig.pool, NULL, NULL);
}

/* Of a worker that has ended, too, while somebody reads an answer of its. */
static void test_idle_memory_is_shed_wherever_it_is(void **state)
{
	uint64_t limit = rig.budget.limit;
	struct worker_memory *memory;
	struct span grant;

	(void)state;
	rig_loads();
	memory = rig.w->memory;
	assert_int_equal(outbound_grant(memory->outbound, 8 << 20, &grant), 0);
	outbound_revoke(memory->outbound, grant);
	memory->refs++;
	rig_ends(0);
	rig.budget.limit = 8 << 20;
	assert_int_equal(workers_shed(&rig.shared, 1 << 20), 1 << 20);
	assert_int_equal(workers_shed(&rig.shared, UINT64_MAX), 5 << 20);
	assert_int_equal(workers_shed(&rig.shared, UINT64_MAX), 0);
	rig.budget.limit = limit;
	worker_memory_unref(memory);
	assert_true(list_empty(&rig.shared.memories));
	assert_int_equal(rig.budget.idle, 0);
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(test_no_two_give_memory_back_at_once),
		WORKER_TEST(test_idle_memory_is_shed_wherever_it_is),
		WORKER_TEST(test_reply_memory_is_closed_by_somebody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
