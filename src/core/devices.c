/* SPDX-License-Identifier: Apache-2.0 */
#include "core/devices.h"

#include <limits.h>
#include <string.h>

#include "base/util.h"

static bool devices_read_ids(struct devices *d, struct slice ids, unsigned n_gpus)
{
	uint64_t id;

	while (ids.p) {
		if (!slice_u64(slice_trim(slice_cut(&ids, ',')), &id) || id >= n_gpus ||
		    d->n == DEVICES_MAX)
			return false;
		d->ids[d->n++] = (uint16_t)id;
	}
	return true;
}

bool devices_choose(struct devices *d, struct slice type, struct slice ids, unsigned level,
		    unsigned n_gpus)
{
	bool valid = true;

	*d = (struct devices){ .level = level };
	n_gpus = MIN(n_gpus, DEVICES_MAX);
	if (ids.n) {
		valid = devices_read_ids(d, ids, n_gpus);
		d->pinned = valid;
	}
	d->gpu = n_gpus && !slice_ieq(type, SLICE("cpu"));
	if (d->pinned)
		return true;
	d->n = d->gpu ? n_gpus : 0;
	for (unsigned i = 0; i < d->n; i++)
		d->ids[i] = (uint16_t)i;
	return valid;
}

static unsigned devices_step(const struct devices *d)
{
	return MAX(d->level, 1);
}

unsigned devices_capacity(const struct devices *d)
{
	return d->gpu && d->level ? d->n / d->level : UINT_MAX;
}

int devices_pick(const struct devices *d, const struct devices_load *load)
{
	unsigned step = devices_step(d), best_own = UINT_MAX, best_all = UINT_MAX;
	int best = DEVICES_NONE;

	for (unsigned at = 0; d->gpu && at + step <= d->n; at += step) {
		unsigned own = 0, all = 0;

		for (unsigned i = at; i < at + step; i++) {
			own += load->own[d->ids[i]];
			all += load->all[d->ids[i]];
		}
		if (own > best_own || (own == best_own && all >= best_all))
			continue;
		best = (int)at;
		best_own = own;
		best_all = all;
	}
	return best;
}

void devices_count(const struct devices *d, int slot, bool own, struct devices_load *load)
{
	for (unsigned i = 0; slot >= 0 && i < devices_step(d); i++) {
		load->all[d->ids[(unsigned)slot + i]]++;
		load->own[d->ids[(unsigned)slot + i]] += own;
	}
}

unsigned devices_visible(struct slice list, unsigned n_gpus, struct slice out[DEVICES_MAX])
{
	unsigned n = 0;
	uint64_t number;

	while (list.p && n < MIN(n_gpus, DEVICES_MAX)) {
		struct slice entry = slice_trim(slice_cut(&list, ','));
		bool numeric = entry.n &&
			       (entry.p[0] == '-' || (entry.p[0] >= '0' && entry.p[0] <= '9'));

		if (!entry.n || (numeric && (!slice_u64(entry, &number) || number >= n_gpus)))
			break;
		out[n++] = entry;
	}
	return n;
}
