/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/trace.h"
#include "fleet/fleet.h"
#include "fleet/placement.h"
#include "fleet/removal.h"
#include "fleet/worker.h"
#include "fleet/worker_trace.h"
#include "log/log.h"
#include "loop/turn.h"

#define VERSION_NO_LIMIT_S 2147483647 /* what a setting allows at most */

/* Somebody waiting for the workers to reach the wanted number. */
struct version_wait {
	struct list link;
	version_done *done;
	void *arg;
};

static void version_wake(uv_timer_t *t)
{
	TURN(t);
	version_touch(t->data);
}

static uint64_t version_pick(int64_t configured, uint64_t fallback)
{
	return configured >= 0 ? (uint64_t)configured : fallback;
}

static void version_configure(struct version *v)
{
	const struct manifest *m = &v->manifest;
	const struct settings *s = v->fleet->settings;

	v->batch_size = (unsigned)MAX(version_pick(m->batch_size, 1), 1);
	v->max_batch_delay_ms = version_pick(m->max_batch_delay_ms, 100);
	v->response_timeout_s = version_pick(m->response_timeout_s, s->default_response_timeout);
	v->startup_timeout_s = version_pick(m->startup_timeout_s, s->default_startup_timeout);
	v->max_retry_timeout_s = version_pick(m->max_retry_timeout_s, 300);
	v->client_timeout_ms = version_pick(m->client_timeout_ms, 0);
	v->latency_goal_ms = version_pick(m->latency_goal_ms, 0);
	if (s->dev) {
		/* Somebody may sit at a prompt of the debugger. */
		v->response_timeout_s = v->client_timeout_ms = v->latency_goal_ms = 0;
		v->startup_timeout_s = VERSION_NO_LIMIT_S;
	}
	v->dispatch = (struct dispatch_policy){ .frame_batching = s->frame_batching };
	placement_configure(v);
	version_sequences_configure(v);
	queue_init(&v->queue, (unsigned)(m->job_queue_size > 0 ? (uint64_t)m->job_queue_size
							       : s->job_queue_size));
}

struct version *version_create(struct fleet *f, struct region *region, const struct manifest *m)
{
	struct version *v = mem_new(struct version);

	v->fleet = f;
	v->region = *region;
	region_init(region);
	v->manifest = *m;
	v->model_name = slice_dup(m->model_name);
	v->name = slice_dup(m->model_version);
	v->handler = slice_dup(m->handler);
	v->runtime = slice_dup(m->runtime);
	list_init(&v->link);
	list_init(&v->dirty);
	list_init(&v->workers);
	list_init(&v->waiters);
	version_configure(v);
	v->wake = mem_new(uv_timer_t);
	uv_timer_init(f->loop, v->wake);
	v->wake->data = v;
	telemetry_version(&f->telemetry, &v->metrics, m->model_name, m->model_version);
	return v;
}

static void version_wake_closed(uv_handle_t *h)
{
	free(h);
}

struct version *version_destroy(struct version *v)
{
	if (!v)
		return NULL;
	assert(list_empty(&v->workers) && !v->pending && !v->model);
	list_remove(&v->dirty);
	uv_close((uv_handle_t *)v->wake, version_wake_closed);
	telemetry_forget(&v->metrics);
	if (v->own_dir && v->dir)
		removal_add(&v->fleet->removals, TAKE(v->dir), NULL, NULL);
	/* What was downloaded for it goes with it, but is there again at the next start. */
	if (v->downloaded && !v->fleet->stopping)
		removal_add(&v->fleet->removals, TAKE(v->downloaded), NULL, NULL);
	free(v->downloaded);
	free(v->failure);
	free(v->optimized_lost);
	free(v->path_reason);
	free(v->python);
	sequences_finish(&v->sequences);
	region_finish(&v->region);
	free(v->model_name);
	free(v->name);
	free(v->url);
	free(v->dir);
	free(v->handler);
	free(v->runtime);
	free(v);
	return NULL;
}

unsigned version_ready_workers(const struct version *v)
{
	unsigned n = 0;

	list_for_each (l, &v->workers) {
		const struct worker *w = container_of(l, struct worker, link);

		n += w->state == WORKER_READY ? worker_instances(w) : 0;
	}
	return n;
}

