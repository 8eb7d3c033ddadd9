/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/util.h"
#include "core/sequence.h"

#define NOW (1000 * NS_PER_S)
#define IDLE (10 * NS_PER_S)
#define TOTAL (60 * NS_PER_S)

static struct request requests[16];
static struct sequences s;
static char here, there; /* places */
static unsigned n_failed, n_freed;

static void note_freed(void *arg, const struct sequence *q)
{
	(void)arg;
	assert_ptr_equal(q->place, &here);
	n_freed++;
}

/* Counts those that are lost, and leaves them nowhere. */
static void leave(const void *place)
{
	struct list failed = LIST_INIT(failed);
	struct list *n;

	sequences_leave(&s, place, NOW, &failed);
	while ((n = list_pop(&failed))) {
		assert_null(container_of(n, struct request, link)->sequence);
		n_failed++;
	}
}

static void set_up_with(bool overlap)
{
	struct sequence_policy p = { .max_sequences = 3,
				     .max_waiting = 2,
				     .idle_ns = IDLE,
				     .timeout_ns = TOTAL,
				     .overlap = overlap };

	sequences_init(&s, &p);
	s.freed = note_freed;
	n_failed = n_freed = 0;
	for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
		requests[i] = (struct request){ .id = i + 1, .encoded = 1 };
		list_init(&requests[i].link);
	}
}

static int set_up(void **state)
{
	(void)state;
	set_up_with(false);
	return 0;
}

static int set_up_overlap(void **state)
{
	(void)state;
	set_up_with(true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	while (sequences_any(&s, NOW))
		;
	map_for_each (e, &s.all) {
		struct sequence *q = e->value;

		q->running = 0;
	}
	sequences_finish(&s);
	return 0;
}

static int push_at(unsigned i, const char *id, uint64_t now_ns)
{
	requests[i].sequence_id = slice_str(id);
	requests[i].queued_ns = now_ns;
	return sequences_push(&s, &requests[i], now_ns);
}

static int push(unsigned i, const char *id)
{
	return push_at(i, id, NOW);
}

static void place_all(void *place)
{
	struct sequence *q = NULL;

	while ((q = sequences_unplaced(&s, q)))
		q->place = place;
}

/* Takes a batch; writes the numbers of its requests, as "0 3 ". */
static const char *take(unsigned size, const void *place)
{
	static const struct batch_cost unknown;
	static char text[64];
	struct batch_policy p = { BATCH_ADAPTIVE, size, 0 };
	uint64_t wake_ns;
	struct batch b;
	int n = 0;

	text[0] = '\0';
	sequences_take(&s, &p, &unknown, place, NOW, &b, &wake_ns);
	list_for_each (l, &b.requests) {
		struct request *r = container_of(l, struct request, link);

		n += snprintf(text + n, sizeof(text) - (size_t)n, "%td ", r - requests);
	}
	while (list_pop(&b.requests))
		;
	return text;
}

static void answer(unsigned i, uint64_t now_ns)
{
	sequences_answered(&s, &requests[i], now_ns, true);
}

static void a_batch_has_one_request_of_each_sequence_in_order(void **state)
{
	(void)state;
	push(0, "a");
	push(1, "a");
	push(2, "b");
	place_all(&here);
	assert_string_equal(take(4, &there), "");
	assert_string_equal(take(4, &here), "0 2 ");
	assert_string_equal(take(4, &here), "");
	answer(2, NOW);
	assert_string_equal(take(4, &here), "");
	answer(0, NOW);
	assert_string_equal(take(4, &here), "1 ");
	assert_int_equal(s.n_waiting, 0);
}

static void sequences_take_turns(void **state)
{
	(void)state;
	push(0, "a");
	push(1, "a");
	push(2, "b");
	push(3, "b");
	place_all(&here);
	assert_string_equal(take(1, &here), "0 ");
	answer(0, NOW);
	assert_string_equal(take(1, &here), "2 ");
	answer(2, NOW);
	assert_string_equal(take(1, &here), "1 ");
}

static void everything_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(push(0, "a"), 0);
	assert_int_equal(push(1, "a"), 0);
	assert_int_equal(push(2, "a"), SEQUENCE_FULL);
	assert_int_equal(push(3, "b"), 0);
	assert_int_equal(push(4, "c"), 0);
	assert_int_equal(push(5, "d"), SEQUENCE_TOO_MANY);
	assert_null(requests[5].sequence);
}

