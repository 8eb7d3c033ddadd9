/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_client.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sim.h"

#define CLIENT_READ ((size_t)1 << 16)
#define CLIENT_PROBE_STEPS 50 /* short and blocked writes included */

static struct sim_ask *client_ask(struct sim_client *c)
{
	return c->answered < c->n_asks ? &c->asks[c->answered] : NULL;
}

static void client_fail(struct sim *s, const struct sim_client *c, const char *why)
	__attribute__((noreturn));

static void client_fail(struct sim *s, const struct sim_client *c, const char *why)
{
	const struct sim_ask *a = c->answered < c->n_asks ? &c->asks[c->answered] : NULL;
	const struct buf *b = &c->reader.body;

	printf("client %u: %u requests, asking %u, answered %u, status %d, body of %zu: %.*s\n",
	       c->number, c->n_asks, c->asking, c->answered, c->reader.status, b->n,
	       (int)MIN(b->n, 300), b->p ? b->p : "");
	if (a)
		printf("its request (token %016llx, planned %u, %zu bytes in %u): %.*s\n",
		       (unsigned long long)a->plan.token, a->plan.status, a->plan.size,
		       a->plan.pieces, (int)MIN(a->bytes.n, 400), a->bytes.p);
	sim_fail(s, "client %u: %s", c->number, why);
}

/* ---- its life ---- */

static struct sim_client *client_connect(struct sim *s)
{
	struct sim_client *c = mem_new(struct sim_client);

	c->number = ++s->next_client;
	c->fd = front_connect(s, &c->room);
	c->write_max = c->read_max = SIZE_MAX;
	answer_init(&c->reader);
	list_push_back(&s->clients, &c->link);
	s->n_clients++;
	return c;
}

struct sim_client *client_create(struct sim *s)
{
	struct sim_client *c = client_connect(s);
	struct sim_random *r = &s->random;
	bool manages = s->weather.manage && random_chance(r, 100);

	c->n_asks = 1 + random_below(r, CLIENT_ASKS_MAX);
	for (unsigned i = 0; i < c->n_asks; i++) {
		if (manages)
			ask_manage(s, &c->asks[i]);
		else
			ask_draw(s, &c->asks[i]);
		if (c->asks[i].last)
			c->n_asks = i + 1;
	}
	c->pipelines = random_chance(r, 500);
	c->patient = random_chance(r, 500);
	c->write_max = random_chance(r, 500) ? SIZE_MAX : 3 + random_size(r, 100000);
	c->read_max = random_chance(r, 700) ? SIZE_MAX : 1 + random_size(r, 100000);
	if (s->weather.rude_clients && random_chance(r, 400)) {
		c->end = random_chance(r, 500) ? CLIENT_LEAVES : CLIENT_HALVES;
		c->end_in = (unsigned)random_size(r, 60);
		c->excused = true;
	}
	s->figures.asked += c->n_asks;
	sim_say(s, "client %u comes with %u requests", c->number, c->n_asks);
	return c;
}

void client_scale(struct sim *s, const struct sim_model *m, unsigned workers, unsigned then)
{
	struct sim_client *c = client_connect(s);

	ask_scale(s, &c->asks[c->n_asks++], m, workers);
	if (then)
		ask_scale(s, &c->asks[c->n_asks++], m, then);
	if (c->asks[0].last)
		c->n_asks = 1;
	c->pipelines = true;
	s->figures.asked += c->n_asks;
	sim_say(s, "client %u scales %s to %u, and to %u", c->number, m->name, workers, then);
	client_step(s, c);
}

struct sim_client *client_probe(struct sim *s, const char *path, int status)
{
	struct sim_client *c = client_connect(s);

	ask_get(&c->asks[0], path, status);
	c->n_asks = 1;
	c->probe = true;
	return c;
}

