/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an engine builds once and keeps (a part of the engine torch is compiled for the PyTorch that
 * is installed), built while the model that wanted it is served by its handler: nobody waits for a
 * compiler, and whatever loads afterwards has its engine. In a child of its own that gets what
 * processor time others leave; once for each engine and Python while the server runs. Loop thread
 * only.
 */

#include "base/list.h"

struct version;

struct preparations {
	struct list all; /* begun, whatever came of them */
};

void preparations_init(struct preparations *ps);
/* Those that run have been told to stop: after jobs_stop(). */
void preparations_finish(struct preparations *ps);

/* `v` has gone back to its handler because this engine lacks what it can build. Nothing where the
 * setting build_engines, or `engine: {build: …}` in its model-config.yaml, forbids it. */
void preparation_begin(const struct version *v, const char *engine);
