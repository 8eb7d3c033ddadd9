/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

/* All connections together: the end of the loop's turn, their coarse clock, and draining. */

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "log/log.h"
#include "loop/turn.h"
#include "net/conn.h"

#define NET_TICK_MS 100
#define NET_TURN_NS (5 * NS_PER_MS) /* what comes then waits for the next turn */
#define NET_LOOK 8                  /* how much is counted between two looks at the clock */
#define NET_RATE_AFTER_MS 10000

/* ---- the end of the turn ---- */

void net_count(struct net *n, unsigned weight)
{
	unsigned before = n->counted;

	if (!before)
		n->first_ns = turn_now_ns(n->loop);
	n->counted += weight;
	/* A callback's time is that of its beginning, however much it does. */
	if (n->counted / NET_LOOK != before / NET_LOOK)
		n->late = clock_now_ns() - n->first_ns > NET_TURN_NS;
}

static void net_begin_turn(struct net *n)
{
	n->turn_read = 0;
	n->counted = 0;
	n->late = false;
}

static void net_again(uv_idle_t *i)
{
	TURN(i);
}

/* Nobody is waited for while there are connections left to look at. */
static void net_end_turn(struct net *n)
{
	net_begin_turn(n);
	if (list_empty(&n->due)) {
		uv_idle_stop(n->again);
		uv_unref((uv_handle_t *)n->turn);
	} else {
		uv_idle_start(n->again, net_again);
	}
}

static void net_turn(uv_prepare_t *p)
{
	struct net *n = p->data;
	void (*done)(void *) = n->drained;
	struct list *l;

	assert(!n->turning);
	if (!list_empty(&n->due)) {
		TURN(p);
		/* Lines about answers are being written before these are. */
		log_commit();
	}
	n->turning = true;
	net_begin_turn(n);
	while (!n->late && (l = list_pop(&n->due))) {
		net_count(n, 1);
		conn_turn(container_of(l, struct conn, due));
	}
	n->turning = false;
	net_end_turn(n);
	if (!n->draining || !done || !list_empty(&n->conns))
		return;
	n->drained = NULL;
	done(n->drained_arg);
}

/* ---- time ---- */

static void net_check_rate(struct net *n, uint64_t now_ms)
{
	if (!n->limits.body_rate_min)
		return;
	list_for_each_safe (l, &n->waits[WAIT_BODY]) {
		struct wait *w = container_of(l, struct wait, link);
		const struct h1_body *b = &w->conn->h1.body;
		uint64_t spent_ms = now_ms - b->began_ms;

		/* Until it begins to arrive the longest pause counts. */
		if (b->seen && spent_ms > NET_RATE_AFTER_MS &&
		    b->seen * 1000 < n->limits.body_rate_min * spent_ms)
			conn_timed_out(w);
	}
}

void net_check_times(struct net *n)
{
	uint64_t now_ms = clock_now_ns() / NS_PER_MS;

	for (int k = 0; k < WAIT_KINDS; k++) {
		struct list *first;

		while ((first = list_first(&n->waits[k]))) {
			struct wait *w = container_of(first, struct wait, link);

			if (w->until_ms > now_ms)
				break;
			conn_timed_out(w);
		}
	}
	net_check_rate(n, now_ms);
}

static void net_tick(uv_timer_t *t)
{
	TURN(t);
	listeners_resume(t->data);
	net_check_times(t->data);
}

/* ---- life ---- */

static void net_start_handles(struct net *n)
{
	n->tick = mem_new(uv_timer_t);
	uv_timer_init(n->loop, n->tick);
	n->tick->data = n;
	uv_timer_start(n->tick, net_tick, NET_TICK_MS, NET_TICK_MS);
	uv_unref((uv_handle_t *)n->tick);
	n->turn = mem_new(uv_prepare_t);
	uv_prepare_init(n->loop, n->turn);
	n->turn->data = n;
	uv_prepare_start(n->turn, net_turn);
	uv_unref((uv_handle_t *)n->turn);
	n->again = mem_new(uv_idle_t);
	uv_idle_init(n->loop, n->again);
}

struct net *net_create(uv_loop_t *loop, const struct net_limits *limits, struct budget *budget)
{
	struct net *n = mem_new(struct net);

	n->loop = loop;
	n->limits = *limits;
	n->budget = budget;
	n->head_limits = (struct http1_limits){ .head_bytes = limits->head_bytes,
						.headers = limits->headers,
						.body_bytes = limits->body_bytes };
	list_init(&n->conns);
	list_init(&n->due);
	list_init(&n->listeners);
	list_init(&n->free_exchanges);
	for (int k = 0; k < WAIT_KINDS; k++)
		list_init(&n->waits[k]);
	n->wait_ms[WAIT_HEAD] = limits->head_timeout_ms;
	n->wait_ms[WAIT_BODY] = limits->body_timeout_ms;
	n->wait_ms[WAIT_IDLE] = limits->idle_timeout_ms;
	n->wait_ms[WAIT_WRITE] = limits->write_timeout_ms;
	n->wait_ms[WAIT_LINGER] = NET_LINGER_MS;
	net_start_handles(n);
	return n;
}

static void net_freed(uv_handle_t *h)
{
	free(h);
}

static void net_close_listeners(struct net *n)
{
	while (!list_empty(&n->listeners))
		listener_close(container_of(list_first(&n->listeners), struct listener, link));
}

static void net_free_exchanges(struct net *n)
{
	struct list *l;

	while ((l = list_pop(&n->free_exchanges))) {
		struct exchange *x = container_of(l, struct exchange, link);

		region_finish(&x->region);
		free(container_of(x, struct h1_exchange, x));
	}
}

struct net *net_destroy(struct net *n)
{
	struct list *l;

	if (!n)
		return NULL;
	assert(!n->turning);
	n->drained = NULL;
	net_close_listeners(n);
	n->turning = true;
	while ((l = list_first(&n->conns)))
		conn_close(container_of(l, struct conn, link));
	n->turning = false;
	net_free_exchanges(n);
	uv_close((uv_handle_t *)n->tick, net_freed);
	uv_close((uv_handle_t *)n->turn, net_freed);
	uv_close((uv_handle_t *)n->again, net_freed);
	free(n);
	return NULL;
}

const struct net_stats *net_stats(const struct net *n)
{
	return &n->stats;
}

void net_drain(struct net *n, void (*done)(void *arg), void *arg)
{
	n->draining = true;
	net_close_listeners(n);
	list_for_each (l, &n->conns)
		conn_drain(container_of(l, struct conn, link));
	n->drained = done;
	n->drained_arg = arg;
}
