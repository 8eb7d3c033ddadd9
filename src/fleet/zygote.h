/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Zygotes: Python processes that have imported the worker (one kind also torch) and fork a copy of
 * themselves for every worker, which then starts in milliseconds and shares their memory. Started
 * when first needed. A zygote that dies is started again; workers it has made live on. One that
 * does not make a worker within its startupTimeout is ended, as if it had died. Loop thread only.
 */

struct worker_shared;

struct zygotes *zygotes_create(struct worker_shared *s);
/* Ends them all. */
struct zygotes *zygotes_destroy(struct zygotes *z);
