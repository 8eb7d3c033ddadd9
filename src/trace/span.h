/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A span: one piece of what was done for a request, from when to when, and its text in OTLP
 * (protobuf's Span message of opentelemetry-proto, written by hand: nine fields of one message).
 * Pure; nothing is kept.
 */

#include "base/buf.h"
#include "core/trace.h"

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2 }; /* as OTLP's */

struct trace_fact {
	const char *key;
	struct slice text; /* SLICE_NULL: it is the number */
	int64_t number;
};

#define SPAN_TEXT_MAX ((size_t)1024) /* of a fact; what is longer is cut */
#define SPAN_MAX ((size_t)16384)     /* encoded; facts beyond it are left out */

struct trace_span {
	const struct trace *trace;
	const uint8_t *id, *parent; /* SPAN_ID_LEN; a parent of zeros: none */
	enum span_kind kind;
	struct slice name;
	uint64_t begin_ns, end_ns; /* clock_now_ns() */
	const struct trace_fact *facts;
	size_t n_facts;
	/* Something that happened on the way; NULL: nothing. */
	const char *event;
	uint64_t event_ns;
	const struct trace_fact *event_facts;
	size_t n_event_facts;
	bool failed;
	struct slice message; /* why; may be empty */
};

/* Appends it as a member of ScopeSpans. `epoch_ns`: the wall clock at the zero of clock_now_ns().
 */
void span_write(struct buf *out, const struct trace_span *s, uint64_t epoch_ns);
/* A KeyValue as field `field` of what is being written. */
void span_write_fact(struct buf *out, unsigned field, const struct trace_fact *f);
/* A length-delimited field, from what is in `body`. */
void span_write_message(struct buf *out, unsigned field, struct slice body);
/* How many bytes the head of such a field takes. */
size_t span_message_head(unsigned field, size_t length, char out[12]);
