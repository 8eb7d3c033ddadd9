/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "core/dispatch.h"
#include "fleet/worker_rig.h"

static void test_loads_runs_answers_and_stops(void **state)
{
	struct request r = rig_asked(7, NULL);
	struct frame f;

	(void)state;
	rig_loads();
	assert_int_equal(rig.loaded, 1);
	queue_push(&rig.queue, &r);
	assert_int_equal(rig_runs(), 1);
	assert_int_equal(rig_hears(&f), FRAME_RUN);
	rig_answers(7, "true");
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.released, 1);
	assert_true(slice_eq(rig.last.body, SLICE("true")));
	worker_stop(rig.w, 1000);
	assert_int_equal(rig_hears(&f), FRAME_STOP);
	rig_ends(0);
	assert_int_equal(rig.gone, 1);
}

static void test_a_death_gives_back_what_was_not_begun(void **state)
{
	struct request r = rig_asked(7, NULL);

	(void)state;
	rig_loads();
	queue_push(&rig.queue, &r);
	assert_int_equal(rig_runs(), 1);
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 0);
	assert_ptr_equal(queue_first(&rig.queue), &r);
	assert_int_equal(rig.w->state, WORKER_WAITING);
	/* The first new start follows at once. */
	rig_turn();
	assert_int_equal(rig.starts, 2);
	rig_loads();
	assert_int_equal(rig_runs(), 1);
	rig_answers(7, "true");
	assert_int_equal(rig.replies, 1);
}

/* The process ends; for how many milliseconds there is none. The next one is made here. */
static uint64_t rests_after_an_end(void)
{
	uint64_t ms;

	rig_ends(SIGKILL);
	assert_int_equal(rig.w->state, WORKER_WAITING);
	ms = uv_timer_get_due_in(rig.w->timer);
	uv_timer_stop(rig.w->timer);
	worker_start(rig.w);
	rig_loads();
	return ms;
}

static void test_a_request_that_kills_makes_others_wait_for_a_moment_only(void **state)
{
	(void)state;
	rig_loads();
	for (uint64_t id = 1; id < 20; id++) {
		struct request r = rig_asked(id, NULL);

		rig_begins(&r);
		rig_notes(1);
		assert_true(rests_after_an_end() <= 1000);
		assert_int_equal(rig.replies, id);
	}
	/* Of its own accord it does so after a while only. */
	rests_after_an_end();
	rests_after_an_end();
	assert_true(rests_after_an_end() > 1000);
}

static void test_a_turn_does_not_make_processes_without_end(void **state)
{
	(void)state;
	rig_loads();
	rig_ends(SIGKILL);
	rig.shared.launch_ns = NS_PER_S;
	uv_run(rig.shared.loop, UV_RUN_NOWAIT);
	assert_int_equal(rig.starts, 1);
	assert_true(list_linked(&rig.w->launch));
	assert_true(worker_is_prospect(rig.w));
	workers_launch(&rig.shared); /* another turn */
	assert_int_equal(rig.starts, 2);
	rig_loads();
}

static void test_one_that_waits_for_its_turn_can_be_stopped(void **state)
{
	(void)state;
	rig_loads();
	rig_ends(SIGKILL);
	rig.shared.launch_ns = NS_PER_S;
	uv_run(rig.shared.loop, UV_RUN_NOWAIT);
	worker_stop(rig.w, 1000);
	assert_int_equal(rig.gone, 1);
	assert_true(list_empty(&rig.shared.launches));
	workers_launch(&rig.shared);
	assert_int_equal(rig.starts, 1);
}

static void test_what_a_zygote_has_not_made_waits_for_its_turn_too(void **state)
{
	(void)state;
	rig_loads();
	rig.slow = true;
	rig_ends(SIGKILL);
	rig_turn();
	assert_int_equal(rig.starts, 2);
	worker_launch_again(rig.w);
	assert_int_equal(rig.starts, 2);
	workers_launch(&rig.shared);
	assert_int_equal(rig.starts, 3);
	worker_launch_again(rig.w);
	worker_kill(rig.w, NULL); /* nobody waits for it any more */
	assert_true(list_empty(&rig.shared.launches));
	rig_turn();
	rig.slow = false;
	assert_int_equal(rig.starts, 3);
}

