/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/*
 * Instances and their runs. Inputs are the host's memory, without a copy; so are outputs, where
 * their sizes are known before. Others OpenVINO allocates, and the host adopts them.
 */

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT ((size_t)64)

/* ---- instances ---- */

static void leave(struct openvino_model *m, struct openvino_seat *s)
{
	if (s->request)
		m->engine->api.infer_request_free(s->request);
	openvino_put(m, s->compiled);
	*s = (struct openvino_seat){ NULL, NULL };
}

static void leave_old(struct openvino_instance *i, struct openvino_seat *s,
		      const struct openvino_compiled *now)
{
	if (s->compiled != now && (!i->running || i->running != s->request))
		leave(i->model, s);
}

void openvino_instance_leave(struct openvino_instance *i)
{
	leave_old(i, &i->narrow, i->model->current);
	leave_old(i, &i->wide, i->model->wide);
}

/* With the lock. */
static int join(struct openvino_model *m, struct openvino_seat *s, struct openvino_compiled *c,
		struct sconce_error *e)
{
	if (s->compiled == c)
		return 0;
	leave(m, s);
	s->compiled = c;
	c->users++;
	if (openvino_check(
		    m->engine,
		    m->engine->api.compiled_model_create_infer_request(c->compiled, &s->request),
		    e) == 0)
		return 0;
	leave(m, s);
	return -1;
}

void openvino_instance_destroy(void *instance)
{
	struct openvino_instance *i = instance, **at;
	struct openvino_model *m = i->model;

	pthread_mutex_lock(&m->lock);
	for (at = &m->instances; *at != i; at = &(*at)->next)
		;
	*at = i->next;
	m->n_instances--;
	leave(m, &i->narrow);
	leave(m, &i->wide);
	openvino_fit(m);
	pthread_mutex_unlock(&m->lock);
	free(i);
}

int openvino_instance_create(void *model, uint32_t index, void **ret, struct sconce_error *e)
{
	struct openvino_instance *i = calloc(1, sizeof(*i));
	struct openvino_model *m = model;
	int r;

	(void)index;
	if (!i)
		return kit_no_memory(e);
	pthread_mutex_lock(&m->lock);
	i->model = m;
	i->next = m->instances;
	m->instances = i;
	m->n_instances++;
	openvino_fit(m);
	pthread_mutex_unlock(&m->lock);
	openvino_tune(m);
	pthread_mutex_lock(&m->lock);
	r = join(m, &i->narrow, m->current, e);
	pthread_mutex_unlock(&m->lock);
	if (r)
		openvino_instance_destroy(i);
	else
		*ret = i;
	return r;
}

void openvino_cancel(void *instance)
{
	struct openvino_instance *i = instance;

	pthread_mutex_lock(&i->model->lock);
	if (i->running)
		i->model->engine->api.infer_request_cancel(i->running);
	pthread_mutex_unlock(&i->model->lock);
}

/* ---- inputs ---- */

static int tensor_over(const struct openvino *o, uint32_t dtype, const int64_t *shape,
		       uint32_t ndim, void *data, ov_tensor **ret, struct sconce_error *e)
{
	static char nothing[ALIGNMENT] __attribute__((aligned(ALIGNMENT)));
	int64_t dims[SCONCE_NDIM_MAX];
	struct ov_shape s = { ndim, dims };

	memcpy(dims, shape, ndim * sizeof(*dims));
	return openvino_check(
		o,
		o->api.tensor_create_from_host_ptr(o->types[dtype], s, data ? data : nothing, ret),
		e);
}

static bool is_narrow_signed(const char *at, uint64_t bytes)
{
	bool all = true;
	int64_t v;

	for (uint64_t i = 0; i + sizeof(v) <= bytes; i += sizeof(v)) {
		memcpy(&v, at + i, sizeof(v));
		all &= v == (int32_t)v;
	}
	return all;
}

static bool is_narrow_unsigned(const char *at, uint64_t bytes, size_t element)
{
	uint64_t any = 0, v = 0;

	for (uint64_t i = 0; i + element <= bytes; i += element) {
		memcpy(&v, at + i, element);
		any |= v;
	}
	return any <= INT32_MAX;
}

/* The processor plug-in computes with 32 bits, whatever the model says, and drops the others
 * without a word. */
static bool is_kept(const struct sconce_tensor *t)
{
	switch (t->dtype) {
	case SCONCE_INT64:
		return is_narrow_signed(t->data, t->bytes);
	case SCONCE_UINT64:
	case SCONCE_UINT32:
		return is_narrow_unsigned(t->data, t->bytes, sconce_dtype_size(t->dtype));
	default:
		return true;
	}
}

