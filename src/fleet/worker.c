/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/backoff.h"
#include "fleet/maker.h"
#include "log/log.h"
#include "loop/turn.h"
#include "pool/pool.h"

/* A worker that was healthy this long has left its earlier failures behind. */
#define WORKER_HEALTHY_NS (60 * NS_PER_S)
/* What a request has ended has cost that request. The others do not wait for long on its account,
 * and each can do so but two or three times. */
#define WORKER_BLAME_WAIT_NS NS_PER_S
/* For a process that is killed to be gone. One that the kernel holds, in a file system or a driver
 * that hangs, ends when that answers, or never. */
#define WORKER_UNDEAD_MS 10000
/* A process that ends closes its socket first, and may have a driver to wait for before its end is
 * told. */
#define WORKER_DEAF_MS 5000

static void worker_timer_closed(uv_handle_t *h)
{
	free(h);
}

struct worker *worker_create(struct worker_shared *shared, const struct worker_owner_ops *ops,
			     void *owner, const struct worker_model *m, unsigned id, unsigned index,
			     int slot)
{
	struct worker *w = mem_new(struct worker);

	w->shared = shared;
	w->ops = ops;
	w->owner = owner;
	w->model = *m;
	w->id = id;
	w->slot = slot;
	w->index = index;
	w->state = WORKER_WAITING;
	w->began_wall_ms = clock_wall_ns() / NS_PER_MS;
	snprintf(w->label, sizeof(w->label), "W-%u-%s_%s", w->id, m->name, m->version);
	list_init(&w->link);
	list_init(&w->launch);
	list_init(&w->flights);
	list_init(&w->channel.pending);
	w->timer = mem_new(uv_timer_t);
	uv_timer_init(shared->loop, w->timer);
	w->timer->data = w;
	return w;
}

void worker_forget_load(struct worker *w)
{
	w->load_code = 0;
	free(TAKE(w->load_message));
	free(TAKE(w->load_traceback));
	free(TAKE(w->load_prepare));
}

struct worker *worker_destroy(struct worker *w)
{
	if (!w)
		return NULL;
	assert(list_empty(&w->flights) && !w->maker && !w->pid);
	list_remove(&w->link);
	list_remove(&w->launch);
	telemetry_worker_gone(w->shared->telemetry, w->label);
	channel_close(&w->channel);
	output_close(&w->out);
	output_close(&w->err);
	worker_memory_unref(w->memory);
	uv_close((uv_handle_t *)w->timer, worker_timer_closed);
	free(w->segments);
	worker_forget_load(w);
	yyjson_doc_free(w->facts);
	free(w->master);
	free(w);
	return NULL;
}

/* What must be true between any two things that happen to it. */
void worker_check(const struct worker *w)
{
	bool running = w->state == WORKER_STARTING || w->state == WORKER_LOADING ||
		       w->state == WORKER_READY || w->state == WORKER_STOPPING;

	assert(running ? w->maker || w->doomed : !w->maker && !w->pid && !w->doomed);
	assert(!w->doomed || !w->pid);
	assert(list_empty(&w->flights) == !w->n_flights && w->n_frames <= w->n_flights);
	/* Only what has loaded may have been given anything, and into its own memory. */
	assert(!w->n_flights || (w->memory && w->state >= WORKER_READY && running));
	assert(!w->n_flights || w->n_flights <= w->next_seq);
	assert(!w->beside || w->n_flights);
}

void worker_memory_unref(struct worker_memory *m)
{
	if (!m || --m->refs)
		return;
	list_remove(&m->link);
	pool_close_memory(m->pool, outbound_release(m->outbound), -1);
	free(m);
}

static void worker_startup_late(uv_timer_t *t)
{
	struct worker *w = t->data;

	TURN(t);
	/* TorchServe writes these two one after the other, and its users look for both. */
	log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker", "Backend worker error");
	log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker",
		 "org.pytorch.serve.wlm.WorkerInitializationException: "
		 "Backend worker did not respond in given time "
		 "(%llu s)",
		 (unsigned long long)w->model.startup_timeout_s);
	w->timed_out = true;
	worker_kill(w, NULL);
}

