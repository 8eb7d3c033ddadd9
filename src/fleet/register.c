/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/registering.h"

/*
 * A registration on its way. Everything that may take time (names looked up in the file system,
 * children that download, unpack and install, source that is read, workers that load) is waited for
 * by the loop, never done by it:
 *
 *     look up → download → unpack → examine → install → in the store → workers → recorded → told
 *
 * It is in the fleet's list `registering` from its first step until who asked was told.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "archive/allowed.h"
#include "archive/bare.h"
#include "archive/manifest.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fleet/depends.h"
#include "fleet/fetch.h"
#include "fleet/handler.h"
#include "fleet/native.h"
#include "fleet/parameters.h"
#include "fleet/removal.h"
#include "fleet/share.h"
#include "fleet/unpack.h"
#include "log/log.h"
#include "loop/work.h"

#define REGISTER_UNDO_MS 5000
#define REGISTERING_MAX 256 /* at once: the last of more would wait for ever */

static void registering_free(struct registering *g)
{
	struct fleet *f = g->fleet;

	assert(!g->version && !g->job && !g->downloaded);
	if (list_linked(&g->link)) {
		list_remove(&g->link);
		f->n_registering--;
	}
	source_finish(&g->source);
	free(g->url);
	free(g->name);
	free(g->model_name);
	free(g->handler);
	free(g->wrong);
	free(g->runtime);
	free(g->suffix);
	free(g->version_model);
	free(g->version_name);
	free(g->type);
	free(g->text);
	free(g->cause);
	free(g);
	fleet_maybe_stopped(f);
}

/* ---- the end ---- */

static void registering_known(struct registering *g)
{
	g->step = STEP_KNOWN;
	if (g->wish.known)
		g->wish.known(g->wish.known_arg, g->type ? g->text : NULL);
	g->wish.known = NULL;
}

static void registering_tell(void *arg)
{
	struct registering *g = arg;

	if (g->done)
		g->done(g->arg, &(struct outcome){ g->status, g->type, g->text });
	registering_free(g);
}

/* Tells who asked, once what is said is so: what failed has left nothing that would be in the way
 * of the next try, and what succeeded is there after a crash, too. */
static void registering_finish(struct registering *g, int status, const char *type, const char *fmt,
			       ...) _printf_(4, 5);

static void registering_finish(struct registering *g, int status, const char *type, const char *fmt,
			       ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert(!g->text);
	g->status = status;
	g->type = type ? mem_strdup(type) : NULL;
	g->text = mem_strdup(text);
	registering_known(g);
	if (!type) {
		fleet_recorded(g->fleet, registering_tell, g);
		return;
	}
	/* Those of the start are told of where they are begun. */
	if (!g->wish.at_startup)
		log_warn("Registering %s failed: %s", g->url, text);
	if (!g->version && !g->downloaded) {
		registering_tell(g);
		return;
	}
	if (g->version)
		g->downloaded = TAKE(g->version->downloaded);
	g->version = version_destroy(g->version);
	removal_add(&g->fleet->removals, TAKE(g->downloaded), registering_tell, g);
}

static bool registering_may_go_on(const struct registering *g)
{
	return g->wish.at_startup ? !g->fleet->stopping : !g->fleet->draining;
}

/* False: it is over, because the server stops, or was given up. */
static bool registering_goes_on(struct registering *g)
{
	unsigned long long limit_s = g->fleet->settings->unpack_stall_timeout;

	if (g->given_up) {
		registering_finish(g, 500, "InternalServerException", REGISTERING_STUCK, limit_s);
		return false;
	}
	if (registering_may_go_on(g))
		return true;
	registering_finish(g, 503, "ServiceUnavailableException", "The server is stopping");
	return false;
}

static void registering_look(struct registering *g, work_fn *run, work_fn *done)
{
	g->work_ns = clock_now_ns();
	lane_add(&g->fleet->lookups, &g->work, run, done);
}

/* ---- the version is there: its workers ---- */

