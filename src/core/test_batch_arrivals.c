/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/*
 * Adaptive batching is held against every fixed setting of size and delay that somebody might have
 * tuned for a pattern of arrivals, by the mean latency of a request.
 */

#include <math.h>
#include <stdio.h>

#include "base/util.h"
#include "core/arrivals_rig.h"

#define SLACK 1.05
#define REQUESTS 20000
#define REQUESTS_OF_TWO 3000

static const struct arrivals_setting adaptive = { BATCH_ADAPTIVE, ARRIVALS_SIZE_MAX, 100, 0 };

/* A GPU, whose batches cost hardly more than one; a small CPU model; one for which batches are no
 * gain at all; one in between. */
#define GPU 20, 0.5
#define SMALL 1, 1
#define LINEAR 0.1, 10
#define MIDDLE 8, 4
#define POISSON ARRIVALS_POISSON
#define BURSTS ARRIVALS_BURSTS
#define RAMP ARRIVALS_RAMP
#define CLOSED ARRIVALS_CLOSED

static const struct arrivals scenes[] = {
	{ "GPU, Poisson 30 %", { { GPU, 1, POISSON, 0.3 } } },
	{ "GPU, Poisson 80 %", { { GPU, 1, POISSON, 0.8 } } },
	{ "GPU, bursts", { { GPU, 1, BURSTS, 0.4 } } },
	{ "GPU, ramp", { { GPU, 2, RAMP, 0.9 } } },
	{ "GPU, 64 clients", { { GPU, 1, CLOSED, 0, 64 } } },
	{ "small, Poisson 30 %", { { SMALL, 1, POISSON, 0.3 } } },
	{ "small, Poisson 80 %", { { SMALL, 2, POISSON, 0.8 } } },
	{ "small, bursts", { { SMALL, 1, BURSTS, 0.4 } } },
	{ "small, ramp", { { SMALL, 1, RAMP, 0.9 } } },
	{ "small, 64 clients", { { SMALL, 2, CLOSED, 0, 64 } } },
	{ "linear, Poisson 30 %", { { LINEAR, 1, POISSON, 0.3 } } },
	{ "linear, Poisson 80 %", { { LINEAR, 1, POISSON, 0.8 } } },
	{ "linear, bursts", { { LINEAR, 2, BURSTS, 0.4 } } },
	{ "linear, ramp", { { LINEAR, 1, RAMP, 0.9 } } },
	{ "linear, 16 clients", { { LINEAR, 1, CLOSED, 0, 16 } } },
	{ "middle, Poisson 50 %", { { MIDDLE, 1, POISSON, 0.5 } } },
	{ "middle, Poisson 80 %", { { MIDDLE, 1, POISSON, 0.8 } } },
	{ "middle, bursts", { { MIDDLE, 4, BURSTS, 0.5 } } },
	{ "middle, ramp", { { MIDDLE, 1, RAMP, 0.9 } } },
	{ "middle, 32 clients", { { MIDDLE, 1, CLOSED, 0, 32 } } },
};

/* Two models on two cores. Those of 1.4 share caches and memory; those of 2 want both cores. */
static const struct arrivals pairs[] = {
	{ "small + small, Poisson",
	  { { SMALL, 1, POISSON, 0.6 }, { SMALL, 1, POISSON, 0.6 } },
	  1.4 },
	{ "small + middle, Poisson",
	  { { SMALL, 1, POISSON, 0.5 }, { MIDDLE, 1, POISSON, 0.5 } },
	  2 },
	{ "middle + middle, ramps", { { MIDDLE, 1, RAMP, 0.8 }, { MIDDLE, 1, RAMP, 0.8 } }, 1.4 },
	{ "small + linear, bursts",
	  { { SMALL, 1, BURSTS, 0.4 }, { LINEAR, 1, POISSON, 0.4 } },
	  1.4 },
	{ "GPU + middle, bursts", { { GPU, 1, BURSTS, 0.4 }, { MIDDLE, 1, BURSTS, 0.4 } }, 1.4 },
	{ "linear + middle, ramp", { { LINEAR, 1, POISSON, 0.5 }, { MIDDLE, 1, RAMP, 0.8 } }, 2 },
	{ "middle + small, clients",
	  { { MIDDLE, 1, CLOSED, 0, 32 }, { SMALL, 1, POISSON, 0.5 } },
	  2 },
};