void worker_start(struct worker *w)
{
	int r;

	assert(!w->maker && !w->pid && list_empty(&w->flights));
	w->state = WORKER_STARTING;
	w->timed_out = w->killed = w->async = w->resting = w->trying = false;
	w->began_ns = clock_now_ns();
	w->began_wall_ms = clock_wall_ns() / NS_PER_MS;
	w->n_segments = 0;
	worker_forget_load(w);
	uv_update_time(w->shared->loop);
	uv_timer_start(w->timer, worker_startup_late, w->model.startup_timeout_s * 1000, 0);
	r = worker_launch(w);
	if (r < 0)
		worker_not_launched(w, r);
}

static void worker_restart(uv_timer_t *t)
{
	TURN(t);
	worker_start_soon(t->data);
}

unsigned worker_instances(const struct worker *w)
{
	return w->model.native ? w->credits : 1;
}

bool worker_is_prospect(const struct worker *w)
{
	return w->state != WORKER_STOPPING && w->state != WORKER_FAILED && !w->resting;
}

static bool worker_gave_up(const struct worker *w, uint64_t now_ns)
{
	return w->trouble_ns && now_ns - w->trouble_ns > w->model.max_retry_timeout_s * NS_PER_S;
}

/* Until the next process. One that ends without anybody's doing makes it longer each time. */
static uint64_t worker_rest_ns(struct worker *w)
{
	uint64_t wait_ns = backoff_next_ns(w->failures);

	if (!w->blames) {
		w->failures++;
		return wait_ns;
	}
	w->failures = MAX(w->failures, 1);
	return MIN(wait_ns, WORKER_BLAME_WAIT_NS);
}

/* The process is gone and its requests are dealt with: what becomes of the place? */
static void worker_next(struct worker *w, bool was_loading, uint64_t now_ns)
{
	uint64_t wait_ns;

	if (w->state == WORKER_STOPPING || !w->ops->restarts(w->owner, w, !was_loading)) {
		w->ops->gone(w->owner, w);
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
			 (unsigned long long)w->model.max_retry_timeout_s);
		w->state = WORKER_FAILED;
		w->ops->touch(w->owner); /* nobody shall wait for it any more */
		return;
	}
	wait_ns = worker_rest_ns(w);
	w->state = WORKER_WAITING;
	w->resting = was_loading && wait_ns;
	metric_add(w->model.metrics->restarts, 1);
	log_line(LOG_SERVER, LOG_INFO, w->label, "sconce.worker",
		 "Retry worker: %u in %llu seconds.", w->id,
		 (unsigned long long)(wait_ns / NS_PER_S));
	uv_update_time(w->shared->loop);
	uv_timer_start(w->timer, worker_restart, wait_ns / NS_PER_MS, 0);
}

static void worker_report_load_failure(struct worker *w, const char *how)
{
	char text[160];
	const char *why = w->load_message ? w->load_message : text;

	if (w->timed_out)
		snprintf(text, sizeof(text), "it was not ready in %llu s (startupTimeout)",
			 (unsigned long long)w->model.startup_timeout_s);
	else
		snprintf(text, sizeof(text), "the worker process %s while loading", how);
	if (w->trying)
		w->ops->optimized_lost(w->owner, why);
	else
		w->ops->loaded(w->owner, w, w->load_code ? w->load_code : 500, why);
}

void worker_ended(struct worker *w, int status, const char *how)
{
	bool was_loading = w->state == WORKER_STARTING || w->state == WORKER_LOADING;
	const struct worker_owner_ops *ops = w->ops;
	uint64_t now_ns = clock_now_ns();
	void *owner = w->owner;
	char described[96];

	assert(was_loading || w->state == WORKER_READY || w->state == WORKER_STOPPING);
	worker_check(w);
	if (!how) {
		child_describe(status, described, sizeof(described));
		how = described;
	}
	/* So that nothing it still says makes anybody end it once more. */
	w->doomed = how;
	w->pid = 0;
	if (w->maker && w->maker->clear)
		w->maker->clear(w);
	/* It may have answered before it died. */
	channel_drain(&w->channel);
	channel_close(&w->channel);
	output_drain(&w->out);
	output_drain(&w->err);
	uv_timer_stop(w->timer);
	w->doomed = NULL;
	w->maker = NULL;
	if (w->state != WORKER_STOPPING) {
		w->deaths++;
		/* That an engine does not load what a handler can is no trouble. */
		log_line(LOG_SERVER, was_loading && w->model.native_tried ? LOG_INFO : LOG_ERROR,
			 w->label, "sconce.worker", "Worker disconnected. Backend worker %s%s", how,
			 w->timed_out ? " (it did not answer in time)" : "");
	}
	worker_fail_flights(w, status, how, now_ns);
	worker_memory_unref(TAKE(w->memory));
	if (was_loading)
		worker_report_load_failure(w, how);
	worker_next(w, was_loading, now_ns); /* may destroy it */
	ops->touch(owner);
}

