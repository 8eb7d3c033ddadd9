/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"

#include <string.h>

/* Names are those of the Open Inference Protocol. */
static int read_datatype(yyjson_val *v, struct sconce_tensor_spec *s, struct sconce_error *e)
{
	static const char *const names[SCONCE_DTYPES] = {
		[SCONCE_BOOL] = "BOOL",     [SCONCE_UINT8] = "UINT8",   [SCONCE_UINT16] = "UINT16",
		[SCONCE_UINT32] = "UINT32", [SCONCE_UINT64] = "UINT64", [SCONCE_INT8] = "INT8",
		[SCONCE_INT16] = "INT16",   [SCONCE_INT32] = "INT32",   [SCONCE_INT64] = "INT64",
		[SCONCE_FP16] = "FP16",     [SCONCE_FP32] = "FP32",     [SCONCE_FP64] = "FP64",
		[SCONCE_BF16] = "BF16",
	};
	const char *text = yyjson_get_str(v);

	if (!v)
		return 0;
	for (uint32_t d = 1; text && d < SCONCE_DTYPES; d++)
		if (names[d] && strcmp(names[d], text) == 0) {
			s->dtype = d;
			return 0;
		}
	return kit_fail(e, -1, "engine: inputs: torch has no datatype \"%.40s\"", text ? text : "");
}

static int read_shape(yyjson_val *shape, struct sconce_tensor_spec *s, struct sconce_error *e)
{
	yyjson_val *dim;
	size_t i, n;

	if (!shape)
		return 0;
	s->ndim = 0;
	yyjson_arr_foreach(shape, i, n, dim)
	{
		if (!yyjson_is_int(dim) || s->ndim == SCONCE_NDIM_MAX)
			break;
		s->shape[s->ndim++] = yyjson_get_sint(dim) < 0 ? SCONCE_DIM_ANY
							       : yyjson_get_sint(dim);
	}
	if (yyjson_is_arr(shape) && s->ndim == yyjson_arr_size(shape))
		return 0;
	return kit_fail(e, -1, "engine: inputs: a shape is no list of sizes");
}

int inputs_read(const struct settings *s, struct sconce_tensor_spec *ret, size_t *ret_n,
		int *ret_hint, struct sconce_error *e)
{
	yyjson_val *inputs = yyjson_obj_get(s->root, "inputs"), *item;
	size_t i, n;

	*ret_n = 0;
	*ret_hint = 0;
	yyjson_arr_foreach(inputs, i, n, item)
	{
		if (i == INPUTS_MAX)
			break;
		ret[i] = (struct sconce_tensor_spec){
			.name = yyjson_get_str(yyjson_obj_get(item, "name")),
			.ndim = SCONCE_NDIM_ANY,
		};
		if (read_datatype(yyjson_obj_get(item, "datatype"), &ret[i], e) < 0 ||
		    read_shape(yyjson_obj_get(item, "shape"), &ret[i], e) < 0)
			return -1;
		*ret_n = i + 1;
		*ret_hint |= yyjson_get_bool(yyjson_obj_get(item, "hint"));
	}
	return 0;
}
