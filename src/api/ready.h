/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Is the server ready to be sent work? When every model that it was asked to load at its start
 * answers, and every model that was registered since and has answered before. A model without
 * workers by wish is not waited for, and one that is being registered by the API does not take a
 * server that works out of rotation. Loop thread only.
 */

#include "fleet/fleet.h"

/* What start-up was asked to load and never will. */
struct absent {
	struct list link;
	char *what; /* as it was asked for: a name or a URL */
	char *name; /* that it would have, most likely */
	char *why;
};

struct ready {
	const struct fleet *fleet;
	struct list absent; /* struct absent */
};

void ready_init(struct ready *r, const struct fleet *fleet);
void ready_finish(struct ready *r);

/* Start-up could not load it; or another try has not, and this is why. */
void ready_failed(struct ready *r, const char *what, const char *why);

/* Why this model is not there although the start was asked for it; NULL: it was not. */
const char *ready_absence(const struct ready *r, struct slice model);

/* "it does not load: SyntaxError: …". False: it answers, or nobody waits for it. */
bool ready_why_not(const struct model *m, struct buf *why);

/* Tells of each that is still not there. */
void ready_each_absent(const struct ready *r, void *arg,
		       void (*tell)(void *arg, const struct absent *a));

/* Tells of everything that is missing (`version` NULL: it is not known; `tell` may be NULL); true
 * when nothing is. */
bool ready_check(const struct ready *r, void *arg,
		 void (*tell)(void *arg, const char *model, const char *version, const char *why));
