/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one source of chance: everything that is drawn in a run comes from its seed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_random {
	uint64_t state;
};

void random_seed(struct sim_random *r, uint64_t seed);
uint64_t random_next(struct sim_random *r);
/* 0 … n - 1; n > 0. */
unsigned random_below(struct sim_random *r, unsigned n);
/* True `in_1000` times of a thousand. */
bool random_chance(struct sim_random *r, unsigned in_1000);
/* A size up to max, of any magnitude: as often below 16 as above max / 16. */
size_t random_size(struct sim_random *r, size_t max);
