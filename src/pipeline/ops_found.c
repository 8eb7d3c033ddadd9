/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ops.h"

/* Objects on a picture, the names of classes. */

#include <math.h>
#include <string.h>

#include "pipeline/labels.h"
#include "pipeline/tensor.h"

#define AT(field) offsetof(struct params, field)
#define TENSOR KIND_BIT(KIND_TENSOR)
#define FOUND KIND_BIT(KIND_FOUND)
#define NMS_MAX 30000 /* what is compared pair by pair */

static const struct param boxes_params[] = {
	{ "boxes", PARAM_VALUE, AT(boxes), "N × 4", .required = true },
	{ "scores", PARAM_VALUE, AT(scores), "N, or N × classes", .required = true },
	{ "classes", PARAM_VALUE, AT(classes),
	  "N whole numbers; without it the best of the scores" },
	{ "threshold", PARAM_REAL, AT(threshold), "the least score", .fallback = 0.5, .min = -1e9,
	  .max = 1e9 },
	{ "form", PARAM_CHOICE, AT(middle), "corners: x1 y1 x2 y2; middle: x y width height",
	  .words = { "corners", "middle" } },
};

static bool is_whole(uint32_t dtype)
{
	return dtype >= SCONCE_UINT8 && dtype <= SCONCE_INT64;
}

static int boxes_check(const struct step *s, const struct type *in, struct type *out,
		       struct sconce_error *e)
{
	const struct type *boxes = &in[0], *scores = &in[1], *classes = &in[2];

	out->has_boxes = true;
	if (boxes->ndim != SCONCE_NDIM_ANY &&
	    (boxes->ndim != 2 || (boxes->shape[1] >= 0 && boxes->shape[1] != 4)))
		return step_fail(e, s, -1, "boxes must be N × 4");
	if (scores->ndim != SCONCE_NDIM_ANY && scores->ndim != 1 && scores->ndim != 2)
		return step_fail(e, s, -1, "scores must be N, or N × classes");
	if (s->n_from < 3)
		return 0;
	if (classes->dtype && !is_whole(classes->dtype))
		return step_fail(e, s, -1, "classes must be whole numbers, but are %s",
				 dtype_name(classes->dtype));
	if (classes->ndim != SCONCE_NDIM_ANY && classes->ndim != 1)
		return step_fail(e, s, -1, "classes must be N");
	return 0;
}

static bool boxes_fit(const struct value *in, unsigned n)
{
	const struct sconce_tensor *b = &in[0].tensor, *v = &in[1].tensor, *c = &in[2].tensor;

	return b->ndim == 2 && b->shape[1] == 4 && (v->ndim == 1 || v->ndim == 2) &&
	       v->shape[0] == b->shape[0] && (v->ndim == 1 || v->shape[1]) &&
	       (n < 3 || (c->ndim == 1 && c->shape[0] == b->shape[0] && is_whole(c->dtype))) &&
	       (n == 3 || v->ndim == 2);
}

static void box_put(struct found *f, const float *box, bool middle)
{
	if (!middle) {
		memcpy(f->box, box, sizeof(f->box));
		return;
	}
	f->box[0] = box[0] - box[2] / 2;
	f->box[1] = box[1] - box[3] / 2;
	f->box[2] = box[0] + box[2] / 2;
	f->box[3] = box[1] + box[3] / 2;
}

/* The score that counts, and its class where the scores are of several. */
static float best_of(const float *scores, size_t n, int64_t *ret_class)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (scores[i] > scores[best])
			best = i;
	*ret_class = (int64_t)best;
	return scores[best];
}

static int64_t class_of(const struct sconce_tensor *t, size_t i)
{
	size_t size = sconce_dtype_size(t->dtype);
	int64_t v = 0;

	/* Beyond 2^53 a double would not do. */
	memcpy(&v, (const char *)t->data + i * size, size);
	return t->dtype >= SCONCE_INT8
		       ? (int64_t)((uint64_t)v << (64 - 8 * size)) >> (64 - 8 * size)
		       : v;
}