/* A liar never notes what it begins. */
static void test_what_is_never_begun_is_not_run_for_ever(void **state)
{
	struct request r = rig_asked(7, NULL);
	unsigned deaths = 0;

	(void)state;
	rig.settings.retry = true;
	queue_push(&rig.queue, &r);
	while (!rig.replies) {
		rig_loads();
		assert_int_equal(rig_runs(), 1);
		rig_ends(SIGKILL);
		assert_true(++deaths <= DISPATCH_UNBEGUN_MAX + 2);
		worker_start(rig.w);
	}
	assert_true(r.retried);
	assert_int_equal(rig.last.status, 507);
	assert_int_equal(rig.released, 1);
}

static void test_a_batch_is_as_large_as_a_frame(void **state)
{
	static char text[FRAME_MAX / 3];
	struct request r[4];
	struct frame f;

	(void)state;
	rig_loads();
	for (unsigned i = 0; i < 4; i++) {
		r[i] = rig_asked(i + 1, NULL);
		r[i].headers = slice_make(text, sizeof(text));
		r[i].encoded = worker_request_size(&r[i]);
		queue_push(&rig.queue, &r[i]);
	}
	assert_int_equal(rig_runs(), 2);
	assert_int_equal(rig_hears(&f), FRAME_RUN);
	assert_int_equal(f.count, 2);
	rig_answers(1, "1");
	rig_answers(2, "2");
	assert_int_equal(rig_runs(), 2);
	rig_answers(3, "3");
	rig_answers(4, "4");
	assert_int_equal(rig.replies, 4);
}

static void test_what_cannot_be_handed_over_waits_again(void **state)
{
	struct block b;
	struct part p = { 0 };
	struct request r = rig_asked(7, &p);

	(void)state;
	rig_loads();
	rig.sizes.recent = 20000; /* so that it would get a grant */
	assert_int_equal(pool_alloc(rig.pool, 100, &b), 0);
	p.span = (struct span){ block_segment_id(&b), b.offset, 100 };
	queue_push(&rig.queue, &r);
	shutdown(rig.peer, SHUT_RDWR);
	assert_int_equal(rig_runs(), 0);
	assert_int_equal(rig.kills, 1);
	assert_ptr_equal(queue_first(&rig.queue), &r);
	assert_int_equal(r.grant.length, 0);
	assert_null(r.place);
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 0);
	rig_turn();
	rig_loads();
	assert_int_equal(rig_runs(), 1);
	assert_true(r.grant.length);
	rig_answers(7, "true");
	assert_int_equal(rig.replies, 1);
	pool_free(rig.pool, &b);
}

static void test_a_large_configuration_can_be_loaded(void **state)
{
	static char large[200000];
	struct frame f;

	(void)state;
	memset(large, ' ', sizeof(large));
	large[0] = '{';
	large[sizeof(large) - 1] = '}';
	rig.manifest.config_json = slice_make(large, sizeof(large));
	rig_says(FRAME_HELLO, 0, "{\"protocol\":1}");
	assert_int_equal(rig_hears(&f), FRAME_LOAD);
	assert_true(f.arg > sizeof(large));
	assert_int_equal(rig.kills, 0);
}

/* Nobody is told of a failure: the original is loaded. Only where that ends it, too, is it one. */
static void test_what_ends_with_an_optimized_model_loads_the_original(void **state)
{
	struct frame f;

	(void)state;
	rig_says(FRAME_HELLO, 0, "{\"protocol\":1}");
	rig_says(FRAME_TRYING, 1, "");
	rig_ends(SIGFPE);
	assert_non_null(strstr(rig.optimized_lost, "signal 8"));
	assert_int_equal(rig.loaded, 0);
	rig_turn();
	assert_int_equal(rig.starts, 2);
	rig_says(FRAME_HELLO, 0, "{\"protocol\":1}");
	rig_says(FRAME_TRYING, 1, ""); /* though it has heard */
	rig_ends(SIGFPE);
	assert_int_equal(rig.loaded, 1);
	assert_int_equal(rig.load_code, 500);
	worker_start(rig.w);
	rig_loads();
	rig_says(FRAME_TRYING, 1, "");
	assert_int_equal(rig.kills, 1);
	assert_int_equal(rig_hears(&f), 0);
}

