/* SPDX-License-Identifier: Apache-2.0 */
#include "api/scrape.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/call.h"
#include "api/handlers.h"
#include "auth/tokens.h"
#include "base/clock.h"
#include "log/log.h"
#include "trace/tracer.h"
#include "wire/accept.h"

#define SCRAPE_TEXT_MAX ((size_t)64 << 20)
#define SCRAPE_NAMES_MAX 64
#define SCRAPE_OPEN "application/openmetrics-text"
#define SCRAPE_CLASSIC "text/plain; version=0.0.4; charset=utf-8"

/* In the order in which they are listed. */
static const struct scrape_family {
	const char *name;
	enum metric_type type;
	const char *help;
} scrape_table[SCRAPE_FIGURES] = {
	[SCRAPE_MEMORY_LIMIT] = { "sconce_memory_budget_bytes", METRIC_GAUGE,
				  "Memory that requests and replies may use." },
	[SCRAPE_MEMORY_USED] = { "sconce_memory_used_bytes", METRIC_GAUGE,
				 "Memory that requests and replies use now." },
	[SCRAPE_MEMORY_PEAK] = { "sconce_memory_peak_bytes", METRIC_GAUGE,
				 "The most they ever used." },
	[SCRAPE_MEMORY_REFUSED] = { "sconce_memory_refused_total", METRIC_COUNTER,
				    "Times the budget was used up." },
	[SCRAPE_POOL_SEGMENTS] = { "sconce_pool_segments", METRIC_GAUGE,
				   "Shared memory segments for request bodies." },
	[SCRAPE_POOL_MAPPED] = { "sconce_pool_mapped_bytes", METRIC_GAUGE,
				 "Address space of these segments." },
	[SCRAPE_POOL_USED] = { "sconce_pool_used_bytes", METRIC_GAUGE,
			       "Bytes of them that hold a body now." },
	[SCRAPE_LOG_DROPPED] = { "sconce_log_lines_dropped_total", METRIC_COUNTER,
				 "Log lines lost because nobody took them in time." },
	[SCRAPE_CONNECTIONS] = { "sconce_connections", METRIC_GAUGE,
				 "Connections of clients that are open now." },
	[SCRAPE_ACCEPTED] = { "sconce_connections_total", METRIC_COUNTER,
			      "Connections of clients so far." },
	[SCRAPE_REFUSED] = { "sconce_connections_refused_total", METRIC_COUNTER,
			     "Connections refused because max_connections were open." },
	[SCRAPE_UNACCEPTED] = { "sconce_accept_failures_total", METRIC_COUNTER,
				"Times that connections could not be accepted: no file to be "
				"had." },
	[SCRAPE_BAD] = { "sconce_requests_malformed_total", METRIC_COUNTER,
			 "Requests that were no HTTP, or whose headers were too many." },
	[SCRAPE_TIMEOUTS] = { "sconce_connection_timeouts_total", METRIC_COUNTER,
			      "Times that a client was not waited for any longer." },
	[SCRAPE_STARTED] = { "sconce_start_time_seconds", METRIC_GAUGE,
			     "When the server was started, in seconds since 1970." },
	[SCRAPE_CPU] = { "sconce_cpu_seconds_total", METRIC_COUNTER,
			 "CPU time of the server itself, without its workers." },
	[SCRAPE_RESIDENT] = { "sconce_resident_memory_bytes", METRIC_GAUGE,
			      "Resident memory of the server itself, without its workers." },
	[SCRAPE_GPUS] = { "sconce_gpus", METRIC_GAUGE, "GPUs that workers may be given." },
	[SCRAPE_SPANS] = { "sconce_trace_spans_sent_total", METRIC_COUNTER,
			   "Spans that the collector has taken." },
	[SCRAPE_SPANS_DROPPED] = { "sconce_trace_spans_dropped_total", METRIC_COUNTER,
				   "Spans that were dropped: too many waited for the collector, or "
				   "it did not take them." },
	[SCRAPE_EXPORT_FAILURES] = { "sconce_trace_export_failures_total", METRIC_COUNTER,
				     "Times that the collector did not take a batch of spans." },
};

