/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Connections for tests: clients over socket pairs, and an API layer that does what the path says.
 * Included behind cmocka.
 */

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "net/net.h"

#define REPLIES_MAX ((size_t)1 << 20)
#define WORLD_BUDGET ((uint64_t)1 << 20)
#define BIG_ANSWER ((size_t)20000) /* of "/big" */
#define HEAVY_ANSWER ((size_t)40000)

struct world {
	uv_loop_t loop;
	struct net *net;
	struct budget budget;
	struct exchange_handler handler;
	int client;
	struct buf seen; /* by the client */
	/* "/slow" takes a millisecond of it, a piece of a body too, "/heavy" ten; NULL: no time
	 * passes. */
	uint64_t *time_ns;
	struct exchange *kept; /* "/later", "/stream": the test answers it */
	unsigned heads, done, gone;
	bool inside; /* in a call to the net: nothing may call back */
};

/* A clock of the test's own, while it is `clock_source`, and its time. */
extern const struct clock_source test_clock;
extern uint64_t time_ns;

/* `timeout_ms`: of heads, bodies and pauses; 0: none. */
struct world *world_new(unsigned timeout_ms);
void world_end(struct world *w);
/* One more client, with nothing seen yet. */
void connect_client(struct world *w);
/* Answers an exchange of the API's. */
void answer(struct world *w, struct exchange *x, int status, const char *text);
/* Turns of the loop until nothing comes any more. True: the connection is still open. */
bool turns(struct world *w);
/* The client sends that. */
void sends_only(struct world *w, const char *text);
/* The client sends that, then turns(). */
bool sends(struct world *w, const char *text);
/* How often the client has seen that. */
unsigned seen(const struct world *w, const char *text);
