/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"
#include "wire/json.h"
#include "worker/body.h"
#include "pipeline/tensor.h"

#define CANARY_BYTES_MAX ((uint64_t)256 << 20)

void model_log(const struct sconce_host *host, int level, const char *line)
{
	static const char *const names[] = { "DEBUG", "INFO", "WARN", "ERROR" };

	(void)host;
	fprintf(level >= 2 ? stderr : stdout, "%s %s\n", names[MIN(MAX(level, 0), 3)], line);
	fflush(level >= 2 ? stderr : stdout);
}

/* ---- what model-config.yaml says of inputs that the format does not describe ---- */

static int model_read_shape(struct sconce_tensor_spec *s, yyjson_val *shape, struct sconce_error *e)
{
	yyjson_val *dim;
	size_t i, n;

	if (!shape)
		return 0;
	s->ndim = 0;
	yyjson_arr_foreach(shape, i, n, dim)
	{
		if (!yyjson_is_int(dim) || s->ndim == SCONCE_NDIM_MAX)
			break;
		s->shape[s->ndim++] = MAX(yyjson_get_sint(dim), SCONCE_DIM_ANY);
	}
	if (yyjson_is_arr(shape) && s->ndim == yyjson_arr_size(shape))
		return 0;
	snprintf(e->text, sizeof(e->text),
		 "model-config.yaml: engine: inputs: the shape of \"%s\" is no list of sizes",
		 s->name);
	return -1;
}

/* By name, or, where the format has no names either, by place. */
static struct sconce_tensor_spec *model_find_input(struct model *m, const char *name, size_t place)
{
	for (size_t i = 0; name && i < m->own.n_inputs; i++)
		if (strcmp(m->own_inputs[i].name, name) == 0)
			return &m->own_inputs[i];
	return place < m->own.n_inputs && m->own_inputs[place].ndim == SCONCE_NDIM_ANY
		       ? &m->own_inputs[place]
		       : NULL;
}

/* What the model tells is so; only the rest may be said. */
static bool model_says_otherwise(const struct sconce_tensor_spec *model,
				 const struct sconce_tensor_spec *said)
{
	if (model->dtype && model->dtype != said->dtype)
		return true;
	if (model->ndim == SCONCE_NDIM_ANY)
		return false;
	for (uint32_t i = 0; i < model->ndim && model->ndim == said->ndim; i++)
		if (model->shape[i] != SCONCE_DIM_ANY && model->shape[i] != said->shape[i])
			return true;
	return model->ndim != said->ndim;
}

static bool model_knows_keys(yyjson_val *item)
{
	yyjson_val *key, *value;
	size_t i, n;

	yyjson_obj_foreach(item, i, n, key, value)
	{
		if (!yyjson_equals_str(key, "name") && !yyjson_equals_str(key, "datatype") &&
		    !yyjson_equals_str(key, "shape"))
			return false;
	}
	return yyjson_is_obj(item);
}

static int model_read_input(struct model *m, yyjson_val *item, size_t place, struct sconce_error *e)
{
	const char *name = yyjson_get_str(yyjson_obj_get(item, "name"));
	const char *type = yyjson_get_str(yyjson_obj_get(item, "datatype"));
	struct sconce_tensor_spec *s = model_find_input(m, name, place), said;
	int r;

	if (!model_knows_keys(item)) {
		snprintf(e->text, sizeof(e->text),
			 "model-config.yaml: engine: inputs: each has a name, and a datatype, a "
			 "shape or both, and nothing else");
		return -1;
	}
	if (!s || (type && !dtype_by_name(slice_str(type)))) {
		snprintf(e->text, sizeof(e->text),
			 "model-config.yaml: engine: inputs: \"%.100s\" is no input of the model, "
			 "or its datatype \"%.40s\" does not exist",
			 name ? name : "", type ? type : "");
		return -1;
	}
	said = *s;
	said.name = name ? name : s->name;
	said.dtype = type ? dtype_by_name(slice_str(type)) : s->dtype;
	r = model_read_shape(&said, yyjson_obj_get(item, "shape"), e);
	if (!r && model_says_otherwise(s, &said)) {
		snprintf(
			e->text, sizeof(e->text),
			"model-config.yaml: engine: inputs: the model itself says otherwise of the "
			"datatype or shape of \"%.100s\"",
			said.name);
		return -1;
	}
	*s = said;
	return r;
}

