/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A line on the terminal that says how far a change is, while its call waits for the answer. */

#include <stdint.h>

#include "cli/client.h"

struct models_progress {
	struct client *waiting;
	struct client asking; /* a second connection, to look on */
	const char *model;    /* NULL: there is nothing to show */
	uint64_t began_ns;
	bool shown;
};

/* Shows nothing unless stderr is a terminal. `model`: whose workers to count, or NULL. */
void models_progress_begin(struct models_progress *p, struct client *waiting, const char *model);
/* Removes the line. */
void models_progress_end(struct models_progress *p);