static void an_end_frees_the_lane_after_its_request(void **state)
{
	(void)state;
	requests[1].sequence_end = true;
	push(0, "a");
	push(1, "a");
	assert_int_equal(push(2, "a"), SEQUENCE_CLOSED);
	place_all(&here);
	take(1, &here);
	answer(0, NOW);
	take(1, &here);
	assert_int_equal(s.all.n, 1);
	answer(1, NOW);
	assert_int_equal(s.all.n, 0);
	assert_int_equal(n_freed, 1);
	assert_int_equal(push(2, "a"), 0);
}

static void a_start_opens_what_was_ending(void **state)
{
	(void)state;
	requests[0].sequence_end = true;
	requests[1].sequence_start = true;
	push(0, "a");
	assert_int_equal(push(1, "a"), 0);
	place_all(&here);
	take(1, &here);
	answer(0, NOW);
	assert_int_equal(s.all.n, 1);
	assert_string_equal(take(1, &here), "1 ");
}

static void a_start_that_finds_no_room_opens_nothing(void **state)
{
	(void)state;
	push(0, "a");
	requests[1].sequence_end = true;
	push(1, "a");
	requests[2].sequence_start = true;
	assert_int_equal(push(2, "a"), SEQUENCE_FULL);
	place_all(&here);
	take(1, &here);
	answer(0, NOW);
	take(1, &here);
	answer(1, NOW);
	assert_int_equal(s.all.n, 0);
	assert_int_equal(n_freed, 1);
}

static void the_handler_may_say_that_a_sequence_is_over(void **state)
{
	(void)state;
	push(0, "a");
	push(1, "b");
	place_all(&here);
	take(2, &here);
	sequences_end(&s, SLICE("b"), &here, NOW);
	sequences_end(&s, SLICE("never heard of"), &here, NOW);
	assert_int_equal(s.all.n, 2);
	answer(1, NOW);
	assert_int_equal(s.all.n, 1);
	answer(0, NOW);
	sequences_end(&s, SLICE("a"), &here, NOW);
	assert_int_equal(s.all.n, 0);
}

static void an_idle_sequence_expires(void **state)
{
	static const struct {
		uint64_t at_ns;
		size_t open;
	} cases[] = { { 0, 1 }, { IDLE - 1, 1 }, { IDLE, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		requests[0].sequence_start = i > 0;
		push(0, "a");
		place_all(&here);
		take(1, &here);
		sequences_sweep(&s, NOW + 5 * IDLE); /* it runs: it is not idle */
		assert_int_equal(s.all.n, 1);
		answer(0, NOW);
		sequences_sweep(&s, NOW + cases[i].at_ns);
		assert_int_equal(s.all.n, cases[i].open);
		sequences_sweep(&s, NOW + IDLE);
	}
	assert_int_equal(n_freed, ARRAY_LEN(cases));
}

static void an_expired_one_makes_room_without_a_sweep(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		static const char *const ids[] = { "a", "b", "c" };

		push(i, ids[i]);
		place_all(&here);
		take(1, &here);
		answer(i, NOW + i);
	}
	assert_int_equal(push_at(3, "d", NOW + IDLE - 1), SEQUENCE_TOO_MANY);
	assert_int_equal(push_at(3, "d", NOW + IDLE), 0);
	assert_int_equal(s.all.n, 3);
	/* The same id after its time has to be started, and is a new sequence, without a place. */
	assert_int_equal(push_at(4, "b", NOW + IDLE + 1), SEQUENCE_CLOSED);
	requests[4].sequence_start = true;
	assert_int_equal(push_at(4, "b", NOW + IDLE + 1), 0);
	assert_null(requests[4].sequence->place);
	/* What was lost on the way is no reason to refuse the next one. */
	assert_int_equal(push_at(5, "b", NOW + IDLE + 1), 0);
}

