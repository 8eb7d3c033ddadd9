/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

/* What must hold at any time, and what must be left of a run: nothing. */

#include <malloc.h>

#include "base/clock.h"
#include "fleet/registering.h"

#define QUIET_MS 100      /* a step of time when all is calm */
#define QUIET_STEPS 12000 /* 20 minutes */
#define QUIET_TURNS_PER_STEP 2
#define ORACLE_STOP_MS 2000 /* until those that were killed have ended */
/* What a run may hold besides the budget. */
#define ORACLE_HEAP ((size_t)256 << 20)

/* Of whatever allocator there is: a sanitizer's says it by this name. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t oracle_heap(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

/* Nobody streams further ahead of a client than a window, and one piece across its end. */
static void oracle_watch_worker(struct sim *s, const struct worker *w)
{
	const struct process *p = process_of(s, w);

	if (!p)
		return;
	list_for_each (l, &w->flights) {
		const struct flight *fl = container_of(l, struct flight, link);

		list_for_each (m, &fl->requests) {
			const struct request *r = container_of(m, struct request, link);

			if (r->streamed - r->taken > FRAME_WINDOW_BYTES + p->piece_max)
				sim_fail(s,
					 "%s streams without end: %llu bytes, of which %llu "
					 "are taken",
					 w->label, (unsigned long long)r->streamed,
					 (unsigned long long)r->taken);
		}
	}
}

static void oracle_watch_version(struct sim *s, const struct version *v)
{
	unsigned waiting = version_waiting(v);

	if (waiting > v->pending)
		sim_fail(s, "model %s: %u wait, but only %llu are pending", v->model_name, waiting,
			 (unsigned long long)v->pending);
	list_for_each (l, &v->workers)
		oracle_watch_worker(s, container_of(l, struct worker, link));
}

void oracle_watch(struct sim *s)
{
	size_t heap = oracle_heap();

	if (s->front.budget.used > s->front.budget.limit)
		sim_fail(s, "the budget is overdrawn: %llu of %llu",
			 (unsigned long long)s->front.budget.used,
			 (unsigned long long)s->front.budget.limit);
	s->figures.heap_max = MAX(s->figures.heap_max, heap);
	if (heap > ORACLE_HEAP + s->front.budget.limit)
		sim_fail(s, "%zu MB of memory", heap >> 20);
	map_for_each (e, &s->front.fleet.store.models) {
		const struct model *m = e->value;

		list_for_each (l, &m->versions)
			oracle_watch_version(s, container_of(l, struct version, link));
	}
}

/* Time goes on and everybody does what he should, until `done`. */
static void oracle_wait(struct sim *s, bool (*done)(const struct sim *s), const char *what)
{
	for (unsigned i = 0; i < QUIET_STEPS; i++) {
		if (done(s))
			return;
		clients_step(s);
		processes_step(s);
		for (unsigned k = 0; k < QUIET_TURNS_PER_STEP; k++)
			sim_turn(s);
		if (i > 100)
			system_advance(QUIET_MS * NS_PER_MS);
		else
			system_advance(NS_PER_MS);
		oracle_watch(s);
	}
	list_for_each (l, &s->clients) {
		const struct sim_client *c = container_of(l, struct sim_client, link);

		printf("client %u: %u requests, asking %u (%zu bytes sent), answered %u\n",
		       c->number, c->n_asks, c->asking, c->sent, c->answered);
		if (c->answered < c->n_asks)
			printf("    waits for: %.*s\n", (int)MIN(c->asks[c->answered].bytes.n, 200),
			       c->asks[c->answered].bytes.p);
	}
	sim_fail(s, "after a quarter of an hour of calm %s", what);
}

static bool oracle_no_clients(const struct sim *s)
{
	return !s->n_clients;
}

static bool oracle_no_connections(const struct sim *s)
{
	return !net_stats(s->front.net)->connections_now;
}

static bool oracle_stopped(const struct sim *s)
{
	return s->front.stopped && list_empty(&s->processes);
}

