/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/step.h"

/* What each step gives, from what it takes: known before anything runs, or as far as the model
 * tells. */

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "pipeline/labels.h"
#include "pipeline/tensor.h"

void type_write(char *out, size_t room, const struct type *t)
{
	char shape[400] = "";

	if (t->kind != KIND_TENSOR) {
		snprintf(out, room, "%s", kind_name(t->kind));
		return;
	}
	if (t->ndim != SCONCE_NDIM_ANY)
		shape_write(shape, sizeof(shape), t->shape, t->ndim);
	snprintf(out, room, "tensor%s%s%s%s", t->dtype ? " " : "",
		 t->dtype ? dtype_name(t->dtype) : "", *shape ? " " : "", shape);
}

static struct type type_of_spec(const struct sconce_tensor_spec *spec)
{
	struct type t = { .kind = KIND_TENSOR, .dtype = spec->dtype, .ndim = spec->ndim };

	for (uint32_t i = 0; i < SCONCE_NDIM_MAX && t.ndim != SCONCE_NDIM_ANY && i < t.ndim; i++)
		t.shape[i] = spec->shape[i];
	return t;
}

/* Of one output, which has been found. */
static struct type type_of_output(const struct pipeline *p, const char *name)
{
	struct type t = { .kind = KIND_TENSOR, .ndim = SCONCE_NDIM_ANY };

	if (!p->signature)
		return t;
	for (size_t i = 0; i < p->signature->n_outputs; i++)
		if (!name || strcmp(p->signature->outputs[i].name, name) == 0) {
			t = type_of_spec(&p->signature->outputs[i]);
			break;
		}
	if (p->rows_apart && t.ndim != SCONCE_NDIM_ANY && t.ndim) {
		memmove(t.shape, t.shape + 1, --t.ndim * sizeof(*t.shape));
		t.shape[t.ndim] = 0;
	}
	return t;
}

struct type type_of_ref(const struct pipeline *p, const struct ref *r)
{
	if (r->step == STEP_REQUEST)
		return (struct type){ .kind = KIND_BYTES };
	if (r->step == p->infer)
		return type_of_output(p, r->part ? r->part : p->steps[p->infer].params.output);
	return p->steps[r->step].type;
}

/* An output of this name; without one, the model must have but one. */
static int output_check(const struct pipeline *p, const struct step *s, const struct ref *r,
			struct sconce_error *e)
{
	_cleanup_(buf_finish) struct buf names = BUF_INIT(400);
	const char *name = r->part;
	size_t i;

	if (r->step == STEP_REQUEST || r->step != p->infer || !p->signature)
		return 0;
	name = name ? name : p->steps[p->infer].params.output;
	for (i = 0; i < p->signature->n_outputs; i++) {
		if (name && strcmp(p->signature->outputs[i].name, name) == 0)
			return 0;
		buf_printf(&names, "%s%.60s", i ? ", " : "", p->signature->outputs[i].name);
	}
	if (!name && i == 1)
		return 0;
	if (name)
		return step_fail(e, s, -1, "the model has no output \"%.60s\", but: %s", name,
				 buf_cstr(&names));
	return step_fail(e, s, -1,
			 "the model has %zu outputs: say which one (from: infer.NAME), of %s", i,
			 buf_cstr(&names));
}

static int step_takes(const struct pipeline *p, const struct step *s, struct type *in,
		      struct sconce_error *e)
{
	char wanted[200] = "";
	size_t n = 0;

	for (unsigned i = 0; i < s->n_from; i++) {
		in[i] = type_of_ref(p, &s->from[i]);
		if (p->infer < 0 && s->from[i].step != STEP_REQUEST && s->from[i].part)
			return step_fail(e, s, -1, "only infer and request have parts");
		/* What a client sends is any of these. */
		if (s->from[i].step == STEP_REQUEST &&
		    s->op->takes &
			    (KIND_BIT(KIND_BYTES) | KIND_BIT(KIND_TEXT) | KIND_BIT(KIND_JSON)))
			continue;
		if (s->op->takes & KIND_BIT(in[i].kind)) {
			if (output_check(p, s, &s->from[i], e) < 0)
				return -1;
			continue;
		}
		for (int k = 1; k < KINDS; k++)
			if (s->op->takes & KIND_BIT((enum kind)k) && n < sizeof(wanted))
				n += (size_t)snprintf(wanted + n, sizeof(wanted) - n, "%s%s",
						      n ? " or " : "", kind_name((enum kind)k));
		return step_fail(e, s, -1, "it takes %s, but %s %s", wanted,
				 s->from[i].step == STEP_REQUEST ? "is the first step and gets"
								 : "is given",
				 kind_name(in[i].kind));
	}
	return 0;
}

