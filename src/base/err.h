/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Two kinds of failure.
 *
 * A negative result (-errno) is fatal to the operation: nobody planned for it, it is forwarded
 * unchanged, and every function on its way adds one line to the trace. A positive result is an
 * answer of this one function (QUEUE_FULL, say): its caller handles it, and it is never forwarded.
 *
 *     r = queue_push(q, req);
 *     if (r == QUEUE_FULL)
 *             return refuse(req, 503);
 *     if (r)
 *             return err_fold(r);
 *
 * Traces go to stderr when the environment has SCONCE_TRACE set. Any thread.
 */

/* A fatal error starts here. `r` must be negative; returns it. */
#define err_origin(r) err_origin_at((r), __FILE__, __LINE__)
/* A fatal error passes through. Returns `r` unchanged. */
#define err_trace(r) err_trace_at((r), __FILE__, __LINE__)
/* An answer that its caller did not plan for becomes fatal (-ENOTRECOVERABLE). */
#define err_fold(r) err_fold_at((r), __FILE__, __LINE__)

int err_origin_at(int r, const char *file, int line);
int err_trace_at(int r, const char *file, int line);
int err_fold_at(int r, const char *file, int line);
