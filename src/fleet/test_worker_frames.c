/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fleet/version.h"
#include "fleet/worker_rig.h"

/* A piece that is said to lie in memory which nobody has granted. */
static void rig_sends_granted(uint64_t id, uint64_t length)
{
	struct frame_reply fr = {
		.status = 200, .flags = FRAME_REPLY_GRANTED, .id = id, .length = length
	};
	char packet[128];
	struct frame_writer fw;
	struct slice s;

	frame_begin(&fw, packet, sizeof(packet), FRAME_CHUNK, 0);
	assert_int_equal(frame_put_reply(&fw, &fr), 0);
	s = frame_end(&fw);
	assert_int_equal(send(rig.peer, s.p, s.n, MSG_NOSIGNAL), s.n);
	rig_turn();
}

static void test_a_stream_has_a_window(void **state)
{
	struct frame_reply piece = { .status = 200, .id = 7 };
	struct request r = rig_asked(7, NULL);
	struct frame f;
	unsigned n = 0;

	(void)state;
	rig_loads();
	rig_begins(&r);
	while (r.streamed < FRAME_WINDOW_BYTES) {
		rig_sends(&piece, FRAME_INLINE_MAX);
		n++;
	}
	assert_int_equal(rig.replies, n);
	assert_int_equal(rig.kills, 0);
	assert_int_equal(rig_hears(&f), 0);
	/* The client takes some: the worker is told, in portions worth a frame. */
	r.taken += FRAME_WINDOW_BYTES / 4;
	worker_stream_taken(rig.w, &r);
	assert_int_equal(rig_hears(&f), 0);
	r.taken += FRAME_WINDOW_BYTES / 4;
	worker_stream_taken(rig.w, &r);
	assert_int_equal(rig_hears(&f), FRAME_WINDOW);
	assert_int_equal(f.arg, 7);
	for (unsigned i = 0; i < n / 2; i++)
		rig_sends(&piece, FRAME_INLINE_MAX);
	assert_int_equal(rig.replies, n + n / 2);
	assert_int_equal(rig.kills, 0);
	rig_sends(&piece, 1);
	assert_int_equal(rig.replies, n + n / 2);
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
}

static double busy_seconds(void)
{
	return rig.version_metrics.busy_seconds->value;
}

static bool near(double is, double wanted)
{
	return is > wanted - 1e-9 && is < wanted + 1e-9;
}

/* Counted up to each look, and not twice. */
static void test_busy_time_is_that_with_a_batch(void **state)
{
	struct request r = rig_asked(7, NULL);
	uint64_t began_ns;
	double before;

	(void)state;
	rig_loads();
	worker_count_busy(rig.w, clock_now_ns());
	assert_true(near(busy_seconds(), 0) && near(worker_busy(rig.w), 0));
	rig_begins(&r);
	assert_true(near(worker_busy(rig.w), 1));
	began_ns = rig.w->counted_ns;
	before = busy_seconds();
	worker_count_busy(rig.w, began_ns + 2 * NS_PER_S);
	assert_true(near(busy_seconds() - before, 2));
	worker_count_busy(rig.w, began_ns + NS_PER_S);
	assert_true(near(busy_seconds() - before, 2));
	/* A part of its places. */
	rig.w->async = true;
	rig.w->credits = 4;
	worker_count_busy(rig.w, began_ns + 6 * NS_PER_S);
	assert_true(near(busy_seconds() - before, 3));
	rig_answers(7, "x");
	worker_count_busy(rig.w, began_ns + 60 * NS_PER_S);
	assert_true(near(busy_seconds() - before, 3));
}

/* Until it has ended its client goes on taking what came before. */
static void test_a_length_that_is_a_lie_is_not_counted(void **state)
{
	struct frame_reply piece = { .status = 200, .id = 7 };
	struct request r = rig_asked(7, NULL);
	uint64_t streamed;

	(void)state;
	rig_loads();
	rig_begins(&r);
	while (r.streamed < FRAME_WINDOW_BYTES)
		rig_sends(&piece, FRAME_INLINE_MAX);
	version_stream_taken(NULL, &r, FRAME_WINDOW_BYTES / 2);
	assert_int_equal(r.opened, FRAME_WINDOW_BYTES / 2);
	streamed = r.streamed;
	rig_sends_granted(7, UINT64_MAX - FRAME_WINDOW_BYTES + 1);
	assert_int_equal(rig.kills, 1);
	assert_int_equal(r.streamed, streamed);
	version_stream_taken(NULL, &r, FRAME_INLINE_MAX);
	assert_int_equal(r.taken, FRAME_WINDOW_BYTES / 2 + FRAME_INLINE_MAX);
	rig_ends(SIGKILL);
}

