/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How the time of a batch was spent, for requests that are traced: phases of a TRACE frame, which
 * goes before the batch's replies. One thread; at most FRAME_PHASES_MAX, what comes behind is not
 * told.
 */

#include <stdbool.h>

#include "wire/frame.h"

struct spent {
	bool wanted; /* else nothing is measured, and the others do nothing */
	uint64_t seq;
	unsigned n, parent; /* parent: what is begun now is a part of it; 0: nothing */
	struct frame_phase phases[FRAME_PHASES_MAX];
};

void spent_begin(struct spent *s, bool wanted, uint64_t seq);
/* A phase, up to its spent_close(); `name` is static. Returns what to give to that. */
unsigned spent_open(struct spent *s, const char *name);
void spent_close(struct spent *s, unsigned phase);
/* One that is over. */
void spent_add(struct spent *s, const char *name, uint64_t begin_ns, uint64_t end_ns);
/* The frame, into `packet` of FRAME_MAX bytes; what is open ends now. SLICE_NULL: none is wanted,
 * or it was sent. */
struct slice spent_frame(struct spent *s, char *packet);
