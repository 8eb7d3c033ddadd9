/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/* What a model says of its inputs and outputs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number that no model has as a size by chance. */
#define EXAMPLES 7

struct side {
	const char *name; /* "input" or "output" */
	struct sconce_tensor_spec **specs;
	size_t *n;
	int (*size)(const ov_model *m, size_t *ret);
	int (*port)(const ov_model *m, size_t i, ov_port **ret);
};

static void describe_shape(const struct ov_partial_shape *from, struct sconce_tensor_spec *s)
{
	s->ndim = from->rank.least == from->rank.most ? (uint32_t)from->rank.least
						      : SCONCE_NDIM_ANY;
	for (uint32_t i = 0; s->ndim <= SCONCE_NDIM_MAX && i < s->ndim; i++)
		s->shape[i] = from->dims[i].least == from->dims[i].most ? from->dims[i].least
									: SCONCE_DIM_ANY;
}

/* OpenVINO knows names of all formats, but an own model of it need not have any. */
static int describe_name(const struct openvino *o, const ov_port *p, const struct side *side,
			 size_t i, struct sconce_tensor_spec *s, struct sconce_error *e)
{
	char made[32], *name = NULL;

	if (*side->n == 1)
		snprintf(made, sizeof(made), "%s", side->name);
	else
		snprintf(made, sizeof(made), "%s_%zu", side->name, i);
	if (o->api.port_get_any_name(p, &name) != 0)
		name = NULL;
	s->name = strdup(name && *name ? name : made);
	if (name)
		o->api.free(name);
	return s->name ? 0 : kit_no_memory(e);
}

static int describe_port(const struct openvino *o, const ov_port *p, const struct side *side,
			 size_t i, struct sconce_error *e)
{
	struct sconce_tensor_spec *s = &(*side->specs)[i];
	struct ov_partial_shape shape = { 0 };
	unsigned type = 0;
	int r = describe_name(o, p, side, i, s, e);

	if (!r)
		r = openvino_check(o, o->api.port_get_element_type(p, &type), e);
	if (!r)
		r = openvino_check(o, o->api.port_get_partial_shape(p, &shape), e);
	if (r)
		return r;
	s->dtype = openvino_dtype(o, type);
	describe_shape(&shape, s);
	o->api.partial_shape_free(&shape);
	if (s->dtype == SCONCE_BYTES)
		return kit_fail(e, -1,
				"the %s \"%.200s\" is text, which OpenVINO's processor plug-in "
				"does not run: feed what a tokenizer has made of it",
				side->name, s->name);
	if (!s->dtype)
		return kit_fail(
			e, -1,
			"the %s \"%.200s\" has elements of OpenVINO's type %u, which is not "
			"served: convert it in the model",
			side->name, s->name, type);
	if (s->ndim > SCONCE_NDIM_MAX && s->ndim != SCONCE_NDIM_ANY)
		return kit_fail(e, -1, "the %s \"%.200s\" has %u dimensions; at most %d are served",
				side->name, s->name, s->ndim, SCONCE_NDIM_MAX);
	return 0;
}

static int describe_side(const struct openvino *o, ov_model *m, const struct side *side,
			 struct sconce_error *e)
{
	int r = openvino_check(o, side->size(m, side->n), e);

	if (r)
		return r;
	*side->specs = calloc(*side->n + 1, sizeof(**side->specs));
	if (!*side->specs)
		return kit_no_memory(e);
	for (size_t i = 0; !r && i < *side->n; i++) {
		ov_port *p = NULL;

		r = openvino_check(o, side->port(m, i, &p), e);
		if (!r)
			r = describe_port(o, p, side, i, e);
		if (p)
			o->api.output_const_port_free(p);
	}
	return r;
}

/* ---- may requests be stacked? ---- */

static struct ov_partial_shape example_shape(const struct sconce_tensor_spec *s,
					     struct ov_range *dims)
{
	for (uint32_t d = 0; d < s->ndim; d++) {
		int64_t size = d ? s->shape[d] : EXAMPLES;

		dims[d] = size < 0 ? (struct ov_range){ 0, -1 } : (struct ov_range){ size, size };
	}
	return (struct ov_partial_shape){ { s->ndim, s->ndim }, dims };
}