/* Without having noted that it began: such a request may not be run again. */
static void test_a_stream_that_breaks_is_not_run_again(void **state)
{
	struct frame_reply piece = { .status = 200, .id = 7 };
	struct request r = rig_asked(7, NULL);

	(void)state;
	rig_loads();
	rig_begins(&r);
	rig_sends(&piece, 10);
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 2);
	assert_true(rig.last.final && rig.last.error);
	assert_null(queue_first(&rig.queue));
}

static void test_a_last_reply_needs_no_window(void **state)
{
	struct frame_reply piece = { .status = 200, .id = 7 };
	struct request r = rig_asked(7, NULL);

	(void)state;
	rig_loads();
	rig_begins(&r);
	while (r.streamed < FRAME_WINDOW_BYTES)
		rig_sends(&piece, FRAME_INLINE_MAX);
	rig_answers(7, "end");
	assert_int_equal(rig.kills, 0);
	assert_true(rig.last.final);
}

static void test_what_http_cannot_say_fails_its_request_only(void **state)
{
	struct request r = rig_asked(7, NULL), next = rig_asked(8, NULL);
	struct frame_reply bad = { .status = 200, .id = 7, .type = SLICE("text/\nplain") };
	struct frame f;

	(void)state;
	rig_loads();
	rig_begins(&r);
	rig_sends(&bad, 10);
	assert_int_equal(rig.replies, 0);
	assert_int_equal(rig_hears(&f), FRAME_CANCEL); /* it need not go on */
	bad.type = SLICE_NULL;
	rig_sends(&bad, 10);
	assert_int_equal(rig.replies, 0);
	rig_answers(7, "end");
	assert_int_equal(rig.replies, 1);
	assert_true(rig.last.final && rig.last.error);
	assert_int_equal(rig.last.status, 500);
	rig_begins(&next);
	bad = (struct frame_reply){ .status = 42, .flags = FRAME_REPLY_FINAL, .id = 8 };
	rig_sends(&bad, 10);
	assert_int_equal(rig.replies, 2);
	assert_int_equal(rig.last.status, 500);
	assert_int_equal(rig.released, 2);
	assert_int_equal(rig.kills, 0);
}

static void test_a_worker_that_never_reads_is_ended(void **state)
{
	struct frame f;

	(void)state;
	rig_loads();
	for (unsigned i = 0; i < 200000 && !rig.kills; i++)
		rig_says(FRAME_CALL, i, "");
	assert_int_equal(rig.kills, 1);
	assert_true(rig.w->channel.pending_bytes <= CHANNEL_BYTES_MAX);
	assert_int_equal(rig_hears(&f), FRAME_ANSWER);
}

/* Before there is too much for it: nothing else tells of one that has nothing to do. */
static void test_an_idle_worker_that_does_not_read_is_ended(void **state)
{
	uint64_t limit_ns = 5 * NS_PER_S;
	struct frame f;

	(void)state;
	rig_loads();
	while (!rig.w->channel.pending_bytes)
		rig_says(FRAME_CALL, 1, "");
	worker_tick(rig.w, clock_now_ns() + limit_ns / 2);
	assert_int_equal(rig.kills, 0);
	worker_tick(rig.w, rig.w->channel.moved_ns + limit_ns + 1);
	assert_int_equal(rig.kills, 1);
	assert_int_equal(rig_hears(&f), FRAME_ANSWER);
}

/* One that hangs beside others that go on is seen. */
static void test_each_batch_has_its_own_time(void **state)
{
	struct frame_reply piece = { .status = 200, .id = 8 };
	struct request r = rig_asked(7, NULL), beside = rig_asked(8, NULL);
	uint64_t now_ns, limit_ns = 5 * NS_PER_S;

	(void)state;
	rig_loads();
	rig.w->async = true;
	rig.w->credits = 2;
	rig_begins(&r);
	rig_begins(&beside);
	rig_notes(2);
	now_ns = clock_now_ns() + limit_ns;
	rig_sends(&piece, 10);
	container_of(list_last(&rig.w->flights), struct flight, link)->alive_ns = now_ns;
	worker_tick(rig.w, now_ns - NS_PER_S);
	assert_int_equal(rig.kills, 0);
	worker_tick(rig.w, now_ns + NS_PER_S);
	assert_int_equal(rig.kills, 1);
	/* The one beside it may not be blamed, but it has begun to answer. */
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 3);
}