/* States of model versions, a series each. */
static const struct slice scrape_states[SCRAPE_STATES] = {
	[SCRAPE_STATE_READY] = SLICE_CONST("ready"),
	[SCRAPE_STATE_LOADING] = SLICE_CONST("loading"),
	[SCRAPE_STATE_FAILED] = SLICE_CONST("failed"),
	[SCRAPE_STATE_IDLE] = SLICE_CONST("idle"),
};

static void scrape_init_labelled(struct scrape *s, struct metrics *m, bool tokens)
{
	static const char *const state[] = { "state" }, *const token[] = { "token" },
				 *const version[] = { "version" };
	struct slice mine = SLICE(SCONCE_VERSION);
	struct metric_family *f = metrics_family(
		m, "sconce_model_versions", METRIC_GAUGE,
		"Versions of models: with a worker that is ready, without one yet, not to be "
		"loaded, and those that have no workers by wish.",
		state, 1);

	for (size_t i = 0; i < SCRAPE_STATES; i++)
		s->states[i] = metric_get(f, &scrape_states[i]);
	f = metrics_family(m, "sconce_token_expiry_timestamp_seconds", METRIC_GAUGE,
			   "When a key of token authorization expires, in seconds since 1970.",
			   token, 1);
	for (int k = 0; tokens && k < TOKEN_API; k++) {
		struct slice name = slice_str(token_kind_name((enum token_kind)k));

		s->expiry[k] = metric_prepare(f, &name);
	}
	f = metrics_family(m, "sconce_build_info", METRIC_GAUGE, "1, with the version of sconce.",
			   version, 1);
	metric_set(metric_get(f, &mine), 1);
}

void scrape_init(struct api *a)
{
	struct scrape *s = &a->scrape;

	for (size_t i = 0; i < SCRAPE_FIGURES; i++)
		s->figures[i] = metric_get(metrics_family(a->fleet->metrics, scrape_table[i].name,
							  scrape_table[i].type,
							  scrape_table[i].help, NULL, 0),
					   NULL);
	scrape_init_labelled(s, a->fleet->metrics, a->tokens != NULL);
	metric_set(s->figures[SCRAPE_STARTED], (double)clock_wall_ns() / 1e9);
}

static void scrape_set(struct api *a, enum scrape_figure which, uint64_t v)
{
	metric_set(a->scrape.figures[which], (double)v);
}

static void scrape_net(struct api *a)
{
	const struct net_stats *s = net_stats(a->net);

	scrape_set(a, SCRAPE_CONNECTIONS, s->connections_now);
	scrape_set(a, SCRAPE_ACCEPTED, s->connections_total);
	scrape_set(a, SCRAPE_REFUSED, s->refused_total);
	scrape_set(a, SCRAPE_UNACCEPTED, s->accept_failures_total);
	scrape_set(a, SCRAPE_BAD, s->bad_requests_total);
	scrape_set(a, SCRAPE_TIMEOUTS, s->timeouts_total);
}

static void scrape_memory(struct api *a)
{
	struct pool_stats pool;

	pool_stats(a->fleet->pool, &pool);
	scrape_set(a, SCRAPE_MEMORY_LIMIT, a->budget->limit);
	scrape_set(a, SCRAPE_MEMORY_USED, a->budget->used);
	scrape_set(a, SCRAPE_MEMORY_PEAK, a->budget->peak);
	scrape_set(a, SCRAPE_MEMORY_REFUSED, a->budget->refused_total);
	scrape_set(a, SCRAPE_POOL_SEGMENTS, pool.segments);
	scrape_set(a, SCRAPE_POOL_MAPPED, pool.mapped_bytes);
	scrape_set(a, SCRAPE_POOL_USED, pool.used_bytes);
}