static void client_go(struct sim *s, struct sim_client *c)
{
	sim_say(s, "client %u leaves: %u of %u answered", c->number, c->answered, c->n_asks);
	for (unsigned i = 0; i < CLIENT_ASKS_MAX; i++)
		ask_finish(&c->asks[i]);
	answer_finish(&c->reader);
	list_remove(&c->link);
	s->n_clients--;
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

/* ---- answers ---- */

/* Is the body what the plan says, or at least (`part`) a beginning of it? */
static bool client_is_planned(const struct sim_ask *a, const struct answer_reader *r, bool part)
{
	struct slice body = buf_slice(&r->body);
	char token[24];
	size_t n = (size_t)snprintf(token, sizeof(token), "%016llx ",
				    (unsigned long long)a->plan.token);

	if (a->kind != ASK_PREDICT || r->status != (int)a->plan.status)
		return false;
	if (r->no_body)
		return body.n == 0;
	if (part ? body.n > n + a->plan.size : body.n != n + a->plan.size)
		return false;
	if (body.n && memcmp(body.p, token, MIN(n, body.n)) != 0)
		return false;
	return body.n <= n || token_check(a->plan.token, 0, slice_make(body.p + n, body.n - n));
}

static void client_judge(struct sim *s, struct sim_client *c)
{
	struct sim_ask *a = client_ask(c);
	const struct answer_reader *r = &c->reader;
	struct slice body = buf_slice(&r->body);

	s->figures.answered++;
	a->answered = true;
	if (client_is_planned(a, r, false)) {
		s->figures.planned++;
		return;
	}
	if (a->kind == ASK_EMPTY && r->status == 200 && slice_eq(body, SLICE("empty")))
		return;
	if (a->kind == ASK_EMPTY && r->status == 200)
		client_fail(s, c, "an answer that the worker did not give");
	if (!ask_allows(s, a, r->status))
		client_fail(s, c, "an answer that is not this request's");
	/* An error is the front's, or a worker's own text in its document. */
	if (a->kind == ASK_PREDICT && (!body.n || body.p[0] != '{'))
		client_fail(s, c, "an error that is no document, or another's answer");
	s->figures.refused++;
}

/* Something of the present answer may come. */
static void client_expect(struct sim_client *c)
{
	const struct sim_ask *a = client_ask(c);

	if (a && a->sent_ns && !c->pace.n)
		pace_begin(&c->pace, a->sent_ns);
}

/* A whole answer is there. */
static void client_answer(struct sim *s, struct sim_client *c)
{
	struct sim_ask *a = client_ask(c);

	sim_say(s, "client %u gets %d (%zu bytes) for request %u of %u", c->number,
		c->reader.status, c->reader.body.n, c->answered + 1, c->n_asks);
	client_judge(s, c);
	if (c->reader.closes || a->ends || a->last)
		c->excused = c->deaf = true;
	c->answered++;
	c->continued = false;
	answer_next(&c->reader);
	c->pace.n = 0;
	client_expect(c);
}

/* Who gives up a head before it is whole does not know that it is a HEAD: a body comes along, and
 * then the end. What the client has sent meanwhile says nothing of that. */
static size_t client_may_follow(const struct sim_ask *a, const struct answer_reader *r)
{
	bool of_route = r->status < 400 || r->status == 500;

	return a->no_body && r->closes && !of_route ? r->left : 0;
}

static void client_skip(struct sim_client *c, struct slice *in)
{
	size_t n = MIN(c->follows, in->n);

	*in = slice_make(in->p + n, in->n - n);
	c->follows -= n;
}

static void client_take(struct sim *s, struct sim_client *c, struct slice in)
{
	client_skip(c, &in);
	while (in.n) {
		struct sim_ask *a = client_ask(c);
		int r;

		if (!a || c->answered > c->asking || (c->answered == c->asking && !c->sent))
			client_fail(s, c, "an answer that nobody asked for");
		if (c->answered && c->asks[c->answered - 1].last)
			client_fail(s, c, "an answer after the last one");
		r = answer_feed(&c->reader, &in, a->no_body);
		pace_take(&c->pace, c->reader.body.n, system_now_ns());
		if (r == ANSWER_WRONG)
			client_fail(s, c, c->reader.wrong);
		if (r == ANSWER_INTERIM && !a->expects)
			client_fail(s, c, "100 Continue for who did not expect it");
		if (r == ANSWER_INTERIM)
			c->continued = true;
		if (r == ANSWER_DONE) {
			c->follows = client_may_follow(a, &c->reader);
			client_answer(s, c);
			client_skip(c, &in);
		}
	}
}

/* Is it one that its client has taken too slowly while a window was ahead of it? */
static bool client_is_given_up(const struct sim *s, const struct sim_client *c)
{
	const struct ask_plan *p = &c->asks[c->answered].plan;
	size_t ahead = p->pieces ? p->size / p->pieces * (p->pieces - 1) + PACE_PORTION : 0;

	return ahead >= FRAME_WINDOW_BYTES &&
	       pace_was_slow(&c->pace, FRAME_WINDOW_BYTES / 2 + c->room,
			     s->front.settings.default_response_timeout * NS_PER_S,
			     system_now_ns());
}

/* May an answer break off? */
static bool client_may_break(const struct sim *s, const struct sim_client *c)
{
	const struct weather *w = &s->weather;

	return s->ending || w->deaths || w->lies || w->stalls || w->tight_memory || w->jumps ||
	       w->bad_writes || w->no_descriptors || w->slow_clients || w->manage ||
	       client_is_given_up(s, c);
}

/* The connection has ended. */
static void client_ended(struct sim *s, struct sim_client *c)
{
	const struct weather *w = &s->weather;
	struct sim_ask *a = client_ask(c);

	bool until_end = c->reader.begun && answer_ended(&c->reader);

	/* What ends with the connection may just have broken off. */
	if (c->reader.begun && client_may_break(s, c) &&
	    (client_is_planned(a, &c->reader, true) || (until_end && w->lies)))
		s->figures.broken++;
	else if (until_end)
		client_answer(s, c);
	else if (c->reader.begun && !c->excused && !client_may_break(s, c))
		client_fail(s, c, "an answer breaks off");
	c->excused = c->excused || c->reader.begun;
	if (c->answered < c->n_asks && !c->excused && !s->ending && !w->slow_clients && !w->jumps &&
	    !w->bad_writes)
		client_fail(s, c, "the connection ends with a request unanswered");
	client_go(s, c);
}

/* ---- reading and writing ---- */

/* False: the connection has ended. */
static bool client_read(struct sim *s, struct sim_client *c)
{
	static char data[CLIENT_READ];
	size_t left = s->calm ? SIZE_MAX : c->read_max;

	while (left) {
		ssize_t n = recv(c->fd, data, MIN(left, sizeof(data)), MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		left -= (size_t)n;
		client_take(s, c, slice_make(data, (size_t)n));
	}
	return true;
}

/* How much of the present request may be sent now. */
static size_t client_may_send(const struct sim *s, const struct sim_client *c)
{
	const struct sim_ask *a = &c->asks[c->asking];
	size_t end = a->bytes.n;

	if (!c->pipelines && c->answered < c->asking)
		return 0;
	if (c->patient && a->expects && c->answered == c->asking && !c->continued &&
	    !c->reader.begun && c->sent <= a->head)
		end = a->head;
	return MIN(end - c->sent, s->calm ? SIZE_MAX : c->write_max);
}

static void client_write(struct sim *s, struct sim_client *c)
{
	while (c->asking < c->n_asks && !c->deaf) {
		struct sim_ask *a = &c->asks[c->asking];
		size_t n = client_may_send(s, c);
		ssize_t r = n ? send(c->fd, a->bytes.p + c->sent, n, MSG_NOSIGNAL | MSG_DONTWAIT)
			      : 0;

		if (r < 0 && errno != EAGAIN)
			c->deaf = true;
		if (r <= 0)
			return;
		c->sent += (size_t)r;
		if (c->sent < a->bytes.n)
			return;
		a->sent_ns = system_now_ns();
		c->asking++;
		c->sent = 0;
		client_expect(c);
		if (c->write_max != SIZE_MAX && !s->calm)
			return;
	}
}

static void client_sleep(struct sim *s, struct sim_client *c)
{
	uint64_t ms = s->weather.slow_clients ? 20000 : 20;

	c->sleeps_until_ns = system_now_ns() + random_size(&s->random, ms) * NS_PER_MS;
}

/* It does what is rude. True: it has gone. */
static bool client_is_rude(struct sim *s, struct sim_client *c)
{
	if (c->end == CLIENT_STAYS)
		return false;
	if (c->end == CLIENT_HALVES && c->asking < c->n_asks)
		return false;
	if (c->end_in && !s->calm) {
		c->end_in--;
		return false;
	}
	if (c->end == CLIENT_LEAVES) {
		client_go(s, c);
		return true;
	}
	shutdown(c->fd, SHUT_WR);
	c->end = CLIENT_STAYS;
	c->deaf = true;
	return false;
}

void client_step(struct sim *s, struct sim_client *c)
{
	if (!s->calm && c->sleeps_until_ns > system_now_ns())
		return;
	if (client_is_rude(s, c))
		return;
	client_write(s, c);
	if (!client_read(s, c)) {
		client_ended(s, c);
		return;
	}
	if (c->answered == c->n_asks && !c->deaf)
		client_go(s, c);
	else if (!c->probe && random_chance(&s->random, 30))
		client_sleep(s, c);
}

struct sim_client *client_pick(struct sim *s)
{
	struct list *l = list_first(&s->clients);

	if (!l)
		return NULL;
	for (unsigned at = random_below(&s->random, s->n_clients); at; at--)
		l = l->next;
	return container_of(l, struct sim_client, link);
}

void clients_step(struct sim *s)
{
	list_for_each_safe (l, &s->clients)
		client_step(s, container_of(l, struct sim_client, link));
}

void clients_step_probes(struct sim *s)
{
	list_for_each_safe (l, &s->clients) {
		struct sim_client *c = container_of(l, struct sim_client, link);

		if (!c->probe)
			continue;
		if (++c->steps > CLIENT_PROBE_STEPS)
			client_fail(s, c, "the front does not answer what needs no model");
		client_step(s, c);
	}
}
