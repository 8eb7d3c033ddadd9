/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests: steps without a model, or with one that gives what the test says. */

#include "pipeline/pipeline.h"

#define RIG_TEXT_MAX 65536

/* The answer, or the sentence of what went wrong; until the next call. `type`: media type of the
 * body. */
const char *rig_answers(const char *steps, const char *type, struct slice body);
/* The same with outputs of a model, whose signature has them as they are, and one input that is
 * anything. What it was given is in rig_given. */
const char *rig_infers(const char *steps, struct slice body, const struct sconce_tensor *outputs,
		       const char *const *names, size_t n);
extern struct sconce_tensor rig_given; /* its data has gone */
extern int rig_code;
/* The sentence of steps that are refused, or "". */
const char *rig_refuses(const char *steps);
