/* SPDX-License-Identifier: Apache-2.0 */
#include "api/scrape.h"

#include <string.h>

#include "api/call.h"
#include "api/handlers.h"
#include "log/log.h"

#define SCRAPE_TEXT_MAX ((size_t)64 << 20)
#define SCRAPE_NAMES_MAX 64

static struct metric *scrape_gauge(struct api *a, const char *name, enum metric_type type,
				   const char *help)
{
	struct metric_family *f = metrics_family(a->fleet->metrics, name, type, help, NULL, 0);

	return metric_get(f, NULL);
}

void scrape_init(struct api *a)
{
	a->memory_limit = scrape_gauge(a, "sconce_memory_budget_bytes", METRIC_GAUGE,
				       "Memory that requests and replies may use.");
	a->memory_used = scrape_gauge(a, "sconce_memory_used_bytes", METRIC_GAUGE,
				      "Memory that requests and replies use now.");
	a->memory_peak = scrape_gauge(a, "sconce_memory_peak_bytes", METRIC_GAUGE,
				      "The most they ever used.");
	a->memory_refused = scrape_gauge(a, "sconce_memory_refused_total", METRIC_COUNTER,
					 "Times the budget was used up.");
	a->pool_segments = scrape_gauge(a, "sconce_pool_segments", METRIC_GAUGE,
					"Shared memory segments for request bodies.");
	a->pool_mapped = scrape_gauge(a, "sconce_pool_mapped_bytes", METRIC_GAUGE,
				      "Address space of these segments.");
	a->pool_used = scrape_gauge(a, "sconce_pool_used_bytes", METRIC_GAUGE,
				    "Bytes of them that hold a body now.");
	a->log_dropped = scrape_gauge(a, "sconce_log_lines_dropped_total", METRIC_COUNTER,
				      "Log lines lost because nobody took them in time.");
	a->connections = scrape_gauge(a, "sconce_connections", METRIC_GAUGE,
				      "Connections of clients that are open now.");
	a->accepted = scrape_gauge(a, "sconce_connections_total", METRIC_COUNTER,
				   "Connections of clients so far.");
	a->refused = scrape_gauge(a, "sconce_connections_refused_total", METRIC_COUNTER,
				  "Connections refused because max_connections were open.");
	a->unaccepted = scrape_gauge(
		a, "sconce_accept_failures_total", METRIC_COUNTER,
		"Times that connections could not be accepted: no file to be had.");
	a->bad = scrape_gauge(a, "sconce_requests_malformed_total", METRIC_COUNTER,
			      "Requests that were no HTTP, or whose headers were too many.");
	a->timeouts = scrape_gauge(a, "sconce_connection_timeouts_total", METRIC_COUNTER,
				   "Times that a client was not waited for any longer.");
}

static void scrape_net(struct api *a)
{
	const struct net_stats *s = net_stats(a->net);

	metric_set(a->connections, (double)s->connections_now);
	metric_set(a->accepted, (double)s->connections_total);
	metric_set(a->refused, (double)s->refused_total);
	metric_set(a->unaccepted, (double)s->accept_failures_total);
	metric_set(a->bad, (double)s->bad_requests_total);
	metric_set(a->timeouts, (double)s->timeouts_total);
}

static void scrape_refresh(struct api *a)
{
	struct pool_stats pool;

	pool_stats(a->fleet->pool, &pool);
	metric_set(a->memory_limit, (double)a->budget->limit);
	metric_set(a->memory_used, (double)a->budget->used);
	metric_set(a->memory_peak, (double)a->budget->peak);
	metric_set(a->memory_refused, (double)a->budget->refused_total);
	metric_set(a->pool_segments, (double)pool.segments);
	metric_set(a->pool_mapped, (double)pool.mapped_bytes);
	metric_set(a->pool_used, (double)pool.used_bytes);
	metric_set(a->log_dropped, (double)log_dropped());
	if (a->net)
		scrape_net(a);
}

/* Of TorchServe's families, legacy mode shows three counters. */
static void scrape_legacy(const struct metrics *m, const struct slice *names, unsigned n,
			  struct buf *out)
{
	static const struct slice counters[] = {
		SLICE_CONST("ts_inference_requests_total"),
		SLICE_CONST("ts_inference_latency_microseconds"),
		SLICE_CONST("ts_queue_latency_microseconds"),
	};
	struct slice kept[SCRAPE_NAMES_MAX];
	unsigned n_kept = 0;

	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		for (unsigned k = 0; k < MAX(n, 1); k++)
			if (!n || slice_eq(names[k], counters[i])) {
				kept[n_kept++] = counters[i];
				break;
			}
	if (n_kept)
		metrics_write(m, kept, n_kept, out);
}

void scrape_metrics(struct call *c)
{
	struct slice names[SCRAPE_NAMES_MAX], rest = c->x->head.query, name, value;
	struct buf out = BUF_INIT(SCRAPE_TEXT_MAX);
	enum metrics_mode mode = c->api->fleet->telemetry.mode;
	const struct metrics *m = c->api->fleet->metrics;
	unsigned n = 0;

	while (http_query_next(&c->region, &rest, &name, &value) > 0)
		if (slice_eq(name, SLICE("name[]")) && n < SCRAPE_NAMES_MAX)
			names[n++] = value;
	scrape_refresh(c->api);
	/* TorchServe's default mode writes its metrics to logs and leaves this page empty. Ours are
	 * nowhere else: they are here in every mode. */
	if (mode == METRICS_PROMETHEUS)
		metrics_write(m, names, n, &out);
	if (mode == METRICS_LEGACY)
		scrape_legacy(m, names, n, &out);
	if (mode != METRICS_PROMETHEUS)
		metrics_write_prefixed(m, SLICE("sconce_"), names, n, &out);
	call_answer(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&out));
	buf_finish(&out);
}
