/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The metrics page, and the figures of the server that are read off when somebody looks: the memory
 * budget, the pool, the log, the models. Loop thread only.
 */

#include "auth/tokens.h"
#include "core/metrics.h"

struct api;

enum scrape_figure {
	SCRAPE_MEMORY_LIMIT,
	SCRAPE_MEMORY_USED,
	SCRAPE_MEMORY_PEAK,
	SCRAPE_MEMORY_REFUSED,
	SCRAPE_POOL_SEGMENTS,
	SCRAPE_POOL_MAPPED,
	SCRAPE_POOL_USED,
	SCRAPE_LOG_DROPPED,
	SCRAPE_CONNECTIONS,
	SCRAPE_ACCEPTED,
	SCRAPE_REFUSED,
	SCRAPE_UNACCEPTED,
	SCRAPE_BAD,
	SCRAPE_TIMEOUTS,
	SCRAPE_STARTED,
	SCRAPE_CPU,
	SCRAPE_RESIDENT,
	SCRAPE_GPUS,
	SCRAPE_SPANS,
	SCRAPE_SPANS_DROPPED,
	SCRAPE_EXPORT_FAILURES,
	SCRAPE_FIGURES,
};

enum scrape_state {
	SCRAPE_STATE_READY,
	SCRAPE_STATE_LOADING,
	SCRAPE_STATE_FAILED,
	SCRAPE_STATE_IDLE,
	SCRAPE_STATES,
};

struct scrape {
	struct metric *figures[SCRAPE_FIGURES], *states[SCRAPE_STATES];
	struct metric *expiry[TOKEN_API]; /* of the keys that expire; NULL: there are none */
};

void scrape_init(struct api *a);