unsigned version_idle_workers(const struct version *v)
{
	unsigned n = 0;

	list_for_each (l, &v->workers) {
		const struct worker *w = container_of(l, struct worker, link);
		unsigned instances = w->state == WORKER_READY ? worker_instances(w) : 0;

		n += instances > w->n_frames ? instances - w->n_frames : 0;
	}
	return n;
}

const char *version_trouble(const struct version *v)
{
	return version_ready_workers(v) ? NULL : v->failure;
}

unsigned version_processes(const struct version *v, unsigned workers)
{
	return v->native ? MIN(workers, 1) : workers;
}

bool version_healthy(const struct version *v)
{
	unsigned n = 0;

	list_for_each (l, &v->workers)
		n += container_of(l, struct worker, link)->state != WORKER_FAILED;
	return n >= version_processes(v, v->min_workers);
}

/* ---- scaling ---- */

void version_settle(struct version *v, const struct version_outcome *o)
{
	struct list waiting = LIST_INIT(waiting);
	struct list *n;

	list_splice_back(&waiting, &v->waiters);
	while ((n = list_pop(&waiting))) {
		struct version_wait *w = container_of(n, struct version_wait, link);

		w->done(w->arg, o);
		free(w);
	}
}

void version_check_scaled(struct version *v)
{
	v->scaled = true;
	version_touch(v);
}

/* Told at the end of the turn, never from inside a change: who is told may want another one. */
static void version_tell_scaled(struct version *v)
{
	struct version_outcome scaled = { .result = VERSION_SCALED, .workers = v->min_workers };

	if (!v->scaled)
		return;
	v->scaled = false;
	/* One that is being taken away wants no workers, and has nobody who waits for some. */
	if (v->state < VERSION_DRAINING && version_ready_workers(v) >= v->min_workers)
		version_settle(v, &scaled);
}

unsigned version_places(const struct version *v)
{
	unsigned n = 0;

	list_for_each (l, &v->workers)
		n += container_of(l, struct worker, link)->state != WORKER_STOPPING;
	return n;
}

static int version_spare_first(const void *a, const void *b)
{
	const struct worker *x = *(struct worker *const *)a, *y = *(struct worker *const *)b;
	bool x_ready = x->state == WORKER_READY, y_ready = y->state == WORKER_READY;

	if (x_ready != y_ready)
		return x_ready ? 1 : -1;
	if (x->n_flights != y->n_flights)
		return x->n_flights < y->n_flights ? -1 : 1;
	return x->id > y->id ? -1 : x->id < y->id; /* the youngest */
}

/* Those whose end costs least: that are not serving, then with the least to do. */
static void version_send_away(struct version *v, unsigned n, uint64_t grace_ms)
{
	_cleanup_(freep) struct worker **all = NULL;
	unsigned places = version_places(v), i = 0;

	assert(n <= places);
	if (!n)
		return;
	all = mem_zalloc(places * sizeof(struct worker *));
	list_for_each (l, &v->workers) {
		struct worker *w = container_of(l, struct worker, link);

		if (w->state != WORKER_STOPPING)
			all[i++] = w;
	}
	qsort(all, places, sizeof(struct worker *), version_spare_first);
	/* Stopping one may end it, and no other. */
	for (i = 0; i < n; i++)
		worker_stop(all[i], grace_ms);
}

static void version_too_few_gpus(struct version *v, version_done *done, void *arg)
{
	char text[160];

	snprintf(text, sizeof(text), "parallelLevel %u needs more GPUs than the %u there are",
		 v->devices.level, v->devices.n);
	log_error("Model %s version %s: %s", v->model_name, v->name, text);
	free(v->failure);
	v->failure = mem_strdup(text);
	if (done)
		done(arg, &(struct version_outcome){ VERSION_WORKER_FAILED, 500, text });
}

