/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/download.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "config/host.h"
#include "child/job.h"
#include "fleet/maker.h"
#include "fleet/register.h"
#include "fleet/share.h"
#include "fleet/zygote.h"
#include "log/log.h"
#include "loop/turn.h"

#define FLEET_TICK_MS 100
#define FLEET_LOOKUPS 2                       /* at once, of the four threads of the pool */
#define FLEET_TRIM_TICKS 50                   /* idle memory goes back every 5 s … */
#define FLEET_TRIM_BYTES ((uint64_t)64 << 20) /* … in portions that do not stall the loop */
#define FLEET_SHED_BYTES ((uint64_t)16 << 20) /* what is too much, in each turn */

/* ---- CPUs ---- */

unsigned fleet_count_cpus(void)
{
	cpu_set_t set;
	unsigned n = 1, quota = host_cpu_quota("");

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (unsigned)CPU_COUNT(&set);
	if (quota)
		n = MIN(n, quota);
	return MAX(n, 1);
}

void fleet_retune(struct fleet *f)
{
	unsigned threads = share_threads(f);

	map_for_each (e, &f->store.models) {
		struct model *m = e->value;

		list_for_each (l, &m->versions) {
			struct version *v = container_of(l, struct version, link);

			list_for_each (n, &v->workers)
				worker_tune(container_of(n, struct worker, link), threads);
		}
	}
}

char *fleet_packages(void)
{
	return python_packages();
}

/* ---- the loop's turns ---- */

static bool fleet_is_idle(const struct fleet *f)
{
	return list_empty(&f->dirty) && list_empty(&f->workers.launches) &&
	       f->budget->idle <= budget_idle_max(f->budget);
}

/* Clients that leave by the hundred leave gigabytes: no turn gives all of that back. */
static void fleet_shed(struct fleet *f)
{
	if (workers_shed(&f->workers, FLEET_SHED_BYTES))
		uv_idle_start(&f->again, f->again.idle_cb);
}

/* All sockets of this turn have been read: now see what may run together. */
static void fleet_dispatch(uv_check_t *c)
{
	struct fleet *f = c->data;
	struct list dirty = LIST_INIT(dirty);
	uint64_t now_ns;
	struct list *n;

	if (fleet_is_idle(f)) {
		f->workers.launch_ns = 0;
		uv_idle_stop(&f->again);
		return;
	}
	TURN(c);
	uv_idle_stop(&f->again);
	now_ns = turn_now_ns(c->loop);
	list_splice_back(&dirty, &f->dirty);
	while ((n = list_pop(&dirty)))
		version_dispatch(container_of(n, struct version, dirty), now_ns);
	workers_launch(&f->workers);
	fleet_shed(f);
}

static void fleet_again(uv_idle_t *i)
{
	(void)i; /* keeps the poll phase from blocking; fleet_dispatch() does the work */
}

static void fleet_each_stored(struct fleet *f, void (*call)(struct version *v, uint64_t now_ns),
			      uint64_t now_ns)
{
	map_for_each (e, &f->store.models) {
		struct model *m = e->value;

		list_for_each_safe (n, &m->versions)
			call(container_of(n, struct version, link), now_ns);
	}
}

static void fleet_each_retired(struct fleet *f, void (*call)(struct version *v, uint64_t now_ns),
			       uint64_t now_ns)
{
	list_for_each_safe (n, &f->retired)
		call(container_of(n, struct version, link), now_ns);
}

static void fleet_each_version(struct fleet *f, void (*call)(struct version *v, uint64_t now_ns),
			       uint64_t now_ns)
{
	fleet_each_stored(f, call, now_ns);
	fleet_each_retired(f, call, now_ns);
}

void fleet_measure(struct fleet *f)
{
	uint64_t now_ns = clock_now_ns();

	/* One that drains may have a successor of its name, whose figures are those that count. */
	fleet_each_retired(f, version_measure, now_ns);
	fleet_each_stored(f, version_measure, now_ns);
}

static void fleet_trim_version(struct version *v, uint64_t now_ns)
{
	(void)now_ns;
	list_for_each (n, &v->workers)
		worker_trim(container_of(n, struct worker, link), v->fleet->tick_n,
			    FLEET_TRIM_TICKS, FLEET_TRIM_BYTES);
}

