/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "fleet/version.h"
#include "fleet/worker.h"

#define NOW (1000 * NS_PER_S)
#define GOAL_MS 100

/* A version with one worker, of which nobody but its goal asks anything. */
static struct {
	struct version v;
	struct worker w;
	struct flight fl;
	struct metrics *metrics;
	struct metric *misses, *refusals;
} rig;

static int set_up(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.metrics = metrics_create(10);
	rig.misses = metric_get(metrics_family(rig.metrics, "misses", METRIC_COUNTER, "", NULL, 0),
				NULL);
	rig.refusals = metric_get(
		metrics_family(rig.metrics, "refusals", METRIC_COUNTER, "", NULL, 0), NULL);
	rig.v.metrics.goal_misses = rig.misses;
	rig.v.metrics.goal_refusals = rig.refusals;
	rig.v.latency_goal_ms = GOAL_MS;
	rig.v.policy = (struct batch_policy){ BATCH_ADAPTIVE, 8, 50 * NS_PER_MS };
	queue_init(&rig.v.queue, 1000);
	list_init(&rig.v.workers);
	list_init(&rig.w.flights);
	rig.w.state = WORKER_READY;
	rig.w.credits = 1;
	list_push_back(&rig.v.workers, &rig.w.link);
	for (unsigned i = 0; i < 80; i++) /* 10 + 5·n ms */
		batch_cost_learn(&rig.v.cost, 1 + i % 8, (10 + 5 * (1 + i % 8)) * NS_PER_MS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig.metrics = metrics_destroy(rig.metrics);
	return 0;
}

/* Its worker has been busy with a batch of `n` for so long. */
static void runs(unsigned n, unsigned ms)
{
	rig.fl = (struct flight){ .n = n, .sent_ns = NOW - ms * NS_PER_MS };
	list_push_back(&rig.w.flights, &rig.fl.link);
	rig.w.n_flights = 1;
}

static struct request asked(void)
{
	return (struct request){ .queued_ns = NOW, .sent_ns = NOW };
}

static void answers(struct request *r, unsigned ms, bool final, bool error)
{
	const struct reply reply = { .final = final, .error = error };

	version_goal_answered(&rig.v, r, &reply, NOW + ms * NS_PER_MS);
}

static void what_runs_and_waits_decides(void **state)
{
	struct request r = asked(), waiting[8] = { 0 };

	(void)state;
	assert_false(version_goal_refuses(&rig.v, &r));
	assert_true(r.goal_ns == NOW + GOAL_MS * NS_PER_MS);
	runs(8, 40); /* it has 10 ms to go */
	assert_false(version_goal_refuses(&rig.v, &r));
	for (unsigned i = 0; i < 8; i++)
		queue_push(&rig.v.queue, &waiting[i]);
	assert_true(version_goal_refuses(&rig.v, &r));
	assert_int_equal(version_forecast(&rig.v, NOW).answer, GOAL_LOAD);
	assert_true(rig.refusals->value == 1);
}

static void a_worker_that_is_not_there_is_waited_for_as_long_as_the_last(void **state)
{
	(void)state;
	rig.w.state = WORKER_LOADING;
	rig.w.began_ns = NOW - 20 * NS_PER_MS;
	rig.v.load_ns = 40 * NS_PER_MS;
	assert_int_equal(version_forecast(&rig.v, NOW).answer, GOAL_ADMIT);
	rig.v.load_ns = 4000 * NS_PER_MS;
	assert_int_equal(version_forecast(&rig.v, NOW).answer, GOAL_NOBODY);
	assert_int_equal(version_forecast(&rig.v, NOW).retry_after_s, 4);
	rig.w.state = WORKER_WAITING;
	assert_int_equal(version_forecast(&rig.v, NOW).retry_after_s, 5);
}

static void places_are_batches_side_by_side(void **state)
{
	struct goal_forecast f;

	(void)state;
	rig.w.async = true;
	rig.w.credits = 2;
	runs(1, 0);
	f = version_forecast(&rig.v, NOW);
	assert_in_range(f.expected_ns, 14 * NS_PER_MS, 16 * NS_PER_MS);
	rig.w.credits = 1;
	f = version_forecast(&rig.v, NOW);
	assert_in_range(f.expected_ns, 50 * NS_PER_MS, 80 * NS_PER_MS);
}

static void sequences_and_what_is_no_prediction_are_not_sent_away(void **state)
{
	struct request r = asked();

	(void)state;
	runs(1, 9000); /* it hangs */
	assert_true(version_goal_refuses(&rig.v, &r));
	r.op = REQUEST_DESCRIBE;
	assert_false(version_goal_refuses(&rig.v, &r));
	assert_true(r.goal_ns == 0);
	r.op = REQUEST_PREDICT;
	r.sequence_id = SLICE("mine");
	assert_true(version_goal_refuses(&rig.v, &r));
	rig.v.manifest.sequence_batching = true;
	assert_false(version_goal_refuses(&rig.v, &r));
	assert_true(r.goal_ns > 0);
	rig.v.latency_goal_ms = 0;
	r.sequence_id = SLICE_NULL;
	assert_false(version_goal_refuses(&rig.v, &r));
}

static void answers_are_judged_by_their_first_piece(void **state)
{
	static const struct {
		unsigned ms[2]; /* of its pieces; 0: there is none */
		bool error, cancelled;
		double misses;
	} rows[] = {
		{ { 99, 0 }, false, false, 0 },    { { 101, 0 }, false, false, 1 },
		{ { 99, 9000 }, false, false, 0 }, { { 101, 9000 }, false, false, 1 },
		{ { 99, 0 }, true, false, 0 },     { { 101, 0 }, true, false, 1 },
		{ { 101, 0 }, false, true, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct request r = asked();

		tear_down(state);
		set_up(state);
		assert_false(version_goal_refuses(&rig.v, &r));
		r.cancelled = rows[i].cancelled;
		answers(&r, rows[i].ms[0], !rows[i].ms[1], rows[i].error);
		if (rows[i].ms[1])
			answers(&r, rows[i].ms[1], true, false);
		assert_true(rig.misses->value == rows[i].misses);
	}
}

static void batches_fit_the_goal(void **state)
{
	struct batch_policy p = rig.v.policy;

	(void)state;
	version_goal_bound(&rig.v, &p);
	assert_in_range(p.batch_size, 7, 8);
	assert_true(p.max_delay_ns == 50 * NS_PER_MS);
	rig.v.latency_goal_ms = 50;
	version_goal_bound(&rig.v, &p);
	assert_in_range(p.batch_size, 2, 3);
	assert_in_range(p.max_delay_ns, 24 * NS_PER_MS, 31 * NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_runs_and_waits_decides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_worker_that_is_not_there_is_waited_for_as_long_as_the_last, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(places_are_batches_side_by_side, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			sequences_and_what_is_no_prediction_are_not_sent_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answers_are_judged_by_their_first_piece, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(batches_fit_the_goal, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
