/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a plan is made of: the stages of the work on pixels, and what becomes of these. */

#include "image/stage.h"
#include "image/tensor.h"

#define PLAN_ROWS 8 /* are made at once on their way into a tensor */

struct image_plan {
	const struct image_chain *chain;
	struct image_info info; /* of the pictures it is for */
	const struct image_kernels *kernels;
	struct stage stages[STAGES_MAX];
	size_t places[STAGES_MAX + 1]; /* in the memory of a run */
	unsigned n;
	unsigned by;          /* the reader makes a picture of 1/by of its size */
	bool scaling;         /* what is being resized is that */
	struct tensor tensor; /* where result.tensor */
	struct image_result result;
};

/* One step: adds stages, or changes the tensor. */
int plan_step(struct image_plan *p, const struct image_step *step, struct image_error *e);
