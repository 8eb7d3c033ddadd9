/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"
#include "api/handlers.h"

/* GET /models/{m}[/{v}|/all]: TorchServe's members in TorchServe's order. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/args.h"
#include "api/parts.h"
#include "base/clock.h"
#include "fleet/fleet.h"
#include "fleet/placement.h"
#include "fleet/worker.h"
#include "wire/json.h"

#define DESCRIBE_MAX ((size_t)16 << 20)
#define DESCRIBE_CUSTOM_MAX ((size_t)1 << 20)

static int64_t describe_or(int64_t value, int64_t fallback)
{
	return value >= 0 ? value : fallback;
}

static void describe_worker(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct worker *w)
{
	time_t seconds = (time_t)(w->began_wall_ms / 1000);
	char id[16], date[32], text[48];
	struct buf use = BUF_INIT(1024);
	int gpu = placement_gpu(w);
	struct tm local;

	snprintf(id, sizeof(id), "%u", w->id);
	localtime_r(&seconds, &local);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &local);
	snprintf(text, sizeof(text), "%s.%03uZ", date, (unsigned)(w->began_wall_ms % 1000));
	yyjson_mut_obj_add_strcpy(doc, o, "id", id);
	yyjson_mut_obj_add_strcpy(doc, o, "startTime", text);
	yyjson_mut_obj_add_str(doc, o, "status",
			       w->state == WORKER_READY    ? "READY"
			       : w->state == WORKER_FAILED ? "FAILED"
							   : "UNLOADING");
	yyjson_mut_obj_add_uint(doc, o, "memoryUsage", host_process_memory(w->pid));
	yyjson_mut_obj_add_int(doc, o, "pid", w->pid ? w->pid : -1);
	yyjson_mut_obj_add_bool(doc, o, "gpu", gpu >= 0);
	gpus_put_use(w->shared->gpus, gpu, &use);
	yyjson_mut_obj_add_strncpy(doc, o, "gpuUsage", use.p, use.n);
	buf_finish(&use);
}

/* Instances of a native worker count as workers, and say which engine each is. */
static void describe_workers(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct worker *w)
{
	yyjson_val *instances = yyjson_obj_get(yyjson_doc_get_root(w->facts), "instances");
	yyjson_mut_val *process = yyjson_mut_obj(doc);
	size_t n = MAX(yyjson_arr_size(instances), 1);

	describe_worker(doc, process, w);
	for (size_t i = 0; i < n; i++) {
		yyjson_val *facts = yyjson_arr_get(instances, i), *key, *value;
		yyjson_mut_val *o = yyjson_mut_val_mut_copy(doc, process);
		size_t k, m;

		yyjson_mut_arr_append(list, o);
		if (w->model.native)
			yyjson_mut_obj_add_uint(doc, o, "instance", i);
		yyjson_obj_foreach(facts, k, m, key, value) yyjson_mut_obj_add(
			o, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, value));
	}
}

/* What the engine says of the model's tensors. */
static void describe_tensors(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct version *v)
{
	static const char *const kinds[] = { "inputs", "outputs" };
	struct list *first = list_first(&v->workers);
	yyjson_doc *facts = first ? container_of(first, struct worker, link)->facts : NULL;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		yyjson_val *tensors = yyjson_obj_get(yyjson_doc_get_root(facts), kinds[i]);

		if (tensors)
			yyjson_mut_obj_add_val(doc, o, kinds[i], yyjson_val_mut_copy(doc, tensors));
	}
}

/* Where an engine or a handler may serve it: which one does, and why not the other. */
static void describe_path(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct version *v)
{
	bool handled = v->native && v->pipeline != PIPELINE_NONE;

	if (handled)
		yyjson_mut_obj_add_str(doc, o, "path", "native");
	if (v->path_reason) {
		yyjson_mut_obj_add_str(doc, o, "path", "python");
		yyjson_mut_obj_add_str(doc, o, "pathReason", v->path_reason);
	}
}

static void describe_device_ids(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct devices *d)
{
	yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, o, "deviceIds");

	for (unsigned i = 0; i < d->n; i++)
		yyjson_mut_arr_add_uint(doc, list, d->ids[i]);
}

