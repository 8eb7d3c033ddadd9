/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ops.h"

/* The table of ops. */

#include "pipeline/tensor.h"

#define AT(field) offsetof(struct params, field)

static const struct param infer_params[] = {
	{ "output", PARAM_TEXT, AT(output),
	  "which of several outputs is its result; steps may also say from: infer.NAME" },
	{ "inputs", PARAM_VALUES, AT(inputs), "of a model with several: {image: a, mask: b}" },
	{ "rows", PARAM_FLAG, AT(rows),
	  "outputs have a row for each request, where batch was; false: all are the request's",
	  .fallback = 1 },
};

const struct op op_infer = {
	.name = "infer",
	.help = "the model",
	.takes = KIND_BIT(KIND_TENSOR),
	.gives = KIND_TENSOR,
	.params = infer_params,
	.n_params = ARRAY_LEN(infer_params),
};

static const struct op *const all[] = {
	&op_decode_image, &op_from_json,  &op_from_npy,    &op_from_raw,    &op_convert,
	&op_orient,       &op_resize,     &op_crop,        &op_center_crop, &op_pad,
	&op_flip,         &op_to_tensor,  &op_normalize,   &op_cast,        &op_transpose,
	&op_reshape,      &op_batch,      &op_infer,       &op_softmax,     &op_sigmoid,
	&op_argmax,       &op_best,       &op_topk,        &op_boxes,       &op_nms,
	&op_labels,       &op_mask,       &op_to_image,    &op_encode_json, &op_encode_npy,
	&op_encode_raw,   &op_encode_png, &op_encode_jpeg,
};
const struct op *const *const ops_all = all;
const size_t ops_n = ARRAY_LEN(all);

const struct op *op_find(struct slice name)
{
	for (size_t i = 0; i < ops_n; i++)
		if (slice_eq(slice_str(all[i]->name), name))
			return all[i];
	return NULL;
}

const char *op_guess(struct slice name)
{
	const char *like = NULL;
	unsigned best = 4;

	for (size_t i = 0; i < ops_n; i++) {
		unsigned d = slice_distance(name, slice_str(all[i]->name), best);

		if (d < best) {
			best = d;
			like = all[i]->name;
		}
	}
	return like;
}
