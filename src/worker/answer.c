/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/answer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"
#include "base/half.h"
#include "pipeline/npy.h"
#include "pipeline/number.h"
#include "pipeline/tensor.h"

int answer_choose(struct body *b, struct slice accept, struct sconce_error *e)
{
	bool several = b->signature->n_outputs != 1;
	bool raw = slice_istarts(accept, SLICE("application/octet-stream"));
	bool npy = slice_istarts(accept, SLICE("application/x-npy"));

	if ((raw || npy) && several)
		return tensor_refuse(e, "the model has %zu outputs: ask for application/json",
				     b->signature->n_outputs);
	if (raw || npy)
		b->form = raw ? FORM_RAW : FORM_NPY;
	else if (b->form == FORM_NPY &&
		 (several || slice_istarts(accept, SLICE("application/json"))))
		b->form = FORM_ARRAY;
	return 0;
}

/* ---- elements ---- */

static void put_element(struct buf *out, const struct sconce_tensor *t, const char *p)
{
	union {
		uint8_t u8;
		int8_t i8;
		uint16_t u16;
		int16_t i16;
		uint32_t u32;
		int32_t i32;
		uint64_t u64;
		int64_t i64;
		float f32;
		double f64;
	} v;

	memcpy(&v, p, sconce_dtype_size(t->dtype));
	switch (t->dtype) {
	case SCONCE_BOOL:
		buf_puts(out, v.u8 ? "true" : "false");
		break;
	case SCONCE_UINT8:
		buf_put_u64(out, v.u8);
		break;
	case SCONCE_UINT16:
		buf_put_u64(out, v.u16);
		break;
	case SCONCE_UINT32:
		buf_put_u64(out, v.u32);
		break;
	case SCONCE_UINT64:
		buf_put_u64(out, v.u64);
		break;
	case SCONCE_INT8:
		buf_printf(out, "%d", v.i8);
		break;
	case SCONCE_INT16:
		buf_printf(out, "%d", v.i16);
		break;
	case SCONCE_INT32:
		buf_printf(out, "%d", v.i32);
		break;
	case SCONCE_INT64:
		buf_printf(out, "%lld", (long long)v.i64);
		break;
	case SCONCE_FP16:
		number_put_float(out, half_to_float(v.u16));
		break;
	case SCONCE_BF16:
		number_put_float(out, bfloat_to_float(v.u16));
		break;
	case SCONCE_FP32:
		number_put_float(out, v.f32);
		break;
	default:
		number_put_double(out, v.f64);
		break;
	}
}

/* Writes one element at *at, and steps over it. */
static void put_next(struct buf *out, const struct sconce_tensor *t, const char **at)
{
	uint32_t n;

	if (t->dtype != SCONCE_BYTES) {
		put_element(out, t, *at);
		*at += sconce_dtype_size(t->dtype);
		return;
	}
	memcpy(&n, *at, sizeof(n));
	json_put_string(out, slice_make(*at + sizeof(n), n));
	*at += sizeof(n) + n;
}

static void put_lists(struct buf *out, const struct sconce_tensor *t, uint32_t depth,
		      const char **at)
{
	if (depth == t->ndim) {
		put_next(out, t, at);
		return;
	}
	buf_putc(out, '[');
	for (int64_t i = 0; i < t->shape[depth] && !buf_overflowed(out); i++) {
		if (i)
			buf_puts(out, ", ");
		put_lists(out, t, depth + 1, at);
	}
	buf_putc(out, ']');
}

static void put_nested(struct buf *out, const struct sconce_tensor *t)
{
	const char *at = t->data;

	put_lists(out, t, 0, &at);
}

/* Without the leading dimension that the client has not sent. */
static struct sconce_tensor without_leading(const struct body *b, const struct sconce_tensor *t)
{
	struct sconce_tensor less = *t;

	if (!b->added || !t->ndim || t->shape[0] != 1)
		return less;
	less.ndim--;
	memmove(less.shape, t->shape + 1, less.ndim * sizeof(*t->shape));
	return less;
}

static void put_flat(struct buf *out, const struct sconce_tensor *t)
{
	const char *at = t->data;
	uint64_t n = 0;

	tensor_count(t, &n);
	buf_putc(out, '[');
	for (uint64_t i = 0; i < n && !buf_overflowed(out); i++) {
		if (i)
			buf_puts(out, ", ");
		put_next(out, t, &at);
	}
	buf_putc(out, ']');
}

/* ---- documents ---- */

static void put_name(struct buf *out, const char *name)
{
	json_put_string(out, slice_str(name));
	buf_puts(out, ": ");
}

static void put_by_name(struct buf *out, const struct sconce_signature *s,
			const struct sconce_tensor *outputs)
{
	buf_putc(out, '{');
	for (size_t i = 0; i < s->n_outputs; i++) {
		if (i)
			buf_puts(out, ", ");
		put_name(out, s->outputs[i].name);
		put_nested(out, &outputs[i]);
	}
	buf_putc(out, '}');
}

