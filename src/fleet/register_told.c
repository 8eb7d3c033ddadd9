/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/registering.h"

#include <stdio.h>

#include "base/clock.h"
#include "log/log.h"

/* Registrations on their way, seen by others: who is not interested any more, and who asks. */

void registering_leave(struct registering *g)
{
	g->done = NULL;
	g->left = true;
	if (g->step == STEP_DOWNLOAD && g->job)
		job_cancel(g->job);
}

/* Each says so itself at its next step. */
static void registering_stop(struct registering *g)
{
	static const struct outcome stopping = {
		503, "ServiceUnavailableException",
		"The server is stopping, and the model is not registered"
	};
	void (*done)(void *arg, const struct outcome *o) = g->done;

	/* What is to be said is so: it is being recorded. */
	if (g->text || g->wish.at_startup)
		return;
	g->done = NULL;
	g->left = true;
	if (done)
		done(g->arg, &stopping);
	if (g->job)
		job_cancel(g->job); /* may be its end */
}

void fleet_stop_registering(struct fleet *f)
{
	list_for_each_safe (n, &f->registering)
		registering_stop(container_of(n, struct registering, link));
}

/* ---- whose file system does not answer ---- */

/* It ends when its thread comes back, if ever; who asked is told now. */
static void registering_give_up(struct registering *g)
{
	unsigned long long limit_s = g->fleet->settings->unpack_stall_timeout;
	void (*done)(void *arg, const struct outcome *o) = g->done;
	char text[160];

	snprintf(text, sizeof(text), REGISTERING_STUCK, limit_s);
	log_warn("Registering %s failed: %s", g->url, text);
	g->given_up = true;
	g->done = NULL;
	g->left = true;
	if (done)
		done(g->arg, &(struct outcome){ 500, "InternalServerException", text });
}

void fleet_registering_tick(struct fleet *f, uint64_t now_ns)
{
	uint64_t limit_ns = f->settings->unpack_stall_timeout * NS_PER_S;

	list_for_each (n, &f->registering) {
		struct registering *g = container_of(n, struct registering, link);

		/* Of those of the start many may wait for each other. */
		if (g->work_ns && now_ns - g->work_ns > limit_ns && !g->given_up &&
		    !g->wish.at_startup)
			registering_give_up(g);
	}
}

/* ---- what can be told of it meanwhile ---- */

struct registering_phase {
	const char *status, *phase;
};

static const struct registering_phase *registering_phase(const struct registering *g)
{
	static const struct registering_phase phases[] = {
		[STEP_LOOK_UP] = { "WAITING", "it waits to be loaded" },
		[STEP_DOWNLOAD] = { "DOWNLOADING", "it is being downloaded" },
		[STEP_UNPACK] = { "UNPACKING", "it is being unpacked" },
		[STEP_INSTALL] = { "INSTALLING", "its packages are being installed" },
	};

	return &phases[g->job && job_waits(g->job) ? STEP_LOOK_UP : g->step];
}

void fleet_registering(const struct fleet *f,
		       void (*tell)(void *arg, const struct registering_view *view), void *arg)
{
	list_for_each (n, &f->registering) {
		const struct registering *g = container_of(n, struct registering, link);

		if (g->step == STEP_KNOWN)
			continue;
		tell(arg,
		     &(struct registering_view){
			     .name = g->version_model ? g->version_model : g->name,
			     .version = g->version_name,
			     .url = g->url,
			     .status = registering_phase(g)->status,
			     .phase = registering_phase(g)->phase,
			     .progress = g->job ? job_progress(g->job) : (struct progress){ 0 },
			     .workers = registering_default_workers(g, NULL),
			     .at_startup = g->wish.at_startup });
	}
}
