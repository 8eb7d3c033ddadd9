/* SPDX-License-Identifier: Apache-2.0 */
#include "log/match.h"

#include <string.h>

#include "base/util.h"

/* The next place of `word` in *rest, which is then what follows it; `before` is what comes before.
 */
static bool match_next(struct slice line, struct slice *rest, struct slice word,
		       struct slice *before)
{
	const char *at = word.n ? memmem(rest->p, rest->n, word.p, word.n) : NULL;

	if (!at)
		return false;
	*before = slice_make(line.p, (size_t)(at - line.p));
	*rest = slice_make(at + word.n, (size_t)(line.p + line.n - at) - word.n);
	return true;
}

/* Begins with one of these, or is empty. */
static bool match_begins(struct slice s, const char *chars)
{
	return !s.n || (*s.p && strchr(chars, *s.p));
}

static bool match_request(struct slice line, struct slice request)
{
	struct slice rest = line, before;

	while (match_next(line, &rest, request, &before)) {
		char last = before.n ? before.p[before.n - 1] : ' ';

		if (last && strchr(" ,:\"", last) && match_begins(rest, " ,\"\\\n"))
			return true;
	}
	return false;
}

/* "W-9000-": what stands before the model in a worker's name. */
static bool match_is_worker(struct slice before)
{
	size_t n = before.n;

	if (!n || before.p[n - 1] != '-')
		return false;
	for (n--; n && before.p[n - 1] >= '0' && before.p[n - 1] <= '9';)
		n--;
	return n >= 2 && n < before.n - 1 && before.p[n - 1] == '-' && before.p[n - 2] == 'W';
}

/* Does the version follow, behind `between`? Any, if none is asked for. */
static bool match_version(struct slice rest, struct slice between, struct slice version)
{
	if (!version.n)
		return true;
	if (!slice_starts(rest, between))
		return false;
	rest = slice_make(rest.p + between.n, rest.n - between.n);
	return slice_starts(rest, version) &&
	       match_begins(slice_make(rest.p + version.n, rest.n - version.n), " -,:/?|\"\n");
}

static bool match_place(struct slice before, struct slice rest, struct slice version)
{
	static const char *const dimensions[] = { "ModelName:", "model_name:" };
	static const char *const words[] = { "odel ", "odel: " };

	if (match_is_worker(before) && slice_starts(rest, SLICE("_")))
		return match_version(rest, SLICE("_"), version);
	if (before.n && before.p[before.n - 1] == '/' && match_begins(rest, " /:?\"\\"))
		return match_version(rest, SLICE("/"), version);
	for (size_t i = 0; i < ARRAY_LEN(dimensions); i++)
		if (slice_ends(before, slice_str(dimensions[i])) && match_begins(rest, ",|\""))
			return match_version(rest, SLICE(",model_version:"), version);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (slice_ends(before, slice_str(words[i])) && match_begins(rest, " ,:.\"\n"))
			return match_version(rest, SLICE(" version "), version);
	return false;
}

static bool match_model(struct slice line, struct slice model, struct slice version)
{
	struct slice rest = line, before;

	while (match_next(line, &rest, model, &before))
		if (match_place(before, rest, version))
			return true;
	return false;
}

bool log_filter_takes(const struct log_filter *f, struct slice line)
{
	return (!f->request.n || match_request(line, f->request)) &&
	       (!f->model.n || match_model(line, f->model, f->version));
}

/* ---- tracebacks ---- */

/* "[WARN ] W-9000-m_1.0-stderr" and what it says, of a line of the models' log in text. */
static bool match_said(struct slice line, struct slice *thread, struct slice *text)
{
	struct slice rest, before;

	if (line.n <= MATCH_STAMP)
		return false;
	line = slice_make(line.p + MATCH_STAMP, line.n - MATCH_STAMP);
	rest = line;
	if (!match_next(line, &rest, SLICE(" MODEL_LOG - "), &before))
		return false;
	*thread = before;
	*text = rest;
	return true;
}

/* It came with the others, in one piece, or looks like more of the same. */
static bool trail_goes_on(struct log_trail *t, struct slice text, const char stamp[MATCH_STAMP])
{
	bool was_within = t->within;

	t->within = slice_starts(text, SLICE(" ")) || slice_starts(text, SLICE("Traceback "));
	return t->within || was_within || memcmp(t->stamp, stamp, MATCH_STAMP) == 0;
}

bool log_trail_takes(struct log_trail *t, const struct log_filter *f, struct slice line)
{
	bool takes = log_filter_takes(f, line), begins;
	char stamp[MATCH_STAMP] = "";
	struct slice thread, text;

	if (!f->request.n || !log_stamp(line, stamp) || !match_said(line, &thread, &text))
		return takes;
	begins = slice_starts(text, SLICE("The handler failed"));
	if (takes) {
		t->n = 0;
		if (begins && thread.n <= sizeof(t->thread)) {
			t->n = thread.n;
			t->within = true;
			memcpy(t->thread, thread.p, thread.n);
			memcpy(t->stamp, stamp, MATCH_STAMP);
		}
		return true;
	}
	if (!t->n || !slice_eq(thread, slice_make(t->thread, t->n)))
		return false;
	if (!begins && trail_goes_on(t, text, stamp))
		return true;
	t->n = 0;
	return false;
}

bool log_stamp(struct slice line, char ret[MATCH_STAMP])
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd,ddd";
	static const struct slice head = SLICE_CONST("{\"time\":\"");

	static_assert(sizeof(form) - 1 == MATCH_STAMP, "one character each");
	if (slice_starts(line, head))
		line = slice_make(line.p + head.n, line.n - head.n);
	if (line.n < MATCH_STAMP)
		return false;
	for (size_t i = 0; i < MATCH_STAMP; i++) {
		char c = line.p[i];

		if (form[i] == 'd' ? c < '0' || c > '9'
				   : c != form[i] && !(form[i] == ',' && c == '.'))
			return false;
	}
	memcpy(ret, line.p, MATCH_STAMP);
	ret[MATCH_STAMP - 4] = '.';
	return true;
}
