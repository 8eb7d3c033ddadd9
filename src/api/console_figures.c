/* SPDX-License-Identifier: Apache-2.0 */
#include "api/console.h"
#include "api/handlers.h"

/*
 * GET /console/api/figures: what the console draws, in one look. Counters and histograms are as
 * they stand, and the browser makes rates and percentiles of the difference between two looks, so
 * nothing is kept here for those who look. Bounded: so many versions, so many processes whose
 * memory is read.
 */

#include "api/ready.h"
#include "base/clock.h"
#include "fleet/worker.h"
#include "wire/json.h"

#define FIGURES_MAX ((size_t)8 << 20)
#define FIGURES_VERSIONS 1000
#define FIGURES_PROCESSES 256 /* of all versions: each is a file of /proc to read */
#define FIGURES_TEXT 512      /* of a URL: all of it is in the model's description */
#define FIGURES_GPU_AGE_NS (2 * NS_PER_S)

/* ---- members ---- */

static void put_key(struct buf *b, const char *key)
{
	bool first = b->n && (b->p[b->n - 1] == '{' || b->p[b->n - 1] == '[');

	if (!first)
		buf_putc(b, ',');
	if (key)
		buf_printf(b, "\"%s\":", key);
}

static void put_number(struct buf *b, const char *key, uint64_t v)
{
	put_key(b, key);
	buf_put_u64(b, v);
}

static void put_double(struct buf *b, const char *key, double v)
{
	put_key(b, key);
	if (v >= 0 && v < (double)(1ULL << 53) && v == (double)(uint64_t)v)
		buf_put_u64(b, (uint64_t)v); /* most are, and it costs a tenth */
	else
		buf_printf(b, "%.9g", v);
}

static void put_bool(struct buf *b, const char *key, bool v)
{
	put_key(b, key);
	buf_puts(b, v ? "true" : "false");
}

/* NULL: the member is left out. */
static void put_text(struct buf *b, const char *key, const char *text)
{
	struct slice s = slice_str(text);

	if (!text)
		return;
	put_key(b, key);
	json_put_string(b, slice_make(s.p, MIN(s.n, FIGURES_TEXT)));
}

static void put_open(struct buf *b, const char *key, char bracket)
{
	put_key(b, key);
	buf_putc(b, bracket);
}

/* ---- histograms ---- */

static void put_bounds(struct buf *b, const char *key, const struct metric *m)
{
	struct metric_view v = metric_look(m);

	put_open(b, key, '[');
	for (unsigned i = 0; i + 1 < v.n; i++)
		put_double(b, NULL, v.bounds[i]);
	buf_putc(b, ']');
}

/* Left out while it is empty, as those of most of a thousand models are. */
static void put_histogram(struct buf *b, const char *key, const struct metric *m)
{
	struct metric_view v = metric_look(m);
	unsigned i = 0;

	while (i < v.n && !v.counts[i])
		i++;
	if (i == v.n)
		return;
	put_open(b, key, '{');
	put_double(b, "sum", v.sum);
	put_open(b, "counts", '[');
	for (i = 0; i < v.n; i++)
		put_number(b, NULL, v.counts[i]);
	buf_puts(b, "]}");
}

/* ---- versions ---- */

struct figures {
	struct buf *b;
	unsigned processes; /* whose memory may still be read */
};

static void figures_workers(struct figures *f, const struct version *v)
{
	unsigned states[WORKER_FAILED + 1] = { 0 };
	uint64_t memory = 0;

	list_for_each (n, &v->workers) {
		const struct worker *w = container_of(n, struct worker, link);

		states[w->state]++;
		if (w->pid > 0 && f->processes) {
			f->processes--;
			memory += host_process_memory(w->pid);
		}
	}
	put_number(f->b, "ready", version_ready_workers(v));
	put_number(f->b, "busy", version_ready_workers(v) - version_idle_workers(v));
	put_number(f->b, "starting",
		   states[WORKER_STARTING] + states[WORKER_LOADING] + states[WORKER_WAITING]);
	put_number(f->b, "failed", states[WORKER_FAILED]);
	put_number(f->b, "memory", memory);
}

static void figures_counters(struct buf *b, const struct version_metrics *m)
{
	put_histogram(b, "requests", m->request_seconds);
	put_histogram(b, "queue", m->queue_seconds);
	put_histogram(b, "batch", m->batch_size);
	put_open(b, "answers", '[');
	for (size_t i = 0; i < OWN_ANSWERS; i++)
		put_double(b, NULL, m->answers[i]->value);
	buf_putc(b, ']');
	put_double(b, "restarts", m->restarts->value);
	put_double(b, "retries", m->retries->value);
	put_double(b, "cancelled", m->cancelled->value);
	put_double(b, "refused", m->refused->value);
	put_double(b, "timeouts", m->timeouts->value);
}

static void figures_version(struct figures *f, const struct version *v)
{
	struct buf *b = f->b;
	unsigned waiting = version_waiting(v);

	put_open(b, NULL, '{');
	put_text(b, "name", v->model_name);
	put_text(b, "version", v->name);
	put_bool(b, "default", v->model && v->model->default_version == v);
	put_text(b, "url", v->url);
	put_text(b, "runtime", v->runtime);
	put_text(b, "failure", v->failure);
	put_text(b, "pathReason", v->path_reason);
	if (v->native && v->pipeline != PIPELINE_NONE)
		put_text(b, "path", "native");
	put_number(b, "min", v->min_workers);
	put_number(b, "max", v->max_workers);
	put_number(b, "batchSize", v->batch_size);
	put_number(b, "maxBatchDelay", v->max_batch_delay_ms);
	put_number(b, "latencyGoal", v->latency_goal_ms);
	put_number(b, "waiting", waiting);
	put_number(b, "running", v->pending > waiting ? v->pending - waiting : 0);
	put_number(b, "queueMax", v->queue.max);
	figures_workers(f, v);
	figures_counters(b, &v->metrics);
	buf_putc(b, '}');
}

