/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/own.h"

#include <stddef.h>

#include "base/util.h"
#include "telemetry/telemetry.h"

/* Which upper bounds a histogram has. */
enum own_bounds { OWN_NONE, OWN_TIMES, OWN_BATCHES };

static const double own_times[] = { .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05,
				    .1,    .25,    .5,    1,    2.5,   5,    10,  30,   60 };
static const double own_batches[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
static const double own_stalls[] = { .0001, .00025, .0005, .001, .0025, .005, .01,
				     .025,  .05,    .1,    .25,  .5,    1,    5 };

#define AT(field) offsetof(struct version_metrics, field)
#define COUNTER(name, field, help)                                                                 \
	{                                                                                          \
		name, METRIC_COUNTER, OWN_NONE, AT(field), help                                    \
	}
#define GAUGE(name, field, help)                                                                   \
	{                                                                                          \
		name, METRIC_GAUGE, OWN_NONE, AT(field), help                                      \
	}
#define HISTOGRAM(name, bounds, field, help)                                                       \
	{                                                                                          \
		name, METRIC_HISTOGRAM, bounds, AT(field), help                                    \
	}

/* In the order in which they are listed. */
static const struct own_family {
	const char *name;
	enum metric_type type;
	enum own_bounds bounds;
	size_t at;
	const char *help;
} own_table[OWN_VERSION_FAMILIES] = {
	HISTOGRAM("sconce_request_duration_seconds", OWN_TIMES, request_seconds,
		  "From the arrival of a request to its last byte of answer."),
	HISTOGRAM("sconce_queue_duration_seconds", OWN_TIMES, queue_seconds,
		  "Time a request waited for a worker."),
	HISTOGRAM("sconce_batch_size", OWN_BATCHES, batch_size,
		  "Requests per call of the handler."),
	GAUGE("sconce_batch_seconds", batch_seconds,
	      "What a call of the handler takes, however many requests it has, as far as is "
	      "known."),
	GAUGE("sconce_batch_request_seconds", batch_request_seconds,
	      "What each of its requests adds, as far as is known."),
	COUNTER("sconce_latency_goal_misses_total", goal_misses,
		"Answers that began later after their request than latency_goal_ms allows."),
	COUNTER("sconce_latency_goal_refusals_total", goal_refusals,
		"Requests refused because their answer would have begun too late."),
	GAUGE("sconce_queue_depth", queue_depth, "Requests waiting for a worker now."),
	GAUGE("sconce_queue_limit", queue_limit,
	      "Requests that may wait; what comes beyond is refused."),
	GAUGE("sconce_queue_wait_seconds", queue_wait,
	      "How long a request that came now would wait for a worker."),
	GAUGE("sconce_workers", workers, "Workers that the model should have."),
	GAUGE("sconce_workers_ready", workers_ready, "Workers that have loaded the model."),
	GAUGE("sconce_workers_busy", workers_busy,
	      "Workers that have a batch now; one that runs several side by side counts by the "
	      "share of its places."),
	COUNTER("sconce_worker_busy_seconds_total", busy_seconds,
		"Time in which workers had a batch, that of those still running included."),
	COUNTER("sconce_worker_restarts_total", restarts,
		"Worker processes started again after a death."),
	COUNTER("sconce_worker_start_failures_total", start_failures,
		"Worker processes that did not load the model."),
	GAUGE("sconce_worker_load_seconds", load_seconds,
	      "What the last worker took to load the model."),
	COUNTER("sconce_request_retries_total", retries,
		"Requests run once more because their worker died."),
	COUNTER("sconce_requests_cancelled_total", cancelled,
		"Requests whose client left before the answer."),
	COUNTER("sconce_requests_refused_total", refused,
		"Requests refused because no worker or no place was free."),
	COUNTER("sconce_request_timeouts_total", timeouts,
		"Requests that took longer than clientTimeoutInMills allows."),
	GAUGE("sconce_latency_goal_seconds", goal_seconds, "latency_goal_ms; 0: there is none."),
};

static const char *const own_labels[] = { "model_name", "model_version", "hostname", "code" };
static const struct slice own_codes[OWN_ANSWERS] = { SLICE_CONST("2xx"), SLICE_CONST("4xx"),
						     SLICE_CONST("5xx") };

static void own_init_loop(struct own_families *o, struct metrics *m)
{
	struct metric_family *f = metrics_family(
		m, "sconce_loop_stall_seconds", METRIC_HISTOGRAM,
		"Time of each turn of the event loop, while which nobody's socket is looked at.",
		NULL, 0);

	metric_family_buckets(f, own_stalls, ARRAY_LEN(own_stalls));
	o->loop_stall = metric_get(f, NULL);
}

static void own_init_gpus(struct own_families *o, struct metrics *m)
{
	static const char *const labels[] = { "device" };

	o->gpu_busy = metrics_family(m, "sconce_gpu_utilization_ratio", METRIC_GAUGE,
				     "Share of the time in which the GPU was busy.", labels, 1);
	o->gpu_memory_used = metrics_family(m, "sconce_gpu_memory_used_bytes", METRIC_GAUGE,
					    "Memory of the GPU that is used, by anybody.", labels,
					    1);
	o->gpu_memory_total = metrics_family(m, "sconce_gpu_memory_bytes", METRIC_GAUGE,
					     "Memory that the GPU has.", labels, 1);
}

void own_init(struct own_families *o, struct metrics *m)
{
	for (size_t i = 0; i < ARRAY_LEN(own_table); i++) {
		const struct own_family *row = &own_table[i];

		o->version[i] = metrics_family(m, row->name, row->type, row->help, own_labels, 3);
		if (row->bounds == OWN_TIMES)
			metric_family_buckets(o->version[i], own_times, ARRAY_LEN(own_times));
		if (row->bounds == OWN_BATCHES)
			metric_family_buckets(o->version[i], own_batches, ARRAY_LEN(own_batches));
	}
	o->answers = metrics_family(m, "sconce_answers_total", METRIC_COUNTER,
				    "Answers to requests for the model, by the class of their "
				    "status.",
				    own_labels, 4);
	own_init_loop(o, m);
	own_init_gpus(o, m);
}

static struct metric **own_at(struct version_metrics *m, const struct own_family *row)
{
	return (struct metric **)(void *)((char *)m + row->at);
}

void own_version(const struct own_families *o, struct version_metrics *ret,
		 const struct slice *named)
{
	struct slice values[] = { named[0], named[1], named[2], SLICE_NULL };

	for (size_t i = 0; i < ARRAY_LEN(own_table); i++)
		*own_at(ret, &own_table[i]) = metric_get(o->version[i], named);
	for (size_t i = 0; i < OWN_ANSWERS; i++) {
		values[3] = own_codes[i];
		ret->answers[i] = metric_get(o->answers, values);
	}
}

void own_version_gone(struct version_metrics *m)
{
	for (size_t i = 0; i < ARRAY_LEN(own_table); i++)
		if (own_table[i].type == METRIC_GAUGE)
			metric_set(*own_at(m, &own_table[i]), 0);
}
