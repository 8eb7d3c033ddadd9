/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/body.h"

/* Tensors in JSON: nested lists, under any of the names that clients of other servers use. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/util.h"
#include "base/half.h"
#include "pipeline/tensor.h"

struct filling {
	struct sconce_tensor *t;
	const char *name; /* of the input */
	char *at, *end;
	struct sconce_error *e;
};

static int json_refuse_value(const struct filling *f, yyjson_val *v)
{
	char *shown = yyjson_val_write(v, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
	int r = tensor_refuse(f->e, "input \"%s\" must be %s, which %.60s is not", f->name,
			      dtype_name(f->t->dtype), shown ? shown : "this");

	free(shown);
	return r;
}

/* A whole number within the type's bounds. */
static int json_put_integer(struct filling *f, yyjson_val *v, int64_t min, uint64_t max)
{
	double real = yyjson_get_num(v);
	uint64_t u;
	int64_t i;

	if (yyjson_is_uint(v)) {
		u = yyjson_get_uint(v);
		i = (int64_t)u;
		if (u > max)
			return json_refuse_value(f, v);
	} else if (yyjson_is_sint(v)) {
		i = yyjson_get_sint(v);
		if (i < min)
			return json_refuse_value(f, v);
	} else if (yyjson_is_real(v) && real == floor(real) && fabs(real) < 9e15 &&
		   real >= (double)min && real <= (double)max) {
		i = (int64_t)real;
	} else {
		return json_refuse_value(f, v);
	}
	memcpy(f->at, &i, sconce_dtype_size(f->t->dtype)); /* little-endian, as the tensors */
	return 0;
}

static int json_put_float(struct filling *f, yyjson_val *v)
{
	double value = yyjson_get_num(v);
	float single = (float)value;
	uint16_t half;

	if (!yyjson_is_num(v))
		return json_refuse_value(f, v);
	switch (f->t->dtype) {
	case SCONCE_FP64:
		memcpy(f->at, &value, sizeof(value));
		return 0;
	case SCONCE_FP32:
		memcpy(f->at, &single, sizeof(single));
		return 0;
	default:
		half = f->t->dtype == SCONCE_FP16 ? half_from_float(single)
						  : bfloat_from_float(single);
		memcpy(f->at, &half, sizeof(half));
		return 0;
	}
}

static int json_put_bool(struct filling *f, yyjson_val *v)
{
	if (yyjson_is_bool(v))
		*f->at = (char)yyjson_get_bool(v);
	else if (yyjson_is_uint(v) && yyjson_get_uint(v) <= 1)
		*f->at = (char)yyjson_get_uint(v);
	else
		return json_refuse_value(f, v);
	return 0;
}

static int json_put_text(struct filling *f, yyjson_val *v)
{
	uint32_t n = (uint32_t)yyjson_get_len(v);

	if (!yyjson_is_str(v))
		return json_refuse_value(f, v);
	memcpy(f->at, &n, sizeof(n));
	memcpy(f->at + sizeof(n), yyjson_get_str(v), n);
	f->at += sizeof(n) + n;
	return 0;
}

static int json_put(struct filling *f, yyjson_val *v)
{
	switch (f->t->dtype) {
	case SCONCE_BOOL:
		return json_put_bool(f, v);
	case SCONCE_UINT8:
		return json_put_integer(f, v, 0, UINT8_MAX);
	case SCONCE_UINT16:
		return json_put_integer(f, v, 0, UINT16_MAX);
	case SCONCE_UINT32:
		return json_put_integer(f, v, 0, UINT32_MAX);
	case SCONCE_UINT64:
		return json_put_integer(f, v, 0, UINT64_MAX);
	case SCONCE_INT8:
		return json_put_integer(f, v, INT8_MIN, INT8_MAX);
	case SCONCE_INT16:
		return json_put_integer(f, v, INT16_MIN, INT16_MAX);
	case SCONCE_INT32:
		return json_put_integer(f, v, INT32_MIN, INT32_MAX);
	case SCONCE_INT64:
		return json_put_integer(f, v, INT64_MIN, INT64_MAX);
	case SCONCE_BYTES:
		return json_put_text(f, v);
	default:
		return json_put_float(f, v);
	}
}

/* Depth is bounded by the shape that the first elements have given. */
static int json_fill(struct filling *f, yyjson_val *v, uint32_t depth)
{
	yyjson_val *item;
	size_t i, n;

	if (depth == f->t->ndim) {
		int r;

		if (yyjson_is_arr(v))
			return tensor_refuse(f->e, "input \"%s\" has lists of different depth",
					     f->name);
		r = json_put(f, v);
		f->at += sconce_dtype_size(f->t->dtype);
		return r;
	}
	if (!yyjson_is_arr(v) || yyjson_arr_size(v) != (size_t)f->t->shape[depth])
		return tensor_refuse(f->e,
				     "input \"%s\" has lists of different length: one has %zu "
				     "elements where the first has %lld",
				     f->name, yyjson_arr_size(v), (long long)f->t->shape[depth]);
	yyjson_arr_foreach(v, i, n, item)
	{
		int r = json_fill(f, item, depth + 1);

		if (r < 0)
			return r;
	}
	return 0;
}

static int json_shape(struct sconce_tensor *t, const char *name, yyjson_val *v,
		      struct sconce_error *e)
{
	t->ndim = 0;
	for (; yyjson_is_arr(v); v = yyjson_arr_get_first(v)) {
		if (t->ndim == SCONCE_NDIM_MAX)
			return tensor_refuse(e, "input \"%s\" has more than %d dimensions", name,
					     SCONCE_NDIM_MAX);
		t->shape[t->ndim++] = (int64_t)yyjson_arr_size(v);
	}
	return 0;
}

/* Of a type that the model does not tell. */
static uint32_t json_guess_dtype(yyjson_val *v, uint32_t depth)
{
	uint32_t all = SCONCE_DTYPE_ANY, one;
	yyjson_val *item;
	size_t i, n;

	if (!yyjson_is_arr(v))
		return yyjson_is_bool(v)  ? SCONCE_BOOL
		       : yyjson_is_str(v) ? SCONCE_BYTES
		       : yyjson_is_int(v) ? SCONCE_INT64
					  : SCONCE_FP32;
	yyjson_arr_foreach(v, i, n, item)
	{
		one = depth < SCONCE_NDIM_MAX ? json_guess_dtype(item, depth + 1) : SCONCE_FP32;
		if (all && one != all)
			return SCONCE_FP32;
		all = one;
	}
	return all ? all : SCONCE_FP32;
}

static uint64_t json_text_bytes(yyjson_val *v, uint32_t depth)
{
	uint64_t total = 0;
	yyjson_val *item;
	size_t i, n;

	if (!yyjson_is_arr(v))
		return sizeof(uint32_t) + yyjson_get_len(v);
	if (depth < SCONCE_NDIM_MAX)
		yyjson_arr_foreach(v, i, n, item) total += json_text_bytes(item, depth + 1);
	return total;
}

static int json_tensor(struct body *b, size_t i, yyjson_val *v, uint32_t dtype,
		       struct sconce_error *e)
{
	const struct sconce_tensor_spec *spec = &b->signature->inputs[i];
	struct sconce_tensor *t = &b->inputs[i];
	struct filling f = { .t = t, .name = spec->name, .e = e };
	uint64_t count, bytes;

	b->given[i] = true;
	if (json_shape(t, spec->name, v, e) < 0)
		return SCONCE_BAD_INPUT;
	t->dtype = dtype ? dtype : spec->dtype ? spec->dtype : json_guess_dtype(v, 0);
	if (!tensor_count(t, &count) ||
	    __builtin_mul_overflow(count, (uint64_t)MAX(sconce_dtype_size(t->dtype), 1), &bytes))
		return tensor_refuse(e, "input \"%s\" is too large", spec->name);
	/* The first lists promise more elements than the document has values. */
	if (count > b->values)
		return tensor_refuse(e, "input \"%s\" has lists of different length", spec->name);
	if (t->dtype == SCONCE_BYTES)
		bytes = json_text_bytes(v, 0);
	if (!body_place(b, i, bytes))
		return body_no_memory(e);
	f.at = t->data;
	return json_fill(&f, v, 0);
}

/* ---- the members of a document ---- */

/* Its shape may be given beside flat data. */
static int json_oip_shape(struct sconce_tensor *t, yyjson_val *shape, const char *name,
			  struct sconce_error *e)
{
	struct sconce_tensor wanted = { .dtype = t->dtype };
	uint64_t has, asked;
	yyjson_val *dim;
	size_t i, n;

	if (!shape)
		return 0;
	yyjson_arr_foreach(shape, i, n, dim)
	{
		if (i == SCONCE_NDIM_MAX || !yyjson_is_uint(dim) ||
		    yyjson_get_uint(dim) > INT64_MAX)
			return tensor_refuse(e, "input \"%s\": its shape is no list of sizes",
					     name);
		wanted.shape[wanted.ndim++] = (int64_t)yyjson_get_uint(dim);
	}
	if (!yyjson_is_arr(shape) || !tensor_count(&wanted, &asked) || !tensor_count(t, &has) ||
	    asked != has)
		return tensor_refuse(e, "input \"%s\": its data does not fit its shape", name);
	t->ndim = wanted.ndim;
	memcpy(t->shape, wanted.shape, sizeof(t->shape));
	return 0;
}

static int json_oip(struct body *b, yyjson_val *list, struct sconce_error *e)
{
	yyjson_val *item;
	size_t k, n;

	b->form = FORM_OIP;
	yyjson_arr_foreach(list, k, n, item)
	{
		const char *name = yyjson_get_str(yyjson_obj_get(item, "name"));
		const char *type = yyjson_get_str(yyjson_obj_get(item, "datatype"));
		yyjson_val *data = yyjson_obj_get(item, "data");
		ptrdiff_t i = name ? body_input(b, slice_str(name)) : -1;
		uint32_t dtype = dtype_by_name(slice_str(type));
		int r;

		if (i < 0 || !data || (type && !dtype))
			return tensor_refuse(e,
					     "element %zu of \"inputs\" must have the name of an "
					     "input, a datatype and data",
					     k);
		r = json_tensor(b, (size_t)i, data, dtype, e);
		if (!r)
			r = json_oip_shape(&b->inputs[i], yyjson_obj_get(item, "shape"), name, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int json_by_name(struct body *b, yyjson_val *object, struct sconce_error *e)
{
	yyjson_val *key, *v;
	size_t k, n;

	yyjson_obj_foreach(object, k, n, key, v)
	{
		ptrdiff_t i = body_input(b, slice_make(yyjson_get_str(key), yyjson_get_len(key)));
		int r;

		if (i < 0)
			return tensor_refuse(e, "there is no input \"%.100s\"",
					     yyjson_get_str(key));
		r = json_tensor(b, (size_t)i, v, SCONCE_DTYPE_ANY, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One member of all rows. */
static int json_column(struct body *b, size_t i, yyjson_val *rows, const char *name,
		       struct sconce_error *e)
{
	const struct sconce_tensor_spec *spec = &b->signature->inputs[i];
	struct sconce_tensor *t = &b->inputs[i];
	struct filling f = { .t = t, .name = name, .e = e };
	uint64_t count, bytes = 0;
	uint32_t guess = 0;
	yyjson_val *row;
	size_t k, n;

	if (json_shape(t, name, yyjson_obj_get(yyjson_arr_get_first(rows), name), e) < 0 ||
	    t->ndim == SCONCE_NDIM_MAX)
		return tensor_refuse(e, "input \"%s\" has more than %d dimensions", name,
				     SCONCE_NDIM_MAX);
	memmove(t->shape + 1, t->shape, t->ndim++ * sizeof(*t->shape));
	t->shape[0] = (int64_t)yyjson_arr_size(rows);
	yyjson_arr_foreach(rows, k, n, row)
	{
		yyjson_val *cell = yyjson_obj_get(row, name);
		uint32_t one = spec->dtype ? spec->dtype : json_guess_dtype(cell, 1);

		guess = guess && guess != one ? SCONCE_FP32 : one;
		bytes += json_text_bytes(cell, 1);
		if (!cell)
			return tensor_refuse(e, "input \"%s\" is missing in row %zu", name, k);
	}
	t->dtype = guess;
	if (!tensor_count(t, &count) || count > b->values)
		return tensor_refuse(e, "input \"%s\" has lists of different length", name);
	if (!body_place(b, i, guess == SCONCE_BYTES ? bytes : count * sconce_dtype_size(guess)))
		return body_no_memory(e);
	b->given[i] = true;
	f.at = t->data;
	yyjson_arr_foreach(rows, k, n, row)
	{
		int r = json_fill(&f, yyjson_obj_get(row, name), 1);

		if (r < 0)
			return r;
	}
	return 0;
}

/* TensorFlow's rows of a model with several inputs: each an object of them. */
static int json_rows(struct body *b, yyjson_val *rows, struct sconce_error *e)
{
	yyjson_val *first = yyjson_arr_get_first(rows), *key, *row;
	size_t k, n;

	yyjson_arr_foreach(rows, k, n, row)
	{
		if (!yyjson_is_obj(row) || yyjson_obj_size(row) != yyjson_obj_size(first))
			return tensor_refuse(
				e, "row %zu of \"instances\" has other members than the first", k);
	}
	yyjson_obj_foreach(first, k, n, key, row)
	{
		const char *name = yyjson_get_str(key);
		ptrdiff_t i = body_input(b, slice_make(name, yyjson_get_len(key)));
		int r = i < 0 ? tensor_refuse(e, "there is no input \"%.100s\"", name)
			      : json_column(b, (size_t)i, rows, name, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int json_single(struct body *b, yyjson_val *v, struct sconce_error *e)
{
	if (b->signature->n_inputs != 1)
		return tensor_refuse(e, "the model has %zu inputs: name them in a JSON object",
				     b->signature->n_inputs);
	return json_tensor(b, 0, v, SCONCE_DTYPE_ANY, e);
}

static int json_document(struct body *b, yyjson_val *root, struct sconce_error *e)
{
	yyjson_val *inputs = yyjson_obj_get(root, "inputs");
	yyjson_val *rows = yyjson_obj_get(root, "instances");

	if (!yyjson_is_obj(root))
		return json_single(b, root, e);
	if (rows && body_input(b, SLICE("instances")) < 0) {
		b->form = FORM_ROWS;
		return yyjson_is_obj(yyjson_arr_get_first(rows)) ? json_rows(b, rows, e)
								 : json_single(b, rows, e);
	}
	if (!inputs || body_input(b, SLICE("inputs")) >= 0)
		return json_by_name(b, root, e);
	if (yyjson_is_arr(inputs) && yyjson_is_obj(yyjson_arr_get_first(inputs)))
		return json_oip(b, inputs, e);
	b->form = FORM_COLUMNS;
	return yyjson_is_obj(inputs) ? json_by_name(b, inputs, e) : json_single(b, inputs, e);
}

static yyjson_doc *json_parse(struct body *b, struct slice text, struct sconce_error *e)
{
	yyjson_read_err why = { 0 };
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n,
					   YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &why);

	if (!doc)
		tensor_refuse(e, "the JSON of the request is broken at byte %zu: %s", why.pos,
			      why.msg ? why.msg : "it is empty");
	b->values = yyjson_doc_get_val_count(doc);
	return doc;
}

int body_read_json(struct body *b, struct slice text, struct sconce_error *e)
{
	yyjson_doc *doc = json_parse(b, text, e);
	int r = doc ? json_document(b, yyjson_doc_get_root(doc), e) : SCONCE_BAD_INPUT;

	yyjson_doc_free(doc);
	return r;
}

int body_read_json_input(struct body *b, size_t i, struct slice text, struct sconce_error *e)
{
	yyjson_doc *doc = json_parse(b, text, e);
	int r = doc ? json_tensor(b, i, yyjson_doc_get_root(doc), SCONCE_DTYPE_ANY, e)
		    : SCONCE_BAD_INPUT;

	yyjson_doc_free(doc);
	return r;
}
