/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The user's C++ compiler, as a child with a time limit. */

#include <sconce/engine.h>

/* Runs $CXX, or else the first of the usual names that is there. `version`: of the torch that it is
 * for, for texts. 0, or -1 with what is missing or the first error. */
int compiler_run(const char *const *arguments, const char *version, struct sconce_error *e);
