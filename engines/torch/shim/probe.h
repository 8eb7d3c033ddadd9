/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A model tried with inputs that are made up, before a client's come: whether another form of it
 * gives the same, and whether its examples touch each other.
 */

#include <ATen/CPUGeneratorImpl.h>

#include "model.h"

namespace shim
{

/* How far results may be apart: sums in another order, not other numbers. */
inline double tolerance(at::ScalarType type)
{
	return type == at::kHalf || type == at::kBFloat16 ? 2e-2 : 1e-4;
}

inline at::Tensor made_up(const input &i, int64_t rows, uint64_t seed)
{
	auto generator = at::detail::createCPUGenerator(seed);
	std::vector<int64_t> shape = i.example;
	at::ScalarType type = at::kFloat;

	if (rows && !shape.empty())
		shape[0] = rows;
	scalar_type(i.spec.dtype, &type);
	if (at::isFloatingType(type))
		return at::rand(shape, generator, at::TensorOptions(at::kFloat)).to(type);
	/* Indices into tables of any length. */
	return at::randint(0, 2, shape, generator, at::TensorOptions(at::kLong)).to(type);
}

/* `rows`: 0 for as many as the example has. */
inline tensors probe(const model &m, int64_t rows, uint64_t seed)
{
	tensors all;

	for (size_t k = 0; k < m.inputs.size(); k++)
		all.push_back(made_up(m.inputs[k], rows, seed + k).to(m.device));
	return all;
}

inline bool is_close(const at::Tensor &a, const at::Tensor &b)
{
	if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes())
		return false;
	if (!a.is_floating_point() || !a.numel())
		return a.equal(b);
	at::Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
	double scale = at::nan_to_num(x, 0, 0, 0).abs().max().item<double>();
	double near = tolerance(a.scalar_type());

	return at::allclose(x, y, near, near * std::max(scale, 1e-3), true);
}

inline bool agree(const results &a, const results &b)
{
	if (a.size() != b.size())
		return false;
	for (size_t i = 0; i < a.size(); i++)
		if (a[i].name != b[i].name || !is_close(a[i].tensor, b[i].tensor))
			return false;
	return true;
}

/* Row `row` of each. */
inline results row_of(const results &all, int64_t row)
{
	results ret;

	for (const result &r : all)
		ret.push_back({ r.name, r.tensor.narrow(0, row, 1) });
	return ret;
}

/* Do two examples in one run give what each gives alone? */
inline bool rows_are_apart(const model &m, callee &c)
{
	tensors one = probe(m, 1, 1), other = probe(m, 1, 2), both;

	for (const input &i : m.inputs)
		if (i.example.empty() || (i.configured && i.spec.shape[0] != SCONCE_DIM_ANY))
			return false;
	for (size_t i = 0; i < one.size(); i++)
		both.push_back(at::cat({ one[i], other[i] }));
	try {
		results a = c.call(one), b = c.call(other), ab = c.call(both);

		for (const result &r : ab)
			if (!r.tensor.dim() || r.tensor.size(0) != 2)
				return false;
		return !ab.empty() && agree(row_of(ab, 0), a) && agree(row_of(ab, 1), b);
	} catch (const std::exception &) {
		return false; /* it takes one number of examples only */
	}
}

/* May runs of it be prepared for their sizes? */
inline bool has_fixed_sizes(const model &m)
{
	for (const input &i : m.inputs)
		for (uint32_t d = 1; i.spec.ndim != SCONCE_NDIM_ANY && d < i.spec.ndim; d++)
			if (i.spec.shape[d] == SCONCE_DIM_ANY)
				return false;
	return true;
}

/* How many examples runs are prepared for: each costs memory. */
inline std::vector<int64_t> row_counts(const model &m)
{
	std::vector<int64_t> ret;

	for (int64_t rows = 1; m.stacks && rows < m.rows; rows *= 2)
		ret.push_back(rows);
	ret.push_back(m.stacks ? m.rows : 0);
	return ret;
}

/* The first runs of a model find out its types, and make what they need for them: twice to learn,
 * and once with what was learnt. */
inline void run_for_all_sizes(const model &m, callee &c)
{
	for (int64_t rows : row_counts(m)) {
		tensors inputs = probe(m, rows, 1);

		for (int i = 0; i < 3; i++)
			c.call(inputs);
	}
}

} /* namespace shim */
