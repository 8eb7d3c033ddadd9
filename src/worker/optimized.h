/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What `sconce optimize` has put beside a model: a folder `optimized` with the same model for
 * another engine, with a sample and the original's outputs, and optimized.json, which says what it
 * is. It is used only where it loads and the sample gives these outputs; else the original is used,
 * and a line of the log says why.
 */

#include "pipeline/pipeline.h"
#include "worker/model.h"

/* Is there one? */
bool optimized_is_there(const char *dir);
/* True: *m is it, as `original` wishes, and `p` (NULL: there is none) is bound to it. False: *m is
 * closed, and the original is to be opened. */
bool optimized_open(struct model *m, const struct model_wish *original, struct pipeline *p);
/* The line that says why it is not used. */
void optimized_refuse(const char *why);
