/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client: a connection, a few requests that go over it in bits of any size, and the answers,
 * which must be those of its requests, in their order. When the connection ends with something
 * unanswered, there must be a reason that the client can see.
 */

#include "base/list.h"
#include "sim_answer.h"
#include "sim_ask.h"
#include "sim_pace.h"

#define CLIENT_ASKS_MAX 8

enum client_end {
	CLIENT_STAYS,
	CLIENT_LEAVES, /* closes at some point, whatever is on its way */
	CLIENT_HALVES, /* ends its side when all is sent, and reads on */
};

struct sim_client {
	struct list link; /* in the simulator */
	unsigned number;
	int fd;
	struct sim_ask asks[CLIENT_ASKS_MAX];
	unsigned n_asks;
	unsigned asking, answered; /* indexes */
	size_t sent;               /* of the one that is being sent */
	struct answer_reader reader;
	size_t follows;       /* so much may still come of the last answer */
	struct sim_pace pace; /* of the present answer */
	size_t room;          /* what is on its way to it may be so much */
	bool pipelines;       /* does not wait for answers */
	bool continued;       /* the present one was told to go on */
	bool patient;         /* waits for that */
	size_t write_max, read_max;
	uint64_t sleeps_until_ns;
	enum client_end end;
	unsigned end_in; /* steps */
	bool deaf;       /* nothing more can be sent */
	bool excused;    /* its connection may end with requests unanswered */
	bool probe;      /* asked by the oracle: must be answered within a few turns */
	unsigned steps;
};

struct sim_client *client_create(struct sim *s);
/* Asks at once that a model has so many workers, and then (unless 0) another number. */
void client_scale(struct sim *s, const struct sim_model *m, unsigned workers, unsigned then);
/* Asks one thing, at once. */
struct sim_client *client_probe(struct sim *s, const char *path, int status);
/* Sends and reads a bit. May be its end. */
void client_step(struct sim *s, struct sim_client *c);
struct sim_client *client_pick(struct sim *s);
void clients_step(struct sim *s);
void clients_step_probes(struct sim *s);
