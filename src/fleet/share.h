/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What each model and each worker gets of the CPUs; the rules are in core/cores.h. Loop thread
 * only.
 */

struct fleet;
struct version;

/* Workers of a model for which nobody names a number. `v` NULL: its archive has not been read. */
unsigned share_workers(const struct fleet *f, const struct version *v);
/* Threads one worker should use, so that all of them together fit the CPUs. */
unsigned share_threads(const struct fleet *f);