static void the_whole_time_is_bounded(void **state)
{
	uint64_t late_ns = NOW + TOTAL;

	(void)state;
	push(0, "a");
	push(1, "a");
	place_all(&here);
	take(1, &here);
	/* What had been accepted is answered, more is not accepted. */
	assert_int_equal(push_at(2, "a", late_ns), SEQUENCE_CLOSED);
	answer(0, late_ns);
	assert_string_equal(take(1, &here), "1 ");
	answer(1, late_ns);
	assert_int_equal(s.all.n, 0);
	assert_int_equal(push_at(2, "a", late_ns), SEQUENCE_CLOSED);
	requests[2].sequence_start = true;
	assert_int_equal(push_at(2, "a", late_ns), 0);
}

static void what_has_expired_is_remembered_within_a_bound(void **state)
{
	char id[16];

	(void)state;
	for (unsigned i = 0; i < SEQUENCES_REMEMBERED + 10; i++) {
		snprintf(id, sizeof(id), "s%u", i);
		assert_int_equal(push_at(0, id, NOW), 0);
		place_all(&here);
		take(1, &here);
		answer(0, NOW);
		sequences_sweep(&s, NOW + IDLE);
		s.sweep_ns = 0;
	}
	assert_int_equal(s.all.n, 0);
	assert_int_equal(s.expired.n, SEQUENCES_REMEMBERED);
	assert_int_equal(push_at(0, id, NOW), SEQUENCE_CLOSED);
	assert_int_equal(push_at(0, "s0", NOW), 0);
}

static void a_lost_sequence_refuses_until_it_is_started_anew(void **state)
{
	(void)state;
	push(0, "a");
	push(1, "a");
	push(2, "b");
	place_all(&here);
	take(1, &here);
	answer(0, NOW);
	leave(&here);
	assert_int_equal(n_failed, 1);
	assert_int_equal(n_freed, 0);
	assert_int_equal(push(3, "a"), SEQUENCE_LOST);
	requests[4].sequence_start = true;
	assert_int_equal(push(4, "a"), 0);
	/* b had no state there: it only needs another place. */
	place_all(&there);
	assert_string_equal(take(2, &there), "2 4 ");
}

static void one_that_was_not_started_anew_after_all_is_lost_again(void **state)
{
	(void)state;
	push(0, "a");
	place_all(&here);
	take(1, &here);
	answer(0, NOW);
	leave(&here);
	requests[1].sequence_start = true;
	assert_int_equal(push(1, "a"), 0);
	assert_int_equal(push(2, "a"), 0);
	sequences_remove(&s, &requests[1], NOW);
	assert_int_equal(s.n_waiting, 0);
	assert_ptr_equal(list_pop(&s.stranded), &requests[2].link);
	assert_true(list_empty(&s.stranded) && requests[2].failing && !requests[2].sequence);
	assert_int_equal(push(3, "a"), SEQUENCE_LOST);
	/* What has expired, too; and what waits behind another start may run. */
	sequences_sweep(&s, NOW + IDLE);
	push(4, "b");
	place_all(&here);
	take(1, &here);
	answer(4, NOW);
	sequences_sweep(&s, NOW + IDLE);
	requests[5].sequence_start = requests[6].sequence_start = true;
	assert_int_equal(push(5, "b"), 0);
	assert_int_equal(push(6, "b"), 0);
	sequences_remove(&s, &requests[5], NOW);
	assert_int_equal(push(7, "b"), 0);
	assert_true(list_empty(&s.stranded));
	sequences_remove(&s, &requests[6], NOW);
	assert_ptr_equal(list_pop(&s.stranded), &requests[7].link);
	assert_int_equal(push(8, "b"), SEQUENCE_LOST);
}

