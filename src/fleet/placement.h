/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which GPUs the workers of a version use; the rules are in core/devices.h. Loop thread only. */

#include "base/buf.h"
#include "core/devices.h"

struct version;
struct worker;

/* From the manifest and the GPUs there are. */
void placement_configure(struct version *v);
/* Where all workers of the server are, seen from `v`; `load` is zeros before. */
void placement_load(const struct version *v, struct devices_load *load);
/* For a worker that is about to be made: its `slot`, which is in the load from now on. It keeps
 * that when its process restarts. */
int placement_pick(const struct version *v, struct devices_load *load);
/* How many of `wanted` workers there are GPUs for. */
unsigned placement_cap(const struct version *v, unsigned wanted);

/* The number of a worker's (first) GPU as the server counts them; -1: it has none. */
int placement_gpu(const struct worker *w);
/* The same as its handler counts: one that owns its GPUs sees no others. */
int placement_gpu_seen(const struct worker *w);
/* "CUDA_VISIBLE_DEVICES=2,3", for one that owns its GPUs; otherwise nothing. */
void placement_put_visible(const struct worker *w, struct buf *out);
