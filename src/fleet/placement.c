/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/placement.h"

#include "fleet/fleet.h"
#include "fleet/ranks.h"
#include "fleet/worker.h"
#include "log/log.h"

/* parallelLevel counts only where a parallelType says what for. */
static unsigned placement_level(const struct manifest *m)
{
	return m->parallel_type.n && m->parallel_level > 0
		       ? (unsigned)MIN(m->parallel_level, DEVICES_MAX)
		       : 0;
}

void placement_configure(struct version *v)
{
	const struct manifest *m = &v->manifest;

	if (!devices_choose(&v->devices, m->device_type, m->device_ids, placement_level(m),
			    v->fleet->gpus.n))
		log_warn("Model %s: deviceIds [%.*s] is ignored: there %s %u GPU%s (the first is "
			 "0)",
			 v->model_name, SLICE_ARG(m->device_ids),
			 v->fleet->gpus.n == 1 ? "is" : "are", v->fleet->gpus.n,
			 v->fleet->gpus.n == 1 ? "" : "s");
}

static void placement_count(const struct version *other, const struct version *v,
			    struct devices_load *load)
{
	list_for_each (n, &other->workers)
		devices_count(&other->devices, container_of(n, struct worker, link)->slot,
			      other == v, load);
}

void placement_load(const struct version *v, struct devices_load *load)
{
	const struct fleet *f = v->fleet;

	map_for_each (e, &f->store.models) {
		struct model *m = e->value;

		list_for_each (l, &m->versions)
			placement_count(container_of(l, struct version, link), v, load);
	}
	list_for_each (l, &f->retired)
		placement_count(container_of(l, struct version, link), v, load);
}

int placement_pick(const struct version *v, struct devices_load *load)
{
	int slot = devices_pick(&v->devices, load);

	devices_count(&v->devices, slot, true, load);
	return slot;
}

unsigned placement_cap(const struct version *v, unsigned wanted)
{
	unsigned capacity = devices_capacity(&v->devices);

	if (v->native && wanted > FRAME_INSTANCES_MAX) {
		log_warn("Model %s: %d workers instead of %u: an engine has no more instances",
			 v->model_name, FRAME_INSTANCES_MAX, wanted);
		wanted = FRAME_INSTANCES_MAX;
	}
	if (ranks_nodes(&v->manifest, &v->devices) > 1 && wanted > 1) {
		log_warn("Model %s: one worker instead of %u, for it spans %u nodes", v->model_name,
			 wanted, ranks_nodes(&v->manifest, &v->devices));
		wanted = 1;
	}
	if (wanted > capacity)
		log_warn("Model %s: %u workers instead of %u, for each takes %u of %u GPUs",
			 v->model_name, capacity, wanted, v->devices.level, v->devices.n);
	return MIN(wanted, capacity);
}

int placement_gpu(const struct worker *w)
{
	return w->slot >= 0 ? w->model.devices->ids[w->slot] : DEVICES_NONE;
}

int placement_gpu_seen(const struct worker *w)
{
	return w->slot >= 0 && w->model.devices->level ? 0 : placement_gpu(w);
}

void placement_put_visible(const struct worker *w, struct buf *out)
{
	const struct devices *d = w->model.devices;

	if (w->slot >= 0 && d->level)
		gpus_put_visible(w->shared->gpus, &d->ids[w->slot], d->level, out);
}
