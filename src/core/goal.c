/* SPDX-License-Identifier: Apache-2.0 */
#include "core/goal.h"

#include "base/clock.h"
#include "base/util.h"

/* As TCP learns how long an acknowledgement takes: a mean, and what it is wrong by. The requests of
 * a batch are wrong by the same, so they count as one. */
#define GOAL_MEMORY 32.0 /* about so many batches are remembered */
#define GOAL_DEVIATIONS 3

/* Time of a batch of `n`; 0: unknown. */
static double goal_batch_ns(const struct goal_state *s, unsigned n)
{
	double a, c;

	return batch_cost_get(s->cost, &a, &c) ? a + c * n : s->learnt->hold_ns;
}

static double goal_margin_ns(const struct goal_learnt *g)
{
	return MAX(g->error_ns + GOAL_DEVIATIONS * g->deviation_ns, 0);
}

/* What is left of the goal for waiting and running. */
static double goal_room_ns(const struct goal_state *s)
{
	return MAX((double)s->goal_ns - goal_margin_ns(s->learnt), 0);
}

unsigned goal_batch_size(const struct goal_state *s)
{
	double room = goal_room_ns(s), a, c, n;
	bool line = batch_cost_line(s->cost, &a, &c);

	if (!s->goal_ns || !batch_cost_get(s->cost, &a, &c))
		return s->batch_size;
	/* Where even one takes more than half, who comes late in a batch is who can be served. */
	room = a + c <= room / 2 ? room / 2 : (room + a + c) / 2;
	n = a + c * s->batch_size <= room ? s->batch_size : (room - a) / c;
	/* Two are tried: what is known of one size says nothing of others. */
	return MIN((unsigned)MAX(n, line ? 1 : 2), s->batch_size);
}

uint64_t goal_delay_ns(const struct goal_state *s, uint64_t max_delay_ns)
{
	double room = goal_room_ns(s), run = goal_batch_ns(s, goal_batch_size(s));

	if (!s->goal_ns)
		return max_delay_ns;
	return MIN(max_delay_ns, (uint64_t)(run > 0 ? MAX(room - run, 0) : room / 2));
}

void goal_add_place(struct goal_state *s, uint64_t left_ns)
{
	unsigned i = s->n_left;

	s->n_places++;
	if (i == GOAL_PLACES_MAX && left_ns >= s->left_ns[i - 1])
		return;
	if (i == GOAL_PLACES_MAX)
		i--;
	else
		s->n_left++;
	for (; i && s->left_ns[i - 1] > left_ns; i--)
		s->left_ns[i] = s->left_ns[i - 1];
	s->left_ns[i] = left_ns;
}

uint64_t goal_left_ns(const struct goal_state *s, unsigned n, uint64_t ran_ns)
{
	uint64_t run_ns = (uint64_t)goal_batch_ns(s, n);

	/* What takes longer than expected is thought to take as much longer again. */
	return ran_ns < run_ns ? run_ns - ran_ns : MAX(ran_ns - run_ns, 1);
}

/* When the batch begins that has `before` others before it. */
static double goal_start_ns(const struct goal_state *s, unsigned before, double run_ns)
{
	unsigned rounds = s->n_places ? before / s->n_places : before;
	unsigned place = before - rounds * s->n_places;
	double first = (double)s->ready_ns;

	/* Those that are not listed are free within the time of a batch. */
	if (s->n_places)
		first = place < s->n_left ? (double)s->left_ns[place] : run_ns;
	return first + rounds * run_ns;
}

uint64_t goal_wait_ns(const struct goal_state *s)
{
	unsigned size = goal_batch_size(s);

	if (!s->n_places && s->ready_ns == UINT64_MAX)
		return 0;
	return (uint64_t)goal_start_ns(s, s->waiting / size, goal_batch_ns(s, size));
}

static unsigned goal_seconds(double ns)
{
	return (unsigned)MIN(ns / NS_PER_S + 1, GOAL_RETRY_MAX_S);
}

struct goal_forecast goal_forecast(const struct goal_state *s)
{
	unsigned size = goal_batch_size(s);
	double part = 1 - s->learnt->tail, run = goal_batch_ns(s, size);
	double start = goal_start_ns(s, s->waiting / size, run), goal = (double)s->goal_ns;
	double margin = goal_margin_ns(s->learnt), alone = part * goal_batch_ns(s, 1), expected;
	struct goal_forecast f = { .answer = GOAL_ADMIT, .margin_ns = (uint64_t)margin };

	if (!s->goal_ns || run <= 0)
		return f;
	/* Behind others it is thought to run in a full batch, for more may come. */
	expected = start + part * (start > 0 ? run : goal_batch_ns(s, s->waiting % size + 1));
	f.expected_ns = (uint64_t)MAX(expected, 1);
	f.alone_ns = (uint64_t)alone;
	if (start <= 0 || expected + margin <= goal)
		return f;
	if (!s->n_places) {
		f.answer = GOAL_NOBODY;
		f.retry_after_s = goal_seconds((double)s->ready_ns);
	} else if (alone + margin > goal) {
		f.answer = GOAL_SLOW;
		f.retry_after_s = goal_seconds(start);
	} else {
		f.answer = GOAL_LOAD;
		f.retry_after_s = goal_seconds(expected + margin - goal);
	}
	return f;
}

void goal_learn_error(struct goal_learnt *g, uint64_t took_ns, uint64_t expected_ns,
		      unsigned batched)
{
	double error = (double)took_ns - (double)expected_ns, off = error - g->error_ns;
	double part = 1 / (GOAL_MEMORY * MAX(batched, 1));

	g->deviation_ns += part * ((off < 0 ? -off : off) - g->deviation_ns);
	g->error_ns += part * off;
}

void goal_learn_hold(struct goal_learnt *g, uint64_t hold_ns, uint64_t began_ns)
{
	double hold = (double)MAX(hold_ns, 1), tail = 1 - MIN((double)began_ns / hold, 1);

	g->hold_ns += (g->hold_ns > 0 ? 1 / GOAL_MEMORY : 1) * (hold - g->hold_ns);
	g->tail += (tail - g->tail) / GOAL_MEMORY;
}