static void test_who_waits_for_its_client_is_not_late(void **state)
{
	struct frame_reply piece = { .status = 200, .id = 7 };
	struct request r = rig_asked(7, NULL);

	(void)state;
	rig_loads();
	rig_begins(&r);
	while (r.streamed < FRAME_WINDOW_BYTES)
		rig_sends(&piece, FRAME_INLINE_MAX);
	worker_tick(rig.w, clock_now_ns() + NS_PER_S);
	assert_int_equal(rig.kills, 0);
	r.taken = r.streamed;
	worker_stream_taken(rig.w, &r);
	worker_tick(rig.w, clock_now_ns() + NS_PER_S);
	assert_int_equal(rig.kills, 0);
	worker_tick(rig.w, clock_now_ns() + 60 * NS_PER_S);
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
}

/* A byte now and then does not keep a worker for ever; it is the client that loses. */
static void test_a_client_that_takes_next_to_nothing_loses_its_stream(void **state)
{
	struct frame_reply piece = { .status = 200, .id = 7 };
	struct request r = rig_asked(7, NULL);
	unsigned n = 0;
	struct frame f;

	(void)state;
	rig_loads();
	rig_begins(&r);
	while (r.streamed < FRAME_WINDOW_BYTES) {
		rig_sends(&piece, FRAME_INLINE_MAX);
		n++;
	}
	r.taken++;
	worker_stream_taken(rig.w, &r);
	worker_tick(rig.w, clock_now_ns() + 60 * NS_PER_S);
	assert_int_equal(rig.kills, 0);
	assert_int_equal(rig_hears(&f), FRAME_CANCEL);
	assert_int_equal(f.arg, 7);
	rig_sends(&piece, 10);
	assert_int_equal(rig.replies, n);
	rig_answers(7, "end");
	assert_int_equal(rig.replies, n + 1);
	assert_true(rig.last.final && rig.last.error);
	assert_int_equal(rig.kills, 0);
}

static uint64_t delivered;

static uint64_t is_delivered(const struct request *r)
{
	(void)r;
	return delivered;
}

/* Of a piece that is longer than a window the worker is not told before all of it has gone. */
static void test_a_client_that_takes_a_long_piece_keeps_its_stream(void **state)
{
	struct frame_reply piece = { .status = 200, .id = 7 };
	struct request r = rig_asked(7, NULL);
	uint64_t now_ns;
	struct frame f;

	(void)state;
	rig_loads();
	r.delivered = is_delivered;
	rig_begins(&r);
	while (r.streamed < FRAME_WINDOW_BYTES)
		rig_sends(&piece, FRAME_INLINE_MAX);
	now_ns = clock_now_ns();
	for (delivered = 0; delivered < FRAME_WINDOW_BYTES; now_ns += 6 * NS_PER_S) {
		delivered += FRAME_WINDOW_BYTES / 2;
		worker_tick(rig.w, now_ns + 6 * NS_PER_S);
		assert_int_equal(rig_hears(&f), 0);
	}
	/* Less than that is too little, as ever. */
	delivered += FRAME_WINDOW_BYTES / 2 - 1;
	worker_tick(rig.w, now_ns + 6 * NS_PER_S);
	assert_int_equal(rig_hears(&f), FRAME_CANCEL);
	assert_int_equal(rig.kills, 0);
	rig_answers(7, "end");
}

/* Batches of one frame run one after another: the second begins when the first is answered. */
static void test_a_batch_that_has_not_begun_is_not_late(void **state)
{
	struct request r = rig_asked(7, NULL), second = rig_asked(8, NULL);
	uint64_t later_ns;

	(void)state;
	rig_loads();
	rig_begins(&r);
	rig_begins(&second);
	rig_answers(7, "true");
	later_ns = container_of(list_first(&rig.w->flights), struct flight, link)->alive_ns;
	assert_true(later_ns == rig.w->progress_ns);
	worker_tick(rig.w, later_ns + 5 * NS_PER_S);
	assert_int_equal(rig.kills, 0);
	worker_tick(rig.w, later_ns + 6 * NS_PER_S);
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
}

