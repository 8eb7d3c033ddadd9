/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/settings.h"

/* Fills initialised settings as `sconce serve` does: from a file, the environment and the flags in
 * argv (argv[0] is skipped), and checks them. 0, or negative with lines in `why`. */
int serve_flags_load(struct settings *s, int argc, char **argv, struct buf *why);
