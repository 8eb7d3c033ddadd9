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

/* Fills initialised settings from files, the environment and the flags. The files: the one that
 * TS_CONFIG_FILE or else the command line names; without one, the newest snapshot that is whole
 * (not with no_config_snapshots), and over it config.properties in the working directory. 0 or a
 * negative error with `why`. */
int sources_load(struct settings *s, const struct sources *from, struct buf *why);
/* Warnings to stderr, errors to `out`, each with "Invalid configuration: " before it. */
void sources_report(const struct buf *why, FILE *out);
