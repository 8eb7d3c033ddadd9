/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "api/handlers.h"
#include "api/parts.h"
#include "api/route.h"
#include "api/sequence.h"
#include "base/clock.h"
#include "log/log.h"
#include "trace/tracer.h"

#define INFERENCE_NAME_MAX 1024 /* longer than a name can be */

/* Running a model: a request, read in its route's dialect, goes off to the queue of the version
 * that the path names. */

bool inference_check(struct call *c)
{
	return c->api->starting || call_find_version(c, c->model, c->version_name);
}

/* When a place in the queue should be free again, from what the queue holds and how fast it moves.
 */
static unsigned inference_retry_after_s(const struct version *v)
{
	uint64_t batch_ns = batch_cost_estimate(&v->cost, v->batch_size);
	uint64_t batches = v->queue.n / v->batch_size + 1;
	uint64_t workers = MAX(version_ready_workers(v), 1);

	return (unsigned)MIN(batch_ns * batches / workers / NS_PER_S + 1, GOAL_RETRY_MAX_S);
}

/* What goes behind TorchServe's sentence: the cause. */
static const char *inference_cause(struct call *c, const struct version *v, int why)
{
	const char *trouble = version_trouble(v);

	if (why == VERSION_QUEUE_FULL)
		return region_printf(&c->region,
				     ". Its queue is full: %u request%s, which is all that its "
				     "job_queue_size allows",
				     v->queue.n, v->queue.n == 1 ? " waits" : "s wait");
	if (why == VERSION_NO_TICKET)
		return ". No worker is free (useJobTicket)";
	if (why == VERSION_NO_WORKER && trouble)
		return region_printf(&c->region, ". It does not load: %s", trouble);
	return "";
}

/* Those of one second are one line: they come by the thousand. */
static void inference_log_refusal(const struct call *c, struct version *v, int status,
				  const char *cause)
{
	struct log_subject about = tracer_subject(c->uuid, c->request.trace);
	uint64_t now_ns = clock_now_ns();
	char more[64] = "";

	if (v->refusals.said_ns && now_ns - v->refusals.said_ns < NS_PER_S) {
		v->refusals.unsaid++;
		return;
	}
	if (v->refusals.unsaid)
		snprintf(more, sizeof(more), "; so were %u before it", v->refusals.unsaid);
	log_about(LOG_SERVER, LOG_WARN, NULL, "sconce", &about,
		  "Request %s is refused with %d: model %s version %s has no worker for it%s%s",
		  c->uuid, status, v->model_name, v->name, cause, more);
	v->refusals.said_ns = now_ns;
	v->refusals.unsaid = 0;
}

/* 429: what is before this request is in the way; 503: no worker could answer in time. */
static void inference_refuse_late(struct call *c, struct version *v)
{
	struct goal_forecast f = version_forecast(v, c->request.queued_ns);
	unsigned long long goal_ms = v->latency_goal_ms,
			   ms = (f.expected_ns + f.margin_ns) / NS_PER_MS;
	bool busy = f.answer == GOAL_LOAD;
	const char *why = region_printf(
		&c->region,
		busy ? ". It would be answered after about %llu ms, and latency_goal_ms is %llu"
		: f.answer == GOAL_SLOW
			? ". All are busy, and this request would take one about %llu ms: more "
			  "than latency_goal_ms, %llu"
			: ". None is ready, or will be for about %llu ms: more than "
			  "latency_goal_ms, %llu",
		f.answer == GOAL_SLOW ? f.alone_ns / NS_PER_MS : ms, goal_ms);

	c->retry_after_s = f.retry_after_s;
	inference_log_refusal(c, v, busy ? 429 : 503, why);
	call_error(c, busy ? 429 : 503,
		   busy ? "TooManyRequestsException" : "ServiceUnavailableException",
		   "Model \"%s\" Version %s has no worker for this request in time%s. Try again "
		   "later.",
		   v->model_name, v->name, why);
}

