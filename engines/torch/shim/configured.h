/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the configuration says of inputs, laid over what is known. */

#include "model.h"

namespace shim
{

inline bool is_configured(const struct torch_wish &w, const std::string &name)
{
	for (size_t i = 0; i < w.n_inputs; i++)
		if (w.inputs[i].name && name == w.inputs[i].name)
			return true;
	return false;
}

/* What the configuration says of the input at `place`: by name, or by place where that is no name
 * of any input; then the input gets it. */
inline const struct sconce_tensor_spec *configured(const struct torch_wish &w,
						   const std::vector<input> &inputs, size_t place)
{
	for (size_t i = 0; i < w.n_inputs; i++)
		if (w.inputs[i].name && strcmp(w.inputs[i].name, inputs[place].spec.name) == 0)
			return &w.inputs[i];
	if (place >= w.n_inputs)
		return nullptr;
	for (const input &i : inputs)
		if (w.inputs[place].name && strcmp(w.inputs[place].name, i.spec.name) == 0)
			return nullptr;
	return &w.inputs[place];
}

/* Of a dimension that is left open: a model that fails with it is not tried, as without it. */
inline int64_t example_size(uint32_t dimension, uint32_t of)
{
	bool colours = of == 4 && dimension == 1;

	return colours ? 3 : 64;
}

/* The configuration is right; the example tells what it leaves open. */
inline void take_configured(input &i, const struct sconce_tensor_spec &s)
{
	bool same_rank = i.known && s.ndim == i.spec.ndim;

	if (s.dtype)
		i.spec.dtype = s.dtype;
	if (s.ndim != SCONCE_NDIM_ANY) {
		i.configured = true;
		i.spec.ndim = s.ndim;
		i.known = true;
		if (!same_rank)
			i.example.assign(s.ndim, 1);
		for (uint32_t d = 0; d < s.ndim; d++) {
			i.spec.shape[d] = s.shape[d];
			if (s.shape[d] != SCONCE_DIM_ANY)
				i.example[d] = s.shape[d];
			else if (d && !same_rank)
				i.example[d] = example_size(d, s.ndim);
		}
	}
	i.known = i.known && i.spec.dtype;
}

} /* namespace shim */