static void figures_models(struct call *c, struct figures *f)
{
	size_t n, left = FIGURES_VERSIONS, omitted = 0;
	_cleanup_(freep) struct model **all = store_sorted(&c->api->fleet->store, &n);

	if (n) {
		put_bounds(f->b, "bounds", all[0]->default_version->metrics.request_seconds);
		put_bounds(f->b, "batchBounds", all[0]->default_version->metrics.batch_size);
	}
	put_open(f->b, "models", '[');
	for (size_t i = 0; i < n; i++)
		list_for_each (l, &all[i]->versions) {
			if (left) {
				left--;
				figures_version(f, container_of(l, struct version, link));
			} else {
				omitted++;
			}
		}
	buf_putc(f->b, ']');
	put_number(f->b, "omitted", omitted);
}

/* ---- what is not there ---- */

struct figures_list {
	struct buf *b;
	unsigned left;
};

/* Begins an entry; false: there have been enough. */
static bool figures_next(struct figures_list *l)
{
	if (!l->left)
		return false;
	l->left--;
	put_open(l->b, NULL, '{');
	return true;
}

static void figures_registering(void *arg, const struct registering_view *v)
{
	struct figures_list *l = arg;
	struct buf *b = l->b;

	if (!figures_next(l))
		return;
	put_text(b, "name", v->name);
	put_text(b, "version", v->version);
	put_text(b, "url", v->url);
	put_text(b, "status", v->status);
	put_number(b, "bytes", v->progress.done);
	put_number(b, "totalBytes", v->progress.total);
	buf_putc(b, '}');
}

static void figures_problem(void *arg, const char *model, const char *version, const char *why)
{
	struct figures_list *l = arg;
	struct buf *b = l->b;

	if (!figures_next(l))
		return;
	put_text(b, "name", model);
	put_text(b, "version", version);
	put_text(b, "why", why);
	buf_putc(b, '}');
}

static void figures_missing(struct call *c, struct buf *b)
{
	struct figures_list coming = { b, FIGURES_VERSIONS }, missing = coming;
	bool ready;

	put_open(b, "registering", '[');
	fleet_registering(c->api->fleet, figures_registering, &coming);
	buf_putc(b, ']');
	put_open(b, "problems", '[');
	ready = ready_check(&c->api->ready, &missing, figures_problem);
	buf_putc(b, ']');
	put_bool(b, "ready", ready && !c->api->starting);
	put_bool(b, "starting", c->api->starting);
}

/* ---- the machine ---- */

static void figures_host(struct buf *b)
{
	struct host_memory_use memory;
	struct host_cpu cpu;

	put_open(b, "host", '{');
	if (host_read_cpu("", &cpu)) {
		put_number(b, "cpuBusy", cpu.busy);
		put_number(b, "cpuTotal", cpu.total);
	}
	if (host_read_memory("", &memory)) {
		put_number(b, "memoryTotal", memory.total);
		put_number(b, "memoryAvailable", memory.available);
	}
	buf_putc(b, '}');
}

static void figures_gpus(struct buf *b, struct gpus *g)
{
	gpus_refresh(g, FIGURES_GPU_AGE_NS);
	put_open(b, "gpus", '[');
	for (unsigned i = 0; i < g->n; i++) {
		const struct gpu_use *u = &g->all[i].figures;

		put_open(b, NULL, '{');
		put_number(b, "id", i);
		if (g->all[i].use && u->busy >= 0)
			put_double(b, "busy", u->busy);
		if (g->all[i].use && u->memory_used >= 0)
			put_double(b, "memoryUsed", u->memory_used);
		if (g->all[i].use && u->memory_total >= 0)
			put_double(b, "memoryTotal", u->memory_total);
		buf_putc(b, '}');
	}
	buf_putc(b, ']');
}

static void figures_server(struct call *c, struct buf *b)
{
	const struct api *a = c->api;

	put_text(b, "sconce", SCONCE_VERSION);
	put_number(b, "at", clock_now_ns() / NS_PER_MS);
	put_number(b, "up", (clock_now_ns() - a->began_ns) / NS_PER_MS);
	put_bool(b, "authorization", a->tokens);
	put_bool(b, "modelApi", a->settings->enable_model_api);
	put_bool(b, "sameAddress", c->door->roles & API_INFERENCE);
	put_text(b, "inference", a->settings->inference_address);
	if (a->net)
		put_number(b, "connections", net_stats(a->net)->connections_now);
	put_open(b, "memory", '{');
	put_number(b, "limit", a->budget->limit);
	put_number(b, "used", a->budget->used);
	put_number(b, "peak", a->budget->peak);
	buf_putc(b, '}');
}

void console_figures(struct call *c)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(FIGURES_MAX);
	struct figures f = { &b, FIGURES_PROCESSES };

	buf_putc(&b, '{');
	figures_server(c, &b);
	figures_host(&b);
	figures_gpus(&b, &c->api->fleet->gpus);
	figures_missing(c, &b);
	figures_models(c, &f);
	buf_puts(&b, "}\n");
	if (buf_overflowed(&b))
		call_error(c, 500, "InternalServerException",
			   "The figures are larger than %zu MiB.", FIGURES_MAX >> 20);
	else
		console_answer(c, buf_slice(&b));
}
