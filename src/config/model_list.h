/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The settings `models` and `model_snapshot`: JSON that says, model by model and version by
 * version, how each is to be run. Pure: bytes in, entries out; memory is linear in the text, and
 * there are at most MODEL_LIST_MAX entries.
 *
 *     models          {"noop": {"1.0": {"minWorkers": 2, …}}}
 *     model_snapshot  {"name": "….cfg", "modelCount": 1, "created": 1592240151442,
 *                      "models": {"noop": {"1.0": {"defaultVersion": true, "marName": "noop.mar",
 *                                                  "minWorkers": 2, …}}}}
 */

#include "base/buf.h"
#include "base/region.h"

#define MODEL_LIST_MAX 10000

/* -1: not said. */
struct model_parameters {
	int64_t min_workers, max_workers, batch_size, max_batch_delay_ms;
	int64_t response_timeout_s, startup_timeout_s, parallel_level, latency_goal_ms;
};

struct model_entry {
	struct slice model, version;
	struct slice mar_name; /* a file in the model store */
	struct slice url;      /* ours: what to register, when it is not in the model store */
	struct slice handler;  /* ours: when it is not the archive's */
	struct slice runtime;
	bool is_default;
	struct model_parameters parameters;
};

struct model_list {
	struct region region; /* holds the entries and their texts */
	struct model_entry *entries;
	size_t n;
};

enum model_list_kind { MODEL_LIST_MODELS, MODEL_LIST_SNAPSHOT };

/* `json` empty: no entries. 0, or -EINVAL with a sentence in `why`; model_list_finish() is right in
 * both cases. `doubts` (NULL: nobody asks) gets a line about each member that is ignored or counts
 * as something else. */
int model_list_parse(struct model_list *l, enum model_list_kind kind, struct slice json,
		     struct buf *why, struct buf *doubts);
void model_list_finish(struct model_list *l);
/* NULL: nothing is said of that version. */
const struct model_entry *model_list_find(const struct model_list *l, struct slice model,
					  struct slice version);

/* Appends the value of `model_snapshot`. Entries must be grouped by model. */
void model_list_write_snapshot(struct buf *out, const char *name, uint64_t created_ms,
			       const struct model_entry *entries, size_t n);
