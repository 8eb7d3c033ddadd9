/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * batch_take() in a world of its own, for tests: requests arrive in a pattern, workers take batches
 * that cost a + c·n, time is a number. One model, or two that share the cores: while both run, what
 * runs takes longer.
 */

#include "core/batch.h"

#define ARRIVALS_MODELS 2
#define ARRIVALS_SIZE_MAX 32

enum arrivals_pattern {
	ARRIVALS_POISSON,
	ARRIVALS_BURSTS, /* sixteen at once, then a pause */
	ARRIVALS_RAMP,   /* from a tenth of the load to all of it and back */
	ARRIVALS_CLOSED, /* each client asks again as soon as it has an answer */
};

struct arrivals_model {
	double a_ms, c_ms;
	unsigned workers; /* 0: there is no such model */
	enum arrivals_pattern pattern;
	double load;      /* of what the workers can do with the largest batches while others run */
	unsigned clients; /* ARRIVALS_CLOSED */
};

struct arrivals {
	const char *name;
	struct arrivals_model models[ARRIVALS_MODELS];
	double stretch; /* how many times longer while both run; 0: no longer */
};

struct arrivals_setting {
	enum batch_mode mode;
	unsigned size;
	double delay_ms;
	double goal_ms; /* 0: none */
};

struct arrivals_result {
	double mean_ms, p99_ms; /* of the answered: latency */
	unsigned answered, refused, late;
};

/* About so many requests of the model that has fewest; the same arrivals whatever the settings.
 * `settings` and `ret`: of each model. */
void arrivals_run(const struct arrivals *scene, unsigned requests,
		  const struct arrivals_setting *settings, struct arrivals_result *ret);
