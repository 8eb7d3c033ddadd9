/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ready.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fleet/register.h"
#include "fleet/sources.h"
#include "fleet/worker.h"

#define READY_MIB 1048576.0

void ready_init(struct ready *r, const struct fleet *fleet)
{
	r->fleet = fleet;
	list_init(&r->absent);
}

void ready_finish(struct ready *r)
{
	list_for_each_safe (n, &r->absent) {
		struct absent *a = container_of(n, struct absent, link);

		list_remove(&a->link);
		free(a->what);
		free(a->name);
		free(a->why);
		free(a);
	}
}

void ready_failed(struct ready *r, const char *what, const char *why)
{
	struct absent *a;

	list_for_each (n, &r->absent) {
		a = container_of(n, struct absent, link);
		if (strcmp(a->what, what) == 0) {
			free(a->why);
			a->why = mem_strdup(why);
			return;
		}
	}
	a = mem_new(struct absent);
	a->what = mem_strdup(what);
	a->name = slice_dup(source_stem(what));
	a->why = mem_strdup(why);
	list_push_back(&r->absent, &a->link);
}

/* Somebody may have registered one of its name since. */
static bool ready_is_absent(const struct ready *r, const struct absent *a)
{
	return !store_model(&r->fleet->store, slice_str(a->name));
}

const char *ready_absence(const struct ready *r, struct slice model)
{
	list_for_each (n, &r->absent) {
		const struct absent *a = container_of(n, struct absent, link);

		if (slice_eq(slice_str(a->name), model))
			return a->why;
	}
	return NULL;
}

bool ready_why_not(const struct model *m, struct buf *why)
{
	const struct version *v = m->default_version;
	const char *trouble;
	unsigned given_up = 0;

	if (!v || !v->min_workers || version_ready_workers(v))
		return false;
	if (!m->loaded_at_startup && v->state == VERSION_LOADING)
		return false;
	trouble = version_trouble(v);
	list_for_each (n, &v->workers)
		given_up += container_of(n, struct worker, link)->state == WORKER_FAILED;
	if (given_up == version_processes(v, v->min_workers))
		buf_puts(why, "its workers were given up");
	else if (trouble)
		buf_puts(why, "it does not load");
	else if (v->state == VERSION_LOADING)
		buf_puts(why, "it is being loaded");
	else
		buf_puts(why, "its workers are being restarted");
	if (trouble)
		buf_printf(why, ": %s", trouble);
	return true;
}

struct ready_telling {
	void (*tell)(void *arg, const char *model, const char *version, const char *why);
	void *arg;
	bool ready;
};

static void ready_tell(struct ready_telling *t, const char *model, const char *version,
		       const char *why)
{
	t->ready = false;
	if (t->tell)
		t->tell(t->arg, model, version, why);
}

/* "it is being unpacked: 12.5 of 40.0 MiB" */
static void ready_registering(void *arg, const struct registering_view *v)
{
	const struct progress *p = &v->progress;
	struct buf why = BUF_INIT(256);

	if (!v->at_startup)
		return;
	buf_printf(&why, "%s", v->phase);
	if (p->total)
		buf_printf(&why, ": %.1f of %.1f MiB", (double)p->done / READY_MIB,
			   (double)p->total / READY_MIB);
	else if (p->done)
		buf_printf(&why, ": %.1f MiB", (double)p->done / READY_MIB);
	ready_tell(arg, v->name, v->version, buf_cstr(&why));
	buf_finish(&why);
}

void ready_each_absent(const struct ready *r, void *arg,
		       void (*tell)(void *arg, const struct absent *a))
{
	list_for_each (n, &r->absent) {
		const struct absent *a = container_of(n, struct absent, link);

		if (ready_is_absent(r, a))
			tell(arg, a);
	}
}

bool ready_check(const struct ready *r, void *arg,
		 void (*tell)(void *arg, const char *model, const char *version, const char *why))
{
	struct ready_telling t = { .tell = tell, .arg = arg, .ready = true };

	list_for_each (n, &r->absent) {
		const struct absent *a = container_of(n, struct absent, link);

		if (ready_is_absent(r, a))
			ready_tell(&t, a->what, NULL, a->why);
	}
	fleet_registering(r->fleet, ready_registering, &t);
	map_for_each (e, &r->fleet->store.models) {
		const struct model *m = e->value;
		struct buf why = BUF_INIT(2 * VERSION_FAILURE_MAX);

		if (ready_why_not(m, &why))
			ready_tell(&t, m->name, m->default_version->name, buf_cstr(&why));
		buf_finish(&why);
	}
	return t.ready;
}