static int model_read_config(struct model *m, const struct model_wish *w, struct sconce_error *e)
{
	yyjson_val *inputs, *item;
	size_t i, n;

	m->config = yyjson_read(w->config, strlen(w->config), 0);
	inputs = yyjson_obj_get(yyjson_doc_get_root(m->config), "inputs");
	if (inputs && !yyjson_is_arr(inputs)) {
		snprintf(e->text, sizeof(e->text),
			 "model-config.yaml: engine: inputs must be a list");
		return -1;
	}
	/* What it does not know of, it does not say. */
	memcpy(&m->own, m->signature, MIN(m->signature->size, sizeof(m->own)));
	m->own_inputs = mem_zalloc(MAX(m->own.n_inputs, 1) * sizeof(*m->own_inputs));
	for (i = 0; i < m->own.n_inputs; i++)
		m->own_inputs[i] = m->signature->inputs[i];
	m->own.inputs = m->own_inputs;
	m->signature = &m->own;
	yyjson_arr_foreach(inputs, i, n, item) if (model_read_input(m, item, i, e) < 0) return -1;
	return 0;
}

static bool specs_sound(const struct sconce_tensor_spec *specs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!specs[i].name || specs[i].dtype >= SCONCE_DTYPES ||
		    (specs[i].ndim > SCONCE_NDIM_MAX && specs[i].ndim != SCONCE_NDIM_ANY))
			return false;
	return true;
}

static int model_check_signature(const struct model *m, struct sconce_error *e)
{
	const struct sconce_signature *s = m->signature;

	if (!s || s->size < offsetof(struct sconce_signature, batches))
		snprintf(e->text, sizeof(e->text),
			 "the engine does not tell the model's signature");
	else if (s->n_inputs > BODY_INPUTS_MAX || s->n_outputs > BODY_INPUTS_MAX || !s->n_outputs)
		snprintf(e->text, sizeof(e->text),
			 "the model has no outputs, or more than %d inputs or outputs",
			 BODY_INPUTS_MAX);
	else if (!specs_sound(s->inputs, s->n_inputs) || !specs_sound(s->outputs, s->n_outputs))
		snprintf(e->text, sizeof(e->text),
			 "an input or output of the model has no name, no known type, or more than "
			 "%d dimensions",
			 SCONCE_NDIM_MAX);
	else
		return 0;
	return -1;
}

/* ---- running ---- */

void model_release(struct sconce_tensor *outputs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (outputs[i].release)
			outputs[i].release(&outputs[i]);
}

static int model_took(struct model *m, int r, struct sconce_tensor *outputs, struct sconce_error *e)
{
	size_t n_outputs = m->signature->n_outputs;

	e->text[sizeof(e->text) - 1] = '\0';
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_outputs; i++) {
		if (tensor_sound(&outputs[i]))
			continue;
		model_release(outputs, n_outputs);
		snprintf(e->text, sizeof(e->text),
			 "the engine's output \"%s\" has another size than its shape says",
			 m->signature->outputs[i].name);
		return -1;
	}
	return 0;
}

int model_run(struct model *m, unsigned instance, const struct sconce_tensor *inputs, size_t n,
	      struct sconce_tensor *outputs, struct sconce_error *e)
{
	return model_took(m,
			  m->plugin.table->run(m->instances[instance], inputs, n, outputs,
					       m->signature->n_outputs, e),
			  outputs, e);
}

int model_run_body(struct model *m, unsigned instance, const struct body *b,
		   struct sconce_tensor *outputs, struct sconce_error *e)
{
	struct sconce_place places[BODY_INPUTS_MAX] = { { 0 } };

	if (!b->away)
		return model_run(m, instance, b->inputs, b->n, outputs, e);
	for (size_t i = 0; i < b->n; i++)
		if (b->away >> i & 1)
			places[i] = (struct sconce_place){ SCONCE_MEMORY_CUDA,
							   image_gpu_device(b->gpu) };
	return model_took(m,
			  m->plugin.table->run_placed(m->instances[instance], b->inputs, places,
						      b->n, outputs, m->signature->n_outputs, e),
			  outputs, e);
}

bool model_takes(const struct model *m, const struct sconce_place *place)
{
	const struct sconce_engine *t = m->plugin.table;

	return SCONCE_HAS(t, run_placed) && t->takes && t->run_placed &&
	       t->takes(m->loaded, place) == 1;
}

/* ---- the canary ---- */

