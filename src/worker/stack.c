/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"

bool stack_agrees(const struct body *a, const struct body *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct sconce_tensor *s = &a->inputs[i], *t = &b->inputs[i];

		if (s->dtype != t->dtype || s->ndim != t->ndim || !s->ndim ||
		    s->dtype == SCONCE_BYTES || s->shape[0] != a->inputs[0].shape[0] ||
		    t->shape[0] != b->inputs[0].shape[0] ||
		    memcmp(s->shape + 1, t->shape + 1, (s->ndim - 1) * sizeof(*s->shape)) != 0)
			return false;
	}
	return a->n == b->n && a->n && a->away == b->away;
}

static bool is_away(const struct body *b, size_t i)
{
	return b->away >> i & 1;
}

/* Memory for input i of all, where those of the requests lie. */
static int stack_place(struct stack *k, size_t i, bool away, uint64_t bytes)
{
	struct image_error ignored;
	void *memory = NULL;

	if (!away)
		return body_place(&k->all, i, bytes) ? 0 : -ENOMEM;
	if (image_gpu_alloc(k->all.gpu, bytes, &memory, &ignored) < 0)
		return -ENOMEM;
	k->all.away |= UINT64_C(1) << i;
	k->all.inputs[i].data = memory;
	k->all.inputs[i].bytes = bytes;
	return 0;
}

static int stack_copy(struct stack *k, size_t i, uint64_t at, const struct sconce_tensor *from)
{
	char *to = (char *)k->all.inputs[i].data + at;
	struct image_error ignored;

	if (is_away(&k->all, i))
		return image_gpu_copy(k->all.gpu, to, from->data, from->bytes, &ignored);
	if (from->bytes)
		memcpy(to, from->data, from->bytes);
	return 0;
}

static int stack_input(struct stack *k, size_t i, const struct body *bodies, const bool *in,
		       unsigned n)
{
	struct sconce_tensor *to = &k->all.inputs[i];
	uint64_t bytes = 0, at = 0;
	bool away = false;
	int r;

	for (unsigned b = 0; b < n; b++) {
		if (!in[b])
			continue;
		if (!bytes)
			*to = bodies[b].inputs[i];
		away = is_away(&bodies[b], i);
		k->all.gpu = bodies[b].gpu;
		bytes += bodies[b].inputs[i].bytes;
	}
	to->owner = NULL;
	r = stack_place(k, i, away, bytes);
	to->shape[0] = k->total;
	for (unsigned b = 0; b < n && !r; b++) {
		if (!in[b])
			continue;
		r = stack_copy(k, i, at, &bodies[b].inputs[i]);
		at += bodies[b].inputs[i].bytes;
	}
	return r;
}

int stack_make(struct stack *k, const struct body *bodies, const bool *in, unsigned n,
	       const struct sconce_signature *signature)
{
	int r = 0;

	*k = (struct stack){ .all.signature = signature };
	k->all.inputs = mem_zalloc(MAX(signature->n_inputs, 1) * sizeof(*k->all.inputs));
	k->rows = mem_zalloc(n * sizeof(*k->rows));
	for (unsigned b = 0; b < n; b++) {
		k->rows[b] = in[b] ? bodies[b].inputs[0].shape[0] : 0;
		/* Rows without elements cost their clients nothing. */
		if (__builtin_add_overflow(k->total, k->rows[b], &k->total))
			return -EOVERFLOW;
	}
	k->all.n = signature->n_inputs;
	for (size_t i = 0; i < signature->n_inputs && !r; i++)
		r = stack_input(k, i, bodies, in, n);
	return r;
}

void stack_finish(struct stack *k)
{
	for (size_t i = 0; i < k->all.n; i++)
		if (is_away(&k->all, i))
			image_gpu_free(k->all.gpu, k->all.inputs[i].data);
	free(k->rows);
	body_finish(&k->all);
}

bool stack_fits(const struct stack *k, const struct sconce_tensor *outputs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!outputs[i].ndim || outputs[i].shape[0] != k->total ||
		    outputs[i].dtype == SCONCE_BYTES)
			return false;
	return k->total > 0;
}

struct sconce_tensor stack_part(const struct stack *k, const struct sconce_tensor *output,
				int64_t from, int64_t rows)
{
	uint64_t row = output->bytes / (uint64_t)k->total;
	struct sconce_tensor part = *output;

	part.data = (char *)output->data + row * (uint64_t)from;
	part.bytes = row * (uint64_t)rows;
	part.shape[0] = rows;
	part.release = NULL;
	return part;
}
