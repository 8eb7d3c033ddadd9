/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * clientTimeoutInMills: a client that has waited so long gets 504 at that moment, whether its
 * request still waits, or runs (the handler is told that nobody wants the answer any more).
 * (TorchServe drops the answer and leaves the client hanging.) It counts until the answer begins.
 * Loop thread only.
 */

#include <uv.h>

#include "base/list.h"

struct call;

struct deadlines {
	uv_timer_t *timer;
	uint64_t at_ns;    /* when it fires: not after the first of them; UINT64_MAX: it does not */
	struct list terms; /* a list of calls for each length of time that models allow */
};

void deadlines_init(struct deadlines *d, uv_loop_t *loop);
void deadlines_finish(struct deadlines *d);
/* The call's request, which has a deadline, was submitted. */
void deadline_start(struct call *c);
/* Its answer begins, or nobody waits for it; harmless when it has none. */
void deadline_stop(struct call *c);
