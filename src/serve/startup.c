/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/startup.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "fleet/register.h"
#include "fleet/sources.h"
#include "log/log.h"

struct startup {
	struct fleet *fleet;
	struct ready *ready;
	unsigned unknown, left; /* that are not in the store; that have not reported. 1 more while
				 * they are being begun */
	void (*known)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct loading {
	struct startup *startup;
	char *what;
};

static void startup_known_one(struct startup *s)
{
	if (!--s->unknown)
		s->known(s->arg);
}

static void startup_finish_one(struct startup *s)
{
	if (--s->left)
		return;
	s->done(s->arg);
	free(s);
}

static void startup_known(void *arg, const char *failed)
{
	struct loading *l = arg;

	if (failed)
		ready_failed(l->startup->ready, l->what, failed);
	startup_known_one(l->startup);
}

static void startup_loaded(void *arg, const struct outcome *o)
{
	struct loading *l = arg;
	struct startup *s = l->startup;

	if (o->type)
		log_error("A model could not be loaded at start: %s", o->message);
	else
		log_info("%s", o->message);
	free(l->what);
	free(l);
	startup_finish_one(s);
}

/* `r` says what to load; the rest is the same for all. */
static void startup_register(struct startup *s, struct registration *r)
{
	struct loading *l = mem_new(struct loading);

	r->batch_size = r->max_batch_delay_ms = r->initial_workers = -1;
	r->response_timeout_s = r->startup_timeout_s = r->latency_goal_ms = -1;
	r->synchronous = r->at_startup = true;
	r->known = startup_known;
	r->known_arg = l;
	l->startup = s;
	l->what = slice_dup(r->model_name.n ? r->model_name : r->url);
	s->unknown++;
	s->left++;
	fleet_register(s->fleet, r, startup_loaded, l);
}

/* ---- load_models ---- */

static void startup_load(struct startup *s, struct slice name, struct slice url)
{
	startup_register(s, &(struct registration){ .url = url, .model_name = name });
}

static void startup_load_all(struct startup *s)
{
	size_t n;
	char **all = source_list(s->fleet->settings, &n);

	for (size_t i = 0; i < n; i++) {
		startup_load(s, SLICE_NULL, slice_str(all[i]));
		free(all[i]);
	}
	free(all);
}

static void startup_load_list(struct startup *s, struct slice rest)
{
	while (rest.p) {
		struct slice item = slice_trim(slice_cut(&rest, ','));
		ptrdiff_t at = slice_find(item, '=');

		if (!item.n || slice_ieq(item, SLICE("none")))
			continue;
		if (at < 0)
			startup_load(s, SLICE_NULL, item);
		else
			startup_load(
				s, slice_trim(slice_make(item.p, (size_t)at)),
				slice_trim(slice_make(item.p + at + 1, item.n - (size_t)at - 1)));
	}
}

/* ---- model_snapshot ---- */

static struct slice restored_url(const struct model_entry *e)
{
	return e->url.n ? e->url : e->mar_name;
}

static bool startup_is_there(const struct settings *s, const struct model_entry *e)
{
	_cleanup_(freep) char *url = slice_dup(restored_url(e));
	struct source source;
	bool there;

	source_resolve(s, url, s->tmp_dir, &source);
	there = source.path || source.download;
	source_finish(&source);
	return there;
}

static int startup_check_store(const struct settings *s, struct buf *why)
{
	DIR *dir = s->model_store ? opendir(s->model_store) : NULL;
	int error = errno;

	if (dir)
		closedir(dir);
	if (!s->model_store || (dir && access(s->model_store, X_OK) == 0))
		return 0;
	error = dir ? errno : error;
	settings_put_head(s, "model_store", why);
	buf_printf(why, "the folder %s cannot be read: %s", s->model_store, strerror(error));
	return -error;
}

int startup_check(const struct settings *s, struct buf *why)
{
	_cleanup_(model_list_finish) struct model_list l;
	int r = model_list_parse(&l, MODEL_LIST_SNAPSHOT, slice_str(s->model_snapshot), why, NULL);

	if (!r)
		r = startup_check_store(s, why);
	for (size_t i = 0; i < l.n && !r; i++) {
		const struct model_entry *e = &l.entries[i];

		if (startup_is_there(s, e))
			continue;
		buf_printf(why,
			   "InvalidSnapshotException: Model archive file for model :%.*s, version "
			   ":%.*s not found in model store (%.*s; --ncs starts without the "
			   "snapshot)",
			   SLICE_ARG(e->model), SLICE_ARG(e->version), SLICE_ARG(restored_url(e)));
		r = -ENOENT;
	}
	return r;
}

static void startup_restore(struct startup *s, const struct model_entry *e)
{
	startup_register(s, &(struct registration){ .url = restored_url(e),
						    .model_name = e->model,
						    .handler = e->handler,
						    .runtime = e->runtime,
						    .make_default = e->is_default,
						    .restore = &e->parameters });
}

static void startup_restore_all(struct startup *s)
{
	const struct settings *set = s->fleet->settings;
	_cleanup_(model_list_finish) struct model_list l;

	model_list_parse(&l, MODEL_LIST_SNAPSHOT, slice_str(set->model_snapshot),
			 &(struct buf){ 0 }, NULL);
	log_info("Started restoring models from snapshot %s",
		 set->snapshot_file ? set->snapshot_file
		 : set->config_file ? set->config_file
				    : "model_snapshot");
	if (set->load_models)
		log_warn("load_models is not used: the snapshot says which models to load. Start "
			 "with --ncs (no_config_snapshots) to start without it");
	for (size_t i = 0; i < l.n; i++)
		startup_restore(s, &l.entries[i]);
}

void startup_load_models(struct fleet *f, struct ready *ready, void (*known)(void *arg),
			 void (*done)(void *arg), void *arg)
{
	struct startup *s = mem_new(struct startup);
	struct slice wanted = slice_str(f->settings->load_models);

	*s = (struct startup){ .fleet = f,
			       .ready = ready,
			       .unknown = 1,
			       .left = 1,
			       .known = known,
			       .done = done,
			       .arg = arg };
	if (f->settings->model_snapshot)
		startup_restore_all(s);
	else if (slice_ieq(wanted, SLICE("all")))
		startup_load_all(s);
	else
		startup_load_list(s, wanted);
	startup_known_one(s);
	startup_finish_one(s);
}
