/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What `sconce optimize` has put beside a model: a folder `optimized` with the same model for
 * another engine, with a sample and the original's outputs, and optimized.json, which says what it
 * is. It is used only where it loads and the sample gives these outputs; else the original is used,
 * and a line of the log says why.
 */

#include "worker/model.h"

/* True: *m is it, as `original` wishes. False: *m is closed, and the original is to be opened. */
bool optimized_open(struct model *m, const struct model_wish *original);
