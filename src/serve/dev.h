/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * `sconce dev`: one model whose files are being edited. When they change, what they are now is
 * registered as a further version while the one before it answers; when its worker is ready it
 * becomes the default, and the old version ends as soon as it has answered what it had accepted. A
 * version that cannot be loaded leaves everything as it was. What happens is told on standard
 * output, which the handler's own output goes to, too. Loop thread only.
 */

#include "serve/stage.h"

struct fleet;
struct ready;
struct dev;

struct dev_plan {
	struct stage stage;
	const char *url;  /* what is registered: "file://…" */
	const char *name; /* of the model; NULL: the archive's */
	const char *const *watched;
	const char *shown;   /* how the user named it */
	const char *address; /* "http://127.0.0.1:8080" */
	bool colour;
};

/* `first` is called when the first load is over, whatever came of it. `plan` outlives it. */
struct dev *dev_create(struct fleet *f, struct ready *ready, const struct dev_plan *plan,
		       void (*first)(void *arg), void *arg);
/* After fleet_stop() has reported. The loop must run on until nothing is left to do. */
struct dev *dev_destroy(struct dev *d);
