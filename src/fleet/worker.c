/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/backoff.h"
#include "fleet/fleet.h"
#include "fleet/placement.h"
#include "fleet/ranks.h"
#include "log/log.h"

/* A worker that was healthy this long has left its earlier failures behind. */
#define WORKER_HEALTHY_NS (60 * NS_PER_S)

static void worker_start(struct worker *w);

static void worker_timer_closed(uv_handle_t *h)
{
	free(h);
}

static unsigned worker_free_index(const struct version *v)
{
	_cleanup_(freep) bool *used = NULL;
	unsigned n = 0, index = 0;

	list_for_each (l, &v->workers)
		n++;
	used = mem_zalloc((n + 1) * sizeof(*used));
	list_for_each (l, &v->workers)
		used[MIN(container_of(l, struct worker, link)->index, n)] = true;
	while (index < n && used[index])
		index++;
	return index;
}

struct worker *worker_create(struct version *v)
{
	struct worker *w = mem_new(struct worker);

	w->version = v;
	w->id = v->fleet->next_worker++;
	w->slot = placement_pick(v);
	w->index = worker_free_index(v);
	snprintf(w->label, sizeof(w->label), "W-%u-%s_%s", w->id, v->model_name, v->name);
	list_init(&w->flights);
	list_init(&w->channel.pending);
	w->timer = mem_new(uv_timer_t);
	uv_timer_init(v->fleet->loop, w->timer);
	w->timer->data = w;
	list_push_back(&v->workers, &w->link);
	worker_start(w);
	return w;
}

struct worker *worker_destroy(struct worker *w)
{
	if (!w)
		return NULL;
	assert(list_empty(&w->flights) && !w->child.pid);
	list_remove(&w->link);
	channel_close(&w->channel);
	output_close(&w->out);
	output_close(&w->err);
	worker_memory_unref(w->memory);
	uv_close((uv_handle_t *)w->timer, worker_timer_closed);
	free(w->segments);
	free(w->load_message);
	free(w->master);
	free(w);
	return NULL;
}

void worker_memory_unref(struct worker_memory *m)
{
	if (!m || --m->refs)
		return;
	outbound_destroy(m->outbound);
	free(m);
}

static void worker_startup_late(uv_timer_t *t)
{
	struct worker *w = t->data;

	log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker",
		 "org.pytorch.serve.wlm.WorkerInitializationException: "
		 "Backend worker did not respond in given time "
		 "(%llu s)",
		 (unsigned long long)w->version->startup_timeout_s);
	w->timed_out = true;
	worker_kill(w, NULL);
}

/* Begins a process for this place. What fails here fails like a process that died at once. */
static void worker_start(struct worker *w)
{
	int r;

	w->state = WORKER_STARTING;
	w->timed_out = w->killed = w->async = false;
	w->began_ns = clock_now_ns();
	w->began_wall_ms = clock_wall_ns() / NS_PER_MS;
	w->n_segments = 0;
	w->load_code = 0;
	free(TAKE(w->load_message));
	uv_update_time(w->version->fleet->loop);
	uv_timer_start(w->timer, worker_startup_late, w->version->startup_timeout_s * 1000, 0);
	r = worker_launch(w);
	if (r < 0) {
		log_error("%s: cannot start a process: %s", w->label, strerror(-r));
		worker_launched(w, 0);
	}
}

static void worker_restart(uv_timer_t *t)
{
	worker_start(t->data);
}

static bool worker_gave_up(const struct worker *w, uint64_t now_ns)
{
	return w->trouble_ns && now_ns - w->trouble_ns > w->version->max_retry_timeout_s * NS_PER_S;
}

/* The process is gone and its requests are dealt with: what becomes of the place? */
static void worker_next(struct worker *w, uint64_t now_ns)
{
	struct version *v = w->version;
	uint64_t wait_ns;

	if (w->state == WORKER_STOPPING) {
		version_worker_gone(v, w);
		return;
	}
	if (w->ready_ns && now_ns - w->ready_ns > WORKER_HEALTHY_NS) {
		w->failures = 0;
		w->trouble_ns = 0;
	}
	w->ready_ns = 0;
	if (!w->trouble_ns) {
		w->trouble_ns = now_ns;
		log_line(LOG_SERVER, LOG_INFO, w->label, "sconce.worker",
			 "Auto recovery start timestamp: %llu",
			 (unsigned long long)(clock_wall_ns() / NS_PER_MS));
	}
	if (worker_gave_up(w, now_ns)) {
		log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker",
			 "Auto recovery failed again: gave up after %llu s without a working "
			 "process. "
			 "Scale the model to try again.",
			 (unsigned long long)v->max_retry_timeout_s);
		w->state = WORKER_FAILED;
		version_touch(v); /* nobody shall wait for it any more */
		return;
	}
	wait_ns = backoff_next_ns(w->failures++);
	w->state = WORKER_WAITING;
	metric_add(v->metrics.restarts, 1);
	log_line(LOG_SERVER, LOG_INFO, w->label, "sconce.worker",
		 "Retry worker: %u in %llu seconds.", w->id,
		 (unsigned long long)(wait_ns / NS_PER_S));
	uv_update_time(v->fleet->loop);
	uv_timer_start(w->timer, worker_restart, wait_ns / NS_PER_MS, 0);
}

