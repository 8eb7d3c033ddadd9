/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "measure.h"
#include "tensor_file.h"

struct report {
	yyjson_mut_doc *doc;
	yyjson_mut_val *root, *log;
	pthread_mutex_t lock; /* of the log, which has a document of its own until the end */
	pthread_cond_t more;
	yyjson_mut_doc *log_doc;
};

struct report *report_create(void)
{
	struct report *r = calloc(1, sizeof(*r));

	r->doc = yyjson_mut_doc_new(NULL);
	r->root = yyjson_mut_obj(r->doc);
	yyjson_mut_doc_set_root(r->doc, r->root);
	r->log_doc = yyjson_mut_doc_new(NULL);
	r->log = yyjson_mut_arr(r->log_doc);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->more, NULL);
	return r;
}

yyjson_mut_doc *report_document(struct report *r)
{
	return r->doc;
}

yyjson_mut_val *report_root(struct report *r)
{
	return r->root;
}

/* ---- the log ---- */

void report_log(struct report *r, int level, const char *line)
{
	pthread_mutex_lock(&r->lock);
	yyjson_mut_val *entry = yyjson_mut_arr_add_arr(r->log_doc, r->log);
	yyjson_mut_arr_add_int(r->log_doc, entry, level);
	yyjson_mut_arr_add_strcpy(r->log_doc, entry, line);
	pthread_cond_broadcast(&r->more);
	pthread_mutex_unlock(&r->lock);
}

size_t report_await_log(struct report *r, size_t have, unsigned seconds)
{
	struct timespec until;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&r->lock);
	while ((n = yyjson_mut_arr_size(r->log)) <= have && seconds)
		if (pthread_cond_timedwait(&r->more, &r->lock, &until))
			break;
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* ---- what was loaded ---- */

static void add_text(struct report *r, yyjson_mut_val *to, const char *key, const char *text)
{
	if (text)
		yyjson_mut_obj_add_strcpy(r->doc, to, key, text);
	else
		yyjson_mut_obj_add_null(r->doc, to, key);
}

void report_info(struct report *r, const struct sconce_engine *e,
		 const struct sconce_engine_info *info)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(r->doc, r->root, "info");

	add_text(r, o, "name", e->name);
	add_text(r, o, "suffixes", e->suffixes);
	add_text(r, o, "runtime", info->runtime);
	add_text(r, o, "version", info->version);
	add_text(r, o, "path", info->path);
	add_text(r, o, "devices", info->devices);
	add_text(r, o, "features", info->features);
}

static void add_specs(struct report *r, yyjson_mut_val *to, const char *key,
		      const struct sconce_tensor_spec *specs, size_t n)
{
	yyjson_mut_val *list = yyjson_mut_obj_add_arr(r->doc, to, key);

	for (size_t i = 0; i < n; i++) {
		yyjson_mut_val *o = yyjson_mut_arr_add_obj(r->doc, list);

		add_text(r, o, "name", specs[i].name);
		add_text(r, o, "dtype", dtype_name(specs[i].dtype));
		if (specs[i].ndim == SCONCE_NDIM_ANY) {
			yyjson_mut_obj_add_null(r->doc, o, "shape");
			continue;
		}
		yyjson_mut_val *shape = yyjson_mut_obj_add_arr(r->doc, o, "shape");
		for (uint32_t d = 0; d < specs[i].ndim; d++)
			yyjson_mut_arr_add_sint(r->doc, shape, specs[i].shape[d]);
	}
}

void report_signature(struct report *r, const struct sconce_signature *s)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(r->doc, r->root, "signature");

	add_specs(r, o, "inputs", s->inputs, s->n_inputs);
	add_specs(r, o, "outputs", s->outputs, s->n_outputs);
	yyjson_mut_obj_add_bool(r->doc, o, "batches", s->batches);
}

/* ---- what came of it ---- */

yyjson_mut_val *report_tensor(struct report *r, const struct sconce_tensor *t, const char *file,
			      int lent)
{
	yyjson_mut_val *o = yyjson_mut_obj(r->doc);
	yyjson_mut_val *shape;

	add_text(r, o, "file", file);
	add_text(r, o, "dtype", dtype_name(t->dtype));
	yyjson_mut_obj_add_uint(r->doc, o, "bytes", t->bytes);
	yyjson_mut_obj_add_bool(r->doc, o, "lent", lent);
	shape = yyjson_mut_obj_add_arr(r->doc, o, "shape");
	for (uint32_t d = 0; d < t->ndim; d++)
		yyjson_mut_arr_add_sint(r->doc, shape, t->shape[d]);
	return o;
}

void report_process(struct report *r, const char *member)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(r->doc, r->root, member);

	yyjson_mut_obj_add_sint(r->doc, o, "pss_kib", pss_kib());
	yyjson_mut_obj_add_sint(r->doc, o, "anonymous_kib", anonymous_kib());
	yyjson_mut_obj_add_sint(r->doc, o, "threads", thread_count());
}

void report_finish(struct report *r)
{
	yyjson_mut_val *log = yyjson_mut_val_mut_copy(r->doc, r->log);

	yyjson_mut_obj_add_val(r->doc, r->root, "log", log);
	yyjson_mut_write_fp(stdout, r->doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL, NULL);
	putchar('\n');
	yyjson_mut_doc_free(r->log_doc);
	yyjson_mut_doc_free(r->doc);
	pthread_cond_destroy(&r->more);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
