/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Metrics of handlers (`context.metrics`): published, or written to model_metrics.log. Their names
 * and types are the catalogue's; others are dropped, or, with model_metrics_auto_detect, become
 * metrics as their handler first sends them (and PredictionTime, which the server feeds, at once).
 * What workers send is believed to be a number with a bounded name and nothing else. Loop thread
 * only.
 */

#include "base/slice.h"
#include "telemetry/catalogue.h"
#include "telemetry/meter.h"

struct handler_metrics {
	struct map families;     /* name → struct handler_family */
	struct map ignored;      /* names that a warning was given for */
	struct metrics *metrics; /* NULL: updates are logged */
	const char *hostname;
	bool auto_detect;
};

/* `catalogue`, `metrics` and `hostname` must outlive it. */
void handler_metrics_init(struct handler_metrics *h, const struct catalogue *catalogue,
			  struct metrics *metrics, const char *hostname, bool auto_detect);
void handler_metrics_finish(struct handler_metrics *h);
/* A series that the server itself feeds; `values` with the host name. One that the catalogue does
 * not have, or has with another number of dimensions, goes nowhere. */
void handler_metrics_meter(const struct handler_metrics *h, const char *name,
			   const struct slice *values, unsigned n, struct meter *ret);
/* `json` is the payload of a METRIC frame; what is malformed in it is dropped. `thread` names the
 * worker in log lines. */
void handler_metrics_update(struct handler_metrics *h, const char *thread, struct slice json);
