/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/work.h"

#include <assert.h>

#include "base/util.h"
#include "loop/turn.h"

static void work_run(uv_work_t *r)
{
	struct work *w = container_of(r, struct work, request);

	w->run(w);
}

static void work_queue(uv_loop_t *loop, struct work *w);

/* `done` may free the work and add more to its lane, which is still taken then. */
static void work_ran(uv_work_t *r, int status)
{
	struct work *w = container_of(r, struct work, request);
	struct lane *l = w->lane;
	work_fn *done = w->done;

	assert(status == 0); /* nobody has cancelled it */
	w->done = NULL;
	turn_mark(r->loop, w->name);
	done(w);
	if (!l)
		return;
	assert(l->n > 0);
	l->n--;
	if (!list_empty(&l->waiting))
		work_queue(l->loop, container_of(list_pop(&l->waiting), struct work, link));
}

static void work_queue(uv_loop_t *loop, struct work *w)
{
	int r = uv_queue_work(loop, &w->request, work_run, work_ran);

	assert(r == 0); /* the only failure is a missing function */
	(void)r;
}

static void work_init(struct work *w, struct lane *l, work_fn *run, work_fn *done, const char *name)
{
	assert(run && done);
	w->lane = l;
	w->run = run;
	w->done = done;
	w->name = name;
	list_init(&w->link);
}

void work_start_named(uv_loop_t *loop, struct work *w, work_fn *run, work_fn *done,
		      const char *name)
{
	work_init(w, NULL, run, done, name);
	work_queue(loop, w);
}

void lane_init(struct lane *l, uv_loop_t *loop)
{
	lane_init_wide(l, loop, 1);
}

void lane_init_wide(struct lane *l, uv_loop_t *loop, unsigned places)
{
	l->loop = loop;
	list_init(&l->waiting);
	l->n = 0;
	l->places = places;
}

void lane_add_named(struct lane *l, struct work *w, work_fn *run, work_fn *done, const char *name)
{
	work_init(w, l, run, done, name);
	if (l->n++ >= l->places)
		list_push_back(&l->waiting, &w->link);
	else
		work_queue(l->loop, w);
}

void lane_finish(struct lane *l)
{
	assert(l->n == 0 && list_empty(&l->waiting));
}
