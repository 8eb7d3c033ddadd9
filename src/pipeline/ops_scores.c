/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ops.h"

/* What a model's numbers say of classes. */

#include <math.h>
#include <string.h>

#include "pipeline/order.h"
#include "pipeline/tensor.h"

#define AT(field) offsetof(struct params, field)
#define TENSOR KIND_BIT(KIND_TENSOR)

/* Elements along an axis: `inner` apart, n of them, `outer` * `inner` times. */
struct walk {
	size_t outer, n, inner;
};

static int walk_of(const struct step *s, const struct sconce_tensor *t, int64_t axis,
		   struct walk *ret, struct sconce_error *e)
{
	int a = ops_axis(axis, t->ndim);

	if (a < 0 || !t->shape[a] || !sconce_dtype_size(t->dtype))
		return step_fail(e, s, -1, "the tensor has no axis %lld with numbers",
				 (long long)axis);
	*ret = (struct walk){ .outer = 1, .n = (size_t)t->shape[a], .inner = 1 };
	for (int i = 0; i < a; i++)
		ret->outer *= (size_t)t->shape[i];
	for (uint32_t i = (uint32_t)a + 1; i < t->ndim; i++)
		ret->inner *= (size_t)t->shape[i];
	return 0;
}

static int axis_check(const struct step *s, const struct type *in, struct sconce_error *e)
{
	if (in->ndim == SCONCE_NDIM_ANY || ops_axis(s->params.axis, in->ndim) >= 0)
		return 0;
	return step_fail(e, s, -1, "there is no axis %lld of %u", (long long)s->params.axis,
			 in->ndim);
}

static const struct param axis_params[] = {
	{ "axis", PARAM_INTEGER, AT(axis), "along which; -1 is the last", .fallback = -1,
	  .min = -SCONCE_NDIM_MAX, .max = SCONCE_NDIM_MAX },
};

/* ---- softmax, sigmoid ---- */

static int same_check(const struct step *s, const struct type *in, struct type *out,
		      struct sconce_error *e)
{
	*out = *in;
	out->dtype = SCONCE_FP32;
	return axis_check(s, in, e);
}

/* Rows of `inner` are worked on as a whole: they lie together. */
static void softmax_block(const float *from, float *to, const struct walk *w, float *most,
			  float *sum)
{
	memcpy(most, from, w->inner * sizeof(*most));
	for (size_t i = 1; i < w->n; i++)
		for (size_t k = 0; k < w->inner; k++) {
			float v = from[i * w->inner + k];

			most[k] = most[k] < v || isnan(v) ? v : most[k];
		}
	memset(sum, 0, w->inner * sizeof(*sum));
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->inner; k++) {
			size_t at = i * w->inner + k;

			to[at] = expf(from[at] - most[k]);
			sum[k] += to[at];
		}
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->inner; k++)
			to[i * w->inner + k] /= sum[k];
}

/* Memory for the result, and the elements as floats. */
static int floats_begin(const struct step *s, const struct value *in, struct value *out,
			const float **ret_from, float **ret_own, struct sconce_error *e)
{
	out->tensor = in->tensor;
	out->tensor.release = NULL;
	out->tensor.dtype = SCONCE_FP32;
	*ret_from = value_floats(in, ret_own);
	return *ret_from && value_place(out) ? 0 : ops_no_memory(s, e);
}

static int softmax_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		       struct value *out, struct sconce_error *e)
{
	float *own = NULL, *room = NULL;
	const float *from;
	struct walk w;
	int r;

	(void)run;
	r = walk_of(s, &in->tensor, s->params.axis, &w, e);
	if (r < 0)
		return r;
	r = floats_begin(s, in, out, &from, &own, e);
	if (!r) {
		room = malloc(MAX(w.inner, 1) * 2 * sizeof(*room));
		r = room ? 0 : ops_no_memory(s, e);
	}
	for (size_t o = 0; !r && o < w.outer; o++)
		softmax_block(from + o * w.n * w.inner,
			      (float *)out->tensor.data + o * w.n * w.inner, &w, room,
			      room + w.inner);
	free(room);
	free(own);
	return r;
}