static void put_oip(struct buf *out, const struct sconce_signature *s, const char *model,
		    const struct sconce_tensor *outputs)
{
	char shape[400];

	buf_puts(out, "{\"model_name\": ");
	json_put_string(out, slice_str(model));
	buf_puts(out, ", \"outputs\": [");
	for (size_t i = 0; i < s->n_outputs; i++) {
		shape_write(shape, sizeof(shape), outputs[i].shape, outputs[i].ndim);
		buf_puts(out, i ? ", {\"name\": " : "{\"name\": ");
		json_put_string(out, slice_str(s->outputs[i].name));
		buf_printf(out, ", \"datatype\": \"%s\", \"shape\": %s, \"data\": ",
			   dtype_name(outputs[i].dtype), shape);
		put_flat(out, &outputs[i]);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}");
}

/* One value per row: of several outputs an object for each. */
static void put_rows(struct buf *out, const struct sconce_signature *s,
		     const struct sconce_tensor *outputs)
{
	const char *at[BODY_INPUTS_MAX];
	int64_t rows = outputs->ndim ? outputs->shape[0] : 1;

	for (size_t i = 0; i < s->n_outputs && i < BODY_INPUTS_MAX; i++)
		at[i] = outputs[i].data;
	buf_putc(out, '[');
	for (int64_t row = 0; row < rows && !buf_overflowed(out); row++) {
		buf_puts(out, row ? ", {" : "{");
		for (size_t i = 0; i < s->n_outputs && i < BODY_INPUTS_MAX; i++) {
			if (i)
				buf_puts(out, ", ");
			put_name(out, s->outputs[i].name);
			put_lists(out, &outputs[i], outputs[i].ndim ? 1 : 0, &at[i]);
		}
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static bool rows_agree(const struct sconce_signature *s, const struct sconce_tensor *outputs)
{
	for (size_t i = 0; i < s->n_outputs; i++)
		if (!outputs[i].ndim || outputs[i].shape[0] != outputs[0].shape[0])
			return false;
	return s->n_outputs <= BODY_INPUTS_MAX;
}

static void put_tensorflow(struct answer *a, const struct body *b, const struct sconce_signature *s,
			   const struct sconce_tensor *outputs)
{
	buf_puts(&a->body, b->form == FORM_ROWS ? "{\"predictions\": " : "{\"outputs\": ");
	if (s->n_outputs == 1)
		put_nested(&a->body, outputs);
	else if (b->form == FORM_ROWS && rows_agree(s, outputs))
		put_rows(&a->body, s, outputs);
	else
		put_by_name(&a->body, s, outputs);
	buf_putc(&a->body, '}');
}

void answer_describe_raw(struct answer *a, const struct body *b, const struct sconce_tensor *output)
{
	struct sconce_tensor t = without_leading(b, output);
	size_t n = 0;

	a->type = "application/octet-stream";
	a->dtype = dtype_name(t.dtype);
	a->shape[0] = '\0';
	for (uint32_t i = 0; i < t.ndim && n < sizeof(a->shape); i++)
		n += (size_t)snprintf(a->shape + n, sizeof(a->shape) - n, "%s%lld", i ? "," : "",
				      (long long)t.shape[i]);
}

/* In JSON as the client would have written it. */
static void put_plain(struct answer *a, const struct body *b, const struct sconce_signature *s,
		      const struct sconce_tensor *outputs)
{
	struct sconce_tensor seen[BODY_INPUTS_MAX];

	for (size_t i = 0; i < s->n_outputs; i++)
		seen[i] = without_leading(b, &outputs[i]);
	if (s->n_outputs == 1)
		put_nested(&a->body, seen);
	else
		put_by_name(&a->body, s, seen);
}

int answer_write(struct answer *a, const struct body *b, const struct sconce_signature *s,
		 const char *model, const struct sconce_tensor *outputs, struct sconce_error *e)
{
	struct sconce_tensor first = without_leading(b, outputs);

	a->type = "application/json";
	if (b->form == FORM_RAW) {
		answer_describe_raw(a, b, outputs);
		buf_append(&a->body, outputs->data, outputs->bytes);
	} else if (b->form == FORM_NPY) {
		a->type = "application/x-npy";
		if (npy_write(&a->body, &first, e) == SCONCE_BAD_INPUT)
			return SCONCE_BAD_INPUT;
	} else if (b->form == FORM_OIP) {
		put_oip(&a->body, s, model, outputs);
	} else if (b->form == FORM_ARRAY) {
		put_plain(a, b, s, outputs);
	} else {
		put_tensorflow(a, b, s, outputs);
	}
	return buf_overflowed(&a->body) ? -ENOBUFS : 0;
}