static void fleet_tick(uv_timer_t *t)
{
	struct fleet *f = t->data;
	uint64_t now_ns = clock_now_ns();

	TURN(t);
	fleet_each_version(f, version_tick, now_ns);
	fleet_registering_tick(f, now_ns);
	gpus_refresh(&f->gpus, f->settings->metric_time_interval * NS_PER_S);
	f->tick_n++;
	fleet_each_version(f, fleet_trim_version, now_ns);
	if (f->tick_n % FLEET_TRIM_TICKS == 0)
		pool_trim(f->pool, FLEET_TRIM_BYTES);
}

static void fleet_forget_in(struct version *v, uint64_t id)
{
	list_for_each (n, &v->workers)
		worker_forget_segment(container_of(n, struct worker, link), (uint32_t)id);
}

static void fleet_segment_gone(void *arg, uint32_t id)
{
	fleet_each_version(arg, fleet_forget_in, id);
}

struct closing {
	struct work work;
	struct memfd memory;
	int read_only;
};

static void closing_run(struct work *w)
{
	struct closing *c = container_of(w, struct closing, work);

	memfd_close(&c->memory);
	closep(&c->read_only);
}

static void closing_done(struct work *w)
{
	free(container_of(w, struct closing, work));
}

/* The pages of a large body, and of a worker's replies, go back on a thread of the pool: some
 * milliseconds for each. `read_only` -1: there is none. */
static void fleet_segment_close(void *arg, struct memfd memory, int read_only)
{
	struct fleet *f = arg;
	struct closing *c = mem_new(struct closing);

	c->memory = memory;
	c->read_only = read_only;
	lane_add(&f->closings, &c->work, closing_run, closing_done);
}

void fleet_changed(struct fleet *f)
{
	if (f->changed && !f->stopping)
		f->changed(f->changed_arg);
}

struct recording {
	struct fleet *fleet;
	void (*done)(void *arg);
	void *arg;
};

static void fleet_is_recorded(void *arg)
{
	struct recording *r = arg;
	struct fleet *f = r->fleet;

	f->recordings--;
	r->done(r->arg);
	free(r);
	fleet_maybe_stopped(f);
}

void fleet_recorded(struct fleet *f, void (*done)(void *arg), void *arg)
{
	struct recording *r;

	if (!f->recorded) {
		done(arg);
		return;
	}
	r = mem_new(struct recording);
	*r = (struct recording){ f, done, arg };
	f->recordings++;
	f->recorded(f->changed_arg, fleet_is_recorded, r);
}

/* ---- life ---- */

static void fleet_init_workers(struct fleet *f)
{
	f->workers = (struct worker_shared){ .loop = f->loop,
					     .settings = f->settings,
					     .budget = f->budget,
					     .pool = f->pool,
					     .telemetry = &f->telemetry,
					     .children = &f->children,
					     .gpus = &f->gpus,
					     .python = &f->python,
					     .makers = makers_all };
	list_init(&f->workers.launches);
	list_init(&f->workers.memories);
	if (f->settings->zygote != TRISTATE_OFF)
		f->workers.zygotes = zygotes_create(&f->workers);
}

