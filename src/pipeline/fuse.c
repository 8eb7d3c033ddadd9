/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/step.h"

/* Steps on pictures that follow each other become one chain of image/, which does them in one pass
 * over the rows; and what no step takes any more is given up at once. */

#include "pipeline/request.h"

#include <stdlib.h>

#include "base/util.h"

static unsigned uses_of(const struct pipeline *p, int step)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++)
		for (unsigned k = 0; k < p->steps[i].n_from; k++)
			n += p->steps[i].from[k].step == step;
	return n;
}

static void find_last_uses(struct pipeline *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		p->steps[i].last_use = (int)i;
		for (unsigned k = i + 1; k < p->n; k++)
			for (unsigned f = 0; f < p->steps[k].n_from; f++)
				if (p->steps[k].from[f].step == (int)i)
					p->steps[i].last_use = (int)k;
	}
}

/* Takes the last step's result, which nobody else does. */
static bool follows(const struct pipeline *p, unsigned i)
{
	return i && p->steps[i].n_from == 1 && p->steps[i].from[0].step == (int)i - 1 &&
	       uses_of(p, (int)i - 1) == 1;
}

static bool as_image_step(const struct step *s, struct image_step *ret)
{
	*ret = (struct image_step){ 0 };
	return s->op->image && s->op->image(s, ret);
}

/* From `first` on; returns the step behind the last of them. */
static unsigned chain_length(const struct pipeline *p, unsigned first)
{
	bool tensor = false;
	unsigned i = first;
	struct image_step one;

	for (; i < p->n && (i == first || follows(p, i)); i++) {
		/* What works on tensors belongs to a chain only behind what makes one of a picture.
		 */
		if (!as_image_step(&p->steps[i], &one) ||
		    (!tensor && one.op >= IMAGE_NORMALIZE && one.op < IMAGE_OPS))
			break;
		tensor = tensor || one.op == IMAGE_TO_TENSOR || one.op == IMAGE_TO_BYTES;
	}
	return i;
}

/* The first step of a chain may be preceded by that which decodes. */
static int chain_make(struct pipeline *p, unsigned first, unsigned end, struct sconce_error *e)
{
	struct image_step *steps = region_alloc(&p->region, (end - first) * sizeof(*steps));
	struct step *last = &p->steps[end - 1];
	bool decodes = follows(p, first) && p->steps[first - 1].op == &op_decode_image;
	struct image_error why;

	for (unsigned i = first; i < end; i++)
		as_image_step(&p->steps[i], &steps[i - first]);
	last->chain = (struct image_chain){ .steps = steps, .n = end - first };
	if (image_chain_check(&last->chain, &why) < 0)
		return step_fail(e, &p->steps[first], -1, "%.400s", why.text);
	last->first = (int)(decodes ? first - 1 : first);
	if (decodes) {
		last->chain.scaled = p->steps[first - 1].params.scaled;
		last->chain.on_gpu = p->steps[first - 1].params.on_gpu;
	}
	for (int i = last->first; i < (int)end - 1; i++)
		p->steps[i].fused = true;
	return 0;
}

/* Numbers in place of a picture go past the chain, so it must end with what they are. */
static int check_lists(const struct pipeline *p, struct sconce_error *e)
{
	for (unsigned i = 0; i < p->n; i++) {
		const struct step *s = &p->steps[i];
		unsigned k = i;

		if (s->op != &op_decode_image || !s->params.lists)
			continue;
		while (k < p->n && p->steps[k].fused)
			k++;
		if (k == i || p->steps[k].first != (int)i || p->steps[k].type.kind != KIND_TENSOR ||
		    p->steps[k].type.dtype != SCONCE_FP32)
			return step_fail(
				e, s, -1,
				"with lists: true the steps on the picture must follow and "
				"end with a tensor FP32");
	}
	return 0;
}

/* The one step that takes what this one gives; NULL: several do, or none. */
static const struct step *only_use(const struct pipeline *p, unsigned step)
{
	const struct step *s = &p->steps[p->steps[step].last_use];

	return uses_of(p, (int)step) == 1 ? s : NULL;
}

/* Tensors of pictures that go to the model as they are, or with the dimension of requests. */
static void find_for_model(struct pipeline *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		const struct step *s = p->steps[i].chain.n ? only_use(p, i) : NULL;

		if (s && s->op == &op_batch)
			s = only_use(p, s->number - 1);
		p->steps[i].to_model = s && s->op == &op_infer;
	}
}

