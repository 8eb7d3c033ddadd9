/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/version.h"

/*
 * A version as the owner of its workers: what it tells them at their birth, and what it does with
 * what they report.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "fleet/fleet.h"
#include "fleet/placement.h"
#include "fleet/preparation.h"
#include "fleet/share.h"
#include "log/log.h"
#include "wire/json.h"

/* ---- what they report ---- */

/* One line for people: bounded, nothing in it that ends a line. */
static char *version_sentence(const char *text)
{
	struct slice front = utf8_cut(slice_str(text), VERSION_FAILURE_MAX);
	char *copy = mem_strndup(front.p, front.n);

	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return copy;
}

/* All workers of a model fail alike, again and again: what is no news is not told once more. */
static void version_fails(struct version *v, const struct worker *w, const char *message)
{
	_cleanup_(freep) char *failure = version_sentence(message);

	if (v->failure && strcmp(v->failure, failure) == 0)
		return;
	free(v->failure);
	v->failure = TAKE(failure);
	log_error("Workers of model %s version %s failed to start: %s", v->model_name, v->name,
		  v->failure);
	if (w->load_traceback && *w->load_traceback)
		log_lines(LOG_WARN, *w->err.label ? w->err.label : w->label, "MODEL_LOG",
			  slice_str(w->load_traceback));
}

/* ---- from an engine to a handler ---- */

void version_read_operation(struct request *r)
{
	struct slice rest = r->headers, name, value;

	while (frame_header_next(&rest, &name, &value) > 0) {
		if (!slice_eq(value, SLICE("True")))
			continue;
		if (slice_eq(name, SLICE("describe")))
			r->op = REQUEST_DESCRIBE;
		else if (slice_eq(name, SLICE("explain")) && r->op == REQUEST_PREDICT)
			r->op = REQUEST_EXPLAIN;
	}
}

/* The engine does not load it here: nobody has had an answer yet, and its handler takes over. */
static void version_fall_back(struct version *v, const char *message)
{
	free(v->path_reason);
	v->path_reason = version_sentence(message);
	v->native = v->native_tried = false;
	v->pipeline = PIPELINE_NONE;
	v->instances = 0;
	/* To an engine what waits was all the same. */
	list_for_each (n, &v->queue.requests)
		version_read_operation(container_of(n, struct request, link));
	log_info("Model %s version %s is served by its handler %s, not by an engine: %s",
		 v->model_name, v->name, v->handler, v->path_reason);
	for (unsigned i = 0; i < v->min_workers; i++)
		version_add_workers(v, 1);
	fleet_changed(v->fleet);
	fleet_retune(v->fleet);
	version_touch(v);
}

/* An engine that has been asked for more instances has made some of them, and makes no more: who
 * waits for them would wait for ever. */
static void version_check_instances(struct version *v, const struct worker *w)
{
	yyjson_val *facts = yyjson_doc_get_root(w->facts);
	int64_t wanted = 0;
	char text[96];

	if (!v->native || !json_i64(facts, "wanted", &wanted) || wanted != (int64_t)w->wanted ||
	    w->credits >= w->wanted)
		return;
	snprintf(text, sizeof(text), "Its engine has %u instances and makes no more", w->credits);
	log_warn("Model %s version %s: %s", v->model_name, v->name, text);
	v->instances = w->credits; /* its next process does not fail for those it cannot have */
	version_settle(v, &(struct version_outcome){ VERSION_WORKER_FAILED, 500, text });
}

static void version_worker_loaded(void *owner, struct worker *w, int code, const char *message)
{
	struct version *v = owner;

	if (message && w->model.native && v->native_tried && v->state < VERSION_DRAINING) {
		version_fall_back(v, message);
		if (w->load_prepare)
			preparation_begin(v, w->load_prepare);
		return;
	}
	if (message) {
		/* It may have ended while it was asked for more than there can be. */
		if (v->instances_made)
			v->instances = MIN(v->instances, v->instances_made);
		metric_add(v->metrics.start_failures, 1);
		version_fails(v, w, message);
		version_settle(
			v, &(struct version_outcome){ VERSION_WORKER_FAILED, code, v->failure });
		return;
	}
	free(TAKE(v->failure));
	v->native_tried = false; /* from now on it stays on its path */
	v->load_ns = w->ready_ns - w->began_ns;
	v->instances_made = v->native ? w->credits : 0;
	if (v->state == VERSION_LOADING)
		v->state = VERSION_READY;
	version_check_instances(v, w);
	version_check_scaled(v);
	version_touch(v);
	fleet_retune(v->fleet);
}

/* It is not tried again while the version is there: whoever has repaired something registers it
 * anew. */
static void version_optimized_lost(void *owner, const char *how)
{
	struct version *v = owner;

	if (!v->optimized_lost)
		v->optimized_lost = version_sentence(how);
}

