/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Requests of a batch as one: their inputs one below the other along dimension 0, and the outputs
 * taken apart again. Any thread. */

#include "worker/body.h"

struct stack {
	struct body all; /* its inputs are what the engine gets */
	int64_t *rows;   /* of each request; 0: it is not in the stack */
	int64_t total;
};

/* May these two be run as one? */
bool stack_agrees(const struct body *a, const struct body *b);
/* `bodies`: n of them, of which `in` says which; all agree. 0, -ENOMEM, or
 * -EOVERFLOW: they have more rows than can be counted. */
int stack_make(struct stack *k, const struct body *bodies, const bool *in, unsigned n,
	       const struct sconce_signature *signature);
void stack_finish(struct stack *k);
/* Are these outputs (n of them) a row for each row of the inputs? */
bool stack_fits(const struct stack *k, const struct sconce_tensor *outputs, size_t n);
/* The part of `output` that belongs to `rows` rows from row `from` on: a view into it. */
struct sconce_tensor stack_part(const struct stack *k, const struct sconce_tensor *output,
				int64_t from, int64_t rows);
