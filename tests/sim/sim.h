/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A run of the simulator: the whole front, in this process, between clients and workers that are
 * drawn from a seed.
 *
 *     sim_client.c ══socket pair══► net ─ api ─ fleet ══socket pair══► sim_process.c
 *           └── sim_ask.c: what is asked, and may be answered            the fake workers
 *
 * A run takes steps. In each a few of them do something (send a bit, read a bit, answer, die),
 * time goes on a little, and the front's loop turns once. After the last step the weather clears:
 * nothing is asked any more, workers and clients do what they should, and all of it has to come to
 * an end (sim_oracle.c).
 */

#include "sim_client.h"
#include "sim_front.h"
#include "sim_model.h"
#include "sim_process.h"
#include "sim_random.h"
#include "sim_system.h"

#define SIM_REQUEST_MAX ((size_t)4 << 20)
#define SIM_CLIENTS_MAX 64
#define SIM_TURN_CALLS_MAX 4000 /* reads and writes in one turn of the loop */

/* What may happen in a run. Few things at a time find more than everything at once. */
struct weather {
	bool slow_clients; /* they pause beyond every time limit */
	bool rude_clients; /* they leave, reset, close halves */
	bool bad_requests; /* broken heads, bodies nobody asked for, limits broken */
	bool big_bodies;
	bool deaths; /* of workers, at any point */
	bool stalls; /* workers that stop working */
	bool lies;   /* workers that break the protocol */
	bool bad_starts;
	bool manage; /* models come, go, and are scaled */
	bool talks;  /* most requests are those of sequences, whose workers come and go */
	bool tight_memory, short_queue, no_descriptors, bad_writes;
	bool jumps;    /* time does */
	bool unmarked; /* no request says that it begins or ends a sequence */
};

struct sim {
	uint64_t seed;
	unsigned step, steps;
	bool verbose;
	bool ending; /* the front is: who is cut off knows why */
	bool calm;   /* the last part of the run: nothing bad happens any more */
	struct sim_random random;
	struct weather weather;
	struct front front;
	struct sim_model models[SIM_MODELS_MAX];
	unsigned n_models;
	struct list clients; /* struct sim_client */
	unsigned n_clients, next_client;
	struct list processes; /* struct process */
	unsigned next_process;
	uint64_t next_token;
	unsigned first_sequence;   /* whose requests are the most */
	bool ended[PROCESS_LANES]; /* sequences whose end was asked for */
	struct sim_figures {
		uint64_t asked, answered, planned, refused, broken, deaths, turns;
		uint64_t spans;
		unsigned calls_max;
		uint64_t turn_max_ns; /* real time */
		size_t heap_max;
	} figures;
};

/* Something that must not be: tells what, with the seed, and aborts. */
void sim_fail(const struct sim *s, const char *fmt, ...) _printf_(2, 3) __attribute__((noreturn));
/* What happens, for SIM_VERBOSE. */
void sim_say(const struct sim *s, const char *fmt, ...) _printf_(2, 3);
/* One turn of the front's loop, and its bounds. */
void sim_turn(struct sim *s);

/* ---- sim_manager.c ---- */

/* Takes workers away at the worst moment, and gives new ones. */
void manager_step(struct sim *s);

/* ---- sim_oracle.c ---- */

/* Bounds that hold at any time. */
void oracle_watch(struct sim *s);
/* The weather clears; everything comes to its end in one of three ways, and nothing may be left. */
void oracle_end(struct sim *s);
