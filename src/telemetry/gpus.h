/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The GPUs of this machine, as the vendors' own tools list them: their number is known before the
 * first worker starts, how busy they are is asked for while the loop runs, by a child that nobody
 * waits for. GPUs that CUDA_VISIBLE_DEVICES (or its like) hides do not count, and numbers are those
 * that a process with our environment sees. Loop thread only.
 */

#include "base/buf.h"
#include "child/job.h"
#include "core/devices.h"
#include "telemetry/telemetry.h"

struct gpu {
	char *name;             /* in the list of visible ones: "3", "GPU-8932f937" */
	char *use;              /* "utilization.gpu::7 % …"; NULL: not known */
	struct gpu_use figures; /* while `use` is known */
};

struct gpus {
	struct jobs *jobs;
	struct telemetry *telemetry; /* NULL: figures are not published */
	unsigned n;
	struct gpu all[DEVICES_MAX];
	const struct gpu_tool *tool; /* that found them; NULL: none was needed */
	char *path;                  /* of it */
	bool asking;                 /* how busy they are */
	uint64_t asked_ns;
};

/* Blocks for as long as the tool takes, a few seconds at most; not at all where there is none or
 * number_of_gpu is 0. Then asks how busy they are. */
void gpus_detect(struct gpus *g, const struct settings *s, struct jobs *jobs,
		 struct telemetry *telemetry);
void gpus_finish(struct gpus *g);

/* Puts TorchServe's text for a worker on GPU `id`: the newest figures, "N/A" when the tool gave
 * none. Asks for newer ones when those are old. */
void gpus_put_use(struct gpus *g, int id, struct buf *out);
/* Asks for new figures when they are older than `age_ns`. */
void gpus_refresh(struct gpus *g, uint64_t age_ns);
/* The environment's line that shows a process only these. */
void gpus_put_visible(const struct gpus *g, const uint16_t *ids, unsigned n, struct buf *out);
