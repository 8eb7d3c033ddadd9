/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool err_tracing(void)
{
	static int on = -1;

	if (on < 0)
		on = getenv("SCONCE_TRACE") != NULL;
	return on;
}

static int err_print(const char *what, int r, const char *file, int line)
{
	if (err_tracing())
		fprintf(stderr, "%s %s:%d: %s\n", what, file, line, strerror(r < 0 ? -r : r));
	return r;
}

int err_origin_at(int r, const char *file, int line)
{
	assert(r < 0);
	return err_print("error at", r, file, line);
}

int err_trace_at(int r, const char *file, int line)
{
	return err_print("     via", r, file, line);
}

int err_fold_at(int r, const char *file, int line)
{
	if (r > 0)
		r = -ENOTRECOVERABLE;
	return err_print("  folded", r, file, line);
}
