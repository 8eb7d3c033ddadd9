/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

/*
 * How busy a worker is, and for how long it has been: counted up to each change and each look, so
 * that the rate of the sum is right whenever it is looked at. Times are those that the caller has
 * anyway.
 */

double worker_busy(const struct worker *w)
{
	unsigned places = w->async ? w->credits : 1;

	if (!w->n_flights)
		return 0;
	return (double)worker_instances(w) * MIN(w->n_flights, places) / places;
}

void worker_count_busy(struct worker *w, uint64_t now_ns)
{
	if (now_ns <= w->counted_ns)
		return;
	if (w->n_flights)
		metric_add(w->model.metrics->busy_seconds,
			   worker_busy(w) * (double)(now_ns - w->counted_ns) / 1e9);
	w->counted_ns = now_ns;
}
