/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The models there are to register. Each is a folder in the store, read in this process instead
 * of by `sconce unpack`.
 */

#include "archive/archive.h"
#include "sim_random.h"

#define SIM_MODELS_MAX 6

struct sim;

struct sim_model {
	const char *url; /* and its name; the version is 1.0 */
	const char *name, *version;
	int batch_size, batch_delay_ms;
	int client_timeout_ms; /* 0: none */
	int latency_goal_ms;
	bool async;         /* its workers take requests side by side */
	bool continuous;    /* … and make the batches */
	bool streams;       /* answers come in pieces */
	unsigned sequences; /* how many ids its clients use; 0: it has none */
	unsigned sequences_max, sequence_idle_ms;
	bool job_ticket;
};

/* Draws a few. */
void models_draw(struct sim *s);
/* Their folders. */
void models_write(const struct sim *s);
