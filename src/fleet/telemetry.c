/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/telemetry.h"

#include <stdio.h>
#include <unistd.h>

#include "base/util.h"

static const char *const by_version[] = { "model_name", "model_version", "hostname" };
static const char *const by_host[] = { "Level", "Hostname" };
static const char *const by_worker[] = { "WorkerName", "Level", "Hostname" };

static struct metric_family *telemetry_torchserve(struct telemetry *t, const char *name,
						  enum metric_type type, const char *unit,
						  const char *const *labels, unsigned n)
{
	char help[160];

	snprintf(help, sizeof(help), "Torchserve prometheus %s metric with unit: %s",
		 type == METRIC_COUNTER ? "counter" : "gauge", unit);
	return metrics_family(t->metrics, name, type, help, labels, n);
}

static struct metric_family *telemetry_own(struct telemetry *t, const char *name,
					   enum metric_type type, const char *help)
{
	return metrics_family(t->metrics, name, type, help, by_version, ARRAY_LEN(by_version));
}

static struct metric *telemetry_host(struct telemetry *t, const char *name, enum metric_type type,
				     const char *unit)
{
	struct slice labels[] = { SLICE("Host"), slice_str(t->hostname) };
	struct metric_family *f = telemetry_torchserve(t, name, type, unit, by_host,
						       ARRAY_LEN(by_host));

	return metric_get(f, labels);
}

void telemetry_init(struct telemetry *t, struct metrics *m)
{
	static const double batch_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
	static const double time_bounds[] = { .0001, .00025, .0005, .001, .0025, .005,
					      .01,   .025,   .05,   .1,   .25,   .5,
					      1,     2.5,    5,     10,   30,    60 };

	*t = (struct telemetry){ .metrics = m };
	if (gethostname(t->hostname, sizeof(t->hostname) - 1) < 0)
		snprintf(t->hostname, sizeof(t->hostname), "localhost");
	t->requests_2xx = telemetry_host(t, "Requests2XX", METRIC_COUNTER, "Count");
	t->requests_4xx = telemetry_host(t, "Requests4XX", METRIC_COUNTER, "Count");
	t->requests_5xx = telemetry_host(t, "Requests5XX", METRIC_COUNTER, "Count");
	t->queue_time = telemetry_host(t, "QueueTime", METRIC_GAUGE, "Milliseconds");
	t->worker_thread_time = telemetry_host(t, "WorkerThreadTime", METRIC_GAUGE, "Milliseconds");
	t->requests_total = telemetry_torchserve(t, "ts_inference_requests_total", METRIC_COUNTER,
						 "Count", by_version, 3);
	t->inference_latency_us = telemetry_torchserve(t, "ts_inference_latency_microseconds",
						       METRIC_COUNTER, "Microseconds", by_version,
						       3);
	t->queue_latency_us = telemetry_torchserve(t, "ts_queue_latency_microseconds",
						   METRIC_COUNTER, "Microseconds", by_version, 3);
	t->worker_load_time = telemetry_torchserve(t, "WorkerLoadTime", METRIC_GAUGE,
						   "Milliseconds", by_worker, 3);
	t->request_seconds = telemetry_own(
		t, "sconce_request_duration_seconds", METRIC_HISTOGRAM,
		"From the arrival of a request to its last byte of answer.");
	t->queue_seconds = telemetry_own(t, "sconce_queue_duration_seconds", METRIC_HISTOGRAM,
					 "Time a request waited for a worker.");
	metric_family_buckets(t->request_seconds, time_bounds, ARRAY_LEN(time_bounds));
	metric_family_buckets(t->queue_seconds, time_bounds, ARRAY_LEN(time_bounds));
	t->batch_size = telemetry_own(t, "sconce_batch_size", METRIC_HISTOGRAM,
				      "Requests per call of the handler.");
	metric_family_buckets(t->batch_size, batch_bounds, ARRAY_LEN(batch_bounds));
	t->queue_depth = telemetry_own(t, "sconce_queue_depth", METRIC_GAUGE,
				       "Requests waiting for a worker now.");
	t->workers_ready = telemetry_own(t, "sconce_workers_ready", METRIC_GAUGE,
					 "Workers that have loaded the model.");
	t->restarts = telemetry_own(t, "sconce_worker_restarts_total", METRIC_COUNTER,
				    "Worker processes started again after a death.");
	t->retries = telemetry_own(t, "sconce_request_retries_total", METRIC_COUNTER,
				   "Requests run once more because their worker died.");
	t->cancelled = telemetry_own(t, "sconce_requests_cancelled_total", METRIC_COUNTER,
				     "Requests whose client left before the answer.");
	t->refused = telemetry_own(t, "sconce_requests_refused_total", METRIC_COUNTER,
				   "Requests refused because no worker or no place was free.");
}

void telemetry_version(struct telemetry *t, struct version_metrics *ret, struct slice model,
		       struct slice version)
{
	struct slice unnamed[] = { model, SLICE("default"), slice_str(t->hostname) };
	struct slice named[] = { model, version, slice_str(t->hostname) };

	ret->requests_total = metric_get(t->requests_total, unnamed);
	ret->requests_total_named = metric_get(t->requests_total, named);
	ret->inference_latency_us = metric_get(t->inference_latency_us, unnamed);
	ret->inference_latency_us_named = metric_get(t->inference_latency_us, named);
	ret->queue_latency_us = metric_get(t->queue_latency_us, unnamed);
	ret->queue_latency_us_named = metric_get(t->queue_latency_us, named);
	ret->request_seconds = metric_get(t->request_seconds, named);
	ret->queue_seconds = metric_get(t->queue_seconds, named);
	ret->batch_size = metric_get(t->batch_size, named);
	ret->queue_depth = metric_get(t->queue_depth, named);
	ret->workers_ready = metric_get(t->workers_ready, named);
	ret->restarts = metric_get(t->restarts, named);
	ret->retries = metric_get(t->retries, named);
	ret->cancelled = metric_get(t->cancelled, named);
	ret->refused = metric_get(t->refused, named);
}

void telemetry_forget(struct telemetry *t, struct slice model, struct slice version)
{
	metric_set(metric_get(t->queue_depth,
			      (struct slice[]){ model, version, slice_str(t->hostname) }),
		   0);
	metric_set(metric_get(t->workers_ready,
			      (struct slice[]){ model, version, slice_str(t->hostname) }),
		   0);
}

void telemetry_worker_loaded(struct telemetry *t, const char *worker, double ms)
{
	struct slice labels[] = { slice_str(worker), SLICE("Host"), slice_str(t->hostname) };

	metric_set(metric_get(t->worker_load_time, labels), ms);
}

void telemetry_status(struct telemetry *t, int status)
{
	struct metric *m = status >= 200 && status < 300   ? t->requests_2xx
			   : status >= 400 && status < 500 ? t->requests_4xx
							   : t->requests_5xx;

	metric_add(m, 1);
}
