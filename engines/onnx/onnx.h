/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* ONNX Runtime as an engine: its parts. */

#include <pthread.h>
#include <sconce/engine.h>

#include "kit/kit.h"
#include "ort.h"

#define ONNX_SETTINGS                                                                              \
	"library precision optimization providers cuda session arena batches threads_alone"

struct onnx {
	const struct sconce_host *host;
	void *library;
	char path[KIT_PATH_MAX];
	const char *version;
	unsigned api_version;
	const struct ort_api *api;
	ort_env *env;
	ort_allocator *allocator;
	ort_memory *memory;
	char devices[16];
	char providers[512]; /* that the library has, by spaces */
};

/* A session with its threads. They cannot be more or fewer later, so a model whose number changes
 * gets another; runs that are under way keep theirs until they end. */
struct onnx_session {
	ort_session *session;
	unsigned threads;
	unsigned users;              /* the model, and runs; under the model's lock */
	struct onnx_helper *helpers; /* of runs alone; NULL: its threads are the runtime's affair */
	int apart;                   /* the processor that helpers leave to the run */
};

/* What the model says of an input or output beyond its specification. */
struct onnx_symbols {
	char *names[SCONCE_NDIM_MAX]; /* of sizes that may be any; NULL: the size has none */
};

struct onnx_model {
	struct onnx *engine;
	struct settings settings;
	char *path, *device;
	struct kit_file file;
	struct sconce_signature signature;
	struct sconce_tensor_spec *inputs, *outputs;
	struct onnx_symbols *input_symbols, *output_symbols;
	uint64_t loaded_bytes; /* by how much the process grew */

	pthread_mutex_t lock;
	struct onnx_session *current;
	unsigned instances, wanted; /* threads of a session */
	struct onnx_session *wide;  /* for runs alone; NULL: none */
	struct kit_alone alone;
	struct kit_tuner tuner;
	bool symbols_lie; /* outputs have had other sizes than their names say */
};

struct onnx_instance {
	struct onnx_model *model;
	pthread_mutex_t lock; /* cancel() comes from another thread */
	ort_run_options *options;
	const char **input_names, **output_names;
	ort_value **inputs, **outputs;
	void **aligned; /* copies of inputs, until the run ends */
};

/* ---- find.c ---- */

/* The library: `library` of the configuration, of the interpreter's packages, or the system's.
 * 0, or -1 with what is missing and how to get it. */
int onnx_find(struct onnx *o, struct sconce_error *e);

/* ---- ort.c ---- */

/* 0 for NULL; else -1, or SCONCE_BAD_INPUT for arguments that were wrong, with the status' text in
 * *e, and the status is released. */
int onnx_check(const struct onnx *o, ort_status *status, struct sconce_error *e);
/* Opens a library and tries whether its table is the one we know. 0, or -1 with why not. */
int ort_open(struct onnx *o, const char *path, struct sconce_error *e);

/* ---- session.c ---- */

/* Of the model's path, device and settings. `alone`: one run at a time will use it. */
int onnx_session_open(struct onnx_model *m, unsigned threads, bool alone, struct onnx_session **ret,
		      struct sconce_error *e);
/* The session of all runs, until it is put back. Any thread. */
struct onnx_session *onnx_session_get(struct onnx_model *m);
void onnx_session_put(struct onnx_model *m, struct onnx_session *s);

/* ---- helpers.c ---- */

/* Tells the options of a session for runs alone how its threads are made, and how they wait. */
int onnx_helpers_set(struct onnx_model *m, ort_session_options *options, struct onnx_session *s,
		     struct sconce_error *e);
/* A run begins on this thread: they go elsewhere. Called under the model's lock. */
void onnx_helpers_make_way(struct onnx_session *s);

/* ---- provider.c ---- */

/* Tells the session options where to compute: `device` and the settings precision, providers and
 * cuda. */
int onnx_providers(struct onnx_model *m, ort_session_options *options, struct sconce_error *e);

/* ---- threads.c ---- */

/* Threads of a session that gives `each` of the instances so many. */
unsigned onnx_pool(unsigned instances, unsigned each);
/* There are so many instances more: a session for runs alone goes where it has another number of
 * threads than it should. */
void onnx_count(struct onnx_model *m, int more);
/* From now on. Any thread; returns at once. */
void onnx_tune(struct onnx_model *m, unsigned each);
/* One step to the sessions that there should be, of the model's tuner. */
bool onnx_tune_step(void *model);
/* The session to run with, until its end; *ret goes to it, on the same thread. Any thread. */
struct onnx_session *onnx_run_begin(struct onnx_model *m, struct kit_run *ret);
void onnx_run_end(struct onnx_model *m, struct onnx_session *s, const struct kit_run *run,
		  bool good);

/* ---- signature.c ---- */

/* SCONCE_DTYPE_ANY: there is none. */
uint32_t onnx_dtype(int type);
int onnx_type(uint32_t dtype);
/* Fills in the model's signature. */
int onnx_describe(struct onnx_model *m, struct sconce_error *e);
void onnx_forget(struct onnx_model *m);

/* The GPU that its sessions compute on; negative: none. */
long onnx_gpu(const struct onnx_model *m);

/* ---- values.c ---- */

/* A value over the tensor's memory; of texts, a copy. What lies so that elements are not aligned
 * is copied to *ret_copy, which outlives the value and is to be freed. */
int onnx_value(struct onnx *o, const struct sconce_tensor *t, ort_value **ret, void **ret_copy,
	       struct sconce_error *e);
/* The same over memory of a GPU. */
int onnx_value_placed(struct onnx *o, const struct sconce_tensor *t, int device, ort_value **ret,
		      struct sconce_error *e);
/* A result as a tensor: into the memory that is offered, if it fits; else in its own, which the
 * tensor then owns. Takes the value over. */
int onnx_result(struct onnx *o, ort_value *v, struct sconce_tensor *t, struct sconce_error *e);

/* ---- run.c ---- */

int onnx_instance_create(void *model, uint32_t index, void **ret, struct sconce_error *e);
void onnx_instance_destroy(void *instance);
int onnx_takes(void *model, const struct sconce_place *place);
int onnx_run_placed(void *instance, const struct sconce_tensor *inputs,
		    const struct sconce_place *places, size_t n_inputs,
		    struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e);
int onnx_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
	     struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e);
void onnx_cancel(void *instance);
