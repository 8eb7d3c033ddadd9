/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arrivals_rig.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "core/goal.h"

#define WORKERS_MAX 4
#define WAITING_MAX 1000000
#define NEVER UINT64_MAX
#define BURST 16
#define COLD 0.02 /* part of the time whose requests do not count: nothing is known yet */

struct lane {
	const struct arrivals_model *model;
	const struct arrivals_setting *setting;
	struct batch_policy policy;
	struct batch_cost cost;
	struct goal_learnt learnt;
	struct queue queue;
	double rate; /* of arrivals, per ns, at the full load */
	uint64_t arrival_ns, wake_ns;
	unsigned burst_left;
	struct batch running[WORKERS_MAX];
	uint64_t began_ns[WORKERS_MAX];
	double left_ns[WORKERS_MAX]; /* of its work; 0: it is idle */
	uint64_t arrivals, services; /* random */
	float *latencies_ms;
	size_t n_latencies, room;
	struct arrivals_result *result;
};

struct world {
	const struct arrivals *scene;
	struct lane lanes[ARRIVALS_MODELS];
	unsigned n;
	uint64_t now_ns, begin_ns;
	uint64_t warm_ns, end_ns; /* requests count, and nothing arrives any more */
};

static double draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (double)(*state >> 11) / 9007199254740992.0;
}

/* ---- arrivals ---- */

static double stretch(const struct world *w)
{
	return w->n > 1 ? MAX(w->scene->stretch, 1) : 1;
}

/* Requests per nanosecond that its workers can answer. */
static double capacity(const struct world *w, const struct arrivals_model *m)
{
	return m->workers / ((m->a_ms / ARRIVALS_SIZE_MAX + m->c_ms) * 1e6 * stretch(w));
}

static void next_arrival(const struct world *w, struct lane *l)
{
	double rate = l->rate, share;

	share = (double)(w->now_ns - w->begin_ns) / (double)(w->end_ns - w->begin_ns);
	if (l->model->pattern == ARRIVALS_BURSTS) {
		if (l->burst_left--)
			return;
		l->burst_left = BURST - 1;
		rate /= BURST;
	} else if (l->model->pattern == ARRIVALS_RAMP) {
		rate *= 0.1 + 0.9 * (share < 0.5 ? 2 * share : 2 - 2 * share);
	}
	l->arrival_ns += (uint64_t)(-log(1 - draw(&l->arrivals)) / rate);
	if (l->arrival_ns >= w->end_ns)
		l->arrival_ns = NEVER;
}

static bool admitted(const struct world *w, const struct lane *l, struct request *r)
{
	struct goal_state s = { .goal_ns = (uint64_t)(l->setting->goal_ms * 1e6),
				.cost = &l->cost,
				.learnt = &l->learnt,
				.batch_size = l->setting->size,
				.waiting = l->queue.n };
	struct goal_forecast f;

	for (unsigned i = 0; i < l->model->workers; i++)
		goal_add_place(&s, l->left_ns[i] > 0 ? goal_left_ns(&s, l->running[i].n,
								    w->now_ns - l->began_ns[i])
						     : 0);
	f = goal_forecast(&s);
	r->expected_ns = f.expected_ns;
	return f.answer == GOAL_ADMIT;
}

static void arrive(struct world *w, struct lane *l)
{
	struct request *r = mem_new(struct request);

	*r = (struct request){ .id = 1, .queued_ns = w->now_ns, .encoded = 10 };
	if (l->setting->goal_ms > 0 && !admitted(w, l, r)) {
		l->result->refused += w->now_ns >= w->warm_ns;
		free(r);
		return;
	}
	batch_cost_arrival(&l->cost, w->now_ns);
	assert(l->queue.n < WAITING_MAX);
	queue_push(&l->queue, r);
}

/* ---- workers ---- */

static void bound(const struct lane *l, struct batch_policy *p)
{
	struct goal_state s = { .goal_ns = (uint64_t)(l->setting->goal_ms * 1e6),
				.cost = &l->cost,
				.learnt = &l->learnt,
				.batch_size = l->setting->size };

	p->max_delay_ns = goal_delay_ns(&s, p->max_delay_ns);
	p->batch_size = goal_batch_size(&s);
}

static void begin(const struct world *w, struct lane *l, unsigned i)
{
	const struct arrivals_model *m = l->model;
	struct batch_policy p = l->policy;
	uint64_t wake_ns;
	unsigned n;

	for (unsigned k = 0; k < m->workers; k++)
		p.idle += l->left_ns[k] <= 0;
	bound(l, &p);
	n = batch_take(&p, &l->cost, &l->queue, w->now_ns, &l->running[i], &wake_ns);
	l->wake_ns = MIN(l->wake_ns, wake_ns);
	if (!n)
		return;
	l->began_ns[i] = w->now_ns;
	l->left_ns[i] = (m->a_ms + m->c_ms * n) * 1e6 * (0.95 + 0.1 * draw(&l->services));
}

static void count(struct lane *l, uint64_t took_ns)
{
	if (l->n_latencies == l->room) {
		l->room = 2 * l->room + 1024;
		l->latencies_ms = mem_realloc(l->latencies_ms, l->room * sizeof(float));
	}
	l->latencies_ms[l->n_latencies++] = (float)((double)took_ns / 1e6);
	l->result->mean_ms += (double)took_ns / 1e6;
	l->result->answered++;
	l->result->late += l->setting->goal_ms > 0 && (double)took_ns > l->setting->goal_ms * 1e6;
}

