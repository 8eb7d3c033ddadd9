/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/table.h"

/* Whether a snapshot's value would open this run. Then it is remembered with its place, for
 * settings_warn_withheld(), and not to be set. */
bool settings_withhold(struct settings *s, const struct setting *t, struct slice value,
		       const char *origin);
