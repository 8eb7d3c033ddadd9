/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An engine that crashes while it loads takes the process with it, but not the reason: the front is
 * told which engine it was and what to do, where it would see only a signal. */

struct session;

/* From now on, for one session of the process. */
void crash_watch(const struct session *s);
/* No more: what crashes later has a request to blame. */
void crash_unwatch(void);