static void test_an_end_behind_an_optimized_model_is_not_its_fault(void **state)
{
	(void)state;
	rig_says(FRAME_HELLO, 0, "{\"protocol\":1}");
	rig_says(FRAME_TRYING, 1, "");
	rig_says(FRAME_TRYING, 0, "");
	rig_ends(SIGFPE);
	assert_null(rig.optimized_lost);
	assert_int_equal(rig.loaded, 1);
}

static void test_asking_twice_to_stop_leaves_the_time_limit(void **state)
{
	(void)state;
	rig_loads();
	worker_stop(rig.w, 1000);
	worker_stop(rig.w, 5000);
	assert_true(uv_is_active((uv_handle_t *)rig.w->timer));
	rig_ends(0);
	assert_int_equal(rig.gone, 1);
}

static void test_a_kill_that_nobody_reports_yet_keeps_the_place(void **state)
{
	(void)state;
	rig_loads();
	worker_kill(rig.w, "the test says so");
	assert_int_equal(rig.kills, 1);
	assert_false(worker_has_credit(rig.w));
	worker_stop(rig.w, 0);
	rig_turn();
	assert_int_equal(rig.kills, 1);
	assert_int_equal(rig.gone, 0);
	rig_ends(SIGKILL);
	assert_int_equal(rig.gone, 1);
}

/* It is read when the process is gone already. */
static void test_a_last_word_that_is_a_lie(void **state)
{
	(void)state;
	rig_loads();
	assert_int_equal(send(rig.peer, "garbage", 7, 0), 7);
	rig_ends(SIGKILL);
	assert_int_equal(rig.w->state, WORKER_WAITING);
	worker_check(rig.w);
	rig_turn();
	assert_int_equal(rig.starts, 2);
	rig_loads();
}

/* More than is kept of anything else. */
static unsigned sequences_are_over(size_t bytes)
{
	static char id[6000];
	unsigned n = (unsigned)(bytes / sizeof(id));

	memset(id, 'x', sizeof(id));
	for (unsigned i = 0; i < n; i++)
		worker_sequence_over(rig.w, slice_make(id, sizeof(id)));
	assert_true(rig.w->channel.pending_bytes > CHANNEL_BYTES_MAX);
	return n;
}

static void test_a_busy_one_hears_later_of_all_sequences_that_are_over(void **state)
{
	struct request r = rig_asked(7, NULL);
	unsigned n, heard = 0;
	struct frame f;

	(void)state;
	rig_loads();
	rig_begins(&r);
	n = sequences_are_over(3 * CHANNEL_BYTES_MAX);
	assert_int_equal(rig.kills, 0);
	while (heard < n) {
		if (rig_hears(&f))
			heard += f.type == FRAME_SEQUENCE_OVER;
		else
			rig_turn();
	}
	rig_answers(7, "true");
	assert_int_equal(rig.replies, 1);
	assert_true(worker_has_credit(rig.w));
}

static void test_one_that_streams_without_reading_is_alive(void **state)
{
	struct request r = rig_asked(7, NULL);
	uint64_t limit_ns;

	(void)state;
	rig_loads();
	limit_ns = rig.w->model.response_timeout_s * NS_PER_S;
	rig_begins(&r);
	sequences_are_over(2 * CHANNEL_BYTES_MAX);
	rig.w->channel.moved_ns -= 2 * limit_ns;
	rig_sends(&(struct frame_reply){ .status = 200, .id = 7 }, 1);
	worker_tick(rig.w, clock_now_ns());
	assert_int_equal(rig.kills, 0);
	rig_answers(7, "true");
	worker_tick(rig.w, clock_now_ns() + 2 * limit_ns);
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
}

