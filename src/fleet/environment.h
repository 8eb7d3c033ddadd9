/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The environment and cwd that handlers see. */

struct fleet;
struct worker;

/* Ours, minus what blacklist_env_vars hides, plus what a worker (or one of its ranks) needs; for a
 * zygote `w` is NULL. Free it with environment_free(). */
char **worker_environment(const struct fleet *f, const struct worker *w, unsigned rank);
void environment_free(char **environment);
