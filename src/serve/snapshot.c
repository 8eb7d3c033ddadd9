/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/snapshot.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/properties.h"
#include "config/snapshot_files.h"
#include "log/log.h"
#include "loop/turn.h"

struct snapshot_write {
	struct work work;
	struct snapshots *snapshots;
	uint64_t changes; /* that it has */
	char *folder, *name;
	struct buf text;
	int error;
};

/* Somebody who waits until what has changed so far is on disk. */
struct snapshot_wait {
	struct list link;
	uint64_t changes;
	void (*done)(void *arg);
	void *arg;
};

/* ---- what it says ---- */

static struct slice base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slice_str(slash ? slash + 1 : path);
}

/* Archives that are not in the model store are found again by their URL only. */
static bool outside_the_store(const struct version *v)
{
	struct slice url = slice_str(v->url);

	if (v->downloaded)
		return !v->fleet->settings->model_store;
	return slice_istarts(url, SLICE("file://")) || slice_starts(url, SLICE("/"));
}

/* Where nobody speaks of a goal, a snapshot is as TorchServe's. */
static int64_t snapshot_goal(const struct version *v)
{
	return v->latency_goal_ms || v->manifest.latency_goal_ms > 0 ? (int64_t)v->latency_goal_ms
								     : -1;
}

static struct model_entry snapshot_entry(const struct model *m, const struct version *v)
{
	bool own_handler = !slice_eq(slice_str(v->handler), v->manifest.handler);

	return (struct model_entry){
		.model = slice_str(m->name),
		.version = slice_str(v->name),
		.mar_name = base_name(v->downloaded ? v->downloaded : v->url),
		.url = outside_the_store(v) ? slice_str(v->url) : SLICE_NULL,
		.handler = own_handler ? slice_str(v->handler) : SLICE_NULL,
		.runtime = slice_str(v->runtime),
		.is_default = m->default_version == v,
		.parameters = { .min_workers = v->min_workers,
				.max_workers = v->max_workers,
				.batch_size = v->batch_size,
				.max_batch_delay_ms = (int64_t)v->max_batch_delay_ms,
				.response_timeout_s = (int64_t)v->response_timeout_s,
				.startup_timeout_s = (int64_t)v->startup_timeout_s,
				.parallel_level = v->devices.level ? (int64_t)v->devices.level : -1,
				.latency_goal_ms = snapshot_goal(v) },
	};
}

static size_t snapshot_count(const struct store *s)
{
	size_t n = 0;

	map_for_each (e, &s->models) {
		const struct model *m = e->value;

		list_for_each (l, &m->versions)
			n++;
	}
	return n;
}

static void snapshot_put_models(const struct fleet *f, const char *name, struct buf *out)
{
	_cleanup_(freep) struct model_entry *entries = NULL;
	_cleanup_(freep) struct model **all = NULL;
	size_t models, n = 0;

	entries = mem_alloc((snapshot_count(&f->store) + 1) * sizeof(*entries));
	all = store_sorted(&f->store, &models);
	for (size_t i = 0; i < models; i++)
		list_for_each (l, &all[i]->versions)
			entries[n++] = snapshot_entry(all[i],
						      container_of(l, struct version, link));
	model_list_write_snapshot(out, name, clock_wall_ns() / NS_PER_MS, entries, n);
}

/* model_snapshot comes last: a text that was cut short is known by having none. */
static void snapshot_compose(const struct fleet *f, const char *name, struct buf *out)
{
	_cleanup_(buf_finish) struct buf models = BUF_INIT(PROPERTIES_TEXT_MAX);

	buf_puts(out, "# Written by sconce " SCONCE_VERSION
		      ", and read at the next start unless --ts-config names a file.\n");
	settings_write_properties(f->settings, out);
	snapshot_put_models(f, name, &models);
	properties_put(out, SLICE("model_snapshot"), buf_slice(&models));
	if (buf_overflowed(&models))
		out->overflowed = true;
}

/* ---- writing it ---- */

static void snapshots_due(uv_timer_t *t);

static void snapshot_run(struct work *w)
{
	struct snapshot_write *x = container_of(w, struct snapshot_write, work);

	x->error = snapshot_files_write(x->folder, x->name, buf_slice(&x->text));
}

static void snapshots_tell(struct snapshots *s, uint64_t recorded)
{
	struct list *n;

	s->recorded = MAX(s->recorded, recorded);
	while ((n = list_first(&s->waiters))) {
		struct snapshot_wait *w = container_of(n, struct snapshot_wait, link);

		if (w->changes > s->recorded)
			return;
		list_remove(n);
		w->done(w->arg);
		free(w);
	}
}

