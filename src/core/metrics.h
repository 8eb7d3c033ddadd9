/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The metrics registry: families (name, type, help, label names) and their series. A series handle
 * is looked up once and then updated by a plain add, so counting costs nothing on the hot path.
 * Text comes out in Prometheus' exposition format 0.0.4, in the style of TorchServe's client:
 * `name{a="x",b="y",} 1.0` (trailing comma in the braces, doubles as Java prints them: `1.0`,
 * `2.7724E7`). Bounded: at most `series_max` series per family; more are counted in
 * `sconce_metric_series_dropped_total`; or in OpenMetrics. Loop thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_LABELS_MAX 8

struct metrics;
struct metric_family;

/* A series. Counters and gauges are `value`; histograms use metric_observe(). */
struct metric {
	double value;
	bool silent; /* has had no value yet, and is not exported */
	struct metric_family *family;
	struct metric_histogram *histogram;
	struct list link;
	char **labels;
};

struct metrics *metrics_create(unsigned series_max);
struct metrics *metrics_destroy(struct metrics *m);
/* Finds or makes a family. NULL when the name exists with another type or other labels, or is not a
 * valid metric name. `labels` are n names; copied. */
struct metric_family *metrics_family(struct metrics *m, const char *name, enum metric_type type,
				     const char *help, const char *const *labels, unsigned n);
/* For histograms: upper bounds, ascending, +Inf implied. Before the first series. Default: .005
 * … 10. */
void metric_family_buckets(struct metric_family *f, const double *bounds, unsigned n);
/* Finds or makes the series with these label values (n as in the family). At the bound returns a
 * dummy that is not exported: never NULL. */
struct metric *metric_get(struct metric_family *f, const struct slice *values);
/* The same for a series that is there from its first value on: no gauge is 0 because nobody has set
 * it. */
struct metric *metric_prepare(struct metric_family *f, const struct slice *values);
/* Removes the series with these label values, if there is one: nobody may have its handle. */
void metric_drop(struct metric_family *f, const struct slice *values);
/* Removes every series whose label `label` has this value (a model was unregistered). */
void metric_family_forget(struct metric_family *f, const char *label, struct slice value);

static inline void metric_add(struct metric *m, double v)
{
	m->value += v;
	m->silent = false;
}

static inline void metric_set(struct metric *m, double v)
{
	m->value = v;
	m->silent = false;
}

void metric_observe(struct metric *m, double v);

/* A request that is observed, by what it is known: the newest of each bucket is its exemplar, for a
 * minute the newest that has a trace. Ids are copied; what is longer is cut. */
#define METRIC_REQUEST_ID_MAX 36
#define METRIC_TRACE_ID_MAX 32

struct metric_request {
	const char *request_id, *trace_id; /* NULL or "": there is none; one of them there is */
	uint64_t at_ns;
};

void metric_observe_request(struct metric *m, double v, const struct metric_request *r);

/* A histogram as it stands: `n` counts, not cumulative, one more than bounds (the last is +Inf). */
struct metric_view {
	const double *bounds;
	const uint64_t *counts;
	unsigned n;
	double sum;
};
struct metric_view metric_look(const struct metric *m);
/* Appends the text; only families whose sample names are in `names` (n > 0), or all (n == 0). */
void metrics_write(const struct metrics *m, const struct slice *names, unsigned n, struct buf *out);
/* The same of families whose name begins with `prefix`. */
void metrics_write_prefixed(const struct metrics *m, struct slice prefix, const struct slice *names,
			    unsigned n, struct buf *out);
/* In OpenMetrics 1.0, families whose name begins with `prefix`. At the end of all of them the
 * caller puts METRICS_OPEN_END. `wall_ns`: what makes at_ns of exemplars time since 1970. A family
 * whose name is another's with one of OpenMetrics' endings is left out. */
#define METRICS_OPEN_END "# EOF\n"
void metrics_write_open(const struct metrics *m, struct slice prefix, const struct slice *names,
			unsigned n, int64_t wall_ns, struct buf *out);
/* A double as Java's Double.toString prints it (shortest form that reads back equal). */
void metric_write_double(struct buf *out, double v);