/* Nothing has longer than the stop, whatever it was given before. */
static void oracle_stop(struct sim *s)
{
	uint64_t began_ns = system_now_ns();

	front_stop(s);
	oracle_wait(s, oracle_stopped, "it does not stop");
	if (system_now_ns() - began_ns > (FRONT_GRACE_MS + ORACLE_STOP_MS) * NS_PER_MS)
		sim_fail(s, "it takes %.1f s to stop", (double)(system_now_ns() - began_ns) / 1e9);
}

static bool oracle_drained(const struct sim *s)
{
	return s->front.drained;
}

static void oracle_pool(struct sim *s)
{
	struct pool_stats st;

	pool_stats(s->front.pool, &st);
	if (st.blocks || st.used_bytes)
		sim_fail(s, "%llu blocks of the pool are never given back",
			 (unsigned long long)st.blocks);
}

/* Requests that were given up may still be with workers, and what was begun on models goes on
 * without the client that asked for it. */
static bool oracle_no_requests(const struct sim *s)
{
	const struct fleet *f = &s->front.fleet;

	if (!list_empty(&f->registering) || !list_empty(&f->retired) || !list_empty(&f->leaving))
		return false;
	map_for_each (e, &s->front.fleet.store.models) {
		const struct model *m = e->value;

		list_for_each (l, &m->versions) {
			const struct version *v = container_of(l, struct version, link);

			if (v->pending || version_waiting(v))
				return false;
			list_for_each (k, &v->workers) {
				const struct worker *w = container_of(k, struct worker, link);

				if (w->n_flights || w->n_frames || !list_empty(&w->flights))
					return false;
			}
		}
	}
	return true;
}

/* All that was asked is over, and nothing is left of it. */
static void oracle_nothing_left(struct sim *s)
{
	oracle_wait(s, oracle_no_clients, "clients are not answered");
	oracle_wait(s, oracle_no_connections, "connections are left");
	oracle_wait(s, oracle_no_requests, "requests are with models that nobody asks");
	oracle_pool(s);
	if (s->front.budget.used)
		sim_fail(s, "%llu bytes of the budget are in use, for nobody",
			 (unsigned long long)s->front.budget.used);
}

/* Everybody comes to his end by himself; the front is there for who comes then. */
static void oracle_quiet(struct sim *s)
{
	oracle_nothing_left(s);
	client_probe(s, "/livez", 200);
	oracle_wait(s, oracle_no_clients, "it does not answer any more");
	oracle_stop(s);
}

/* Who waits for anything else than an answer of a worker has been told. */
static void oracle_told(struct sim *s)
{
	const struct fleet *f = &s->front.fleet;

	list_for_each (n, &f->registering) {
		const struct registering *g = container_of(n, struct registering, link);

		if (g->done && !g->text)
			sim_fail(s, "who registers %s still waits", g->url);
	}
	list_for_each (n, &f->retired)
		if (container_of(n, struct version, link)->drained)
			sim_fail(s, "who unregisters a model still waits");
	map_for_each (e, &f->store.models) {
		const struct model *m = e->value;

		list_for_each (n, &m->versions)
			if (!list_empty(&container_of(n, struct version, link)->waiters))
				sim_fail(s, "who scales %s still waits", m->name);
	}
}

/* As with SIGTERM: what is being asked is answered first. */
static void oracle_drain(struct sim *s)
{
	s->ending = true;
	front_drain(s);
	oracle_told(s);
	oracle_wait(s, oracle_drained, "it does not drain");
	oracle_nothing_left(s);
	oracle_stop(s);
}

/* As with the second SIGTERM: front_finish() cuts off who is left. */
static void oracle_cut(struct sim *s)
{
	s->ending = true;
	oracle_stop(s);
}

void oracle_end(struct sim *s)
{
	static const struct system_faults none;
	unsigned how = random_below(&s->random, 10);

	s->calm = true;
	system_set_faults(&none);
	if (how < 7)
		oracle_quiet(s);
	else if (how < 9)
		oracle_drain(s);
	else
		oracle_cut(s);
}
