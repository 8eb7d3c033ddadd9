/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/util.h"
#include "core/batch.h"

#define NOW (1000 * NS_PER_MS)

static struct request requests[16];

static void fill(struct queue *q, unsigned n)
{
	queue_init(q, 100);
	for (unsigned i = 0; i < n; i++) {
		requests[i] = (struct request){ .id = i + 1, .queued_ns = NOW, .encoded = 10 };
		queue_push(q, &requests[i]);
	}
}

static unsigned take(struct queue *q, enum batch_mode mode, unsigned size, uint64_t now_ns,
		     const struct batch_cost *cost, struct batch *out, uint64_t *wake_ns)
{
	static const struct batch_cost unknown;
	struct batch_policy p = { mode, size, 100 * NS_PER_MS };

	return batch_take(&p, cost ? cost : &unknown, q, now_ns, out, wake_ns);
}

static void an_idle_worker_does_not_wait_without_reason(void **state)
{
	uint64_t wake_ns;
	struct batch b;
	struct queue q;

	(void)state;
	fill(&q, 3);
	assert_int_equal(take(&q, BATCH_ADAPTIVE, 8, NOW, NULL, &b, &wake_ns), 3);
	assert_int_equal(b.n, 3);
	assert_int_equal(b.bytes, 30);
	assert_int_equal(q.n, 0);
	assert_int_equal(take(&q, BATCH_ADAPTIVE, 8, NOW, NULL, &b, &wake_ns), 0);
	assert_true(wake_ns == UINT64_MAX);
}

static void batch_size_is_an_upper_bound(void **state)
{
	uint64_t wake_ns;
	struct batch b;
	struct queue q;

	(void)state;
	fill(&q, 5);
	assert_int_equal(take(&q, BATCH_ADAPTIVE, 2, NOW, NULL, &b, &wake_ns), 2);
	assert_int_equal(container_of(list_first(&b.requests), struct request, link)->id, 1);
	assert_int_equal(q.n, 3);
}

static void a_batch_fits_the_room_there_is(void **state)
{
	struct batch_policy p = { BATCH_FIXED, 8, 100 * NS_PER_MS, .bytes_max = 29 };
	const struct batch_cost unknown = { 0 };
	uint64_t wake_ns;
	struct batch b;
	struct queue q;

	(void)state;
	fill(&q, 4);
	/* More would not fit, so it does not wait for more. */
	assert_int_equal(batch_take(&p, &unknown, &q, NOW, &b, &wake_ns), 2);
	assert_int_equal(b.bytes, 20);
	p.bytes_max = 9;
	assert_int_equal(batch_take(&p, &unknown, &q, NOW, &b, &wake_ns), 0);
	assert_int_equal(q.n, 2);
}

static void fixed_mode_waits_max_delay_from_the_oldest(void **state)
{
	uint64_t wake_ns;
	struct batch b;
	struct queue q;

	(void)state;
	fill(&q, 2);
	assert_int_equal(take(&q, BATCH_FIXED, 4, NOW + 1, NULL, &b, &wake_ns), 0);
	assert_true(wake_ns == NOW + 100 * NS_PER_MS);
	assert_int_equal(take(&q, BATCH_FIXED, 4, NOW + 100 * NS_PER_MS, NULL, &b, &wake_ns), 2);
	fill(&q, 4);
	assert_int_equal(take(&q, BATCH_FIXED, 4, NOW, NULL, &b, &wake_ns), 4);
}

static void never_waits_past_a_deadline(void **state)
{
	uint64_t wake_ns;
	struct batch b;
	struct queue q;

	(void)state;
	fill(&q, 2);
	requests[1].deadline_ns = NOW + 5;
	assert_int_equal(take(&q, BATCH_FIXED, 4, NOW, NULL, &b, &wake_ns), 0);
	assert_true(wake_ns == NOW + 5);
}

static void some_requests_travel_alone(void **state)
{
	uint64_t wake_ns;
	struct batch b;
	struct queue q;

	(void)state;
	fill(&q, 4);
	requests[0].retried = true;
	requests[2].op = REQUEST_DESCRIBE;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(take(&q, BATCH_FIXED, 4, NOW + NS_PER_S, NULL, &b, &wake_ns), 1);
}

static void operations_are_not_mixed(void **state)
{
	uint64_t wake_ns;
	struct batch b;
	struct queue q;

	(void)state;
	fill(&q, 3);
	requests[2].op = REQUEST_EXPLAIN;
	assert_int_equal(take(&q, BATCH_FIXED, 4, NOW, NULL, &b, &wake_ns), 2);
	assert_int_equal(take(&q, BATCH_FIXED, 4, NOW + NS_PER_S, NULL, &b, &wake_ns), 1);
}

static void learns_the_cost_of_a_batch(void **state)
{
	struct batch_cost c = { 0 };
	double a, per;

	(void)state;
	assert_false(batch_cost_get(&c, &a, &per));
	for (unsigned i = 0; i < 60; i++)
		batch_cost_learn(&c, 1 + i % 8, 1000 + 100 * (1 + i % 8));
	assert_true(batch_cost_get(&c, &a, &per));
	assert_true(a > 990 && a < 1010);
	assert_true(per > 99 && per < 101);
	assert_in_range(batch_cost_estimate(&c, 10), 1990, 2010);
}

static void waits_only_when_it_pays(void **state)
{
	struct batch_cost c = { 0 };
	uint64_t wake_ns;
	struct batch b;
	struct queue q;

	(void)state;
	/* a = 10 ms, c = 0.01 ms: a dear call, and requests every 0.1 ms. */
	for (unsigned i = 0; i < 60; i++)
		batch_cost_learn(&c, 1 + i % 8, 10000000 + 10000 * (1 + i % 8));
	for (unsigned i = 0; i < 60; i++)
		batch_cost_arrival(&c, NOW - (60 - i) * 100000);
	fill(&q, 1);
	assert_int_equal(take(&q, BATCH_ADAPTIVE, 8, NOW, &c, &b, &wake_ns), 0);
	assert_true(wake_ns > NOW && wake_ns <= NOW + NS_PER_MS);
	/* The same call with requests every 20 ms: waiting cannot pay. */
	c.gap_ns = 20e6;
	assert_int_equal(take(&q, BATCH_ADAPTIVE, 8, NOW, &c, &b, &wake_ns), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_worker_does_not_wait_without_reason),
		cmocka_unit_test(batch_size_is_an_upper_bound),
		cmocka_unit_test(a_batch_fits_the_room_there_is),
		cmocka_unit_test(fixed_mode_waits_max_delay_from_the_oldest),
		cmocka_unit_test(never_waits_past_a_deadline),
		cmocka_unit_test(some_requests_travel_alone),
		cmocka_unit_test(operations_are_not_mixed),
		cmocka_unit_test(learns_the_cost_of_a_batch),
		cmocka_unit_test(waits_only_when_it_pays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
