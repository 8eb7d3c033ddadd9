/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which path a version takes: through an engine of the native worker, or through its Python
 * handler. The question arises for archives whose steps are known as a pipeline: those with
 * `pipeline:` in model-config.yaml, and those whose handler is one of TorchServe's default ones for
 * images. `native: auto|never|always` in model-config.yaml, or the setting of that name, decides;
 * auto takes the engine where nothing speaks against it, and goes back to the handler when the
 * model does not load that way.
 */

/* Where the steps around a model that an engine runs come from. */
enum pipeline_source {
	PIPELINE_NONE,    /* it takes tensors */
	PIPELINE_STEPS,   /* `pipeline:` of model-config.yaml */
	PIPELINE_HANDLER, /* what the default handler of this name does */
};

struct settings;
struct version;

/* Fills in v->native, v->native_tried, v->pipeline and v->path_reason. NULL, or a sentence for who
 * registers it: it asks for what cannot be. To be freed. Reads files: for a thread of the pool. */
char *native_choose(struct version *v, const struct settings *s);
