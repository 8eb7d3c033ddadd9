/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading the log's lines again, text or JSON: which requests and models one is about, and when it
 * was written. Pure.
 */

#include <stdbool.h>

#include "base/slice.h"

#define MATCH_STAMP 23
#define MATCH_THREAD_MAX 256

struct log_filter {
	struct slice request, model, version; /* SLICE_NULL: any */
};

/* Is the line (with or without its newline) about what the filter names? A model is known by its
 * worker's name (W-9000-m_1.0), by metrics' dimensions, by a path (/predictions/m) and by the word
 * "model" before it. */
bool log_filter_takes(const struct log_filter *f, struct slice line);
/* The same for the lines of a file in their order: a traceback in text belongs to the requests that
 * the line before it names. Begins zeroed. */
struct log_trail {
	char thread[MATCH_THREAD_MAX], stamp[MATCH_STAMP];
	size_t n; /* of `thread`: whose traceback it is; 0: there is none */
	bool within;
};
bool log_trail_takes(struct log_trail *t, const struct log_filter *f, struct slice line);
/* Its time, made comparable ("2026-11-24T12:00:00.123"). False, and `ret` as it was: it has none.
 */
bool log_stamp(struct slice line, char ret[MATCH_STAMP]);
