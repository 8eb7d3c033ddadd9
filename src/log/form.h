/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A form: a metric's line in the log, all of it but time, thread and value. It is made once per
 * series and filled in by the log's own thread, so that whoever counts a request copies a few
 * numbers and no text:
 *
 *     2026-11-24T12:00:00,123 [INFO ] W-9000-m_1.0 TS_METRICS - QueueTime.Milliseconds:0.0|#Level:
 *     Host|#hostname:h,timestamp:1764000000
 *
 * Any thread.
 */

#include "log/log.h"

/* A line that is to be written. */
struct log_value {
	const struct log_form *form;
	double value;
};

/* `logger` must outlive the log; `head` comes before the value, `tail` after it, copied. */
struct log_form *log_form_create(enum log_file file, const char *logger, struct slice head,
				 struct slice tail);
/* What was logged with it is still written; its memory goes after that. */
struct log_form *log_form_destroy(struct log_form *f);
#define LOG_VALUES_MAX 16
/* `n` lines (at most LOG_VALUES_MAX), of one time and thread (as in log_text()). `ids` are the
 * requests they are about, comma separated; may be empty. */
void log_values(const char *thread, const struct log_value *values, unsigned n, struct slice ids);
/* One line of a series that is met rarely: as with a form that is made, used and destroyed. */
void log_value_once(enum log_file file, const char *logger, struct slice head, struct slice tail,
		    const char *thread, double value, struct slice ids);