/* What it said before it heard of it makes nobody wait for it, or take it for one that serves. */
static void test_who_was_killed_has_not_loaded(void **state)
{
	(void)state;
	rig_says(FRAME_HELLO, 0, "{\"protocol\":1}");
	rig.w->timed_out = true;
	worker_kill(rig.w, NULL);
	rig_says(FRAME_LOADED, 200, "{\"credits\":1}");
	assert_int_equal(rig.loaded, 0);
	assert_true(uv_is_active((uv_handle_t *)rig.w->timer));
	rig_ends(SIGKILL);
	assert_int_equal(rig.load_code, 500);
}

static void test_a_stop_leaves_who_was_killed_its_ten_seconds(void **state)
{
	(void)state;
	rig_loads();
	worker_kill(rig.w, "it lied");
	worker_stop(rig.w, 600000);
	assert_true(uv_timer_get_due_in(rig.w->timer) <= 10000);
	rig_ends(SIGKILL);
	assert_int_equal(rig.gone, 1);
}

/* Its maker has ended before it could tell of it: what the next one makes says HELLO, too. */
static void test_who_is_made_again_may_say_hello_again(void **state)
{
	struct request r = rig_asked(7, NULL);

	(void)state;
	rig_loads();
	rig.slow = true;
	rig_ends(SIGKILL);
	rig_turn();
	rig_says(FRAME_HELLO, 0, "{\"protocol\":1}");
	assert_int_equal(rig.w->state, WORKER_LOADING);
	worker_launch_again(rig.w);
	close(rig.peer);
	workers_launch(&rig.shared);
	rig_loads();
	assert_int_equal(rig.kills, 0);
	/* One that serves has ended then, with what it had. */
	rig_begins(&r);
	rig.slow = false;
	rig.w->failures = 0; /* the next start follows at once */
	worker_launch_again(rig.w);
	close(rig.peer);
	rig_turn();
	assert_ptr_equal(queue_first(&rig.queue), &r);
	rig_turn();
	rig_loads();
	assert_int_equal(rig_runs(), 1);
	rig_answers(7, "true");
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.kills, 0);
}

static void rig_needs(uint64_t id, uint64_t n)
{
	char packet[FRAME_HEAD + 8];
	struct frame_writer fw;
	struct slice s;

	frame_begin(&fw, packet, sizeof(packet), FRAME_NEED, id);
	frame_put_u64(&fw, n);
	s = frame_end(&fw);
	assert_int_equal(send(rig.peer, s.p, s.n, MSG_NOSIGNAL), s.n);
	rig_turn();
}

/* One long answer, and all that are under way would hold as much for answers of a few bytes. */
static void test_guesses_leave_memory_for_what_is_needed(void **state)
{
	struct request r[8];
	struct frame f;

	(void)state;
	rig_loads();
	rig.w->async = true;
	rig.w->credits = ARRAY_LEN(r);
	rig.sizes.recent = 1 << 20;
	rig.budget.limit = 4 << 20;
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		r[i] = rig_asked(i + 1, NULL);
		rig_begins(&r[i]);
	}
	assert_int_equal(rig.budget.used, 2 << 20);
	assert_true(r[1].grant.length && !r[2].grant.length);
	/* Who needs it gets it. */
	rig_needs(3, 1 << 20);
	assert_int_equal(rig_hears(&f), FRAME_GRANT);
	assert_int_equal(r[2].grant.length, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		rig_answers(i + 1, "x");
	assert_int_equal(rig.budget.used, 0);
}