/* Of three side by side the first hangs, and the last is answered. What becomes of the second? */
static void beside_one_that_hangs(struct request *second, bool stands_still)
{
	struct request first = rig_asked(7, NULL), last = rig_asked(9, NULL);
	uint64_t limit_ns;

	rig_loads();
	limit_ns = rig.w->model.response_timeout_s * NS_PER_S;
	rig.settings.retry = true;
	rig.w->async = true;
	rig.w->credits = 4;
	*second = rig_asked(8, NULL);
	rig_begins(&first);
	rig_begins(second);
	rig_begins(&last);
	rig_notes(3);
	rig_answers(9, "true");
	container_of(list_first(&rig.w->flights), struct flight, link)->alive_ns -= 2 * limit_ns;
	if (stands_still)
		rig.w->progress_ns -= limit_ns;
	worker_tick(rig.w, clock_now_ns());
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 2);
	assert_true(rig.last.error);
	assert_ptr_equal(queue_first(&rig.queue), second);
	queue_remove(&rig.queue, second);
}

static void test_what_runs_beside_one_that_hangs_waits_again(void **state)
{
	struct request second;

	(void)state;
	beside_one_that_hangs(&second, false);
	assert_false(second.retried);
}

static void test_where_nothing_goes_on_any_may_be_why(void **state)
{
	struct request second;

	(void)state;
	beside_one_that_hangs(&second, true);
	assert_true(second.retried);
}

/* It keeps its worker from looking at anything else. */
static void test_what_is_sent_behind_one_that_hangs_waits_again(void **state)
{
	struct request hangs = rig_asked(7, NULL), behind = rig_asked(8, NULL);

	(void)state;
	rig_loads();
	rig.settings.retry = true;
	rig.w->async = true;
	rig.w->credits = 4;
	rig_begins(&hangs);
	rig_notes(1);
	rig_begins(&behind);
	worker_tick(rig.w, clock_now_ns() + 2 * rig.w->model.response_timeout_s * NS_PER_S);
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 1);
	assert_true(rig.last.error);
	assert_ptr_equal(queue_first(&rig.queue), &behind);
	assert_false(behind.retried);
	queue_remove(&rig.queue, &behind);
}

static void runs_side_by_side(unsigned credits)
{
	rig_loads();
	rig.w->async = true;
	rig.w->credits = credits;
}

static void test_what_ran_side_by_side_is_run_again_in_groups(void **state)
{
	struct request r[9];
	uint64_t wake_ns;

	(void)state;
	rig.settings.retry = true;
	runs_side_by_side(16);
	for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
		r[i] = rig_asked(i + 1, NULL);
		rig_begins(&r[i]);
	}
	rig_notes(ARRAY_LEN(r));
	rig_ends(SIGKILL);
	assert_int_equal(rig.queue.n, ARRAY_LEN(r));
	rig_turn();
	runs_side_by_side(16);
	/* Three at once: a frame of them, and no fourth. */
	assert_int_equal(worker_async_batches(rig.w), 3);
	assert_int_equal(worker_run(rig.w, 3, clock_now_ns(), &wake_ns), 3);
	assert_false(worker_has_credit(rig.w));
	rig_answers(1, "true");
	assert_int_equal(worker_async_batches(rig.w), 1);
	rig_notes(3);
	rig.w->failures = 0; /* so that the next start does not wait */
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.queue.n, ARRAY_LEN(r) - 1);
	/* One of these two it was. */
	rig_turn();
	runs_side_by_side(16);
	assert_int_equal(worker_async_batches(rig.w), 1);
	assert_int_equal(rig_runs(), 1);
	while (queue_first(&rig.queue))
		queue_remove(&rig.queue, queue_first(&rig.queue));
	rig_notes(1);
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 2);
	assert_true(rig.last.error);
}

