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
	char *folder, *name;
	struct buf text;
	int error;
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
				.parallel_level = v->devices.level ? (int64_t)v->devices.level
								   : -1 },
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

static void snapshot_run(struct work *w)
{
	struct snapshot_write *x = container_of(w, struct snapshot_write, work);

	x->error = snapshot_files_write(x->folder, x->name, buf_slice(&x->text));
}

static void snapshot_write_free(struct snapshot_write *x)
{
	buf_finish(&x->text);
	free(x->folder);
	free(x->name);
	free(x);
}

static void snapshot_done(struct work *w)
{
	struct snapshot_write *x = container_of(w, struct snapshot_write, work);

	if (x->error)
		log_error("The snapshot %s/%s could not be written: %s", x->folder, x->name,
			  strerror(-x->error));
	snapshot_write_free(x);
}

static void snapshots_write(struct snapshots *s, const char *kind)
{
	struct snapshot_write *x;

	if (!s->folder || !s->loaded)
		return;
	x = mem_new(struct snapshot_write);
	x->folder = mem_strdup(s->folder);
	x->name = snapshot_name_make(kind, clock_wall_ns() / NS_PER_MS, s->last);
	buf_init(&x->text, PROPERTIES_TEXT_MAX);
	free(s->last);
	s->last = mem_strdup(x->name);
	snapshot_compose(s->fleet, x->name, &x->text);
	if (buf_overflowed(&x->text)) {
		log_error("The snapshot %s would be longer than %zu bytes and is not written",
			  x->name, PROPERTIES_TEXT_MAX);
		snapshot_write_free(x);
		return;
	}
	lane_add(&s->writes, &x->work, snapshot_run, snapshot_done);
}

static void snapshots_due(uv_timer_t *t)
{
	TURN(t);
	snapshots_write(t->data, "snapshot");
}

static void snapshots_changed(void *arg)
{
	struct snapshots *s = arg;

	if (s->loaded)
		uv_timer_start(&s->soon, snapshots_due, 0, 0);
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
	if (set->no_config_snapshots)
		return;
	s->folder = mem_printf("%s/config", set->log_location ? set->log_location : "logs");
	snapshot_files_sweep(s->folder);
	s->last = snapshots_newest(s->folder);
	fleet->changed = snapshots_changed;
	fleet->changed_arg = s;
}

void snapshots_begin(struct snapshots *s)
{
	if (s->fleet->stopping)
		return;
	s->loaded = true;
	snapshots_write(s, "startup");
}

void snapshots_end(struct snapshots *s)
{
	uv_timer_stop(&s->soon);
	snapshots_write(s, "shutdown");
}

void snapshots_finish(struct snapshots *s)
{
	lane_finish(&s->writes);
	free(s->folder);
	free(s->last);
}
