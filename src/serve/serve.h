/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/settings.h"

struct dev_plan;

/*
 * Runs the server until it has drained after SIGTERM or SIGINT, and returns the process's exit
 * code. SIGHUP reopens the logs. When `ready_fd` is not negative, one byte is written to it as soon
 * as the listeners are open and the models of the start are known; it is closed in any case.
 * Logging must not have been started yet.
 */
int serve_run(struct settings *s, int ready_fd);
/* The same for a model that is being written (s->dev). */
int serve_run_dev(struct settings *s, const struct dev_plan *plan);
