/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the parser and the printer of options. */

#include "base/buf.h"
#include "cli/options.h"

/* "-v/--version", "--no-config-snapshots/--ncs", "MODEL". */
void option_put_names(struct buf *b, const struct option *k);
