/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How many files may be open. Clients decide how many connections there are, and a process that has
 * no descriptor left can neither accept, nor start a worker, nor write a key: connections get what
 * everything else cannot need.
 */

#include "base/buf.h"
#include "config/settings.h"

/* -EMFILE with a sentence where there are so few that nothing would work. */
int files_check(struct buf *why);
/* Raises the soft limit to the hard one (child.h gives children the old one back). Returns how many
 * connections there may be; a warning is logged when that is less than max_connections. */
unsigned files_for_connections(const struct settings *s);
