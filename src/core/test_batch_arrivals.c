/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/*
 * batch_take() in a world of its own: requests arrive in a pattern, workers take batches that cost
 * a + c·n, time is a number. Adaptive batching is held against every fixed setting of size and
 * delay that somebody might have tuned for that pattern, by the mean latency of a request.
 */

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "core/batch.h"

#define SIZE_MAX_N 32
#define WORKERS_MAX 4
#define REQUESTS 20000
#define NEVER UINT64_MAX
#define SLACK 1.05

struct model {
	double a_ms, c_ms;
	unsigned workers;
};

enum pattern { POISSON, BURSTS, RAMP, CLOSED };

struct scene {
	const char *name;
	struct model model;
	enum pattern pattern;
	double load;      /* of what the workers can do with the largest batches, 0 … 1 */
	unsigned clients; /* CLOSED: each asks again as soon as it has an answer */
};

struct sim {
	const struct scene *scene;
	struct batch_policy policy;
	struct batch_cost cost;
	struct queue queue;
	struct request *requests;
	unsigned n_arrived, n_done;
	uint64_t free_ns[WORKERS_MAX]; /* when it is done; NEVER: it is idle */
	struct batch running[WORKERS_MAX];
	uint64_t began_ns[WORKERS_MAX];
	uint64_t wake_ns, now_ns;
	double latency_ns;
	uint64_t arrivals, services; /* random; the same arrivals for all that are compared */
};

static double sim_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (double)(*state >> 11) / 9007199254740992.0;
}

/* Requests per nanosecond that the workers can answer. */
static double sim_capacity(const struct model *m)
{
	return m->workers / ((m->a_ms / SIZE_MAX_N + m->c_ms) * 1e6);
}

/* From one arrival to the next, in an open pattern. */
static uint64_t sim_gap(struct sim *s)
{
	double rate = s->scene->load * sim_capacity(&s->scene->model);
	double share = (double)s->n_arrived / REQUESTS;

	switch (s->scene->pattern) {
	case BURSTS: /* sixteen at once, then a pause */
		if (s->n_arrived % 16)
			return 0;
		rate /= 16;
		break;
	case RAMP: /* from a tenth of the load to all of it and back */
		rate *= 0.1 + 0.9 * (share < 0.5 ? 2 * share : 2 - 2 * share);
		break;
	default:
		break;
	}
	return (uint64_t)(-log(1 - sim_random(&s->arrivals)) / rate);
}

static void sim_arrive(struct sim *s)
{
	struct request *r = &s->requests[s->n_arrived++];

	*r = (struct request){ .id = s->n_arrived, .queued_ns = s->now_ns, .encoded = 10 };
	batch_cost_arrival(&s->cost, s->now_ns);
	assert_int_equal(queue_push(&s->queue, r), 0);
}

static void sim_begin(struct sim *s, unsigned w)
{
	const struct model *m = &s->scene->model;
	uint64_t wake_ns;
	unsigned n;

	s->policy.idle = 0;
	for (unsigned i = 0; i < m->workers; i++)
		s->policy.idle += s->free_ns[i] == NEVER;
	n = batch_take(&s->policy, &s->cost, &s->queue, s->now_ns, &s->running[w], &wake_ns);

	s->wake_ns = MIN(s->wake_ns, wake_ns);
	if (!n)
		return;
	s->began_ns[w] = s->now_ns;
	s->free_ns[w] = s->now_ns + (uint64_t)((m->a_ms + m->c_ms * n) * 1e6 *
					       (0.95 + 0.1 * sim_random(&s->services)));
}

static void sim_end(struct sim *s, unsigned w)
{
	struct batch *b = &s->running[w];

	batch_cost_learn(&s->cost, b->n, s->now_ns - s->began_ns[w]);
	while (!list_empty(&b->requests)) {
		struct request *r = container_of(list_first(&b->requests), struct request, link);

		list_remove(&r->link);
		s->latency_ns += (double)(s->now_ns - r->queued_ns);
		s->n_done++;
		if (s->scene->pattern == CLOSED && s->n_arrived < REQUESTS)
			sim_arrive(s);
	}
	s->free_ns[w] = NEVER;
}

static void sim_step(struct sim *s, uint64_t *arrival_ns)
{
	uint64_t next = MIN(*arrival_ns, s->wake_ns);

	for (unsigned w = 0; w < s->scene->model.workers; w++)
		next = MIN(next, s->free_ns[w]);
	assert_true(next != NEVER);
	s->now_ns = MAX(next, s->now_ns);
	s->wake_ns = NEVER;
	while (*arrival_ns <= s->now_ns) {
		sim_arrive(s);
		*arrival_ns = s->n_arrived < REQUESTS ? *arrival_ns + sim_gap(s) : NEVER;
	}
	for (unsigned w = 0; w < s->scene->model.workers; w++)
		if (s->free_ns[w] <= s->now_ns)
			sim_end(s, w);
	for (unsigned w = 0; w < s->scene->model.workers; w++)
		if (s->free_ns[w] == NEVER)
			sim_begin(s, w);
}

