/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/request.h"

/* One request's way through the steps. */

#include <stdlib.h>

#include "base/clock.h"
#include "base/util.h"
#include "pipeline/tensor.h"

/* One of the model's outputs, as this request sees it: without the dimension of requests. */
static int output_value(const struct pipeline_run *run, const struct step *s, const struct ref *r,
			struct value *ret, struct sconce_error *e)
{
	const struct pipeline *p = run->p;
	const char *name = r->part ? r->part : p->steps[p->infer].params.output;
	const struct sconce_signature *sig = p->signature;
	size_t i = 0;

	while (name && i < sig->n_outputs && strcmp(sig->outputs[i].name, name) != 0)
		i++;
	assert(i < sig->n_outputs); /* types_check() has looked */
	*ret = (struct value){ .kind = KIND_TENSOR, .tensor = run->outputs[i] };
	if (!p->rows_apart)
		return 0;
	if (!ret->tensor.ndim || ret->tensor.shape[0] != 1)
		return step_fail(e, s, -1, "the model did not give one row for one request");
	memmove(ret->tensor.shape, ret->tensor.shape + 1,
		--ret->tensor.ndim * sizeof(*ret->tensor.shape));
	return 0;
}

/* A view of what a step takes; what it owns stays where it is, but for what comes from the
 * request, which the caller finishes. */
static int input_value(const struct pipeline_run *run, const struct step *s, const struct ref *r,
		       struct value *ret, struct sconce_error *e)
{
	if (r->step == STEP_REQUEST) {
		request_value(run, r->part, ret);
		return 0;
	}
	if (r->step == run->p->infer)
		return output_value(run, s, r, ret, e);
	*ret = run->values[r->step];
	return 0;
}

/* The client's part must be of a kind that the step takes. */
static int check_kind(const struct step *s, const struct value *in, struct sconce_error *e)
{
	if (in->kind == KIND_NONE)
		return step_fail(e, s, SCONCE_BAD_INPUT, "the request has nothing for it");
	if (s->op->takes & KIND_BIT(in->kind))
		return 0;
	return step_fail(e, s, SCONCE_BAD_INPUT, "it does not take %s", kind_name(in->kind));
}

static int step_run(struct pipeline_run *run, unsigned i, struct sconce_error *e)
{
	const struct step *s = &run->p->steps[i], *first = &run->p->steps[s->first];
	struct value in[STEP_FROM_MAX] = { { 0 } };
	int r = 0;

	for (unsigned k = 0; k < first->n_from && !r; k++) {
		r = input_value(run, first, &first->from[k], &in[k], e);
		if (!r && first->from[k].step == STEP_REQUEST)
			r = check_kind(first, &in[k], e);
	}
	if (!r)
		r = s->chain.n ? chain_run(s, run, in, &run->values[i], e)
			       : s->op->run(s, run, in, &run->values[i], e);
	for (unsigned k = 0; k < first->n_from; k++)
		if (first->from[k].step == STEP_REQUEST)
			value_finish(&in[k]);
	return r;
}

/* The same, measured where somebody wants to know. */
static int step_run_told(struct pipeline_run *run, unsigned i, struct sconce_error *e)
{
	const struct pipeline_request *request = run->request;
	uint64_t begin_ns = request->step ? clock_now_ns() : 0;
	int r = step_run(run, i, e);

	if (request->step)
		request->step(request->arg, run->p->steps[i].op->name, begin_ns, clock_now_ns());
	return r;
}

static int steps_run(struct pipeline_run *run, unsigned from, unsigned to, struct sconce_error *e)
{
	const struct pipeline *p = run->p;

	for (unsigned i = from; i < to; i++) {
		int r = p->steps[i].fused || !p->steps[i].op->run ? 0 : step_run_told(run, i, e);

		if (r < 0)
			return r;
		for (unsigned k = 0; k < i; k++)
			if (p->steps[k].last_use == (int)i && (int)i != p->infer)
				value_finish(&run->values[k]);
	}
	return 0;
}

static unsigned steps_before(const struct pipeline *p)
{
	return p->infer < 0 ? 0 : (unsigned)p->infer;
}

int pipeline_before(const struct pipeline *p, const struct pipeline_request *request,
		    struct pipeline_run **ret, struct sconce_error *e)
{
	struct pipeline_run *run = calloc(1, sizeof(*run) + p->n * sizeof(*run->values));
	int r;

	*ret = run;
	if (!run) {
		snprintf(e->text, sizeof(e->text), "there is no memory for the request");
		return SCONCE_NO_MEMORY;
	}
	run->p = p;
	run->request = request;
	r = steps_run(run, 0, steps_before(p), e);
	if (r < 0)
		*ret = pipeline_end(run);
	return r;
}

void pipeline_inputs(const struct pipeline_run *run, struct sconce_tensor *ret)
{
	const struct pipeline *p = run->p;
	const struct step *s = &p->steps[p->infer];

	for (size_t i = 0; i < p->signature->n_inputs; i++)
		ret[i] = run->values[s->from[p->order[i]].step].tensor;
}

uint64_t pipeline_inputs_away(const struct pipeline_run *run)
{
	const struct pipeline *p = run->p;
	const struct step *s = &p->steps[p->infer];
	uint64_t ret = 0;

	for (size_t i = 0; i < p->signature->n_inputs; i++)
		if (run->values[s->from[p->order[i]].step].gpu)
			ret |= UINT64_C(1) << i;
	return ret;
}

int pipeline_after(struct pipeline_run *run, const struct sconce_tensor *outputs,
		   struct pipeline_answer *ret, struct sconce_error *e)
{
	int r;

	run->outputs = outputs;
	run->answer = ret;
	ret->type = "application/json";
	r = steps_run(run, steps_before(run->p), run->p->n, e);
	run->answer = NULL;
	run->outputs = NULL;
	return r;
}

struct pipeline_run *pipeline_end(struct pipeline_run *run)
{
	if (!run)
		return NULL;
	for (unsigned i = 0; i < run->p->n; i++)
		value_finish(&run->values[i]);
	free(run);
	return NULL;
}
