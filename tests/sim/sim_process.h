/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The worker processes, as the front sees them: the other end of a channel, memory that it maps,
 * and an end that somebody reports. Instead of a process there is a struct that is stepped. It
 * echoes: a request's body says what its answer shall be (sim_ask.h).
 */

#include "fleet/maker.h"

struct sim;

#define PROCESS_LANES 128

/* Memory of the front's that it was sent. */
struct process_segment {
	uint32_t id;
	char *p;
	size_t size;
};

/* A request that it has. */
struct process_job {
	struct list link;
	uint64_t id, seq; /* seq: of its batch */
	unsigned run_flags;
	struct span body;  /* in an inbound segment */
	struct span grant; /* where a long piece may go */
	char sequence[64]; /* its id; empty: none */
	unsigned lane;     /* the id's number, and 1; 0: none */
	bool cancelled;
	unsigned asked; /* for memory, and no GRANT yet; more than once: a liar */
	bool refused;   /* there was none */
	unsigned pieces_sent;
	bool overfilled; /* by pieces of a liar's, who does not answer it any more */
	uint64_t window; /* bytes of pieces that its client has not taken */
};

/* What will become of it. */
enum process_fate {
	FATE_HONEST,
	FATE_DIES_UNBORN, /* before HELLO */
	FATE_MUTE,        /* never says HELLO, or never LOADED */
	FATE_CANNOT_LOAD, /* LOADED 500 or 507 */
	FATE_DIES,        /* at some time later */
	FATE_STALLS,      /* stops working, but reads */
	FATE_DEAF,        /* stops reading, too */
	FATE_LIES,
};

enum process_state { PROCESS_BORN, PROCESS_GREETED, PROCESS_LOADING, PROCESS_READY };

struct process {
	struct list link;      /* in the simulator */
	struct worker *worker; /* NULL: that does not wait for its end any more */
	unsigned number;
	int fd, out, err;
	enum process_state state;
	enum process_fate fate;
	unsigned fate_in; /* steps with work until its fate */
	bool fated;       /* it has come */
	unsigned unmade;  /* turns until it is made */
	unsigned untold;  /* steps until the front knows its pid */
	bool killed, leaving, deaf, trying;
	unsigned end_in;    /* steps until the kill works */
	unsigned load_in;   /* steps until it has loaded */
	uint64_t convicted; /* the turn after which nobody may let it live; 0: none */
	bool async;
	char *outbound;
	size_t outbound_size;
	struct process_segment *segments;
	unsigned n_segments;
	struct list jobs; /* struct process_job, in order */
	unsigned n_jobs;
	unsigned lie, overfills;
	size_t piece_max;                 /* its longest piece of a stream */
	uint64_t state_ns[PROCESS_LANES]; /* when it last answered in a sequence; 0: never */
	uint64_t lost_ns[PROCESS_LANES];  /* … and when those of its model that have ended had */
};

/* Which makers the front's workers have. */
extern const struct worker_maker *const sim_makers[];
/* The simulator that new processes belong to. */
void processes_init(struct sim *s);
/* One of them does something. May end it. */
void process_step(struct sim *s, struct process *p);
struct process *process_pick(struct sim *s);
/* That of a worker. NULL: it has none. */
const struct process *process_of(const struct sim *s, const struct worker *w);
/* All of them, a little. */
void processes_step(struct sim *s);

/* Has the front reason to send it what it did not ask for? */
static inline bool process_lies(const struct process *p)
{
	return p->fate == FATE_LIES || p->overfills;
}

/* ---- sim_frames.c: what it sends ---- */

/* False: the front does not read at present; say it again later. */
bool process_send(struct process *p, struct slice packet);
bool process_say(struct process *p, enum frame_type type, uint64_t arg, const char *json);
/* A piece of an answer, or a whole one; or asks for memory for it. False: later. */
bool process_answer(struct sim *s, struct process *p, struct process_job *j);
/* ---- sim_lies.c ---- */
void process_lie(struct sim *s, struct process *p);
/* ---- sim_sequence.c ---- */
/* It gets a request: fails when that is not for it. */
void process_check_sequence(struct sim *s, struct process *p, const struct process_job *j);
/* It ends: what it had of its sequences is lost. */
void process_leave_state(struct sim *s, const struct process *p);
/* ---- sim_memory.c ---- */
/* A segment that it is sent, or is to forget: of size 0. */
void process_map(struct sim *s, struct process *p, uint32_t id, uint64_t size, int fd);
/* The body of a request; fails when it is not where it should be. */
struct slice process_body(struct sim *s, struct process *p, const struct process_job *j);
/* ---- sim_process.c ---- */
void process_job_free(struct process *p, struct process_job *j);
