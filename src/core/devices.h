/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which GPU a worker gets. A model may choose from all of them or from its deviceIds; a worker
 * takes one, or, with a parallelLevel, that many neighbours. A worker goes where the fewest of its
 * own version are, then where the fewest are at all: the first worker gets the first GPU, and what
 * scaling down has left free is filled again.
 *
 * Pure: no clock, lock or I/O.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define DEVICES_MAX 64
#define DEVICES_NONE (-1)

/* What the workers of one version may use. */
struct devices {
	bool gpu;       /* deviceType: gpu, and there is one */
	bool pinned;    /* `ids` is the model's own list */
	unsigned level; /* GPUs of one worker that it shares with nobody of its version; 0: one */
	unsigned n;     /* of ids */
	uint16_t ids[DEVICES_MAX];
};

/* How many workers use a GPU, by its id. */
struct devices_load {
	unsigned own[DEVICES_MAX], all[DEVICES_MAX];
};

/* `type`: "cpu", "gpu" or empty; `ids`: numbers with commas; `n_gpus`: how many there are. False:
 * `ids` names a GPU that does not exist, and counts as not given. */
bool devices_choose(struct devices *d, struct slice type, struct slice ids, unsigned level,
		    unsigned n_gpus);
/* How many workers may be there at once; UINT_MAX: any number. */
unsigned devices_capacity(const struct devices *d);
/* Where in `ids` the next worker's GPUs begin; DEVICES_NONE: it gets none. */
int devices_pick(const struct devices *d, const struct devices_load *load);
/* A worker of `d` that got `slot` is there. */
void devices_count(const struct devices *d, int slot, bool own, struct devices_load *load);

/* How many of `n_gpus` a list like CUDA_VISIBLE_DEVICES leaves, as the drivers read it: up to the
 * first entry that is no GPU. What is not a number (a UUID) is taken at its word. The entries go to
 * `out`. */
unsigned devices_visible(struct slice list, unsigned n_gpus, struct slice out[DEVICES_MAX]);
