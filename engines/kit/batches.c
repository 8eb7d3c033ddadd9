/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

static bool all_open(const struct sconce_tensor_spec *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!all[i].ndim || all[i].ndim == SCONCE_NDIM_ANY ||
		    all[i].shape[0] != SCONCE_DIM_ANY)
			return false;
	return n > 0;
}

int kit_batches(const struct settings *settings, const struct sconce_signature *s,
		struct sconce_error *e)
{
	bool said = yyjson_obj_get(settings->root, "batches"), may = false;
	bool open = all_open(s->inputs, s->n_inputs) && all_open(s->outputs, s->n_outputs);
	int r = settings_flag(settings, "batches", &may, e);

	if (r)
		return r;
	if (said && may && !open)
		return kit_fail(e, -1,
				"engine: batches: the first dimension of each input and output has "
				"to be of any size");
	if (said)
		return may ? BATCHES_YES : BATCHES_NO;
	return open ? BATCHES_MAYBE : BATCHES_NO;
}
