/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"
#include "api/handlers.h"

/* TorchServe's management routes: list, register, scale, set default, unregister. */

#include <stdarg.h>
#include <stdio.h>

#include "api/args.h"
#include "base/mem.h"
#include "wire/json.h"

#define LIST_LIMIT_MAX 100

/* A call that waits for something: the call stays when its client leaves. */
struct waiting {
	struct call *call;
	struct registering
		*registering;   /* that it waits for; NULL: for something else, or it is over */
	struct version *scaled; /* … or for whose workers; it tells before it ends */
	int status;             /* of what is told when it is recorded */
	char *text;
	char *model, *version; /* version NULL: none was named */
};

static struct waiting *waiting_create(struct call *c, struct slice model, struct slice version)
{
	struct waiting *w = mem_new(struct waiting);

	w->call = c;
	w->model = slice_dup(model);
	w->version = version.p ? slice_dup(version) : NULL;
	c->waiting = w;
	return w;
}

static void waiting_end(struct waiting *w)
{
	w->call->waiting = NULL;
	free(w->model);
	free(w->version);
	free(w->text);
	free(w);
}

static void waiting_free(struct waiting *w)
{
	struct call *c = w->call;

	waiting_end(w);
	call_maybe_free(c);
}

static void waiting_told(void *arg)
{
	struct waiting *w = arg;

	call_status(w->call, w->status, w->text);
	waiting_free(w);
}

/* What was changed is told when it is recorded: it is so after a crash, too. */
static void waiting_tell(struct waiting *w, int status, const char *fmt, ...) _printf_(3, 4);

static void waiting_tell(struct waiting *w, int status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	w->status = status;
	w->text = mem_strdup(text);
	fleet_recorded(w->call->api->fleet, waiting_told, w);
}

/* ---- list ---- */

static void list_model(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct model *m)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);

	yyjson_mut_obj_add_str(doc, o, "modelName", m->name);
	yyjson_mut_obj_add_str(doc, o, "modelUrl", m->default_version->url);
}

void registering_put(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct registering_view *v)
{
	yyjson_mut_obj_add_strcpy(doc, o, "modelName", v->name);
	if (v->version)
		yyjson_mut_obj_add_strcpy(doc, o, "modelVersion", v->version);
	yyjson_mut_obj_add_strcpy(doc, o, "modelUrl", v->url);
	yyjson_mut_obj_add_str(doc, o, "status", v->status);
	if (v->progress.done || v->progress.total)
		yyjson_mut_obj_add_uint(doc, o, "bytes", v->progress.done);
	if (v->progress.total)
		yyjson_mut_obj_add_uint(doc, o, "totalBytes", v->progress.total);
}

struct list_coming {
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;
};

static void list_registering(void *arg, const struct registering_view *v)
{
	const struct list_coming *l = arg;

	registering_put(l->doc, yyjson_mut_arr_add_obj(l->doc, l->list), v);
}

static void list_absent(void *arg, const struct absent *a)
{
	const struct list_coming *l = arg;
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(l->doc, l->list);

	yyjson_mut_obj_add_str(l->doc, o, "modelName", a->name);
	yyjson_mut_obj_add_str(l->doc, o, "modelUrl", a->what);
	yyjson_mut_obj_add_str(l->doc, o, "status", "FAILED");
	yyjson_mut_obj_add_str(l->doc, o, "error", a->why);
}

/* Of models that are not there yet the names may be guesses, and TorchServe's clients do not expect
 * them: in a list of their own, for who asks, with those of the start that will never be there. */
static void list_put_coming(const struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	struct list_coming l = { doc, yyjson_mut_obj_add_arr(doc, root, "registering") };

	fleet_registering(c->api->fleet, list_registering, &l);
	ready_each_absent(&c->api->ready, &l, list_absent);
}