/* Mean latency of a request, in milliseconds. */
static double sim_run(const struct scene *scene, enum batch_mode mode, unsigned size,
		      double delay_ms)
{
	_cleanup_(freep) struct request *requests = mem_alloc(REQUESTS * sizeof(*requests));
	struct sim s = { .scene = scene,
			 .requests = requests,
			 .arrivals = 88172645463325252u,
			 .services = 88172645463325252u };
	uint64_t arrival_ns = NS_PER_S;

	s.policy = (struct batch_policy){ .mode = mode,
					  .batch_size = size,
					  .max_delay_ns = (uint64_t)(delay_ms * 1e6),
					  .workers = scene->model.workers };
	queue_init(&s.queue, REQUESTS);
	for (unsigned w = 0; w < WORKERS_MAX; w++)
		s.free_ns[w] = NEVER;
	s.wake_ns = NEVER;
	if (scene->pattern == CLOSED) {
		arrival_ns = NEVER;
		s.now_ns = NS_PER_S;
		for (unsigned i = 0; i < scene->clients; i++)
			sim_arrive(&s);
		for (unsigned w = 0; w < scene->model.workers; w++)
			sim_begin(&s, w);
	}
	while (s.n_done < REQUESTS)
		sim_step(&s, &arrival_ns);
	return s.latency_ns / REQUESTS / 1e6;
}

static double best_fixed(const struct scene *scene, unsigned *ret_size, double *ret_delay_ms)
{
	static const unsigned sizes[] = { 1, 2, 4, 8, 16, 32 };
	static const double delays[] = { 0, 0.5, 1, 2, 5, 10, 20, 50 };
	double best = INFINITY;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t k = 0; k < ARRAY_LEN(delays); k++) {
			double ms = sim_run(scene, BATCH_FIXED, sizes[i], delays[k]);

			if (ms >= best)
				continue;
			best = ms;
			*ret_size = sizes[i];
			*ret_delay_ms = delays[k];
		}
	return best;
}

/* A GPU, whose batches cost hardly more than one; a small CPU model; one for which batches are no
 * gain at all; one in between. */
#define GPU(n)                                                                                     \
	{                                                                                          \
		20, 0.5, n                                                                         \
	}
#define SMALL(n)                                                                                   \
	{                                                                                          \
		1, 1, n                                                                            \
	}
#define LINEAR(n)                                                                                  \
	{                                                                                          \
		0.1, 10, n                                                                         \
	}
#define MIDDLE(n)                                                                                  \
	{                                                                                          \
		8, 4, n                                                                            \
	}

static const struct scene scenes[] = {
	{ "GPU, Poisson 30 %", GPU(1), POISSON, 0.3, 0 },
	{ "GPU, Poisson 80 %", GPU(1), POISSON, 0.8, 0 },
	{ "GPU, bursts", GPU(1), BURSTS, 0.4, 0 },
	{ "GPU, ramp", GPU(2), RAMP, 0.9, 0 },
	{ "GPU, 64 clients", GPU(1), CLOSED, 0, 64 },
	{ "small, Poisson 30 %", SMALL(1), POISSON, 0.3, 0 },
	{ "small, Poisson 80 %", SMALL(2), POISSON, 0.8, 0 },
	{ "small, bursts", SMALL(1), BURSTS, 0.4, 0 },
	{ "small, ramp", SMALL(1), RAMP, 0.9, 0 },
	{ "small, 64 clients", SMALL(2), CLOSED, 0, 64 },
	{ "linear, Poisson 30 %", LINEAR(1), POISSON, 0.3, 0 },
	{ "linear, Poisson 80 %", LINEAR(1), POISSON, 0.8, 0 },
	{ "linear, bursts", LINEAR(2), BURSTS, 0.4, 0 },
	{ "linear, ramp", LINEAR(1), RAMP, 0.9, 0 },
	{ "linear, 16 clients", LINEAR(1), CLOSED, 0, 16 },
	{ "middle, Poisson 50 %", MIDDLE(1), POISSON, 0.5, 0 },
	{ "middle, Poisson 80 %", MIDDLE(1), POISSON, 0.8, 0 },
	{ "middle, bursts", MIDDLE(4), BURSTS, 0.5, 0 },
	{ "middle, ramp", MIDDLE(1), RAMP, 0.9, 0 },
	{ "middle, 32 clients", MIDDLE(1), CLOSED, 0, 32 },
};

static void adaptive_is_as_good_as_what_somebody_would_have_tuned(void **state)
{
	unsigned worse = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
		double found, best, delay_ms = 0;
		unsigned size = 0;

		found = sim_run(&scenes[i], BATCH_ADAPTIVE, SIZE_MAX_N, 100);
		best = best_fixed(&scenes[i], &size, &delay_ms);
		print_message("%-22s adaptive %8.2f ms, best fixed %8.2f ms (%u, %g ms): %.3f\n",
			      scenes[i].name, found, best, size, delay_ms, found / best);
		worse += found > SLACK * best;
	}
	assert_int_equal(worse, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adaptive_is_as_good_as_what_somebody_would_have_tuned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