int fuse(struct pipeline *p, struct sconce_error *e)
{
	for (unsigned i = 0; i < p->n;) {
		unsigned end = chain_length(p, i);

		if (end > i && chain_make(p, i, end, e) < 0)
			return -1;
		i = MAX(end, i + 1);
	}
	find_last_uses(p);
	find_for_model(p);
	/* What a chain begins with is needed until its end. */
	for (unsigned i = 0; i < p->n; i++)
		for (unsigned k = 0; k < p->steps[p->steps[i].first].n_from; k++) {
			int from = p->steps[p->steps[i].first].from[k].step;

			if (from >= 0)
				p->steps[from].last_use = MAX(p->steps[from].last_use, (int)i);
		}
	return check_lists(p, e);
}

/* ---- running ---- */

/* What comes of reading the picture, which somebody else may yet read: *ret_why says why not. */
#define CHAIN_UNREAD 1
/* The GPU has not made the tensor: it is the processor's turn, with the picture from its beginning.
 */
#define CHAIN_AGAIN 2

static int chain_gpu(const struct step *s, struct image_gpu *gpu, struct image_plan *plan,
		     struct slice file, struct image_reader *reader, struct value *out,
		     struct image_error *ret_why, struct sconce_error *e)
{
	void *made = NULL;
	int r = image_gpu_tensor(gpu, plan, file, reader, &made, ret_why);

	if (r == IMAGE_NO_MEMORY)
		return step_fail(e, s, SCONCE_NO_MEMORY, "%.250s", ret_why->text);
	if (r < 0)
		return r == IMAGE_GPU_FAILED ? CHAIN_AGAIN : CHAIN_UNREAD;
	out->kind = KIND_TENSOR;
	out->gpu = gpu;
	out->owned = out->tensor.data = made;
	out->tensor.bytes = image_plan_result(plan)->bytes;
	return 0;
}

static int chain_tensor(const struct step *s, struct image_gpu *gpu, struct image_plan *plan,
			struct slice file, struct image_reader *reader, struct value *out,
			struct image_error *ret_why, struct sconce_error *e)
{
	static const uint32_t dtypes[] = {
		[IMAGE_U8] = SCONCE_UINT8, [IMAGE_F16] = SCONCE_FP16, [IMAGE_F32] = SCONCE_FP32
	};
	const struct image_result *is = image_plan_result(plan);
	int r;

	out->tensor = (struct sconce_tensor){ .dtype = dtypes[is->element], .ndim = 3 };
	for (unsigned i = 0; i < 3; i++)
		out->tensor.shape[i] = is->shape[i];
	if (gpu && s->to_model && image_gpu_does(gpu, plan))
		return chain_gpu(s, gpu, plan, file, reader, out, ret_why, e);
	if (!value_place(out) || out->tensor.bytes != is->bytes)
		return step_fail(e, s, SCONCE_NO_MEMORY, "there is no memory for the picture");
	r = image_plan_tensor(plan, reader, out->tensor.data, ret_why);
	if (r == IMAGE_NO_MEMORY)
		return step_fail(e, s, SCONCE_NO_MEMORY, "%.250s", ret_why->text);
	return r < 0 ? CHAIN_UNREAD : 0;
}

static int chain_image(const struct step *s, struct image_plan *plan, struct image_reader *reader,
		       struct value *out, struct image_error *ret_why, struct sconce_error *e)
{
	int r;

	out->image = calloc(1, sizeof(*out->image));
	if (!out->image)
		return step_fail(e, s, SCONCE_NO_MEMORY, "there is no memory for the picture");
	out->kind = KIND_IMAGE;
	r = image_plan_image(plan, reader, out->image, ret_why);
	if (r == IMAGE_NO_MEMORY)
		return step_fail(e, s, SCONCE_NO_MEMORY, "%.250s", ret_why->text);
	return r < 0 ? CHAIN_UNREAD : 0;
}

/* What may not be decoded may not be made of a few bytes either. */
static int check_pixels(const struct step *s, const struct image_plan *plan,
			const struct image_info *of, uint64_t allowed, struct sconce_error *e)
{
	uint64_t pixels = image_plan_result(plan)->pixels;

	if (pixels <= allowed)
		return 0;
	return step_fail(e, s, SCONCE_BAD_INPUT,
			 "a picture of %u × %u becomes one of %llu pixels, more than the %llu "
			 "allowed",
			 of->width, of->height, (unsigned long long)pixels,
			 (unsigned long long)allowed);
}