void management_list(struct call *c)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc), *list;
	struct buf out = BUF_INIT((size_t)16 << 20);
	int64_t limit, from;
	bool coming;
	struct args args;
	char token[24];
	size_t n, end;

	if (args_read(&args, c, false) < 0) {
		yyjson_mut_doc_free(doc);
		return;
	}
	limit = args_integer(&args, "limit", LIST_LIMIT_MAX);
	from = MAX(args_integer(&args, "next_page_token", 0), 0);
	coming = args_bool(&args, "registering", false);
	limit = limit < 0 || limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : limit;
	args_finish(&args);
	_cleanup_(freep) struct model **all = store_sorted(&c->api->fleet->store, &n);

	yyjson_mut_doc_set_root(doc, root);
	end = (size_t)from + (size_t)limit;
	if (end < n) {
		snprintf(token, sizeof(token), "%zu", end);
		yyjson_mut_obj_add_strcpy(doc, root, "nextPageToken", token);
	}
	list = yyjson_mut_obj_add_arr(doc, root, "models");
	for (size_t i = (size_t)from; i < n && i < end; i++)
		list_model(doc, list, all[i]);
	if (coming)
		list_put_coming(c, doc, root);
	json_write_pretty(&out, doc);
	call_answer(c, 200, NULL, buf_slice(&out));
	buf_finish(&out);
	yyjson_mut_doc_free(doc);
}

/* ---- register ---- */

static void register_done(void *arg, const struct outcome *o)
{
	struct waiting *w = arg;

	w->registering = NULL; /* it ends with this call */
	w->call->left = NULL;
	call_outcome(w->call, o);
	waiting_free(w);
}

static void register_left(struct call *c)
{
	struct waiting *w = c->waiting;

	registering_leave(w->registering);
	waiting_end(w);
}

/* False after a 503. What is changed now nobody could wait for. */
static bool management_goes_on(struct call *c)
{
	if (!c->api->fleet->draining)
		return true;
	call_error(c, 503, "ServiceUnavailableException", "The server is stopping");
	return false;
}

/* False after a 405 or 503. */
static bool management_may_change(struct call *c)
{
	if (!management_goes_on(c))
		return false;
	if (c->api->settings->enable_model_api)
		return true;
	call_error(c, 405, "MethodNotAllowedException",
		   "Requested method is not allowed, please refer to API document. Models are "
		   "registered and unregistered only where the server was started with "
		   "enable_model_api=true (--enable-model-api)");
	return false;
}

void management_register(struct call *c)
{
	struct registration r = { 0 };
	struct registering *going;
	struct waiting *w;
	struct args args;

	if (!management_may_change(c))
		return;
	if (args_read(&args, c, true) < 0)
		return;
	r.url = args_text(&args, "url");
	r.model_name = args_text(&args, "model_name");
	r.handler = args_text(&args, "handler");
	r.runtime = args_text(&args, "runtime");
	r.batch_size = args_integer(&args, "batch_size", -1);
	r.max_batch_delay_ms = args_integer(&args, "max_batch_delay", -1);
	r.latency_goal_ms = args_integer(&args, "latency_goal_ms", -1);
	r.initial_workers = args_integer(&args, "initial_workers", -1);
	r.response_timeout_s = args_integer(&args, "response_timeout", -1);
	r.startup_timeout_s = args_integer(&args, "startup_timeout", -1);
	r.synchronous = args_bool(&args, "synchronous", true);
	r.s3_sse_kms = args_bool(&args, "s3_sse_kms", false);
	args_finish(&args);
	if (!r.url.p) {
		call_error(c, 400, "BadRequestException", "Parameter url is required.");
		return;
	}
	if (r.initial_workers > VERSION_WORKERS_MAX) {
		call_error(c, 400, "BadRequestException", "initial_workers must be at most %d.",
			   VERSION_WORKERS_MAX);
		return;
	}
	w = waiting_create(c, r.url, SLICE_NULL);
	going = fleet_register(c->api->fleet, &r, register_done, w);
	if (!going)
		return;
	w->registering = going;
	c->left = register_left;
}

/* ---- scale ---- */

static void scale_done(void *arg, const struct version_outcome *o)
{
	struct waiting *w = arg;

	w->call->left = NULL;
	if (o->result == VERSION_SCALED) {
		waiting_tell(w, 200, "Workers scaled to %u for model: %s%s%s", o->workers, w->model,
			     w->version ? ", version: " : "", w->version ? w->version : "");
		return;
	}
	if (o->result == VERSION_UNREGISTERED)
		call_error(w->call, o->code,
			   o->code == 503 ? "ServiceUnavailableException"
					  : "InternalServerException",
			   "Failed to start workers for model %s version: %s: %s", w->model,
			   w->version ? w->version : "null", o->message);
	else
		call_error(w->call, o->code == 507 ? 507 : 500, "InternalServerException",
			   "Failed to start workers for model %s version: %s. %s", w->model,
			   w->version ? w->version : "null", o->message);
	waiting_free(w);
}

