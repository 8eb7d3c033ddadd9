/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A worker as a thread of the test, which plays the front: it holds the other end of the socket and
 * the memory of both directions. What does not come within half a minute fails the test.
 */

#include <stdbool.h>
#include <stdint.h>

#include "wire/frame.h"

#define FRONT_MEMORY ((size_t)1 << 20)

struct front {
	int fd;
	char *inbound, *outbound; /* FRONT_MEMORY bytes of each */
	int outbound_fd;
	uint64_t seq;  /* of the last batch */
	uint64_t next; /* id of the next request */
	size_t used;   /* of the inbound memory */
	char packet[FRAME_MAX];
	char folder[64];  /* of the models */
	const char *type; /* of bodies; NULL: bytes */
};

extern struct front front;

/* For each test: the worker has said HELLO … */
int front_set_up(void **state);
/* … and has been told to stop, unless it has ended already; its code was 0. */
int front_tear_down(void **state);
#define FRONT_TEST(name) cmocka_unit_test_setup_teardown(name, front_set_up, front_tear_down)
/* Removes the models, for a process that nobody tears down. */
void front_cleans(void);
/* Waits until it has ended, and returns its code. */
int front_joins(void);

void front_sends(enum frame_type type, uint64_t arg, struct slice body);
void front_sends_u64s(enum frame_type type, uint64_t arg, const uint64_t *values, unsigned n);
/* LOAD, with this as members of `engine`. */
void front_loads(const char *engine);
/* LOAD of a document that is just this. */
void front_loads_text(const char *json);
/* A segment of inbound memory, whose id is 1. */
void front_lends(void);

/* The next frame, which must be of this type, where it is not 0. */
struct frame front_hears(enum frame_type type);
/* LOADED with this status; its document is valid until the next frame. */
struct slice front_hears_loaded(unsigned status);
bool front_says(struct slice document, const char *words);
/* The next reply, from as many frames as it takes; its body is a NUL-terminated copy in `text`. */
struct frame_reply front_hears_reply(char text[FRAME_INLINE_MAX + 1]);

/* ---- requests of one RUN frame ---- */

void front_begins(void);
/* One request of a new batch, or of the last one; its body is these bytes. Returns its id. */
uint64_t front_adds(bool new_batch, struct slice body, const char *accept, struct span grant);
void front_runs(void);
/* The usual case: a batch of one word. */
uint64_t front_asks(const char *word);
