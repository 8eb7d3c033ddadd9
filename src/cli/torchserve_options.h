/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "cli/options.h"

/* The flags of `torchserve`; texts point into argv. */
struct torchserve_options {
	bool version, start, stop, foreground, no_snapshots, disable_token_auth, enable_model_api;
	const char *config, *model_store, *workflow_store, *log_config, *cpp_log_config,
		*plugins_path;
	struct option_list models;
};

extern const struct options torchserve_command;

/* -1: go on; else the exit code (help was printed, or the usage was wrong). */
int torchserve_parse(struct torchserve_options *o, int argc, char **argv);
/* --models as the setting load_models has it: a comma list, "all" for ALL. */
void torchserve_put_models(const struct torchserve_options *o, struct buf *out);
