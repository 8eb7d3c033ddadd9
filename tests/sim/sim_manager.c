/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

/*
 * Who scales models while he looks at what their workers do. A worker that is taken away is the one
 * with the least to do, so one goes with a sequence half-way only when all of them have one: this
 * waits for that. And he begins anew with all of them while one has the first request of a
 * sequence: what that leaves behind, the others do not have.
 */

#include <string.h>

#define MANAGER_WORKERS 3 /* what a model is given again */

static bool manager_sees_sequence(const struct process *p)
{
	list_for_each (l, &p->jobs)
		if (container_of(l, struct process_job, link)->sequence[0])
			return true;
	return false;
}

static bool manager_sees_first(const struct process *p)
{
	list_for_each (l, &p->jobs) {
		const struct process_job *j = container_of(l, struct process_job, link);

		if (j->lane && !j->pieces_sent && !p->state_ns[j->lane])
			return true;
	}
	return false;
}

static bool manager_is_of(const struct process *p, const struct sim_model *m)
{
	return !p->killed && !p->leaving && strcmp(p->worker->model.name, m->name) == 0 &&
	       strcmp(p->worker->model.version, m->version) == 0;
}

void manager_step(struct sim *s)
{
	const struct sim_model *m =
		&s->models[s->weather.talks ? 0 : random_below(&s->random, s->n_models)];
	unsigned n = 0, busy = 0, first = 0;

	if (!m->sequences || s->n_clients >= SIM_CLIENTS_MAX)
		return;
	list_for_each (l, &s->processes) {
		const struct process *p = container_of(l, struct process, link);

		if (!manager_is_of(p, m))
			continue;
		n++;
		busy += manager_sees_sequence(p);
		first += manager_sees_first(p);
	}
	if (first && random_chance(&s->random, 100))
		client_scale(s, m, 0, MANAGER_WORKERS);
	else if (n > 1 && busy == n)
		client_scale(s, m, n - 1, 0);
	else if (n < 2 && random_chance(&s->random, 20))
		client_scale(s, m, MANAGER_WORKERS, 0);
}
