/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the plug-in knows of its C++ half: the shim, a library of its own that is built against the
 * torch of the user's Python. Both are of one source tree (the shim's file is named after a hash of
 * its source), so nothing here is kept from version to version. Functions are those of struct
 * sconce_engine; exceptions end in them.
 */

#include <sconce/engine.h>

#define TORCH_SHIM_SYMBOL "sconce_torch_shim"

struct torch_wish {
	const struct sconce_host *host;
	const char *path, *device;
	uint32_t instances, threads;
	/* What the configuration says of inputs: dtype and rank may be unknown. */
	const struct sconce_tensor_spec *inputs;
	size_t n_inputs;
	int hint;      /* inputs will mostly be like that: others are to be run, too */
	uint32_t rows; /* runs will have up to so many examples */
	/* tree_leaves() of the plug-in, which reads JSON. */
	void (*leaves)(const char *json, int arguments, const char *root,
		       void (*leaf)(void *arg, const char *name), void *arg);
	int fuse; /* may another form of the model be run, where that gives the same? */
};

struct torch_shim {
	int (*load)(const struct torch_wish *wish, void **ret_model, struct sconce_error *error);
	void (*unload)(void *model);
	const struct sconce_signature *(*signature)(void *model);
	int (*instance_create)(void *model, uint32_t index, void **ret_instance,
			       struct sconce_error *error);
	void (*instance_destroy)(void *instance);
	/* `places`: of run_placed(); NULL: all in the host's memory. */
	int (*run)(void *instance, const struct sconce_tensor *inputs,
		   const struct sconce_place *places, size_t n_inputs,
		   struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *error);
	int (*takes)(void *model, const struct sconce_place *place);
	int (*warm_up)(void *instance, struct sconce_error *error);
	void (*set_threads)(void *model, uint32_t threads);
	uint64_t (*memory)(void *model);
};
