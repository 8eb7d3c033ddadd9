/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/npy.h"

#include <string.h>

#include "base/util.h"
#include "pipeline/tensor.h"

#define NPY_HEAD 10 /* magic, version and, in version 1, the length */

static const struct {
	uint32_t dtype;
	const char *descr;
} npy_types[] = {
	{ SCONCE_BOOL, "|b1" },   { SCONCE_UINT8, "|u1" },  { SCONCE_INT8, "|i1" },
	{ SCONCE_UINT16, "<u2" }, { SCONCE_UINT32, "<u4" }, { SCONCE_UINT64, "<u8" },
	{ SCONCE_INT16, "<i2" },  { SCONCE_INT32, "<i4" },  { SCONCE_INT64, "<i8" },
	{ SCONCE_FP16, "<f2" },   { SCONCE_FP32, "<f4" },   { SCONCE_FP64, "<f8" },
};

static bool npy_header(struct slice bytes, struct slice *ret_header, struct slice *ret_data)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t head, n;

	if (bytes.n < NPY_HEAD + 2 || p[6] < 1 || p[6] > 3)
		return false;
	head = p[6] == 1 ? NPY_HEAD : NPY_HEAD + 2;
	n = (size_t)p[8] | (size_t)p[9] << 8;
	if (p[6] > 1)
		n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (n > bytes.n - head)
		return false;
	*ret_header = slice_make(bytes.p + head, n);
	*ret_data = slice_make(bytes.p + head + n, bytes.n - head - n);
	return true;
}

/* What follows `'key':`, without blanks. */
static struct slice npy_value(struct slice header, const char *key)
{
	const char *at = memmem(header.p, header.n, key, strlen(key));
	struct slice rest;

	if (!at)
		return SLICE_NULL;
	at += strlen(key);
	rest = slice_make(at, (size_t)(header.p + header.n - at));
	while (rest.n && (*rest.p == ' ' || *rest.p == ':'))
		rest = slice_make(rest.p + 1, rest.n - 1);
	return rest;
}

static bool npy_shape(struct slice text, struct sconce_tensor *t)
{
	ptrdiff_t end = slice_find(text, ')');
	struct slice rest;

	if (end < 1 || *text.p != '(')
		return false;
	rest = slice_make(text.p + 1, (size_t)end - 1);
	t->ndim = 0;
	while (rest.p) {
		struct slice dim = slice_trim(slice_cut(&rest, ','));
		uint64_t size;

		if (!dim.n)
			continue; /* (3,) and () */
		if (t->ndim == SCONCE_NDIM_MAX || !slice_u64(dim, &size) || size > INT64_MAX)
			return false;
		t->shape[t->ndim++] = (int64_t)size;
	}
	return true;
}

static uint32_t npy_type(struct slice descr)
{
	ptrdiff_t end;

	if (!descr.n || (*descr.p != '\'' && *descr.p != '"'))
		return SCONCE_DTYPE_ANY;
	descr = slice_make(descr.p + 1, descr.n - 1);
	end = slice_find(descr, '\'');
	descr.n = end < 0 ? 0 : (size_t)end;
	for (size_t i = 0; i < ARRAY_LEN(npy_types); i++)
		if (slice_eq(descr, slice_str(npy_types[i].descr)))
			return npy_types[i].dtype;
	return SCONCE_DTYPE_ANY;
}

int npy_read(struct slice bytes, const char *name, struct sconce_tensor *t, struct slice *ret_data,
	     struct sconce_error *e)
{
	struct slice header;

	if (!npy_header(bytes, &header, ret_data))
		return tensor_refuse(e, "input \"%s\": its .npy file is cut short", name);
	t->dtype = npy_type(npy_value(header, "'descr'"));
	if (!t->dtype)
		return tensor_refuse(e,
				     "input \"%s\": its .npy file has elements that are no "
				     "numbers in little-endian order",
				     name);
	if (!slice_starts(npy_value(header, "'fortran_order'"), SLICE("False")))
		return tensor_refuse(e,
				     "input \"%s\": its .npy file is in Fortran's order: save "
				     "np.ascontiguousarray(array)",
				     name);
	if (!npy_shape(npy_value(header, "'shape'"), t))
		return tensor_refuse(e,
				     "input \"%s\": its .npy file has no shape of at most %d "
				     "dimensions",
				     name, SCONCE_NDIM_MAX);
	return 0;
}

int npy_write(struct buf *out, const struct sconce_tensor *t, struct sconce_error *e)
{
	const char *descr = NULL;
	size_t from = out->n;
	size_t length;

	for (size_t i = 0; i < ARRAY_LEN(npy_types); i++)
		if (npy_types[i].dtype == t->dtype)
			descr = npy_types[i].descr;
	if (!descr)
		return tensor_refuse(e, "an output of %s has no .npy form", dtype_name(t->dtype));
	buf_append(out, "\x93NUMPY\x01\0\0\0", NPY_HEAD);
	buf_printf(out, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
	for (uint32_t i = 0; i < t->ndim; i++)
		buf_printf(out, "%lld,%s", (long long)t->shape[i], i + 1 < t->ndim ? " " : "");
	buf_puts(out, "), }");
	while ((out->n - from + 1) % 64)
		buf_putc(out, ' ');
	buf_putc(out, '\n');
	length = out->n - from - NPY_HEAD;
	out->p[from + 8] = (char)(length & 0xff);
	out->p[from + 9] = (char)(length >> 8);
	return buf_append(out, t->data, t->bytes);
}
