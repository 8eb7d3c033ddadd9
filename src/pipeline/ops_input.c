/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ops.h"

/* What clients send, as pictures and tensors. */

#include <stdlib.h>
#include <string.h>

#include "pipeline/npy.h"
#include "pipeline/request.h"
#include "pipeline/tensor.h"

#define AT(field) offsetof(struct params, field)
#define SENT (KIND_BIT(KIND_BYTES) | KIND_BIT(KIND_TEXT) | KIND_BIT(KIND_JSON))

static const struct param decode_params[] = {
	{ "lists", PARAM_FLAG, AT(lists),
	  "lists of numbers in JSON are taken, too, and go past the steps on the picture" },
	{ "scaled", PARAM_FLAG, AT(scaled),
	  "a large JPEG may be decoded smaller: faster, and a little different" },
	{ "device", PARAM_CHOICE, AT(on_gpu),
	  "gpu: JPEGs are decoded by nvJPEG where the model runs on a GPU, a little different",
	  .words = { "cpu", "gpu" } },
};

static int decode_check(const struct step *s, const struct type *in _unused_,
			struct type *out _unused_, struct sconce_error *e)
{
	if (s->params.scaled && s->params.on_gpu)
		return step_fail(e, s, -1, "scaled: true and device: gpu exclude each other");
	return 0;
}

/* Alone, where its picture is not handed to a chain. */
static int decode_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		      struct value *out, struct sconce_error *e)
{
	struct image_limits limits = request_limits(run);
	struct value picture = { 0 };
	struct image_error why;
	uint8_t orientation;
	int r = request_picture(s, in, &picture, out, e);

	if (r < 0) {
		value_finish(&picture);
		return r;
	}
	out->image = calloc(1, sizeof(*out->image));
	out->kind = KIND_IMAGE;
	r = out->image ? image_decode(picture.bytes.p, picture.bytes.n, &limits, out->image, &why)
		       : image_fail(&why, IMAGE_NO_MEMORY, "there is no memory for the picture");
	if (r < 0)
		r = decoded_elsewhere(s, run, picture.bytes, IMAGE_MODES, r, &why, out->image,
				      &orientation, e);
	value_finish(&picture);
	return r;
}

const struct op op_decode_image = {
	.name = "decode_image",
	.help = "a picture (JPEG, PNG, WebP, GIF, BMP; others with Pillow's help), also in base64",
	.takes = SENT,
	.gives = KIND_IMAGE,
	.params = decode_params,
	.n_params = ARRAY_LEN(decode_params),
	.check = decode_check,
	.run = decode_run,
};

/* ---- tensors ---- */

static const struct param json_params[] = {
	{ "datatype", PARAM_DATATYPE, AT(dtype), "of the tensor", .fallback = SCONCE_FP32 },
	{ "member", PARAM_TEXT, AT(member), "of the object that the lists are in" },
};

static int datatype_check(const struct step *s, const struct type *in, struct type *out,
			  struct sconce_error *e)
{
	(void)in;
	(void)e;
	out->dtype = s->params.dtype;
	return 0;
}

static int from_json_run(const struct step *s, struct pipeline_run *run, const struct value *in,
			 struct value *out, struct sconce_error *e)
{
	yyjson_doc *doc = in->kind == KIND_JSON ? in->doc : json_loads(in->bytes);
	yyjson_val *v = yyjson_doc_get_root(doc);
	int r;

	(void)run;
	if (s->params.member)
		v = yyjson_obj_get(v, s->params.member);
	if (!doc)
		r = step_fail(e, s, SCONCE_BAD_INPUT, "the request is no JSON");
	else if (!v)
		r = step_fail(e, s, SCONCE_BAD_INPUT, "the request is no object with \"%.60s\"",
			      s->params.member);
	else
		r = lists_read(s, v, yyjson_doc_get_val_count(doc), s->params.dtype, out, e);
	if (doc != in->doc)
		yyjson_doc_free(doc);
	return r;
}

const struct op op_from_json = {
	.name = "from_json",
	.help = "nested lists of numbers in JSON as a tensor",
	.takes = SENT,
	.gives = KIND_TENSOR,
	.params = json_params,
	.n_params = ARRAY_LEN(json_params),
	.check = datatype_check,
	.run = from_json_run,
};

