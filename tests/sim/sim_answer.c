/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sim.h"

#define ANSWER_MAX (4 * SIM_REQUEST_MAX)

void answer_init(struct answer_reader *a)
{
	*a = (struct answer_reader){ 0 };
	buf_init(&a->line, 1 << 20);
	buf_init(&a->body, ANSWER_MAX);
}

void answer_finish(struct answer_reader *a)
{
	buf_finish(&a->line);
	buf_finish(&a->body);
}

void answer_next(struct answer_reader *a)
{
	struct buf line = a->line, body = a->body;

	buf_clear(&line);
	buf_clear(&body);
	*a = (struct answer_reader){ .line = line, .body = body };
}

static int answer_is_wrong(struct answer_reader *a, const char *why)
{
	a->wrong = why;
	return ANSWER_WRONG;
}

/* Takes bytes up to and with `end` into the line. */
static bool answer_until(struct answer_reader *a, struct slice *in, const char *end)
{
	size_t n = strlen(end);

	while (in->n) {
		buf_putc(&a->line, *in->p);
		*in = slice_make(in->p + 1, in->n - 1);
		if (a->line.n >= n && memcmp(a->line.p + a->line.n - n, end, n) == 0)
			return true;
	}
	return false;
}

static const char *answer_header(struct answer_reader *a, struct slice name, struct slice value)
{
	uint64_t n;

	if (slice_ieq(name, SLICE("connection"))) {
		a->closes = slice_ieq(value, SLICE("close"));
	} else if (slice_ieq(name, SLICE("content-length"))) {
		if (a->has_length || !slice_u64(value, &n))
			return "two lengths, or none";
		a->has_length = true;
		a->left = n;
	} else if (slice_ieq(name, SLICE("transfer-encoding"))) {
		if (a->chunked || !slice_ieq(value, SLICE("chunked")))
			return "a transfer coding twice, or unknown";
		a->chunked = true;
	}
	return NULL;
}

static const char *answer_lines(struct answer_reader *a)
{
	struct slice rest = slice_make(a->line.p, a->line.n - 4), first = slice_cut(&rest, '\n');
	uint64_t status;

	if (!slice_starts(first, SLICE("HTTP/1.1 ")) || first.n < 13 ||
	    !slice_u64(slice_make(first.p + 9, 3), &status))
		return "no status line";
	a->status = (int)status;
	while (rest.n) {
		struct slice value = slice_cut(&rest, '\n'), name = slice_cut(&value, ':');
		const char *why;

		if (!value.p || !name.n)
			return "a line that is no header";
		if (value.n && value.p[value.n - 1] == '\r')
			value.n--;
		why = answer_header(a, name, slice_trim(value));
		if (why)
			return why;
	}
	return NULL;
}

static int answer_head(struct answer_reader *a, bool head)
{
	const char *why = answer_lines(a);

	if (why)
		return answer_is_wrong(a, why);
	buf_clear(&a->line);
	if (a->status == 100) {
		if (a->has_length || a->chunked)
			return answer_is_wrong(a, "a body behind 100");
		answer_next(a);
		return ANSWER_INTERIM;
	}
	if (a->status < 200 || a->status > 999)
		return answer_is_wrong(a, "a status that is none");
	a->no_body = head || a->status == 204 || a->status == 304;
	if (a->status == 204 && (a->has_length || a->chunked))
		return answer_is_wrong(a, "204 with a length");
	if (a->no_body)
		return ANSWER_DONE;
	if (a->chunked && a->has_length)
		return answer_is_wrong(a, "both a length and chunks");
	a->state = a->chunked ? ANSWER_SIZE : a->has_length ? ANSWER_KNOWN : ANSWER_CLOSE;
	if (a->state == ANSWER_CLOSE && !a->closes)
		return answer_is_wrong(a, "no length, and it does not close");
	return a->state == ANSWER_KNOWN && !a->left ? ANSWER_DONE : ANSWER_MORE;
}

static void answer_take(struct answer_reader *a, struct slice *in, size_t n)
{
	n = MIN(n, in->n);
	buf_append(&a->body, in->p, n);
	*in = slice_make(in->p + n, in->n - n);
	a->left -= MIN(a->left, n);
}

static int answer_size(struct answer_reader *a)
{
	char *end;

	buf_cstr(&a->line);
	a->left = strtoull(a->line.p, &end, 16);
	if (end == a->line.p || *end != '\r')
		return answer_is_wrong(a, "a chunk without a size");
	buf_clear(&a->line);
	a->state = a->left ? ANSWER_CHUNK : ANSWER_END;
	return ANSWER_MORE;
}

static int answer_line(struct answer_reader *a, bool head)
{
	switch (a->state) {
	case ANSWER_HEAD:
		return answer_head(a, head);
	case ANSWER_SIZE:
		return answer_size(a);
	case ANSWER_CRLF:
		if (a->line.n != 2)
			return answer_is_wrong(a, "a chunk longer than it said");
		buf_clear(&a->line);
		a->state = ANSWER_SIZE;
		return ANSWER_MORE;
	default:
		return a->line.n == 2 ? ANSWER_DONE : answer_is_wrong(a, "a trailer");
	}
}

int answer_feed(struct answer_reader *a, struct slice *in, bool head)
{
	int r = ANSWER_MORE;

	while (in->n && r == ANSWER_MORE) {
		a->begun = true;
		switch (a->state) {
		case ANSWER_KNOWN:
			answer_take(a, in, a->left);
			if (!a->left)
				return ANSWER_DONE;
			break;
		case ANSWER_CHUNK:
			answer_take(a, in, a->left);
			if (!a->left)
				a->state = ANSWER_CRLF;
			break;
		case ANSWER_CLOSE:
			answer_take(a, in, in->n);
			break;
		default:
			if (answer_until(a, in, a->state == ANSWER_HEAD ? "\r\n\r\n" : "\r\n"))
				r = answer_line(a, head);
		}
		if (buf_overflowed(&a->body) || buf_overflowed(&a->line))
			return answer_is_wrong(a, "it is longer than anything that was asked for");
	}
	return r;
}

bool answer_ended(const struct answer_reader *a)
{
	return a->state == ANSWER_CLOSE;
}
