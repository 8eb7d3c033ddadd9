/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The user's C++ compiler, as a child with a time limit. */

#include <stdbool.h>

#include <sconce/engine.h>

struct compilation {
	const char *const *arguments;
	const char *out, *to; /* what it makes there gets that name */
	const char *version;  /* of the torch that it is for, for texts */
	int lock; /* a descriptor that is open until it has ended, whoever ends before */
	/* Who kills our process group does not mean the compiler: it ends what it does. */
	bool outlives;
};

/* Runs $CXX, or else the first of the usual names that is there. 0, or -1 with what is missing or
 * the first error. */
int compiler_run(const struct compilation *c, struct sconce_error *e);