static void snapshot_over(struct snapshot_write *x)
{
	struct snapshots *s = x->snapshots;
	uint64_t changes = x->changes;

	buf_finish(&x->text);
	free(x->folder);
	free(x->name);
	free(x);
	s->writing = false;
	/* First what has changed meanwhile: who is told may look no further than to the newest. */
	if (s->changes > changes && !s->fleet->stopping)
		uv_timer_start(&s->soon, snapshots_due, 0, 0);
	snapshots_tell(s, changes);
}

static void snapshot_done(struct work *w)
{
	struct snapshot_write *x = container_of(w, struct snapshot_write, work);

	if (x->error)
		log_error("The snapshot %s/%s could not be written: %s", x->folder, x->name,
			  strerror(-x->error));
	snapshot_over(x);
}

static void snapshots_start(struct snapshots *s, const char *kind)
{
	struct snapshot_write *x;

	if (!s->folder || !s->loaded)
		return;
	x = mem_new(struct snapshot_write);
	x->snapshots = s;
	x->changes = s->changes;
	x->folder = mem_strdup(s->folder);
	x->name = snapshot_name_make(kind, clock_wall_ns() / NS_PER_MS, s->last);
	buf_init(&x->text, PROPERTIES_TEXT_MAX);
	free(s->last);
	s->last = mem_strdup(x->name);
	s->writing = true;
	snapshot_compose(s->fleet, x->name, &x->text);
	if (buf_overflowed(&x->text)) {
		log_error("The snapshot %s would be longer than %zu bytes and is not written",
			  x->name, PROPERTIES_TEXT_MAX);
		snapshot_over(x);
		return;
	}
	lane_add(&s->writes, &x->work, snapshot_run, snapshot_done);
}

static void snapshots_due(uv_timer_t *t)
{
	struct snapshots *s = t->data;

	TURN(t);
	if (!s->writing)
		snapshots_start(s, "snapshot");
}

static void snapshots_changed(void *arg)
{
	struct snapshots *s = arg;

	s->changes++;
	if (s->loaded && !s->writing)
		uv_timer_start(&s->soon, snapshots_due, 0, 0);
}

/* While the start loads its models nothing is recorded, and so nothing to be waited for. */
static void snapshots_recorded(void *arg, void (*done)(void *arg), void *done_arg)
{
	struct snapshots *s = arg;
	struct snapshot_wait *w;

	if (!s->loaded || s->recorded >= s->changes) {
		done(done_arg);
		return;
	}
	w = mem_new(struct snapshot_wait);
	w->changes = s->changes;
	w->done = done;
	w->arg = done_arg;
	list_push_back(&s->waiters, &w->link);
}

/* ---- life ---- */

/* Names of this run must be above those of earlier ones. */
static char *snapshots_newest(const char *folder)
{
	struct snapshot_files f;
	char *newest = NULL;

	snapshot_files_list(&f, folder);
	for (size_t i = 0; i < f.n && !newest; i++)
		if (snapshot_name_is(f.names[i]))
			newest = mem_strdup(f.names[i]);
	snapshot_files_finish(&f);
	return newest;
}

void snapshots_init(struct snapshots *s, struct fleet *fleet)
{
	const struct settings *set = fleet->settings;

	*s = (struct snapshots){ .fleet = fleet };
	lane_init(&s->writes, fleet->loop);
	uv_timer_init(fleet->loop, &s->soon);
	s->soon.data = s;
	list_init(&s->waiters);
	if (set->no_config_snapshots)
		return;
	s->folder = mem_printf("%s/config", set->log_location ? set->log_location : "logs");
	snapshot_files_sweep(s->folder);
	s->last = snapshots_newest(s->folder);
	fleet->changed = snapshots_changed;
	fleet->recorded = snapshots_recorded;
	fleet->changed_arg = s;
}

void snapshots_begin(struct snapshots *s)
{
	if (s->fleet->draining)
		return;
	s->loaded = true;
	snapshots_start(s, "startup");
}

void snapshots_end(struct snapshots *s)
{
	uv_timer_stop(&s->soon);
	snapshots_start(s, "shutdown");
}

void snapshots_finish(struct snapshots *s)
{
	assert(list_empty(&s->waiters));
	lane_finish(&s->writes);
	free(s->folder);
	free(s->last);
}
