/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/step.h"

/* Parameters of a step, as its op's rows describe them. What no row has is refused, with what was
 * probably meant. */

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "pipeline/tensor.h"

#define WORDS_SHOWN 40

static const struct {
	const char *name;
	enum image_filter filter;
} filters[] = {
	{ "bilinear", IMAGE_BILINEAR }, { "nearest", IMAGE_NEAREST }, { "bicubic", IMAGE_BICUBIC },
	{ "lanczos", IMAGE_LANCZOS },   { "box", IMAGE_BOX },         { "hamming", IMAGE_HAMMING },
};

static int refuse(const struct step *s, const struct param *p, const char *wanted,
		  struct sconce_error *e)
{
	return step_fail(e, s, -1, "%s must be %s", p->name, wanted);
}

static int read_numbers(const struct step *s, const struct param *p, yyjson_val *v, void *to,
			struct sconce_error *e)
{
	struct step_numbers *out = to;
	bool alone = yyjson_is_int(v);
	size_t n = alone ? 1 : yyjson_arr_size(v);

	*out = (struct step_numbers){ 0 };
	if ((!alone && !yyjson_is_arr(v)) || n > STEP_NUMBERS_MAX)
		return refuse(s, p, "a list of whole numbers", e);
	for (; out->n < n; out->n++) {
		yyjson_val *item = alone ? v : yyjson_arr_get(v, out->n);
		double number = yyjson_get_num(item);

		if (!yyjson_is_int(item))
			return refuse(s, p, "a list of whole numbers", e);
		if (number < p->min || number > p->max)
			return step_fail(e, s, -1, "%s must be from %.0f to %.0f", p->name, p->min,
					 p->max);
		out->v[out->n] = yyjson_get_sint(item);
	}
	return 0;
}

static int read_reals(const struct step *s, const struct param *p, yyjson_val *v, void *to,
		      struct sconce_error *e)
{
	struct step_reals *out = to;
	yyjson_val *item;
	size_t i, n;

	*out = (struct step_reals){ 0 };
	if (yyjson_is_num(v))
		out->v[out->n++] = (float)yyjson_get_num(v);
	yyjson_arr_foreach(v, i, n, item)
	{
		if (!yyjson_is_num(item) || out->n == ARRAY_LEN(out->v))
			return refuse(s, p, "a number, or one for each channel, at most four", e);
		out->v[out->n++] = (float)yyjson_get_num(item);
	}
	return out->n ? 0 : refuse(s, p, "a number, or one for each channel, at most four", e);
}

static int read_number(const struct step *s, const struct param *p, yyjson_val *v, void *to,
		       struct sconce_error *e)
{
	double real = yyjson_get_num(v);
	int64_t whole = yyjson_get_sint(v);

	if (!yyjson_is_num(v) || (p->type == PARAM_INTEGER && !yyjson_is_int(v)))
		return refuse(s, p, p->type == PARAM_INTEGER ? "a whole number" : "a number", e);
	if (!(real >= p->min && real <= p->max))
		return step_fail(e, s, -1, "%s must be from %g to %g", p->name, p->min, p->max);
	memcpy(to, p->type == PARAM_INTEGER ? (void *)&whole : (void *)&real, sizeof(whole));
	return 0;
}

static int read_word(struct parsing *x, struct step *s, const struct param *p, yyjson_val *v,
		     void *to, struct sconce_error *e)
{
	const char *text = yyjson_get_str(v);
	uint32_t dtype = text ? dtype_by_name(slice_str(text)) : 0;

	if (!text)
		return refuse(s, p, "a text", e);
	if (p->type == PARAM_TEXT) {
		const char *kept = region_strndup(&x->p->region, text, yyjson_get_len(v));

		memcpy(to, &kept, sizeof(kept));
		return 0;
	}
	if (p->type == PARAM_DATATYPE && dtype && dtype != SCONCE_BYTES) {
		memcpy(to, &dtype, sizeof(dtype));
		return 0;
	}
	for (size_t i = 0; p->type == PARAM_FILTER && i < ARRAY_LEN(filters); i++)
		if (strcmp(text, filters[i].name) == 0) {
			*(enum image_filter *)to = filters[i].filter;
			return 0;
		}
	for (int m = 0; p->type == PARAM_MODE && m < IMAGE_MODES; m++)
		if (strcmp(text, image_mode_name((enum image_mode)m)) == 0) {
			*(enum image_mode *)to = (enum image_mode)m;
			s->params.has_mode = true;
			return 0;
		}
	for (int w = 0; p->type == PARAM_CHOICE && w < 2; w++)
		if (strcmp(text, p->words[w]) == 0) {
			*(bool *)to = w;
			return 0;
		}
	if (p->type == PARAM_CHOICE)
		return step_fail(e, s, -1, "%s must be %s or %s", p->name, p->words[0],
				 p->words[1]);
	return step_fail(e, s, -1, "%s: there is no %s \"%.*s\"", p->name,
			 p->type == PARAM_DATATYPE ? "datatype of numbers"
			 : p->type == PARAM_FILTER ? "filter"
						   : "mode of pictures",
			 WORDS_SHOWN, text);
}

