/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* OpenVINO as an engine: its parts. */

#include <pthread.h>
#include <sconce/engine.h>

#include "kit/kit.h"
#include "ov.h"

#define OPENVINO_SETTINGS "library precision batches properties threads_alone"
#define OPENVINO_DEVICE "CPU"

struct openvino {
	const struct sconce_host *host;
	void *library;
	char path[KIT_PATH_MAX];
	char version[64];   /* "2026.4.1" */
	char features[256]; /* "BF16 FP32 INT8 …"; empty: not asked yet */
	struct ov_api api;
	ov_core *core;
	unsigned types[SCONCE_DTYPES]; /* what OpenVINO calls ours; of strings: BYTES */
};

/* A model as it was compiled for a number of runs at a time, and of threads. These cannot be
 * changed later, so a model that is tuned is compiled again; runs that are under way keep theirs.
 */
struct openvino_compiled {
	ov_compiled *compiled;
	unsigned streams, threads; /* threads: of all streams together */
	unsigned users;            /* the model, and seats; under the model's lock */
};

struct openvino_model {
	struct openvino *engine;
	struct settings settings;
	char *path;
	struct kit_file file;
	struct sconce_signature signature;
	struct sconce_tensor_spec *inputs, *outputs;
	uint64_t loaded_bytes; /* by how much the process grew */

	pthread_mutex_t tuning; /* held while it is compiled again; taken before the lock */
	pthread_mutex_t lock;
	struct openvino_compiled *current;
	struct openvino_compiled *wide; /* for runs alone; NULL: none */
	struct kit_alone alone;
	struct kit_tuner tuner;              /* compiles that one */
	struct openvino_instance *instances; /* a list */
	unsigned n_instances, each;          /* each: threads of a run */
};

/* What an instance runs of a compiled model, from its first run with that to its last. */
struct openvino_seat {
	struct openvino_compiled *compiled;
	ov_request *request;
};

struct openvino_instance {
	struct openvino_model *model;
	struct openvino_instance *next;
	/* Under the model's lock, the next three: cancel() and tuning come from other threads. */
	struct openvino_seat narrow, wide;
	ov_request *running; /* of a seat; NULL: none. Who runs reads it without */
	struct kit_run run;
};

/* ---- find.c ---- */

/* The library: `library` of the configuration, of the interpreter's packages, or the system's.
 * 0, or -1 with what is missing and how to get it. */
int openvino_find(struct openvino *o, struct sconce_error *e);
/* 0 for 0; else -1, or SCONCE_NO_MEMORY, with what the library said last. */
int openvino_check(const struct openvino *o, int status, struct sconce_error *e);

/* "BF16 FP32 INT8": what the processor has, as OpenVINO sees it. */
const char *openvino_features(struct openvino *o);

/* ---- types.c ---- */

/* Asks the library what it calls the types of elements. */
int openvino_learn_types(struct openvino *o, struct sconce_error *e);
/* SCONCE_DTYPE_ANY: there is none of ours. */
uint32_t openvino_dtype(const struct openvino *o, unsigned type);

/* ---- probe.c ---- */

/* Compiles and runs a small model in a child, where that has not succeeded before. Negative: that
 * ended the child, or it hung. */
int openvino_probe(struct openvino *o, struct sconce_error *e);

/* ---- tried.c ---- */

bool openvino_was_tried(const struct openvino *o);
void openvino_remember_tried(const struct openvino *o);

/* ---- compile.c ---- */

/* Tells the library what the model's settings say. */
int openvino_configure(struct openvino_model *m, struct sconce_error *e);
/* For so many runs at a time, with so many threads each. *ret_read, where it is not NULL: what was
 * read, to be freed. */
int openvino_compile(struct openvino_model *m, unsigned streams, unsigned each,
		     struct openvino_compiled **ret, ov_model **ret_read, struct sconce_error *e);
/* Do its settings speak of threads, or of runs at a time? */
bool openvino_has_threads(const struct openvino_model *m);
/* With the lock. */
void openvino_put(struct openvino_model *m, struct openvino_compiled *c);

/* ---- threads.c ---- */

/* Compiles the model again for the instances that there are, where that is another number than the
 * one it was compiled for. Any thread, but it takes its time. */
void openvino_tune(struct openvino_model *m);
/* There are other instances or threads: what runs alone have goes where it has another number than
 * it should. With the lock. */
void openvino_fit(struct openvino_model *m);
/* A run begins; its end is kit_alone_end(). True: with what runs alone have. With the lock. */
bool openvino_run_begin(struct openvino_model *m, struct kit_run *ret);
/* Compiles what runs alone have. A step of the model's tuner. */
bool openvino_widen(void *model);

/* ---- signature.c ---- */

/* Fills in the model's signature from what was read. `batch`: requests in a run; 0: any. */
int openvino_describe(struct openvino_model *m, ov_model *read, uint32_t batch,
		      struct sconce_error *e);
void openvino_forget(struct openvino_model *m);

/* ---- run.c ---- */

int openvino_instance_create(void *model, uint32_t index, void **ret, struct sconce_error *e);
void openvino_instance_destroy(void *instance);
/* Lets go of what the model does not have any more, but for what it runs. With the lock. */
void openvino_instance_leave(struct openvino_instance *i);
int openvino_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
		 struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e);
void openvino_cancel(void *instance);
