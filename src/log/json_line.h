/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A line as one JSON object (log_format=json), made from its text by the writer:
 *
 *     {"time":"2026-11-24T12:00:00.123+01:00","level":"INFO","logger":"ACCESS_LOG","thread":"main",
 *      "request_id":"…","trace_id":"…","span_id":"…","message":"…"}
 *
 * `request_id` is there in lines about requests: metrics, and what was logged with LINE_ID
 * (line.h), as access lines are; several are separated by commas. `trace_id` and `span_id` are
 * there where the request is in a trace: behind two more LINE_ID. LINE_BREAK is a line break of the
 * message. Always valid JSON in UTF-8, whatever is in the line; at most JSON_LINE_MAX bytes long.
 */

#include "log/line.h"

#define JSON_LINE_MAX (2 * LINE_LONG_MAX)

/* Zeroed to begin with; the memory is kept from line to line, that of a long one is not. */
struct json_line {
	size_t n, room;
	char *p;
};

/* `text` is a whole line with its newline, `tail` as in struct line. */
void json_line_make(struct json_line *j, enum log_file file, struct slice text, size_t tail);
void json_line_finish(struct json_line *j);
