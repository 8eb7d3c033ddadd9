/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The front, built as `sconce serve` builds it, but for what has to do with processes, listeners
 * and signals: clients come by net_adopt(), workers from a maker of the simulator's.
 */

#include <uv.h>

#include "api/api.h"
#include "net/net.h"
#include "trace/tracer.h"

struct sim;

#define FRONT_GRACE_MS 1000 /* for workers, at the end */

struct front {
	uv_loop_t loop;
	struct settings settings;
	struct budget budget;
	struct pool *pool;
	struct metrics *metrics;
	struct catalogue catalogue;
	struct tracer tracer;
	struct fleet fleet;
	struct api *api;
	struct net *net;
	struct api_door door;
	char folder[32]; /* everything it writes */
	bool drained, stopped;
};

void front_start(struct sim *s);
/* No new requests; front->drained when the last is answered. */
void front_drain(struct sim *s);
/* Everything it serves ends, and is gone; workers have to be stepped until front->stopped. */
void front_stop(struct sim *s);
void front_finish(struct sim *s);
/* Traces requests, in some runs: sim_trace.c. */
void front_trace(struct sim *s);
/* A connection, which takes *ret_room bytes that its client has not read; returns the client's end.
 */
int front_connect(struct sim *s, size_t *ret_room);