int fleet_init(struct fleet *f, uv_loop_t *loop, const struct settings *settings,
	       struct budget *budget, struct pool *pool, struct metrics *metrics,
	       const struct catalogue *catalogue, struct buf *why)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int r;

	if (n <= 0)
		return err_origin(-ENOENT);
	self[n] = '\0';
	*f = (struct fleet){ .loop = loop,
			     .settings = settings,
			     .budget = budget,
			     .pool = pool,
			     .metrics = metrics,
			     .cpus = fleet_count_cpus(),
			     .next_worker = (unsigned)settings->initial_worker_port };
	f->executable = mem_strdup(self);
	list_init(&f->dirty);
	list_init(&f->retired);
	list_init(&f->leaving);
	removals_init(&f->removals, loop);
	removals_init(&f->sweeps, loop);
	lane_init(&f->closings, loop);
	lane_init_wide(&f->lookups, loop, FLEET_LOOKUPS);
	list_init(&f->registering);
	jobs_init(&f->jobs, loop, &f->children);
	preparations_init(&f->preparations);
	store_init(&f->store);
	telemetry_init(&f->telemetry, metrics, catalogue, settings);
	python_find(&f->python, settings->python);
	fleet_init_workers(f);
	/* settings_check() has read it before, and told what is wrong. */
	model_list_parse(&f->models, MODEL_LIST_MODELS, slice_str(settings->models),
			 &(struct buf){ 0 }, NULL);
	r = workdir_make(&f->workdir, settings->tmp_dir, &f->sweeps, why);
	if (!r)
		r = children_init(&f->children, loop);
	if (r)
		return err_trace(r);
	gpus_detect(&f->gpus, settings, &f->jobs, &f->telemetry);
	if (settings->model_store)
		download_clean(settings->model_store);
	pool_on_segment_gone(pool, fleet_segment_gone, f);
	pool_on_segment_close(pool, fleet_segment_close, f);
	uv_check_init(loop, &f->dispatch);
	f->dispatch.data = f;
	uv_check_start(&f->dispatch, fleet_dispatch);
	uv_unref((uv_handle_t *)&f->dispatch);
	uv_idle_init(loop, &f->again);
	f->again.idle_cb = fleet_again;
	uv_timer_init(loop, &f->tick);
	f->tick.data = f;
	uv_timer_start(&f->tick, fleet_tick, FLEET_TICK_MS, FLEET_TICK_MS);
	uv_unref((uv_handle_t *)&f->tick);
	host_metrics_start(&f->host, loop, settings, &f->telemetry);
	return 0;
}

void fleet_trace(struct fleet *f, struct tracer *t)
{
	f->tracer = f->workers.tracer = t;
}

void fleet_maybe_stopped(struct fleet *f)
{
	void (*stopped)(void *) = f->stopped;

	if (!f->stopping || !stopped || f->store.models.n || !list_empty(&f->retired) ||
	    !list_empty(&f->leaving) || f->recordings || !list_empty(&f->registering))
		return;
	f->stopped = NULL;
	stopped(f->stopped_arg);
}

static struct version *fleet_waited_for(struct fleet *f)
{
	map_for_each (e, &f->store.models) {
		struct model *m = e->value;

		list_for_each (n, &m->versions) {
			struct version *v = container_of(n, struct version, link);

			if (!list_empty(&v->waiters))
				return v;
		}
	}
	return NULL;
}

void fleet_drain(struct fleet *f)
{
	struct version *v;

	f->draining = true;
	fleet_stop_registering(f);
	/* Who is told may take versions out of the store. */
	while ((v = fleet_waited_for(f)))
		version_settle(v, &version_stopping);
	versions_stop_waiting(f);
}

void fleet_stop(struct fleet *f, uint64_t grace_ms, void (*done)(void *arg), void *arg)
{
	f->draining = f->stopping = true;
	f->stopped = done;
	f->stopped_arg = arg;
	removals_limit(&f->removals, clock_now_ns() + (grace_ms + FLEET_TIDY_MS) * NS_PER_MS);
	removals_limit(&f->sweeps, clock_now_ns());
	jobs_stop(&f->jobs);
	versions_end_by(f, clock_now_ns() + grace_ms * NS_PER_MS);
	while (f->store.models.n) {
		struct model *m = map_next(&f->store.models, NULL)->value;

		version_retire(container_of(list_first(&m->versions), struct version, link),
			       grace_ms, NULL, NULL);
	}
	fleet_maybe_stopped(f);
}

void fleet_finish(struct fleet *f)
{
	pool_on_segment_close(f->pool, NULL, NULL);
	zygotes_destroy(f->workers.zygotes);
	gpus_finish(&f->gpus);
	children_finish(&f->children);
	store_finish(&f->store);
	telemetry_finish(&f->telemetry);
	uv_close((uv_handle_t *)&f->dispatch, NULL);
	uv_close((uv_handle_t *)&f->again, NULL);
	uv_close((uv_handle_t *)&f->tick, NULL);
	host_metrics_stop(&f->host);
	preparations_finish(&f->preparations);
	python_finish(&f->python);
	free(f->executable);
	model_list_finish(&f->models);
	workdir_finish(&f->workdir, &f->removals);
}
