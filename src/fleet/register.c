/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/register.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "fleet/depends.h"
#include "fleet/fetch.h"
#include "fleet/parameters.h"
#include "fleet/sources.h"
#include "fleet/unpack.h"
#include "log/log.h"

#define REGISTER_UNDO_MS 5000

struct registering {
	struct list link; /* in the fleet's `registering`, while its packages are installed */
	struct fleet *fleet;
	char *url, *model_name, *handler, *runtime;
	struct registration wish; /* its slices are not used: see the copies above and below */
	struct model_parameters restored;
	void (*done)(void *arg, const struct outcome *o);
	void *arg;
	char *version_model, *version_name; /* of the version, once there is one */
	uint64_t order;
	char *downloaded;        /* the archive that was fetched for it */
	struct version *version; /* made, but not in the store yet */
};

static void registering_free(struct registering *g)
{
	list_remove(&g->link);
	version_destroy(g->version);
	if (g->downloaded)
		unlink(g->downloaded);
	free(g->downloaded);
	free(g->url);
	free(g->model_name);
	free(g->handler);
	free(g->runtime);
	free(g->version_model);
	free(g->version_name);
	free(g);
}

static void registering_report(struct registering *g, int status, const char *type,
			       const char *message)
{
	if (g->done)
		g->done(g->arg, &(struct outcome){ status, type, message });
	g->done = NULL;
}

static void registering_fail(struct registering *g, int status, const char *type, const char *fmt,
			     ...) _printf_(4, 5);

static void registering_fail(struct registering *g, int status, const char *type, const char *fmt,
			     ...)
{
	va_list ap;
	char text[4096];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("Registering %s failed: %s", g->url, text);
	registering_report(g, status, type, text);
	registering_free(g);
}

/* ---- the version is there: its workers ---- */

static void registering_scaled(void *arg, const struct version_outcome *o)
{
	struct registering *g = arg;
	struct model *m = store_model(&g->fleet->store, slice_str(g->version_model));
	struct version *v = m ? model_version(m, slice_str(g->version_name)) : NULL;

	if (v && v->order != g->order)
		v = NULL; /* another of the same name, registered since */
	if (o->result == VERSION_SCALED) {
		char text[512];

		snprintf(text, sizeof(text),
			 "Model \"%s\" Version: %s registered with %u initial workers",
			 g->version_model, g->version_name, v ? v->min_workers : 0);
		registering_report(g, 200, NULL, text);
		registering_free(g);
		return;
	}
	if (o->result == VERSION_UNREGISTERED) {
		registering_fail(g, o->code,
				 o->code == 503 ? "ServiceUnavailableException"
						: "InternalServerException",
				 "Failed to start workers for model %s version: %s: %s",
				 g->version_model, g->version_name, o->message);
		return;
	}
	log_error("Workers of model %s version %s failed to start: %s", g->version_model,
		  g->version_name, o->message);
	/* A registration that failed leaves nothing behind; a model of the start-up list stays and
	 * is tried again. */
	if (v && !g->wish.at_startup)
		version_retire(v, REGISTER_UNDO_MS, NULL, NULL);
	registering_fail(g, o->code == 507 ? 507 : 500, "InternalServerException",
			 "Failed to start workers for model %s version: %s", g->version_model,
			 g->version_name);
}

/* Of a model that says nothing itself. */
static unsigned registering_default_workers(const struct registering *g)
{
	const struct fleet *f = g->fleet;
	uint64_t configured = f->settings->default_workers_per_model;

	if (g->wish.initial_workers >= 0)
		return (unsigned)g->wish.initial_workers;
	if (configured || !g->wish.at_startup)
		return (unsigned)configured;
	return f->gpus.n ? f->gpus.n : f->cpus;
}

static void registering_workers(struct registering *g, struct version *v)
{
	const struct manifest *m = &v->manifest;
	bool said = m->min_workers >= 0 && m->max_workers >= m->min_workers;
	unsigned min = said ? (unsigned)m->min_workers : registering_default_workers(g);
	unsigned max = said ? (unsigned)m->max_workers : min;
	char text[512];

	if (min == 0) {
		v->state = VERSION_READY;
		v->max_workers = max;
		fleet_changed(g->fleet);
		snprintf(text, sizeof(text),
			 "Model \"%s\" Version: %s registered with 0 initial workers. Use scale "
			 "workers "
			 "API to add workers for the model.",
			 v->model_name, v->name);
		registering_report(g, 200, NULL, text);
		registering_free(g);
		return;
	}
	if (!g->wish.synchronous)
		registering_report(g, 202, NULL, "Processing worker updates...");
	version_scale(v, min, max, registering_scaled, g);
}

