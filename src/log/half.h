/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Half of the log's memory: lines and forms' values with their destinations, one after the other,
 * as they were logged. One owner at a time.
 */

#include "log/form_internal.h"

struct log_half {
	size_t n, room;
	bool values; /* not all of it are lines */
	char p[];
};

/* What is next in it: a whole line, or values. */
struct log_item {
	enum log_file file;
	struct slice line; /* NULL: values */
	size_t tail;       /* of the line */
	struct log_values_head head;
	const char *values; /* struct log_value, wherever they lie */
	struct slice thread, ids;
};

/* What an item takes at most besides what it is. */
#define LOG_HALF_SLACK ((size_t)16)

struct log_half *log_half_create(size_t room);
struct log_half *log_half_destroy(struct log_half *h);
void log_half_clear(struct log_half *h);
/* Both false when it does not fit. */
bool log_half_put(struct log_half *h, enum log_file file, struct slice line, size_t tail);
bool log_half_put_values(struct log_half *h, const struct log_values_head *head,
			 const struct log_value *values, const char *thread, const char *ids);
/* Reads what is at *at and moves it on; false at the end. What is read points into the half; of a
 * line there is nothing about values. */
bool log_half_next(const struct log_half *h, size_t *at, struct log_item *ret);