/* Gives each input EXAMPLES of what it takes. */
static bool set_examples(const struct openvino_model *m, ov_model *read)
{
	size_t n = m->signature.n_inputs;
	struct ov_partial_shape *shapes = calloc(n, sizeof(*shapes));
	struct ov_range(*dims)[SCONCE_NDIM_MAX] = calloc(n, sizeof(*dims));
	size_t *at = calloc(n, sizeof(*at));
	bool good = shapes && dims && at;

	for (size_t i = 0; good && i < n; i++) {
		at[i] = i;
		shapes[i] = example_shape(&m->inputs[i], dims[i]);
	}
	good = good && m->engine->api.model_reshape_by_port_indexes(read, at, shapes, n) == 0;
	free(shapes);
	free(dims);
	free(at);
	return good;
}

/* Does each output have as many? */
static bool has_examples(const struct openvino_model *m, ov_model *read)
{
	const struct ov_api *a = &m->engine->api;
	bool all = true;

	for (size_t i = 0; all && i < m->signature.n_outputs; i++) {
		struct ov_partial_shape shape = { 0 };
		ov_port *p = NULL;

		all = a->model_const_output_by_index(read, i, &p) == 0 &&
		      a->port_get_partial_shape(p, &shape) == 0;
		if (all) {
			all = shape.rank.least == shape.rank.most && shape.rank.least > 0 &&
			      shape.dims[0].least == EXAMPLES && shape.dims[0].most == EXAMPLES;
			a->partial_shape_free(&shape);
		}
		if (p)
			a->output_const_port_free(p);
	}
	return all;
}

/* What finds boxes on pictures has a first dimension of any size on both sides, too; but its does
 * not follow from that of the input. `read` is another model afterwards. */
static int describe_batches(struct openvino_model *m, ov_model *read, uint32_t batch,
			    struct sconce_error *e)
{
	int r = kit_batches(&m->settings, &m->signature, e);

	if (r < 0)
		return r;
	/* The answer takes a tenth of the time to load, and nobody asks for it. */
	if (r == BATCHES_MAYBE && batch == 1)
		return 0;
	m->signature.batches = r == BATCHES_YES || (r == BATCHES_MAYBE && set_examples(m, read) &&
						    has_examples(m, read));
	if (r == BATCHES_MAYBE && !m->signature.batches)
		kit_log(m->engine->host, 1,
			"the first dimension of an output does not follow from that of the inputs, "
			"so requests are not stacked; `batches: true` in the section engine says "
			"that they may be");
	return 0;
}

int openvino_describe(struct openvino_model *m, ov_model *read, uint32_t batch,
		      struct sconce_error *e)
{
	const struct ov_api *a = &m->engine->api;
	struct sconce_signature *s = &m->signature;
	struct side in = { "input", &m->inputs, &s->n_inputs, a->model_inputs_size,
			   a->model_const_input_by_index };
	struct side out = { "output", &m->outputs, &s->n_outputs, a->model_outputs_size,
			    a->model_const_output_by_index };
	int r = describe_side(m->engine, read, &in, e);

	s->size = sizeof(*s);
	if (!r)
		r = describe_side(m->engine, read, &out, e);
	if (!r && !s->n_outputs)
		r = kit_fail(e, -1, "the file has no model: nothing comes out of it");
	if (r)
		return r;
	s->inputs = m->inputs;
	s->outputs = m->outputs;
	return describe_batches(m, read, batch, e);
}

static void forget(struct sconce_tensor_spec *all, size_t n)
{
	for (size_t i = 0; all && i < n; i++)
		free((char *)(uintptr_t)all[i].name);
	free(all);
}

void openvino_forget(struct openvino_model *m)
{
	forget(m->inputs, m->signature.n_inputs);
	forget(m->outputs, m->signature.n_outputs);
}
