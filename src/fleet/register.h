/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Registering a model version: find the archive, unpack and check it, add the version, start its
 * workers. TorchServe's rules and texts. Loop thread only.
 */

#include "config/model_list.h"
#include "fleet/fleet.h"

struct registration {
	struct slice url;
	struct slice model_name, handler, runtime; /* empty: from the archive */
	struct slice version_suffix;               /* of the archive's version; empty: none */
	int64_t batch_size, max_batch_delay_ms;    /* -1: from the archive */
	int64_t latency_goal_ms;                   /* 0: none; -1: from the archive */
	int64_t initial_workers; /* model-config.yaml wins where it says so; -1: from `models` or
				  * settings */
	int64_t response_timeout_s, startup_timeout_s; /* -1: from the archive or settings */
	bool s3_sse_kms;                               /* for a download from S3 */
	bool synchronous;                              /* report when the workers are ready */
	bool at_startup; /* keep the model when a worker fails: it is retried; take what was
			  * downloaded before */
	bool make_default;
	const struct model_parameters *restore; /* of a snapshot: they win over all; NULL: none */
	/* Called once, maybe NULL: the model is in the store, and its workers are on their way; or
	 * it never will be, and why. */
	void (*known)(void *arg, const char *failed);
	void *known_arg;
};

/* What to tell whoever asked. `type` NULL: it worked. */
struct outcome {
	int status;
	const char *type;
	const char *message;
};

struct registering;

/* Copies what it needs. `done` is called once: when what it tells is so, and recorded. With
 * `synchronous` false that is when the version is registered and its workers are on their way.
 * Returns what is valid until then; NULL: it was called already. */
struct registering *fleet_register(struct fleet *f, const struct registration *r,
				   void (*done)(void *arg, const struct outcome *o), void *arg);
/* Who asked has left: `done` is not called. While the archive is being downloaded that is the end
 * of it; what is here is registered all the same. */
void registering_leave(struct registering *g);
/* All but those of the start end, at once for who asked. */
void fleet_stop_registering(struct fleet *f);

/* Gives up those that wait too long for a file system. */
void fleet_registering_tick(struct fleet *f, uint64_t now_ns);

/* A registration whose model is not there yet. */
struct registering_view {
	const char *name;    /* the archive's, once it has been read; before, as good as a guess */
	const char *version; /* NULL: not known yet */
	const char *url;
	const char *status; /* WAITING, DOWNLOADING, UNPACKING, INSTALLING */
	const char *phase;  /* the same as a sentence */
	struct progress progress;
	unsigned workers; /* it will have, unless the archive says otherwise */
	bool at_startup;
};

/* Tells of each, oldest first; valid during the call. */
void fleet_registering(const struct fleet *f,
		       void (*tell)(void *arg, const struct registering_view *view), void *arg);