/* What lies so that elements are not aligned is copied to *ret_copy. */
static int set_input(struct openvino_instance *i, size_t k, const struct sconce_tensor *t,
		     void **ret_copy, struct sconce_error *e)
{
	const struct openvino *o = i->model->engine;
	size_t element = sconce_dtype_size(t->dtype);
	ov_tensor *v = NULL;
	void *data = t->bytes ? t->data : NULL;
	int r;

	if (!element)
		return kit_fail(e, SCONCE_BAD_INPUT, "a tensor has no type that OpenVINO runs");
	if (!is_kept(t))
		return kit_fail(e, SCONCE_BAD_INPUT,
				"input \"%.200s\" has numbers beyond 32 bits, with which OpenVINO "
				"does not compute",
				i->model->inputs[k].name);
	if ((uintptr_t)data % element) {
		*ret_copy = malloc(t->bytes);
		if (!*ret_copy)
			return kit_no_memory(e);
		data = memcpy(*ret_copy, data, t->bytes);
	}
	r = tensor_over(o, t->dtype, t->shape, t->ndim, data, &v, e);
	if (!r &&
	    openvino_check(o, o->api.infer_request_set_input_tensor_by_index(i->running, k, v), e))
		r = SCONCE_BAD_INPUT; /* the model limits a size that the signature does not */
	if (v)
		o->api.tensor_free(v);
	return r;
}

/* ---- outputs ---- */

static bool size_known(const struct sconce_tensor_spec *s, uint64_t *ret)
{
	*ret = sconce_dtype_size(s->dtype);
	for (uint32_t i = 0; i < s->ndim; i++)
		if (s->ndim > SCONCE_NDIM_MAX || s->shape[i] < 0 ||
		    __builtin_mul_overflow(*ret, (uint64_t)s->shape[i], ret))
			return false;
	return true;
}

static void release_own(struct sconce_tensor *t)
{
	free(t->owner);
}

/* Where it goes: memory that is offered, or ours. */
static int fixed_output(struct sconce_tensor *t, const struct sconce_tensor_spec *s, uint64_t bytes,
			struct sconce_error *e)
{
	if (!t->data || t->bytes < bytes) {
		size_t room = (bytes + ALIGNMENT) & ~(ALIGNMENT - 1);

		t->owner = aligned_alloc(ALIGNMENT, room);
		if (!t->owner)
			return kit_no_memory(e);
		t->data = t->owner;
		t->release = release_own;
	}
	t->bytes = bytes;
	t->dtype = s->dtype;
	t->ndim = s->ndim;
	memcpy(t->shape, s->shape, s->ndim * sizeof(*s->shape));
	return 0;
}

/* An own one each time, so that nobody writes into what the host has adopted. */
static int open_output(const struct openvino *o, const struct sconce_tensor_spec *s,
		       ov_tensor **ret, struct sconce_error *e)
{
	int64_t dims[SCONCE_NDIM_MAX] = { 0 };
	struct ov_shape shape = { s->ndim == SCONCE_NDIM_ANY ? 1 : s->ndim, dims };

	return openvino_check(o, o->api.tensor_create(o->types[s->dtype], shape, ret), e);
}

static int set_output(struct openvino_instance *i, size_t k, struct sconce_tensor *t,
		      struct sconce_error *e)
{
	const struct sconce_tensor_spec *s = &i->model->outputs[k];
	const struct openvino *o = i->model->engine;
	ov_tensor *v = NULL;
	uint64_t bytes;
	bool known = size_known(s, &bytes);
	int r = known ? fixed_output(t, s, bytes, e) : open_output(o, s, &v, e);

	if (!r && known)
		r = tensor_over(o, t->dtype, t->shape, t->ndim, t->data, &v, e);
	if (!r)
		r = openvino_check(
			o, o->api.infer_request_set_output_tensor_by_index(i->running, k, v), e);
	if (v)
		o->api.tensor_free(v);
	return r;
}

struct adopted {
	const struct openvino *engine;
	ov_tensor *tensor;
};

static void release_adopted(struct sconce_tensor *t)
{
	struct adopted *a = t->owner;

	a->engine->api.tensor_free(a->tensor);
	free(a);
}

static int read_shape(const struct openvino *o, const ov_tensor *v, struct sconce_tensor *t,
		      struct sconce_error *e)
{
	struct ov_shape s = { 0 };
	uint64_t bytes = sconce_dtype_size(t->dtype);
	int r = openvino_check(o, o->api.tensor_get_shape(v, &s), e);

	if (r)
		return r;
	if (s.rank < 0 || s.rank > SCONCE_NDIM_MAX)
		r = kit_fail(e, -1, "an output has %lld dimensions", (long long)s.rank);
	for (int64_t i = 0; !r && i < s.rank; i++) {
		t->shape[i] = s.dims[i];
		if (s.dims[i] < 0 || __builtin_mul_overflow(bytes, (uint64_t)s.dims[i], &bytes))
			r = kit_fail(e, -1, "an output has an impossible shape");
	}
	t->ndim = (uint32_t)s.rank;
	t->bytes = bytes;
	o->api.shape_free(&s);
	return r;
}

