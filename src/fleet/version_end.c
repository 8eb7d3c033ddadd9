/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/version.h"

/*
 * The end of a version: DRAINING goes on in two steps. First what was accepted is answered, then
 * the workers end.
 */

#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "fleet/fleet.h"
#include "fleet/removal.h"
#include "fleet/worker.h"
#include "log/log.h"

const struct version_outcome version_stopping = { VERSION_UNREGISTERED, 503,
						  "the server is stopping" };

void version_retire(struct version *v, uint64_t timeout_ms, void (*done)(void *arg, bool in_time),
		    void *arg)
{
	static const struct version_outcome unregistered = { VERSION_UNREGISTERED, 500,
							     "it was unregistered meanwhile" };

	assert(v->state < VERSION_DRAINING);
	store_remove(&v->fleet->store, v);
	v->state = VERSION_DRAINING;
	v->drained = done;
	v->drained_arg = arg;
	v->drain_deadline_ns = clock_now_ns() + timeout_ms * NS_PER_MS;
	list_push_back(&v->fleet->retired, &v->link);
	fleet_changed(v->fleet);
	version_settle(v, v->fleet->stopping ? &version_stopping : &unregistered);
	version_touch(v);
}

/* Who waits for a version to be gone waits for its files, too: its archive may be registered anew
 * at once. */
struct farewell {
	struct list link;
	struct fleet *fleet;
	void (*done)(void *arg, bool in_time);
	void *arg;
	bool in_time;
};

static void farewell_over(void *arg)
{
	struct farewell *b = arg;
	struct fleet *f = b->fleet;

	if (b->done)
		b->done(b->arg, b->in_time);
	list_remove(&b->link);
	free(b);
	fleet_maybe_stopped(f);
}

static void version_stop_waiting(void (**done)(void *arg, bool in_time), void *arg)
{
	void (*tell)(void *arg, bool in_time) = *done;

	*done = NULL;
	if (tell)
		tell(arg, false);
}

void versions_stop_waiting(struct fleet *f)
{
	list_for_each_safe (n, &f->retired) {
		struct version *v = container_of(n, struct version, link);

		version_stop_waiting(&v->drained, v->drained_arg);
	}
	list_for_each_safe (n, &f->leaving) {
		struct farewell *b = container_of(n, struct farewell, link);

		version_stop_waiting(&b->done, b->arg);
	}
}

void versions_end_by(struct fleet *f, uint64_t deadline_ns)
{
	list_for_each (n, &f->retired) {
		struct version *v = container_of(n, struct version, link);

		v->drain_deadline_ns = MIN(v->drain_deadline_ns, deadline_ns);
	}
}

static void version_leave(struct version *v, bool in_time)
{
	struct farewell *b = mem_new(struct farewell);
	struct fleet *f = v->fleet;

	*b = (struct farewell){
		.fleet = f, .done = v->drained, .arg = v->drained_arg, .in_time = in_time
	};
	list_push_back(&f->leaving, &b->link);
	list_remove(&v->link);
	log_info("Model %s version %s is gone", v->model_name, v->name);
	version_destroy(v);
	fleet_retune(f);
	removal_add(&f->removals, NULL, farewell_over, b);
}

void version_maybe_stopped(struct version *v)
{
	bool late = v->drain_deadline_ns && clock_now_ns() > v->drain_deadline_ns;

	if (v->state != VERSION_DRAINING)
		return;
	if (late)
		version_refuse_queued(v);
	if (version_waiting(v) || (v->pending && !late))
		return;
	/* Those that were sent away before may have been given longer than there is now. */
	if (version_places(v) || late) {
		v->min_workers = v->max_workers = 0;
		list_for_each_safe (n, &v->workers)
			worker_stop(container_of(n, struct worker, link), late ? 0 : 5000);
	}
	if (!list_empty(&v->workers) || v->pending)
		return;
	assert(list_empty(&v->waiters));
	v->state = VERSION_STOPPED;
	version_leave(v, !late);
}