static void boxes_take(const struct step *s, const struct value *in, const float *boxes,
		       const float *scores, struct value *out)
{
	size_t n = (size_t)in[0].tensor.shape[0];
	size_t each = in[1].tensor.ndim == 2 ? (size_t)in[1].tensor.shape[1] : 1;

	for (size_t i = 0; i < n; i++) {
		struct found *f = &out->found[out->n_found];

		f->score = best_of(scores + i * each, each, &f->class);
		/* A threshold is a float, too, where scores are. */
		if (!(f->score >= (float)s->params.threshold))
			continue;
		if (s->n_from == 3)
			f->class = class_of(&in[2].tensor, i);
		box_put(f, boxes + 4 * i, s->params.middle);
		out->n_found++;
	}
}

static int boxes_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		     struct value *out, struct sconce_error *e)
{
	float *own_boxes = NULL, *own_scores = NULL;
	const float *boxes, *scores;
	int r = 0;

	(void)run;
	if (!boxes_fit(in, s->n_from))
		return step_fail(e, s, -1,
				 "it takes boxes N × 4, scores N or N × classes, and classes N");
	boxes = value_floats(&in[0], &own_boxes);
	scores = value_floats(&in[1], &own_scores);
	out->found = calloc(MAX((size_t)in[0].tensor.shape[0], 1), sizeof(*out->found));
	out->kind = KIND_FOUND;
	out->has_boxes = true;
	if (boxes && scores && out->found)
		boxes_take(s, in, boxes, scores, out);
	else
		r = ops_no_memory(s, e);
	free(own_boxes);
	free(own_scores);
	return r;
}

const struct op op_boxes = {
	.name = "boxes",
	.help = "objects whose score is high enough, in the model's order",
	.takes = TENSOR,
	.gives = KIND_FOUND,
	.params = boxes_params,
	.n_params = ARRAY_LEN(boxes_params),
	.check = boxes_check,
	.run = boxes_run,
};

/* ---- nms ---- */

static const struct param nms_params[] = {
	{ "iou", PARAM_REAL, AT(iou), "boxes that have more in common than this are one object",
	  .fallback = 0.5, .max = 1 },
	{ "apart", PARAM_FLAG, AT(apart), "boxes of different classes are different objects",
	  .fallback = 1 },
	{ "max", PARAM_INTEGER, AT(max), "how many remain, at most; 0: all", .max = OPS_ANY_MAX },
};

#define LANES 16

/* Objects that remain, so many at a time, for a loop that the compiler turns into vectors. */
struct lanes {
	float x0[LANES], y0[LANES], x1[LANES], y1[LANES], area[LANES];
	int32_t class[LANES]; /* its lower half */
};

static float area(const float *b)
{
	return (b[2] - b[0]) * (b[3] - b[1]);
}

/* As C++ has them: the first where they cannot be compared. */
static float larger(float a, float b)
{
	return a < b ? b : a;
}

static float smaller(float a, float b)
{
	return b < a ? b : a;
}

/* As torchvision's nms(): in floats, but for the bound, which is a double there. */
static bool overlap(const float *a, const float *b, double iou)
{
	float width = larger(0, smaller(a[2], b[2]) - larger(a[0], b[0]));
	float height = larger(0, smaller(a[3], b[3]) - larger(a[1], b[1]));
	float both = width * height;

	return (double)(both / (area(a) + area(b) - both)) > iou;
}

/* Is it on one of these? It may say yes where classes are 2^32 apart, never no where it is.
 * `bound`: the largest float that is not above the bound, so floats compare as they do with it. */
static bool overlaps_any(const struct lanes *l, const struct found *f, float bound, bool apart)
{
	const float *b = f->box;
	int32_t class = (int32_t)f->class, hits = 0;
	float own = area(b);

	for (unsigned i = 0; i < LANES; i++) {
		float width = larger(0, smaller(l->x1[i], b[2]) - larger(l->x0[i], b[0]));
		float height = larger(0, smaller(l->y1[i], b[3]) - larger(l->y0[i], b[1]));
		float both = width * height;

		hits |= (both / (l->area[i] + own - both) > bound) &
			(!apart | (l->class[i] == class));
	}
	return hits;
}

static void lanes_add(struct lanes *all, size_t n, const struct found *f)
{
	struct lanes *l = &all[n / LANES];
	size_t i = n % LANES;

	l->x0[i] = f->box[0];
	l->y0[i] = f->box[1];
	l->x1[i] = f->box[2];
	l->y1[i] = f->box[3];
	l->area[i] = area(f->box);
	l->class[i] = (int32_t)f->class;
}

