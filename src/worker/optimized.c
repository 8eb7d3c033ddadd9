/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/optimized.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yyjson.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "base/half.h"
#include "pipeline/npy.h"
#include "pipeline/tensor.h"
#include "worker/body.h"
#include "worker/piped.h"

#define OPTIMIZED_FOLDER "optimized"
#define OPTIMIZED_FORMAT 1
#define OPTIMIZED_FACTS_MAX ((size_t)1 << 20)
#define OPTIMIZED_SAMPLE_MAX ((size_t)1 << 30)
#define OPTIMIZED_MARGIN 2 /* of the tolerance: another processor rounds otherwise */
#define OPTIMIZED_SCALE_MIN 1e-6

struct optimized {
	char *dir;
	yyjson_doc *doc;
	yyjson_val *facts;
	double limit;
};

static int optimized_fail(struct sconce_error *e, const char *why)
{
	snprintf(e->text, sizeof(e->text), "%s", why);
	return -1;
}

/* ---- optimized.json ---- */

static const char *facts_text(const struct optimized *o, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(o->facts, key));

	return text ? text : "";
}

static double facts_number(const struct optimized *o, const char *key)
{
	return yyjson_get_num(yyjson_obj_get(o->facts, key));
}

/* What it says is as much to be trusted as the model that it came with, but for where files are. */
static int facts_check(struct optimized *o, const struct model_wish *w, struct sconce_error *e)
{
	const char *artifact = facts_text(o, "artifact");

	if (yyjson_get_int(yyjson_obj_get(o->facts, "format")) != OPTIMIZED_FORMAT)
		return optimized_fail(e, "it was made by another version of sconce");
	if (!*facts_text(o, "engine"))
		return optimized_fail(e, "it was made for a handler, and no engine runs it");
	/* Bare models may share a folder. */
	if (strcmp(facts_text(o, "model"), w->file) != 0)
		return optimized_fail(e, "it was made of another file than this model");
	if (!*artifact || *artifact == '.' || strchr(artifact, '/'))
		return optimized_fail(e, "optimized.json names no file of its folder");
	if (strncmp(facts_text(o, "device"), w->device, strcspn(w->device, ":")) != 0) {
		snprintf(e->text, sizeof(e->text), "it was made for %.100s, and this worker has %s",
			 facts_text(o, "device"), w->device);
		return -1;
	}
	o->limit = OPTIMIZED_MARGIN *
		   fmax(facts_number(o, "tolerance"), facts_number(o, "difference"));
	return 0;
}

static int facts_read(struct optimized *o, const struct model_wish *w, struct sconce_error *e)
{
	_cleanup_(freep) char *path = mem_printf("%s/optimized.json", o->dir);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OPTIMIZED_FACTS_MAX);
	int r = file_read(path, &text);

	if (r < 0) {
		snprintf(e->text, sizeof(e->text), "optimized.json cannot be read: %s",
			 strerror(-r));
		return -1;
	}
	o->doc = yyjson_read(text.p, text.n, 0);
	o->facts = yyjson_doc_get_root(o->doc);
	if (!yyjson_is_obj(o->facts))
		return optimized_fail(e, "optimized.json is no JSON object");
	return facts_check(o, w, e);
}

/* ---- outputs beside the original's ---- */

static double element(const struct sconce_tensor *t, uint64_t i)
{
	switch (t->dtype) {
	case SCONCE_FP64:
		return ((const double *)t->data)[i];
	case SCONCE_FP32:
		return (double)((const float *)t->data)[i];
	case SCONCE_FP16:
		return (double)half_to_float(((const uint16_t *)t->data)[i]);
	default:
		return (double)bfloat_to_float(((const uint16_t *)t->data)[i]);
	}
}

static bool is_float(uint32_t dtype)
{
	return dtype == SCONCE_FP64 || dtype == SCONCE_FP32 || dtype == SCONCE_FP16 ||
	       dtype == SCONCE_BF16;
}

/* The greatest difference, as a part of the greatest magnitude that is wanted. Both are sound. */
static double difference(const struct sconce_tensor *found, const struct sconce_tensor *wanted)
{
	double scale = OPTIMIZED_SCALE_MIN, worst = 0;
	uint64_t n;

	if (found->dtype != wanted->dtype || found->ndim != wanted->ndim ||
	    memcmp(found->shape, wanted->shape, found->ndim * sizeof(*found->shape)) != 0 ||
	    !tensor_count(wanted, &n))
		return INFINITY;
	if (!is_float(wanted->dtype))
		return found->bytes == wanted->bytes &&
				       (!wanted->bytes ||
					memcmp(found->data, wanted->data, wanted->bytes) == 0)
			       ? 0
			       : INFINITY;
	for (uint64_t i = 0; i < n; i++) {
		double a = element(found, i), b = element(wanted, i);

		if (isfinite(b))
			scale = fmax(scale, fabs(b));
		if (!(fabs(a - b) <= DBL_MIN) && !(isnan(a) && isnan(b)) &&
		    !(isinf(a) && isinf(b) && signbit(a) == signbit(b)))
			worst = isfinite(a) && isfinite(b) ? fmax(worst, fabs(a - b)) : INFINITY;
	}
	return worst / scale;
}

/* ---- the sample ---- */

static int sample_read(const struct optimized *o, const char *kind, size_t i, struct buf *out,
		       struct sconce_error *e)
{
	_cleanup_(freep) char *path = mem_printf("%s/sample-%s-%zu.npy", o->dir, kind, i);
	int r = file_read(path, out);

