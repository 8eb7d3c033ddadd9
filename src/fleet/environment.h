/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The environment and cwd that handlers see. */

struct worker;
struct worker_shared;

/* Ours, minus what blacklist_env_vars hides, plus what a worker (or one of its ranks) needs; for a
 * zygote `w` is NULL. Free it with environment_free(). */
char **worker_environment(const struct worker_shared *s, const struct worker *w, unsigned rank);
void environment_free(char **environment);
