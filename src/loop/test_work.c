/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/work.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/util.h"

struct example {
	struct work work;
	int id;
	pthread_t by;
};

static uv_loop_t loop;
static struct lane lane;
static atomic_int running, most;
static int ran[16], n_ran; /* written by one thread at a time: that is what a lane promises */
static int done[16], n_done;

static void example_run(struct work *w)
{
	struct example *e = container_of(w, struct example, work);
	int now = atomic_fetch_add(&running, 1) + 1;

	if (now > atomic_load(&most))
		atomic_store(&most, now);
	e->by = pthread_self();
	ran[n_ran++] = e->id;
	atomic_fetch_sub(&running, 1);
}

static void example_done(struct work *w)
{
	struct example *e = container_of(w, struct example, work);

	assert_false(pthread_equal(e->by, pthread_self()));
	done[n_done++] = e->id;
	free(e);
}

static struct example *example_create(int id)
{
	struct example *e = mem_new(struct example);

	e->id = id;
	return e;
}

static int begin(void **state)
{
	(void)state;
	n_ran = n_done = 0;
	atomic_store(&most, 0);
	lane_init(&lane, &loop);
	return uv_loop_init(&loop);
}

static int end(void **state)
{
	(void)state;
	lane_finish(&lane);
	return uv_loop_close(&loop);
}

static void test_runs_elsewhere_and_is_done_here(void **state)
{
	struct example *e = example_create(7);

	(void)state;
	work_start(&loop, &e->work, example_run, example_done);
	assert_int_equal(n_done, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(n_done, 1);
	assert_int_equal(done[0], 7);
}

static void test_lane_keeps_the_order(void **state)
{
	(void)state;
	for (int i = 0; i < 16; i++)
		lane_add(&lane, &example_create(i)->work, example_run, example_done);
	assert_int_equal(lane.n, 16);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(lane.n, 0);
	assert_int_equal(n_done, 16);
	assert_int_equal(atomic_load(&most), 1);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(ran[i], i);
		assert_int_equal(done[i], i);
	}
}

static void example_again(struct work *w)
{
	struct example *e = container_of(w, struct example, work);

	if (e->id)
		lane_add(&lane, &example_create(e->id - 1)->work, example_run, example_again);
	example_done(w);
}

static void test_done_may_add_more(void **state)
{
	(void)state;
	lane_add(&lane, &example_create(3)->work, example_run, example_again);
	lane_add(&lane, &example_create(9)->work, example_run, example_done);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(n_done, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(done[i], ((const int[]){ 3, 9, 2, 1, 0 })[i]);
	assert_int_equal(lane.n, 0);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void example_wait(struct work *w)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	container_of(w, struct example, work)->by = pthread_self();
}

/* What hangs keeps its own lane from going on, and nobody else. */
static void test_a_wide_lane_leaves_the_others_their_threads(void **state)
{
	struct lane wide;

	(void)state;
	lane_init_wide(&wide, &loop, 2);
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 8; i++)
		lane_add(&wide, &example_create(i)->work, example_wait, example_done);
	lane_add(&lane, &example_create(9)->work, example_run, example_done);
	while (!n_done)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(done[0], 9);
	assert_int_equal(wide.n, 8);
	pthread_mutex_unlock(&gate);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(n_done, 9);
	lane_finish(&wide);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_runs_elsewhere_and_is_done_here, begin, end),
		cmocka_unit_test_setup_teardown(test_lane_keeps_the_order, begin, end),
		cmocka_unit_test_setup_teardown(test_done_may_add_more, begin, end),
		cmocka_unit_test_setup_teardown(test_a_wide_lane_leaves_the_others_their_threads,
						begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