/* The answer of a short call waits for those of its frame: it is not why there is none. */
static void test_of_a_frame_the_batch_that_runs_is_late(void **state)
{
	struct request r[3];
	uint64_t wake_ns;

	(void)state;
	rig_loads();
	rig.settings.retry = true;
	for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
		r[i] = rig_asked(i + 1, NULL);
		r[i].op = REQUEST_DESCRIBE; /* a batch each */
		queue_push(&rig.queue, &r[i]);
	}
	assert_int_equal(worker_run(rig.w, 3, clock_now_ns(), &wake_ns), 3);
	assert_int_equal(rig.w->n_frames, 1);
	rig_notes(2);
	worker_tick(rig.w, clock_now_ns() + 2 * rig.w->model.response_timeout_s * NS_PER_S);
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 1);
	assert_true(rig.last.error);
	assert_ptr_equal(queue_first(&rig.queue), &r[0]);
	assert_false(r[0].retried || r[2].retried);
	queue_remove(&rig.queue, &r[0]);
	assert_ptr_equal(queue_first(&rig.queue), &r[2]);
	queue_remove(&rig.queue, &r[2]);
}

static void test_one_that_is_not_made_yet_can_be_ended(void **state)
{
	(void)state;
	rig_ends(SIGKILL);
	rig.slow = true;
	rig_turn();
	assert_int_equal(rig.starts, 2);
	assert_int_equal(rig.w->pid, 0);
	worker_stop(rig.w, 1000);
	rig_turn();
	rig_turn();
	assert_int_equal(rig.gone, 1);
}

static void test_a_start_that_fails_is_reported_from_the_loop(void **state)
{
	(void)state;
	rig_ends(SIGKILL);
	assert_int_equal(rig.load_code, 500);
	rig.off = true;
	rig.loaded = 0;
	worker_start(rig.w);
	assert_int_equal(rig.loaded, 0);
	assert_int_equal(rig.w->state, WORKER_STARTING);
	rig_turn();
	assert_int_equal(rig.loaded, 1);
	assert_int_equal(rig.w->state, WORKER_WAITING);
	/* The same when it is stopped in between. */
	worker_start(rig.w);
	worker_stop(rig.w, 1000);
	assert_int_equal(rig.gone, 0);
	rig_turn();
	rig_turn();
	assert_int_equal(rig.gone, 1);
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(test_loads_runs_answers_and_stops),
		WORKER_TEST(test_a_request_that_kills_makes_others_wait_for_a_moment_only),
		WORKER_TEST(test_a_turn_does_not_make_processes_without_end),
		WORKER_TEST(test_one_that_waits_for_its_turn_can_be_stopped),
		WORKER_TEST(test_what_a_zygote_has_not_made_waits_for_its_turn_too),
		WORKER_TEST(test_a_death_gives_back_what_was_not_begun),
		WORKER_TEST(test_what_is_never_begun_is_not_run_for_ever),
		WORKER_TEST(test_a_batch_is_as_large_as_a_frame),
		WORKER_TEST(test_what_cannot_be_handed_over_waits_again),
		WORKER_TEST(test_a_large_configuration_can_be_loaded),
		WORKER_TEST(test_what_ends_with_an_optimized_model_loads_the_original),
		WORKER_TEST(test_an_end_behind_an_optimized_model_is_not_its_fault),
		WORKER_TEST(test_asking_twice_to_stop_leaves_the_time_limit),
		WORKER_TEST(test_a_kill_that_nobody_reports_yet_keeps_the_place),
		WORKER_TEST(test_a_last_word_that_is_a_lie),
		WORKER_TEST(test_a_busy_one_hears_later_of_all_sequences_that_are_over),
		WORKER_TEST(test_one_that_streams_without_reading_is_alive),
		WORKER_TEST(test_what_runs_beside_one_that_hangs_waits_again),
		WORKER_TEST(test_where_nothing_goes_on_any_may_be_why),
		WORKER_TEST(test_what_is_sent_behind_one_that_hangs_waits_again),
		WORKER_TEST(test_what_ran_side_by_side_is_run_again_in_groups),
		WORKER_TEST(test_of_a_frame_the_batch_that_runs_is_late),
		WORKER_TEST(test_one_that_is_not_made_yet_can_be_ended),
		WORKER_TEST(test_a_start_that_fails_is_reported_from_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
