/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* numpy's file format, versions 1 to 3 (numpy/lib/format.py): a header in Python's syntax, then the
 * elements. Any thread. */

#include <sconce/engine.h>

#include "base/buf.h"
#include "base/slice.h"

/* Reads the header into dtype and shape; *ret_data is what follows it, still unchecked. `name`: of
 * the input, for messages. 0 or SCONCE_BAD_INPUT. */
int npy_read(struct slice bytes, const char *name, struct sconce_tensor *t, struct slice *ret_data,
	     struct sconce_error *e);
/* Appends header and elements; SCONCE_BAD_INPUT for a type that numpy does not have. */
int npy_write(struct buf *out, const struct sconce_tensor *t, struct sconce_error *e);
