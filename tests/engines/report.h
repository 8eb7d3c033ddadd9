/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What engine_run prints: one JSON object. Lines of the engine's log may come from any thread; all
 * else is the main thread's.
 */

#include <sconce/engine.h>
#include <stdint.h>

#include "yyjson.h"

struct report;

struct report *report_create(void);
yyjson_mut_doc *report_document(struct report *r);
yyjson_mut_val *report_root(struct report *r);

void report_log(struct report *r, int level, const char *line);
/* Waits until the log has more lines than `have`, at most `seconds`. How many there are. */
size_t report_await_log(struct report *r, size_t have, unsigned seconds);

void report_info(struct report *r, const struct sconce_engine *e,
		 const struct sconce_engine_info *info);
void report_signature(struct report *r, const struct sconce_signature *s);
/* A tensor of a run; `file` may be NULL. */
yyjson_mut_val *report_tensor(struct report *r, const struct sconce_tensor *t, const char *file,
			      int lent);
/* Threads and memory as they are now, as a member of the root. */
void report_process(struct report *r, const char *member);

/* Prints it, and frees it. */
void report_finish(struct report *r);
