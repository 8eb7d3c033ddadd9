/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker_trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fleet/fleet.h"

static struct trace_fact text_fact(const char *key, const char *text)
{
	return (struct trace_fact){ .key = key, .text = slice_str(text) };
}

bool worker_trace_wants(const struct request *r)
{
	return r->timed || trace_is_sampled(r->trace);
}

/* ---- waiting ---- */

static void put_queue(struct tracer *t, const struct request *r, uint64_t now_ns, const char *model,
		      const char *version, const char *why)
{
	const struct trace_fact facts[] = { text_fact("sconce.model.name", model),
					    text_fact("sconce.model.version", version),
					    text_fact("error.type", why) };
	uint8_t id[SPAN_ID_LEN];

	trace_new_span(id);
	tracer_put(t, &(struct trace_span){ .trace = r->trace,
					    .id = id,
					    .parent = r->trace->span,
					    .kind = SPAN_INTERNAL,
					    .name = SLICE("queue"),
					    .begin_ns = r->trace->waits_ns,
					    .end_ns = now_ns,
					    .facts = facts,
					    .n_facts = why ? 3 : 2,
					    .failed = why != NULL });
}

void worker_trace_sent(const struct worker *w, const struct request *r, uint64_t now_ns)
{
	if (!trace_is_sampled(r->trace))
		return;
	put_queue(w->shared->tracer, r, now_ns, w->model.name, w->model.version, NULL);
	trace_new_span(r->trace->batch);
	r->trace->first_ns = 0;
}

void version_trace_left(const struct version *v, const struct request *r, const char *why)
{
	if (trace_is_sampled(r->trace))
		put_queue(v->fleet->tracer, r, clock_now_ns(), v->model_name, v->name, why);
}

/* ---- a worker has it ---- */

#define BATCH_FACTS 7

struct batch_tale {
	struct trace_span span;
	struct trace_fact facts[BATCH_FACTS + 1];
	char id[160];
};

static void make_batch(struct batch_tale *b, const struct worker *w, const struct request *r,
		       uint64_t end_ns)
{
	struct trace_fact *f = b->facts;

	/* Numbers begin anew with each process. */
	snprintf(b->id, sizeof(b->id), "%s-%llu-%llu", w->label,
		 (unsigned long long)w->began_wall_ms, (unsigned long long)r->batch);
	*f++ = text_fact("sconce.model.name", w->model.name);
	*f++ = text_fact("sconce.model.version", w->model.version);
	*f++ = text_fact("sconce.batch.id", b->id);
	*f++ = (struct trace_fact){ .key = "sconce.batch.size", .number = r->batched };
	*f++ = (struct trace_fact){ .key = "sconce.worker.id", .number = w->id };
	if (w->pid)
		*f++ = (struct trace_fact){ .key = "sconce.worker.pid", .number = w->pid };
	if (r->retried)
		*f++ = text_fact("sconce.retry", "alone");
	b->span = (struct trace_span){ .trace = r->trace,
				       .id = r->trace->batch,
				       .parent = r->trace->span,
				       .kind = SPAN_INTERNAL,
				       .name = SLICE("batch"),
				       .begin_ns = r->sent_ns,
				       .end_ns = end_ns,
				       .facts = b->facts,
				       .n_facts = (size_t)(f - b->facts) };
}

void worker_trace_replied(const struct worker *w, const struct request *r,
			  const struct reply *reply)
{
	struct batch_tale b;

	if (!trace_is_sampled(r->trace))
		return;
	if (!reply->final) {
		if (!r->trace->first_ns)
			r->trace->first_ns = w->progress_ns;
		return;
	}
	make_batch(&b, w, r, w->progress_ns);
	if (r->trace->first_ns) {
		b.span.event = "first_piece";
		b.span.event_ns = r->trace->first_ns;
	}
	if (reply->error) {
		b.span.failed = true;
		b.span.message = slice_make(reply->body.p, MIN(reply->body.n, SPAN_TEXT_MAX));
		b.facts[b.span.n_facts++] = text_fact("error.type",
						      r->cancelled ? "cancelled" : "handler");
	}
	tracer_put(w->shared->tracer, &b.span);
}

