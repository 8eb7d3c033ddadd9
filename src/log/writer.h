/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The writer's side of the log: a half full of lines goes to the files and the console. */

#include <stdatomic.h>

#include "log/half.h"
#include "log/json_line.h"
#include "log/line.h"
#include "log/log.h"
#include "log/outlet.h"

/* One thread, except log_writer_lost(). */
struct log_writer {
	struct outlet files[LOG_FILES];
	bool has_file[LOG_FILES];
	struct outlet console;
	bool has_console;
	bool as_json;
	int lines_error, numbers_error; /* 0, or the -errno for which these files are off */
	struct json_line json;
	struct line line;          /* in the making */
	struct log_half *lines;    /* of a piece of what is written */
	uint64_t lost_before;      /* by a console that has gone */
	atomic_uint_fast64_t lost; /* of all outlets */
	uint64_t reported;         /* lost lines that were told */
	uint64_t reported_ns;
};

/* Makes the folders. -errno when one cannot be written: then its files are off and the console is
 * on, and the writer is usable. */
int log_writer_init(struct log_writer *w, const struct log_config *c);
void log_writer_finish(struct log_writer *w);
/* Writes all of it to the files, then to the console. `unfit` is how many lines never got here. */
void log_writer_write(struct log_writer *w, const struct log_half *h, bool reopen, uint64_t unfit);
uint64_t log_writer_lost(const struct log_writer *w); /* any thread */
