/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A loaded model, of whatever kind: what it takes and gives, and how it is called. Loading is for
 * one thread; calls come from many, for one instance from one at a time.
 */

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sconce/engine.h>

#include "shim.h"
#include "text.h"
#include "values.h"

namespace shim
{

struct result {
	std::string name;
	at::Tensor tensor;
};
using tensors = std::vector<at::Tensor>;
using results = std::vector<result>;

/* Something that can be run. */
struct callee {
	virtual ~callee() = default;
	virtual results call(tensors &inputs) = 0;
};

/* An input: its specification, and what is known beyond that. */
struct input {
	struct sconce_tensor_spec spec = {};
	std::vector<int64_t> example; /* sizes it can be tried with */
	bool known = false;           /* dtype and example are */
	bool configured = false;      /* by the user: what was found out is not to replace it */
	bool written = false;         /* the model writes to it: it gets a copy */
};

struct model {
	const struct sconce_host *host;
	at::Device device = at::kCPU;
	std::vector<input> inputs;
	std::vector<struct sconce_tensor_spec> input_specs, output_specs;
	std::deque<std::string> names; /* what the specifications point to */
	struct sconce_signature signature = {};
	std::atomic<uint32_t> threads{ 1 };
	uint32_t rows = 1, instances = 1;
	uint64_t bytes = 0;
	bool keeps_state = false, stacks = false, tried = false;

	virtual ~model() = default;
	virtual std::shared_ptr<callee> instance() = 0;

	const char *keep(const std::string &name)
	{
		names.push_back(name);
		return names.back().c_str();
	}
	bool is_known() const
	{
		for (const input &i : inputs)
			if (!i.known)
				return false;
		return true;
	}
};

struct instance {
	struct model *model;
	std::shared_ptr<struct callee> runs;
	uint32_t index;
};

/* The number of threads is one of the calling thread. */
inline void use_threads(const model &m)
{
	static thread_local uint32_t mine;
	uint32_t wanted = m.threads.load(std::memory_order_relaxed);

	if (mine != wanted)
		at::set_num_threads((int)(mine = wanted));
}

/* Specifications of outputs from results: sizes are those of the model's inputs only where these
 * are fixed. */
inline void describe_outputs(model &m, const results &got)
{
	bool fixed = true;

	for (const input &i : m.inputs)
		for (uint32_t d = i.spec.ndim == SCONCE_NDIM_ANY ? 0 : 1; d < i.spec.ndim; d++)
			fixed = fixed && i.spec.ndim != SCONCE_NDIM_ANY &&
				i.spec.shape[d] != SCONCE_DIM_ANY;
	m.output_specs.clear();
	for (const result &r : got) {
		struct sconce_tensor_spec s = {};

		s.name = m.keep(r.name);
		s.ndim = SCONCE_NDIM_ANY;
		if (r.tensor.defined()) {
			s.dtype = dtype_of(r.tensor.scalar_type());
			s.ndim = (uint32_t)std::min<int64_t>(r.tensor.dim(), SCONCE_NDIM_MAX);
		}
		for (uint32_t d = 0; r.tensor.defined() && d < s.ndim; d++)
			s.shape[d] = fixed && (d || !m.stacks) ? r.tensor.size(d) : SCONCE_DIM_ANY;
		m.output_specs.push_back(s);
	}
}

/* It was tried and prepared for what it will mostly be given; whatever else comes it may fail at.
 */
inline void take_any_shape(model &m)
{
	for (input &i : m.inputs)
		i.spec.ndim = SCONCE_NDIM_ANY;
}

inline void finish_signature(model &m)
{
	m.input_specs.clear();
	for (const input &i : m.inputs)
		m.input_specs.push_back(i.spec);
	m.signature.size = sizeof(m.signature);
	m.signature.inputs = m.input_specs.data();
	m.signature.n_inputs = m.input_specs.size();
	m.signature.outputs = m.output_specs.data();
	m.signature.n_outputs = m.output_specs.size();
	m.signature.batches = m.stacks;
}

} /* namespace shim */
