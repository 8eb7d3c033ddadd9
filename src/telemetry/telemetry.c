/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/telemetry.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

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
	own_init(&t->own, m);
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
	own_version(&t->own, ret, named);
}

void telemetry_forget(struct version_metrics *m)
{
	struct meter *meters[] = { &m->requests_total,       &m->requests_total_named,
				   &m->inference_latency_us, &m->inference_latency_us_named,
				   &m->queue_latency_us,     &m->queue_latency_us_named,
				   &m->prediction_time };

	own_version_gone(m);
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

void telemetry_gpu_use(struct telemetry *t, unsigned id, const struct gpu_use *use)
{
	char device[16];
	struct slice label;

	snprintf(device, sizeof(device), "%u", id);
	label = slice_str(device);
	if (!use) {
		metric_drop(t->own.gpu_busy, &label);
		metric_drop(t->own.gpu_memory_used, &label);
		metric_drop(t->own.gpu_memory_total, &label);
		return;
	}
	if (use->busy >= 0)
		metric_set(metric_get(t->own.gpu_busy, &label), use->busy);
	if (use->memory_used >= 0)
		metric_set(metric_get(t->own.gpu_memory_used, &label), use->memory_used);
	if (use->memory_total >= 0)
		metric_set(metric_get(t->own.gpu_memory_total, &label), use->memory_total);
}
