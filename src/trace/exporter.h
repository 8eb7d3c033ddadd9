/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Takes encoded spans to a collector: OTLP over HTTP, as protobuf, in batches, from a thread of its
 * own. Whoever brings a span pays a copy; nothing waits. What a collector does not take is tried
 * again for a while, and what comes meanwhile waits in a ring of fixed size; what does not fit
 * there is dropped, and counted. The log is told when that begins and when it is over.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct exporter;

struct exporter_config {
	const char *url;            /* that is posted to */
	const char *const *headers; /* lines "name: value"; NULL after the last */
	const char *certificate; /* file of those that sign the collector's; NULL: the system's */
	bool gzip;
	uint64_t timeout_ms;   /* of one try */
	uint64_t interval_ms;  /* between a span and its batch */
	uint64_t flush_ms;     /* at the end, for all that waits */
	size_t memory;         /* of what waits */
	struct slice resource; /* an encoded Resource; copied */
};

struct exporter_stats {
	uint64_t sent, dropped; /* spans */
	uint64_t failures;      /* tries that failed */
};

/* Loads libcurl. 0; or -errno with a sentence in `why`. Texts of `c` must outlive it. */
int exporter_create(struct exporter **ret, const struct exporter_config *c, struct buf *why);
void exporter_put(void *exporter, struct slice span);
struct exporter_stats exporter_stats(struct exporter *e);
/* Sends what waits, one try for each batch, for as long as flush_ms; NULL is fine. */
struct exporter *exporter_destroy(struct exporter *e);