/* Workers may load for long, and clients come and go. */
static void scale_left(struct call *c)
{
	struct waiting *w = c->waiting;

	version_stop_telling(w->scaled, w);
	waiting_end(w);
}

static void scale_run(struct call *c, struct version *v, struct slice version, int64_t min,
		      int64_t max, bool synchronous)
{
	struct waiting *w = waiting_create(c, c->model, version);

	if (!synchronous) {
		version_scale(v, (unsigned)min, (unsigned)max, NULL, NULL);
		waiting_tell(w, 202, "Processing worker updates...");
		return;
	}
	w->scaled = v;
	c->left = scale_left;
	version_scale(v, (unsigned)min, (unsigned)max, scale_done, w);
}

void management_scale(struct call *c)
{
	struct slice version = c->version_name;
	struct version *v;
	struct args args;
	int64_t min, max;
	bool synchronous;

	if (!management_goes_on(c) || args_read(&args, c, false) < 0)
		return;
	min = args_integer(&args, "min_worker", 1);
	max = args_integer(&args, "max_worker", min);
	synchronous = args_bool(&args, "synchronous", false);
	if (!version.p)
		version = args_text(&args, "model_version");
	args_finish(&args);
	v = call_find_version(c, c->model, version);
	if (!v)
		return;
	if (max < min)
		call_error(c, 400, "BadRequestException",
			   "max_worker cannot be less than min_worker.");
	else if (min < 0 || max > VERSION_WORKERS_MAX)
		call_error(c, 400, "BadRequestException",
			   "min_worker and max_worker must be between 0 and %d.",
			   VERSION_WORKERS_MAX);
	else
		scale_run(c, v, version, min, max, synchronous);
}

/* ---- set default, unregister ---- */

void management_set_default(struct call *c)
{
	struct model *m = store_model(&c->api->fleet->store, c->model);
	struct version *v = m ? model_version(m, c->version_name) : NULL;

	if (!management_goes_on(c))
		return;
	if (!m) {
		call_model_not_found(c, c->model);
		return;
	}
	if (!v) {
		call_error(c, 404, "ModelVersionNotFoundException",
			   "Model version %.*s does not exist for model %.*s",
			   SLICE_ARG(c->version_name), SLICE_ARG(c->model));
		return;
	}
	model_set_default(m, v);
	fleet_changed(c->api->fleet);
	waiting_tell(waiting_create(c, c->model, c->version_name), 200,
		     "Default version successfully updated for model \"%s\" to \"%s\"", m->name,
		     v->name);
}

static void unregister_done(void *arg, bool in_time)
{
	struct waiting *w = arg;

	if (in_time) {
		waiting_tell(w, 200, "Model \"%s\" unregistered", w->model);
		return;
	}
	if (w->call->api->fleet->draining)
		call_error(w->call, 503, "ServiceUnavailableException",
			   "The server is stopping. Model \"%s\" is unregistered; what it had "
			   "accepted is still answered",
			   w->model);
	else
		call_error(w->call, 408, "RequestTimeoutException",
			   "Timed out while cleaning resources: %s", w->model);
	waiting_free(w);
}

void management_unregister(struct call *c)
{
	uint64_t timeout_ms = c->api->settings->unregister_model_timeout * 1000;
	struct slice version = c->version_name;
	struct version *v;

	if (!management_may_change(c))
		return;
	v = call_find_version(c, c->model, version);
	if (!v)
		return;
	if (v->model->default_version == v &&
	    list_first(&v->model->versions) != list_last(&v->model->versions)) {
		call_error(c, 403, "InvalidModelVersionException",
			   "Cannot remove default version for model %s", v->model_name);
		return;
	}
	version_retire(v, timeout_ms, unregister_done, waiting_create(c, c->model, version));
}
