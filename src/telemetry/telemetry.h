/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The server's own metrics: TorchServe's, as the catalogue and metrics_mode have them, and ours
 * (`sconce_…`) beside them, which are published always. Series are looked up once per model
 * version, so counting a request is a few additions (or, in log mode, a few lines).
 */

#include "config/settings.h"
#include "telemetry/catalogue.h"
#include "core/metrics.h"
#include "telemetry/handler_metrics.h"
#include "telemetry/meter.h"

enum metrics_mode { METRICS_PROMETHEUS, METRICS_LOG, METRICS_LEGACY };

/* Readings of the host, each a gauge. */
enum host_metric {
	HOST_CPU_UTILIZATION,
	HOST_MEMORY_USED,
	HOST_MEMORY_AVAILABLE,
	HOST_MEMORY_UTILIZATION,
	HOST_DISK_USAGE,
	HOST_DISK_UTILIZATION,
	HOST_DISK_AVAILABLE,
	HOST_METRICS,
};

enum gpu_metric { GPU_UTILIZATION, GPU_MEMORY_UTILIZATION, GPU_MEMORY_USED, GPU_METRICS };

struct telemetry {
	struct metrics *metrics;
	const struct catalogue *catalogue;
	enum metrics_mode mode;
	char hostname[256];
	/* TorchServe's */
	struct meter_family requests_total, inference_latency_us, queue_latency_us;
	struct meter_family worker_load_time, host[HOST_METRICS];
	struct meter_family gpu[GPU_METRICS];
	struct meter requests_2xx, requests_4xx, requests_5xx;
	struct meter queue_time, worker_thread_time;
	struct handler_metrics handlers;
	/* ours, per model version */
	struct metric_family *request_seconds, *queue_seconds, *queue_depth, *workers_ready;
	struct metric_family *batch_size, *restarts, *retries, *cancelled, *refused;
	struct metric_family *batch_seconds, *batch_request_seconds;
	struct metric_family *goal_misses, *goal_refusals;
	struct metric *loop_stall;
};

struct version_metrics {
	struct meter requests_total;       /* label model_version: "default" when none was given */
	struct meter requests_total_named; /* … the version that was named */
	struct meter inference_latency_us, queue_latency_us;
	struct meter inference_latency_us_named, queue_latency_us_named;
	struct meter prediction_time;
	struct metric *request_seconds, *queue_seconds, *queue_depth, *workers_ready;
	struct metric *batch_size, *restarts, *retries, *cancelled, *refused;
	/* What is believed of the time of a batch of n: the first, and n times the second. */
	struct metric *batch_seconds, *batch_request_seconds;
	struct metric *goal_misses, *goal_refusals;
};

/* Declares all families, so that they are listed before the first request. */
void telemetry_init(struct telemetry *t, struct metrics *m, const struct catalogue *catalogue,
		    const struct settings *s);
void telemetry_finish(struct telemetry *t);
void telemetry_version(struct telemetry *t, struct version_metrics *ret, struct slice model,
		       struct slice version);
/* A version is gone for good; finishes its meters. */
void telemetry_forget(struct version_metrics *m);
void telemetry_worker_loaded(struct telemetry *t, const char *worker, double ms);
/* Its place is gone, and so are its series. */
void telemetry_worker_gone(struct telemetry *t, const char *worker);
void telemetry_host(struct telemetry *t, enum host_metric which, double v);
void telemetry_gpu(struct telemetry *t, enum gpu_metric which, unsigned id, double v);
/* A turn of the loop, from its first callback until it polled again. */
static inline void telemetry_turn(struct telemetry *t, double seconds)
{
	metric_observe(t->loop_stall, seconds);
}
/* Every finished HTTP reply, on any listener. */
void telemetry_status(struct telemetry *t, int status);