int types_check(struct pipeline *p, struct sconce_error *e)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct step *s = &p->steps[i];
		struct type in[STEP_FROM_MAX] = { 0 };

		s->type = (struct type){ .kind = s->op->gives, .ndim = SCONCE_NDIM_ANY };
		if (step_takes(p, s, in, e) < 0 ||
		    (s->op->check && s->op->check(s, in, &s->type, e) < 0))
			return -1;
	}
	return 0;
}

/* ---- the model ---- */

/* Which of infer's values is input i. */
static int bind_inputs(struct pipeline *p, const struct step *s, struct sconce_error *e)
{
	const struct sconce_signature *sig = p->signature;

	if (sig->n_inputs != s->n_from)
		return step_fail(e, s, -1, "the model has %zu inputs, but is given %u values%s",
				 sig->n_inputs, s->n_from,
				 s->params.n_inputs ? "" : " (inputs: names them)");
	for (size_t i = 0; i < sig->n_inputs; i++) {
		unsigned k = 0;

		while (s->params.n_inputs && k < s->n_from &&
		       strcmp(s->params.input_names[k], sig->inputs[i].name) != 0)
			k++;
		if (k == s->n_from)
			return step_fail(e, s, -1, "inputs does not say what \"%.60s\" is given",
					 sig->inputs[i].name);
		p->order[i] = k;
	}
	return 0;
}

static bool type_fits(const struct type *t, const struct sconce_tensor_spec *spec)
{
	if (t->dtype && spec->dtype && t->dtype != spec->dtype)
		return false;
	if (t->ndim == SCONCE_NDIM_ANY || spec->ndim == SCONCE_NDIM_ANY)
		return true;
	for (uint32_t i = 0; i < t->ndim && t->ndim == spec->ndim; i++)
		if (t->shape[i] >= 0 && spec->shape[i] >= 0 && t->shape[i] != spec->shape[i])
			return false;
	return t->ndim == spec->ndim;
}

static int bind_types(struct pipeline *p, const struct step *s, struct sconce_error *e)
{
	for (size_t i = 0; i < p->signature->n_inputs; i++) {
		const struct sconce_tensor_spec *spec = &p->signature->inputs[i];
		struct type given = type_of_ref(p, &s->from[p->order[i]]);
		struct type wanted = type_of_spec(spec);
		char is[500], should[500];

		if (type_fits(&given, spec))
			continue;
		type_write(is, sizeof(is), &given);
		type_write(should, sizeof(should), &wanted);
		return step_fail(e, s, -1,
				 "the model's input \"%.60s\" is a %.200s, but given a %.200s",
				 spec->name, should, is);
	}
	return 0;
}

/* Does dimension 0 of what infer takes count requests? */
static bool takes_rows(const struct pipeline *p, const struct step *s)
{
	return s->params.rows && s->n_from && s->from[0].step >= 0 &&
	       strcmp(p->steps[s->from[0].step].op->name, "batch") == 0;
}

/* Python's handlers read it whether they need it or not, and fail where it is broken. */
static int bind_mapping(const char *dir, struct sconce_error *e)
{
	labels_free(labels_read(dir, "index_to_name.json", e));
	return *e->text ? -1 : 0;
}

static int bind_labels(struct pipeline *p, const char *dir, struct sconce_error *e)
{
	if (p->is_handler && bind_mapping(dir, e) < 0)
		return -1;
	for (unsigned i = 0; i < p->n; i++) {
		struct step *s = &p->steps[i];

		if (strcmp(s->op->name, "labels") != 0)
			continue;
		labels_free(s->labels); /* of a try with another model */
		s->labels = labels_read(dir, s->params.file, e);
		if (s->labels)
			continue;
		if (*e->text) {
			struct sconce_error why = *e;

			return step_fail(e, s, -1, "%.900s", why.text);
		}
	}
	return 0;
}

int pipeline_bind(struct pipeline *p, const struct sconce_signature *signature, const char *dir,
		  struct sconce_error *e)
{
	const struct step *s = p->infer < 0 ? NULL : &p->steps[p->infer];

	p->signature = signature;
	*e->text = '\0';
	if (s) {
		p->rows_apart = takes_rows(p, s);
		if (bind_inputs(p, s, e) < 0 || bind_types(p, s, e) < 0)
			return -1;
	}
	return types_check(p, e) < 0 || bind_labels(p, dir, e) < 0 ? -1 : 0;
}

bool pipeline_input(const struct pipeline *p, struct sconce_tensor_spec *ret)
{
	const struct step *s = p->infer < 0 ? NULL : &p->steps[p->infer];
	struct type t;

	if (!s || s->n_from != 1)
		return false;
	t = type_of_ref(p, &s->from[0]);
	if (!t.dtype || t.ndim == SCONCE_NDIM_ANY)
		return false;
	*ret = (struct sconce_tensor_spec){ .name = s->params.input_names[0],
					    .dtype = t.dtype,
					    .ndim = t.ndim };
	memcpy(ret->shape, t.shape, sizeof(t.shape));
	if (takes_rows(p, s))
		ret->shape[0] = SCONCE_DIM_ANY;
	return true;
}
