/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tensors of the host and torch's. Inputs are used where they lie. Results are handed over with
 * the memory they have, unless something else could write or free that.
 */

#include <cstring>
#include <vector>

#include <ATen/ATen.h>
#include <sconce/engine.h>
#include <torch/version.h>

#include "text.h"

namespace shim
{

inline bool scalar_type(uint32_t dtype, at::ScalarType *ret)
{
	static const struct {
		uint32_t ours;
		at::ScalarType torchs;
	} types[] = {
		{ SCONCE_FP32, at::kFloat },    { SCONCE_FP64, at::kDouble },
		{ SCONCE_FP16, at::kHalf },     { SCONCE_BF16, at::kBFloat16 },
		{ SCONCE_BOOL, at::kBool },     { SCONCE_UINT8, at::kByte },
		{ SCONCE_INT8, at::kChar },     { SCONCE_INT16, at::kShort },
		{ SCONCE_INT32, at::kInt },     { SCONCE_INT64, at::kLong },
		{ SCONCE_UINT16, at::kUInt16 }, { SCONCE_UINT32, at::kUInt32 },
		{ SCONCE_UINT64, at::kUInt64 },
	};

	for (const auto &t : types)
		if (t.ours == dtype) {
			*ret = t.torchs;
			return true;
		}
	return false;
}

/* SCONCE_DTYPE_ANY: there is none. */
inline uint32_t dtype_of(at::ScalarType type)
{
	at::ScalarType other;

	for (uint32_t d = 1; d < SCONCE_DTYPES; d++)
		if (scalar_type(d, &other) && other == type)
			return d;
	return SCONCE_DTYPE_ANY;
}

/* A view of the host's memory, which nobody may write. */
inline at::Tensor borrow(const struct sconce_tensor &t)
{
	at::ScalarType type;

	if (!scalar_type(t.dtype, &type))
		throw problem("torch has no tensors of texts", SCONCE_BAD_INPUT);
	return at::from_blob(t.data, at::IntArrayRef(t.shape, t.ndim), at::TensorOptions(type));
}

/* The same where it may lie in a GPU's memory; on `device`. */
inline at::Tensor borrow_from(const struct sconce_tensor &t, const struct sconce_place *place,
			      at::Device device)
{
	at::ScalarType type;

	if (!place || place->memory == SCONCE_MEMORY_HOST)
		return device.is_cpu() ? borrow(t) : borrow(t).to(device);
	if (!scalar_type(t.dtype, &type))
		throw problem("torch has no tensors of texts", SCONCE_BAD_INPUT);
	at::Device there(at::kCUDA, (at::DeviceIndex)place->device);

	return at::from_blob(t.data, at::IntArrayRef(t.shape, t.ndim),
			     at::TensorOptions(type).device(there))
		.to(device);
}

inline bool lies_in(const at::Tensor &t, const struct sconce_tensor *inputs, size_t n)
{
	const char *at = static_cast<const char *>(t.storage().data());

	for (size_t i = 0; i < n; i++) {
		const char *from = static_cast<const char *>(inputs[i].data);

		if (at >= from && at < from + inputs[i].bytes)
			return true;
	}
	return false;
}

inline void drop(struct sconce_tensor *t)
{
	delete static_cast<at::Tensor *>(t->owner);
}

/* `shared`: results may be the model's own state. */
inline void give(at::Tensor from, const struct sconce_tensor *inputs, size_t n_inputs, bool shared,
		 struct sconce_tensor *to)
{
	void *offered = to->data;
	uint64_t room = offered ? to->bytes : 0;

	if (from.layout() != at::kStrided || from.is_quantized() || !dtype_of(from.scalar_type()))
		throw problem("a result is a tensor of " + std::string(from.toString()) +
			      ", which is not served: convert it in the model");
	if (from.dim() > SCONCE_NDIM_MAX)
		throw problem("a result has more than 16 dimensions");
	if (!from.device().is_cpu())
		from = from.cpu();
	to->dtype = dtype_of(from.scalar_type());
	to->ndim = (uint32_t)from.dim();
	for (uint32_t i = 0; i < to->ndim; i++)
		to->shape[i] = from.size(i);
	to->bytes = (uint64_t)from.nbytes();
	if (room >= to->bytes && offered) {
		at::from_blob(offered, from.sizes(), from.options()).copy_(from);
		to->data = offered;
		to->release = nullptr;
		return;
	}
	if (shared || !from.is_contiguous() || from.storage().use_count() > 1 ||
	    lies_in(from, inputs, n_inputs))
		from = from.clone(at::MemoryFormat::Contiguous);
	to->owner = new at::Tensor(from);
	to->data = from.data_ptr();
	to->release = drop;
}

} /* namespace shim */
