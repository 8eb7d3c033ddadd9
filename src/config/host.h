/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What this machine, or the container we are in, has to offer. `root` stands before every path:
 * "" in production, a folder in tests. */

#include <stdint.h>

#include "base/slice.h"

/* Bytes: the machine's memory or, if smaller, the tightest limit of our control groups (v1 or v2,
 * our own and those above it). 0 when nothing is known. */
uint64_t host_memory(const char *root);
/* CPUs that our control groups' quotas let us use, rounded up; 0: no limit. */
unsigned host_cpu_quota(const char *root);
/* NVIDIA devices that are visible here. */
unsigned host_gpus(const char *root);
/* "localhost" or 127.x.x.x. */
bool host_is_loopback(struct slice host);