	if (r < 0)
		snprintf(e->text, sizeof(e->text), "its sample cannot be read: %s", strerror(-r));
	return r;
}

/* All of them by name, as parts of a form: whoever calls the model by the original's names is to be
 * understood. */
static int sample_inputs(const struct optimized *o, const struct model *m, struct buf *files,
			 struct body *b, struct sconce_error *e)
{
	struct body_part parts[BODY_INPUTS_MAX] = { 0 };
	yyjson_val *names = yyjson_obj_get(o->facts, "input_names");
	size_t n = yyjson_arr_size(names);

	if (n != m->signature->n_inputs)
		return optimized_fail(e, "it has other inputs than the original");
	for (size_t i = 0; i < n; i++) {
		if (sample_read(o, "input", i, &files[i], e) < 0)
			return -1;
		parts[i].name = slice_str(yyjson_get_str(yyjson_arr_get(names, i)));
		parts[i].bytes = buf_slice(&files[i]);
	}
	return body_read(b, m->signature, parts, n, e);
}

static int sample_compare(const struct optimized *o, const struct model *m,
			  const struct sconce_tensor *found, size_t i, struct sconce_error *e)
{
	const char *name = m->signature->outputs[i].name;
	const char *called = yyjson_get_str(
		yyjson_arr_get(yyjson_obj_get(o->facts, "output_names"), i));
	_cleanup_(buf_finish) struct buf file = BUF_INIT(OPTIMIZED_SAMPLE_MAX);
	struct sconce_tensor wanted = { 0 };
	_cleanup_(freep) void *aligned = NULL;
	struct slice data;
	double worst;

	if (!called || strcmp(called, name) != 0)
		return optimized_fail(e, "it has other outputs than the original");
	if (sample_read(o, "output", i, &file, e) < 0 ||
	    npy_read(buf_slice(&file), name, &wanted, &data, e) < 0)
		return -1;
	wanted.data = aligned = mem_alloc(data.n + 1);
	memcpy(aligned, data.p, data.n);
	wanted.bytes = data.n;
	if (!tensor_sound(&wanted))
		return optimized_fail(e, "its sample is cut short");
	worst = difference(found, &wanted);
	if (worst <= o->limit)
		return 0;
	snprintf(e->text, sizeof(e->text),
		 "its outputs differ here by %.2g of their range, more than %.2g", worst, o->limit);
	return -1;
}

static int sample_try(const struct optimized *o, struct model *m, struct sconce_error *e)
{
	struct sconce_tensor outputs[BODY_INPUTS_MAX] = { 0 };
	struct buf files[BODY_INPUTS_MAX];
	struct body b = { 0 };
	int r;

	for (size_t i = 0; i < BODY_INPUTS_MAX; i++)
		buf_init(&files[i], OPTIMIZED_SAMPLE_MAX);
	r = sample_inputs(o, m, files, &b, e);
	if (r >= 0)
		r = model_run(m, 0, b.inputs, b.n, outputs, e);
	if (r >= 0) {
		for (size_t i = 0; r >= 0 && i < m->signature->n_outputs; i++)
			r = sample_compare(o, m, &outputs[i], i, e);
		model_release(outputs, m->signature->n_outputs);
	}
	body_finish(&b);
	for (size_t i = 0; i < BODY_INPUTS_MAX; i++)
		buf_finish(&files[i]);
	return MIN(r, 0);
}

/* ---- the whole ---- */

static int optimized_load(struct optimized *o, struct model *m, const struct model_wish *original,
			  struct pipeline *p, struct sconce_error *e)
{
	yyjson_val *config;
	_cleanup_(freep) char *json = NULL, *hint = NULL;
	struct model_wish w = *original;
	int r = facts_read(o, original, e);

	if (r < 0)
		return r;
	config = yyjson_obj_get(o->facts, "config");
	json = yyjson_is_obj(config) ? yyjson_val_write(config, 0, NULL) : NULL;
	w.engine = facts_text(o, "engine");
	w.dir = o->dir;
	w.file = facts_text(o, "artifact");
	w.config = json ? json : "{}";
	w.hint = hint = piped_hint(p, config);
	r = model_open(m, &w, e);
	if (r >= 0)
		r = sample_try(o, m, e);
	return r < 0 || !p ? r : pipeline_bind(p, m->signature, original->dir, e);
}

bool optimized_is_there(const char *dir)
{
	_cleanup_(freep) char *facts = mem_printf("%s/" OPTIMIZED_FOLDER "/optimized.json", dir);
	struct stat st;

	return stat(facts, &st) == 0;
}

void optimized_refuse(const char *why)
{
	char line[SCONCE_ERROR_MAX + 64];

	snprintf(line, sizeof(line), "The optimized model is not used, the original is: %.1023s",
		 why);
	model_log(NULL, 2, line);
}

bool optimized_open(struct model *m, const struct model_wish *original, struct pipeline *p)
{
	struct optimized o = { .dir = mem_printf("%s/" OPTIMIZED_FOLDER, original->dir) };
	struct sconce_error e = { "" };
	char line[512];
	bool used;

	*m = (struct model){ 0 };
	used = optimized_load(&o, m, original, p, &e) >= 0;
	e.text[sizeof(e.text) - 1] = '\0';
	if (used) {
		snprintf(line, sizeof(line), "The optimized model is used: %.200s, %.50s",
			 m->plugin.table->name, facts_text(&o, "precision"));
		model_log(NULL, 1, line);
	} else {
		optimized_refuse(e.text);
		model_close(m);
	}
	yyjson_doc_free(o.doc);
	free(o.dir);
	return used;
}
