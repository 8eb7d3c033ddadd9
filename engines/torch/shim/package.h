/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Packages of AOTInductor: machine code for one kind of processor, which does not look at what it
 * is given. So what it was compiled for, and the sizes that it takes, are read from the source that
 * the package has of itself, and are checked here before each run. Where they cannot be read, the
 * configuration has to say them, and the code's own, stricter checks are switched on.
 */

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include "configured.h"
#include "probe.h"

namespace shim
{

using reader = caffe2::serialize::PyTorchStreamReader;

struct package_model : model {
	std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader;
	std::vector<std::string> output_names;
	/* Of each input: what its sizes are called. Those of one name are the same. */
	std::vector<std::vector<std::string>> symbols;

	std::shared_ptr<callee> instance() override;
};

/* ---- the text of a package ---- */

/* What lies between two texts, behind `from`, which then is behind it; "" where they are not. */
inline std::string between(const std::string &text, const std::string &before,
			   const std::string &after, size_t *from)
{
	size_t begin = text.find(before, *from), end;

	if (begin == std::string::npos)
		return "";
	begin += before.size();
	end = text.find(after, begin);
	if (end == std::string::npos)
		return "";
	*from = end;
	return text.substr(begin, end - begin);
}

inline std::string record_with(reader &r, const std::vector<std::string> &names,
			       const std::string &ending, const std::string &word)
{
	for (const std::string &name : names) {
		if (name.size() < ending.size() ||
		    name.compare(name.size() - ending.size(), ending.size(), ending) != 0)
			continue;
		auto [data, size] = r.getRecord(name);
		std::string text(static_cast<const char *>(data.get()), size);

		if (text.find(word) != std::string::npos)
			return text;
	}
	return "";
}

inline std::string metadata(const std::string &json, const std::string &key)
{
	size_t from = 0;

	return between(json, "\"" + key + "\": \"", "\"", &from);
}

/* Its instructions would end this process. */
inline void check_machine(const std::string &json, const at::Device &device)
{
	std::string isa = metadata(json, "AOTI_CPU_ISA"), kind = metadata(json, "AOTI_DEVICE_KEY");

	if (!kind.empty() && (kind == "cpu") != device.is_cpu())
		throw problem("the package was compiled for the device " + kind +
			      ", and is to run on " + device.str());
#if defined(__x86_64__)
	if (!device.is_cpu())
		return;
	if ((isa.find("AVX512") != std::string::npos && !__builtin_cpu_supports("avx512f")) ||
	    (isa.find("AVX2") != std::string::npos && !__builtin_cpu_supports("avx2")))
		throw problem("the package was compiled for processors with " + isa +
			      ", which this one has not: compile it on a machine like this one");
#endif
}

inline uint32_t dtype_named(const std::string &name)
{
	static const struct {
		const char *name;
		uint32_t dtype;
	} names[] = {
		{ "kFloat", SCONCE_FP32 }, { "kDouble", SCONCE_FP64 },   { "kHalf", SCONCE_FP16 },
		{ "kInt", SCONCE_INT32 },  { "kLong", SCONCE_INT64 },    { "kShort", SCONCE_INT16 },
		{ "kByte", SCONCE_UINT8 }, { "kBFloat16", SCONCE_BF16 }, { "kChar", SCONCE_INT8 },
		{ "kBool", SCONCE_BOOL },
	};

	for (const auto &n : names)
		if (name == n.name)
			return n.dtype;
	return SCONCE_DTYPE_ANY;
}

/* "s77, 4L": numbers are sizes, words are called so; anything else is not understood. */
inline bool read_sizes(const std::string &text, input &i, std::vector<std::string> &symbols)
{
	i.spec.ndim = 0;
	i.known = true;
	for (size_t from = 0; from < text.size() && i.spec.ndim < SCONCE_NDIM_MAX;) {
		size_t to = std::min(text.find(", ", from), text.size());
		std::string word = text.substr(from, to - from);
		bool number = word.find_first_not_of("0123456789L") == std::string::npos;

		if (word.find_first_of(" +-*/(") != std::string::npos)
			return false;
		i.spec.shape[i.spec.ndim] = number ? std::stoll(word) : SCONCE_DIM_ANY;
		i.example.push_back(number ? std::stoll(word) : 1);
		i.known = i.known && (number || !i.spec.ndim);
		symbols.push_back(number ? "" : word);
		i.spec.ndim++;
		from = to + 2;
	}
	return true;
}

/* Of one input; false: the source does not say it all. */
inline bool read_input(const std::string &source, size_t k, input &i,
		       std::vector<std::string> &symbols)
{
	std::string at = "inputs_info_[" + std::to_string(k) + "].name = \"";
	std::string block = "input_handles[" + std::to_string(k) + "]: unmatched dtype";
	size_t from = 0;
	std::string name = between(source, at, "\"", &from);

	i.spec.ndim = SCONCE_NDIM_ANY;
	from = source.find(block);
	if (name.empty() || from == std::string::npos)
		return false;
	i.spec.dtype = dtype_named(between(source, "(at::", ")", &from));
	from = 0;
	std::string sizes = between(source, "assert_size_stride(" + name + ", {", "}", &from);

	return i.spec.dtype && from && read_sizes(sizes, i, symbols);
}

inline size_t count_inputs(const std::string &source)
{
	size_t n = 0;

	while (source.find("inputs_info_[" + std::to_string(n) + "].name = ") != std::string::npos)
		n++;
	return n;
}

/* ---- runs ---- */

struct package_callee : callee {
	package_model *model;

