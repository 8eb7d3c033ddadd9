/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/settings.h"

/* Fills settings from a configuration file and the environment. `file` NULL: TS_CONFIG_FILE, else
 * config.properties in the working directory where there is one. 0 or a negative error with `why`.
 */
int sources_load(struct settings *s, const char *file, struct buf *why);
