/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which metrics there are: TorchServe's metrics.yaml, or the same list built in. A metric that the
 * catalogue does not name is not emitted. `ts_metrics` are the server's, `model_metrics` those of
 * handlers; each has lists of counters, gauges and histograms, whose dimensions become labels.
 * Read once, then constant.
 */

#include "base/map.h"
#include "base/region.h"
#include "core/metrics.h"

#define CATALOGUE_METRICS_MAX 1000       /* per section */
#define CATALOGUE_TEXT_MAX ((size_t)200) /* of a name or unit */

struct catalogue_metric {
	const char *name, *unit;
	enum metric_type type;
	const char *dimensions[METRIC_LABELS_MAX];
	unsigned n_dimensions;
};

struct catalogue {
	struct region region;
	struct map server, model; /* name → struct catalogue_metric */
};

/* The built-in list, which is that of TorchServe 0.12. */
void catalogue_init(struct catalogue *c);
void catalogue_finish(struct catalogue *c);
/* Reads `text` instead. 0, or -EINVAL with "file:line: what is wrong" in `why`. */
int catalogue_parse(struct catalogue *c, struct slice text, const char *file, struct buf *why);
const char *catalogue_type_name(enum metric_type type);
/* [{"name", "unit", "type", "dimensions"}, …] of the model metrics, for workers. */
void catalogue_write_model(const struct catalogue *c, struct buf *out);
