/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Metrics that handlers emit (`context.metrics`): to Prometheus or to model_metrics.log. */

#include "base/slice.h"

struct fleet;

/* `json` is the payload of a METRIC frame; what is malformed in it is dropped. */
void handler_metrics_update(struct fleet *f, struct slice json);
