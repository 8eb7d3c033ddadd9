/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From what a client sends to the inputs of a model. A body is JSON, numpy's .npy, or an input's
 * raw bytes; several inputs come as members of a JSON object or as parts of a form, each of any
 * kind. docs/engines.md has them all with examples. Nothing here is trusted. Any thread.
 */

#include <sconce/engine.h>
#include <stdbool.h>

#include "base/slice.h"
#include "image/gpu.h"

#define BODY_INPUTS_MAX 64

/* How the answer is to look: as the request did, where its Accept does not say otherwise. */
enum body_form {
	FORM_ARRAY,   /* [[0.1, 0.9]]; an object by name where there are several outputs */
	FORM_OIP,     /* {"outputs": [{"name", "datatype", "shape", "data"}]} */
	FORM_ROWS,    /* TensorFlow's {"predictions": [...]} */
	FORM_COLUMNS, /* TensorFlow's {"outputs": ...} */
	FORM_RAW,
	FORM_NPY,
};

struct body_part {
	struct slice name, type; /* type: media type as sent, or empty */
	struct slice bytes;
	bool whole; /* the body of a request without a form */
};

struct body {
	const struct sconce_signature *signature;
	struct sconce_tensor *inputs; /* signature->n_inputs of them; owner: ours to free */
	bool *given;
	size_t n;   /* up to the last one that was given */
	bool added; /* the client left the leading dimension of 1 out: its answer has none */
	enum body_form form;
	struct slice dtype, shape; /* of the one input's raw bytes, from headers; else empty */
	size_t values;             /* of the JSON document that is read: no tensor has more */
	struct image_gpu *gpu;     /* where inputs lie that are not the host's: … */
	uint64_t away;             /* … bit i is input i */
};

/* Signature and parts must outlive the body: inputs may lie in them. 0; SCONCE_BAD_INPUT with a
 * sentence for the client; other negatives: no memory. To be finished in any case. */
int body_read(struct body *b, const struct sconce_signature *signature,
	      const struct body_part *parts, size_t n_parts, struct sconce_error *e);
void body_finish(struct body *b);

/* ---- for the readers ---- */

/* Memory for input i, 64-byte aligned; NULL: no memory. */
void *body_place(struct body *b, size_t i, uint64_t bytes);
/* Index of the input of this name; -1: there is none. */
ptrdiff_t body_input(const struct body *b, struct slice name);
int body_no_memory(struct sconce_error *e);
int body_read_json(struct body *b, struct slice text, struct sconce_error *e);
/* Of one input only. */
int body_read_json_input(struct body *b, size_t i, struct slice text, struct sconce_error *e);