static void describe_limits(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct version *v)
{
	const struct manifest *m = &v->manifest;

	yyjson_mut_obj_add_uint(doc, o, "minWorkers", v->min_workers);
	yyjson_mut_obj_add_uint(doc, o, "maxWorkers", v->max_workers);
	yyjson_mut_obj_add_uint(doc, o, "batchSize", v->batch_size);
	yyjson_mut_obj_add_uint(doc, o, "maxBatchDelay", v->max_batch_delay_ms);
	/* Only where it is not what it always is: the rest of the document is TorchServe's. */
	if (v->policy.mode == BATCH_FIXED)
		yyjson_mut_obj_add_str(doc, o, "batchMode", "fixed");
	if (v->latency_goal_ms)
		yyjson_mut_obj_add_uint(doc, o, "latencyGoalMs", v->latency_goal_ms);
	yyjson_mut_obj_add_uint(doc, o, "responseTimeout", v->response_timeout_s);
	yyjson_mut_obj_add_uint(doc, o, "startupTimeout", v->startup_timeout_s);
	yyjson_mut_obj_add_uint(doc, o, "maxRetryTimeoutInSec", v->max_retry_timeout_s);
	yyjson_mut_obj_add_uint(doc, o, "clientTimeoutInMills", v->client_timeout_ms);
	yyjson_mut_obj_add_strncpy(doc, o, "parallelType",
				   m->parallel_type.p ? m->parallel_type.p : "",
				   m->parallel_type.n);
	yyjson_mut_obj_add_uint(doc, o, "parallelLevel", v->devices.level);
	yyjson_mut_obj_add_str(doc, o, "deviceType", v->devices.gpu ? "gpu" : "cpu");
	if (v->devices.pinned)
		describe_device_ids(doc, o, &v->devices);
	yyjson_mut_obj_add_bool(doc, o, "continuousBatching", m->continuous_batching);
	yyjson_mut_obj_add_bool(doc, o, "useJobTicket", m->use_job_ticket);
	yyjson_mut_obj_add_bool(doc, o, "useVenv", m->use_venv);
	yyjson_mut_obj_add_bool(doc, o, "stateful", m->sequence_batching);
	yyjson_mut_obj_add_int(doc, o, "sequenceMaxIdleMSec",
			       describe_or(m->sequence_max_idle_ms, 0));
	yyjson_mut_obj_add_int(doc, o, "sequenceTimeoutMSec",
			       describe_or(m->sequence_timeout_ms, 0));
	yyjson_mut_obj_add_int(doc, o, "maxNumSequence", describe_or(m->max_num_sequence, 0));
	yyjson_mut_obj_add_int(doc, o, "maxSequenceJobQueueSize",
			       describe_or(m->max_sequence_job_queue_size, 0));
}

static yyjson_mut_val *describe_version(yyjson_mut_doc *doc, yyjson_mut_val *list,
					const struct version *v)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list), *workers, *queue;
	unsigned waiting = version_waiting(v);

	yyjson_mut_obj_add_str(doc, o, "modelName", v->model_name);
	yyjson_mut_obj_add_str(doc, o, "modelVersion", v->name);
	yyjson_mut_obj_add_str(doc, o, "modelUrl", v->url);
	yyjson_mut_obj_add_str(doc, o, "runtime", v->runtime);
	describe_limits(doc, o, v);
	yyjson_mut_obj_add_bool(doc, o, "loadedAtStartup",
				v->model ? v->model->loaded_at_startup : v->loaded_at_startup);
	/* Where all is well the document is TorchServe's. */
	if (v->failure)
		yyjson_mut_obj_add_str(doc, o, "error", v->failure);
	describe_path(doc, o, v);
	if (v->native)
		describe_tensors(doc, o, v);
	workers = yyjson_mut_obj_add_arr(doc, o, "workers");
	list_for_each (n, &v->workers)
		describe_workers(doc, workers, container_of(n, struct worker, link));
	queue = yyjson_mut_obj_add_obj(doc, o, "jobQueueStatus");
	yyjson_mut_obj_add_uint(doc, queue, "remainingCapacity",
				waiting < v->queue.max ? v->queue.max - waiting : 0);
	yyjson_mut_obj_add_uint(doc, queue, "pendingRequests", waiting);
	return o;
}

/* ---- what is not there yet ---- */

struct describe_coming {
	struct slice model, version; /* version SLICE_NULL: any */
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;
	bool found;
};

static void describe_registering(void *arg, const struct registering_view *v)
{
	struct describe_coming *d = arg;
	yyjson_mut_val *o;

	if (!slice_eq(slice_str(v->name), d->model) ||
	    (d->version.p && !(v->version && slice_eq(slice_str(v->version), d->version))))
		return;
	d->found = true;
	o = yyjson_mut_arr_add_obj(d->doc, d->list);
	registering_put(d->doc, o, v);
	yyjson_mut_obj_add_uint(d->doc, o, "minWorkers", v->workers);
	yyjson_mut_obj_add_bool(d->doc, o, "loadedAtStartup", v->at_startup);
	yyjson_mut_obj_add_arr(d->doc, o, "workers");
}

static void describe_send(struct call *c, yyjson_mut_doc *doc, int status, const char *type)
{
	struct buf out = BUF_INIT(DESCRIBE_MAX);

	if (json_write_pretty(&out, doc) < 0)
		call_error(c, 500, "InternalServerException",
			   "The description is larger than %zu MiB.", DESCRIBE_MAX >> 20);
	else
		call_answer(c, status, type, buf_slice(&out));
	buf_finish(&out);
}

