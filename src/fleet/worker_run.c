/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

/*
 * Handing batches to a worker. A frame carries one batch, or several where the handler is shorter
 * than a wake-up; each request names its bytes in the inbound pool and holds a grant for a large
 * reply.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/dispatch.h"
#include "core/trace.h"
#include "fleet/channel.h"
#include "fleet/worker_trace.h"
#include "pool/pool.h"
#include "log/log.h"

#define WORKER_PARTS_MAX 512          /* per request; the API layer refuses more */
#define WORKER_IDS_MAX ((size_t)8192) /* request ids in a log line */

unsigned worker_async_batches(const struct worker *w)
{
	return dispatch_concurrent_batches(w->credits, w->n_flights, w->beside,
					   w->ops->next_beside(w->owner));
}

bool worker_has_credit(const struct worker *w)
{
	if (w->state != WORKER_READY || w->killed || w->channel.pending_bytes)
		return false;
	return w->async ? worker_async_batches(w) > 0 : w->n_frames < 2;
}

unsigned worker_free_places(const struct worker *w)
{
	if (w->state != WORKER_READY || w->killed)
		return 0;
	if (w->async)
		return dispatch_concurrent_batches(w->credits, w->n_flights, w->beside, 0);
	return w->n_frames == 0;
}

static bool worker_knows_segment(const struct worker *w, uint32_t id)
{
	for (unsigned i = 0; i < w->n_segments; i++)
		if (w->segments[i] == id)
			return true;
	return false;
}

static int worker_send_segment(struct worker *w, uint32_t id)
{
	struct frame_writer fw;
	char packet[FRAME_HEAD + 8];
	size_t size;
	int fd;

	if (!pool_segment(w->shared->pool, id, &fd, &size))
		return -ENOENT;
	frame_begin(&fw, packet, sizeof(packet), FRAME_SEGMENT, id);
	frame_put_u64(&fw, size);
	w->segments = mem_realloc(w->segments, (w->n_segments + 1) * sizeof(*w->segments));
	w->segments[w->n_segments++] = id;
	return channel_send(&w->channel, frame_end(&fw), &fd, 1);
}

void worker_forget_segment(struct worker *w, uint32_t id)
{
	struct frame_writer fw;
	char packet[FRAME_HEAD + 8];

	for (unsigned i = 0; i < w->n_segments; i++) {
		if (w->segments[i] != id)
			continue;
		w->segments[i] = w->segments[--w->n_segments];
		frame_begin(&fw, packet, sizeof(packet), FRAME_SEGMENT, id);
		frame_put_u64(&fw, 0);
		channel_send(&w->channel, frame_end(&fw), NULL, 0);
		return;
	}
}

static int worker_send_segments(struct worker *w, const struct request *r)
{
	int e = 0;

	for (unsigned i = 0; i < r->n_parts && !e; i++)
		if (r->parts[i].span.length && !worker_knows_segment(w, r->parts[i].span.segment))
			e = worker_send_segment(w, r->parts[i].span.segment);
	return e;
}

/* The entry of a request; its parts lie in memory that the next call overwrites. */
static struct frame_request worker_entry(const struct request *r, const struct frame_part **ret)
{
	static struct frame_part parts[WORKER_PARTS_MAX];

	assert(r->n_parts <= WORKER_PARTS_MAX);
	for (unsigned i = 0; i < r->n_parts; i++)
		parts[i] = (struct frame_part){ .name = r->parts[i].name,
						.type = r->parts[i].type,
						.span = r->parts[i].span,
						.kind = (uint8_t)r->parts[i].kind,
						.dtype = r->parts[i].dtype,
						.ndim = r->parts[i].ndim,
						.dims = (const uint8_t *)r->parts[i].shape };
	*ret = parts;
	return (struct frame_request){ .id = r->id,
				       .deadline_ns = r->deadline_ns,
				       .grant = r->grant,
				       .headers = r->headers,
				       .n_parts = (uint16_t)r->n_parts };
}

size_t worker_request_size(const struct request *r)
{
	const struct frame_part *parts;
	struct frame_request fr = worker_entry(r, &parts);

	return frame_request_size(&fr, parts);
}

