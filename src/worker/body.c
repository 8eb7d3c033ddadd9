/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/util.h"
#include "pipeline/npy.h"
#include "pipeline/tensor.h"

#define BODY_ALIGN 64
#define NPY_MAGIC SLICE("\x93NUMPY")

int body_no_memory(struct sconce_error *e)
{
	snprintf(e->text, sizeof(e->text), "there is no memory for the inputs");
	return SCONCE_NO_MEMORY;
}

void *body_place(struct body *b, size_t i, uint64_t bytes)
{
	void *p = bytes < SIZE_MAX / 2
			  ? aligned_alloc(BODY_ALIGN, ALIGN_UP((size_t)bytes + 1, BODY_ALIGN))
			  : NULL;

	free(b->inputs[i].owner);
	b->inputs[i].owner = b->inputs[i].data = p;
	b->inputs[i].bytes = p ? bytes : 0;
	return p;
}

ptrdiff_t body_input(const struct body *b, struct slice name)
{
	for (size_t i = 0; i < b->signature->n_inputs; i++)
		if (slice_eq(slice_str(b->signature->inputs[i].name), name))
			return (ptrdiff_t)i;
	return -1;
}

/* ---- raw bytes ---- */

static int raw_shape_given(struct body *b, struct sconce_tensor *t, struct sconce_error *e)
{
	struct slice rest = b->shape;

	t->ndim = 0;
	while (rest.p) {
		struct slice dim = slice_trim(slice_cut(&rest, ','));

		if (t->ndim == SCONCE_NDIM_MAX || !slice_i64(dim, &t->shape[t->ndim++]))
			return tensor_refuse(e,
					     "x-tensor-shape must be at most %d numbers with "
					     "commas: %.*s",
					     SCONCE_NDIM_MAX, (int)MIN(b->shape.n, 100),
					     b->shape.p);
	}
	return 0;
}

/* One dimension may follow from the number of bytes. */
static int raw_shape(struct sconce_tensor *t, const struct sconce_tensor_spec *spec, uint64_t count,
		     struct sconce_error *e)
{
	uint64_t known = 1;
	int unknown = -1;

	if (spec->ndim == SCONCE_NDIM_ANY) {
		t->ndim = 1;
		t->shape[0] = (int64_t)count;
		return 0;
	}
	t->ndim = spec->ndim;
	for (uint32_t i = 0; i < spec->ndim; i++) {
		t->shape[i] = spec->shape[i];
		if (spec->shape[i] != SCONCE_DIM_ANY)
			known *= (uint64_t)spec->shape[i];
		else if (unknown >= 0)
			return tensor_refuse(e,
					     "input \"%s\" has several dimensions of any size: say "
					     "which in a header, x-tensor-shape: 1,3,224,224",
					     spec->name);
		else
			unknown = (int)i;
	}
	if (unknown >= 0)
		t->shape[unknown] = known ? (int64_t)(count / known) : 0;
	return 0;
}

static int raw_read(struct body *b, size_t i, struct slice bytes, struct sconce_error *e)
{
	const struct sconce_tensor_spec *spec = &b->signature->inputs[i];
	struct sconce_tensor *t = &b->inputs[i];
	size_t size;
	int r;

	t->dtype = b->dtype.n ? dtype_by_name(b->dtype) : spec->dtype ? spec->dtype : SCONCE_UINT8;
	if (!t->dtype)
		return tensor_refuse(e, "x-tensor-dtype: there is no type %.*s",
				     (int)MIN(b->dtype.n, 40), b->dtype.p);
	size = sconce_dtype_size(t->dtype);
	if (!size && !b->shape.n) {
		t->ndim = spec->ndim == SCONCE_NDIM_ANY ? 1 : spec->ndim;
		for (uint32_t d = 0; d < t->ndim; d++)
			t->shape[d] = 1;
	} else {
		r = b->shape.n ? raw_shape_given(b, t, e) : raw_shape(t, spec, bytes.n / size, e);
		if (r < 0)
			return r;
	}
	t->data = (void *)(uintptr_t)bytes.p;
	t->bytes = bytes.n;
	if (!tensor_sound(t)) {
		char shape[400];

		shape_write(shape, sizeof(shape), t->shape, t->ndim);
		return tensor_refuse(e,
				     "input \"%s\" came as %zu bytes, which are no %s of shape %s",
				     spec->name, bytes.n, dtype_name(t->dtype), shape);
	}
	if (!tensor_bools_sound(t))
		return tensor_refuse(e, "input \"%s\" must be BOOL, bytes of 0 or 1", spec->name);
	/* Engines read with vector instructions. */
	if ((uintptr_t)bytes.p % BODY_ALIGN) {
		if (!body_place(b, i, bytes.n))
			return body_no_memory(e);
		memcpy(t->data, bytes.p, bytes.n);
	}
	return 0;
}

static int body_read_npy(struct body *b, size_t i, struct slice bytes, struct sconce_error *e)
{
	const char *name = b->signature->inputs[i].name;
	struct sconce_tensor *t = &b->inputs[i];
	struct slice data;
	int r = npy_read(bytes, name, t, &data, e);

	if (r < 0)
		return r;
	/* The header ends where it likes. */
	if (!body_place(b, i, data.n))
		return body_no_memory(e);
	memcpy(t->data, data.p, data.n);
	if (!tensor_sound(t))
		return tensor_refuse(e,
				     "input \"%s\": its .npy file has %zu bytes of elements, "
				     "which are not as many as its shape needs",
				     name, data.n);
	if (!tensor_bools_sound(t))
		return tensor_refuse(e, "input \"%s\" must be BOOL, bytes of 0 or 1", name);
	return 0;
}