/* Lanes that are free are boxes without area at 0, which are on nothing. */
static bool is_new(const struct step *s, const struct value *kept, const struct lanes *lanes,
		   const struct found *f)
{
	float bound = (float)s->params.iou;

	if ((double)bound > s->params.iou)
		bound = nextafterf(bound, -1);
	for (size_t at = 0; at < kept->n_found; at += LANES) {
		if (!overlaps_any(&lanes[at / LANES], f, bound, s->params.apart))
			continue;
		for (size_t k = at; k < MIN(at + LANES, kept->n_found); k++)
			if ((!s->params.apart || kept->found[k].class == f->class) &&
			    overlap(kept->found[k].box, f->box, s->params.iou))
				return false;
	}
	return true;
}

static int by_score(const void *a, const void *b)
{
	const struct found *x = *(const struct found *const *)a,
			   *y = *(const struct found *const *)b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x < y ? -1 : x > y;
}

static int nms_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		   struct value *out, struct sconce_error *e)
{
	size_t n = in->n_found, most = s->params.max ? (size_t)s->params.max : n;
	const struct found **order;
	struct lanes *lanes;

	(void)run;
	if (n > NMS_MAX)
		return step_fail(e, s, -1, "%zu boxes are too many: raise the threshold of boxes",
				 n);
	order = malloc(MAX(n, 1) * sizeof(*order));
	lanes = calloc(n / LANES + 1, sizeof(*lanes));
	*out = (struct value){ .kind = KIND_FOUND, .has_boxes = true, .has_names = in->has_names };
	out->found = calloc(MAX(n, 1), sizeof(*out->found));
	if (!order || !lanes || !out->found) {
		free(order);
		free(lanes);
		return ops_no_memory(s, e);
	}
	for (size_t i = 0; i < n; i++)
		order[i] = &in->found[i];
	qsort(order, n, sizeof(*order), by_score);
	for (size_t i = 0; i < n && out->n_found < most; i++) {
		if (!is_new(s, out, lanes, order[i]))
			continue;
		lanes_add(lanes, out->n_found, order[i]);
		out->found[out->n_found++] = *order[i];
	}
	free(order);
	free(lanes);
	return 0;
}

static int nms_check(const struct step *s, const struct type *in, struct type *out,
		     struct sconce_error *e)
{
	*out = *in;
	return in->has_boxes ? 0 : step_fail(e, s, -1, "it takes objects, as boxes gives them");
}

const struct op op_nms = {
	.name = "nms",
	.help = "of objects on each other the one with the highest score, the highest first",
	.takes = FOUND,
	.gives = KIND_FOUND,
	.params = nms_params,
	.n_params = ARRAY_LEN(nms_params),
	.check = nms_check,
	.run = nms_run,
};

/* ---- labels ---- */

static const struct param labels_params[] = {
	{ "file", PARAM_TEXT, AT(file), "of the archive, as TorchServe's index_to_name.json",
	  .words = { "index_to_name.json" } },
};

static int found_check(const struct step *s, const struct type *in, struct type *out,
		       struct sconce_error *e)
{
	(void)s;
	(void)e;
	*out = *in;
	return 0;
}

static int labels_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		      struct value *out, struct sconce_error *e)
{
	(void)run;
	*out = (struct value){ .kind = KIND_FOUND,
			       .has_boxes = in->has_boxes,
			       .n_found = in->n_found };
	out->has_names = s->labels;
	out->found = malloc(MAX(in->n_found, 1) * sizeof(*out->found));
	if (!out->found)
		return ops_no_memory(s, e);
	memcpy(out->found, in->found, in->n_found * sizeof(*out->found));
	for (size_t i = 0; s->labels && i < out->n_found; i++) {
		const struct label *l = labels_find(s->labels, out->found[i].class);

		if (!l)
			return step_fail(e, s, -1, "%s has no name for class %lld", s->params.file,
					 (long long)out->found[i].class);
		out->found[i].name = l->name;
		out->found[i].shared = l->shared;
	}
	return 0;
}

const struct op op_labels = {
	.name = "labels",
	.help = "the names of classes; their numbers where there is no such file",
	.takes = FOUND,
	.gives = KIND_FOUND,
	.params = labels_params,
	.n_params = ARRAY_LEN(labels_params),
	.check = found_check,
	.run = labels_run,
};
