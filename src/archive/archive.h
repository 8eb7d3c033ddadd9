/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Model archives: `.mar`/`.zip`, `.tar.gz`/`.tgz`, or a directory. Reading is done by a
 * short-lived child process (`sconce unpack`), never by the front: what is in here is hostile until
 * checked. Built on libarchive, with limits of our own on top of its secure-extraction flags.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/region.h"

struct archive_limits {
	uint64_t bytes;   /* all entries together, unpacked */
	uint64_t entries; /* files and folders */
	uint64_t ratio;   /* unpacked : packed, looked at once 64 MiB are unpacked */
	int progress;     /* for progress_tell(): how much of the archive was read */
};

/* What MANIFEST.json and model-config.yaml say; TorchServe's defaults filled in. Memory: region. */
struct manifest {
	struct slice model_name; /* empty when neither the manifest nor the file name gives one */
	struct slice model_version; /* default "1.0" */
	struct slice handler;       /* as in the manifest; empty: none */
	struct slice model_file, serialized_file, requirements_file, config_file, envelope, runtime;
	struct slice manifest_json; /* the whole MANIFEST.json as compact JSON, for handlers */
	struct slice config_json;   /* model-config.yaml as compact JSON; "{}" without one */
	/* from model-config.yaml; -1: not set */
	int64_t min_workers, max_workers, batch_size, max_batch_delay_ms, response_timeout_s,
		startup_timeout_s, max_retry_timeout_s, client_timeout_ms, job_queue_size,
		parallel_level;
	int64_t sequence_max_idle_ms, sequence_timeout_ms, max_num_sequence,
		max_sequence_job_queue_size;
	bool use_job_ticket, continuous_batching, sequence_batching, async_communication, use_venv;
	bool optimized; /* what is compiled may be used */
	struct slice device_type, parallel_type;
	struct slice batch_mode; /* "adaptive", "fixed"; empty: not set */
	struct slice native;     /* "auto", "never", "always"; empty: not set */
	int64_t latency_goal_ms;
	int64_t serving_threads; /* that a worker does best with, as `sconce optimize` found out */
	struct slice device_ids; /* "0,2" */
	/* from its torchrun section */
	int64_t torchrun_nodes, torchrun_node_rank, torchrun_threads;
	struct slice torchrun_backend, torchrun_endpoint;
	bool has_config;
	struct slice doubts; /* what model-config.yaml says in vain; lines */
};

/* Why an archive was refused: an HTTP status and TorchServe's exception type with the sentence. */
struct archive_error {
	int status;       /* 400, 404, 500 (disk) … */
	const char *type; /* "InvalidModelException", "ModelNotFoundException", … static */
	struct buf message;
};

/* Unpacks `source` into the new folder `target` (which must not exist), or, for a directory, links
 * nothing and reports where it lies; validates; reads the manifest. On failure nothing is left of
 * `target`. `name_hint` is a model name from the request (a manifest may be missing only then).
 * *ret_dir (in region) is the model folder. 0 or -EINVAL with *err filled. */
int archive_unpack(struct region *r, const char *source, const char *target,
		   const struct archive_limits *limits, struct slice name_hint,
		   struct manifest *ret, struct slice *ret_dir, struct archive_error *err);

/* The manifest as one JSON object and back: how the child tells the front. Reading checks types. */
void manifest_write_json(const struct manifest *m, struct buf *out);
int manifest_read_json(struct region *r, struct slice json, struct manifest *ret);
