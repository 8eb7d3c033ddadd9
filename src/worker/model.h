/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The model of this process: an engine, what it has loaded, and the instances that run it. Making
 * and ending instances is for one thread at a time; model_run() for any, each with an instance of
 * its own.
 */

#include <sconce/engine.h>
#include <stdbool.h>
#include <yyjson.h>

#include "base/buf.h"
#include "wire/frame.h"
#include "worker/plugin.h"

#define MODEL_INSTANCES_MAX FRAME_INSTANCES_MAX

/* What LOAD, or a command line, says. Texts are borrowed and must outlive the model. */
struct model_wish {
	const char *engine; /* "": whichever takes the file */
	const char *dir, *file, *device;
	const char *python, *cache;
	const char *config; /* JSON object */
	const char *hint;   /* the same with what is known of inputs beside; NULL: nothing */
	unsigned instances, threads; /* threads: of all instances together */
	unsigned batch;              /* requests in a run, at most; 0: not known */
};

struct model {
	struct plugin plugin;
	struct sconce_host host;
	void *engine, *loaded;
	char *path, *device;
	char pictures[200]; /* who does the steps on pictures before it; "": nobody is asked */
	char decoder[200];  /* who decodes JPEGs, where a GPU is to; "": it is not */
	const struct sconce_signature *signature; /* of the engine, or with what is configured */
	struct sconce_signature own;
	struct sconce_tensor_spec *own_inputs;
	yyjson_doc *config;
	void *instances[MODEL_INSTANCES_MAX];
	unsigned n_instances, threads; /* threads: for each of them */
};

/* Loads, makes the instances and runs a canary on each: inputs of zeros. 0, or negative with a
 * sentence; then only model_close() may follow. */
int model_open(struct model *m, const struct model_wish *w, struct sconce_error *e);
void model_close(struct model *m);
/* A host's log: standard output, for warnings and errors standard error. */
void model_log(const struct sconce_host *host, int level, const char *line);
/* One more instance, ready to run. */
int model_add_instance(struct model *m, struct sconce_error *e);
/* The last one, which does not run. */
void model_drop_instance(struct model *m);
/* Threads of all instances together. True: each of them uses another number now. */
bool model_set_threads(struct model *m, unsigned threads);
/* Nobody waits for what this instance runs. Any thread. */
void model_cancel(struct model *m, unsigned instance);
/* Outputs: signature->n_outputs of them, to be released. Sound when it returns 0. */
int model_run(struct model *m, unsigned instance, const struct sconce_tensor *inputs, size_t n,
	      struct sconce_tensor *outputs, struct sconce_error *e);
/* The same with the inputs of a body, which may lie in a GPU's memory. */
struct body;
int model_run_body(struct model *m, unsigned instance, const struct body *b,
		   struct sconce_tensor *outputs, struct sconce_error *e);
/* Does its engine take inputs that lie there? */
bool model_takes(const struct model *m, const struct sconce_place *place);
void model_release(struct sconce_tensor *outputs, size_t n);
/* `"instances":[…],"inputs":[…],"outputs":[…]`, members of the LOADED document. */
void model_describe(const struct model *m, struct buf *out);
