/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "api/ready.h"
#include "fleet/fleet.h"

/* Is every archive there that model_snapshot names? 0, or -ENOENT with TorchServe's words in `why`.
 * What is wrong with the JSON itself settings_check() has told. */
int startup_check(const struct settings *s, struct buf *why);

/* Registers the models of model_snapshot, else those of load_models: "all", or a comma list of
 * [name=]archive. Returns at once; models that fail are logged, and keep the server from being
 * ready. Calls `known` when all are in the store, or will never be, and then `done` when all have
 * been tried; either may be before this returns. */
void startup_load_models(struct fleet *f, struct ready *ready, void (*known)(void *arg),
			 void (*done)(void *arg), void *arg);
