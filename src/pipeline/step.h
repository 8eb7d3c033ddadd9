/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Inside the folder: what a step is, what it takes and gives, and what its op does. */

#include "base/region.h"
#include "image/chain.h"
#include "pipeline/pipeline.h"
#include "pipeline/value.h"

#define STEP_FROM_MAX PIPELINE_INPUTS_MAX
#define STEP_NAME_MAX 64
#define STEP_NUMBERS_MAX SCONCE_NDIM_MAX
#define STEP_REQUEST (-1) /* of a ref: what the client has sent */
#define STEP_NOT_SET INT64_MIN

struct labels;

/* What a step takes: the result of an earlier one. */
struct ref {
	int step;
	const char *part; /* of the request, or of what infer gives; NULL: there is but one */
};

struct step_numbers {
	int64_t v[STEP_NUMBERS_MAX];
	unsigned n;
};

struct step_reals {
	float v[4];
	unsigned n;
};

/* Those of all ops; each has a few of them (params.c). */
struct params {
	int64_t size, max, width, height, x, y, left, top, right, bottom, k, axis, indent, quality,
		dimensions;
	double threshold, iou, range;
	struct step_numbers axes, shape, fill;
	struct step_reals mean, std;
	uint32_t dtype;
	enum image_filter filter;
	enum image_mode mode;
	bool lists, scaled, on_gpu, as_bytes, rows, apart, doubles, records, middle, flip_y,
		has_mode;
	const char *file, *output, *member;
	struct ref boxes, scores, classes;
	struct ref inputs[STEP_FROM_MAX];
	const char *input_names[STEP_FROM_MAX];
	unsigned n_inputs;
};

enum param_type {
	PARAM_FLAG,
	PARAM_INTEGER,
	PARAM_REAL,
	PARAM_INTEGERS,
	PARAM_REALS,
	PARAM_TEXT,
	PARAM_DATATYPE,
	PARAM_FILTER,
	PARAM_MODE,
	PARAM_CHOICE, /* of two words; the flag says that it is the second */
	PARAM_VALUE,  /* a step's result, by name */
	PARAM_VALUES, /* of infer: results for inputs by name */
};

struct param {
	const char *name;
	enum param_type type;
	size_t at; /* in struct params */
	const char *help;
	double fallback, min, max;
	const char *words[2];
	bool required;
};

/* What a step takes or gives, as far as it is known. Shapes: SCONCE_DIM_ANY, SCONCE_NDIM_ANY. */
struct type {
	enum kind kind;
	uint32_t dtype, ndim;
	int64_t shape[SCONCE_NDIM_MAX]; /* of an image: channels, height, width */
	bool has_boxes;                 /* of findings */
};

struct step {
	const struct op *op;
	struct params params;
	const char *name; /* `as`; NULL: none */
	unsigned number;  /* from 1 */
	struct ref from[STEP_FROM_MAX];
	unsigned n_from;
	struct type type; /* of what it gives */
	int last_use;     /* the last step that takes it, or its own number: nobody */
	/* Of the last step of some that are done in one pass over a picture: all of them. */
	struct image_chain chain;
	int first;     /* of these; the step itself: it stands alone */
	bool to_model; /* a picture's tensor, which nobody reads but the model */
	bool fused;    /* into one that follows: there is nothing to be done */
	struct labels *labels;
};

struct pipeline {
	struct region region; /* of all names and lists */
	struct step steps[PIPELINE_STEPS_MAX];
	unsigned n;
	int infer; /* -1: there is none */
	bool is_handler;
	const struct sconce_signature *signature; /* once it is bound */
	unsigned order[PIPELINE_INPUTS_MAX];      /* which of infer's values is input i */
	bool rows_apart; /* outputs have a dimension 0 that is the request's, and goes */
};

/* One run: what each step has given, while others need it. */
struct pipeline_run {
	const struct pipeline *p;
	const struct pipeline_request *request;
	const struct sconce_tensor *outputs;
	struct pipeline_answer *answer;
	struct value values[];
};

struct op {
	const char *name, *help;
	unsigned takes; /* bits of kinds */
	enum kind gives;
	const struct param *params; /* the first may be written without its name */
	unsigned n_params;
	/* From the types of what it takes (n_from of them) to that of what it gives, whose kind is
	 * set. Called again when more is known; NULL: it takes anything of its kinds. */
	int (*check)(const struct step *s, const struct type *in, struct type *out,
		     struct sconce_error *e);
	/* NULL: infer. `out` is empty. */
	int (*run)(const struct step *s, struct pipeline_run *run, const struct value *in,
		   struct value *out, struct sconce_error *e);
	/* As a step of a chain of image/, or NULL. False: not with these parameters. */
	bool (*image)(const struct step *s, struct image_step *ret);
};

/* For initialisers, too. */
#define KIND_BIT(kind) (1u << (kind))

/* ---- ops.c ---- */

extern const struct op *const *const ops_all;
extern const size_t ops_n;
const struct op *op_find(struct slice name);
/* The op's name that is most like it; NULL: none is. */
const char *op_guess(struct slice name);
extern const struct op op_decode_image, op_infer, op_batch;

/* ---- params.c ---- */

/* Reads the op's parameters; `value` is an object, or the first parameter alone, or NULL. Members
 * "from" and "as" are the caller's. */
struct parsing;
int params_read(struct parsing *x, struct step *s, yyjson_val *value, struct sconce_error *e);

/* ---- parse.c ---- */

struct parsing {
	struct pipeline *p;
};

/* "name", "request", "request.part", "infer.output". */
int ref_read(struct parsing *x, const struct step *s, yyjson_val *v, struct ref *ret,
	     struct sconce_error *e);

/* ---- types.c ---- */

/* The types of all steps, from the first on. */
int types_check(struct pipeline *p, struct sconce_error *e);
struct type type_of_ref(const struct pipeline *p, const struct ref *r);
/* "tensor FP32 [3, 224, 224]" */
void type_write(char *out, size_t room, const struct type *t);

/* ---- fuse.c ---- */

/* Which steps are done in one pass, and who needs what for how long. */
int fuse(struct pipeline *p, struct sconce_error *e);
int chain_run(const struct step *s, struct pipeline_run *run, const struct value *in,
	      struct value *out, struct sconce_error *e);

/* "step 3, resize: …"; returns code. */
int step_fail(struct sconce_error *e, const struct step *s, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