static void inference_refuse(struct call *c, struct version *v, int why)
{
	bool full = why == VERSION_QUEUE_FULL,
	     busy = full && strcmp(c->api->settings->queue_full_status, "429") == 0;
	const char *cause;

	if (why == VERSION_TOO_LARGE) {
		parts_refuse_large(c);
		return;
	}
	if (why == VERSION_TOO_LATE) {
		inference_refuse_late(c, v);
		return;
	}
	if (full)
		c->retry_after_s = inference_retry_after_s(v);
	cause = inference_cause(c, v, why);
	inference_log_refusal(c, v, busy ? 429 : 503, cause);
	if (busy) {
		call_error(c, 429, "TooManyRequestsException",
			   "Model \"%s\" Version %s has %u requests waiting, which is all that its "
			   "job_queue_size allows. Try again later.",
			   v->model_name, v->name, v->queue.n);
		return;
	}
	call_error(
		c, 503, "ServiceUnavailableException",
		"Model \"%.*s%s%.*s\" has no worker to serve inference request. Please use scale "
		"workers API to add workers. If this is a sequence inference, please check if "
		"it is "
		"closed, or expired; or exceeds maxSequenceJobQueueSize%s",
		SLICE_ARG(c->model), c->version_name.p ? "\" Version " : "",
		SLICE_ARG(c->version_name), cause);
}

/* The parts are read: off to the queue, or, where only the API is asked for, its description. */
static void inference_submit(struct call *c)
{
	struct version *v = call_find_version(c, c->model, c->version_name);
	struct request *r = &c->request;
	int refused;

	if (!v)
		return;
	if (slice_eq(c->x->head.method, SLICE("OPTIONS"))) {
		openapi_model(c, c->model);
		return;
	}
	sequence_read(c, v);
	if (!v->native)
		version_read_operation(r);
	memcpy(r->uuid, c->uuid, sizeof(r->uuid));
	r->own_ident = c->own_ident;
	r->reply = call_reply;
	r->delivered = call_delivered;
	r->owner = c;
	r->versioned = c->version_name.p != NULL;
	meter_update(r->versioned ? &v->metrics.requests_total_named : &v->metrics.requests_total,
		     NULL, 1);
	refused = version_submit(v, r);
	if (refused) {
		inference_refuse(c, v, refused);
		telemetry_answer(&v->metrics, c->x->status);
		return;
	}
	c->version = v;
	c->running = true;
	if (r->deadline_ns)
		deadline_start(c);
}

static bool inference_read(struct call *c)
{
	c->request.op = c->route->op;
	c->request.timed = http_head_get(&c->x->head, "x-sconce-timing").p;
	return c->route->dialect->read(c) == 0;
}

void inference_predict(struct call *c)
{
	if (inference_read(c))
		inference_submit(c);
}

/* The one model that was loaded at start-up, where there is just one. */
static struct slice inference_only_model(const struct fleet *f)
{
	struct slice only = SLICE_NULL;
	unsigned n = 0;

	map_for_each (e, &f->store.models) {
		struct model *m = e->value;

		if (!m->loaded_at_startup)
			continue;
		only = slice_str(m->name);
		n++;
	}
	return n == 1 ? only : SLICE_NULL;
}

/* The query goes before the form, both before the only model: nobody who names one gets another. */
static struct slice inference_named_model(struct call *c)
{
	for (unsigned i = 0; i < c->request.n_parts; i++) {
		const struct part *p = &c->request.parts[i];

		if (p->kind != PART_BODY && p->span.length &&
		    slice_eq(p->name, SLICE("model_name"))) {
			struct slice name = parts_text(c, p);

			/* A field may be as long as a body; what is no name is not found. */
			return slice_make(name.p, MIN(name.n, INFERENCE_NAME_MAX));
		}
	}
	return inference_only_model(c->api->fleet);
}

void inference_invocations(struct call *c)
{
	if (!inference_read(c))
		return;
	c->model = inference_named_model(c);
	if (c->model.p)
		inference_submit(c);
	else
		call_error(c, 400, "BadRequestException", "Parameter model_name is required.");
}
