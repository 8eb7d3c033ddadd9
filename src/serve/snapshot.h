/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Configuration snapshots: the settings that were given and the models there are, written to
 * <log_location>/config when the server has loaded its models, after every change, and at its end;
 * the next start reads the newest. A thread of libuv's pool does the writing, the loop only
 * composes the text. Changes that come while one is being written make one more. Until everything
 * that start-up was asked to load has been tried, nothing is written: a snapshot of half the models
 * would lose the other half. Loop thread only.
 */

#include <uv.h>

#include "fleet/fleet.h"
#include "loop/work.h"

struct snapshots {
	struct fleet *fleet;
	char *folder; /* NULL: no_config_snapshots */
	char *last;   /* the newest name */
	struct lane writes;
	uv_timer_t soon; /* changes of one turn of the loop make one snapshot */
	bool loaded;
	uint64_t changes;    /* there were so many */
	uint64_t recorded;   /* of which so many are on disk, or cannot be brought there */
	bool writing;        /* a snapshot after a change is on its way */
	struct list waiters; /* struct snapshot_wait, in the order of their changes */
};

/* Serves fleet_changed() and fleet_recorded(). `fleet` must outlive it. */
void snapshots_init(struct snapshots *s, struct fleet *fleet);
/* The models are loaded: the first one. */
void snapshots_begin(struct snapshots *s);
/* The last one, while the models are still there. */
void snapshots_end(struct snapshots *s);
/* After the loop has run to its end. */
void snapshots_finish(struct snapshots *s);