/* Takes the tensor over where it returns 0. */
static int take_open_output(const struct openvino *o, ov_tensor *v, struct sconce_tensor *t,
			    struct sconce_error *e)
{
	uint64_t room = t->data ? t->bytes : 0;
	struct adopted *owner;
	void *data = NULL;
	int r = read_shape(o, v, t, e);

	if (!r && t->bytes)
		r = openvino_check(o, o->api.tensor_data(v, &data), e);
	if (r)
		return r;
	if (t->data && t->bytes <= room) {
		if (t->bytes)
			memcpy(t->data, data, t->bytes);
		o->api.tensor_free(v);
		return 0;
	}
	owner = malloc(sizeof(*owner));
	if (!owner)
		return kit_no_memory(e);
	*owner = (struct adopted){ o, v };
	t->data = data;
	t->owner = owner;
	t->release = release_adopted;
	return 0;
}

static int take_output(struct openvino_instance *i, size_t k, struct sconce_tensor *t,
		       struct sconce_error *e)
{
	const struct sconce_tensor_spec *s = &i->model->outputs[k];
	const struct openvino *o = i->model->engine;
	ov_tensor *v = NULL;
	uint64_t bytes;
	int r;

	if (size_known(s, &bytes))
		return 0;
	t->dtype = s->dtype;
	r = openvino_check(o, o->api.infer_request_get_output_tensor_by_index(i->running, k, &v),
			   e);
	if (!r)
		r = take_open_output(o, v, t, e);
	if (r && v)
		o->api.tensor_free(v);
	return r;
}

/* ---- a run ---- */

/* In a thread of OpenVINO's: where it has only one, a run in ours says 0 even when it has failed,
 * and cannot be cancelled. Sizes that do not fit each other are found only here, and are the
 * client's. */
static int infer(struct openvino_instance *i, struct sconce_error *e)
{
	const struct openvino *o = i->model->engine;
	int r = openvino_check(o, o->api.infer_request_start_async(i->running), e);

	if (!r)
		r = openvino_check(o, o->api.infer_request_wait(i->running), e);
	return r && strcasestr(e->text, "shape infer") ? SCONCE_BAD_INPUT : r;
}

static int run_tensors(struct openvino_instance *i, const struct sconce_tensor *inputs,
		       struct sconce_tensor *outputs, void **copies, struct sconce_error *e)
{
	const struct sconce_signature *s = &i->model->signature;
	int r = 0;

	for (size_t k = 0; !r && k < s->n_inputs; k++)
		r = set_input(i, k, &inputs[k], &copies[k], e);
	for (size_t k = 0; !r && k < s->n_outputs; k++)
		r = set_output(i, k, &outputs[k], e);
	if (!r)
		r = infer(i, e);
	for (size_t k = 0; !r && k < s->n_outputs; k++)
		r = take_output(i, k, &outputs[k], e);
	/* On failure nothing is the host's. */
	for (size_t k = 0; r && k < s->n_outputs; k++)
		if (outputs[k].release)
			outputs[k].release(&outputs[k]);
	return r;
}

static int begin(struct openvino_instance *i, struct sconce_error *e)
{
	struct openvino_model *m = i->model;
	struct sconce_error ignored;
	int r;

	pthread_mutex_lock(&m->lock);
	r = join(m, &i->narrow, m->current, e);
	if (!r && openvino_run_begin(m, &i->run) && !join(m, &i->wide, m->wide, &ignored))
		i->running = i->wide.request;
	else if (!r)
		i->running = i->narrow.request;
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void end(struct openvino_instance *i, bool good)
{
	pthread_mutex_lock(&i->model->lock);
	kit_alone_end(&i->model->alone, &i->run, good);
	i->running = NULL;
	/* It may have been compiled again meanwhile: the old one is not needed any more. */
	openvino_instance_leave(i);
	pthread_mutex_unlock(&i->model->lock);
}

int openvino_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
		 struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *e)
{
	struct openvino_instance *i = instance;
	const struct sconce_signature *s = &i->model->signature;
	void **copies;
	int r;

	if (n_inputs != s->n_inputs || n_outputs != s->n_outputs)
		return kit_fail(e, SCONCE_BAD_INPUT, "the model takes %zu inputs, not %zu",
				s->n_inputs, n_inputs);
	copies = calloc(n_inputs + 1, sizeof(*copies));
	if (!copies)
		return kit_no_memory(e);
	r = begin(i, e);
	if (!r) {
		r = run_tensors(i, inputs, outputs, copies, e);
		end(i, r == 0);
	}
	for (size_t k = 0; k < n_inputs; k++)
		free(copies[k]);
	free(copies);
	return r;
}