static void a_lost_sequence_is_forgotten_in_the_end(void **state)
{
	(void)state;
	push(0, "a");
	place_all(&here);
	take(1, &here);
	answer(0, NOW);
	leave(&here);
	assert_int_equal(push_at(1, "a", NOW + IDLE - 1), SEQUENCE_LOST);
	assert_int_equal(push_at(1, "a", NOW + IDLE), 0);
	/* And earlier, where its room is needed. */
	sequences_remove(&s, &requests[1], NOW + IDLE);
	push(1, "b");
	place_all(&here);
	take(1, &here);
	answer(1, NOW);
	leave(&here);
	assert_int_equal(push(2, "c"), 0);
	assert_int_equal(push(3, "d"), 0);
	assert_int_equal(push(4, "e"), SEQUENCE_TOO_MANY);
	/* Its state is none the less gone. */
	sequences_remove(&s, &requests[2], NOW + IDLE);
	assert_int_equal(push(4, "b"), SEQUENCE_CLOSED);
	requests[5].sequence_start = true;
	assert_int_equal(push(5, "b"), 0);
}

static void a_lost_sequence_that_runs_keeps_its_room(void **state)
{
	(void)state;
	push(0, "a");
	push(1, "a");
	place_all(&here);
	take(1, &here);
	answer(0, NOW);
	assert_string_equal(take(1, &here), "1 ");
	leave(&here);
	assert_int_equal(push(2, "b"), 0);
	assert_int_equal(push(3, "c"), 0);
	assert_int_equal(push(4, "d"), SEQUENCE_TOO_MANY);
	answer(1, NOW);
	assert_int_equal(push(4, "d"), 0);
}

static void the_first_request_may_run_when_its_place_goes(void **state)
{
	(void)state;
	push(0, "a");
	push(1, "a");
	place_all(&here);
	assert_string_equal(take(1, &here), "0 ");
	leave(&here);
	assert_int_equal(n_failed, 1);
	/* The state that it makes stays there: nobody goes on without it. */
	answer(0, NOW);
	assert_int_equal(push(2, "a"), SEQUENCE_LOST);
	requests[3].sequence_start = true;
	assert_int_equal(push(3, "a"), 0);
	place_all(&there);
	assert_string_equal(take(1, &there), "3 ");
}

/* It was lost with its place; the answer of that is still to come when it is started anew. */
static void what_was_not_begun_does_not_go_before_a_new_start(void **state)
{
	(void)state;
	push(0, "a");
	place_all(&here);
	take(1, &here);
	assert_true(sequence_may_return(&requests[0]));
	leave(&here);
	assert_false(sequence_may_return(&requests[0]));
	requests[1].sequence_start = true;
	assert_int_equal(push(1, "a"), 0);
	assert_false(sequence_may_return(&requests[0]));
	assert_true(sequence_may_return(&requests[1]));
	answer(0, NOW);
	place_all(&there);
	assert_string_equal(take(1, &there), "1 ");
}

static void what_was_not_begun_goes_back_to_its_head(void **state)
{
	(void)state;
	push(0, "a");
	push(1, "a");
	push(2, "b");
	place_all(&here);
	assert_string_equal(take(1, &here), "0 ");
	sequences_return(&s, &requests[0]);
	leave(&here);
	assert_int_equal(n_failed, 0);
	place_all(&there);
	assert_string_equal(take(2, &there), "0 2 ");
}

static void overdue_requests_are_found(void **state)
{
	(void)state;
	push(0, "a");
	requests[1].deadline_ns = NOW + 5;
	push(1, "a");
	assert_null(sequences_overdue(&s, NOW + 4));
	assert_ptr_equal(sequences_overdue(&s, NOW + 5), &requests[1]);
	assert_null(requests[1].sequence);
	assert_null(sequences_overdue(&s, NOW + 5));
	assert_true(s.deadline_ns == UINT64_MAX); /* nothing to look for */
	assert_int_equal(s.n_waiting, 1);
}