static struct version *registering_find(const struct registering *g)
{
	struct model *m = store_model(&g->fleet->store, slice_str(g->version_model));
	struct version *v = m ? model_version(m, slice_str(g->version_name)) : NULL;

	/* There may be another of the same name, registered since. */
	return v && v->order == g->order ? v : NULL;
}

static void registering_failed(struct registering *g)
{
	registering_finish(g, g->status, "InternalServerException",
			   "Failed to start workers for model %s version: %s. %s", g->version_model,
			   g->version_name, g->cause);
}

static void registering_undone(void *arg, bool in_time)
{
	(void)in_time;
	registering_failed(arg);
}

static void registering_scaled(void *arg, const struct version_outcome *o)
{
	struct registering *g = arg;
	struct version *v = registering_find(g);

	if (o->result == VERSION_SCALED) {
		registering_finish(g, 200, NULL,
				   "Model \"%s\" Version: %s registered with %u initial workers",
				   g->version_model, g->version_name, v ? v->min_workers : 0);
		return;
	}
	if (o->result == VERSION_UNREGISTERED) {
		/* Nor is it there at the next start. What it has accepted it answers. */
		if (v && !registering_may_go_on(g))
			version_retire(v, g->fleet->settings->drain_timeout * 1000, NULL, NULL);
		registering_finish(g, o->code,
				   o->code == 503 ? "ServiceUnavailableException"
						  : "InternalServerException",
				   "Failed to start workers for model %s version: %s: %s",
				   g->version_model, g->version_name, o->message);
		return;
	}
	/* A registration that failed leaves nothing behind; a model of the start-up list stays and
	 * is tried again. */
	g->status = o->code == 507 ? 507 : 500;
	g->cause = mem_strdup(o->message);
	if (v && !g->wish.at_startup)
		version_retire(v, REGISTER_UNDO_MS, registering_undone, g);
	else
		registering_failed(g);
}

unsigned registering_default_workers(const struct registering *g, const struct version *v)
{
	const struct fleet *f = g->fleet;
	uint64_t configured = f->settings->default_workers_per_model;

	if (g->wish.initial_workers >= 0)
		return (unsigned)g->wish.initial_workers;
	if (configured || !g->wish.at_startup)
		return (unsigned)MIN(configured, VERSION_WORKERS_MAX);
	return share_workers(f, v);
}

static void registering_workers(struct registering *g, struct version *v)
{
	const struct manifest *m = &v->manifest;
	bool said = !g->fleet->settings->dev && m->min_workers >= 0 &&
		    m->max_workers >= m->min_workers;
	unsigned min = said ? (unsigned)m->min_workers : registering_default_workers(g, v);
	unsigned max = said ? (unsigned)m->max_workers : min;

	if (min == 0) {
		v->state = VERSION_READY;
		v->max_workers = max;
		fleet_changed(g->fleet);
		registering_finish(
			g, 200, NULL,
			"Model \"%s\" Version: %s registered with 0 initial workers. Use "
			"scale workers API to add workers for the model.",
			v->model_name, v->name);
	} else if (g->wish.synchronous) {
		version_scale(v, min, max, registering_scaled, g);
	} else {
		/* Nobody waits for them: workers that cannot load are tried again, as those of the
		 * start are. */
		version_scale(v, min, max, NULL, NULL);
		registering_finish(g, 202, NULL, "Processing worker updates...");
	}
}

/* What model-config.yaml says in vain. */
static void registering_doubts(const struct version *v)
{
	struct slice rest = v->manifest.doubts;

	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n');

		log_warn("Model %s version %s: %.*s", v->model_name, v->name, SLICE_ARG(line));
	}
}

static void registering_add(struct registering *g)
{
	struct version *v = TAKE(g->version);

	store_add(&g->fleet->store, v, slice_str(v->model_name));
	if (g->wish.make_default)
		model_set_default(v->model, v);
	log_info("Model %s version %s is registered from %s", v->model_name, v->name, g->url);
	registering_doubts(v);
	registering_known(g);
	registering_workers(g, v);
}

/* ---- the archive is there ---- */

