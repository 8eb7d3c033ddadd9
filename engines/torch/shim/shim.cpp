/* SPDX-License-Identifier: Apache-2.0 */

/* The C++ half of the engine `torch`: its table, and what kind of file a model is in. It is one
 * translation unit, for torch's headers take longer to read than all else. */

#include <fstream>

#include <c10/core/InferenceMode.h>
#include <caffe2/serialize/inline_container.h>

#include "script.h"

/* Earlier torchs load packages in another way. */
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 8)
#include "package.h"
#else
namespace shim
{
template <typename... any> std::unique_ptr<model> load_package(any &&...)
{
	throw problem("packages of AOTInductor need PyTorch 2.8 or later");
}
using package_model = script_model;
} /* namespace shim */
#endif

namespace shim
{

/* ---- files ---- */

inline bool any_with(const std::vector<std::string> &records, const std::string &part)
{
	for (const std::string &r : records)
		if (r.find(part) != std::string::npos)
			return true;
	return false;
}

inline void check_is_zip(const std::string &path)
{
	char head[2] = { 0, 0 };
	std::ifstream f(path, std::ios::binary);

	if (!f)
		throw problem("the file cannot be read");
	f.read(head, sizeof(head));
	if (head[0] == 'P' && head[1] == 'K')
		return;
	if ((unsigned char)head[0] == 0x80)
		throw problem(
			"the file holds a pickled Python object (torch.save), no compiled model: "
			"save torch.jit.script(model) or torch.jit.trace(model, example) with "
			".save(), or serve it with a Python handler");
	throw problem("the file is none of torch's: it is no ZIP archive");
}

template <typename kind> std::unique_ptr<kind> begin(const struct torch_wish &w)
{
	auto m = std::make_unique<kind>();

	m->host = w.host;
	m->device = at::Device(w.device);
	m->threads = w.threads;
	m->rows = w.rows;
	m->instances = w.instances;
	use_threads(*m);
	return m;
}

inline std::unique_ptr<model> load(const struct torch_wish &w)
{
	check_is_zip(w.path);
	caffe2::serialize::PyTorchStreamReader reader{ std::string(w.path) };
	std::vector<std::string> records = reader.getAllRecords();

	if (any_with(records, "data/aotinductor/"))
		return load_package(begin<package_model>(w), w, reader, records);
	if (any_with(records, "constants.pkl")) {
		auto m = begin<script_model>(w);

		return load_script(std::move(m), w, any_with(records, "traced_inputs.pkl"));
	}
	if (any_with(records, "models/"))
		throw problem("the file holds an exported program, which is not compiled: "
			      "torch._inductor.aoti_compile_and_package(program, "
			      "package_path=\"model.pt2\")");
	throw problem(
		"the file holds a pickled Python object (torch.save), no compiled model: save "
		"torch.jit.script(model) or torch.jit.trace(model, example) with .save(), or "
		"serve it with a Python handler");
}

/* ---- runs ---- */

inline tensors take(const model &m, const struct sconce_tensor *inputs,
		    const struct sconce_place *places, size_t n)
{
	tensors ret;

	if (n != m.inputs.size())
		throw problem("the model takes " + std::to_string(m.inputs.size()) + " inputs",
			      SCONCE_BAD_INPUT);
	for (size_t i = 0; i < n; i++)
		ret.push_back(borrow_from(inputs[i], places ? &places[i] : nullptr, m.device));
	return ret;
}

/* The result that an output of the signature is: in its place, or wherever it is named so. */
inline result &choose(results &got, size_t place, const char *name)
{
	if (place < got.size() && got[place].name == name)
		return got[place];
	for (result &r : got)
		if (r.name == name)
			return r;
	throw problem("the model returned no \"" + std::string(name) + "\" this time");
}

inline void run(const instance &i, const struct sconce_tensor *inputs,
		const struct sconce_place *places, size_t n_inputs, struct sconce_tensor *outputs,
		size_t n_outputs)
{
	c10::InferenceMode without_gradients;
	const model &m = *i.model;
	size_t done = 0;

	use_threads(m);
	tensors taken = take(m, inputs, places, n_inputs);
	results got = i.runs->call(taken);

	try {
		for (; done < n_outputs && done < m.output_specs.size(); done++) {
			result &r = choose(got, done, m.output_specs[done].name);
			at::Tensor t = std::move(r.tensor);

			if (!t.defined())
				throw problem("the model returned nothing as \"" + r.name + "\"");
			give(std::move(t), inputs, n_inputs, m.keeps_state, &outputs[done]);
		}
	} catch (...) {
		/* On failure nothing is the host's. */
		while (done)
			if (outputs[--done].release)
				outputs[done].release(&outputs[done]);
		throw;
	}
}

} /* namespace shim */

/* ---- the table ---- */

using shim::guarded;

static int shim_load(const struct torch_wish *w, void **ret, struct sconce_error *e)
{
	return guarded(e, false, [&] {
		c10::InferenceMode without_gradients;

		if (at::get_num_interop_threads() != 1)
			at::set_num_interop_threads(1);
		*ret = shim::load(*w).release();
	});
}

static void shim_unload(void *m)
{
	delete static_cast<shim::model *>(m);
}

static const struct sconce_signature *shim_signature(void *m)
{
	return &static_cast<shim::model *>(m)->signature;
}

static int shim_instance_create(void *model, uint32_t index, void **ret, struct sconce_error *e)
{
	auto *m = static_cast<shim::model *>(model);

	return guarded(e, false, [&] {
		c10::InferenceMode without_gradients;

		*ret = new shim::instance{ m, m->instance(), index };
	});
}

static void shim_instance_destroy(void *i)
{
	delete static_cast<shim::instance *>(i);
}

static int shim_run(void *i, const struct sconce_tensor *inputs, const struct sconce_place *places,
		    size_t n_inputs, struct sconce_tensor *outputs, size_t n_outputs,
		    struct sconce_error *e)
{
	return guarded(e, true, [&] {
		shim::run(*static_cast<shim::instance *>(i), inputs, places, n_inputs, outputs,
			  n_outputs);
	});
}

static int shim_takes(void *m, const struct sconce_place *place)
{
	at::Device device = static_cast<shim::model *>(m)->device;

	return place->memory == SCONCE_MEMORY_CUDA && device.is_cuda() &&
	       (device.has_index() ? device.index() : 0) == place->device;
}

/* What the instances share is warm after the first. */
static int shim_warm_up(void *instance, struct sconce_error *e)
{
	auto *i = static_cast<shim::instance *>(instance);

	if (!i->model->tried || i->model->keeps_state || i->index)
		return 0;
	return guarded(e, false, [&] {
		c10::InferenceMode without_gradients;

		shim::run_for_all_sizes(*i->model, *i->runs);
	});
}

static void shim_set_threads(void *m, uint32_t threads)
{
	auto *model = static_cast<shim::model *>(m);

	if (model->threads.exchange(threads) != threads)
		shim::log(model->host, 1,
			  "Each run uses " + std::to_string(threads) + " threads from now on");
}

static uint64_t shim_memory(void *m)
{
	return static_cast<shim::model *>(m)->bytes;
}

extern "C" SCONCE_EXPORT const struct torch_shim sconce_torch_shim;
const struct torch_shim sconce_torch_shim = {
	shim_load, shim_unload, shim_signature, shim_instance_create, shim_instance_destroy,
	shim_run,  shim_takes,  shim_warm_up,   shim_set_threads,     shim_memory,
};