/* /proc is the kernel's memory: reading it waits for no disk. */
static void scrape_process(struct api *a)
{
	struct rusage use;

	if (getrusage(RUSAGE_SELF, &use) == 0)
		metric_set(a->scrape.figures[SCRAPE_CPU],
			   (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
				   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	scrape_set(a, SCRAPE_RESIDENT, host_process_memory(getpid()));
}

static enum scrape_state scrape_state(const struct version *v)
{
	if (version_ready_workers(v))
		return SCRAPE_STATE_READY;
	if (version_trouble(v) || !version_healthy(v))
		return SCRAPE_STATE_FAILED;
	return v->min_workers ? SCRAPE_STATE_LOADING : SCRAPE_STATE_IDLE;
}

static void scrape_absent(void *arg, const struct absent *absent)
{
	unsigned *n = arg;

	(void)absent;
	n[SCRAPE_STATE_FAILED]++;
}

static void scrape_models(struct api *a)
{
	unsigned n[SCRAPE_STATES] = { 0 };

	map_for_each (e, &a->fleet->store.models) {
		const struct model *m = e->value;

		list_for_each (l, &m->versions)
			n[scrape_state(container_of(l, struct version, link))]++;
	}
	ready_each_absent(&a->ready, n, scrape_absent);
	for (size_t i = 0; i < SCRAPE_STATES; i++)
		metric_set(a->scrape.states[i], n[i]);
}

static void scrape_trace(struct api *a)
{
	struct exporter_stats s = tracer_stats(a->fleet->tracer);

	scrape_set(a, SCRAPE_SPANS, s.sent);
	scrape_set(a, SCRAPE_SPANS_DROPPED, s.dropped);
	scrape_set(a, SCRAPE_EXPORT_FAILURES, s.failures);
}

static void scrape_refresh(struct api *a)
{
	fleet_measure(a->fleet);
	scrape_memory(a);
	scrape_process(a);
	scrape_models(a);
	scrape_set(a, SCRAPE_LOG_DROPPED, log_dropped());
	scrape_set(a, SCRAPE_GPUS, a->fleet->gpus.n);
	for (int k = 0; a->tokens && !tokens_given(a->tokens) && k < TOKEN_API; k++)
		metric_set(a->scrape.expiry[k],
			   (double)tokens_expire_ns(a->tokens, (enum token_kind)k) / 1e9);
	scrape_trace(a);
	if (a->net)
		scrape_net(a);
}

static void scrape_write(const struct metrics *m, bool open, struct slice prefix,
			 const struct slice *names, unsigned n, struct buf *out)
{
	if (open)
		metrics_write_open(m, prefix, names, n, (int64_t)(clock_wall_ns() - clock_now_ns()),
				   out);
	else
		metrics_write_prefixed(m, prefix, names, n, out);
}

/* Who names OpenMetrics, and wants it no less than the classic text. */
static bool scrape_wants_open(const struct call *c)
{
	struct slice accept = http_head_get(&c->x->head, "accept");
	int weight = accept_weight(accept, SLICE(SCRAPE_OPEN), SLICE("1.0.0"));

	return weight > 0 && weight >= accept_weight(accept, SLICE("text/plain"), SLICE("0.0.4"));
}

/* Of TorchServe's families, legacy mode shows three counters. */
static void scrape_legacy(const struct metrics *m, bool open, const struct slice *names, unsigned n,
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
		scrape_write(m, open, SLICE(""), kept, n_kept, out);
}

void scrape_metrics(struct call *c)
{
	struct slice names[SCRAPE_NAMES_MAX], rest = c->x->head.query, name, value;
	struct buf out = BUF_INIT(SCRAPE_TEXT_MAX);
	enum metrics_mode mode = c->api->fleet->telemetry.mode;
	const struct metrics *m = c->api->fleet->metrics;
	unsigned n = 0;

	bool open = scrape_wants_open(c);

	while (http_query_next(&c->region, &rest, &name, &value) > 0)
		if (slice_eq(name, SLICE("name[]")) && n < SCRAPE_NAMES_MAX)
			names[n++] = value;
	scrape_refresh(c->api);
	/* TorchServe's default mode writes its metrics to logs and leaves this page empty. Ours are
	 * nowhere else: they are here in every mode. */
	if (mode == METRICS_PROMETHEUS)
		scrape_write(m, open, SLICE(""), names, n, &out);
	if (mode == METRICS_LEGACY)
		scrape_legacy(m, open, names, n, &out);
	if (mode != METRICS_PROMETHEUS)
		scrape_write(m, open, SLICE("sconce_"), names, n, &out);
	buf_puts(&out, open ? METRICS_OPEN_END : "");
	call_answer(c, 200, open ? SCRAPE_OPEN "; version=1.0.0; charset=utf-8" : SCRAPE_CLASSIC,
		    buf_slice(&out));
	buf_finish(&out);
}