/* ---- customized: the handler has its say ---- */

static void describe_add_custom(yyjson_mut_doc *doc, yyjson_mut_val *o, struct slice json)
{
	yyjson_doc *in = yyjson_read_opts((char *)(uintptr_t)json.p, json.n, 0, NULL, NULL);
	yyjson_val *root = yyjson_doc_get_root(in);
	yyjson_mut_val *custom = yyjson_mut_obj_add_obj(doc, o, "customizedMetadata");
	yyjson_val *key, *value;
	size_t i, n;

	/* Null members are dropped; anything that is not an object counts as empty. */
	yyjson_obj_foreach(root, i, n, key, value) if (!yyjson_is_null(value)) yyjson_mut_obj_add(
		custom, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, value));
	yyjson_doc_free(in);
}

/* Its version is there for as long as a request of it runs, also when it was unregistered since. */
static void describe_finished(struct call *c, const struct reply *reply)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;

	if (reply->error || reply->body.n > DESCRIBE_CUSTOM_MAX) {
		call_error(c, 500, "InternalServerException",
			   "Failed to get customized model matadata.%s",
			   reply->error ? "" : " It is larger than 1 MiB.");
		return;
	}
	doc = yyjson_mut_doc_new(NULL);
	list = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, list);
	describe_add_custom(doc, describe_version(doc, list, c->version), reply->body);
	describe_send(c, doc, reply->status,
		      reply->type.n ? region_copy(&c->region, reply->type).p : NULL);
	yyjson_mut_doc_free(doc);
}

/* Pieces of a stream say nothing of a model: the last reply is the answer. */
static void describe_replied(struct request *r, const struct reply *reply)
{
	struct call *c = r->owner;

	if (reply->final) {
		assert(c->running);
		c->running = false;
		if (c->x)
			describe_finished(c, reply);
	}
	if (reply->release)
		reply->release(reply->arg);
	if (!reply->final)
		version_stream_taken(c->version, r, reply->body.n);
	call_maybe_free(c);
}

static void describe_customized(struct call *c, struct version *v)
{
	struct request *r = &c->request;
	const char *trouble;
	int refused;

	memcpy(r->uuid, c->uuid, sizeof(r->uuid));
	r->own_ident = c->own_ident;
	r->op = REQUEST_DESCRIBE;
	r->reply = describe_replied;
	r->owner = c;
	parts_headers(c, 0);
	parts_add_header(c, SLICE("describe"), SLICE("True"));
	refused = version_submit(v, r);
	trouble = version_trouble(v);
	if (refused == VERSION_TOO_LARGE) {
		parts_refuse_large(c);
		return;
	}
	if (refused) {
		call_error(c, 503, "ServiceUnavailableException",
			   "Model \"%s\" has no worker to serve describe request. Please use scale "
			   "workers API to add workers.%s%s",
			   v->model_name, trouble ? " It does not load: " : "",
			   trouble ? trouble : "");
		return;
	}
	c->version = v;
	c->running = true;
}

static void describe_all(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *list)
{
	struct model *m = store_model(&c->api->fleet->store, c->model);
	struct describe_coming d = { .model = c->model, .doc = doc, .list = list };

	if (m)
		list_for_each (n, &m->versions)
			describe_version(doc, list, container_of(n, struct version, link));
	fleet_registering(c->api->fleet, describe_registering, &d);
	if (m || d.found)
		describe_send(c, doc, 200, NULL);
	else if (!call_too_early(c))
		call_model_not_found(c, c->model);
}

static void describe_one(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *list,
			 struct slice version, bool customized)
{
	struct describe_coming d = { c->model, version, doc, list, false };
	struct model *m = store_model(&c->api->fleet->store, c->model);
	struct version *v = m ? model_version(m, version) : NULL;

	if (v && customized) {
		describe_customized(c, v);
		return;
	}
	if (v)
		describe_version(doc, list, v);
	else
		fleet_registering(c->api->fleet, describe_registering, &d);
	if (v || d.found)
		describe_send(c, doc, 200, NULL);
	else if (!call_too_early(c))
		call_find_version(c, c->model, version);
}

void management_describe(struct call *c)
{
	struct slice version = c->version_name;
	struct args args;
	bool customized;
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;

	if (args_read(&args, c, false) < 0)
		return;
	customized = args_bool(&args, "customized", false);
	args_finish(&args);
	doc = yyjson_mut_doc_new(NULL);
	list = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, list);
	if (slice_eq(version, SLICE("all")))
		describe_all(c, doc, list);
	else
		describe_one(c, doc, list, version, customized);
	yyjson_mut_doc_free(doc);
}
