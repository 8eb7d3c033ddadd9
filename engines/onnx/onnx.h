/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* ONNX Runtime as an engine: its parts. */

#include <pthread.h>
#include <sconce/engine.h>

#include "ort.h"

#define ONNX_PATH_MAX 4096

struct onnx {
	const struct sconce_host *host;
	void *library;
	char path[ONNX_PATH_MAX];
	const char *version;
	const struct ort_api *api;
	ort_env *env;
	ort_allocator *allocator;
	ort_memory *memory;
};

struct onnx_model {
	struct onnx *engine;
	ort_session *session;
	struct sconce_signature signature;
	struct sconce_tensor_spec *inputs, *outputs;
};

struct onnx_instance {
	struct onnx_model *model;
	pthread_mutex_t lock; /* cancel() comes from another thread */
	ort_run_options *options;
	const char **input_names, **output_names;
	ort_value **inputs, **outputs;
};

/* ---- find.c ---- */

/* The library: `library` of the configuration, of the interpreter's packages, or the system's.
 * 0, or -1 with what is missing and how to get it. */
int onnx_find(struct onnx *o, struct sconce_error *e);

/* ---- onnx.c ---- */

/* 0 for NULL; else -1, with the status' text in *e, and the status is released. */
int onnx_check(const struct onnx *o, ort_status *status, struct sconce_error *e);

/* ---- signature.c ---- */

/* SCONCE_DTYPE_ANY: there is none. */
uint32_t onnx_dtype(int type);
int onnx_type(uint32_t dtype);
/* Fills in the model's signature. */
int onnx_describe(struct onnx_model *m, struct sconce_error *e);
void onnx_forget(struct onnx_model *m);

/* ---- values.c ---- */

/* A value over the tensor's memory; of texts, a copy. */
int onnx_value(struct onnx *o, const struct sconce_tensor *t, ort_value **ret,
	       struct sconce_error *e);
/* A result as a tensor: into the memory that is offered, if it fits; else in its own, which the
 * tensor then owns. Takes the value over. */
int onnx_result(struct onnx *o, ort_value *v, struct sconce_tensor *t, struct sconce_error *e);