void worker_trace_died(const struct worker *w, const struct request *r, enum dispatch_fate fate,
		       const char *how, uint64_t now_ns)
{
	static const char *const next[] = { [FATE_REQUEUE] = "it waits again",
					    [FATE_RETRY] = "it is run once more, alone",
					    [FATE_FAIL] = "it fails",
					    [FATE_DROP] = "nobody waits for it" };
	bool few = fate == FATE_RETRY && r->beside > 1;
	const struct trace_fact facts[] = {
		text_fact("exception.message", how),
		text_fact("sconce.fate", few ? "it is run once more, beside few" : next[fate])
	};
	struct batch_tale b;

	if (!trace_is_sampled(r->trace))
		return;
	make_batch(&b, w, r, now_ns);
	b.facts[b.span.n_facts++] = text_fact("error.type", "worker_died");
	b.span.event = "worker_died";
	b.span.event_ns = now_ns;
	b.span.event_facts = facts;
	b.span.n_event_facts = ARRAY_LEN(facts);
	b.span.failed = true;
	b.span.message = slice_str(how);
	r->trace->waits_ns = now_ns;
	tracer_put(w->shared->tracer, &b.span);
}

/* ---- what it says itself ---- */

struct phases {
	unsigned n;
	struct frame_phase phases[FRAME_PHASES_MAX];
};

static void put_phases(const struct worker *w, const struct request *r, const struct phases *all)
{
	uint8_t ids[FRAME_PHASES_MAX + 1][SPAN_ID_LEN];

	memcpy(ids[0], r->trace->batch, SPAN_ID_LEN);
	for (unsigned i = 0; i < all->n; i++) {
		const struct frame_phase *p = &all->phases[i];

		trace_new_span(ids[i + 1]);
		tracer_put(w->shared->tracer, &(struct trace_span){ .trace = r->trace,
								    .id = ids[i + 1],
								    .parent = ids[p->parent],
								    .kind = SPAN_INTERNAL,
								    .name = p->name,
								    .begin_ns = p->begin_ns,
								    .end_ns = p->end_ns });
	}
}

#define TRACE_SPANS_MAX 4096 /* of one frame: it is the loop that makes them */

static struct flight *find_flight(const struct worker *w, uint64_t seq)
{
	list_for_each (n, &w->flights) {
		struct flight *fl = container_of(n, struct flight, link);

		if (fl->seq == seq)
			return fl;
	}
	return NULL;
}

static int read_phases(const struct frame *f, uint64_t sent_ns, struct phases *all)
{
	uint64_t now_ns = clock_now_ns();
	struct slice rest = f->body;

	if (f->count > FRAME_PHASES_MAX)
		return -EBADMSG;
	for (; all->n < f->count; all->n++) {
		struct frame_phase *p = &all->phases[all->n];

		if (frame_phase_next(&rest, all->n + 1, p) < 0)
			return -EBADMSG;
		/* It was not there before it had the batch, and is not beyond now. */
		p->end_ns = MIN(p->end_ns, now_ns);
		p->begin_ns = MIN(MAX(p->begin_ns, sent_ns), p->end_ns);
	}
	return rest.n ? -EBADMSG : 0;
}

/* What the handler took; of a worker that has none, what the worker did. 0: that is not told. */
static uint64_t handled_ns(const struct phases *all)
{
	uint64_t ns = 0;

	for (unsigned i = 0; i < all->n; i++) {
		const struct frame_phase *p = &all->phases[i];

		if (slice_eq(p->name, SLICE("handler")))
			return p->end_ns - p->begin_ns;
		if (slice_eq(p->name, SLICE("worker")))
			ns = p->end_ns - p->begin_ns;
	}
	return ns;
}

int worker_traced(struct worker *w, const struct frame *f)
{
	struct flight *fl = find_flight(w, f->arg);
	struct phases all = { 0 };
	unsigned spans = 0;
	uint64_t took_ns;

	if (read_phases(f, fl ? fl->sent_ns : 0, &all) < 0)
		return -EBADMSG;
	/* All of its requests may have been answered, or failed, meanwhile. */
	if (!fl || fl->told)
		return 0;
	fl->told = true;
	took_ns = handled_ns(&all);
	list_for_each (n, &fl->requests) {
		struct request *r = container_of(n, struct request, link);

		r->handled_ns = took_ns;
		if (!w->shared->tracer || !trace_is_sampled(r->trace) ||
		    spans + all.n > TRACE_SPANS_MAX)
			continue;
		put_phases(w, r, &all);
		spans += all.n;
	}
	return 0;
}