static void all_that_are_overdue_are_looked_for_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		requests[i].deadline_ns = NOW + 5;
	push(0, "a");
	push(1, "a");
	push(2, "b");
	assert_ptr_equal(sequences_overdue(&s, NOW + 5), &requests[0]);
	assert_false(requests[0].failing);
	assert_int_equal(s.n_waiting, 0);
	/* The answer to the first has made a client leave who waits for another. */
	assert_true(requests[1].failing);
	list_remove(&requests[1].link);
	assert_ptr_equal(sequences_overdue(&s, NOW + 5), &requests[2]);
	assert_null(sequences_overdue(&s, NOW + 5));
}

static void with_overlap_the_first_answer_lets_the_next_go(void **state)
{
	(void)state;
	push(0, "a");
	push(1, "a");
	place_all(&here);
	assert_string_equal(take(4, &here), "0 ");
	assert_string_equal(take(4, &here), "");
	sequences_answered(&s, &requests[0], NOW, false);
	assert_string_equal(take(4, &here), "1 ");
	sequences_end(&s, SLICE("a"), &here, NOW);
	answer(1, NOW);
	assert_int_equal(push(2, "a"), SEQUENCE_CLOSED);
	assert_int_equal(s.all.n, 1);
	answer(0, NOW);
	assert_int_equal(s.all.n, 0);
}

/* It streams on at the place that goes, while the sequence has begun anew at another one. */
static void what_was_lost_lets_nobody_go(void **state)
{
	(void)state;
	push(0, "a");
	place_all(&here);
	take(1, &here);
	sequences_answered(&s, &requests[0], NOW, false);
	leave(&here);
	requests[1].sequence_start = true;
	assert_int_equal(push(1, "a"), 0);
	assert_int_equal(push(2, "a"), 0);
	place_all(&there);
	assert_string_equal(take(1, &there), "1 ");
	sequences_answered(&s, &requests[0], NOW, false);
	assert_string_equal(take(1, &there), "");
	assert_true(sequence_may_return(&requests[1]));
	/* Nor does it end what it has no part in. */
	sequences_end(&s, SLICE("a"), &here, NOW);
	answer(0, NOW);
	assert_string_equal(take(1, &there), "");
	sequences_answered(&s, &requests[1], NOW, false);
	assert_string_equal(take(1, &there), "2 ");
	answer(1, NOW);
	answer(2, NOW);
	assert_int_equal(push(3, "a"), 0);
}

#define SEQUENCE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SEQUENCE_TEST(a_batch_has_one_request_of_each_sequence_in_order),
		SEQUENCE_TEST(sequences_take_turns),
		SEQUENCE_TEST(everything_is_bounded),
		SEQUENCE_TEST(an_end_frees_the_lane_after_its_request),
		SEQUENCE_TEST(a_start_opens_what_was_ending),
		SEQUENCE_TEST(a_start_that_finds_no_room_opens_nothing),
		SEQUENCE_TEST(the_handler_may_say_that_a_sequence_is_over),
		SEQUENCE_TEST(an_idle_sequence_expires),
		SEQUENCE_TEST(an_expired_one_makes_room_without_a_sweep),
		SEQUENCE_TEST(the_whole_time_is_bounded),
		SEQUENCE_TEST(what_has_expired_is_remembered_within_a_bound),
		SEQUENCE_TEST(a_lost_sequence_refuses_until_it_is_started_anew),
		SEQUENCE_TEST(one_that_was_not_started_anew_after_all_is_lost_again),
		SEQUENCE_TEST(a_lost_sequence_is_forgotten_in_the_end),
		SEQUENCE_TEST(a_lost_sequence_that_runs_keeps_its_room),
		SEQUENCE_TEST(the_first_request_may_run_when_its_place_goes),
		SEQUENCE_TEST(what_was_not_begun_does_not_go_before_a_new_start),
		SEQUENCE_TEST(what_was_not_begun_goes_back_to_its_head),
		SEQUENCE_TEST(overdue_requests_are_found),
		SEQUENCE_TEST(all_that_are_overdue_are_looked_for_once),
		cmocka_unit_test_setup_teardown(with_overlap_the_first_answer_lets_the_next_go,
						set_up_overlap, tear_down),
		cmocka_unit_test_setup_teardown(what_was_lost_lets_nobody_go, set_up_overlap,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
