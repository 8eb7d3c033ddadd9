/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A worker without a process: its maker keeps the other end of the channel, and the test plays the
 * process and the owner.
 */

#include "base/clock.h"
#include "base/util.h"
#include "config/settings.h"
#include "core/queue.h"
#include "fleet/maker.h"
#include "pool/pool.h"

struct rig {
	struct worker_shared shared;
	struct settings settings;
	struct budget budget;
	struct pool *pool;
	struct telemetry telemetry;
	struct metrics *metrics;
	struct catalogue catalogue;
	struct version_metrics version_metrics;
	struct manifest manifest;
	struct devices devices;
	struct sizes sizes;
	struct batch_cost cost;
	struct worker *w;
	struct queue queue;
	int peer; /* what the process would hold; -1: none */
	unsigned starts, kills, loaded, gone, released, lost;
	int load_code;
	char lost_text[256], *optimized_lost;
	bool off;  /* the maker is */
	bool slow; /* it has not made the process yet */
	struct reply last;
	char body[256];
	unsigned replies;
};

extern struct rig rig;

/* For each test: a worker that has been started … */
int rig_set_up(void **state);
/* … and of which nothing is left. */
int rig_tear_down(void **state);

/* ---- the process ---- */

/* One turn of the loop. */
void rig_turn(void);
/* It sends a frame with this text. */
void rig_says(enum frame_type type, uint64_t arg, const char *json);
/* The type of the next frame that it is sent, without its descriptors; 0: there is none. */
int rig_hears(struct frame *f);
/* It says HELLO and LOADED. */
void rig_loads(void);
/* It notes that it has begun the batches up to this. */
void rig_notes(uint64_t batch);
/* It sends a reply, with its own body or `n` bytes of some. */
void rig_sends(const struct frame_reply *reply, size_t n);
/* … of which the front does not hear yet. */
void rig_puts(const struct frame_reply *reply, size_t n);
/* It sends a final reply. */
void rig_answers(uint64_t id, const char *body);
/* It ends. */
void rig_ends(int status);

/* ---- the owner ---- */

struct request rig_asked(uint64_t id, struct part *part);
/* Lets the worker take a batch; returns how many requests went out. */
unsigned rig_runs(void);
/* Asks one that the process is handed. */
void rig_begins(struct request *r);
