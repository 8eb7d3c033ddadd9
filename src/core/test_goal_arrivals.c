/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/*
 * A latency goal under too much load: what is answered is answered in time, and about as much as
 * the workers can do is. Where all can be answered in time, nobody is refused.
 */

#include <stdio.h>

#include "base/util.h"
#include "core/arrivals_rig.h"

#define REQUESTS 20000
#define LATE_MAX 0.015   /* of what is answered */
#define REFUSED_MAX 0.01 /* of all, where there is no need */

static const struct {
	struct arrivals scene;
	double goal_ms;
	double answered_min; /* in time, of what workers can do with the largest batches; 0: all */
} rows[] = {
	{ { "GPU, half the load", { { 20, 0.5, 1, ARRIVALS_POISSON, 0.5 } } }, 150, 0 },
	{ { "GPU, 1.5 times", { { 20, 0.5, 1, ARRIVALS_POISSON, 1.5 } } }, 150, 0.9 },
	{ { "GPU, 4 times", { { 20, 0.5, 2, ARRIVALS_POISSON, 4 } } }, 150, 0.9 },
	{ { "GPU, hardly in time", { { 20, 0.5, 1, ARRIVALS_POISSON, 1.5 } } }, 30, 0.2 },
	{ { "small, half the load", { { 1, 1, 1, ARRIVALS_POISSON, 0.5 } } }, 50, 0 },
	{ { "small, 1.5 times", { { 1, 1, 1, ARRIVALS_POISSON, 1.5 } } }, 50, 0.9 },
	{ { "small, ramp to twice", { { 1, 1, 2, ARRIVALS_RAMP, 2 } } }, 50, 0.75 },
	{ { "linear, half the load", { { 0.1, 10, 1, ARRIVALS_POISSON, 0.5 } } }, 200, 0 },
	{ { "linear, 1.5 times", { { 0.1, 10, 1, ARRIVALS_POISSON, 1.5 } } }, 200, 0.9 },
	{ { "middle, 1.5 times", { { 8, 4, 4, ARRIVALS_POISSON, 1.5 } } }, 200, 0.9 },
	{ { "middle, bursts", { { 8, 4, 1, ARRIVALS_BURSTS, 1.5 } } }, 200, 0.75 },
	{ { "middle + small, 1.5 times",
	    { { 8, 4, 1, ARRIVALS_POISSON, 1.5 }, { 1, 1, 1, ARRIVALS_POISSON, 0.5 } },
	    1.4 },
	  200,
	  0.9 },
};

static void what_is_answered_is_in_time(void **state)
{
	unsigned worse = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arrivals_setting s[ARRIVALS_MODELS];
		struct arrivals_result found[ARRIVALS_MODELS], *r = &found[0];
		const struct arrivals *scene = &rows[i].scene;
		bool ramp = scene->models[0].pattern == ARRIVALS_RAMP;
		double asked, load = scene->models[0].load * (ramp ? 0.55 : 1), part;

		s[0] = s[1] = (struct arrivals_setting){ BATCH_ADAPTIVE, ARRIVALS_SIZE_MAX, 100,
							 rows[i].goal_ms };
		arrivals_run(scene, REQUESTS, s, found);
		asked = r->answered + r->refused;
		part = (r->answered - r->late) / asked * load;
		print_message("%-26s of %.0f %.1f %% refused, %.2f %% of the others late, p99 %.1f "
			      "ms; in time %.2f of what could be\n",
			      scene->name, asked, 100 * r->refused / asked,
			      100.0 * r->late / r->answered, r->p99_ms, part);
		worse += r->late > LATE_MAX * r->answered;
		worse += rows[i].answered_min > 0 ? part < rows[i].answered_min
						  : r->refused > REFUSED_MAX * asked;
	}
	assert_int_equal(worse, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_answered_is_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
