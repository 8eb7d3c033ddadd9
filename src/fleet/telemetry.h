/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The server's own metric families, TorchServe's names first, ours (`sconce_…`) beside them. Series
 * handles are looked up once per model version, so counting a request is a few additions.
 */

#include "core/metrics.h"

struct telemetry {
	struct metrics *metrics;
	char hostname[256];
	/* TorchServe's */
	struct metric_family *requests_total, *inference_latency_us, *queue_latency_us;
	struct metric_family *worker_load_time;
	struct metric *requests_2xx, *requests_4xx, *requests_5xx;
	struct metric *queue_time, *worker_thread_time;
	/* ours, per model version */
	struct metric_family *request_seconds, *queue_seconds, *queue_depth, *workers_ready;
	struct metric_family *batch_size, *restarts, *retries, *cancelled, *refused;
};

struct version_metrics {
	struct metric *requests_total; /* label model_version: "default" when none was given */
	struct metric *requests_total_named; /* … the version that was named */
	struct metric *inference_latency_us, *queue_latency_us;
	struct metric *inference_latency_us_named, *queue_latency_us_named;
	struct metric *request_seconds, *queue_seconds, *queue_depth, *workers_ready;
	struct metric *batch_size, *restarts, *retries, *cancelled, *refused;
};

/* Declares all families, so that they are listed before the first request. */
void telemetry_init(struct telemetry *t, struct metrics *m);
void telemetry_version(struct telemetry *t, struct version_metrics *ret, struct slice model,
		       struct slice version);
/* A version is gone for good. */
void telemetry_forget(struct telemetry *t, struct slice model, struct slice version);
void telemetry_worker_loaded(struct telemetry *t, const char *worker, double ms);
/* Every finished HTTP reply, on any listener. */
void telemetry_status(struct telemetry *t, int status);