static void answer(struct world *w, struct lane *l, struct request *r, unsigned n)
{
	uint64_t took_ns = w->now_ns - r->queued_ns;

	if (r->queued_ns >= w->warm_ns)
		count(l, took_ns);
	if (r->expected_ns)
		goal_learn_error(&l->learnt, took_ns, r->expected_ns, n);
	if (l->model->pattern == ARRIVALS_CLOSED && w->now_ns < w->end_ns)
		arrive(w, l);
	free(r);
}

static void end(struct world *w, struct lane *l, unsigned i)
{
	struct list *n;

	l->left_ns[i] = 0;
	batch_cost_learn(&l->cost, l->running[i].n, w->now_ns - l->began_ns[i]);
	while ((n = list_pop(&l->running[i].requests)))
		answer(w, l, container_of(n, struct request, link), l->running[i].n);
}

/* ---- time ---- */

static bool runs(const struct lane *l)
{
	for (unsigned i = 0; i < l->model->workers; i++)
		if (l->left_ns[i] > 0)
			return true;
	return false;
}

/* How many times longer everything takes now. */
static double slowness(const struct world *w)
{
	for (unsigned i = 0; i < w->n; i++)
		if (!runs(&w->lanes[i]))
			return 1;
	return stretch(w);
}

static uint64_t next_event(const struct world *w, double slow)
{
	uint64_t next = NEVER;

	for (unsigned k = 0; k < w->n; k++) {
		const struct lane *l = &w->lanes[k];

		next = MIN(next, MIN(l->arrival_ns, l->wake_ns));
		for (unsigned i = 0; i < l->model->workers; i++)
			if (l->left_ns[i] > 0)
				next = MIN(next, w->now_ns + (uint64_t)ceil(l->left_ns[i] * slow));
	}
	return MAX(next, w->now_ns);
}

/* Ends what is done by then. */
static void pass(struct world *w, uint64_t until_ns, double slow)
{
	double work_ns = (double)(until_ns - w->now_ns) / slow;

	w->now_ns = until_ns;
	for (unsigned k = 0; k < w->n; k++) {
		struct lane *l = &w->lanes[k];

		for (unsigned i = 0; i < l->model->workers; i++) {
			if (l->left_ns[i] <= 0)
				continue;
			l->left_ns[i] -= work_ns;
			if (l->left_ns[i] < 1e-3)
				end(w, l, i);
		}
	}
}

/* False: nothing will ever happen again. */
static bool step(struct world *w)
{
	double slow = slowness(w);
	uint64_t next = next_event(w, slow);

	if (next == NEVER)
		return false;
	pass(w, next, slow);
	for (unsigned k = 0; k < w->n; k++) {
		struct lane *l = &w->lanes[k];

		l->wake_ns = NEVER;
		while (l->arrival_ns <= w->now_ns) {
			arrive(w, l);
			next_arrival(w, l);
		}
		for (unsigned i = 0; i < l->model->workers; i++)
			if (l->left_ns[i] <= 0)
				begin(w, l, i);
	}
	return true;
}

/* ---- a run ---- */

static void lane_begin(struct world *w, struct lane *l)
{
	l->policy = (struct batch_policy){ .mode = l->setting->mode,
					   .batch_size = l->setting->size,
					   .max_delay_ns = (uint64_t)(l->setting->delay_ms * 1e6),
					   .workers = l->model->workers };
	queue_init(&l->queue, WAITING_MAX);
	l->arrivals = 88172645463325252u + (uint64_t)(l - w->lanes);
	l->services = 88172645463325252u;
	l->wake_ns = NEVER;
	l->arrival_ns = w->now_ns;
	*l->result = (struct arrivals_result){ 0 };
	if (l->model->pattern != ARRIVALS_CLOSED) {
		next_arrival(w, l);
		return;
	}
	l->arrival_ns = NEVER;
	for (unsigned i = 0; i < l->model->clients; i++)
		arrive(w, l);
	l->wake_ns = w->now_ns; /* so that workers look */
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void lane_end(struct lane *l)
{
	size_t n = l->n_latencies;

	assert(!l->queue.n && n);
	qsort(l->latencies_ms, n, sizeof(float), compare);
	l->result->mean_ms /= (double)n;
	l->result->p99_ms = (double)l->latencies_ms[n - 1 - n / 100];
	free(l->latencies_ms);
}

void arrivals_run(const struct arrivals *scene, unsigned requests,
		  const struct arrivals_setting *settings, struct arrivals_result *ret)
{
	struct world w = { .scene = scene, .now_ns = NS_PER_S, .begin_ns = NS_PER_S };
	double slowest = INFINITY;

	while (w.n < ARRIVALS_MODELS && scene->models[w.n].workers)
		w.n++;
	for (unsigned i = 0; i < w.n; i++) {
		const struct arrivals_model *m = &scene->models[i];
		bool closed = m->pattern == ARRIVALS_CLOSED;

		w.lanes[i] =
			(struct lane){ .model = m, .setting = &settings[i], .result = &ret[i] };
		w.lanes[i].rate = (closed ? 1 : m->load) * capacity(&w, m);
		slowest = MIN(slowest, w.lanes[i].rate);
	}
	w.end_ns = w.begin_ns + (uint64_t)(requests / slowest);
	w.warm_ns = w.begin_ns + (uint64_t)(COLD * requests / slowest);
	for (unsigned i = 0; i < w.n; i++)
		lane_begin(&w, &w.lanes[i]);
	while (step(&w))
		;
	for (unsigned i = 0; i < w.n; i++)
		lane_end(&w.lanes[i]);
}
