/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Downloading an archive over http or https, for a child process: it blocks. Every address on the
 * way, redirects included, has to match allowed_urls. A connection that breaks is taken up again
 * where it broke, if the server says that the file is still the same one.
 */

#include "archive/archive.h"

struct download {
	const char *url, *allowed;
	const char *path; /* of the finished file; must not exist yet */
	uint64_t bytes_max;
	uint64_t limit_s; /* for all of it */
	uint64_t stall_s; /* without a byte */
	bool s3_sse_kms;  /* ask S3 with its key management's header */
};

/* 0, or -EINVAL with *err filled; then nothing is left of it. `why` gets what happened on the way,
 * for the log. The file has a temporary name in the same folder until it is whole. */
int download_run(const struct download *d, struct archive_error *err, struct buf *why);
/* Removes what downloads that were killed have left in a folder. */
void download_clean(const char *folder);
