/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which Python runs the handlers, and where our packages (`sconce`, `ts`) lie. The interpreter is
 * the one that was set; else that of the virtual environment we are installed in; else the first
 * `python3` on the PATH that is 3.9 or newer. A path is run as it is, a name is followed through
 * version managers' scripts. Loop thread only.
 */

#include <stdbool.h>

#include "base/buf.h"

struct python {
	char *executable; /* absolute path; NULL: none was found, `why` says so */
	char *packages;   /* folder that holds sconce/ and ts/ */
	char *why;
};

/* `wanted`: the setting, or NULL. Runs candidates for a moment to see that they work. */
void python_find(struct python *p, const char *wanted);
void python_finish(struct python *p);
/* The folder that holds sconce/ and ts/, or NULL. free() it. */
char *python_packages(void);