static const unsigned sizes[] = { 1, 2, 4, 8, 16, 32 };
static const double delays[] = { 0, 0.5, 1, 2, 5, 10, 20, 50 };

static double mean_ms(const struct arrivals *scene, const struct arrivals_setting *s)
{
	struct arrivals_result result[ARRIVALS_MODELS];

	arrivals_run(scene, REQUESTS, s, result);
	return result[0].mean_ms;
}

static double best_fixed(const struct arrivals *scene, struct arrivals_setting *ret)
{
	double best = INFINITY;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t k = 0; k < ARRAY_LEN(delays); k++) {
			struct arrivals_setting s = { BATCH_FIXED, sizes[i], delays[k], 0 };
			double ms = mean_ms(scene, &s);

			if (ms >= best)
				continue;
			best = ms;
			*ret = s;
		}
	return best;
}

static void adaptive_is_as_good_as_what_somebody_would_have_tuned(void **state)
{
	unsigned worse = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
		struct arrivals_setting s = { 0 };
		double best = best_fixed(&scenes[i], &s), found = mean_ms(&scenes[i], &adaptive);

		print_message("%-22s adaptive %8.2f ms, best fixed %8.2f ms (%u, %g ms): %.3f\n",
			      scenes[i].name, found, best, s.size, s.delay_ms, found / best);
		worse += found > SLACK * best;
	}
	assert_int_equal(worse, 0);
}

/* ---- two models ---- */

#define COARSE 4

static const unsigned coarse_sizes[COARSE] = { 1, 4, 8, 32 };
static const double coarse_delays[] = { 0, 2, 10 };
#define CHOICES (COARSE * ARRAY_LEN(coarse_delays))

static struct arrivals_setting choice(size_t i)
{
	return (struct arrivals_setting){ BATCH_FIXED, coarse_sizes[i % COARSE],
					  coarse_delays[i / COARSE], 0 };
}

/* What each model's requests take, as parts of what they take with adaptive batching: the mean of
 * both, so that the slower model is not all that counts. */
static double cost_of(const struct arrivals_result *r, const struct arrivals_result *base)
{
	return sqrt(r[0].mean_ms / base[0].mean_ms * (r[1].mean_ms / base[1].mean_ms));
}

static bool pair_is_worse(const struct arrivals *pair)
{
	struct arrivals_setting s[ARRIVALS_MODELS] = { adaptive, adaptive };
	struct arrivals_result found[ARRIVALS_MODELS], r[ARRIVALS_MODELS],
		best[ARRIVALS_MODELS] = { 0 };
	size_t best_i = 0, best_k = 0;
	double least = INFINITY;

	arrivals_run(pair, REQUESTS_OF_TWO, s, found);
	for (size_t i = 0; i < CHOICES; i++)
		for (size_t k = 0; k < CHOICES; k++) {
			s[0] = choice(i);
			s[1] = choice(k);
			arrivals_run(pair, REQUESTS_OF_TWO, s, r);
			if (cost_of(r, found) >= least)
				continue;
			least = cost_of(r, found);
			best_i = i;
			best_k = k;
			best[0] = r[0];
			best[1] = r[1];
		}
	print_message("%-24s adaptive %7.2f and %7.2f ms, best fixed %7.2f (%u, %g ms) and %7.2f "
		      "(%u, %g ms): %.3f\n",
		      pair->name, found[0].mean_ms, found[1].mean_ms, best[0].mean_ms,
		      choice(best_i).size, choice(best_i).delay_ms, best[1].mean_ms,
		      choice(best_k).size, choice(best_k).delay_ms, 1 / least);
	return 1 > SLACK * least;
}

static void two_models_that_share_cores_do_no_worse(void **state)
{
	unsigned worse = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		worse += pair_is_worse(&pairs[i]);
	assert_int_equal(worse, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adaptive_is_as_good_as_what_somebody_would_have_tuned),
		cmocka_unit_test(two_models_that_share_cores_do_no_worse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
