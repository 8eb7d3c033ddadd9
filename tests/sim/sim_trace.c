/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_front.h"

/* Tracing in half of all runs: spans come here instead of to a collector, and must be whole. */

#include "sim.h"

#define TRACE_SPAN_TAG 0x12 /* of ScopeSpans.spans, see src/trace/span.c */

static void trace_got(void *sink, struct slice span)
{
	struct sim *s = sink;
	size_t n = 0, at = 1;

	for (unsigned shift = 0; at < span.n; shift += 7) {
		unsigned char c = (unsigned char)span.p[at++];

		n |= (size_t)(c & 0x7f) << shift;
		if (c < 0x80)
			break;
	}
	if (!span.n || span.p[0] != TRACE_SPAN_TAG || span.n != at + n || span.n > SPAN_MAX + 16)
		sim_fail(s, "a span of %zu bytes is none", span.n);
	s->figures.spans++;
}

void front_trace(struct sim *s)
{
	struct front *f = &s->front;

	/* Not drawn: what the other half does stays what it was. */
	if (s->seed % 2)
		return;
	f->tracer = (struct tracer){ .put = trace_got,
				     .sink = s,
				     .tells = s->seed % 4 == 0,
				     .sampler = { .ratio = 0.5, .parent_based = true } };
	fleet_trace(&f->fleet, &f->tracer);
}
