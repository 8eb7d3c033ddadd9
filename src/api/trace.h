/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The trace of a call, where there is a tracer: from its headers or a new one, and the server's
 * span at its end. Every call has an id then; what only looks (a probe, a scrape, a list) is
 * recorded only where its client asks for that.
 */

#include "api/call.h"
#include "trace/tracer.h"

/* Its head is there. */
void trace_take(struct call *c);
/* Its route is known. Harmless without a tracer. */
void trace_route(struct call *c);
/* It is over; for calls that are recorded. */
void trace_end(struct call *c, enum exchange_end how);
