/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Pictures of formats that only Pillow reads. A process of the user's Python, started when the
 * first of them comes, is handed the bytes of a file and gives back pixels
 * (python/sconce/image/pillow.py), so what is made of them is what a Python handler would have
 * made.
 *
 * There is one at a time, and one picture at a time goes through it. Nothing that it says is
 * believed before it is checked. One that dies, hangs or says nonsense fails the picture that it
 * had, and is ended; the next picture starts another one, a few times a minute at most. It ends
 * when its socket does, and so with this process.
 *
 * Any thread, but for init and finish.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/image.h"
#include "pipeline/pipeline.h"

struct pillow {
	struct pipeline_decoder decoder; /* for requests */
	char *python;                    /* NULL: there is none */
	uint64_t limit_ns;               /* for a start, and for a picture */
	pthread_mutex_t lock;
	pthread_cond_t free;
	bool busy; /* what follows belongs to whoever has set this */
	pid_t pid; /* 0: there is none */
	int fd;
	unsigned starts;   /* since then */
	uint64_t since_ns; /* 0: never */
	uint64_t lacks_ns; /* when it was found that something is missing; 0: nothing is */
	char lacks[SCONCE_ERROR_MAX]; /* and what */
};

/* `python`: the interpreter, or "": there is none. */
void pillow_init(struct pillow *p, const char *python);
void pillow_finish(struct pillow *p); /* zeroed memory is fine */
