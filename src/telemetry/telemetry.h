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
#include "telemetry/own.h"

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
	struct own_families own;
};

struct version_metrics {
	struct meter requests_total;       /* label model_version: "default" when none was given */
	struct meter requests_total_named; /* … the version that was named */
	struct meter inference_latency_us, queue_latency_us;
	struct meter inference_latency_us_named, queue_latency_us_named;
	struct meter prediction_time;
	/* Ours: own.c says what each is. */
	struct metric *request_seconds, *queue_seconds, *batch_size;
	struct metric *workers, *workers_ready, *workers_busy, *busy_seconds;
	struct metric *restarts, *start_failures, *load_seconds;
	struct metric *retries, *cancelled, *refused, *timeouts, *answers[OWN_ANSWERS];
	struct metric *queue_depth, *queue_limit, *queue_wait;
	/* What is believed of the time of a batch of n: the first, and n times the second. */
	struct metric *batch_seconds, *batch_request_seconds;
	struct metric *goal_seconds, *goal_misses, *goal_refusals;
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

/* What a GPU's tool says of it, as the server's own families have it; -1: nothing. */
struct gpu_use {
	double busy;                      /* 0 … 1 */
	double memory_used, memory_total; /* bytes */
};

/* `use` NULL: nothing is known any more. */
void telemetry_gpu_use(struct telemetry *t, unsigned id, const struct gpu_use *use);
/* An answer to a request for this model. */
static inline void telemetry_answer(const struct version_metrics *m, int status)
{
	metric_add(m->answers[status < 400   ? OWN_ANSWER_2XX
			      : status < 500 ? OWN_ANSWER_4XX
					     : OWN_ANSWER_5XX],
		   1);
}

/* A turn of the loop, from its first callback until it polled again. */
static inline void telemetry_turn(struct telemetry *t, double seconds)
{
	metric_observe(t->own.loop_stall, seconds);
}
/* Every finished HTTP reply, on any listener. */
void telemetry_status(struct telemetry *t, int status);
