/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Load on a server, and what came of it. One thread, one request again and again.
 *
 * A closed loop asks on each connection again as soon as it has an answer: it measures throughput,
 * and a slow server slows it down. An open loop asks at a fixed rate, whatever the server does;
 * there latency counts from when a request was due, so a pause of the server costs every request
 * that it delayed, not only the few that were under way.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define LOAD_STATUSES 600

struct load_plan {
	const char *address;      /* "http://HOST[:PORT]" or "unix:PATH" */
	struct slice request;     /* head and body */
	unsigned connections;     /* open loop: at most as many at once */
	double rate;              /* requests per second; 0: a closed loop */
	uint64_t warm_up_ns;      /* that does not count */
	uint64_t measure_ns;      /* when requests that count are sent, or due */
	uint64_t answer_limit_ns; /* for each of them */
};

struct load_result {
	uint64_t statuses[LOAD_STATUSES]; /* how many answers had each */
	uint64_t lost;                    /* connection closed or refused before an answer */
	uint64_t unanswered;              /* not within the limit, or when it was interrupted */
	uint64_t late;     /* open loop: sent late: all connections, or we, were busy */
	uint64_t answers;  /* of whatever status */
	float *latency_ms; /* of the good ones, sorted */
	size_t n;
	uint64_t took_ns; /* from the first request that counts to the last answer */
};

static inline bool load_status_is_good(unsigned status)
{
	return status >= 200 && status < 300;
}

/* 0, or -errno with a sentence in `why`. SIGINT ends it early. load_result_finish() in any case. */
int load_run(const struct load_plan *p, struct load_result *ret, struct buf *why);
void load_result_finish(struct load_result *r);
/* The latency that the share `p` (0 … 1) of all good answers had at most: by the nearest rank. */
double load_percentile(const struct load_result *r, double p);
