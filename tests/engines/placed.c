/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An engine that answers what it is sent, and takes that also from "the GPU" of
 * tests/image/cuda_standin.c, whose addresses have a bit that tells them apart.
 */

#include <sconce/engine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AWAY ((uintptr_t)1 << 60)

static const struct sconce_tensor_spec tensor = { .name = "t", .ndim = SCONCE_NDIM_ANY };
static const struct sconce_signature signature = { sizeof(signature), &tensor, &tensor, 1, 1, 1 };

static int placed_open(const struct sconce_host *host, void **ret, struct sconce_error *error)
{
	(void)error;
	*ret = (void *)(uintptr_t)host;
	return 0;
}

static void placed_close(void *engine)
{
	(void)engine;
}

static void placed_info(void *engine, struct sconce_engine_info *ret)
{
	(void)engine;
	ret->runtime = "placed";
	ret->version = "1";
	ret->devices = "cpu cuda";
}

static int placed_load(void *engine, const struct sconce_model_options *options, void **ret,
		       struct sconce_error *error)
{
	(void)engine;
	(void)options;
	(void)error;
	*ret = (void *)(uintptr_t)&signature;
	return 0;
}

static const struct sconce_signature *placed_signature(void *model)
{
	return model;
}

static int placed_instance(void *model, uint32_t index, void **ret, struct sconce_error *error)
{
	(void)index;
	(void)error;
	*ret = model;
	return 0;
}

static void placed_release(struct sconce_tensor *t)
{
	free(t->owner);
}

static int answer(const struct sconce_tensor *in, const void *from, struct sconce_tensor *out)
{
	void *to = malloc(in->bytes + 1);

	*out = *in;
	out->data = out->owner = memcpy(to, from, in->bytes);
	out->release = placed_release;
	return 0;
}

static int placed_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
		      struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *error)
{
	(void)instance;
	(void)n_inputs;
	(void)n_outputs;
	(void)error;
	return answer(inputs, inputs->data, outputs);
}

static int placed_takes(void *model, const struct sconce_place *place)
{
	(void)model;
	return place->memory == SCONCE_MEMORY_CUDA && place->device == 0;
}

static int placed_run_placed(void *instance, const struct sconce_tensor *inputs,
			     const struct sconce_place *places, size_t n_inputs,
			     struct sconce_tensor *outputs, size_t n_outputs,
			     struct sconce_error *error)
{
	uintptr_t at = (uintptr_t)inputs->data;

	(void)instance;
	(void)n_inputs;
	(void)n_outputs;
	(void)error;
	if (places->memory != SCONCE_MEMORY_CUDA || places->device || !(at & AWAY))
		abort();
	answer(inputs, (const void *)(at & ~AWAY), outputs);
	fprintf(stderr, "placed: %lld rows from the GPU\n", (long long)inputs->shape[0]);
	return 0;
}

SCONCE_EXPORT extern const struct sconce_engine sconce_engine;
const struct sconce_engine sconce_engine = {
	.size = sizeof(sconce_engine),
	.abi = SCONCE_ENGINE_ABI,
	.name = "placed",
	.version = "1",
	.suffixes = ".placed",
	.open = placed_open,
	.close = placed_close,
	.info = placed_info,
	.load = placed_load,
	.unload = placed_close,
	.signature = placed_signature,
	.instance_create = placed_instance,
	.instance_destroy = placed_close,
	.run = placed_run,
	.takes = placed_takes,
	.run_placed = placed_run_placed,
};
