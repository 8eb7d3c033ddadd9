/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Downloading an archive over http or https, for a child process: it blocks. Every address on the
 * way, redirects included, has to match allowed_urls. A connection that breaks is taken up again
 * where it broke, if the server says that the file is still the same one.
 */

#include "archive/archive.h"
#include "archive/s3.h"
#include "base/progress.h"

struct download {
	const char *url, *allowed;
	const char *path; /* of the finished file; must not exist yet */
	const char *part; /* of the unfinished one, in the same folder */
	uint64_t bytes_max;
	uint64_t limit_s;  /* for all of it */
	uint64_t stall_s;  /* with less than rate_min */
	uint64_t rate_min; /* bytes a second */
	bool s3_sse_kms;   /* ask S3 with its key management's header */
	const struct s3_account *s3; /* signs requests to where `url` is; NULL: none are signed */
	int progress;		     /* for progress_tell() */
};

/* 0, or -EINVAL with *err filled; then nothing is left of it. `why` gets what happened on the way,
 * for the log. Who kills the process removes `part`. */
int download_run(const struct download *d, struct archive_error *err, struct buf *why);
#define DOWNLOAD_PREFIX ".sconce-download-" /* hidden, so that nobody takes it for an archive */
/* A name that nobody else has for the unfinished file; free it. */
char *download_part_name(const char *path);
/* Removes what downloads that were killed have left in a folder. */
void download_clean(const char *folder);