void version_scale(struct version *v, unsigned min, unsigned max, version_done *done, void *arg)
{
	uint64_t grace = v->fleet->settings->unregister_model_timeout * 1000;
	struct version_wait *w;
	unsigned places, most;

	v->min_workers = placement_cap(v, min);
	v->max_workers = placement_cap(v, max);
	if (min && !v->min_workers) {
		version_too_few_gpus(v, done, arg);
		return;
	}
	min = v->min_workers;
	max = v->max_workers;
	if (!min)
		free(TAKE(v->failure));
	if (done) {
		w = mem_new(struct version_wait);
		w->done = done;
		w->arg = arg;
		list_push_back(&v->waiters, &w->link);
	}
	/* TorchServe starts `min` and ends what is beyond `max`. */
	if (v->native)
		v->instances = MIN(MAX(v->instances, min), MAX(min, max));
	places = version_places(v);
	most = version_processes(v, MAX(min, max));
	if (places > most)
		version_send_away(v, places - most, grace);
	/* A place that was given up on gets another chance when somebody asks for workers. */
	list_for_each_safe (n, &v->workers) {
		struct worker *failed = container_of(n, struct worker, link);

		if (failed->state == WORKER_FAILED)
			worker_destroy(failed);
	}
	places = version_places(v);
	if (places < version_processes(v, min))
		version_add_workers(v, version_processes(v, min) - places);
	fleet_changed(v->fleet);
	fleet_retune(v->fleet);
	version_check_scaled(v);
	version_touch(v);
}

void version_stop_telling(struct version *v, const void *arg)
{
	list_for_each_safe (n, &v->waiters) {
		struct version_wait *w = container_of(n, struct version_wait, link);

		if (w->arg != arg)
			continue;
		list_remove(&w->link);
		free(w);
		return;
	}
}

/* ---- requests ---- */

/* Requests that could begin at once, beyond those that wait already. */
static bool version_has_ticket(const struct version *v)
{
	unsigned places = 0;

	list_for_each (n, &v->workers)
		places += worker_free_places(container_of(n, struct worker, link));
	return places > version_waiting(v);
}

/* Is there a worker to wait for? None that is ending, was given up, or does not load. */
static bool version_has_prospect(const struct version *v)
{
	list_for_each (n, &v->workers)
		if (worker_is_prospect(container_of(n, struct worker, link)))
			return true;
	return false;
}

static int version_admit(struct version *v, struct request *r)
{
	if (v->state >= VERSION_DRAINING || !version_has_prospect(v))
		return VERSION_NO_WORKER;
	if (v->manifest.use_job_ticket && !version_has_ticket(v))
		return VERSION_NO_TICKET;
	r->encoded = worker_request_size(r);
	if (r->encoded > FRAME_ROOM)
		return VERSION_TOO_LARGE;
	if (version_goal_refuses(v, r))
		return VERSION_TOO_LATE;
	return version_enqueue(v, r, r->queued_ns);
}

int version_submit(struct version *v, struct request *r)
{
	int refused;

	r->id = ++v->fleet->next_request_id;
	r->queued_ns = turn_now_ns(v->fleet->loop);
	if (v->client_timeout_ms)
		r->deadline_ns = r->queued_ns + v->client_timeout_ms * NS_PER_MS;
	if (r->trace)
		r->trace->waits_ns = r->queued_ns;
	refused = version_admit(v, r);
	if (refused) {
		metric_add(v->metrics.refused, 1);
		return refused;
	}
	v->pending++;
	batch_cost_arrival(&v->cost, r->queued_ns);
	version_touch(v);
	return 0;
}

bool version_cancel(struct version *v, struct request *r)
{
	metric_add(v->metrics.cancelled, 1);
	r->cancelled = true;
	if (r->place) {
		worker_cancel(r->place, r);
		return false;
	}
	version_trace_left(v, r, "cancelled");
	if (r->failing)
		list_remove(&r->link);
	else
		version_dequeue(v, r);
	version_release(v);
	return true;
}

void version_stream_taken(struct version *v, struct request *r, size_t bytes)
{
	(void)v;
	r->taken = MIN(r->taken + bytes, r->streamed);
	if (r->place)
		worker_stream_taken(r->place, r);
}

void version_release(struct version *v)
{
	assert(v->pending > 0);
	v->pending--;
	if (!v->pending && v->state == VERSION_DRAINING)
		version_touch(v);
}

void version_fail(struct version *v, struct request *r, int status, const char *message)
{
	const struct reply failed = { .status = status, .final = true, .error = true };

	version_trace_left(v, r, status == 504 ? "timeout" : "no_worker");
	version_goal_answered(v, r, &failed, clock_now_ns());
	version_release(v);
	worker_reply_error(r, status, message);
}

