/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is done before and behind a model, as data: a list of steps in model-config.yaml, each an op
 * of one table (ops.h) with its parameters. A step takes what the one before it gives, or what
 * `from` names. One of them is `infer`: what comes before it is done for every request, then
 * requests are stacked and the model runs, and what comes behind it is done for every request
 * again. docs/pipelines.md has the ops with examples.
 *
 *     pipeline:
 *       - decode_image
 *       - resize: 256
 *       - center_crop: 224
 *       - to_tensor
 *       - normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
 *       - batch
 *       - infer
 *       - softmax
 *       - topk: 5
 *       - labels
 *       - encode_json
 *
 * A pipeline is made once, checked as a whole (types of all steps, names, parameters), and not
 * changed by running: threads share it. What a run has is its own. Steps, files of labels and
 * requests come from outside, and nothing of them is trusted.
 *
 * Errors: 0, or a negative code of sconce/engine.h with one sentence, which begins "step 3,
 * resize: …": SCONCE_BAD_INPUT is the client's fault, SCONCE_NO_MEMORY, and others the pipeline's.
 */

#include <sconce/engine.h>
#include <stdbool.h>
#include <yyjson.h>

#include "base/buf.h"
#include "base/slice.h"

#define PIPELINE_STEPS_MAX 64
#define PIPELINE_INPUTS_MAX 16 /* of the model */
#define PIPELINE_LACKS (-19)   /* something is not installed here */

struct pipeline;     /* opaque */
struct pipeline_run; /* opaque: one request's way through it */

/* A part of a request: its body, or one of a form. */
struct pipeline_part {
	struct slice name, type, bytes;
};

struct image;
struct image_gpu;

/* Who reads pictures that image/ does not. Any thread. */
struct pipeline_decoder {
	/* The picture of at most so many pixels as it is in its file, with the orientation that
	 * is told there; one of a mode that image.h does not have is converted to `mode`, where
	 * that is one (IMAGE_MODES: none is wanted). 0 and *ret is yours; or SCONCE_BAD_INPUT,
	 * SCONCE_NO_MEMORY, PIPELINE_LACKS, or another failure. */
	int (*decode)(const struct pipeline_decoder *d, struct slice bytes, unsigned mode,
		      uint64_t pixels, struct image *ret, uint8_t *ret_orientation,
		      struct sconce_error *e);
};

struct pipeline_request {
	const struct pipeline_part *parts;
	size_t n;
	bool decode;  /* JSON and text are decoded, as TorchServe does */
	bool limited; /* pictures have at most as many pixels as Pillow takes by default */
	const struct pipeline_decoder *decoder; /* for other pictures; NULL: there is none */
	struct image_gpu *gpu; /* makes tensors that the model is to find there; NULL: none */
	/* Is told of each step; NULL: nobody is. Steps on a picture that are done in one pass are
	 * one, named after the last of them. */
	void (*step)(void *arg, const char *op, uint64_t begin_ns, uint64_t end_ns);
	void *arg;
};

struct pipeline_answer {
	const char *type; /* content type; static */
	struct buf body;  /* its bound is to be set before */
};

/* ---- making ---- */

/* `steps`: the list. *ret is yours. */
int pipeline_parse(yyjson_val *steps, struct pipeline **ret, struct sconce_error *e);
/* A default handler of this name: "image_classifier". */
int pipeline_of_handler(const char *name, struct pipeline **ret, struct sconce_error *e);
/* The same of a pipeline's JSON text. */
int pipeline_parse_text(struct slice json, struct pipeline **ret, struct sconce_error *e);
struct pipeline *pipeline_free(struct pipeline *p); /* NULL is fine; returns NULL */
/* What the model takes and gives: the rest of the types can be checked, and files of labels are
 * read from the folder `dir`. Before the first run; where it fails, again with another model. The
 * signature must outlive it. */
int pipeline_bind(struct pipeline *p, const struct sconce_signature *signature, const char *dir,
		  struct sconce_error *e);
/* What infer will be given for the one input that the pipeline makes, as far as its steps tell:
 * the first dimension of what `batch` makes is any. False: they do not. */
bool pipeline_input(const struct pipeline *p, struct sconce_tensor_spec *ret);
/* Is it a default handler, whose failures are told as TorchServe tells those of Python's? */
bool pipeline_is_handler(const struct pipeline *p);
bool pipeline_has_infer(const struct pipeline *p);
/* Is there a tensor of a picture that goes to the model as it is made, and so may lie elsewhere? */
bool pipeline_has_picture(const struct pipeline *p);
/* Is a GPU to decode pictures, where there is one? */
bool pipeline_decodes_on_gpu(const struct pipeline *p);
/* May clients send numbers of any size in place of a picture? */
bool pipeline_takes_lists(const struct pipeline *p);

/* ---- running; any thread ---- */

/* The steps before infer. On 0 *ret is to be ended, with or without the second half. */
int pipeline_before(const struct pipeline *p, const struct pipeline_request *request,
		    struct pipeline_run **ret, struct sconce_error *e);
/* What they have made for the model, in the order of its signature, which `ret` has room for: views
 * that live as long as the run. */
void pipeline_inputs(const struct pipeline_run *run, struct sconce_tensor *ret);
/* Bit i: input i lies in the memory of the request's GPU. */
uint64_t pipeline_inputs_away(const struct pipeline_run *run);
/* The steps behind it. `outputs`: of this request, in the order of the signature. */
int pipeline_after(struct pipeline_run *run, const struct sconce_tensor *outputs,
		   struct pipeline_answer *ret, struct sconce_error *e);
struct pipeline_run *pipeline_end(struct pipeline_run *run); /* NULL is fine; returns NULL */

/* ---- telling ---- */

/* A picture of it in text, a step a line. */
void pipeline_show(const struct pipeline *p, struct buf *out);
/* The table of ops, for a page of documentation. */
void pipeline_list_ops(struct buf *out);
