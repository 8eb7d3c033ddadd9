/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/version.h"

/*
 * The figures of a version that are gauges, read off when somebody looks. What they cost is paid by
 * who looks, and they are of that moment.
 */

#include "fleet/worker.h"

/* An engine's instances are workers of one process. */
static unsigned version_wanted(const struct version *v)
{
	if (v->state >= VERSION_DRAINING)
		return 0;
	return v->native ? v->instances : version_places(v);
}

static void version_measure_workers(struct version *v, uint64_t now_ns)
{
	double busy = 0;

	list_for_each (n, &v->workers) {
		struct worker *w = container_of(n, struct worker, link);

		worker_count_busy(w, now_ns);
		busy += w->state == WORKER_READY ? worker_busy(w) : 0;
	}
	metric_set(v->metrics.workers, version_wanted(v));
	metric_set(v->metrics.workers_ready, version_ready_workers(v));
	metric_set(v->metrics.workers_busy, busy);
}

static void version_measure_cost(const struct version *v)
{
	double a_ns, c_ns;

	if (!batch_cost_get(&v->cost, &a_ns, &c_ns))
		return;
	metric_set(v->metrics.batch_seconds, a_ns / 1e9);
	metric_set(v->metrics.batch_request_seconds, c_ns / 1e9);
}

void version_measure(struct version *v, uint64_t now_ns)
{
	version_measure_workers(v, now_ns);
	version_measure_cost(v);
	metric_set(v->metrics.queue_depth, version_waiting(v));
	metric_set(v->metrics.queue_limit, v->queue.max);
	metric_set(v->metrics.queue_wait, (double)version_wait_ns(v, now_ns) / 1e9);
	metric_set(v->metrics.load_seconds, (double)v->load_ns / 1e9);
	metric_set(v->metrics.goal_seconds, (double)v->latency_goal_ms / 1e3);
}