static void version_worker_gone(void *owner, struct worker *w)
{
	struct version *v = owner;

	worker_destroy(w);
	version_check_scaled(v);
	version_touch(v);
}

static void version_worker_touch(void *owner)
{
	version_touch(owner);
}

static unsigned version_worker_take(void *owner, struct worker *w, size_t bytes_max,
				    uint64_t now_ns, struct batch *out, uint64_t *ret_wake_ns)
{
	return version_take(owner, w, bytes_max, now_ns, out, ret_wake_ns);
}

static unsigned version_next_beside(void *owner)
{
	const struct version *v = owner;
	const struct request *next = queue_first(&v->queue);

	return next && next->retried ? next->beside : 0;
}

static void version_worker_gives_back(void *owner, struct request *r)
{
	version_return(owner, r);
}

static void version_worker_released(void *owner)
{
	version_release(owner);
}

static void version_worker_timed(void *owner, struct request *r, const struct reply *reply,
				 uint64_t now_ns)
{
	version_goal_answered(owner, r, reply, now_ns);
}

static void version_worker_answered(void *owner, struct request *r, const struct reply *reply,
				    uint64_t now_ns)
{
	version_sequence_answered(owner, r, reply, now_ns);
}

static void version_worker_leaving(void *owner, struct worker *w, int status, const char *message)
{
	version_worker_leaves(owner, w, status, message);
}

static void version_imports_torch(void *owner)
{
	((struct version *)owner)->wants_torch = true;
}

/* What is being taken away goes on only for what it has accepted, and can still run. */
static bool version_restarts(void *owner, const struct worker *w, bool loaded)
{
	const struct version *v = owner;

	/* It has taken the other path since. */
	if (w->model.native != v->native)
		return false;
	return v->state < VERSION_DRAINING || (loaded && v->pending);
}

static unsigned version_instances(void *owner)
{
	const struct version *v = owner;

	return v->native ? MAX(v->instances, 1) : 1;
}

static unsigned version_worker_threads(void *owner)
{
	const struct version *v = owner;

	return share_threads(v->fleet) * version_instances(owner);
}

static unsigned version_siblings(void *owner)
{
	return ((struct version *)owner)->min_workers;
}

static const struct worker_owner_ops version_owner = {
	.loaded = version_worker_loaded,
	.optimized_lost = version_optimized_lost,
	.gone = version_worker_gone,
	.touch = version_worker_touch,
	.take = version_worker_take,
	.next_beside = version_next_beside,
	.give_back = version_worker_gives_back,
	.release = version_worker_released,
	.timed = version_worker_timed,
	.sequence_answered = version_worker_answered,
	.leaves = version_worker_leaving,
	.imports_torch = version_imports_torch,
	.restarts = version_restarts,
	.threads = version_worker_threads,
	.siblings = version_siblings,
	.instances = version_instances,
};

/* ---- what they are told ---- */

static void version_add_worker(struct version *v, unsigned index, struct devices_load *load)
{
	struct worker_model m = {
		.name = v->model_name,
		.version = v->name,
		.dir = v->dir,
		.handler = v->handler,
		.python = v->python,
		.wants_torch = &v->wants_torch,
		.native = v->native,
		.native_tried = v->native_tried,
		.pipeline = v->pipeline,
		.manifest = &v->manifest,
		.devices = &v->devices,
		.batch_size = v->batch_size,
		.response_timeout_s = v->response_timeout_s,
		.startup_timeout_s = v->startup_timeout_s,
		.max_retry_timeout_s = v->max_retry_timeout_s,
		.metrics = &v->metrics,
		.sizes = &v->sizes,
		.cost = &v->cost,
		.optimized_lost = &v->optimized_lost,
	};
	struct worker *w = worker_create(&v->fleet->workers, &version_owner, v, &m,
					 v->fleet->next_worker++, index, placement_pick(v, load));

	list_push_back(&v->workers, &w->link);
	worker_start_soon(w);
}

void version_add_workers(struct version *v, unsigned n)
{
	_cleanup_(freep) bool *used = NULL;
	struct devices_load load = { 0 };
	unsigned all = n, index = 0;

	list_for_each (l, &v->workers)
		all++;
	used = mem_zalloc((all + 1) * sizeof(*used));
	list_for_each (l, &v->workers)
		used[MIN(container_of(l, struct worker, link)->index, all)] = true;
	placement_load(v, &load);
	for (unsigned i = 0; i < n; i++) {
		while (used[index])
			index++;
		version_add_worker(v, index++, &load);
	}
}

unsigned version_frame_batches(struct version *v, const struct worker *w)
{
	if (w->async)
		return worker_async_batches(w);
	return dispatch_frame_batches(&v->dispatch, batch_cost_estimate(&v->cost, 1),
				      (uint64_t)v->cost.slow_ns, version_waiting(v),
				      v->policy.batch_size, version_idle_workers(v), w->n_frames);
}
