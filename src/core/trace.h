/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which trace a request belongs to: W3C Trace Context as text and as numbers, and whether what is
 * done for it is recorded. Pure. Where a header breaks the rules of the specification it is as if
 * it had not been sent, and a new trace begins.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define TRACE_ID_LEN 16
#define SPAN_ID_LEN 8
#define TRACE_ID_HEX (2 * TRACE_ID_LEN)
#define SPAN_ID_HEX (2 * SPAN_ID_LEN)
#define TRACEPARENT_LEN ((size_t)55)
#define TRACESTATE_MAX ((size_t)512) /* what is passed on; the specification asks for no more */

enum trace_flags {
	TRACE_SAMPLED = 1 << 0,
	TRACE_RANDOM = 1 << 1, /* the last 7 bytes of the trace's id are random */
};

/* Where a request stands in its trace. */
struct trace {
	uint8_t id[TRACE_ID_LEN];
	uint8_t parent[SPAN_ID_LEN]; /* the client's span; zeros: it sent none */
	uint8_t span[SPAN_ID_LEN];   /* ours for the request */
	uint8_t flags;               /* enum trace_flags */
	struct slice state;          /* tracestate of the client; SLICE_NULL: none */
	/* While it is recorded: the span of its stay with a worker, since when it waits for one,
	 * and when the first of several pieces came. */
	uint8_t batch[SPAN_ID_LEN];
	uint64_t waits_ns, first_ns;
};

/* Reads a traceparent of any version. False: it is none, and *ret is unchanged. */
bool traceparent_read(struct slice text, struct trace *ret);
/* Of our span, for those that come behind it; not NUL-terminated. */
void traceparent_write(const struct trace *t, char out[TRACEPARENT_LEN]);
void trace_hex(const uint8_t *id, size_t n, char *out);

struct tracestate {
	size_t n;
	unsigned members;
	bool broken; /* a member is none, or there are too many: nothing of it counts */
	bool full;   /* what follows did not fit */
	char text[TRACESTATE_MAX];
};

/* Adds the members of one more header; start with a zeroed one. */
void tracestate_add(struct tracestate *s, struct slice header);
/* SLICE_NULL where nothing of it counts. */
struct slice tracestate_text(const struct tracestate *s);

struct trace_sampler {
	bool parent_based; /* a client that says whether it records decides */
	double ratio;      /* else: 0..1, by the trace's id, so that all who see it agree */
};

bool trace_sample(const struct trace_sampler *s, const struct trace *t);

/* A new span's id: never zeros. */
void trace_new_span(uint8_t id[SPAN_ID_LEN]);
/* The request's place in its client's trace (`parent` NULL: in a new one), and whether it is
 * recorded.
 */
void trace_begin(struct trace *t, const struct trace *parent, const struct trace_sampler *s);

static inline bool trace_is_sampled(const struct trace *t)
{
	return t && t->flags & TRACE_SAMPLED;
}