	explicit package_callee(package_model *m) : model(m)
	{
	}

	/* Sizes that are named alike are alike. Ranks and types are checked, too: the host may have
	 * been told other ones. */
	void check(const tensors &inputs) const
	{
		std::vector<std::pair<std::string, int64_t>> known;

		for (size_t i = 0; i < inputs.size(); i++) {
			const input &in = model->inputs[i];
			const at::Tensor &t = inputs[i];
			std::string name = std::string("input \"") + in.spec.name + "\"";

			if (dtype_of(t.scalar_type()) != in.spec.dtype || t.dim() != in.spec.ndim)
				throw problem(name + " has another datatype or rank than the "
						     "package was compiled for",
					      SCONCE_BAD_INPUT);
			for (int64_t d = 0; d < t.dim(); d++)
				check_size(known, name, i, d, t.size(d));
		}
	}

	void check_size(std::vector<std::pair<std::string, int64_t>> &known,
			const std::string &name, size_t i, int64_t d, int64_t size) const
	{
		int64_t fixed = model->inputs[i].spec.shape[d];
		std::string symbol = model->symbols[i].empty() ? "" : model->symbols[i][d];
		int64_t wanted = fixed == SCONCE_DIM_ANY ? size : fixed;

		for (const auto &[of, value] : known)
			if (!symbol.empty() && of == symbol)
				wanted = value;
		if (!symbol.empty())
			known.push_back({ symbol, size });
		if (size != wanted || !size)
			throw problem(name + " has size " + std::to_string(size) +
					      " in dimension " + std::to_string(d) +
					      ", which has to be " +
					      (size ? std::to_string(wanted) : "at least 1"),
				      SCONCE_BAD_INPUT);
	}

	results call(tensors &inputs) override
	{
		tensors own;
		results ret;

		check(inputs);
		for (size_t i = 0; i < inputs.size(); i++)
			own.push_back(model->inputs[i].written ? inputs[i].clone() : inputs[i]);
		tensors got = model->loader->run(own);

		for (size_t i = 0; i < got.size(); i++)
			ret.push_back({ i < model->output_names.size()
						? model->output_names[i]
						: "output_" + std::to_string(i),
					got[i] });
		return ret;
	}
};

inline std::shared_ptr<callee> package_model::instance()
{
	return std::make_shared<package_callee>(this);
}

/* ---- loading ---- */

/* A package is unpacked into a folder that only an orderly end would remove: this one is gone as
 * soon as what it has is loaded. */
struct passing_folder {
	std::string path, before;
	bool had = false;

