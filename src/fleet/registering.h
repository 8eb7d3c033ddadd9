/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A registration on its way, for those who make it go on (register.c), tell of it or end it
 * (register_told.c). */

#include "fleet/fleet.h"
#include "fleet/register.h"
#include "fleet/sources.h"

enum registering_step { STEP_LOOK_UP, STEP_DOWNLOAD, STEP_UNPACK, STEP_INSTALL, STEP_KNOWN };

struct registering {
	struct list link; /* in the fleet's `registering` */
	struct work work; /* of the pool */
	uint64_t work_ns; /* since when it waits for that; 0: it does not */
	bool given_up;    /* that took too long */
	struct fleet *fleet;
	enum registering_step step;
	char *url, *model_name, *handler, *runtime, *suffix;
	char *name;               /* what it goes by before the archive has said its name */
	struct registration wish; /* its slices are not used: see the copies above and below */
	struct model_parameters restored;
	void (*done)(void *arg, const struct outcome *o); /* NULL: nobody waits */
	void *arg;
	bool left; /* nobody waits any more */
	struct source source;
	struct job *job;                    /* downloads or unpacks for it */
	char *version_model, *version_name; /* of the version, once there is one */
	uint64_t order;
	char *downloaded;        /* the archive that was fetched for it */
	struct version *version; /* made, but not in the store yet */
	int status;              /* what to tell, see registering_finish() */
	char *type, *text;
	char *cause; /* why its workers do not load */
	char *wrong; /* what the archive asks for cannot be */
};

#define REGISTERING_STUCK                                                                          \
	"What the archive's folder has could not be looked up in %llu s (unpack_stall_timeout). "  \
	"Does its disk answer?"

/* Of a model that says nothing itself. `v` NULL: its archive has not been read. */
unsigned registering_default_workers(const struct registering *g, const struct version *v);
