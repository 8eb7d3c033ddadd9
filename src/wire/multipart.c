/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/multipart.h"

#include <errno.h>

#include "base/err.h"
#include "base/util.h"
#include "wire/http.h"

#define MULTIPART_BOUNDARY_MAX 256
#define MULTIPART_HEAD_MAX ((size_t)8192) /* of one part */
#define MULTIPART_HEADERS_MAX 32

/* Finds the next "--boundary" that begins a line; `delimiter` is it with the line break before it,
 * so that what looks like it within a line costs nothing. *ret_end is behind it. Returns where the
 * line break begins, or the body where that begins with it. */
static const char *multipart_find(struct slice body, const char *from, struct slice delimiter,
				  const char **ret_end)
{
	struct slice rest = slice_make(from, (size_t)(body.p + body.n - from));
	const char *at;

	if (from == body.p && slice_starts(rest, slice_make(delimiter.p + 1, delimiter.n - 1))) {
		*ret_end = from + delimiter.n - 1;
		return from;
	}
	at = memmem(rest.p, rest.n, delimiter.p, delimiter.n);
	if (!at)
		return NULL;
	*ret_end = at + delimiter.n;
	return at > body.p && at[-1] == '\r' ? at - 1 : at;
}

/* Cuts a line, CRLF or LF removed. */
static struct slice multipart_line(struct slice *rest)
{
	struct slice line = slice_cut(rest, '\n');

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static int multipart_header(struct region *r, struct slice line, struct multipart_part *part)
{
	struct slice value = line, name = slice_trim(slice_cut(&value, ':')), named = SLICE_NULL;
	struct http_param p;

	if (!value.p)
		return -EBADMSG;
	value = slice_trim(value);
	if (slice_ieq(name, SLICE("content-type")))
		part->type = http_media_type(value);
	if (!slice_ieq(name, SLICE("content-disposition")))
		return 0;
	slice_cut(&value, ';');
	part->file = false;
	while (http_param_next(&value, &p)) {
		if (!named.p && slice_ieq(p.name, SLICE("name")))
			named = part->name = http_param_text(r, &p);
		part->file |= slice_ieq(p.name, SLICE("filename")) ||
			      slice_ieq(p.name, SLICE("filename*"));
	}
	return 0;
}

/* The headers of a part and where its content begins. */
static int multipart_head(struct region *r, struct slice *rest, struct multipart_part *part)
{
	const char *start = rest->p;

	for (unsigned i = 0; i <= MULTIPART_HEADERS_MAX; i++) {
		struct slice line;

		if (!rest->p || (size_t)(rest->p - start) > MULTIPART_HEAD_MAX)
			return -EBADMSG;
		line = multipart_line(rest);
		if (!rest->p)
			return -EBADMSG;
		if (!line.n)
			return part->name.p ? 0 : -EBADMSG;
		if (line.n > MULTIPART_HEAD_MAX || multipart_header(r, line, part) < 0)
			return -EBADMSG;
	}
	return -EBADMSG;
}

/* What follows a delimiter: 1: a part, 0: the end, -EBADMSG. Moves *at behind the line. */
static int multipart_after(struct slice body, const char **at)
{
	const char *end = body.p + body.n, *p = *at;

	if (end - p >= 2 && p[0] == '-' && p[1] == '-')
		return 0;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p < end && *p == '\r')
		p++;
	if (p == end || *p != '\n')
		return -EBADMSG;
	*at = p + 1;
	return 1;
}

int multipart_parse(struct region *r, struct slice body, struct slice boundary,
		    struct multipart_part *parts, unsigned max, unsigned *ret_n)
{
	char text[MULTIPART_BOUNDARY_MAX + 3] = "\n--";
	struct slice delimiter = slice_make(text, boundary.n + 3);
	const char *at = NULL, *end = body.p + body.n;
	unsigned n = 0;
	int more;

	if (!boundary.n || boundary.n > MULTIPART_BOUNDARY_MAX || !body.n)
		return err_origin(-EBADMSG);
	memcpy(text + 3, boundary.p, boundary.n);
	if (!multipart_find(body, body.p, delimiter, &at))
		return err_origin(-EBADMSG);
	while ((more = multipart_after(body, &at)) > 0) {
		struct multipart_part part = { .type = SLICE("") };
		struct slice rest = slice_make(at, (size_t)(end - at));
		const char *stop;

		if (multipart_head(r, &rest, &part) < 0)
			return err_origin(-EBADMSG);
		/* An empty content: its delimiter's line break is the head's own. */
		stop = multipart_find(body, rest.p - 1, delimiter, &at);
		if (!stop)
			return err_origin(-EBADMSG);
		if (n == max)
			return MULTIPART_TOO_MANY;
		part.content = slice_make(rest.p, stop > rest.p ? (size_t)(stop - rest.p) : 0);
		parts[n++] = part;
	}
	if (more < 0)
		return err_origin(-EBADMSG);
	*ret_n = n;
	return 0;
}