	passing_folder()
	{
		const char *place = getenv("TMPDIR");

		had = place;
		before = place ? place : "/tmp";
		path = before + "/sconce-torch-XXXXXX";
		if (!mkdtemp(path.data()))
			throw problem("there is no place to unpack the package: " + before + ": " +
				      strerror(errno));
		setenv("TMPDIR", path.c_str(), 1);
	}
	~passing_folder()
	{
		std::error_code ignored;

		if (had)
			setenv("TMPDIR", before.c_str(), 1);
		else
			unsetenv("TMPDIR");
		std::filesystem::remove_all(path, ignored);
	}
	passing_folder(const passing_folder &) = delete;
	passing_folder &operator=(const passing_folder &) = delete;
};

inline std::unique_ptr<torch::inductor::AOTIModelPackageLoader>
open_package(const struct torch_wish &w, const at::Device &device)
{
	std::optional<passing_folder> folder;

	/* Code for a GPU is read when it is first needed. */
	if (device.is_cpu())
		folder.emplace();
	return std::make_unique<torch::inductor::AOTIModelPackageLoader>(
		w.path, "model", false, w.instances, device.is_cpu() ? -1 : device.index());
}

inline void add_name(void *names, const char *name)
{
	static_cast<std::vector<std::string> *>(names)->push_back(name);
}

/* A list of the tree's leaves, in the order in which they are given. */
inline std::vector<std::string> names_of(const struct torch_wish &w, const std::string &tree,
					 bool arguments)
{
	std::vector<std::string> ret;

	w.leaves(tree.c_str(), arguments, arguments ? "input" : "output", add_name, &ret);
	return ret;
}

inline void describe_package(package_model &m, const struct torch_wish &w,
			     const std::string &source)
{
	std::vector<std::string> trees = m.loader->get_call_spec(), names;
	size_t n = source.empty() ? 0 : count_inputs(source);

	if (trees.size() > 1) {
		names = names_of(w, trees[0], true);
		m.output_names = names_of(w, trees[1], false);
	}
	if (!n)
		n = names.size();
	m.inputs.resize(n);
	m.symbols.resize(n);
	for (size_t k = 0; k < n; k++) {
		input &i = m.inputs[k];
		bool told = read_input(source, k, i, m.symbols[k]);

		if (!told) {
			i = input();
			i.spec.ndim = SCONCE_NDIM_ANY;
			m.symbols[k].clear();
		}
		i.spec.name = m.keep(names.size() == n ? names[k] : "input_" + std::to_string(k));
		/* Until a trial shows that it is not. */
		i.written = true;
	}
}

/* Sizes that the package leaves open may be said. */
inline void take_sizes(input &i, const struct sconce_tensor_spec &s)
{
	if (s.ndim != i.spec.ndim)
		return;
	i.known = true;
	for (uint32_t d = 0; d < s.ndim; d++) {
		if (i.spec.shape[d] == SCONCE_DIM_ANY && s.shape[d] > 0)
			i.example[d] = i.spec.shape[d] = s.shape[d];
		if (d && i.spec.shape[d] == SCONCE_DIM_ANY)
			i.known = false;
	}
}

/* What the package does not tell. */
inline void take_wish(package_model &m, const struct torch_wish &w)
{
	for (size_t k = 0; k < m.inputs.size(); k++) {
		const struct sconce_tensor_spec *s = configured(w, m.inputs, k);
		input &i = m.inputs[k];

		if (s && s->name)
			i.spec.name = m.keep(s->name);
		if (s && i.spec.ndim == SCONCE_NDIM_ANY) {
			take_configured(i, *s);
			i.known = false; /* the stricter checks may refuse what is made up */
		} else if (s)
			take_sizes(i, *s);
		i.configured = true;
		if (!i.spec.dtype || i.spec.ndim == SCONCE_NDIM_ANY)
			throw problem(
				"the package does not tell the datatype and rank of its input \"" +
				std::string(i.spec.name) +
				"\": say them in model-config.yaml (engine: inputs:)");
	}
}

inline void try_package(package_model &m)
{
	auto c = m.instance();
	results got;

	if (m.is_known()) {
		tensors inputs = probe(m, 0, 1), before = probe(m, 0, 1);

		for (input &i : m.inputs)
			i.written = false;
		try {
			got = c->call(inputs);
			m.tried = true;
			m.stacks = rows_are_apart(m, *c);
		} catch (const std::exception &e) {
			log(m.host, 2,
			    "The model fails with inputs that are made up, so it is not tried "
			    "further: " +
				    sentence(e.what()));
		}
		for (size_t i = 0; i < inputs.size(); i++)
			m.inputs[i].written = !m.tried || !inputs[i].equal(before[i]);
	}
	if (got.empty())
		for (const std::string &name : m.output_names)
			got.push_back({ name, at::Tensor() });
	describe_outputs(m, got);
}

inline std::unique_ptr<model> load_package(std::unique_ptr<package_model> m,
					   const struct torch_wish &w, reader &r,
					   const std::vector<std::string> &names)
{
	std::string source = record_with(r, names, ".cpp", "inputs_info_[0].name");
	std::string json = record_with(r, names, "_metadata.json", "AOTI_DEVICE_KEY");
	bool told = !source.empty();
	input ignored;

	check_machine(json, m->device);
	for (size_t k = 0; told && k < count_inputs(source); k++) {
		std::vector<std::string> symbols;

		ignored = input();
		told = read_input(source, k, ignored, symbols);
	}
	/* It reads this once, when it first runs. */
	setenv("AOTI_RUNTIME_CHECK_INPUTS", told ? "0" : "1", 1);
	m->loader = open_package(w, m->device);
	describe_package(*m, w, source);
	take_wish(*m, w);
	try_package(*m);
	finish_signature(*m);
	return m;
}

} /* namespace shim */