void worker_started(struct worker *w, pid_t pid)
{
	assert(w->maker && !w->pid && !w->doomed && pid > 0);
	w->pid = pid;
}

static void worker_report_end(uv_timer_t *t)
{
	struct worker *w = t->data;

	TURN(t);
	worker_ended(w, 0, w->doomed);
}

void worker_end_soon(struct worker *w, const char *how)
{
	assert(!w->pid);
	list_remove(&w->launch);
	w->half_made = false;
	w->doomed = how;
	uv_timer_start(w->timer, worker_report_end, 0, 0);
}

/* Who waits for it is answered, and its place has another process. */
static void worker_undead(uv_timer_t *t)
{
	struct worker *w = t->data;

	TURN(t);
	log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker",
		 "The process %d was killed and does not end: it is not waited for any more",
		 (int)w->pid);
	child_abandon(&w->child);
	worker_ended(w, SIGKILL, "was killed and does not end");
}

void worker_kill(struct worker *w, const char *why)
{
	if (why)
		log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker", "Killing the worker: %s",
			 why);
	w->killed = true;
	if (w->doomed)
		worker_end_soon(w, w->doomed);
	else if (w->maker)
		w->maker->kill(w);
	if (!w->pid)
		return;
	uv_update_time(w->shared->loop);
	uv_timer_start(w->timer, worker_undead, WORKER_UNDEAD_MS, 0);
}

static void worker_deaf_late(uv_timer_t *t)
{
	struct worker *w = t->data;

	TURN(t);
	if (w->state != WORKER_READY && !w->load_message)
		w->load_message = mem_strdup("its process has closed the worker's socket");
	worker_kill(w, "its socket is closed, and it does not end");
}

void worker_deaf(struct worker *w)
{
	/* Of one without a pid its maker tells; the others end soon anyway. */
	if (!w->pid || w->killed || w->state == WORKER_STOPPING)
		return;
	uv_update_time(w->shared->loop);
	uv_timer_start(w->timer, worker_deaf_late, WORKER_DEAF_MS, 0);
}

static void worker_stop_late(uv_timer_t *t)
{
	struct worker *w = t->data;

	TURN(t);
	worker_kill(w, "it did not stop in time");
}

void worker_stop(struct worker *w, uint64_t grace_ms)
{
	struct frame_writer fw;
	char packet[FRAME_HEAD];
	bool running = w->state == WORKER_STARTING || w->state == WORKER_LOADING ||
		       w->state == WORKER_READY;

	/* Its time runs already, or is over. */
	if (w->state == WORKER_STOPPING && (grace_ms || w->killed))
		return;
	if (!running && w->state != WORKER_STOPPING) {
		w->state = WORKER_STOPPING;
		w->ops->gone(w->owner, w);
		return;
	}
	/* One that is still loading has nothing to finish. */
	if (w->state != WORKER_READY)
		grace_ms = 0;
	w->state = WORKER_STOPPING;
	w->ops->leaves(w->owner, w, 503, "Worker scaled down.");
	/* Its end is on its way, and what does not even die is not waited for any longer. */
	if (w->killed)
		return;
	frame_begin(&fw, packet, sizeof(packet), FRAME_STOP, 0);
	channel_send(&w->channel, frame_end(&fw), NULL, 0);
	uv_update_time(w->shared->loop);
	uv_timer_start(w->timer, worker_stop_late, grace_ms, 0);
}

/* It is its client that keeps it waiting. */
static bool request_is_held(const struct request *r)
{
	return r->streamed - r->opened >= FRAME_WINDOW_BYTES;
}

static bool flight_is_held(const struct flight *fl)
{
	list_for_each (n, &fl->requests)
		if (request_is_held(container_of(n, struct request, link)))
			return true;
	return false;
}

/* It has taken enough for another window. The worker is told that piece by piece; of a long one
 * that is on its way only the connection knows. */
