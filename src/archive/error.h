/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Why an archive was refused: see struct archive_error. */

#include "archive/archive.h"

/* Fills in *err; returns -EINVAL. */
int archive_fail(struct archive_error *err, int status, const char *type, const char *fmt, ...)
	_printf_(4, 5);
/* As a child tells the front: {"ok":false,"status":…,"type":…,"message":…} and a newline. */
void archive_error_write_json(const struct archive_error *err, struct buf *out);
