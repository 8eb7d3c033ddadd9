/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/answer.h"
#include "worker/body.h"
#include "pipeline/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct sconce_tensor_spec specs[] = {
	{ .name = "a", .dtype = SCONCE_FP32, .ndim = 2, .shape = { SCONCE_DIM_ANY, 2 } },
	{ .name = "b", .dtype = SCONCE_BYTES, .ndim = 1, .shape = { SCONCE_DIM_ANY } },
	{ .name = "c", .dtype = SCONCE_INT8, .ndim = SCONCE_NDIM_ANY },
	{ .name = "d", .ndim = SCONCE_NDIM_ANY },
};
static const struct sconce_signature signatures[] = {
	{ sizeof(signatures[0]), &specs[0], &specs[0], 1, 1, 1 },
	{ sizeof(signatures[0]), &specs[3], &specs[3], 1, 1, 0 },
	{ sizeof(signatures[0]), specs, specs, 4, 4, 0 },
};

static void write_as(struct body *b, enum body_form form, const char *accept)
{
	struct answer a = { .body = BUF_INIT((size_t)1 << 20) };
	struct sconce_error e = { "" };

	b->form = form;
	if (!answer_choose(b, slice_str(accept), &e) &&
	    !answer_write(&a, b, b->signature, "m", b->inputs, &e))
		assert(a.type && (b->form != FORM_RAW || a.body.n == b->inputs->bytes));
	buf_finish(&a.body);
}

/* The first byte chooses the model, the second what the body is said to be. What was read can be
 * written, in every form. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const types[] = { "application/json", "application/octet-stream", "" };
	struct sconce_error e = { "" };
	struct body b = { 0 };
	struct body_part part;

	if (n < 2)
		return 0;
	part = (struct body_part){ .name = data[1] & 4 ? SLICE("d") : SLICE("body"),
				   .type = slice_str(types[data[1] % 3]),
				   .bytes = { (const char *)data + 2, n - 2 },
				   .whole = data[1] & 16 };
	if (data[1] & 8)
		b.shape = SLICE("1,2");
	if (body_read(&b, &signatures[data[0] % 3], &part, 1, &e) < 0) {
		assert(*e.text);
		body_finish(&b);
		return 0;
	}
	for (size_t i = 0; i < b.n; i++)
		assert(tensor_sound(&b.inputs[i]));
	for (int form = FORM_ARRAY; form <= FORM_COLUMNS; form++)
		write_as(&b, (enum body_form)form, "*/*");
	write_as(&b, FORM_NPY, "*/*");
	write_as(&b, FORM_ARRAY, "application/octet-stream");
	write_as(&b, FORM_ARRAY, "application/x-npy");
	body_finish(&b);
	return 0;
}