static void registering_installed(void *arg, const char *failed)
{
	struct registering *g = arg;

	if (!registering_goes_on(g))
		return;
	if (failed)
		registering_finish(g, 400, "ModelException", "%s", failed);
	else
		registering_add(g);
}

static void registering_examine(struct work *w)
{
	struct registering *g = container_of(w, struct registering, work);
	struct version *v = g->version;

	v->wants_torch = handler_imports_torch(v->dir, v->handler);
	g->wrong = native_choose(v, g->fleet->settings);
}

static void registering_examined(struct work *w)
{
	struct registering *g = container_of(w, struct registering, work);

	g->work_ns = 0;
	if (!registering_goes_on(g))
		return;
	if (g->wrong) {
		registering_finish(g, 400, "InvalidModelException", "%s", g->wrong);
		return;
	}
	if (!depends_wanted(g->version)) {
		registering_add(g);
		return;
	}
	g->step = STEP_INSTALL;
	depends_install(g->version, registering_installed, g);
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
	v->native = slice_eq(slice_str(v->runtime), BARE_RUNTIME);
	if (w->batch_size > 0)
		v->batch_size = (unsigned)w->batch_size;
	if (w->max_batch_delay_ms >= 0)
		v->max_batch_delay_ms = (uint64_t)w->max_batch_delay_ms;
	if (w->latency_goal_ms >= 0)
		v->latency_goal_ms = (uint64_t)MIN(w->latency_goal_ms, INT32_MAX);
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
}

static bool registering_exists(struct registering *g, struct slice name, struct slice version)
{
	struct model *m = store_model(&g->fleet->store, name);

	list_for_each (n, &g->fleet->registering) {
		const struct version *v = container_of(n, struct registering, link)->version;

		if (v && slice_eq(slice_str(v->model_name), name) &&
		    slice_eq(slice_str(v->name), version))
			return true;
	}
	return m && model_version(m, version);
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

	g->job = NULL;
	if (!registering_may_go_on(g))
		u->status = 503; /* so that the folder goes */
	if (!registering_goes_on(g))
		return;
	if (u->status) {
		registering_finish(g, u->status, u->type ? u->type : "InternalServerException",
				   "%s",
				   u->message ? u->message : "The archive could not be unpacked");
		return;
	}
	if (g->model_name)
		u->manifest.model_name = region_copy(u->region, slice_str(g->model_name));
	if (g->suffix)
		u->manifest.model_version = slice_str(region_printf(
			u->region, "%.*s%s", SLICE_ARG(u->manifest.model_version), g->suffix));
	if (registering_exists(g, u->manifest.model_name, u->manifest.model_version)) {
		u->status = 409; /* so that the folder goes */
		registering_finish(g, 409, "ConflictStatusException",
				   "Model version %.*s is already registered for model %.*s",
				   SLICE_ARG(u->manifest.model_version),
				   SLICE_ARG(u->manifest.model_name));
		return;
	}
	registering_prefer(g, &u->manifest);
	if (u->manifest.min_workers > VERSION_WORKERS_MAX) {
		u->status = 400;
		registering_finish(g, 400, "BadRequestException",
				   "minWorkers is %lld: a model may have %d workers at most",
				   (long long)u->manifest.min_workers, VERSION_WORKERS_MAX);
		return;
	}
	g->version = version_create(g->fleet, u->region, &u->manifest);
	g->version_model = mem_strdup(g->version->model_name);
	g->version_name = mem_strdup(g->version->name);
	registering_apply(g, g->version, u);
	registering_look(g, registering_examine, registering_examined);
}

/* ---- where the archive is ---- */

static void registering_unpack(struct registering *g, const char *path)
{
	g->step = STEP_UNPACK;
	g->job = unpack_start(g->fleet, path, slice_str(g->model_name), registering_unpacked, g);
}

