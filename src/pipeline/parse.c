/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/step.h"

/* From the list of a configuration to steps that know what they take. A step sees only those
 * before it, so there are no cycles. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"
#include "pipeline/labels.h"

#define WORDS_SHOWN 40
#define REQUEST SLICE("request")

int step_fail(struct sconce_error *e, const struct step *s, int code, const char *fmt, ...)
{
	int n = snprintf(e->text, sizeof(e->text), "step %u, %s: ", s->number,
			 s->op ? s->op->name : "an op");
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text + n, sizeof(e->text) - (size_t)n, fmt, ap);
	va_end(ap);
	return code;
}

static int ref_find(struct parsing *x, const struct step *s, struct slice text, struct ref *ret,
		    struct sconce_error *e)
{
	struct slice rest = text, name;
	struct pipeline *p = x->p;

	for (unsigned i = p->n; i--;)
		if (p->steps[i].name && slice_eq(slice_str(p->steps[i].name), text)) {
			*ret = (struct ref){ .step = (int)i };
			return 0;
		}
	name = slice_cut(&rest, '.');
	if (slice_eq(name, REQUEST))
		ret->step = STEP_REQUEST;
	else if (slice_eq(name, SLICE("infer")) && p->infer >= 0)
		ret->step = p->infer;
	else
		return step_fail(e, s, -1,
				 "no step before it has the name \"%.*s\" (as: NAME gives one)",
				 (int)MIN(text.n, WORDS_SHOWN), text.p);
	ret->part = rest.n ? region_strndup(&p->region, rest.p, rest.n) : NULL;
	return 0;
}

int ref_read(struct parsing *x, const struct step *s, yyjson_val *v, struct ref *ret,
	     struct sconce_error *e)
{
	if (!yyjson_is_str(v))
		return step_fail(e, s, -1, "what it takes must be the name of an earlier step");
	return ref_find(x, s, slice_make(yyjson_get_str(v), yyjson_get_len(v)), ret, e);
}

/* "resize", or {"resize": 256}. */
static int step_op(struct step *s, yyjson_val *v, yyjson_val **ret_value, struct sconce_error *e)
{
	yyjson_val *key = v;
	struct slice name;
	const char *like;

	*ret_value = NULL;
	if (yyjson_is_obj(v) && yyjson_obj_size(v) == 1) {
		yyjson_obj_iter iter = yyjson_obj_iter_with(v);

		key = yyjson_obj_iter_next(&iter);
		*ret_value = yyjson_obj_iter_get_val(key);
	}
	if (!yyjson_is_str(key)) {
		snprintf(e->text, sizeof(e->text),
			 "step %u: it must be the name of an op, or an op with its parameters",
			 s->number);
		return -1;
	}
	name = slice_make(yyjson_get_str(key), yyjson_get_len(key));
	s->op = op_find(name);
	if (s->op)
		return 0;
	like = op_guess(name);
	snprintf(e->text, sizeof(e->text), "step %u: there is no op \"%.*s\"%s%s%s", s->number,
		 (int)MIN(name.n, WORDS_SHOWN), name.p, like ? ": did you mean " : "",
		 like ? like : "", like ? "?" : "");
	return -1;
}

static bool name_is_good(struct slice name)
{
	if (!name.n || name.n > STEP_NAME_MAX || slice_eq(name, REQUEST) ||
	    slice_eq(name, SLICE("infer")))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
			    name.p[i] ? name.p[i] : '.'))
			return false;
	return true;
}

static int step_name(struct parsing *x, struct step *s, yyjson_val *v, struct sconce_error *e)
{
	struct slice name = { yyjson_get_str(v), yyjson_get_len(v) };

	if (!v)
		return 0;
	if (!yyjson_is_str(v) || !name_is_good(name))
		return step_fail(e, s, -1,
				 "as must be a name of letters, digits, '_' and '-' other than "
				 "request and infer");
	for (unsigned i = 0; i < x->p->n; i++)
		if (x->p->steps[i].name && slice_eq(slice_str(x->p->steps[i].name), name))
			return step_fail(e, s, -1, "step %u has the name %s already", i + 1,
					 x->p->steps[i].name);
	s->name = region_strndup(&x->p->region, name.p, name.n);
	return 0;
}

static void step_add_from(struct step *s, const struct ref *r)
{
	if (r->step >= STEP_REQUEST)
		s->from[s->n_from++] = *r;
}