/* Python's integers have no end. */
static void test_a_metric_without_a_finite_value_is_dropped_alone(void **state)
{
	static const char start[] = "\"unit\":\"count\",\"type\":\"gauge\",\"value\"";
	char text[640];
	struct buf out = BUF_INIT(65536);

	(void)state;
	snprintf(text, sizeof(text), "[{\"name\":\"Huge\",%s:1%0400d},{\"name\":\"Fine\",%s:7}]",
		 start, 0, start);
	rig.telemetry.handlers.auto_detect = true;
	rig_loads();
	rig_says(FRAME_METRIC, 0, text);
	assert_int_equal(rig.kills, 0);
	metrics_write(rig.metrics, NULL, 0, &out);
	assert_null(strstr(buf_cstr(&out), "Huge"));
	assert_non_null(strstr(buf_cstr(&out), "\nFine{"));
	buf_finish(&out);
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

static void test_batches_of_instances_are_timed(void **state)
{
	static const struct {
		bool async, native, learns;
	} rows[] = { { false, false, true },
		     { false, true, true },
		     { true, true, true },
		     { true, false, false } };

	(void)state;
	rig_loads();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct request r = rig_asked(i + 1, NULL);

		rig.cost = (struct batch_cost){ 0 };
		rig.w->async = rows[i].async;
		rig.w->model.native = rows[i].native;
		rig_begins(&r);
		rig_answers(i + 1, "true");
		assert_int_equal(rig.cost.weight > 0, rows[i].learns);
	}
	rig.w->model.native = false;
}

/* It has answered and ended, and is given more before anybody has heard of either. */
static void test_what_was_answered_before_the_socket_broke_counts(void **state)
{
	struct request a = rig_asked(1, NULL), b = rig_asked(2, NULL);

	(void)state;
	rig_loads();
	rig.w->async = true;
	rig.w->credits = 2;
	rig_begins(&a);
	rig_notes(1);
	rig_puts(&(struct frame_reply){ .status = 200,
					.flags = FRAME_REPLY_FINAL,
					.id = 1,
					.body = SLICE("true") },
		 0);
	close(rig.peer);
	rig.peer = -1;
	queue_push(&rig.queue, &b);
	rig_runs();
	assert_int_equal(rig.kills, 1);
	rig_ends(0);
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.last.status, 200);
	assert_ptr_equal(queue_first(&rig.queue), &b);
	assert_int_equal(rig.queue.n, 1);
	queue_remove(&rig.queue, &b);
}

/* It guesses what it is about to be given, and the frame with that cannot be sent. */
static void test_what_is_answered_before_it_was_sent_ends_nothing_else(void **state)
{
	struct part elsewhere = { .span = { .segment = 77, .length = 1 } };
	struct request a = rig_asked(1, NULL), b = rig_asked(2, &elsewhere);
	uint64_t wake_ns;

	(void)state;
	rig_loads();
	rig.w->model.batch_size = 1;
	rig_puts(&(struct frame_reply){ .status = 200,
					.flags = FRAME_REPLY_FINAL,
					.id = 1,
					.body = SLICE("true") },
		 0);
	queue_push(&rig.queue, &a);
	queue_push(&rig.queue, &b);
	worker_run(rig.w, 2, clock_now_ns(), &wake_ns);
	assert_true(rig.kills > 0);
	worker_check(rig.w);
	rig_ends(SIGKILL);
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.queue.n, 1);
	queue_remove(&rig.queue, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(test_a_stream_has_a_window),
		WORKER_TEST(test_busy_time_is_that_with_a_batch),
		WORKER_TEST(test_a_length_that_is_a_lie_is_not_counted),
		WORKER_TEST(test_a_stream_that_breaks_is_not_run_again),
		WORKER_TEST(test_a_last_reply_needs_no_window),
		WORKER_TEST(test_what_http_cannot_say_fails_its_request_only),
		WORKER_TEST(test_a_worker_that_never_reads_is_ended),
		WORKER_TEST(test_an_idle_worker_that_does_not_read_is_ended),
		WORKER_TEST(test_each_batch_has_its_own_time),
		WORKER_TEST(test_who_waits_for_its_client_is_not_late),
		WORKER_TEST(test_a_client_that_takes_next_to_nothing_loses_its_stream),
		WORKER_TEST(test_a_client_that_takes_a_long_piece_keeps_its_stream),
		WORKER_TEST(test_a_batch_that_has_not_begun_is_not_late),
		WORKER_TEST(test_who_was_killed_has_not_loaded),
		WORKER_TEST(test_a_stop_leaves_who_was_killed_its_ten_seconds),
		WORKER_TEST(test_who_is_made_again_may_say_hello_again),
		WORKER_TEST(test_guesses_leave_memory_for_what_is_needed),
		WORKER_TEST(test_a_metric_without_a_finite_value_is_dropped_alone),
		WORKER_TEST(test_batches_of_instances_are_timed),
		WORKER_TEST(test_what_was_answered_before_the_socket_broke_counts),
		WORKER_TEST(test_what_is_answered_before_it_was_sent_ends_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
