/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ready.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fleet/worker.h"

void ready_init(struct ready *r, const struct fleet *fleet)
{
	r->fleet = fleet;
	list_init(&r->awaited);
}

static void awaited_free(struct awaited *a)
{
	list_remove(&a->link);
	free(a->what);
	free(a->why);
	free(a);
}

void ready_finish(struct ready *r)
{
	list_for_each_safe (n, &r->awaited)
		awaited_free(container_of(n, struct awaited, link));
}

struct awaited *ready_await(struct ready *r, struct slice what)
{
	struct awaited *a = mem_new(struct awaited);

	a->what = slice_dup(what);
	list_push_back(&r->awaited, &a->link);
	return a;
}

void ready_arrived(struct awaited *a, const char *why)
{
	if (why)
		a->why = mem_strdup(why);
	else
		awaited_free(a);
}

/* NULL: it answers, or nobody waits for it. */
static const char *ready_why_not(const struct model *m)
{
	const struct version *v = m->default_version;
	unsigned given_up = 0;

	if (!v || !v->min_workers || version_ready_workers(v))
		return NULL;
	if (!m->loaded_at_startup && v->state == VERSION_LOADING)
		return NULL;
	list_for_each (n, &v->workers)
		given_up += container_of(n, struct worker, link)->state == WORKER_FAILED;
	if (given_up == v->min_workers)
		return "its workers were given up";
	return v->state == VERSION_LOADING ? "it is being loaded"
					   : "its workers are being restarted";
}

bool ready_check(const struct ready *r, void *arg,
		 void (*tell)(void *arg, const char *model, const char *version, const char *why))
{
	bool ready = true;

	list_for_each (n, &r->awaited) {
		const struct awaited *a = container_of(n, struct awaited, link);

		ready = false;
		if (tell)
			tell(arg, a->what, NULL, a->why ? a->why : "it is being loaded");
	}
	map_for_each (e, &r->fleet->store.models) {
		const struct model *m = e->value;
		const char *why = ready_why_not(m);

		if (!why)
			continue;
		ready = false;
		if (tell)
			tell(arg, m->name, m->default_version->name, why);
	}
	return ready;
}