const struct op op_softmax = {
	.name = "softmax",
	.help = "probabilities that add up to 1",
	.takes = TENSOR,
	.gives = KIND_TENSOR,
	.params = axis_params,
	.n_params = ARRAY_LEN(axis_params),
	.check = same_check,
	.run = softmax_run,
};

static int sigmoid_check(const struct step *s, const struct type *in, struct type *out,
			 struct sconce_error *e)
{
	(void)s;
	(void)e;
	*out = *in;
	out->dtype = SCONCE_FP32;
	return 0;
}

static int sigmoid_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		       struct value *out, struct sconce_error *e)
{
	const float *from;
	float *own = NULL;
	uint64_t n = 0;
	int r = floats_begin(s, in, out, &from, &own, e);

	(void)run;
	tensor_count(&in->tensor, &n);
	for (uint64_t i = 0; !r && i < n; i++)
		((float *)out->tensor.data)[i] = 1 / (1 + expf(-from[i]));
	free(own);
	return r;
}

const struct op op_sigmoid = {
	.name = "sigmoid",
	.help = "1 / (1 + exp(-x)) of each element",
	.takes = TENSOR,
	.gives = KIND_TENSOR,
	.check = sigmoid_check,
	.run = sigmoid_run,
};

/* ---- the largest ---- */

/* Is a new largest? The first of equal ones counts, and NaN above all, as in torch. */
static bool is_more(float v, float most)
{
	return !isnan(most) && (v > most || isnan(v));
}

/* Of each place along the axis: which is the largest, and how large is it? */
static void find_largest(const float *from, const struct walk *w, int64_t *which, float *most)
{
	memset(which, 0, w->inner * sizeof(*which));
	memcpy(most, from, w->inner * sizeof(*most));
	for (size_t i = 1; i < w->n; i++)
		for (size_t k = 0; k < w->inner; k++) {
			float v = from[i * w->inner + k];

			if (is_more(v, most[k])) {
				most[k] = v;
				which[k] = (int64_t)i;
			}
		}
}

static void drop_axis(int64_t *shape, uint32_t *ndim, int axis)
{
	memmove(shape + axis, shape + axis + 1, (*ndim - (uint32_t)axis - 1) * sizeof(*shape));
	(*ndim)--;
}

static int argmax_check(const struct step *s, const struct type *in, struct type *out,
			struct sconce_error *e)
{
	if (axis_check(s, in, e) < 0)
		return -1;
	*out = *in;
	out->dtype = SCONCE_INT64;
	if (in->ndim != SCONCE_NDIM_ANY)
		drop_axis(out->shape, &out->ndim, ops_axis(s->params.axis, in->ndim));
	return 0;
}

static const struct param best_params[] = {
	{ "axis", PARAM_INTEGER, AT(axis), "along which; -1 is the last", .fallback = -1,
	  .min = -SCONCE_NDIM_MAX, .max = SCONCE_NDIM_MAX - 1 },
	{ "dimensions", PARAM_INTEGER, AT(dimensions), "that the tensor must have; 0: any number",
	  .max = SCONCE_NDIM_MAX },
};

static int best_fits(const struct step *s, uint32_t ndim, struct sconce_error *e)
{
	int64_t wanted = s->params.dimensions;

	if (!wanted || ndim == SCONCE_NDIM_ANY || ndim == wanted)
		return 0;
	return step_fail(e, s, -1, "it takes %lld dimensions, but is given %u", (long long)wanted,
			 ndim);
}

static int best_check(const struct step *s, const struct type *in, struct type *out,
		      struct sconce_error *e)
{
	if (best_fits(s, in->ndim, e) < 0 || argmax_check(s, in, out, e) < 0)
		return -1;
	out->dtype = SCONCE_FP32;
	if (out->ndim != SCONCE_NDIM_ANY)
		out->shape[out->ndim++] = 2;
	return 0;
}

/* `pairs`: (class, score), both FP32; else classes, INT64. */
static int largest_run(const struct step *s, const struct value *in, struct value *out, bool pairs,
		       struct sconce_error *e)
{
	float *own = NULL, *most = NULL;
	int64_t *which = NULL;
	const float *from;
	struct walk w;
	int r = walk_of(s, &in->tensor, s->params.axis, &w, e);

