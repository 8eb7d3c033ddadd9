/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/share.h"

#include <stdlib.h>

#include "base/util.h"
#include "core/cores.h"
#include "fleet/fleet.h"
#include "fleet/register.h"
#include "fleet/version.h"

#define SHARE_THREADS_MAX 4096

static void share_count_one(void *arg, const struct registering_view *view)
{
	(void)view;
	++*(unsigned *)arg;
}

/* That are there, and their workers. */
static unsigned share_count(const struct fleet *f, unsigned *ret_workers)
{
	unsigned n = 0;

	*ret_workers = 0;
	map_for_each (e, &f->store.models) {
		struct model *m = e->value;

		list_for_each (l, &m->versions) {
			*ret_workers += container_of(l, struct version, link)->min_workers;
			n++;
		}
	}
	return n;
}

unsigned share_workers(const struct fleet *f, const struct version *v)
{
	unsigned workers, models;

	if (f->gpus.n)
		return f->gpus.n;
	if (!v || v->manifest.serving_threads < 0)
		return f->cpus;
	models = share_count(f, &workers);
	/* Those that are about to be there count, too: models of one start come one by one. */
	fleet_registering(f, share_count_one, &models);
	return cores_workers(f->cpus, models, (unsigned)v->manifest.serving_threads);
}

unsigned share_threads(const struct fleet *f)
{
	uint64_t wanted;
	unsigned workers;

	if (f->settings->threads_per_worker)
		return (unsigned)f->settings->threads_per_worker;
	if (slice_u64(slice_str(getenv("OMP_NUM_THREADS")), &wanted) && wanted &&
	    wanted <= SHARE_THREADS_MAX)
		return (unsigned)wanted;
	share_count(f, &workers);
	return cores_threads(f->cpus, workers);
}
