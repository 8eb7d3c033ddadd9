/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/telemetry.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

static const char *const by_version[] = { "model_name", "model_version", "hostname" };

static const char *const host_names[HOST_METRICS] = {
	[HOST_CPU_UTILIZATION] = "CPUUtilization",
	[HOST_MEMORY_USED] = "MemoryUsed",
	[HOST_MEMORY_AVAILABLE] = "MemoryAvailable",
	[HOST_MEMORY_UTILIZATION] = "MemoryUtilization",
	[HOST_DISK_USAGE] = "DiskUsage",
	[HOST_DISK_UTILIZATION] = "DiskUtilization",
	[HOST_DISK_AVAILABLE] = "DiskAvailable",
};

static const char *const gpu_names[GPU_METRICS] = {
	[GPU_UTILIZATION] = "GPUUtilization",
	[GPU_MEMORY_UTILIZATION] = "GPUMemoryUtilization",
	[GPU_MEMORY_USED] = "GPUMemoryUsed",
};

/* ---- TorchServe's ---- */

/* In legacy mode these three are published, and all others logged. */
static bool telemetry_is_published(const struct telemetry *t, const char *name)
{
	static const char *const legacy[] = { "ts_inference_requests_total",
					      "ts_inference_latency_microseconds",
					      "ts_queue_latency_microseconds" };

	if (t->mode != METRICS_LEGACY)
		return t->mode == METRICS_PROMETHEUS;
	for (size_t i = 0; i < ARRAY_LEN(legacy); i++)
		if (strcmp(name, legacy[i]) == 0)
			return true;
	return false;
}

/* `n`: how many label values the server has for it. */
static struct meter_family telemetry_family(struct telemetry *t, const char *name, unsigned n)
{
	const struct catalogue_metric *m = map_get(&t->catalogue->server, slice_str(name));
	struct meter_family f;

	if (m && m->n_dimensions != n) {
		log_warn("Metric %s is off: it has %u dimensions, metrics_config gives it %u", name,
			 n, m->n_dimensions);
		m = NULL;
	}
	meter_family_init(&f, m, telemetry_is_published(t, name) ? t->metrics : NULL,
			  LOG_SERVER_METRICS);
	return f;
}

static void telemetry_init_host(struct telemetry *t, struct meter *m, const char *name)
{
	struct slice labels[] = { SLICE("Host"), slice_str(t->hostname) };
	struct meter_family f = telemetry_family(t, name, ARRAY_LEN(labels));

	meter_init(m, &f, labels);
}

static void telemetry_init_torchserve(struct telemetry *t)
{
	telemetry_init_host(t, &t->requests_2xx, "Requests2XX");
	telemetry_init_host(t, &t->requests_4xx, "Requests4XX");
	telemetry_init_host(t, &t->requests_5xx, "Requests5XX");
	meter_show(&t->requests_2xx);
	meter_show(&t->requests_4xx);
	meter_show(&t->requests_5xx);
	telemetry_init_host(t, &t->queue_time, "QueueTime");
	telemetry_init_host(t, &t->worker_thread_time, "WorkerThreadTime");
	for (size_t i = 0; i < HOST_METRICS; i++)
		t->host[i] = telemetry_family(t, host_names[i], 2);
	for (size_t i = 0; i < GPU_METRICS; i++)
		t->gpu[i] = telemetry_family(t, gpu_names[i], 3);
	t->requests_total = telemetry_family(t, "ts_inference_requests_total", 3);
	t->inference_latency_us = telemetry_family(t, "ts_inference_latency_microseconds", 3);
	t->queue_latency_us = telemetry_family(t, "ts_queue_latency_microseconds", 3);
	t->worker_load_time = telemetry_family(t, "WorkerLoadTime", 3);
}

/* ---- ours ---- */

static struct metric_family *telemetry_own(struct telemetry *t, const char *name,
					   enum metric_type type, const char *help)
{
	return metrics_family(t->metrics, name, type, help, by_version, ARRAY_LEN(by_version));
}

/* Of the server as a whole. */
static void telemetry_init_loop(struct telemetry *t)
{
	static const double bounds[] = { .0001, .00025, .0005, .001, .0025, .005, .01,
					 .025,  .05,    .1,    .25,  .5,    1,    5 };
	struct metric_family *f = metrics_family(
		t->metrics, "sconce_loop_stall_seconds", METRIC_HISTOGRAM,
		"Time of each turn of the event loop, while which nobody's socket is looked at.",
		NULL, 0);

	metric_family_buckets(f, bounds, ARRAY_LEN(bounds));
	t->loop_stall = metric_get(f, NULL);
}

