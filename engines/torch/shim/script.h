/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * TorchScript models. One that a probe finds to give the same when frozen and fused by oneDNN runs
 * like that, and any other as it is; what has convolutions gets its pictures channels last, as
 * these want them. One that keeps state between calls is not shared by instances.
 */

#include <torch/csrc/jit/codegen/onednn/interface.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/serialization/import.h>

#include "arguments.h"
#include "probe.h"

namespace shim
{

struct script_model : model {
	std::vector<argument> arguments;
	jit::Module module; /* as the file has it */
	std::shared_ptr<callee> shared;

	std::shared_ptr<callee> instance() override;
};

struct script_callee : callee {
	const script_model *model;
	jit::Module module;
	jit::Method method;
	bool prepared; /* runs are fast for the sizes that it was prepared for only */
	/* What is fused fails with some other sizes: for these, with the same weights. */
	std::optional<jit::Module> unfused;
	std::atomic<bool> channels_last{ false }; /* pictures are laid out like that for it */

	script_callee(const script_model *m, const jit::Module &what, bool for_sizes = false)
	    : model(m), module(what), method(module.get_method("forward")), prepared(for_sizes)
	{
	}

	results call(tensors &inputs) override
	{
		if (unfused && !is_of_example_sizes(inputs)) {
			jit::GraphOptimizerEnabledGuard plainly(false);

			return call_once(unfused->get_method("forward"), inputs);
		}
		return prepared && model->stacks ? call_parts(inputs) : call_laid_out(inputs);
	}

	/* Code that views a picture's memory as it lies fails where another layout is not foreseen:
	 * from then on there is none. */
	results call_laid_out(tensors &inputs)
	{
		if (!channels_last.load(std::memory_order_relaxed))
			return call_once(method, inputs);
		try {
			tensors laid_out = inputs;

			for (at::Tensor &t : laid_out)
				if (t.dim() == 4 && t.is_floating_point())
					t = t.contiguous(at::MemoryFormat::ChannelsLast);
			return call_once(method, laid_out);
		} catch (const std::exception &) {
			results ret = call_once(method, inputs);

			channels_last.store(false, std::memory_order_relaxed);
			return ret;
		}
	}

	bool is_of_example_sizes(const tensors &inputs) const
	{
		for (size_t i = 0; i < inputs.size(); i++) {
			at::IntArrayRef is = inputs[i].sizes(), wanted = model->inputs[i].example;

			if (is.size() != wanted.size() ||
			    (!is.empty() && is.slice(1) != wanted.slice(1)))
				return false;
		}
		return true;
	}

	/* As few runs of those sizes as make up all examples. */
	results call_parts(tensors &inputs)
	{
		int64_t rows = inputs[0].size(0), done = 0;
		std::vector<int64_t> counts = row_counts(*model);
		std::vector<tensors> parts;
		results ret;

		while (done < rows) {
			while (counts.size() > 1 && counts.back() > rows - done)
				counts.pop_back();
			tensors part;

			for (const at::Tensor &t : inputs)
				part.push_back(t.narrow(0, done, counts.back()));
			ret = call_laid_out(part);
			parts.resize(ret.size());
			for (size_t i = 0; i < ret.size(); i++)
				parts[i].push_back(ret[i].tensor);
			done += counts.back();
		}
		for (size_t i = 0; i < ret.size() && parts[i].size() > 1; i++)
			ret[i].tensor = at::cat(parts[i]);
		return rows ? ret : call_laid_out(inputs);
	}

