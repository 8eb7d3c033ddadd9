/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/piped.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "pipeline/tensor.h"
#include "wire/json.h"

#define PIPED_PATH_MAX 1024
#define PIPED_HINT_MAX 1024

/* Of one request; dies with its frame. */
struct piped {
	struct pipeline_run *run;
	struct pipeline_request request;
	struct pipeline_part parts[];
};

/* ---- loading ---- */

int piped_parse(yyjson_val *v, struct pipeline **ret, struct sconce_error *e)
{
	yyjson_val *steps = yyjson_is_arr(v) ? v : yyjson_obj_get(v, "steps");
	const char *handler = yyjson_get_str(yyjson_is_str(v) ? v : yyjson_obj_get(v, "handler"));
	struct sconce_error why = { "" };
	int r;

	*ret = NULL;
	if (!v || yyjson_is_null(v))
		return 0;
	if (handler)
		return pipeline_of_handler(handler, ret, e);
	r = pipeline_parse(steps, ret, &why);
	if (r < 0)
		snprintf(e->text, sizeof(e->text), "model-config.yaml: pipeline: %.900s", why.text);
	else if (!pipeline_has_infer(*ret)) {
		snprintf(e->text, sizeof(e->text),
			 "model-config.yaml: pipeline: none of its steps is infer, the model");
		*ret = pipeline_free(*ret);
		return -1;
	}
	return r;
}

/* A package beside the interpreter. */
static bool python_has(const char *python, const char *package)
{
	static const char *const places[] = { "lib/python3*/site-packages",
					      "lib64/python3*/site-packages",
					      "lib/python3*/dist-packages",
					      "local/lib/python3*/dist-packages" };
	const char *slash = strrchr(python, '/');
	char pattern[PIPED_PATH_MAX];
	bool has = false;

	for (size_t i = 0; slash && i < ARRAY_LEN(places) && !has; i++) {
		glob_t found = { 0 };
		int n = snprintf(pattern, sizeof(pattern), "%.*s/../%s/%s/__init__.py",
				 (int)(slash - python), python, places[i], package);

		has = n < (int)sizeof(pattern) && glob(pattern, 0, NULL, &found) == 0;
		globfree(&found);
	}
	return has;
}

int piped_check(const struct pipeline *p, const char *python, struct sconce_error *e)
{
	if (!p || !pipeline_is_handler(p) || !python_has(python, "captum"))
		return 0;
	snprintf(
		e->text, sizeof(e->text),
		"captum is installed beside %.200s, so the handler explains its predictions, which "
		"only Python can",
		python);
	return -1;
}

char *piped_hint(const struct pipeline *p, yyjson_val *config)
{
	struct sconce_tensor_spec spec;
	char shape[400];
	yyjson_mut_doc *doc;
	yyjson_doc *inputs;
	struct buf text;
	char *json;

	if (!p || yyjson_obj_get(config, "inputs") || !pipeline_input(p, &spec))
		return NULL;
	shape_write(shape, sizeof(shape), spec.shape, spec.ndim);
	text = BUF_INIT(PIPED_HINT_MAX);
	buf_printf(&text, "[{\"datatype\": \"%s\", \"shape\": %s, \"hint\": %s}]",
		   dtype_name(spec.dtype), shape, pipeline_takes_lists(p) ? "true" : "false");
	inputs = yyjson_read(text.p, text.n, 0);
	doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_doc_set_root(doc,
				config ? yyjson_val_mut_copy(doc, config) : yyjson_mut_obj(doc));
	yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "inputs",
			       yyjson_val_mut_copy(doc, yyjson_doc_get_root(inputs)));
	json = yyjson_mut_write(doc, 0, NULL);
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(inputs);
	buf_finish(&text);
	return json;
}

void piped_choose_decoder(const struct pipeline *p, struct image_gpu *gpu, const char *why,
			  char *ret, size_t room)
{
	struct image_error e;

	*ret = '\0';
	if (!pipeline_decodes_on_gpu(p))
		return;
	if (gpu && image_gpu_add_decoder(gpu, &e) == 0) {
		snprintf(ret, room, "GPU: %s", image_gpu_decoder(gpu));
		return;
	}
	snprintf(ret, room, "CPU: %.180s", gpu ? e.text : why);
}

/* *ret: the GPU, or NULL and the reason. */
static struct image_gpu *gpu_for(struct session *s, const char *device, struct image_error *why)
{
	struct sconce_place place = { SCONCE_MEMORY_CUDA, 0 };
	struct image_gpu *gpu = NULL;

	if (image_gpu_open(device, &gpu, why) < 0)
		return NULL;
	place.device = image_gpu_device(gpu);
	if (model_takes(&s->model, &place))
		return gpu;
	image_gpu_close(gpu);
	image_fail(why, IMAGE_BAD, "the engine takes no tensors that lie in a GPU's memory");
	return NULL;
}

static void say(const char *what, const char *who)
{
	char line[320];

	snprintf(line, sizeof(line), "%s by the %s", what, who);
	if (*who)
		model_log(NULL, 1, line);
}

