/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* The flags of `torchserve`; texts point into argv. */
struct torchserve_options {
	bool version, start, stop, foreground, no_snapshots, disable_token_auth, enable_model_api;
	const char *config, *model_store, *workflow_store, *log_config, *cpp_log_config,
		*plugins_path;
	struct buf models; /* comma list, "all" for ALL */
};

/* -1: go on; else the exit code (help was printed, or the usage was wrong). */
int torchserve_parse(struct torchserve_options *o, int argc, char **argv);
void torchserve_options_finish(struct torchserve_options *o);