static void telemetry_init_own(struct telemetry *t)
{
	static const double batch_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
	static const double time_bounds[] = { .0001, .00025, .0005, .001, .0025, .005,
					      .01,   .025,   .05,   .1,   .25,   .5,
					      1,     2.5,    5,     10,   30,    60 };

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
	t->batch_seconds = telemetry_own(t, "sconce_batch_seconds", METRIC_GAUGE,
					 "What a call of the handler takes, however many requests "
					 "it has, as far as is known.");
	t->batch_request_seconds = telemetry_own(
		t, "sconce_batch_request_seconds", METRIC_GAUGE,
		"What each of its requests adds, as far as is known.");
	t->goal_misses = telemetry_own(
		t, "sconce_latency_goal_misses_total", METRIC_COUNTER,
		"Answers that began later after their request than latency_goal_ms allows.");
	t->goal_refusals = telemetry_own(
		t, "sconce_latency_goal_refusals_total", METRIC_COUNTER,
		"Requests refused because their answer would have begun too late.");
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

static enum metrics_mode telemetry_mode(const char *name)
{
	return strcmp(name, "prometheus") == 0 ? METRICS_PROMETHEUS
	       : strcmp(name, "legacy") == 0   ? METRICS_LEGACY
					       : METRICS_LOG;
}

void telemetry_init(struct telemetry *t, struct metrics *m, const struct catalogue *catalogue,
		    const struct settings *s)
{
	*t = (struct telemetry){ .metrics = m,
				 .catalogue = catalogue,
				 .mode = telemetry_mode(s->metrics_mode) };
	if (gethostname(t->hostname, sizeof(t->hostname) - 1) < 0)
		snprintf(t->hostname, sizeof(t->hostname), "localhost");
	telemetry_init_torchserve(t);
	handler_metrics_init(&t->handlers, catalogue, t->mode == METRICS_PROMETHEUS ? m : NULL,
			     t->hostname, s->model_metrics_auto_detect);
	telemetry_init_own(t);
	telemetry_init_loop(t);
}

void telemetry_finish(struct telemetry *t)
{
	struct meter *meters[] = { &t->requests_2xx, &t->requests_4xx, &t->requests_5xx,
				   &t->queue_time, &t->worker_thread_time };

	for (size_t i = 0; i < ARRAY_LEN(meters); i++)
		meter_finish(meters[i]);
	handler_metrics_finish(&t->handlers);
}

/* ---- per version ---- */

static void telemetry_version_torchserve(const struct telemetry *t, struct version_metrics *ret,
					 const struct slice *unnamed, const struct slice *named)
{
	struct slice handler[] = { named[0], SLICE("Model"), named[2] };

	meter_init(&ret->requests_total, &t->requests_total, unnamed);
	meter_init(&ret->requests_total_named, &t->requests_total, named);
	meter_init(&ret->inference_latency_us, &t->inference_latency_us, unnamed);
	meter_init(&ret->inference_latency_us_named, &t->inference_latency_us, named);
	meter_init(&ret->queue_latency_us, &t->queue_latency_us, unnamed);
	meter_init(&ret->queue_latency_us_named, &t->queue_latency_us, named);
	handler_metrics_meter(&t->handlers, "PredictionTime", handler, ARRAY_LEN(handler),
			      &ret->prediction_time);
}

void telemetry_version(struct telemetry *t, struct version_metrics *ret, struct slice model,
		       struct slice version)
{
	struct slice unnamed[] = { model, SLICE("default"), slice_str(t->hostname) };
	struct slice named[] = { model, version, slice_str(t->hostname) };

	telemetry_version_torchserve(t, ret, unnamed, named);
	ret->request_seconds = metric_get(t->request_seconds, named);
	ret->queue_seconds = metric_get(t->queue_seconds, named);
	ret->batch_size = metric_get(t->batch_size, named);
	ret->queue_depth = metric_get(t->queue_depth, named);
	ret->batch_seconds = metric_get(t->batch_seconds, named);
	ret->batch_request_seconds = metric_get(t->batch_request_seconds, named);
	ret->goal_misses = metric_get(t->goal_misses, named);
	ret->goal_refusals = metric_get(t->goal_refusals, named);
	ret->workers_ready = metric_get(t->workers_ready, named);
	ret->restarts = metric_get(t->restarts, named);
	ret->retries = metric_get(t->retries, named);
	ret->cancelled = metric_get(t->cancelled, named);
	ret->refused = metric_get(t->refused, named);
}

void telemetry_forget(struct version_metrics *m)
{
	struct meter *meters[] = { &m->requests_total,       &m->requests_total_named,
				   &m->inference_latency_us, &m->inference_latency_us_named,
				   &m->queue_latency_us,     &m->queue_latency_us_named,
				   &m->prediction_time };

	metric_set(m->queue_depth, 0);
	metric_set(m->workers_ready, 0);
	for (size_t i = 0; i < ARRAY_LEN(meters); i++)
		meter_finish(meters[i]);
}

void telemetry_worker_loaded(struct telemetry *t, const char *worker, double ms)
{
	struct slice labels[] = { slice_str(worker), SLICE("Host"), slice_str(t->hostname) };

	meter_family_update(&t->worker_load_time, labels, worker, ms, SLICE_NULL);
}

void telemetry_worker_gone(struct telemetry *t, const char *worker)
{
	struct slice labels[] = { slice_str(worker), SLICE("Host"), slice_str(t->hostname) };

	meter_family_drop(&t->worker_load_time, labels);
}

void telemetry_host(struct telemetry *t, enum host_metric which, double v)
{
	struct slice labels[] = { SLICE("Host"), slice_str(t->hostname) };

	meter_family_update(&t->host[which], labels, NULL, v, SLICE_NULL);
}

void telemetry_gpu(struct telemetry *t, enum gpu_metric which, unsigned id, double v)
{
	char device[16];
	struct slice labels[] = { SLICE("Host"), SLICE_NULL, slice_str(t->hostname) };

	snprintf(device, sizeof(device), "%u", id);
	labels[1] = slice_str(device);
	meter_family_update(&t->gpu[which], labels, NULL, v, SLICE_NULL);
}

void telemetry_status(struct telemetry *t, int status)
{
	const struct meter *m = status >= 200 && status < 300   ? &t->requests_2xx
				: status >= 400 && status < 500 ? &t->requests_4xx
								: &t->requests_5xx;

	meter_update(m, NULL, 1);
}