static void worker_report_load_failure(struct worker *w, const char *how)
{
	char text[512];
	int code = w->load_code ? w->load_code : 500;

	if (w->load_message)
		snprintf(text, sizeof(text), "%s", w->load_message);
	else if (w->timed_out)
		snprintf(text, sizeof(text), "it did not load within %llu s (startupTimeout)",
			 (unsigned long long)w->version->startup_timeout_s);
	else
		snprintf(text, sizeof(text), "the worker process %s while loading", how);
	version_worker_loaded(w->version, code, text);
}

/* A process of this place has ended, or could not be made at all. */
static void worker_ended(struct worker *w, int status, const char *how)
{
	struct version *v = w->version;
	bool was_loading = w->state == WORKER_STARTING || w->state == WORKER_LOADING;
	uint64_t now_ns = clock_now_ns();

	ranks_end(w);
	/* It may have answered before it died. */
	channel_drain(&w->channel);
	channel_close(&w->channel);
	output_drain(&w->out);
	output_drain(&w->err);
	uv_timer_stop(w->timer);
	if (w->state != WORKER_STOPPING) {
		w->deaths++;
		log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker",
			 "Worker disconnected. Backend worker %s%s", how,
			 w->timed_out ? " (it did not answer in time)" : "");
	}
	worker_fail_flights(w, status, now_ns);
	worker_memory_unref(TAKE(w->memory));
	if (was_loading)
		worker_report_load_failure(w, how);
	worker_next(w, now_ns);
	version_touch(v);
}

void worker_exited(struct child *c, int status)
{
	struct worker *w = container_of(c, struct worker, child);
	char how[96];

	child_describe(status, how, sizeof(how));
	worker_ended(w, status, how);
}

void worker_launched(struct worker *w, pid_t pid)
{
	if (pid)
		child_adopt(&w->version->fleet->children, &w->child, pid, worker_exited);
	else
		worker_ended(w, 0, "could not be started");
}

void worker_kill(struct worker *w, const char *why)
{
	if (why)
		log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker", "Killing the worker: %s",
			 why);
	w->killed = true;
	if (w->child.pid)
		child_kill(&w->child, SIGKILL);
	else if (channel_is_open(&w->channel))
		channel_close(
			&w->channel); /* a zygote still makes it: it exits when it finds out */
}

static void worker_stop_late(uv_timer_t *t)
{
	struct worker *w = t->data;

	worker_kill(w, "it did not stop in time");
}

void worker_stop(struct worker *w, uint64_t grace_ms)
{
	struct frame_writer fw;
	char packet[FRAME_HEAD];
	bool running = w->state == WORKER_STARTING || w->state == WORKER_LOADING ||
		       w->state == WORKER_READY;

	uv_timer_stop(w->timer);
	if (w->state == WORKER_STOPPING && grace_ms)
		return;
	if (!running && w->state != WORKER_STOPPING) {
		w->state = WORKER_STOPPING;
		version_worker_gone(w->version, w);
		return;
	}
	/* One that is still loading has nothing to finish. */
	if (w->state != WORKER_READY)
		grace_ms = 0;
	w->state = WORKER_STOPPING;
	version_worker_leaves(w->version, w, 503, "Worker scaled down.");
	frame_begin(&fw, packet, sizeof(packet), FRAME_STOP, 0);
	channel_send(&w->channel, frame_end(&fw), NULL, 0);
	uv_update_time(w->version->fleet->loop);
	uv_timer_start(w->timer, worker_stop_late, grace_ms, 0);
}

void worker_tick(struct worker *w, uint64_t now_ns)
{
	uint64_t limit = w->version->response_timeout_s * NS_PER_S;

	if (list_empty(&w->flights) || !limit || now_ns - w->progress_ns <= limit || w->timed_out)
		return;
	log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker",
		 "Number or consecutive unsuccessful inference %u", w->failures + 1);
	w->timed_out = true;
	worker_kill(w, "no reply within responseTimeout");
}

void worker_tune(struct worker *w, unsigned threads)
{
	struct frame_writer fw;
	char packet[FRAME_HEAD];

	/* Ranks and pinned workers keep what they began with. */
	if (w->state != WORKER_READY || w->threads == threads || !w->threads || w->n_ranks)
		return;
	w->threads = threads;
	frame_begin(&fw, packet, sizeof(packet), FRAME_TUNE, threads);
	channel_send(&w->channel, frame_end(&fw), NULL, 0);
}
