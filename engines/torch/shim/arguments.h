/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a TorchScript model takes and gives. Its file says only names and kinds; types and sizes
 * come from the configuration, from the example that it was traced with, or from the first
 * operator that an input meets.
 */

#include <optional>

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include "configured.h"

namespace shim
{

namespace jit = torch::jit;

/* An argument of forward(). */
enum class kind { TENSOR, INTEGER, REAL, FLAG };

inline std::optional<kind> kind_of(const c10::TypePtr &type)
{
	if (auto optional = type->cast<c10::OptionalType>())
		return kind_of(optional->getElementType());
	switch (type->kind()) {
	case c10::TypeKind::TensorType:
		return kind::TENSOR;
	case c10::TypeKind::IntType:
		return kind::INTEGER;
	case c10::TypeKind::FloatType:
		return kind::REAL;
	case c10::TypeKind::BoolType:
		return kind::FLAG;
	default:
		return std::nullopt;
	}
}

struct argument {
	std::string name;
	enum kind kind;
};

inline c10::IValue value_of(const argument &a, const at::Tensor &t)
{
	switch (a.kind) {
	case kind::INTEGER:
		return t.item<int64_t>();
	case kind::REAL:
		return t.item<double>();
	case kind::FLAG:
		return t.item<bool>();
	default:
		return t;
	}
}

/* Those that a client gives. Others keep their defaults. */
inline std::vector<argument> arguments_of(const c10::FunctionSchema &schema,
					  const struct torch_wish &w)
{
	std::vector<argument> ret;

	for (size_t i = 1; i < schema.arguments().size(); i++) {
		const c10::Argument &a = schema.arguments()[i];
		std::optional<kind> k = kind_of(a.type());

		if (a.default_value() && !is_configured(w, a.name()))
			continue;
		if (!k)
			throw problem(
				"forward() takes \"" + a.name() + "\", a " + a.type()->repr_str() +
				": only tensors, numbers and flags come from clients: trace or "
				"script a module around it that takes these");
		ret.push_back({ a.name(), *k });
	}
	return ret;
}

inline input input_of(model &m, const argument &a)
{
	static const struct {
		enum kind kind;
		uint32_t dtype;
	} numbers[] = { { kind::INTEGER, SCONCE_INT64 },
			{ kind::REAL, SCONCE_FP64 },
			{ kind::FLAG, SCONCE_BOOL } };
	input i;

	i.spec.name = m.keep(a.name);
	i.spec.ndim = SCONCE_NDIM_ANY;
	for (const auto &n : numbers)
		if (n.kind == a.kind) {
			i.spec.dtype = n.dtype;
			i.spec.ndim = 0;
			i.known = true;
		}
	return i;
}

/* ---- where types and sizes come from ---- */

inline void take_example(input &i, const c10::TensorType &type)
{
	auto sizes = type.sizes().concrete_sizes();

	if (i.spec.ndim != SCONCE_NDIM_ANY || !type.scalarType() || !sizes ||
	    !dtype_of(*type.scalarType()) || sizes->size() > SCONCE_NDIM_MAX)
		return;
	i.spec.dtype = dtype_of(*type.scalarType());
	i.spec.ndim = (uint32_t)sizes->size();
	i.example = *sizes;
	std::copy(i.example.begin(), i.example.end(), i.spec.shape);
	i.known = true;
}

/* The example of torch.jit.trace(), which newer torchs keep: the graph's inputs have its types.
 * They lose them here, or else runs would be prepared for nothing but that. */
inline void take_traced(std::vector<input> &inputs, jit::Graph &graph)
{
	for (size_t k = 1; k < graph.inputs().size(); k++) {
		auto type = graph.inputs()[k]->type()->cast<c10::TensorType>();

		if (!type)
			continue;
		if (graph.inputs().size() == inputs.size() + 1)
			take_example(inputs[k - 1], *type);
		graph.inputs()[k]->setType(c10::TensorType::get());
	}
}

/* A weight that meets the input tells its type and a part of its shape. */
inline void take_weight(input &i, const std::string &op, const at::Tensor &w)
{
	bool is_linear = op == "aten::linear";

	if (op == "aten::embedding") {
		i.spec.dtype = SCONCE_INT64;
		return;
	}
	if (!is_linear && op.compare(0, 10, "aten::conv") != 0 && op != "aten::_convolution")
		return;
	i.spec.dtype = dtype_of(w.scalar_type());
	if (is_linear || w.dim() < 3 || w.dim() > 5)
		return;
	i.spec.ndim = (uint32_t)w.dim();
	std::fill(i.spec.shape, i.spec.shape + w.dim(), SCONCE_DIM_ANY);
}

/* Operators that leave type and rank as they are. */
inline bool passes_on(const std::string &op)
{
	static const char *const ops[] = { "aten::constant_pad_nd",
					   "aten::pad",
					   "aten::relu",
					   "aten::add",
					   "aten::sub",
					   "aten::mul",
					   "aten::div",
					   "aten::dropout",
					   "aten::clamp",
					   "aten::contiguous" };

	return std::find(std::begin(ops), std::end(ops), op) != std::end(ops);
}

inline void take_uses(input &i, const jit::Value *v, int depth = 8)
{
	for (const jit::Use &use : v->uses()) {
		std::string op = use.user->kind().toQualString();
		size_t other = op == "aten::embedding" ? 0 : 1;

		if (i.spec.dtype)
			return;
		if (depth && !use.offset && passes_on(op))
			take_uses(i, use.user->output(), depth - 1);
		if (use.offset != 1 - other || use.user->inputs().size() <= other)
			continue;
		auto constant = jit::toIValue(use.user->input(other));

		if (constant && constant->isTensor())
			take_weight(i, op, constant->toTensor());
	}
}

/* ---- results ---- */

inline void flatten(const c10::IValue &v, const std::string &name, results &ret);

inline std::string below(const std::string &name, const std::string &key)
{
	return name == "output" ? key : name + "." + key;
}

inline void flatten_all(const std::vector<c10::IValue> &all, const std::string &name, results &ret)
{
	for (size_t i = 0; i < all.size(); i++)
		flatten(all[i], name + "_" + std::to_string(i), ret);
}

inline void flatten_tuple(const c10::IValue &v, const std::string &name, results &ret)
{
	const auto &elements = v.toTupleRef().elements();
	auto schema = v.type()->expectRef<c10::TupleType>().schema();

	for (size_t i = 0; i < elements.size(); i++)
		flatten(elements[i],
			schema ? below(name, schema->arguments()[i].name())
			       : name + "_" + std::to_string(i),
			ret);
}

inline void flatten_dict(const c10::IValue &v, const std::string &name, results &ret)
{
	for (const auto &entry : v.toGenericDict()) {
		if (!entry.key().isString())
			throw problem("forward() returns a dict whose keys are not texts");
		flatten(entry.value(), below(name, entry.key().toStringRef()), ret);
	}
}

/* Every tensor and number within, with a name. */
inline void flatten(const c10::IValue &v, const std::string &name, results &ret)
{
	if (v.isTensor())
		ret.push_back({ name, v.toTensor() });
	else if (v.isTuple())
		flatten_tuple(v, name, ret);
	else if (v.isGenericDict())
		flatten_dict(v, name, ret);
	else if (v.isInt() || v.isDouble() || v.isBool())
		ret.push_back(
			{ name, at::scalar_tensor(v.toScalar(), v.isInt()    ? at::kLong
								: v.isBool() ? at::kBool
									     : at::kDouble) });
	else if (v.isIntList())
		ret.push_back({ name, at::tensor(v.toIntVector()) });
	else if (v.isDoubleList())
		ret.push_back({ name, at::tensor(v.toDoubleVector(), at::kDouble) });
	else if (v.isList())
		flatten_all(v.toListRef().vec(), name, ret);
	else if (!v.isNone())
		throw problem("forward() returns a " + v.type()->repr_str() +
			      ", which is neither a tensor nor made of tensors");
	if (ret.size() > 4096)
		throw problem("forward() returns too many tensors");
}

/* Names of what a type or a value of the graph will flatten to; tensors are undefined. False: the
 * file does not tell. */
inline bool foresee_type(const c10::TypePtr &type, const std::string &name, results &ret)
{
	if (auto tuple = type->cast<c10::TupleType>()) {
		for (size_t i = 0; i < tuple->elements().size(); i++)
			if (!foresee_type(
				    tuple->elements()[i],
				    tuple->schema()
					    ? below(name, tuple->schema()->arguments()[i].name())
					    : name + "_" + std::to_string(i),
				    ret))
				return false;
		return true;
	}
	if (!kind_of(type) || type->cast<c10::OptionalType>())
		return false;
	ret.push_back({ name, at::Tensor() });
	return true;
}

inline bool foresee_value(const jit::Value *v, const std::string &name, results &ret)
{
	const jit::Node *n = v->node();
	auto kind = n->kind();

	/* What is used elsewhere, too, may be added to there. */
	if (v->uses().size() > 1 && !v->type()->isSubtypeOf(*c10::TensorType::get()))
		return foresee_type(v->type(), name, ret);
	if (kind == c10::prim::DictConstruct) {
		for (size_t i = 0; i + 1 < n->inputs().size(); i += 2) {
			auto key = jit::toIValue(n->inputs()[i]);

			if (!key || !key->isString() ||
			    !foresee_value(n->inputs()[i + 1], below(name, key->toStringRef()),
					   ret))
				return false;
		}
		return true;
	}
	if ((kind == c10::prim::TupleConstruct &&
	     !v->type()->expectRef<c10::TupleType>().schema()) ||
	    kind == c10::prim::ListConstruct) {
		for (size_t i = 0; i < n->inputs().size(); i++)
			if (!foresee_value(n->inputs()[i], name + "_" + std::to_string(i), ret))
				return false;
		return true;
	}
	return foresee_type(v->type(), name, ret);
}

} /* namespace shim */
