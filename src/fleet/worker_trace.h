/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Spans of a request's way through fleet/: its waiting (`queue`), its stay with a worker (`batch`,
 * once for each try), and what the worker says it did meanwhile. Only for requests that are
 * recorded; the handler's share of the time also for those whose clients ask for it.
 *
 *     POST /predictions/{model}      the server's span: api/trace.c
 *       queue
 *       batch                        of all its requests each has its own
 *         worker                     what the TRACE frame names, from here on
 *           handler …
 */

#include "core/dispatch.h"
#include "fleet/version.h"
#include "fleet/worker.h"
#include "trace/tracer.h"

/* Is the worker to say what it did? */
bool worker_trace_wants(const struct request *r);
/* It leaves the queue for a worker: tells how long it has waited, and makes its next span's id. */
void worker_trace_sent(const struct worker *w, const struct request *r, uint64_t now_ns);
/* A reply came: the first of several is noted, the last one ends the span. */
void worker_trace_replied(const struct worker *w, const struct request *r,
			  const struct reply *reply);
/* Its worker has died. */
void worker_trace_died(const struct worker *w, const struct request *r, enum dispatch_fate fate,
		       const char *how, uint64_t now_ns);
/* It leaves the queue without having been with a worker (again). */
void version_trace_left(const struct version *v, const struct request *r, const char *why);
/* Phases of a batch: spans of those of its requests that are recorded, and what the handler took.
 * Less than 0: it broke the protocol. */
int worker_traced(struct worker *w, const struct frame *f);