/* What it takes: what its parameters name, what `from` names, or the last step's result. */
static int step_from(struct parsing *x, struct step *s, yyjson_val *from, struct sconce_error *e)
{
	struct ref one = { .step = (int)x->p->n - 1 };

	if (s->params.n_inputs || s->params.boxes.step >= STEP_REQUEST) {
		if (from)
			return step_fail(e, s, -1, "its parameters say what it takes already");
		for (unsigned i = 0; i < s->params.n_inputs; i++)
			step_add_from(s, &s->params.inputs[i]);
		if (s->params.boxes.step < STEP_REQUEST)
			return 0;
		step_add_from(s, &s->params.boxes);
		step_add_from(s, &s->params.scores);
		step_add_from(s, &s->params.classes);
		return 0;
	}
	if (from && ref_read(x, s, from, &one, e) < 0)
		return -1;
	step_add_from(s, &one);
	return 0;
}

static int step_parse(struct parsing *x, yyjson_val *v, struct sconce_error *e)
{
	struct pipeline *p = x->p;
	struct step *s = &p->steps[p->n];
	yyjson_val *value;

	*s = (struct step){ .number = p->n + 1, .first = (int)p->n };
	s->params.boxes.step = s->params.scores.step = s->params.classes.step = STEP_REQUEST - 1;
	if (step_op(s, v, &value, e) < 0 || params_read(x, s, value, e) < 0 ||
	    step_from(x, s, yyjson_obj_get(value, "from"), e) < 0 ||
	    step_name(x, s, yyjson_obj_get(value, "as"), e) < 0)
		return -1;
	if (s->op == &op_infer && p->infer >= 0)
		return step_fail(e, s, -1, "step %d is one already, and there can be but one",
				 p->infer + 1);
	if (s->op == &op_infer)
		p->infer = (int)p->n;
	p->n++;
	return 0;
}

static int steps_parse(struct parsing *x, yyjson_val *steps, struct sconce_error *e)
{
	struct pipeline *p = x->p;
	yyjson_val *v;
	size_t i, n;

	if (!yyjson_is_arr(steps) || !yyjson_arr_size(steps)) {
		snprintf(e->text, sizeof(e->text), "a pipeline must be a list of steps");
		return -1;
	}
	if (yyjson_arr_size(steps) > PIPELINE_STEPS_MAX) {
		snprintf(e->text, sizeof(e->text), "a pipeline has at most %d steps",
			 PIPELINE_STEPS_MAX);
		return -1;
	}
	yyjson_arr_foreach(steps, i, n, v) if (step_parse(x, v, e) < 0) return -1;
	if (types_check(p, e) < 0)
		return -1;
	if (p->steps[p->n - 1].op->gives != KIND_ANSWER)
		return step_fail(e, &p->steps[p->n - 1], -1,
				 "it is the last one and gives %s, which is no answer: add "
				 "encode_json, or another that encodes",
				 kind_name(p->steps[p->n - 1].op->gives));
	return fuse(p, e);
}

int pipeline_parse(yyjson_val *steps, struct pipeline **ret, struct sconce_error *e)
{
	struct parsing x = { .p = mem_new(struct pipeline) };
	int r;

	region_init(&x.p->region);
	x.p->infer = -1;
	r = steps_parse(&x, steps, e);
	*ret = r < 0 ? pipeline_free(x.p) : x.p;
	return r < 0 ? -1 : 0;
}

int pipeline_parse_text(struct slice json, struct pipeline **ret, struct sconce_error *e)
{
	yyjson_doc *doc = yyjson_read(json.p ? json.p : "", json.n, 0);
	int r;

	*ret = NULL;
	if (!doc) {
		snprintf(e->text, sizeof(e->text), "the pipeline is no JSON");
		return -1;
	}
	r = pipeline_parse(yyjson_doc_get_root(doc), ret, e);
	yyjson_doc_free(doc);
	return r;
}

struct pipeline *pipeline_free(struct pipeline *p)
{
	if (!p)
		return NULL;
	for (unsigned i = 0; i < p->n; i++)
		p->steps[i].labels = labels_free(p->steps[i].labels);
	region_finish(&p->region);
	free(p);
	return NULL;
}

bool pipeline_is_handler(const struct pipeline *p)
{
	return p->is_handler;
}

bool pipeline_has_infer(const struct pipeline *p)
{
	return p->infer >= 0;
}

bool pipeline_has_picture(const struct pipeline *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->steps[i].to_model)
			return true;
	return false;
}

bool pipeline_decodes_on_gpu(const struct pipeline *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->steps[i].params.on_gpu)
			return true;
	return false;
}

bool pipeline_takes_lists(const struct pipeline *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->steps[i].params.lists)
			return true;
	return false;
}
