/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Downloading an archive in a short-lived child (`sconce fetch`). Loop thread only. */

#include "base/region.h"
#include "child/job.h"

struct fleet;

struct fetched {
	int status; /* 0: it is there; else an HTTP status */
	const char *type;
	const char *message;
};

/* `path`: where it is kept; it must not exist yet. `done` is called once, as job_start() says,
 * whose result this returns; *o is valid during the call only. */
struct job *fetch_start(struct fleet *f, const char *url, const char *path, bool s3_sse_kms,
			void (*done)(void *arg, const struct fetched *o), void *arg);
