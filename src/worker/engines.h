/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `sconce-worker` tells of engines and models without serving any. */

/* A line of JSON for each engine that is found, also for those that do not work here: each is
 * opened in a process of its own, for so many seconds at most. `python`: whose packages may hold
 * runtimes, or "". */
int engines_list(const char *python, unsigned patience_s);
/* Builds what the engine of this name will need, and keeps it in that folder ("": see cache.h).
 * Prints a sentence: that, or why not (then 1). */
int engines_prepare(const char *name, const char *python, const char *cache);
/* Loads a model, tries it, and prints what it says of itself. */
int engines_check(const char *file, const char *engine, const char *device, const char *python);
