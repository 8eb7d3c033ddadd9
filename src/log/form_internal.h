/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The log's side of forms: how lines come of them, and when they are freed. */

#include "base/list.h"
#include "log/form.h"
#include "log/line.h"

#define LOG_IDS_MAX ((size_t)LINE_TEXT_MAX)

struct log_form {
	struct list link; /* among those to free */
	uint64_t no;      /* of the half that may have it last */
	enum log_file file;
	const char *logger;
	struct slice head, tail; /* escaped; in the same memory */
};

/* What several lines have in common. */
struct log_values_head {
	uint64_t wall_ns;
	uint32_t ids_n;
	uint16_t thread_n;
	uint16_t n;
};

void log_form_free(struct log_form *f);
/* The text behind the dash, and the newline. */
void log_form_put(struct line *l, const struct log_form *f, double value, struct slice ids,
		  uint64_t wall_ns);
void log_form_put_once(struct line *l, struct slice head, struct slice tail, double value,
		       struct slice ids, uint64_t wall_ns);