	results call_once(const jit::Method &forward, tensors &inputs)
	{
		const auto &wanted = forward.function().getSchema().arguments();
		std::vector<c10::IValue> stack;
		jit::Kwargs named;
		results ret;

		for (size_t i = 0; i < inputs.size(); i++) {
			const argument &a = model->arguments[i];
			c10::IValue v = value_of(a, model->inputs[i].written ? inputs[i].clone()
									     : inputs[i]);

			/* Those before it may keep their defaults. */
			if (named.empty() && wanted[1 + stack.size()].name() == a.name)
				stack.push_back(std::move(v));
			else
				named[a.name] = std::move(v);
		}
		flatten(forward(std::move(stack), named), "output", ret);
		return ret;
	}
};

inline std::shared_ptr<callee> script_model::instance()
{
	if (!keeps_state)
		return shared;
	return std::make_shared<script_callee>(this, module.deepcopy());
}

/* ---- what the graph does to memory that is not its own ---- */

inline bool writes_state(const jit::Block *block, const jit::AliasDb &aliases)
{
	for (const jit::Node *n : block->nodes()) {
		if (n->kind() == c10::prim::SetAttr)
			return true;
		if (n->kind() == c10::prim::GetAttr &&
		    n->output()->type()->isSubtypeOf(*c10::TensorType::get()) &&
		    aliases.hasWriters(n->output()))
			return true;
		for (const jit::Block *inner : n->blocks())
			if (writes_state(inner, aliases))
				return true;
	}
	return false;
}

/* Of the frozen form, where there is one: it is without what happens in training only. */
inline void find_writes(script_model &m, const c10::FunctionSchema &schema,
			const std::optional<jit::Module> &frozen)
{
	auto graph = (frozen ? *frozen : m.module).get_method("forward").graph()->copy();

	jit::Inline(*graph);
	jit::AliasDb aliases(graph);

	m.keeps_state = writes_state(graph->block(), aliases);
	for (size_t i = 1; i < graph->inputs().size(); i++)
		for (size_t k = 0; k < m.arguments.size(); k++)
			if (m.arguments[k].name == schema.arguments()[i].name())
				m.inputs[k].written = m.arguments[k].kind == kind::TENSOR &&
						      aliases.hasWriters(graph->inputs()[i]);
}

/* ---- the faster form ---- */

inline std::optional<jit::Module> freeze(const script_model &m)
{
	try {
		return jit::freeze(m.module);
	} catch (const std::exception &e) {
		log(m.host, 1,
		    "The model is run as it is, for it cannot be frozen: " + sentence(e.what()));
		return std::nullopt;
	}
}

/* A pass that is for the whole process. */
inline void fuse(const model &m, bool on)
{
	if (m.device.is_cpu() && at::hasMKLDNN())
		jit::RegisterLlgaFuseGraph::setEnabled(on);
}

inline bool has_convolution(const jit::Block *block)
{
	static const c10::Symbol kinds[] = { c10::aten::_convolution, c10::aten::conv2d };

	for (const jit::Node *n : block->nodes()) {
		if (n->kind() == kinds[0] || n->kind() == kinds[1])
			return true;
		for (const jit::Block *inner : n->blocks())
			if (has_convolution(inner))
				return true;
	}
	return false;
}

/* Why it does not do what the plain module does, in runs to learn and one with what was learnt.
 * Empty: it does. */
inline std::string differs(const script_model &m, callee &c, const results &expected)
{
	try {
		for (int i = 0; i < 3; i++) {
			tensors inputs = probe(m, 0, 1);

			if (!agree(expected, c.call(inputs)))
				return "it gives other results like that";
		}
	} catch (const std::exception &e) {
		return sentence(e.what());
	}
	return "";
}

inline std::shared_ptr<script_callee> form(script_model &m, const jit::Module &frozen,
					   bool any_sizes, bool channels_last)
{
	bool fixed = has_fixed_sizes(m);
	auto ret = std::make_shared<script_callee>(&m, frozen, fixed);

	/* What is fused is for one size each. */
	if (fixed && any_sizes)
		ret->unfused = frozen.clone(true);
	ret->channels_last = channels_last;
	return ret;
}

/* `expected`: of the plain module. Null: it does not do the same. */
inline std::shared_ptr<callee> faster(script_model &m, const jit::Module &frozen,
				      const results &expected, bool any_sizes)
{
	std::string why;

	fuse(m, has_fixed_sizes(m));
	if (m.device.is_cpu() && has_convolution(frozen.get_method("forward").graph()->block())) {
		/* A copy, for a form has learnt the layout that it was tried with. */
		auto ret = form(m, frozen.clone(true), any_sizes, true);

		if (differs(m, *ret, expected).empty() && ret->channels_last) {
			log(m.host, 1, "The model gets pictures with their channels last");
			return ret;
		}
	}
	auto ret = form(m, frozen, any_sizes, false);

	why = differs(m, *ret, expected);
	if (why.empty())
		return ret;
	fuse(m, false);
	log(m.host, 2, "The model is run as it is, neither frozen nor fused: " + why);
	return nullptr;
}

/* ---- loading ---- */

inline void describe_inputs(script_model &m, const struct torch_wish &w,
			    const std::optional<jit::Module> &frozen)
{
	for (size_t i = 0; i < m.inputs.size(); i++) {
		const struct sconce_tensor_spec *s = configured(w, m.inputs, i);

		if (s)
			take_configured(m.inputs[i], *s);
		if (s && s->name)
			m.inputs[i].spec.name = m.keep(s->name);
	}
	if (!frozen)
		return;
	auto graph = frozen->get_method("forward").graph();

	for (size_t i = 0; i < m.inputs.size(); i++)
		for (size_t k = 1; k < graph->inputs().size() && !m.inputs[i].spec.dtype; k++)
			if (graph->inputs()[k]->debugNameBase() == m.arguments[i].name ||
			    (graph->inputs().size() == m.inputs.size() + 1 && k == i + 1))
				take_uses(m.inputs[i], graph->inputs()[k]);
}

/* Whether examples touch each other decides what the first dimension is. */
inline void open_rows(script_model &m, callee &c)
{
	m.stacks = !m.keeps_state && rows_are_apart(m, c);
	for (input &i : m.inputs)
		if (m.stacks)
			i.spec.shape[0] = SCONCE_DIM_ANY;
}

inline results foresee(const script_model &m)
{
	auto graph = m.module.get_method("forward").graph();
	results ret;

	if (graph->outputs().size() != 1 || !foresee_value(graph->outputs()[0], "output", ret))
		throw problem(
			"forward() returns a " + graph->outputs()[0]->type()->repr_str() +
			", and of what is not in the file: say the datatype and shape of every "
			"input in model-config.yaml (engine: inputs:), so that it can be "
			"tried");
	return ret;
}

/* Results of a trial; nothing where it cannot be tried. */
inline results try_out(script_model &m, const std::optional<jit::Module> &frozen,
		       const struct torch_wish &w)
{
	jit::Module own = m.keeps_state ? m.module.deepcopy() : m.module;
	script_callee plain(&m, own);
	results expected;

	m.shared = std::make_shared<script_callee>(&m, own);
	if (!m.is_known()) {
		log(m.host, 1,
		    "The model is not tried before it is ready, and not made faster: it does "
		    "not say what its inputs are; model-config.yaml can (engine: inputs:)");
		return {};
	}
	try {
		tensors inputs = probe(m, 0, 1);

		expected = plain.call(inputs);
	} catch (const std::exception &e) {
		log(m.host, 2,
		    "The model fails with inputs that are made up, so it is not tried further: " +
			    sentence(e.what()));
		return {};
	}
	m.tried = true;
	open_rows(m, plain);
	if (w.fuse && frozen && !m.keeps_state) {
		auto better = faster(m, *frozen, expected, w.hint);

		if (better)
			m.shared = better;
	}
	return expected;
}

inline uint64_t bytes_of(const jit::Module &module)
{
	uint64_t ret = 0;

	for (const at::Tensor &t : module.parameters())
		ret += t.nbytes();
	for (const at::Tensor &t : module.buffers())
		ret += t.nbytes();
	return ret;
}

/* With the example that it was traced with, and without what is for tracebacks only. */
inline jit::Module read_script(const char *path, at::Device device, bool has_example)
{
	jit::ExtraFilesMap none;

	return jit::import_ir_module(std::make_shared<jit::CompilationUnit>(), path, device, none,
				     false, has_example);
}

inline std::unique_ptr<model> load_script(std::unique_ptr<script_model> m,
					  const struct torch_wish &w, bool has_example)
{
	m->module = read_script(w.path, m->device, has_example);
	m->module.eval();
	m->bytes = bytes_of(m->module);
	if (!m->module.find_method("forward"))
		throw problem("the model has no forward()");
	auto schema = m->module.get_method("forward").function().getSchema();

	m->arguments = arguments_of(schema, w);
	for (const argument &a : m->arguments)
		m->inputs.push_back(input_of(*m, a));
	take_traced(m->inputs, *m->module.get_method("forward").graph());

	auto frozen = freeze(*m);

	find_writes(*m, schema, frozen);
	describe_inputs(*m, w, frozen);
	results got = try_out(*m, frozen, w);

	describe_outputs(*m, m->tried ? got : foresee(*m));
	if (m->keeps_state)
		log(m->host, 1, "The model keeps state between calls: each instance has its own");
	else
		m->module = jit::Module(); /* the one that runs is enough */
	if (w.hint)
		take_any_shape(*m);
	finish_signature(*m);
	return m;
}

} /* namespace shim */