/* ---- the archive is there ---- */

static bool handler_imports_torch(const struct version *v)
{
	static const char *const defaults[] = { "image_classifier", "object_detector",
						"image_segmenter", "text_classifier",
						"base_handler" };
	struct slice handler = slice_str(v->handler), file = slice_cut(&handler, ':');
	struct buf text = BUF_INIT((size_t)1 << 20);
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		if (slice_eq(file, slice_str(defaults[i])))
			return true;
	for (int suffix = 0; suffix < 2 && !found; suffix++) {
		_cleanup_(freep) char *path = mem_printf("%s/%.*s%s", v->dir, SLICE_ARG(file),
							 suffix ? ".py" : "");

		buf_clear(&text);
		if (file_read(path, &text) == 0 && text.n)
			found = memmem(text.p, text.n, "import torch", 12) ||
				memmem(text.p, text.n, "from torch", 10) ||
				memmem(text.p, text.n, "ts.torch_handler", 16);
	}
	buf_finish(&text);
	return found;
}

static enum batch_mode registering_batch_mode(const struct registering *g, const struct version *v)
{
	struct slice mode = v->manifest.batch_mode;

	if (!mode.n)
		mode = slice_str(g->fleet->settings->batch_mode);
	return slice_eq(mode, SLICE("fixed")) ? BATCH_FIXED : BATCH_ADAPTIVE;
}

static void registering_apply(struct registering *g, struct version *v, const struct unpacked *u)
{
	const struct registration *w = &g->wish;
	const struct settings *s = g->fleet->settings;

	v->order = g->order;
	v->url = mem_strdup(g->url);
	v->downloaded = TAKE(g->downloaded);
	v->dir = mem_strdup(u->dir);
	v->own_dir = u->own_dir;
	v->loaded_at_startup = w->at_startup;
	if (!*v->handler && s->default_service_handler) {
		free(v->handler);
		v->handler = mem_strdup(s->default_service_handler);
	}
	if (g->handler) {
		free(v->handler);
		v->handler = mem_strdup(g->handler);
	}
	if (g->runtime) {
		free(v->runtime);
		v->runtime = mem_strdup(g->runtime);
	}
	if (w->batch_size > 0)
		v->batch_size = (unsigned)w->batch_size;
	if (w->max_batch_delay_ms >= 0)
		v->max_batch_delay_ms = (uint64_t)w->max_batch_delay_ms;
	if (w->response_timeout_s >= 0 && v->manifest.response_timeout_s < 0)
		v->response_timeout_s = (uint64_t)w->response_timeout_s;
	if (w->startup_timeout_s >= 0 && v->manifest.startup_timeout_s < 0)
		v->startup_timeout_s = (uint64_t)w->startup_timeout_s;
	/* With continuous batching the worker makes the batches. */
	v->policy = (struct batch_policy){ .mode = registering_batch_mode(g, v),
					   .batch_size = v->manifest.continuous_batching
								 ? 1
								 : v->batch_size,
					   .max_delay_ns = v->max_batch_delay_ms * 1000000 };
	v->wants_torch = handler_imports_torch(v);
}

static bool registering_exists(struct registering *g, struct slice name, struct slice version)
{
	struct model *m = store_model(&g->fleet->store, name);

	list_for_each (n, &g->fleet->registering) {
		const struct version *v = container_of(n, struct registering, link)->version;

		if (slice_eq(slice_str(v->model_name), name) &&
		    slice_eq(slice_str(v->name), version))
			return true;
	}
	return m && model_version(m, version);
}

static void registering_add(struct registering *g, struct version *v)
{
	store_add(&g->fleet->store, v, slice_str(v->model_name));
	if (g->wish.make_default)
		model_set_default(v->model, v);
	g->version_model = mem_strdup(v->model_name);
	g->version_name = mem_strdup(v->name);
	log_info("Model %s version %s is registered from %s", v->model_name, v->name, g->url);
	registering_workers(g, v);
}

static void registering_installed(void *arg, const char *failed)
{
	struct registering *g = arg;
	bool stopped = g->fleet->stopping;

	list_remove(&g->link);
	if (failed)
		registering_fail(g, stopped ? 503 : 400,
				 stopped ? "ServiceUnavailableException" : "ModelException", "%s",
				 failed);
	else
		registering_add(g, TAKE(g->version));
}

