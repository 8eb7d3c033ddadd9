/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the vendors' tools (nvidia-smi, rocm-smi, amd-smi, xpu-smi) print about GPUs: comma
 * separated values, or nvidia-smi's list (-L). Columns are found by their names; without names the
 * first one is the number of a GPU.
 */

#include "base/slice.h"

struct smi_gpu {
	unsigned index;
	/* as printed, "45 %", "1024 MiB"; NULL: not told. They point into the text. */
	struct slice uuid, busy, memory_busy, memory_used, memory_total;
};

/* Returns how many of `out` were filled. What is no GPU's row is skipped. */
unsigned smi_parse(struct slice text, struct smi_gpu *out, unsigned max);
