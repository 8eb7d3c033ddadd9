/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The server's own families, `sconce_…`: one table has those of a model version. They are published
 * in every mode. docs/metrics.md lists them all, and a test compares.
 */

#include "core/metrics.h"

struct version_metrics;

#define OWN_VERSION_FAMILIES 22

struct own_families {
	struct metric_family *version[OWN_VERSION_FAMILIES];
	struct metric_family *answers; /* by class of status, too */
	struct metric_family *gpu_busy, *gpu_memory_used, *gpu_memory_total;
	struct metric *loop_stall;
};

enum own_answer { OWN_ANSWER_2XX, OWN_ANSWER_4XX, OWN_ANSWER_5XX, OWN_ANSWERS };

void own_init(struct own_families *o, struct metrics *m);
/* `named`: the values of model_name, model_version, hostname. */
void own_version(const struct own_families *o, struct version_metrics *ret,
		 const struct slice *named);
/* The version is gone: what tells of the present is 0. */
void own_version_gone(struct version_metrics *m);
