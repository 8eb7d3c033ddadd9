/* SPDX-License-Identifier: Apache-2.0 */
#include "log/json_line.h"

#include <time.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/util.h"

#define JSON_LINE_END ((size_t)8)     /* room kept for what closes a text that was cut */
#define JSON_LINE_NAMES ((size_t)256) /* of members, and the time zone */
#define JSON_DASH ((size_t)3)         /* " - " before the message */

static void json_line_raw(struct json_line *j, struct slice s)
{
	size_t n = MIN(s.n, j->room - JSON_LINE_END - j->n);

	memcpy(j->p + j->n, s.p, n);
	j->n += n;
}

static void json_line_text(struct json_line *j, struct slice s)
{
	while (s.n && j->n + 16 < j->room - JSON_LINE_END) {
		size_t n = utf8_char(s, NULL);

		if (*s.p == '"' || *s.p == '\\')
			json_line_raw(j, SLICE("\\"));
		if (*s.p == '\t')
			json_line_raw(j, SLICE("\\t"));
		else if (*s.p == LINE_BREAK)
			json_line_raw(j, SLICE("\\n"));
		else
			json_line_raw(j, n ? slice_make(s.p, n) : UTF8_REPLACEMENT);
		n = MAX(n, 1);
		s = slice_make(s.p + n, s.n - n);
	}
	if (s.n)
		json_line_raw(j, SLICE("..."));
}

static void json_line_member(struct json_line *j, const char *name, struct slice value)
{
	json_line_raw(j, j->n > 1 ? SLICE(",\"") : SLICE("\""));
	json_line_raw(j, slice_str(name));
	json_line_raw(j, SLICE("\":\""));
	json_line_text(j, value);
	json_line_raw(j, SLICE("\""));
}

/* The text's local time, and how far it is from UTC. */
static void json_line_time(struct json_line *j, struct slice date)
{
	time_t now = time(NULL);
	char text[LINE_DATE_LEN + 8];
	struct tm local;
	long minutes;

	localtime_r(&now, &local);
	minutes = local.tm_gmtoff / 60;
	memcpy(text, date.p, LINE_DATE_LEN);
	text[LINE_DATE_LEN - 4] = '.';
	text[LINE_DATE_LEN] = minutes < 0 ? '-' : '+';
	minutes = minutes < 0 ? -minutes : minutes;
	for (size_t i = 0; i < 2; i++) {
		long part = i ? minutes % 60 : minutes / 60;

		text[LINE_DATE_LEN + 1 + 3 * i] = (char)('0' + part / 10 % 10);
		text[LINE_DATE_LEN + 2 + 3 * i] = (char)('0' + part % 10);
	}
	text[LINE_DATE_LEN + 3] = ':';
	json_line_member(j, "time", slice_make(text, LINE_DATE_LEN + 6));
}

/* What follows the last blank of *s; *s keeps what is before. */
static struct slice json_line_cut_last(struct slice *s)
{
	size_t at = s->n;
	struct slice last;

	while (at && s->p[at - 1] != ' ')
		at--;
	last = slice_make(s->p + at, s->n - at);
	s->n = at ? at - 1 : 0;
	return last;
}

/* The ids of the requests that a line is about, taken off its message where they are no part of
 * it. SLICE_NULL: none. */
static struct slice json_line_requests(enum log_file file, struct slice *message)
{
	struct slice rest = *message, found = SLICE_NULL;
	static const char key[] = ",requestID:", end[] = ",timestamp:";
	const char *from, *to;

	if (file == LOG_SERVER_METRICS || file == LOG_MODEL_METRICS) {
		from = memmem(rest.p, rest.n, key, sizeof(key) - 1);
		if (!from)
			return found;
		from += sizeof(key) - 1;
		to = memmem(from, (size_t)(rest.p + rest.n - from), end, sizeof(end) - 1);
		return slice_make(from, (size_t)((to ? to : rest.p + rest.n) - from));
	}
	*message = slice_cut(&rest, LINE_ID);
	return rest.n ? rest : found;
}

/* Twice the text holds all of it: what was escaped there needs no more than a backslash here. */
static void json_line_make_room(struct json_line *j, size_t text)
{
	size_t room = MIN(MAX(2 * text + JSON_LINE_NAMES, 2 * LINE_ROOM), JSON_LINE_MAX);

	if (j->room < room || (j->room > room && room == 2 * LINE_ROOM)) {
		j->p = mem_realloc(j->p, room);
		j->room = room;
	}
}

void json_line_finish(struct json_line *j)
{
	free(j->p);
	*j = (struct json_line){ 0 };
}

void json_line_make(struct json_line *j, enum log_file file, struct slice text, size_t tail)
{
	struct slice head = slice_make(text.p + LINE_DATE_LEN, tail - LINE_DATE_LEN);
	struct slice message = slice_make(text.p + tail + JSON_DASH, text.n - tail - JSON_DASH - 1);
	struct slice level, logger, requests, request;

	slice_cut(&head, '[');
	level = slice_trim(slice_cut(&head, ']'));
	head = slice_trim(head);
	logger = json_line_cut_last(&head);
	json_line_make_room(j, text.n);
	j->n = 0;
	json_line_raw(j, SLICE("{"));
	json_line_time(j, slice_make(text.p, LINE_DATE_LEN));
	json_line_member(j, "level", level);
	json_line_member(j, "logger", logger);
	json_line_member(j, "thread", head);
	requests = json_line_requests(file, &message);
	request = slice_cut(&requests, LINE_ID);
	if (request.p)
		json_line_member(j, "request_id", request);
	if (requests.p) {
		json_line_member(j, "trace_id", slice_cut(&requests, LINE_ID));
		json_line_member(j, "span_id", requests);
	}
	json_line_member(j, "message", message);
	memcpy(j->p + j->n, "}\n", 2);
	j->n += 2;
}
