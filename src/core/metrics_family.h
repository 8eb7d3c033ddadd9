/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What families and series are made of: for metrics.c, and for those that write them down. */

#include "core/metrics.h"

/* The newest request of a bucket. */
struct exemplar {
	double value;
	uint64_t at_ns; /* 0: there was none */
	char request_id[METRIC_REQUEST_ID_MAX + 1], trace_id[METRIC_TRACE_ID_MAX + 1];
};

struct metric_histogram {
	uint64_t *counts;        /* per bucket, not cumulative; the last is +Inf */
	struct exemplar *recent; /* per bucket; NULL: nobody says what is observed */
	double sum;
};

struct metric_family {
	struct metrics *metrics;
	char *name, *help;
	enum metric_type type;
	char *labels[METRIC_LABELS_MAX];
	unsigned n_labels;
	double *bounds;
	unsigned n_bounds;
	struct map index; /* joined label values → struct metric */
	struct list series;
	unsigned n_series;
	struct metric *dummy;
};

struct metrics {
	struct map families;
	unsigned series_max;
	struct metric *dropped;
};

/* How a value or a help text is written, in both formats. */
void metric_write_escaped(struct buf *out, const char *s, bool quotes);

/* What of a family was asked for. */
struct metric_wish {
	bool whole, bucket, count, sum;
};

struct metric_wish metric_wish(const struct slice *names, unsigned n, struct slice family);
/* Is there anything of it to be written? */
bool metric_wished(const struct metric_family *f, const struct metric_wish *w);
