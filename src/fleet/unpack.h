/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Unpacking an archive in a short-lived child (`sconce unpack`), so that a hostile one can hurt
 * nothing here. Loop thread only.
 */

#include "archive/archive.h"
#include "base/region.h"
#include "child/job.h"

struct fleet;

struct unpacked {
	int status;       /* 0: it worked; else an HTTP status */
	const char *type; /* of the failure: exception name */
	const char *message;
	struct region *region; /* holds the manifest's texts; take it over or leave it */
	struct manifest manifest;
	const char *dir; /* the model folder */
	bool own_dir;    /* it was made for us: remove it in the end */
};

/* `done` is called once, as job_start() says, whose result this returns; everything in *u is valid
 * during the call only (a region that was taken over excepted). */
struct job *unpack_start(struct fleet *f, const char *source, struct slice name_hint,
			 void (*done)(void *arg, struct unpacked *u), void *arg);
