/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/parameters.h"

static void choose(int64_t *said, int64_t value, bool replace)
{
	if (value >= 0 && (replace || *said < 0))
		*said = value;
}

static void apply(struct manifest *m, const struct model_parameters *p, bool replace)
{
	/* The two numbers of workers only make sense together. */
	if (p->min_workers >= 0 &&
	    (replace || m->min_workers < 0 || m->max_workers < m->min_workers)) {
		m->min_workers = p->min_workers;
		m->max_workers = MAX(p->max_workers, p->min_workers);
	}
	choose(&m->batch_size, p->batch_size, replace);
	choose(&m->max_batch_delay_ms, p->max_batch_delay_ms, replace);
	choose(&m->response_timeout_s, p->response_timeout_s, replace);
	choose(&m->startup_timeout_s, p->startup_timeout_s, replace);
	choose(&m->parallel_level, p->parallel_level, replace);
	choose(&m->latency_goal_ms, p->latency_goal_ms, replace);
}

void parameters_complete(struct manifest *m, const struct model_parameters *p)
{
	apply(m, p, false);
}

void parameters_replace(struct manifest *m, const struct model_parameters *p)
{
	apply(m, p, true);
}