static void version_expire(struct version *v, uint64_t now_ns)
{
	struct request *r;
	char why[128];

	while ((r = version_overdue(v, now_ns))) {
		snprintf(why, sizeof(why),
			 "Request timed out: it waited for a worker for more than %llu ms "
			 "(clientTimeoutInMills).",
			 (unsigned long long)v->client_timeout_ms);
		metric_add(v->metrics.timeouts, 1);
		version_fail(v, r, 504, why);
	}
}

void version_refuse_queued(struct version *v)
{
	struct buf why = BUF_INIT(2 * VERSION_FAILURE_MAX);
	const char *trouble = version_trouble(v);
	struct request *r;

	buf_puts(&why, trouble || version_places(v) ? "Worker died." : "Worker scaled down.");
	if (trouble)
		buf_printf(&why, " It does not load: %s", trouble);
	while ((r = version_any_waiting(v)))
		version_fail(v, r, 503, buf_cstr(&why));
	buf_finish(&why);
}

void version_touch(struct version *v)
{
	if (list_linked(&v->dirty))
		return;
	list_push_back(&v->fleet->dirty, &v->dirty);
	/* Costs nothing while the loop is in its I/O phase anyway; a timer needs it. */
	if (!uv_is_active((uv_handle_t *)&v->fleet->again))
		uv_idle_start(&v->fleet->again, v->fleet->again.idle_cb);
}

/* A batch is being waited for: look again then, and whenever something happens. */
static void version_wait_until(struct version *v, uint64_t wake_ns, uint64_t now_ns)
{
	uint64_t ms;

	if (wake_ns == UINT64_MAX) {
		uv_timer_stop(v->wake);
		return;
	}
	ms = wake_ns > now_ns ? (wake_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
	uv_update_time(v->fleet->loop);
	uv_timer_start(v->wake, version_wake, ms, 0);
}

/* The least busy first, so that two workers share instead of one hoarding. */
static struct worker *version_least_busy(struct version *v)
{
	struct worker *best = NULL;

	list_for_each (n, &v->workers) {
		struct worker *w = container_of(n, struct worker, link);

		if (worker_has_credit(w) && (!best || w->n_flights < best->n_flights))
			best = w;
	}
	return best;
}

/* Every worker has work of its own waiting: that of its sequences. Returns when to look again. */
static uint64_t version_dispatch_each(struct version *v, uint64_t now_ns)
{
	uint64_t first_ns = UINT64_MAX, wake_ns;

	version_place_sequences(v);
	list_for_each (n, &v->workers) {
		struct worker *w = container_of(n, struct worker, link);

		wake_ns = UINT64_MAX;
		while (version_waiting(v) && worker_has_credit(w) &&
		       worker_run(w, version_frame_batches(v, w), now_ns, &wake_ns))
			wake_ns = UINT64_MAX;
		first_ns = MIN(first_ns, wake_ns);
	}
	return first_ns;
}

static uint64_t version_dispatch_any(struct version *v, uint64_t now_ns)
{
	uint64_t wake_ns = UINT64_MAX;
	struct worker *w;

	while (v->queue.n && (w = version_least_busy(v)) &&
	       worker_run(w, version_frame_batches(v, w), now_ns, &wake_ns))
		wake_ns = UINT64_MAX;
	return wake_ns;
}

void version_dispatch(struct version *v, uint64_t now_ns)
{
	uint64_t wake_ns;

	version_tell_scaled(v);
	version_expire(v, now_ns);
	if (version_waiting(v) && !version_has_prospect(v))
		version_refuse_queued(v);
	version_fail_stranded(v);
	wake_ns = v->manifest.sequence_batching ? version_dispatch_each(v, now_ns)
						: version_dispatch_any(v, now_ns);
	version_wait_until(v, wake_ns, now_ns);
	version_maybe_stopped(v);
}

void version_tick(struct version *v, uint64_t now_ns)
{
	list_for_each_safe (n, &v->workers)
		worker_tick(container_of(n, struct worker, link), now_ns);
	sequences_sweep(&v->sequences, now_ns);
	if (version_waiting(v))
		version_touch(v);
	if (v->state == VERSION_DRAINING && v->drain_deadline_ns && now_ns > v->drain_deadline_ns)
		version_touch(v);
}