static bool request_moves(struct request *r)
{
	uint64_t delivered = r->delivered ? r->delivered(r) : r->taken;

	if (delivered < r->moved + FRAME_WINDOW_BYTES / 2)
		return false;
	r->moved = delivered;
	return true;
}

/* Its clients have not even taken enough for another window in all that time. They lose their
 * streams, or one that takes a byte now and then keeps a worker from all others for ever. */
static void worker_release_held(struct worker *w, struct flight *fl, uint64_t now_ns)
{
	list_for_each (n, &fl->requests) {
		struct request *r = container_of(n, struct request, link);

		if (!request_is_held(r) || request_moves(r))
			continue;
		log_line(LOG_SERVER, LOG_WARN, w->label, "sconce.worker",
			 "Request %s is cancelled: its client takes its stream too slowly "
			 "(responseTimeout)",
			 r->uuid);
		r->spoiled = true;
		worker_cancel(w, r);
		r->taken = r->opened = r->streamed;
	}
	fl->alive_ns = now_ns;
}

/* Of several in a frame, which run one after the other, that which it says has begun: of those
 * before it the answers are only not sent yet. If none has, it is the first's turn. */
static struct flight *worker_current(const struct worker *w)
{
	uint64_t started = outbound_started(w->memory->outbound);

	list_for_each (n, &w->flights) {
		struct flight *fl = container_of(n, struct flight, link);

		if (fl->seq == started)
			return fl;
	}
	return container_of(list_first(&w->flights), struct flight, link);
}

static bool worker_flight_late(struct worker *w, struct flight *fl, uint64_t since_ns,
			       uint64_t now_ns)
{
	fl->late = now_ns > since_ns + w->model.response_timeout_s * NS_PER_S;
	if (fl->late && flight_is_held(fl)) {
		worker_release_held(w, fl, now_ns);
		fl->late = false;
	}
	return fl->late;
}

static bool worker_is_late(struct worker *w, uint64_t now_ns)
{
	struct flight *first, *current;
	bool late = false;

	if (list_empty(&w->flights))
		return false;
	if (!w->async) {
		first = container_of(list_first(&w->flights), struct flight, link);
		current = worker_current(w);
		return worker_flight_late(w, current, MAX(first->alive_ns, current->alive_ns),
					  now_ns);
	}
	list_for_each (n, &w->flights) {
		struct flight *fl = container_of(n, struct flight, link);

		late = worker_flight_late(w, fl, fl->alive_ns, now_ns) || late;
	}
	return late;
}

void worker_tick(struct worker *w, uint64_t now_ns)
{
	uint64_t limit = w->model.response_timeout_s * NS_PER_S;
	char why[64];

	worker_check(w);
	if (!limit || w->killed)
		return;
	/* An idle one, too: it is given nothing while it does not read, and others may wait for it.
	 * One that streams for long reads when it comes to that. */
	if (w->state == WORKER_READY && w->channel.pending_bytes &&
	    now_ns > MAX(w->channel.moved_ns, w->progress_ns) + limit) {
		worker_kill(w, "it does not read what it is sent");
		return;
	}
	if (!worker_is_late(w, now_ns))
		return;
	log_line(LOG_SERVER, LOG_ERROR, w->label, "sconce.worker",
		 "Number or consecutive unsuccessful inference %u", w->failures + 1);
	w->timed_out = true;
	snprintf(why, sizeof(why), "no answer in %llu s (responseTimeout)",
		 (unsigned long long)w->model.response_timeout_s);
	worker_kill(w, why);
}

void worker_tune(struct worker *w, unsigned threads_each)
{
	unsigned wanted = w->ops->instances(w->owner), threads = threads_each * wanted;
	char packet[FRAME_HEAD + sizeof(uint64_t)];
	struct frame_writer fw;

	/* Those whose maker knows better keep what they began with. */
	if (w->state != WORKER_READY || w->maker->threads ||
	    (w->threads == threads && w->wanted == wanted))
		return;
	frame_begin(&fw, packet, sizeof(packet), FRAME_TUNE, threads);
	if (w->wanted != wanted)
		frame_put_u64(&fw, wanted);
	w->threads = threads;
	w->wanted = wanted;
	channel_send(&w->channel, frame_end(&fw), NULL, 0);
}