static void registering_fetched(void *arg, const struct fetched *o)
{
	struct registering *g = arg;

	g->job = NULL;
	if (o->status)
		free(TAKE(g->downloaded)); /* it is not ours */
	if (!registering_goes_on(g))
		return;
	if (o->status) {
		registering_finish(g, o->status, o->type ? o->type : "InternalServerException",
				   "%s",
				   o->message ? o->message : "The archive could not be downloaded");
		return;
	}
	log_info("Downloaded %s", g->url);
	registering_unpack(g, g->downloaded);
}

static void registering_look_up(struct work *w)
{
	struct registering *g = container_of(w, struct registering, work);
	const struct fleet *f = g->fleet;
	_cleanup_(freep) char *downloads = mem_printf("%s/downloads", f->workdir.path);

	source_resolve(f->settings, g->url, downloads, &g->source);
	source_claim(&g->source, g->wish.at_startup);
}

static void registering_looked_up(struct work *w)
{
	struct registering *g = container_of(w, struct registering, work);
	struct source *s = &g->source;

	g->work_ns = 0;
	if (!registering_goes_on(g))
		return;
	if (!s->download && !s->path) {
		registering_finish(g, s->status, s->type, "%s", s->message);
	} else if (s->path) {
		registering_unpack(g, s->path);
	} else if (g->left) {
		registering_finish(g, 400, "DownloadArchiveException",
				   "Nobody waits for the archive any more");
	} else {
		g->step = STEP_DOWNLOAD;
		g->downloaded = TAKE(s->download);
		g->job = fetch_start(g->fleet, g->url, g->downloaded, g->wish.s3_sse_kms,
				     registering_fetched, g);
	}
}

/* "https://host/resnet.mar?x" will be "resnet", unless its manifest says otherwise. */
static char *registering_guess(const char *url)
{
	static const char *const endings[] = { ".mar", ".model", ".tar.gz", ".tgz" };
	_cleanup_(freep) char *file = url_file_name(url);
	const char *slash = strrchr(url, '/');
	struct slice name = slice_str(file ? file : slash ? slash + 1 : url);

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (slice_ends(name, slice_str(endings[i])))
			return slice_dup(slice_make(name.p, name.n - strlen(endings[i])));
	return slice_dup(name);
}

static struct registering *registering_create(struct fleet *f, const struct registration *r)
{
	struct registering *g = mem_new(struct registering);

	list_init(&g->link);
	g->fleet = f;
	g->order = ++f->next_registration;
	g->url = slice_dup(r->url);
	g->model_name = r->model_name.n ? slice_dup(r->model_name) : NULL;
	g->name = g->model_name ? mem_strdup(g->model_name) : registering_guess(g->url);
	g->handler = r->handler.n ? slice_dup(r->handler) : NULL;
	g->runtime = r->runtime.p ? slice_dup(r->runtime) : NULL;
	g->suffix = r->version_suffix.n ? slice_dup(r->version_suffix) : NULL;
	g->wish = *r;
	if (r->restore)
		g->restored = *r->restore;
	return g;
}

struct registering *fleet_register(struct fleet *f, const struct registration *r,
				   void (*done)(void *arg, const struct outcome *o), void *arg)
{
	struct registering *g = registering_create(f, r);

	g->done = done;
	g->arg = arg;
	if (!registering_goes_on(g))
		return NULL;
	if (g->runtime && strcmp(g->runtime, "python") != 0 && strcmp(g->runtime, "python3") != 0 &&
	    strcmp(g->runtime, "LSP") != 0) {
		registering_finish(g, 400, "BadRequestException", "Invalid RuntimeType value: %s",
				   g->runtime);
		return NULL;
	}
	if (g->model_name && !manifest_name_valid(r->model_name)) {
		registering_finish(g, 400, "BadRequestException",
				   "The model's name " MANIFEST_NAME_RULE);
		return NULL;
	}
	if (f->n_registering >= REGISTERING_MAX && !r->at_startup) {
		registering_finish(
			g, 503, "ServiceUnavailableException",
			"%u models are being registered; try again when some of them are "
			"there",
			f->n_registering);
		return NULL;
	}
	list_push_back(&f->registering, &g->link);
	f->n_registering++;
	registering_look(g, registering_look_up, registering_looked_up);
	return g;
}