static void worker_put_request(struct frame_writer *fw, const struct request *r, unsigned batch)
{
	const struct frame_part *parts;
	struct frame_request fr = worker_entry(r, &parts);
	int e;

	fr.batch = (uint16_t)batch;
	fr.flags = (uint16_t)((r->op == REQUEST_EXPLAIN ? FRAME_RUN_EXPLAIN : 0) |
			      (r->op == REQUEST_DESCRIBE ? FRAME_RUN_DESCRIBE : 0) |
			      (r->sequence_start ? FRAME_RUN_SEQUENCE_START : 0) |
			      (r->sequence_end ? FRAME_RUN_SEQUENCE_END : 0) |
			      (r->retried ? FRAME_RUN_RETRY : 0) |
			      (r->own_ident ? FRAME_RUN_OWN_IDENT : 0) |
			      (worker_trace_wants(r) ? FRAME_RUN_TRACE : 0));
	memcpy(fr.uuid, r->uuid, FRAME_UUID);
	e = frame_put_request(fw, &fr, parts);
	assert(e == 0); /* the batch was taken for the room there is */
}

/* It is a guess, which may be far too much: half of the budget is for what is known to be needed.
 */
static bool worker_may_guess(const struct worker *w, size_t n)
{
	const struct budget *b = w->shared->budget;

	return n && n <= b->limit / 2 && b->used <= b->limit / 2 - n;
}

static void worker_grant(struct worker *w, struct request *r)
{
	size_t n = sizes_grant(w->model.sizes);

	assert(!r->grant.length);
	if (worker_may_guess(w, n) && outbound_grant(w->memory->outbound, n, &r->grant) != 0)
		r->grant = (struct span){ 0 };
}

void worker_revoke(struct worker *w, struct request *r)
{
	outbound_revoke(w->memory->outbound, r->grant);
	r->grant = (struct span){ 0 };
}

static void worker_note_id(struct flight *fl, const struct request *r)
{
	if (fl->ids.n)
		buf_putc(&fl->ids, ',');
	buf_append(&fl->ids, r->uuid, strlen(r->uuid));
}

static int worker_send_batch_segments(struct worker *w, const struct list *requests)
{
	list_for_each (n, requests) {
		int e = worker_send_segments(w, container_of(n, struct request, link));

		if (e < 0)
			return e;
	}
	return 0;
}

/* It was taken, but the worker cannot be told of it. */
static void worker_return_batch(struct worker *w, struct batch *b)
{
	struct list *n;

	while ((n = list_last(&b->requests))) {
		list_remove(n);
		w->ops->give_back(w->owner, container_of(n, struct request, link));
	}
}

/* Puts one batch into the frame; it is a flight from now on. */
static void worker_put_batch(struct worker *w, struct frame_writer *fw, struct batch *b,
			     unsigned index, uint64_t now_ns)
{
	struct flight *fl = mem_new(struct flight);

	list_init(&fl->requests);
	fl->seq = ++w->next_seq;
	fl->n = fl->left = b->n;
	fl->sent_ns = fl->alive_ns = now_ns;
	buf_init(&fl->ids, WORKER_IDS_MAX);
	list_splice_back(&fl->requests, &b->requests);
	list_for_each (m, &fl->requests) {
		struct request *r = container_of(m, struct request, link);

		assert(!r->place);
		worker_grant(w, r);
		r->place = w;
		r->batch = fl->seq;
		r->sent_ns = now_ns;
		r->batched = fl->n;
		r->handled_ns = 0;
		/* Nothing of an earlier run has gone out, or it would not be run again. */
		assert(!r->answered);
		r->streamed = r->taken = r->opened = r->moved = 0;
		r->spoiled = false;
		worker_trace_sent(w, r, now_ns);
		worker_put_request(fw, r, index);
		if (w->async && r->retried)
			w->beside = w->beside ? MIN(w->beside, r->beside) : r->beside;
		metric_observe(w->model.metrics->queue_seconds,
			       (double)(now_ns - r->queued_ns) / 1e9);
		if (w->model.metrics->prediction_time.form)
			worker_note_id(fl, r);
	}
	metric_observe(w->model.metrics->batch_size, b->n);
	worker_count_busy(w, now_ns);
	w->n_flights++;
	list_push_back(&w->flights, &fl->link);
}

/* Another batch in this frame? */
static bool worker_goes_on(const struct worker *w, const struct frame_writer *fw)
{
	return fw->n < FRAME_SOFT && (!w->async || worker_async_batches(w));
}

