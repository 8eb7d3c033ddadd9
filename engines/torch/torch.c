/* SPDX-License-Identifier: Apache-2.0 */
#include "torch.h"

/* The engine's table. What it does with models is in the shim. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"

#define SETTINGS "fuse"

/* One torch in a process: it has state of its own. */
static const struct torch_shim *shim;

/* ---- the engine ---- */

static void torch_close(void *engine)
{
	/* The libraries stay: they have threads and handlers of their own. */
	free(engine);
}

static int torch_open(const struct sconce_host *host, void **ret, struct sconce_error *e)
{
	struct torch *t = calloc(1, sizeof(*t));

	if (!t)
		return kit_no_memory(e);
	t->host = host;
	if (torch_find(t, e) < 0 || torch_shim_place(t, e) < 0) {
		free(t);
		return -1;
	}
	*ret = t;
	return 0;
}

static void torch_info(void *engine, struct sconce_engine_info *ret)
{
	struct torch *t = engine;

	ret->runtime = "PyTorch";
	ret->version = t->version;
	ret->path = t->folder;
	ret->devices = t->devices;
	ret->features = torch_shim_is_built(t) ? "built"
					       : "to be built: sconce engines build torch";
}

static int torch_prepare(void *engine, struct sconce_error *e)
{
	return torch_shim_build(engine, false, e);
}

/* ---- models ---- */

/* Teams that wait for work spin only for a moment: others need the processors. */
static void wait_asleep(void)
{
	if (!getenv("OMP_WAIT_POLICY"))
		setenv("GOMP_SPINCOUNT", "0", 0);
}

/* Operators of others, where their library is. */
static int open_operators(void *arg, const char *path)
{
	const struct sconce_host *host = arg;

	if (!dlopen(path, RTLD_NOW | RTLD_GLOBAL))
		kit_log(host, 1, "Torch-TensorRT's operators are not there: %.500s", dlerror());
	return 0;
}

static int open_shim(struct torch *t, const struct settings *s, bool cuda, struct sconce_error *e)
{
	bool build = true;
	void *library;

	if (shim)
		return 0;
	if (settings_flag(s, "build", &build, e) < 0)
		return -1;
	if (!torch_shim_is_built(t) && !build)
		return kit_fail(e, SCONCE_NOT_PREPARED,
				"what PyTorch %s needs is not built yet: "
				"sconce engines build torch",
				t->version);
	if (!torch_shim_is_built(t))
		kit_log(t->host, 1, "Building what PyTorch %s needs, once: this takes a while",
			t->version);
	if (torch_shim_build(t, true, e) < 0)
		return -1;
	wait_asleep();
	if (torch_open_library(t, "libtorch_cpu.so", e) < 0 ||
	    (cuda && torch_open_library(t, "libtorch_cuda.so", e) < 0))
		return -1;
	library = dlopen(t->shim, RTLD_NOW | RTLD_LOCAL);
	shim = library ? dlsym(library, TORCH_SHIM_SYMBOL) : NULL;
	if (!shim)
		return kit_fail(e, -1,
				"what was built for PyTorch does not work, remove it: %.900s",
				library ? t->shim : dlerror());
	if (cuda)
		package_find(t->host, "torch_tensorrt/lib/libtorchtrt_runtime.so", open_operators,
			     (void *)(uintptr_t)t->host);
	return 0;
}

static int load_wish(struct torch *t, const struct sconce_model_options *o,
		     const struct settings *s, void **ret, struct sconce_error *e)
{
	struct sconce_tensor_spec inputs[INPUTS_MAX];
	struct torch_wish w = { .host = t->host,
				.path = o->path,
				.device = o->device,
				.instances = o->instances,
				.threads = o->threads,
				.rows = SCONCE_HAS(o, batch) && o->batch ? o->batch : 1,
				.leaves = tree_leaves,
				.inputs = inputs };
	bool fuse = true;

	if (settings_flag(s, "fuse", &fuse, e) < 0 ||
	    inputs_read(s, inputs, &w.n_inputs, &w.hint, e) < 0)
		return -1;
	w.fuse = fuse;
	settings_warn(s, SETTINGS, t->host);
	return shim->load(&w, ret, e);
}

static int torch_load(void *engine, const struct sconce_model_options *o, void **ret,
		      struct sconce_error *e)
{
	bool cuda = strncmp(o->device, "cuda", strlen("cuda")) == 0;
	struct torch *t = engine;
	struct settings s;
	int r;

	if (cuda && !strstr(t->devices, "cuda"))
		return kit_fail(e, -1,
				"PyTorch %s (%.400s) is for processors only: install one that is "
				"built for CUDA, or use `deviceType: cpu`",
				t->version, t->folder);
	if (settings_read(&s, o->config, e) < 0)
		return -1;
	r = open_shim(t, &s, cuda, e);
	if (!r)
		r = load_wish(t, o, &s, ret, e);
	settings_finish(&s);
	return r;
}

static void torch_unload(void *model)
{
	shim->unload(model);
}

static const struct sconce_signature *torch_signature(void *model)
{
	return shim->signature(model);
}

static int torch_instance_create(void *model, uint32_t index, void **ret, struct sconce_error *e)
{
	return shim->instance_create(model, index, ret, e);
}

static void torch_instance_destroy(void *instance)
{
	shim->instance_destroy(instance);
}

static int torch_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
		     struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e)
{
	return shim->run(instance, inputs, NULL, n_inputs, outputs, n_outputs, e);
}

static int torch_takes(void *model, const struct sconce_place *place)
{
	return shim->takes(model, place);
}

static int torch_run_placed(void *instance, const struct sconce_tensor *inputs,
			    const struct sconce_place *places, size_t n_inputs,
			    struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e)
{
	return shim->run(instance, inputs, places, n_inputs, outputs, n_outputs, e);
}

static int torch_warm_up(void *instance, struct sconce_error *e)
{
	return shim->warm_up(instance, e);
}

static void torch_set_threads(void *model, uint32_t threads)
{
	shim->set_threads(model, threads);
}

static uint64_t torch_memory(void *model)
{
	return shim->memory(model);
}

SCONCE_EXPORT extern const struct sconce_engine sconce_engine;
const struct sconce_engine sconce_engine = {
	.size = sizeof(sconce_engine),
	.abi = SCONCE_ENGINE_ABI,
	.name = "torch",
	.version = "1",
	.suffixes = ".pt .pt2 .pth .ts",
	.open = torch_open,
	.close = torch_close,
	.info = torch_info,
	.load = torch_load,
	.unload = torch_unload,
	.signature = torch_signature,
	.instance_create = torch_instance_create,
	.instance_destroy = torch_instance_destroy,
	.run = torch_run,
	.warm_up = torch_warm_up,
	.set_threads = torch_set_threads,
	.memory = torch_memory,
	.prepare = torch_prepare,
	.takes = torch_takes,
	.run_placed = torch_run_placed,
};
