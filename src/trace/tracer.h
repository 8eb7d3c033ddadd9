/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tracing as the parts of the server see it: one tracer, or NULL where there is no endpoint to send
 * to. Who has something to tell of a request looks whether it is recorded (trace_is_sampled(),
 * false where there is no tracer) and puts a span, which is encoded at once. Loop thread only.
 */

#include "config/settings.h"
#include "log/log.h"
#include "trace/exporter.h"
#include "trace/span.h"

struct tracer {
	struct trace_sampler sampler;
	bool tells; /* answers name their trace */
	/* Where encoded spans go: the exporter, or a test. */
	void (*put)(void *sink, struct slice span);
	void *sink;
	uint64_t epoch_ns; /* the wall clock at the zero of clock_now_ns(), see tracer_put() */
	struct exporter *exporter; /* NULL: a test's */
	char *url;
	char **headers;
};

/* *ret NULL: tracing is off. 0, or -errno with a sentence in `why`. `s` must outlive it. */
int tracer_create(struct tracer **ret, const struct settings *s, struct buf *why);
/* Sends what waits, see exporter_destroy(). */
struct tracer *tracer_destroy(struct tracer *t);
struct exporter_stats tracer_stats(struct tracer *t);

void tracer_put(struct tracer *t, const struct trace_span *s);

/* A request as log lines name it. `t` NULL: it is in no trace. */
struct log_subject tracer_subject(const char *request_id, const struct trace *t);

/* ---- what is read from settings; pure ---- */

/* The setting as a URL to post to: one without a path gets OTLP's. NULL, with what is wrong in
 * `why`. */
char *tracer_url(const char *endpoint, struct buf *why);
/* "name=value,name=value", values with %XX. Calls `each` for them; false: this is none. */
bool tracer_pairs(const char *text, void (*each)(void *arg, struct slice name, struct slice value),
		  void *arg);
