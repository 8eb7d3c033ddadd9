/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/call.h"
#include "api/handlers.h"
#include "api/parts.h"
#include "api/sequence.h"
#include "base/clock.h"

#define INFERENCE_RETRY_MAX_S 60

/* The routes that run a model, TorchServe's and KServe's: which one, which operation, and off to
 * its queue. */

/* What a path asks for. */
struct target {
	struct slice model, version; /* version SLICE_NULL: the default one */
	enum request_op op;
	unsigned headers; /* enum parts_extra */
	bool query;       /* query parameters are fields */
};

static struct slice target_segment(const struct call *c, unsigned i)
{
	return i < c->n_segments ? c->segments[i] : SLICE_NULL;
}

/* /v1/models/{m}:predict, /v2/models/{m}[/versions/{v}]/infer */
static void target_kserve(const struct call *c, struct target *t)
{
	struct slice rest = c->segments[2], last = c->segments[c->n_segments - 1];

	t->model = slice_cut(&rest, ':');
	t->headers = PARTS_EXPLAIN;
	if (slice_eq(target_segment(c, 3), SLICE("versions")))
		t->version = c->segments[4];
	if (slice_eq(c->n_segments == 3 ? rest : last, SLICE("explain")))
		t->op = REQUEST_EXPLAIN;
}

static void target_read(const struct call *c, struct target *t)
{
	struct slice first = c->segments[0];
	bool explains = slice_eq(first, SLICE("explanations"));

	*t = (struct target){ .op = explains ? REQUEST_EXPLAIN : REQUEST_PREDICT };
	if (explains || slice_eq(first, SLICE("predictions"))) {
		t->model = c->segments[1];
		t->version = target_segment(c, 2);
		t->headers = PARTS_URL_PATH | PARTS_EXPLAIN;
	} else if (c->n_segments > 2 && slice_eq(c->segments[1], SLICE("models"))) {
		target_kserve(c, t);
	} else if (slice_eq(first, SLICE("models"))) {
		t->model = c->segments[1];
		t->query = true;
	} else {
		/* /{m}/predict, /{m}/{v}/predict */
		t->model = first;
		t->version = c->n_segments > 2 ? c->segments[1] : SLICE_NULL;
		t->query = true;
	}
}

bool inference_check(struct call *c)
{
	struct target t;

	target_read(c, &t);
	return call_find_version(c, t.model, t.version);
}

/* When a place in the queue should be free again, from what the queue holds and how fast it moves.
 */
static unsigned inference_retry_after_s(const struct version *v)
{
	uint64_t batch_ns = batch_cost_estimate(&v->cost, v->batch_size);
	uint64_t batches = v->queue.n / v->batch_size + 1;
	uint64_t workers = MAX(version_ready_workers(v), 1);

	return (unsigned)MIN(batch_ns * batches / workers / NS_PER_S + 1, INFERENCE_RETRY_MAX_S);
}

static void inference_refuse(struct call *c, const struct version *v, const struct target *t,
			     int why)
{
	bool full = why == VERSION_QUEUE_FULL;

	if (why == VERSION_TOO_LARGE) {
		parts_refuse_large(c);
		return;
	}
	if (full)
		c->retry_after_s = inference_retry_after_s(v);
	if (full && strcmp(c->api->settings->queue_full_status, "429") == 0) {
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
		"closed, or expired; or exceeds maxSequenceJobQueueSize",
		SLICE_ARG(t->model), t->version.p ? "\" Version " : "", SLICE_ARG(t->version));
}

/* The parts are read: off to the queue, or, where only the API is asked for, its description. */
static void inference_submit(struct call *c, const struct target *t)
{
	struct version *v = call_find_version(c, t->model, t->version);
	struct request *r = &c->request;
	int refused;

	if (!v)
		return;
	if (slice_eq(c->x->head.method, SLICE("OPTIONS"))) {
		openapi_model(c, t->model);
		return;
	}
	r->op = t->op;
	parts_headers(c, t->headers);
	sequence_read(c, v);
	memcpy(r->uuid, c->uuid, sizeof(r->uuid));
	r->reply = call_reply;
	r->owner = c;
	r->versioned = t->version.p != NULL;
	meter_update(r->versioned ? &v->metrics.requests_total_named : &v->metrics.requests_total,
		     NULL, 1);
	refused = version_submit(v, r);
	if (refused) {
		inference_refuse(c, v, t, refused);
		return;
	}
	c->version = v;
	c->running = true;
	if (r->deadline_ns)
		deadline_start(c);
}

void inference_predict(struct call *c)
{
	struct target t;

	target_read(c, &t);
	if (parts_read(c, t.query) == 0)
		inference_submit(c, &t);
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
		    slice_eq(p->name, SLICE("model_name")))
			return parts_text(c, p);
	}
	return inference_only_model(c->api->fleet);
}

void inference_invocations(struct call *c)
{
	struct target t = { .op = REQUEST_PREDICT };

	if (parts_read(c, true) < 0)
		return;
	t.model = inference_named_model(c);
	if (t.model.p)
		inference_submit(c, &t);
	else
		call_error(c, 400, "BadRequestException", "Parameter model_name is required.");
}
