/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Registering a model version: find the archive, unpack and check it, add the version, start its
 * workers. TorchServe's rules and texts. Loop thread only.
 */

#include "config/model_list.h"
#include "fleet/fleet.h"

struct registration {
	struct slice url;
	struct slice model_name, handler, runtime;     /* empty: from the archive */
	int64_t batch_size, max_batch_delay_ms;        /* -1: from the archive */
	int64_t initial_workers; /* model-config.yaml wins where it says so; -1: from `models` or
				  * settings */
	int64_t response_timeout_s, startup_timeout_s; /* -1: from the archive or settings */
	bool s3_sse_kms;                               /* for a download from S3 */
	bool synchronous;                              /* report when the workers are ready */
	bool at_startup; /* keep the model when a worker fails: it is retried */
	bool make_default;
	const struct model_parameters *restore; /* of a snapshot: they win over all; NULL: none */
};

/* What to tell whoever asked. `type` NULL: it worked. */
struct outcome {
	int status;
	const char *type;
	const char *message;
};

/* Copies what it needs. `done` is called once, possibly before this returns. With `synchronous`
 * false it is called when the version is registered and its workers are on their way. */
void fleet_register(struct fleet *f, const struct registration *r,
		    void (*done)(void *arg, const struct outcome *o), void *arg);