void piped_choose_gpu(struct session *s, const char *device)
{
	char *says = s->model.pictures, *decoder = s->model.decoder;
	bool on_gpu = strncmp(device, "cuda", strlen("cuda")) == 0;
	struct image_error why = { "the model does not run on a GPU" };

	if (on_gpu && !pipeline_has_picture(s->pipeline)) {
		on_gpu = false;
		image_fail(&why, IMAGE_BAD, "no tensor of a picture goes to the model as it is");
	} else if (on_gpu) {
		s->gpu = gpu_for(s, device, &why);
	}
	if (s->gpu)
		snprintf(says, sizeof(s->model.pictures), "GPU: %.150s", image_gpu_name(s->gpu));
	else if (on_gpu)
		snprintf(says, sizeof(s->model.pictures), "CPU: %.180s", why.text);
	piped_choose_decoder(s->pipeline, s->gpu, why.text, decoder, sizeof(s->model.decoder));
	say("Steps on pictures are done", says);
	say("JPEG files are decoded", decoder);
}

/* ---- requests ---- */

static void piped_step(void *arg, const char *op, uint64_t begin_ns, uint64_t end_ns)
{
	spent_add(arg, op, begin_ns, end_ns);
}

static struct piped *piped_new(const struct session *s, struct session_request *r,
			       struct spent *spent)
{
	size_t n = r->entry.n_parts;
	struct piped *p = mem_zalloc(sizeof(*p) + n * sizeof(*p->parts));

	for (size_t i = 0; i < n; i++)
		p->parts[i] = (struct pipeline_part){ r->parts[i].name, r->parts[i].type,
						      r->parts[i].bytes };
	p->request = (struct pipeline_request){ .parts = p->parts,
						.n = n,
						.decode = s->decode,
						.limited = s->limit_pixels,
						.decoder = &s->pillow.decoder,
						.gpu = s->gpu };
	if (spent && spent->wanted) {
		p->request.step = piped_step;
		p->request.arg = spent;
	}
	return p;
}

/* The host checks what an engine gets; what torch would stack as it is, it gets as it is. */
static int piped_fit(struct body *b, struct sconce_error *e)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct sconce_tensor_spec *spec = &b->signature->inputs[i];
		bool added;
		int r;

		if (spec->ndim != SCONCE_NDIM_ANY && spec->ndim != b->inputs[i].ndim)
			return tensor_refuse(e, "input \"%s\" must have %u dimensions, but has %u",
					     spec->name, spec->ndim, b->inputs[i].ndim);
		r = tensor_fit(&b->inputs[i], spec, &added, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int piped_read(const struct session *s, struct session_request *r, struct body *b,
	       struct spent *spent, struct sconce_error *e)
{
	int code;

	r->piped = piped_new(s, r, spent);
	code = pipeline_before(s->pipeline, &r->piped->request, &r->piped->run, e);
	if (code < 0)
		return code;
	b->signature = s->model.signature;
	b->n = b->signature->n_inputs;
	b->inputs = mem_zalloc(MAX(b->n, 1) * sizeof(*b->inputs));
	pipeline_inputs(r->piped->run, b->inputs);
	for (size_t i = 0; i < b->n; i++)
		b->inputs[i].owner = NULL; /* the run's */
	b->gpu = s->gpu;
	b->away = pipeline_inputs_away(r->piped->run);
	return piped_fit(b, e);
}

int piped_write(struct session_request *r, const struct sconce_tensor *outputs, struct answer *a,
		struct sconce_error *e)
{
	struct pipeline_answer made = { .body = a->body };
	int code = pipeline_after(r->piped->run, outputs, &made, e);

	a->body = made.body;
	a->type = made.type;
	return code;
}

void piped_end(struct session_request *r)
{
	if (!r->piped)
		return;
	pipeline_end(r->piped->run);
	free(r->piped);
	r->piped = NULL;
}

/* ---- metrics ---- */

void piped_tell_time(struct session *s, const struct session_request *requests, unsigned n,
		     uint64_t took_ns)
{
	struct buf json = BUF_INIT(FRAME_ROOM);
	bool first = true;
	struct frame_writer fw;
	char *packet;

	buf_printf(&json,
		   "[{\"name\":\"HandlerTime\",\"unit\":\"Milliseconds\",\"type\":\"gauge\","
		   "\"value\":%.2f,\"dimensions\":[[\"ModelName\",",
		   (double)took_ns / NS_PER_MS);
	json_put_string(&json, slice_str(s->model_name));
	buf_puts(&json, "],[\"Level\",\"Model\"]],\"request_ids\":\"");
	for (unsigned i = 0; i < n; i++)
		if (requests[i].answered) {
			buf_printf(&json, "%s%.*s", first ? "" : ",", FRAME_UUID,
				   requests[i].entry.uuid);
			first = false;
		}
	buf_puts(&json, "\"}]");
	packet = mem_alloc(FRAME_MAX);
	if (!first && !buf_overflowed(&json)) {
		frame_begin(&fw, packet, FRAME_MAX, FRAME_METRIC, 0);
		frame_put_bytes(&fw, buf_slice(&json));
		session_send(s, frame_end(&fw));
	}
	free(packet);
	buf_finish(&json);
}
