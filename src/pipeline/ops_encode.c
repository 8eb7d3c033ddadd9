/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ops.h"

/* The answer's bytes. */

#include <errno.h>
#include <string.h>

#include "image/encode.h"
#include "pipeline/npy.h"
#include "pipeline/text.h"

#define AT(field) offsetof(struct params, field)
#define INDENT_NONE (-1)

/* Beyond the bound of answers: the caller knows what that is. */
static int full(struct buf *out)
{
	return buf_overflowed(out) ? -ENOBUFS : 0;
}

static const struct param json_params[] = {
	{ "indent", PARAM_INTEGER, AT(indent), "spaces a level; -1: all in one line",
	  .fallback = INDENT_NONE, .min = INDENT_NONE, .max = 16 },
	{ "form", PARAM_CHOICE, AT(records),
	  "of findings. scores: {name: score}, or [{name: box, \"score\": …}] of objects; records: "
	  "[{\"class\", \"label\", \"score\", \"box\"}]",
	  .words = { "scores", "records" } },
	{ "digits", PARAM_CHOICE, AT(doubles),
	  "of floats. float: as few as read back equal; double: as Python prints them",
	  .words = { "float", "double" } },
};

static int json_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		    struct value *out, struct sconce_error *e)
{
	const struct text_form form = { .indent = (int)s->params.indent,
					.doubles = s->params.doubles,
					.records = s->params.records };

	if (in->kind == KIND_TENSOR && !sconce_dtype_size(in->tensor.dtype))
		return step_fail(e, s, -1, "texts are not written");
	run->answer->type = "application/json";
	text_put(&run->answer->body, in, &form);
	out->kind = KIND_ANSWER;
	return full(&run->answer->body);
}

const struct op op_encode_json = {
	.name = "encode_json",
	.help = "the answer is JSON: nested lists of a tensor, or findings",
	.takes = KIND_BIT(KIND_TENSOR) | KIND_BIT(KIND_FOUND),
	.gives = KIND_ANSWER,
	.params = json_params,
	.n_params = ARRAY_LEN(json_params),
	.run = json_run,
};

static int npy_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		   struct value *out, struct sconce_error *e)
{
	struct sconce_error why = { "" };

	run->answer->type = "application/x-npy";
	out->kind = KIND_ANSWER;
	if (npy_write(&run->answer->body, &in->tensor, &why) == SCONCE_BAD_INPUT)
		return step_fail(e, s, -1, "%.300s", why.text);
	return full(&run->answer->body);
}

const struct op op_encode_npy = {
	.name = "encode_npy",
	.help = "the answer is a file of numpy",
	.takes = KIND_BIT(KIND_TENSOR),
	.gives = KIND_ANSWER,
	.run = npy_run,
};

static int raw_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		   struct value *out, struct sconce_error *e)
{
	(void)s;
	(void)e;
	run->answer->type = "application/octet-stream";
	out->kind = KIND_ANSWER;
	buf_append(&run->answer->body, in->tensor.data, in->tensor.bytes);
	return full(&run->answer->body);
}

const struct op op_encode_raw = {
	.name = "encode_raw",
	.help = "the answer is the bytes of the tensor, little-endian",
	.takes = KIND_BIT(KIND_TENSOR),
	.gives = KIND_ANSWER,
	.run = raw_run,
};

static int image_answer(const struct step *s, struct pipeline_run *run, int r, const char *type,
			const struct image_error *why, struct value *out, struct sconce_error *e)
{
	run->answer->type = type;
	out->kind = KIND_ANSWER;
	if (r < 0)
		return step_fail(e, s, r == IMAGE_NO_MEMORY ? SCONCE_NO_MEMORY : -1, "%.250s",
				 why->text);
	return full(&run->answer->body);
}

static int png_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		   struct value *out, struct sconce_error *e)
{
	struct image_error why;
	int r = image_encode_png(in->image, &run->answer->body, &why);

	return image_answer(s, run, r, "image/png", &why, out, e);
}

const struct op op_encode_png = {
	.name = "encode_png",
	.help = "the answer is a picture, PNG",
	.takes = KIND_BIT(KIND_IMAGE),
	.gives = KIND_ANSWER,
	.run = png_run,
};

static const struct param jpeg_params[] = {
	{ "quality", PARAM_INTEGER, AT(quality), "from 1 to 100", .fallback = 90, .min = 1,
	  .max = 100 },
};

static int jpeg_run(const struct step *s, struct pipeline_run *run, const struct value *in,
		    struct value *out, struct sconce_error *e)
{
	struct image_error why;
	int r = image_encode_jpeg(in->image, (unsigned)s->params.quality, &run->answer->body, &why);

	return image_answer(s, run, r, "image/jpeg", &why, out, e);
}

const struct op op_encode_jpeg = {
	.name = "encode_jpeg",
	.help = "the answer is a picture, JPEG",
	.takes = KIND_BIT(KIND_IMAGE),
	.gives = KIND_ANSWER,
	.params = jpeg_params,
	.n_params = ARRAY_LEN(jpeg_params),
	.run = jpeg_run,
};