static int read_values(struct parsing *x, struct step *s, yyjson_val *v, struct sconce_error *e)
{
	struct params *to = &s->params;
	yyjson_val *key, *value;
	size_t i, n;

	if (!yyjson_is_obj(v) || !yyjson_obj_size(v))
		return step_fail(e, s, -1, "inputs must name a value for each input of the model");
	yyjson_obj_foreach(v, i, n, key, value)
	{
		if (to->n_inputs == STEP_FROM_MAX)
			return step_fail(e, s, -1, "a model has at most %d inputs here",
					 STEP_FROM_MAX);
		if (ref_read(x, s, value, &to->inputs[to->n_inputs], e) < 0)
			return -1;
		to->input_names[to->n_inputs++] = region_strndup(&x->p->region, yyjson_get_str(key),
								 yyjson_get_len(key));
	}
	return 0;
}

static int param_read(struct parsing *x, struct step *s, const struct param *p, yyjson_val *v,
		      struct sconce_error *e)
{
	void *to = (char *)&s->params + p->at;

	switch (p->type) {
	case PARAM_FLAG:
		if (!yyjson_is_bool(v))
			return refuse(s, p, "true or false", e);
		*(bool *)to = yyjson_get_bool(v);
		return 0;
	case PARAM_INTEGER:
	case PARAM_REAL:
		return read_number(s, p, v, to, e);
	case PARAM_INTEGERS:
		return read_numbers(s, p, v, to, e);
	case PARAM_REALS:
		return read_reals(s, p, v, to, e);
	case PARAM_VALUE:
		return ref_read(x, s, v, to, e);
	case PARAM_VALUES:
		return read_values(x, s, v, e);
	default:
		return read_word(x, s, p, v, to, e);
	}
}

static void param_default(struct step *s, const struct param *p)
{
	void *to = (char *)&s->params + p->at;

	if (p->type == PARAM_FLAG || p->type == PARAM_CHOICE)
		*(bool *)to = p->fallback != 0;
	else if (p->type == PARAM_INTEGER)
		*(int64_t *)to = (int64_t)p->fallback;
	else if (p->type == PARAM_REAL)
		*(double *)to = p->fallback;
	else if (p->type == PARAM_FILTER)
		*(enum image_filter *)to = IMAGE_BILINEAR;
	else if (p->type == PARAM_DATATYPE)
		*(uint32_t *)to = (uint32_t)p->fallback;
	else if (p->type == PARAM_TEXT)
		*(const char **)to = p->words[0];
	else if (p->type == PARAM_VALUE)
		((struct ref *)to)->step = STEP_REQUEST - 1;
}

static const struct param *param_find(const struct op *op, struct slice name)
{
	for (unsigned i = 0; i < op->n_params; i++)
		if (slice_eq(slice_str(op->params[i].name), name))
			return &op->params[i];
	return NULL;
}

static int refuse_name(const struct step *s, struct slice name, struct sconce_error *e)
{
	unsigned best = 3;
	const char *like = NULL;

	for (unsigned i = 0; i < s->op->n_params; i++) {
		unsigned d = slice_distance(name, slice_str(s->op->params[i].name), best);

		if (d < best) {
			best = d;
			like = s->op->params[i].name;
		}
	}
	if (like)
		return step_fail(e, s, -1, "it has no parameter \"%.*s\": did you mean %s?",
				 (int)MIN(name.n, WORDS_SHOWN), name.p, like);
	return step_fail(e, s, -1, "it has no parameter \"%.*s\"", (int)MIN(name.n, WORDS_SHOWN),
			 name.p);
}

/* Those that are written with their names; `given`: bits of what there was. */
static int params_by_name(struct parsing *x, struct step *s, yyjson_val *object, uint32_t *given,
			  struct sconce_error *e)
{
	yyjson_val *key, *v;
	size_t i, n;

	yyjson_obj_foreach(object, i, n, key, v)
	{
		struct slice name = { yyjson_get_str(key), yyjson_get_len(key) };
		const struct param *p = param_find(s->op, name);

		if (slice_eq(name, SLICE("from")) || slice_eq(name, SLICE("as")))
			continue;
		if (!p)
			return refuse_name(s, name, e);
		*given |= 1u << (p - s->op->params);
		if (param_read(x, s, p, v, e) < 0)
			return -1;
	}
	return 0;
}

int params_read(struct parsing *x, struct step *s, yyjson_val *value, struct sconce_error *e)
{
	const struct op *op = s->op;
	uint32_t given = 0;

	for (unsigned i = 0; i < op->n_params; i++)
		param_default(s, &op->params[i]);
	if (yyjson_is_obj(value)) {
		if (params_by_name(x, s, value, &given, e) < 0)
			return -1;
	} else if (value && !yyjson_is_null(value)) {
		if (!op->n_params)
			return step_fail(e, s, -1, "it has no parameters");
		given |= 1;
		if (param_read(x, s, &op->params[0], value, e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < op->n_params; i++)
		if (op->params[i].required && !(given & 1u << i))
			return step_fail(e, s, -1, "it needs %s: %s", op->params[i].name,
					 op->params[i].help);
	return 0;
}
