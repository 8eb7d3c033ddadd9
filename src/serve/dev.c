/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/dev.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ready.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fleet/fleet.h"
#include "fleet/register.h"
#include "loop/turn.h"
#include "loop/work.h"
#include "serve/watch.h"

#define DEV_RETIRE_MS 300000 /* somebody may sit at a prompt of the debugger */
#define DEV_LOOK_MS 200      /* for workers that have died */

#define GREEN "32"
#define RED "31"
#define DIM "2"

struct dev {
	struct fleet *fleet;
	struct ready *ready; /* is told why there is no version, for who asks the server */
	const struct dev_plan *plan;
	struct watch *watch;
	struct work work;
	struct buf why; /* of the stage */
	uv_timer_t *look;
	struct version *current; /* NULL: none could be loaded yet */
	unsigned deaths;         /* of its workers, that were told */
	unsigned loads;
	uint64_t began_ns;
	bool loading, again, over;
	void (*first)(void *arg); /* NULL: it was called */
	void *arg;
};

static void dev_say(const struct dev *d, const char *colour, const char *fmt, ...) _printf_(3, 4);

static void dev_say(const struct dev *d, const char *colour, const char *fmt, ...)
{
	va_list args;

	if (d->plan->colour)
		printf("\033[%sm", colour);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	puts(d->plan->colour ? "\033[0m" : "");
	fflush(stdout);
}

/* ---- a load ---- */

static void dev_load(struct dev *d);

static void dev_free(struct dev *d)
{
	buf_finish(&d->why);
	free(d);
}

static void dev_loaded(struct dev *d)
{
	d->loading = false;
	if (d->first)
		d->first(d->arg);
	d->first = NULL;
	if (d->over)
		dev_free(d);
	else if (TAKE(d->again))
		dev_load(d);
}

static void dev_failed(struct dev *d, const char *message)
{
	/* Why a worker did not start it has told itself, in full. */
	bool told = strncmp(message, "Failed to start workers", 23) == 0;

	dev_say(d, RED, "Not %sloaded%s%s%s.", d->current ? "re" : "", told ? "" : ": ",
		told ? "" : message,
		d->current ? "; the version before it goes on answering"
			   : "; save a change to try again");
	if (!d->current)
		ready_failed(d->ready, d->plan->name ? d->plan->name : d->plan->url, message);
}

/* The version that was registered last: there are no others than ours. */
static struct version *dev_newest(const struct dev *d)
{
	struct version *newest = NULL;

	map_for_each (e, &d->fleet->store.models) {
		struct model *m = e->value;

		list_for_each (n, &m->versions) {
			struct version *v = container_of(n, struct version, link);

			if (!newest || v->order > newest->order)
				newest = v;
		}
	}
	return newest;
}

static void dev_replace(struct dev *d, struct version *v)
{
	struct version *old = d->current;

	model_set_default(v->model, v);
	d->current = v;
	d->deaths = 0;
	if (old && old->state < VERSION_DRAINING)
		version_retire(old, DEV_RETIRE_MS, NULL, NULL);
}

static void dev_registered(void *arg, const struct outcome *o)
{
	struct dev *d = arg;
	double seconds = (double)(clock_now_ns() - d->began_ns) / 1e9;
	struct version *v = o->type ? NULL : dev_newest(d);

	if (d->over || (o->type && d->fleet->draining)) {
		dev_loaded(d);
		return;
	}
	if (v) {
		dev_say(d, GREEN, "%s in %.2f s.", d->current ? "Reloaded" : "Ready", seconds);
		if (!d->current)
			dev_say(d, DIM, "  curl -T FILE %s/predictions/%s", d->plan->address,
				v->model_name);
		dev_replace(d, v);
	} else {
		dev_failed(d, o->type ? o->message : "it has gone");
	}
	dev_loaded(d);
}

static void dev_register(struct dev *d)
{
	_cleanup_(freep) char *suffix = mem_printf("-r%u", d->loads);
	struct registration r = { .url = slice_str(d->plan->url),
				  .model_name = slice_str(d->plan->name),
				  .version_suffix = d->loads > 1 ? slice_str(suffix) : SLICE_NULL,
				  .batch_size = -1,
				  .max_batch_delay_ms = -1,
				  .latency_goal_ms = -1,
				  .initial_workers = 1,
				  .response_timeout_s = -1,
				  .startup_timeout_s = -1,
				  .synchronous = true };

	fleet_register(d->fleet, &r, dev_registered, d);
}

static void dev_stage(struct work *w)
{
	struct dev *d = container_of(w, struct dev, work);

	stage_make(&d->plan->stage, &d->why);
}

static void dev_staged(struct work *w)
{
	struct dev *d = container_of(w, struct dev, work);

	if (d->over || d->fleet->draining) {
		dev_loaded(d);
	} else if (d->why.n) {
		dev_failed(d, buf_cstr(&d->why));
		buf_clear(&d->why);
		dev_loaded(d);
	} else {
		dev_register(d);
	}
}

static void dev_load(struct dev *d)
{
	if (d->loading) {
		d->again = true;
		return;
	}
	d->loading = true;
	d->loads++;
	d->began_ns = clock_now_ns();
	work_start(d->fleet->loop, &d->work, dev_stage, dev_staged);
}

/* ---- what makes it look ---- */

static void dev_changed(void *arg, const char *name)
{
	struct dev *d = arg;

	if (d->fleet->draining)
		return;
	dev_say(d, DIM, "%s changed, loading it again.", name ? name : d->plan->shown);
	dev_load(d);
}

/* A process that ends tells nothing any more: somebody has to. */
static void dev_look(uv_timer_t *t)
{
	struct dev *d = t->data;
	unsigned deaths = 0;

	TURN(t);
	if (!d->current || d->fleet->draining)
		return;
	list_for_each (n, &d->current->workers)
		deaths += container_of(n, struct worker, link)->deaths;
	if (deaths > d->deaths)
		dev_say(d, RED, "The handler's process has ended by itself; it is started again.");
	d->deaths = deaths;
}

static void dev_closed(uv_handle_t *h)
{
	free(h);
}

struct dev *dev_create(struct fleet *f, struct ready *ready, const struct dev_plan *plan,
		       void (*first)(void *arg), void *arg)
{
	struct dev *d = mem_new(struct dev);

	printf("Serving %s on %s; Ctrl-C ends it.\n"
	       "Tokens are off, and only this machine can call it.\n",
	       plan->shown, plan->address);
	fflush(stdout);
	d->fleet = f;
	d->ready = ready;
	d->plan = plan;
	d->first = first;
	d->arg = arg;
	d->why = BUF_INIT(4096);
	d->look = mem_new(uv_timer_t);
	d->look->data = d;
	uv_timer_init(f->loop, d->look);
	uv_timer_start(d->look, dev_look, DEV_LOOK_MS, DEV_LOOK_MS);
	dev_load(d);
	d->watch = watch_create(f->loop, plan->watched, dev_changed, d);
	return d;
}

struct dev *dev_destroy(struct dev *d)
{
	if (!d)
		return NULL;
	watch_destroy(d->watch);
	uv_close((uv_handle_t *)d->look, dev_closed);
	d->over = true;
	d->first = NULL;
	if (!d->loading)
		dev_free(d);
	return NULL;
}