/* Zeros of the least shape that fits; false: it is not known enough. */
static bool canary_input(struct sconce_tensor *t, const struct sconce_tensor_spec *s)
{
	uint64_t count;

	if (!s->dtype || s->ndim == SCONCE_NDIM_ANY)
		return false;
	*t = (struct sconce_tensor){ .dtype = s->dtype, .ndim = s->ndim };
	for (uint32_t i = 0; i < s->ndim; i++)
		t->shape[i] = s->shape[i] == SCONCE_DIM_ANY ? 1 : s->shape[i];
	if (!tensor_count(t, &count) || count > CANARY_BYTES_MAX / 8)
		return false;
	t->bytes = count *
		   (s->dtype == SCONCE_BYTES ? sizeof(uint32_t) : sconce_dtype_size(s->dtype));
	t->data = t->owner = aligned_alloc(64, ALIGN_UP(t->bytes + 1, (uint64_t)64));
	if (t->data)
		memset(t->data, 0, t->bytes);
	return t->data;
}

/* What an engine cannot run with zeros of size 1 it may still run: only what kills or hangs it
 * stops the load. */
static int model_canary(struct model *m, unsigned instance, struct sconce_error *e)
{
	struct sconce_tensor inputs[BODY_INPUTS_MAX] = { 0 }, outputs[BODY_INPUTS_MAX] = { 0 };
	const struct sconce_signature *s = m->signature;
	struct sconce_error why = { "" };
	bool known = true;

	if (SCONCE_HAS(m->plugin.table, warm_up) && m->plugin.table->warm_up)
		return m->plugin.table->warm_up(m->instances[instance], e);
	for (size_t i = 0; i < s->n_inputs && known; i++)
		known = canary_input(&inputs[i], &s->inputs[i]);
	if (known && model_run(m, instance, inputs, s->n_inputs, outputs, &why) == 0)
		model_release(outputs, s->n_outputs);
	else if (!instance)
		fprintf(stderr, "The model was not tried before it is ready: %s\n",
			known ? why.text : "it does not tell which inputs it takes");
	for (size_t i = 0; i < s->n_inputs; i++)
		free(inputs[i].owner);
	return 0;
}

/* ---- instances ---- */

void model_drop_instance(struct model *m)
{
	m->plugin.table->instance_destroy(m->instances[--m->n_instances]);
}

int model_add_instance(struct model *m, struct sconce_error *e)
{
	int r;

	if (m->n_instances == MODEL_INSTANCES_MAX) {
		snprintf(e->text, sizeof(e->text), "a model has at most %d instances",
			 MODEL_INSTANCES_MAX);
		return -1;
	}
	r = m->plugin.table->instance_create(m->loaded, m->n_instances,
					     &m->instances[m->n_instances], e);
	if (r < 0)
		return r;
	m->n_instances++;
	r = model_canary(m, m->n_instances - 1, e);
	if (r < 0)
		model_drop_instance(m);
	return r;
}

bool model_set_threads(struct model *m, unsigned threads)
{
	const struct sconce_engine *t = m->plugin.table;

	threads = MAX(threads / MAX(m->n_instances, 1), 1);
	if (threads == m->threads || !SCONCE_HAS(t, set_threads) || !t->set_threads)
		return false;
	m->threads = threads;
	t->set_threads(m->loaded, threads);
	return true;
}

void model_cancel(struct model *m, unsigned instance)
{
	const struct sconce_engine *t = m->plugin.table;

	if (SCONCE_HAS(t, cancel) && t->cancel)
		t->cancel(m->instances[instance]);
}

/* ---- from file to model ---- */

/* The first engine that takes the model and finds its runtime; or what all of them miss. */
static int model_find_engine(struct model *m, const struct model_wish *w, struct sconce_error *e)
{
	struct buf missing = BUF_INIT(sizeof(e->text));
	struct sconce_error why;
	size_t from = 0;
	int r;

	for (;;) {
		r = plugin_find(&m->plugin, &from, w->engine, m->path, e);
		if (r < 0)
			break;
		why.text[0] = '\0';
		r = m->plugin.table->open(&m->host, &m->engine, &why);
		if (r >= 0)
			break;
		why.text[sizeof(why.text) - 1] = '\0';
		buf_printf(&missing, "%s%s", missing.n ? "; or " : "", why.text);
		m->engine = NULL;
		plugin_close(&m->plugin);
	}
	if (r < 0 && missing.n) {
		snprintf(e->text, sizeof(e->text), "%s", buf_cstr(&missing));
	} else if (missing.n) {
		snprintf(why.text, sizeof(why.text),
			 "%s runs the model; another would have: %.900s", m->plugin.table->name,
			 buf_cstr(&missing));
		model_log(&m->host, 1, why.text);
	}
	buf_finish(&missing);
	return MIN(r, 0);
}

/* "cpu", "cuda" or "cuda:1": the same for all engines. */
static int model_check_device(const char *device, struct sconce_error *e)
{
	size_t digits = strncmp(device, "cuda:", 5) == 0 ? strspn(device + 5, "0123456789") : 0;

	if (strcmp(device, "cpu") == 0 || strcmp(device, "cuda") == 0 ||
	    (digits && digits < 4 && !device[5 + digits]))
		return 0;
	snprintf(e->text, sizeof(e->text),
		 "there is no device \"%.100s\", but cpu, and cuda:0 and so on for GPUs", device);
	return -1;
}