/* A copy: engines and steps read aligned memory. */
static int tensor_copy(const struct step *s, struct value *out, struct slice data,
		       struct sconce_error *e)
{
	if (!value_place(out))
		return step_fail(e, s, SCONCE_NO_MEMORY, "there is no memory for the tensor");
	if (out->tensor.bytes != data.n)
		return step_fail(e, s, SCONCE_BAD_INPUT, "%zu bytes came, but its shape needs %llu",
				 data.n, (unsigned long long)out->tensor.bytes);
	if (data.n)
		memcpy(out->tensor.data, data.p, data.n);
	if (!tensor_bools_sound(&out->tensor))
		return step_fail(e, s, SCONCE_BAD_INPUT, "flags must be bytes of 0 or 1");
	return 0;
}

static int from_npy_run(const struct step *s, struct pipeline_run *run, const struct value *in,
			struct value *out, struct sconce_error *e)
{
	struct sconce_error why = { "" };
	struct slice data;
	uint64_t count, bytes;

	(void)run;
	if (npy_read(in->bytes, "npy", &out->tensor, &data, &why) < 0)
		return step_fail(e, s, SCONCE_BAD_INPUT, "%.300s", why.text);
	/* No memory for a shape that the file does not fill. */
	if (!tensor_count(&out->tensor, &count) ||
	    __builtin_mul_overflow(count, (uint64_t)sconce_dtype_size(out->tensor.dtype), &bytes) ||
	    bytes != data.n)
		return step_fail(
			e, s, SCONCE_BAD_INPUT,
			"its file has %zu bytes of elements, which are not as many as its shape "
			"needs",
			data.n);
	if (!tensor_empty_is_bounded(&out->tensor))
		return step_fail(e, s, SCONCE_BAD_INPUT,
				 "its file has no elements, but sizes that are too large");
	return tensor_copy(s, out, data, e);
}

const struct op op_from_npy = {
	.name = "from_npy",
	.help = "a file of numpy.save() as a tensor",
	.takes = KIND_BIT(KIND_BYTES),
	.gives = KIND_TENSOR,
	.run = from_npy_run,
};

static const struct param raw_params[] = {
	{ "shape", PARAM_INTEGERS, AT(shape), "of the tensor; one size may be -1", .min = -1,
	  .max = 1 << 30, .required = true },
	{ "datatype", PARAM_DATATYPE, AT(dtype), "of the tensor", .fallback = SCONCE_FP32 },
};

static int raw_check(const struct step *s, const struct type *in, struct type *out,
		     struct sconce_error *e)
{
	unsigned any = 0;

	(void)in;
	out->dtype = s->params.dtype;
	out->ndim = s->params.shape.n;
	for (unsigned i = 0; i < out->ndim; i++) {
		out->shape[i] = s->params.shape.v[i];
		any += out->shape[i] < 0;
	}
	return any < 2 ? 0 : step_fail(e, s, -1, "shape: only one size may be -1");
}

/* Sizes as they are said; one that is not, from the number of elements. */
int ops_shape(const struct step *s, uint64_t count, struct sconce_tensor *t, struct sconce_error *e)
{
	uint64_t known = 1;
	int any = -1;

	t->ndim = s->params.shape.n;
	for (uint32_t i = 0; i < t->ndim; i++) {
		t->shape[i] = s->params.shape.v[i];
		if (t->shape[i] < 0)
			any = (int)i;
		else if (__builtin_mul_overflow(known, (uint64_t)t->shape[i], &known))
			known = 0;
	}
	if (any >= 0 && known && count % known == 0)
		t->shape[any] = (int64_t)(count / known);
	else if (any >= 0 || known != count)
		return step_fail(e, s, SCONCE_BAD_INPUT, "%llu elements do not fill its shape",
				 (unsigned long long)count);
	return 0;
}

static int from_raw_run(const struct step *s, struct pipeline_run *run, const struct value *in,
			struct value *out, struct sconce_error *e)
{
	size_t size = sconce_dtype_size(s->params.dtype);

	(void)run;
	out->tensor = (struct sconce_tensor){ .dtype = s->params.dtype };
	if (in->bytes.n % size)
		return step_fail(e, s, SCONCE_BAD_INPUT, "%zu bytes are no %s", in->bytes.n,
				 dtype_name(s->params.dtype));
	if (ops_shape(s, in->bytes.n / size, &out->tensor, e) < 0)
		return SCONCE_BAD_INPUT;
	return tensor_copy(s, out, in->bytes, e);
}

const struct op op_from_raw = {
	.name = "from_raw",
	.help = "the bytes of a tensor, little-endian",
	.takes = KIND_BIT(KIND_BYTES),
	.gives = KIND_TENSOR,
	.params = raw_params,
	.n_params = ARRAY_LEN(raw_params),
	.check = raw_check,
	.run = from_raw_run,
};