/* It has ended, most likely: what it said before that is no liar's, and is heard. Once all of the
 * frame's batches are flights like others, for what it says may be about them. */
static void worker_cannot_be_told(struct worker *w, const char *why)
{
	channel_drain(&w->channel);
	worker_kill(w, why);
}

unsigned worker_run(struct worker *w, unsigned batches, uint64_t now_ns, uint64_t *ret_wake_ns)
{
	static char packet[FRAME_MAX];
	struct frame_writer fw;
	unsigned sent = 0, done = 0;
	const char *why = NULL;

	assert(worker_has_credit(w));
	worker_check(w);
	frame_begin(&fw, packet, sizeof(packet), FRAME_RUN, w->next_seq + 1);
	*ret_wake_ns = UINT64_MAX;
	while (done < batches && (done == 0 || worker_goes_on(w, &fw))) {
		struct batch b;
		unsigned n = w->ops->take(w->owner, w, FRAME_MAX - fw.n, now_ns, &b, ret_wake_ns);

		if (!n)
			break;
		if (worker_send_batch_segments(w, &b.requests) < 0) {
			worker_return_batch(w, &b);
			why = "memory could not be handed to it";
			break;
		}
		worker_put_batch(w, &fw, &b, done, now_ns);
		sent += n;
		done++;
	}
	assert(!w->async || w->n_flights <= w->credits);
	if (done) {
		container_of(list_last(&w->flights), struct flight, link)->last_of_frame = true;
		w->n_frames++;
	}
	if (done && !why && channel_send(&w->channel, frame_end(&fw), NULL, 0) < 0)
		why = "its socket is broken";
	if (why)
		worker_cannot_be_told(w, why);
	return sent;
}

void worker_flight_done(struct worker *w, struct flight *fl)
{
	struct list *next;

	assert(list_empty(&fl->requests) && !fl->left);
	assert(w->n_flights > 0 && w->n_frames >= fl->last_of_frame);
	worker_count_busy(w, w->progress_ns);
	w->n_flights--;
	w->n_frames -= fl->last_of_frame;
	if (!w->n_flights)
		w->beside = 0;
	list_remove(&fl->link);
	/* Where one runs at a time, the next begins now. */
	next = list_first(&w->flights);
	if (next && !w->async)
		container_of(next, struct flight, link)->alive_ns = w->progress_ns;
}

void flight_free(struct flight *fl)
{
	buf_finish(&fl->ids);
	free(fl);
}

void worker_cancel(struct worker *w, struct request *r)
{
	struct frame_writer fw;
	char packet[FRAME_HEAD];

	frame_begin(&fw, packet, sizeof(packet), FRAME_CANCEL, r->id);
	channel_send(&w->channel, frame_end(&fw), NULL, 0);
}

void worker_stream_taken(struct worker *w, struct request *r)
{
	char packet[FRAME_HEAD + 8];
	struct frame_writer fw;
	struct flight *fl;

	assert(r->opened <= r->taken && r->taken <= r->streamed);
	/* In large portions: most streams are over before they need a second one. */
	if (r->taken - r->opened < FRAME_WINDOW_BYTES / 2)
		return;
	frame_begin(&fw, packet, sizeof(packet), FRAME_WINDOW, r->id);
	frame_put_u64(&fw, r->taken - r->opened);
	r->opened = r->taken;
	r->moved = MAX(r->moved, r->taken);
	if (worker_find(w, r->id, &fl))
		fl->alive_ns = clock_now_ns();
	channel_send(&w->channel, frame_end(&fw), NULL, 0);
}

void worker_sequence_over(struct worker *w, struct slice id)
{
	static char packet[FRAME_MAX];
	struct frame_writer fw;

	if (w->state != WORKER_READY || w->killed)
		return;
	frame_begin(&fw, packet, sizeof(packet), FRAME_SEQUENCE_OVER, 0);
	/* No more often than it has answered in one: it may be busy while very many expire. */
	if (frame_put_bytes(&fw, id) == 0)
		channel_tell(&w->channel, frame_end(&fw));
}

void worker_reply_error(struct request *r, int status, const char *message)
{
	struct reply reply = {
		.status = status, .final = true, .error = true, .body = slice_str(message)
	};

	r->place = NULL;
	r->reply(r, &reply);
}
