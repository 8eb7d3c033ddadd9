/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/call.h"
#include "api/handlers.h"
#include "api/parts.h"

/* TorchServe's inference routes: which model, which operation, and off to its queue. */

static struct slice inference_version(const struct call *c)
{
	return c->n_segments > 2 && c->segments[2].n ? c->segments[2] : SLICE_NULL;
}

static bool inference_explains(const struct call *c)
{
	return slice_eq(c->segments[0], SLICE("explanations"));
}

bool inference_check(struct call *c)
{
	bool invoke = slice_eq(c->segments[0], SLICE("models"));

	return call_find_version(c, c->segments[1], invoke ? SLICE_NULL : inference_version(c));
}

static void inference_refuse(struct call *c, struct slice model, struct slice version)
{
	call_error(
		c, 503, "ServiceUnavailableException",
		"Model \"%.*s%s%.*s\" has no worker to serve inference request. Please use scale "
		"workers API to add workers. If this is a sequence inference, please check if "
		"it is "
		"closed, or expired; or exceeds maxSequenceJobQueueSize",
		SLICE_ARG(model), version.p ? "\" Version " : "", SLICE_ARG(version));
}

static void inference_submit(struct call *c, struct version *v, struct slice model,
			     struct slice version)
{
	struct request *r = &c->request;

	memcpy(r->uuid, c->uuid, sizeof(r->uuid));
	r->reply = call_reply;
	r->owner = c;
	r->versioned = version.p != NULL;
	metric_add(r->versioned ? v->metrics.requests_total_named : v->metrics.requests_total, 1);
	if (version_submit(v, r)) {
		inference_refuse(c, model, version);
		return;
	}
	c->version = v;
	c->running = true;
}

void inference_predict(struct call *c)
{
	struct slice version = inference_version(c);
	struct version *v = call_find_version(c, c->segments[1], version);
	enum request_op op = inference_explains(c) ? REQUEST_EXPLAIN : REQUEST_PREDICT;

	if (!v || parts_read(c, false) < 0)
		return;
	c->request.op = op;
	parts_headers(c, true, op == REQUEST_EXPLAIN);
	inference_submit(c, v, c->segments[1], version);
}

static void inference_named(struct call *c, struct slice model)
{
	struct version *v = call_find_version(c, model, SLICE_NULL);

	if (!v)
		return;
	c->request.op = REQUEST_PREDICT;
	parts_headers(c, false, false);
	inference_submit(c, v, model, SLICE_NULL);
}

void inference_invoke(struct call *c)
{
	if (parts_read(c, true) == 0)
		inference_named(c, c->segments[1]);
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

void inference_invocations(struct call *c)
{
	struct slice model = SLICE_NULL;

	if (parts_read(c, true) < 0)
		return;
	for (unsigned i = 0; i < c->request.n_parts && !model.p; i++) {
		const struct part *p = &c->request.parts[i];

		if (p->kind != PART_BODY && slice_eq(p->name, SLICE("model_name")))
			model = parts_text(c, p);
	}
	if (!model.p)
		model = inference_only_model(c->api->fleet);
	if (!model.p)
		call_error(c, 400, "BadRequestException", "Parameter model_name is required.");
	else
		inference_named(c, model);
}