/* A snapshot goes before the archive, the archive before the setting `models`; what the request
 * says is not taken from there. */
static void registering_prefer(struct registering *g, struct manifest *m)
{
	const struct model_entry *e = model_list_find(&g->fleet->models, m->model_name,
						      m->model_version);
	struct registration *w = &g->wish;
	struct model_parameters p;

	if (w->restore) {
		parameters_replace(m, &g->restored);
		return;
	}
	if (!e)
		return;
	p = e->parameters;
	if (w->initial_workers >= 0)
		p.min_workers = -1;
	if (w->response_timeout_s >= 0)
		p.response_timeout_s = -1;
	if (w->startup_timeout_s >= 0)
		p.startup_timeout_s = -1;
	parameters_complete(m, &p);
	if (!g->runtime && e->runtime.n)
		g->runtime = slice_dup(e->runtime);
	w->make_default |= e->is_default && w->at_startup;
}

static void registering_unpacked(void *arg, struct unpacked *u)
{
	struct registering *g = arg;
	struct version *v;

	if (u->status) {
		registering_fail(g, u->status, u->type ? u->type : "InternalServerException", "%s",
				 u->message ? u->message : "The archive could not be unpacked");
		return;
	}
	if (g->model_name)
		u->manifest.model_name = region_copy(u->region, slice_str(g->model_name));
	if (registering_exists(g, u->manifest.model_name, u->manifest.model_version)) {
		char text[512];

		snprintf(text, sizeof(text),
			 "Model version %.*s is already registered for model %.*s",
			 SLICE_ARG(u->manifest.model_version), SLICE_ARG(u->manifest.model_name));
		u->status = 409; /* so that the folder goes */
		registering_fail(g, 409, "ConflictStatusException", "%s", text);
		return;
	}
	registering_prefer(g, &u->manifest);
	v = version_create(g->fleet, u->region, &u->manifest);
	registering_apply(g, v, u);
	if (!depends_wanted(v)) {
		registering_add(g, v);
		return;
	}
	g->version = v;
	list_push_back(&g->fleet->registering, &g->link);
	depends_install(v, registering_installed, g);
}

/* ---- the archive is somewhere else ---- */

static void registering_unpack(struct registering *g, const char *path)
{
	unpack_start(g->fleet, path, slice_str(g->model_name), registering_unpacked, g);
}

static void registering_fetched(void *arg, const struct fetched *o)
{
	struct registering *g = arg;

	if (o->status) {
		free(TAKE(g->downloaded)); /* it is not ours */
		registering_fail(g, o->status, o->type ? o->type : "InternalServerException", "%s",
				 o->message ? o->message : "The archive could not be downloaded");
		return;
	}
	log_info("Downloaded %s", g->url);
	registering_unpack(g, g->downloaded);
}

static void registering_fetch(struct registering *g, struct source *s)
{
	g->downloaded = TAKE(s->download);
	fetch_start(g->fleet, g->url, g->downloaded, g->wish.s3_sse_kms, registering_fetched, g);
}

void fleet_register(struct fleet *f, const struct registration *r,
		    void (*done)(void *arg, const struct outcome *o), void *arg)
{
	struct registering *g = mem_new(struct registering);
	struct source source;

	list_init(&g->link);
	g->fleet = f;
	g->order = ++f->next_registration;
	g->url = slice_dup(r->url);
	g->model_name = r->model_name.n ? slice_dup(r->model_name) : NULL;
	g->handler = r->handler.n ? slice_dup(r->handler) : NULL;
	g->runtime = r->runtime.p ? slice_dup(r->runtime) : NULL;
	g->wish = *r;
	if (r->restore)
		g->restored = *r->restore;
	g->done = done;
	g->arg = arg;
	if (g->runtime && strcmp(g->runtime, "python") != 0 && strcmp(g->runtime, "python3") != 0 &&
	    strcmp(g->runtime, "LSP") != 0) {
		registering_fail(g, 400, "BadRequestException", "Invalid RuntimeType value: %s",
				 g->runtime);
		return;
	}
	source_resolve(f->settings, g->url, &source);
	if (source.download)
		registering_fetch(g, &source);
	else if (source.path)
		registering_unpack(g, source.path);
	else
		registering_fail(g, source.status, source.type, "%s", source.message);
	source_finish(&source);
}