/* ---- what is what ---- */

/* Numbers may by chance begin as a list does, but hardly go on as text. */
static bool bytes_are_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' && !strchr("\t\r\n", s.p[i] ? s.p[i] : 'x'))
			return false;
	return utf8_valid(s);
}

static bool part_is_json(const struct body_part *p)
{
	struct slice text = p->bytes;

	if (slice_istarts(p->type, SLICE("application/json")))
		return true;
	if (slice_istarts(p->type, SLICE("application/octet-stream")))
		return false;
	while (text.n && *text.p && strchr(" \t\r\n", *text.p))
		text = slice_make(text.p + 1, text.n - 1);
	return text.n && (*text.p == '[' || *text.p == '{') && bytes_are_text(text);
}

static int part_read(struct body *b, size_t i, const struct body_part *p, struct sconce_error *e)
{
	if (slice_starts(p->bytes, NPY_MAGIC))
		return body_read_npy(b, i, p->bytes, e);
	if (part_is_json(p))
		return body_read_json_input(b, i, p->bytes, e);
	return raw_read(b, i, p->bytes, e);
}

/* The whole body, of a request without a form. */
static int whole_read(struct body *b, const struct body_part *p, struct sconce_error *e)
{
	bool npy = slice_starts(p->bytes, NPY_MAGIC);

	if (!npy && part_is_json(p))
		return body_read_json(b, p->bytes, e);
	if (b->signature->n_inputs != 1)
		return tensor_refuse(e,
				     "the model has %zu inputs: send a JSON object of them, or a "
				     "form with a part for each",
				     b->signature->n_inputs);
	b->form = npy ? FORM_NPY : FORM_ARRAY;
	b->given[0] = true;
	return part_read(b, 0, p, e);
}

/* `curl -d '[1, 2]'` calls it a form: the text is then the name of its one field. */
static bool part_is_mislabelled(const struct body_part *p)
{
	return p->name.n && (*p->name.p == '[' || *p->name.p == '{') && !p->bytes.n;
}

/* The one that is the body, or a form's field that means it; what may come beside a body, from the
 * query, is for others. */
static const struct body_part *parts_whole(const struct body *b, const struct body_part *parts,
					   size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (parts[i].whole)
			return &parts[i];
	return n == 1 && body_input(b, parts->name) < 0 &&
			       (slice_eq(parts->name, SLICE("body")) ||
				slice_eq(parts->name, SLICE("data")))
		       ? parts
		       : NULL;
}

static int form_read(struct body *b, const struct body_part *parts, size_t n,
		     struct sconce_error *e)
{
	/* Headers cannot say of several which is which. */
	if (b->signature->n_inputs > 1)
		b->dtype = b->shape = SLICE("");
	for (size_t i = 0; i < n; i++) {
		ptrdiff_t input = body_input(b, parts[i].name);
		int r;

		/* The server has looked at it. */
		if (input < 0 && slice_eq(parts[i].name, SLICE("model_name")))
			continue;
		if (input < 0)
			return tensor_refuse(e, "there is no input \"%.*s\"",
					     (int)MIN(parts[i].name.n, 100), parts[i].name.p);
		b->given[input] = true;
		r = part_read(b, (size_t)input, &parts[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int body_check(struct body *b, struct sconce_error *e)
{
	bool added;

	for (size_t i = 0; i < b->signature->n_inputs; i++) {
		int r;

		if (!b->given[i])
			return tensor_refuse(e, "input \"%s\" is missing",
					     b->signature->inputs[i].name);
		r = tensor_fit(&b->inputs[i], &b->signature->inputs[i], &added, e);
		if (r < 0)
			return r;
		b->added = b->added || added;
	}
	b->n = b->signature->n_inputs;
	return 0;
}

int body_read(struct body *b, const struct sconce_signature *signature,
	      const struct body_part *parts, size_t n_parts, struct sconce_error *e)
{
	const struct body_part *whole;
	struct body_part meant;
	int r;

	b->signature = signature;
	b->inputs = mem_zalloc(MAX(signature->n_inputs, 1) * sizeof(*b->inputs));
	b->given = mem_zalloc(MAX(signature->n_inputs, 1) * sizeof(*b->given));
	if (!n_parts)
		return signature->n_inputs ? tensor_refuse(e, "the request has no body")
					   : body_check(b, e);
	whole = parts_whole(b, parts, n_parts);
	if (n_parts == 1 && part_is_mislabelled(parts)) {
		meant = (struct body_part){ .type = SLICE("application/json"),
					    .bytes = parts->name };
		whole = &meant;
	}
	r = whole ? whole_read(b, whole, e) : form_read(b, parts, n_parts, e);
	return r < 0 ? r : body_check(b, e);
}

void body_finish(struct body *b)
{
	for (size_t i = 0; b->inputs && i < b->signature->n_inputs; i++)
		free(b->inputs[i].owner);
	free(b->inputs);
	free(b->given);
	*b = (struct body){ 0 };
}