	if (r < 0)
		return r;
	out->tensor = in->tensor;
	out->tensor.release = NULL;
	out->tensor.dtype = pairs ? SCONCE_FP32 : SCONCE_INT64;
	drop_axis(out->tensor.shape, &out->tensor.ndim, ops_axis(s->params.axis, in->tensor.ndim));
	if (pairs)
		out->tensor.shape[out->tensor.ndim++] = 2;
	from = value_floats(in, &own);
	most = malloc(MAX(w.inner, 1) * sizeof(*most));
	which = malloc(MAX(w.inner, 1) * sizeof(*which));
	if (!from || !most || !which || !value_place(out))
		r = ops_no_memory(s, e);
	for (size_t o = 0; !r && o < w.outer; o++) {
		find_largest(from + o * w.n * w.inner, &w, which, most);
		for (size_t k = 0; k < w.inner; k++) {
			float *pair = (float *)out->tensor.data + 2 * (o * w.inner + k);

			if (pairs) {
				pair[0] = (float)which[k];
				pair[1] = most[k];
			} else {
				((int64_t *)out->tensor.data)[o * w.inner + k] = which[k];
			}
		}
	}
	free(most);
	free(which);
	free(own);
	return r;
}

static int argmax_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		      struct value *out, struct sconce_error *e)
{
	(void)run;
	return largest_run(s, in, out, false, e);
}

static int best_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		    struct value *out, struct sconce_error *e)
{
	int r = best_fits(s, in->tensor.ndim, e);

	(void)run;
	return r < 0 ? r : largest_run(s, in, out, true, e);
}

const struct op op_argmax = {
	.name = "argmax",
	.help = "the number of the largest along an axis, INT64",
	.takes = TENSOR,
	.gives = KIND_TENSOR,
	.params = axis_params,
	.n_params = ARRAY_LEN(axis_params),
	.check = argmax_check,
	.run = argmax_run,
};

const struct op op_best = {
	.name = "best",
	.help = "the number of the largest along an axis, and how large it is: pairs, FP32",
	.takes = TENSOR,
	.gives = KIND_TENSOR,
	.params = best_params,
	.n_params = ARRAY_LEN(best_params),
	.check = best_check,
	.run = best_run,
};

/* ---- topk ---- */

static const struct param topk_params[] = {
	{ "k", PARAM_INTEGER, AT(k), "how many, at most", .fallback = 5, .min = 1,
	  .max = OPS_ANY_MAX },
};

static int topk_check(const struct step *s, const struct type *in, struct type *out,
		      struct sconce_error *e)
{
	(void)out;
	if (in->ndim == SCONCE_NDIM_ANY || in->ndim == 1)
		return 0;
	return step_fail(e, s, -1, "it takes the scores of classes, one dimension, but is given %u",
			 in->ndim);
}

static int topk_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		    struct value *out, struct sconce_error *e)
{
	size_t n = (size_t)in->tensor.shape[0], k = MIN((size_t)s->params.k, n);
	struct ranked *all;
	const float *from;
	float *own = NULL;

	(void)run;
	if (in->tensor.ndim != 1 || !sconce_dtype_size(in->tensor.dtype))
		return step_fail(e, s, -1, "the scores of classes must have one dimension");
	from = value_floats(in, &own);
	all = malloc(MAX(n, 1) * sizeof(*all));
	out->found = calloc(MAX(k, 1), sizeof(*out->found));
	out->kind = KIND_FOUND;
	if (!from || !all || !out->found) {
		free(all);
		free(own);
		return ops_no_memory(s, e);
	}
	for (size_t i = 0; i < n; i++)
		all[i] = (struct ranked){ from[i], (int64_t)i };
	order_top(all, n, k);
	for (out->n_found = 0; out->n_found < k; out->n_found++) {
		out->found[out->n_found].class = all[out->n_found].place;
		out->found[out->n_found].score = all[out->n_found].score;
	}
	free(all);
	free(own);
	return 0;
}

const struct op op_topk = {
	.name = "topk",
	.help = "the classes with the highest scores, the highest first",
	.takes = TENSOR,
	.gives = KIND_FOUND,
	.params = topk_params,
	.n_params = ARRAY_LEN(topk_params),
	.check = topk_check,
	.run = topk_run,
};
