/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `sconce optimize` has found out about serving a model: optimized/optimized.json of an
 * unpacked archive. It is advice: what cannot be read, or is not understood, says nothing. */

#include "archive/archive.h"

void serving_load(const char *dir, struct manifest *m);
/* From its text. Fuzzed. */
void serving_parse(struct slice json, struct manifest *m);
