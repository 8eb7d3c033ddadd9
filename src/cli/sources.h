/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

#include "config/settings.h"

/* Where the settings of a command come from. */
struct sources {
	const char *file; /* named on the command line; NULL: none */
	int (*flags)(struct settings *s, void *arg, struct buf *why);
	void *arg;
	bool environment_last; /* it wins over the flags, as TorchServe has it */
};

/* Fills initialised settings from a file, the environment and the flags. The file: TS_CONFIG_FILE,
 * else the one named, else the newest snapshot that is whole (not with no_config_snapshots), else
 * config.properties in the working directory where there is one. 0 or a negative error with `why`.
 */
int sources_load(struct settings *s, const struct sources *from, struct buf *why);
/* Warnings to stderr, errors to `out`, each with "Invalid configuration: " before it. */
void sources_report(const struct buf *why, FILE *out);
