/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A metric of the catalogue, and where its updates go: to the registry (prometheus), as a line into
 * a log (log), or nowhere, because the catalogue does not name it. A meter is one series of such a
 * family, made once; an update of it is an addition, or a form of the log that is filled in.
 * Loop thread only.
 */

#include "telemetry/catalogue.h"
#include "log/form.h"

#define METER_CHANGES 4

struct meter_family {
	const struct catalogue_metric *named; /* NULL: updates go nowhere */
	struct metric_family *published;      /* NULL: they are logged */
	enum log_file file;
	bool complained; /* about an update that did not fit; once is enough */
};

struct meter {
	enum metric_type type;
	struct metric *metric; /* NULL: not published */
	struct log_form *form; /* NULL: not logged */
};

/* An update. */
struct meter_change {
	const struct meter *meter;
	double value;
};

/* `m` must outlive the family; its last label is the host name. With `metrics` it is published
 * there; where that is impossible, a warning says so and updates go nowhere. */
void meter_family_init(struct meter_family *f, const struct catalogue_metric *m,
		       struct metrics *metrics, enum log_file file);
/* Label values as many as the family's dimensions. It is listed from its first update on. */
void meter_init(struct meter *m, const struct meter_family *f, const struct slice *values);
/* Lists it before that, at 0. */
void meter_show(const struct meter *m);
/* The series goes; no meter may be one of it. */
void meter_family_drop(const struct meter_family *f, const struct slice *values);
void meter_finish(struct meter *m);

/* Updates that happen together, at most METER_CHANGES: they share a time, and cost one lock of the
 * log. `ids` are the requests they are about, comma separated, may be empty; `thread` as in log.h.
 */
void meter_update_all(const struct meter_change *c, unsigned n, const char *thread,
		      struct slice ids);
/* An update of a series that is met rarely. */
void meter_family_update(const struct meter_family *f, const struct slice *values,
			 const char *thread, double v, struct slice ids);

/* Adds to a counter, sets a gauge, observes in a histogram. */
static inline void meter_publish(struct metric *m, enum metric_type type, double v)
{
	if (type == METRIC_COUNTER)
		metric_add(m, v);
	else if (type == METRIC_GAUGE)
		metric_set(m, v);
	else
		metric_observe(m, v);
}

static inline void meter_update(const struct meter *m, const char *thread, double v)
{
	if (m->metric)
		meter_publish(m->metric, m->type, v);
	else
		meter_update_all(&(struct meter_change){ m, v }, 1, thread, SLICE_NULL);
}