/* `file`: what the reader reads, where that is a file. */
static int chain_read(const struct step *s, struct image_gpu *gpu, struct slice file,
		      struct image_reader *reader, uint64_t allowed, struct value *out,
		      struct image_error *ret_why, struct sconce_error *e)
{
	const struct image_info *info = image_reader_info(reader);
	struct image_plan *plan = NULL;
	struct image_error why;
	int r = image_plan_create(&s->chain, info, &plan, &why);

	if (r < 0)
		return step_fail(e, s, image_code(r), "%.250s", why.text);
	r = check_pixels(s, plan, info, allowed, e);
	if (!r)
		r = image_plan_result(plan)->tensor
			    ? chain_tensor(s, gpu, plan, file, reader, out, ret_why, e)
			    : chain_image(s, plan, reader, out, ret_why, e);
	image_plan_free(plan);
	if (r > 0)
		value_finish(out);
	return r;
}

/* A picture in memory. */
static int chain_of(const struct step *s, struct image_gpu *gpu, const struct image *image,
		    uint8_t orientation, uint64_t allowed, struct value *out,
		    struct sconce_error *e)
{
	struct image_reader *reader = NULL;
	struct image_error why = { "" };
	int r = image_reader_of(image, orientation, &reader, &why);

	if (!r)
		r = chain_read(s, gpu, (struct slice){ 0 }, reader, allowed, out, &why, e);
	else
		r = step_fail(e, s, image_code(r), "%.250s", why.text);
	image_reader_close(reader);
	if (r == CHAIN_AGAIN)
		return chain_of(s, NULL, image, orientation, allowed, out, e);
	return r == CHAIN_UNREAD ? step_fail(e, s, SCONCE_BAD_INPUT, "%.250s", why.text) : r;
}

/* *ret_code: of image/, where it is CHAIN_UNREAD. */
static int chain_of_bytes(const struct step *s, const struct pipeline_run *run,
			  struct image_gpu *gpu, struct slice bytes, struct value *out,
			  int *ret_code, struct image_error *ret_why, struct sconce_error *e)
{
	struct image_limits limits = request_limits(run);
	struct image_reader *reader = NULL;
	int code = image_open(bytes.p, bytes.n, &limits, &reader, ret_why), r = CHAIN_UNREAD;

	*ret_code = code ? code : IMAGE_BAD;
	if (!code)
		r = chain_read(s, gpu, bytes, reader, limits.pixels, out, ret_why, e);
	image_reader_close(reader);
	if (r == CHAIN_AGAIN)
		return chain_of_bytes(s, run, NULL, bytes, out, ret_code, ret_why, e);
	return r;
}

/* That the picture is converted to; before or after it is turned or mirrored is the same. */
static unsigned wanted_mode(const struct image_chain *c)
{
	size_t i = 0;

	while (i < c->n && (c->steps[i].op == IMAGE_ORIENT || c->steps[i].op == IMAGE_FLIP_X ||
			    c->steps[i].op == IMAGE_FLIP_Y))
		i++;
	return i < c->n && c->steps[i].op == IMAGE_CONVERT ? c->steps[i].mode : IMAGE_MODES;
}

/* The bytes of a file; what image/ does not read, others may. */
static int chain_of_file(const struct step *s, const struct step *first,
			 const struct pipeline_run *run, struct slice bytes, struct value *out,
			 struct sconce_error *e)
{
	unsigned mode = wanted_mode(&s->chain);
	struct image_gpu *gpu = run->request->gpu;
	struct image_error why = { "" };
	struct image image = { 0 };
	uint8_t orientation = 1;
	int code, r = chain_of_bytes(s, run, gpu, bytes, out, &code, &why, e);

	if (r != CHAIN_UNREAD)
		return r;
	r = decoded_elsewhere(first, run, bytes, mode, code, &why, &image, &orientation, e);
	if (!r)
		r = chain_of(s, gpu, &image, orientation, request_limits(run).pixels, out, e);
	image_free(&image);
	return r;
}

int chain_run(const struct step *s, struct pipeline_run *run, const struct value *in,
	      struct value *out, struct sconce_error *e)
{
	const struct step *first = &run->p->steps[s->first];
	struct value picture = { 0 };
	int r;

	if (first->op != &op_decode_image)
		return chain_of(s, run->request->gpu, in->image, 1, request_limits(run).pixels, out,
				e);
	r = request_picture(first, in, &picture, out, e);
	if (!r && out->kind != KIND_TENSOR)
		r = chain_of_file(s, first, run, picture.bytes, out, e);
	value_finish(&picture);
	return r;
}