/* An engine that has none but processors has used them, whatever it was offered. */
static void model_note_device(struct model *m)
{
	struct sconce_engine_info info;

	if (strcmp(m->device, "cpu") == 0)
		return;
	plugin_info(m->plugin.table, m->engine, &info);
	if (info.devices && strcmp(info.devices, "cpu") == 0) {
		free(m->device);
		m->device = mem_strdup("cpu");
	}
}

static int model_load(struct model *m, const struct model_wish *w, struct sconce_error *e)
{
	struct sconce_model_options o = { .size = sizeof(o),
					  .path = m->path,
					  .device = m->device,
					  .instances = MAX(w->instances, 1),
					  .batch = w->batch,
					  .config = w->hint ? w->hint : w->config };
	int r;

	m->host = (struct sconce_host){ .size = sizeof(m->host),
					.abi = SCONCE_ENGINE_ABI,
					.log = model_log,
					.python = w->python && *w->python ? w->python : NULL,
					.cache = w->cache && *w->cache ? w->cache : NULL,
					.config = w->config };
	m->threads = o.threads = MAX(w->threads / o.instances, 1);
	r = model_check_device(m->device, e);
	if (r >= 0)
		r = model_find_engine(m, w, e);
	if (r < 0)
		return r;
	r = m->plugin.table->load(m->engine, &o, &m->loaded, e);
	if (r < 0)
		m->loaded = NULL;
	else
		model_note_device(m);
	return MIN(r, 0);
}

int model_open(struct model *m, const struct model_wish *w, struct sconce_error *e)
{
	int r;

	*m = (struct model){ 0 };
	m->path = mem_printf("%s/%s", w->dir, w->file);
	m->device = mem_strdup(w->device);
	r = model_load(m, w, e);
	if (r < 0)
		return r;
	m->signature = m->plugin.table->signature(m->loaded);
	r = model_check_signature(m, e);
	if (!r)
		r = model_read_config(m, w, e);
	for (unsigned i = 0; r >= 0 && i < MAX(w->instances, 1); i++)
		r = model_add_instance(m, e);
	return MIN(r, 0);
}

void model_close(struct model *m)
{
	while (m->n_instances)
		model_drop_instance(m);
	if (m->loaded)
		m->plugin.table->unload(m->loaded);
	if (m->engine)
		m->plugin.table->close(m->engine);
	plugin_close(&m->plugin);
	yyjson_doc_free(m->config);
	free(m->own_inputs);
	free(m->path);
	free(m->device);
	*m = (struct model){ 0 };
}

/* ---- what it says of itself ---- */

static void describe_tensors(struct buf *out, const char *key, const struct sconce_tensor_spec *all,
			     size_t n)
{
	char shape[400];

	buf_printf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		buf_puts(out, i ? ",{" : "{");
		json_put_member(out, "name", all[i].name);
		json_put_member(out, "datatype", dtype_name(all[i].dtype));
		if (all[i].ndim != SCONCE_NDIM_ANY) {
			shape_write(shape, sizeof(shape), all[i].shape, all[i].ndim);
			buf_printf(out, ",\"shape\":%s", shape);
		}
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

void model_describe(const struct model *m, struct buf *out)
{
	const struct sconce_engine *t = m->plugin.table;
	struct sconce_engine_info info;
	uint64_t memory = SCONCE_HAS(t, memory) && t->memory ? t->memory(m->loaded) : 0;

	plugin_info(t, m->engine, &info);
	buf_puts(out, "\"instances\":[");
	for (unsigned i = 0; i < m->n_instances; i++) {
		buf_puts(out, i ? ",{" : "{");
		json_put_member(out, "engine", t->name);
		json_put_member(out, "runtime", info.runtime);
		json_put_member(out, "runtimeVersion", info.version);
		json_put_member(out, "device", m->device);
		if (*m->pictures)
			json_put_member(out, "pictures", m->pictures);
		if (*m->decoder)
			json_put_member(out, "jpegDecoder", m->decoder);
		buf_printf(out, ",\"threads\":%u,\"engineMemory\":%llu}", m->threads,
			   (unsigned long long)memory);
	}
	buf_putc(out, ']');
	describe_tensors(out, "inputs", m->signature->inputs, m->signature->n_inputs);
	describe_tensors(out, "outputs", m->signature->outputs, m->signature->n_outputs);
}
