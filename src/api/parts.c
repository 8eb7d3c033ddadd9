/* SPDX-License-Identifier: Apache-2.0 */
#include "api/parts.h"

#include <stdio.h>
#include <string.h>

#include "api/form.h"
#include "api/handlers.h"
#include "wire/frame.h"

static struct part *parts_add(struct call *c, enum part_kind kind, struct slice name,
			      struct slice type, struct span span)
{
	struct part *p = &c->request.parts[c->request.n_parts++];

	*p = (struct part){ .kind = kind, .name = name, .type = type, .span = span };
	return p;
}

static int parts_bad(struct call *c, const char *why)
{
	call_error(c, 400, "BadRequestException", "%s", why);
	return -1;
}

static int parts_too_many(struct call *c)
{
	call_error(c, 413, "BadRequestException",
		   "A request may have at most %d form fields or query parameters.", PARTS_MAX - 1);
	return -1;
}

/* What a worker is told of a request in a frame: the bytes of its fields lie elsewhere. */
void parts_refuse_large(struct call *c)
{
	const struct request *r = &c->request;

	if (r->headers.n > FRAME_ROOM / 2)
		call_error(
			c, 431, "BadRequestException",
			"The request has %zu bytes of headers, which is more than a model can be "
			"handed.",
			r->headers.n);
	else
		call_error(c, 413, "BadRequestException",
			   "The names and types of the request's %u fields are longer than a model "
			   "can be handed (%zu bytes in all, with the headers). Send long texts as "
			   "values, or as a body with a content type.",
			   r->n_parts, r->encoded);
}

static void parts_whole(struct call *c, struct slice type)
{
	parts_add(c, PART_BODY, SLICE("body"), type,
		  body_span(&c->body, c->body.block.p, c->body.used));
}

/* Only files have a type, and always one. */
static struct slice parts_multipart_type(const struct multipart_part *p)
{
	if (!p->file)
		return SLICE("");
	return p->type.n ? p->type : SLICE("application/octet-stream");
}

static int parts_multipart(struct call *c, const struct form *f)
{
	if (f->result < 0)
		return parts_bad(
			c, "The multipart body is malformed: every part needs a "
			   "Content-Disposition with a name, and the last boundary must close it.");
	for (unsigned i = 0; i < f->n; i++) {
		const struct multipart_part *p = &f->parts[i];

		parts_add(c, p->file ? PART_FILE : PART_FIELD, p->name, parts_multipart_type(p),
			  body_span(&c->body, p->content.p, p->content.n));
	}
	return 0;
}

static int parts_urlencoded(struct call *c, const struct form *f)
{
	if (f->result < 0)
		return parts_bad(
			c, "The body was sent as application/x-www-form-urlencoded but is not: "
			   "it has a bad escape. Set the Content-Type of what you send.");
	for (unsigned i = 0; i < f->n; i++)
		parts_add(c, PART_FIELD, f->fields[i].name, SLICE(""),
			  body_span(&c->body, f->fields[i].value.p, f->fields[i].value.n));
	return 0;
}

/* Query values must lie in shared memory like everything a handler gets. */
static int parts_query(struct call *c)
{
	struct slice rest = c->x->head.query, name, value;
	struct pool *pool = c->api->fleet->pool;
	size_t used = 0;
	int r;

	if (!rest.n)
		return 0;
	if (pool_alloc(pool, rest.n, &c->extra)) {
		call_no_memory(c);
		return -1;
	}
	while ((r = http_query_next(&c->region, &rest, &name, &value)) > 0) {
		struct span at = { block_segment_id(&c->extra), c->extra.offset + used, value.n };

		if (c->request.n_parts >= PARTS_MAX - 1)
			return parts_too_many(c);
		assert(used + value.n <= c->extra.size);
		memcpy(c->extra.p + used, value.p, value.n);
		used += value.n;
		parts_add(c, PART_FIELD, name, SLICE(""), at);
	}
	return r < 0 ? parts_bad(c, "The query string has a bad escape.") : 0;
}

int parts_read(struct call *c, bool query)
{
	struct slice header = http_head_get(&c->x->head, "content-type");
	const struct form *f = form_read(c, header);

	c->request.parts = region_bytes(&c->region,
					(query || f ? PARTS_MAX : 1) * sizeof(struct part));
	if (query && parts_query(c) < 0)
		return -1;
	if (!f) {
		struct slice type = http_media_type(header);

		parts_whole(c, type.p ? type : SLICE(""));
		return 0;
	}
	if (f->result > 0 || f->n > PARTS_MAX - 1 - c->request.n_parts)
		return parts_too_many(c);
	return f->boundary.n ? parts_multipart(c, f) : parts_urlencoded(c, f);
}

struct slice parts_text(const struct call *c, const struct part *p)
{
	const struct block *b = &c->body.block;

	if (c->extra.segment && p->span.segment == block_segment_id(&c->extra) &&
	    p->span.offset >= c->extra.offset && p->span.offset < c->extra.offset + c->extra.size)
		return slice_make(c->extra.p + (p->span.offset - c->extra.offset), p->span.length);
	if (!p->span.length)
		return SLICE("");
	return slice_make(b->p + (p->span.offset - b->offset), p->span.length);
}

/* ---- headers ---- */

static size_t parts_headers_room(const struct call *c)
{
	size_t room = 256;

	for (size_t i = 0; i < c->x->head.n_headers; i++)
		room += 4 + c->x->head.headers[i].name.n + c->x->head.headers[i].value.n;
	for (unsigned i = c->rest; i < c->n_segments; i++)
		room += c->segments[i].n + 1;
	return room;
}

static struct slice parts_url_path(struct call *c)
{
	struct buf b = BUF_INIT(65536);
	struct slice path;

	for (unsigned i = c->rest; i < c->n_segments; i++) {
		if (i > c->rest)
			buf_putc(&b, '/');
		buf_put_slice(&b, c->segments[i]);
	}
	path = region_copy(&c->region, buf_slice(&b));
	buf_finish(&b);
	return path;
}

void parts_add_header(struct call *c, struct slice name, struct slice value)
{
	struct slice *block = &c->request.headers;
	size_t room = block->n + 4 + name.n + value.n;
	char *p = region_alloc(&c->region, room);

	memcpy(p, block->p, block->n);
	*block = slice_make(
		p, block->n + frame_header_put(p + block->n, room - block->n, name, value));
}

void parts_headers(struct call *c, unsigned extra)
{
	size_t room = parts_headers_room(c), n = 0;
	char *p = region_bytes(&c->region, room);
	char parent[TRACEPARENT_LEN];
	bool has_length = false;
	struct http_hops hops;
	char length[24];

	http_hops_read(&hops, http_head_get(&c->x->head, "connection"));
	for (size_t i = 0; i < c->x->head.n_headers; i++) {
		const struct http_header *h = &c->x->head.headers[i];

		has_length |= slice_ieq(h->name, SLICE("content-length"));
		if (c->request.trace && slice_ieq(h->name, SLICE("traceparent")))
			continue;
		if (!http_is_hop_by_hop(&hops, h->name))
			n += frame_header_put(p + n, room - n, h->name, h->value);
	}
	if (!has_length) {
		snprintf(length, sizeof(length), "%llu", (unsigned long long)c->body.used);
		n += frame_header_put(p + n, room - n, SLICE("content-length"), slice_str(length));
	}
	/* What a handler begins is a part of what we do. */
	if (c->request.trace) {
		traceparent_write(c->request.trace, parent);
		n += frame_header_put(p + n, room - n, SLICE("traceparent"),
				      slice_make(parent, sizeof(parent)));
	}
	if (extra & PARTS_URL_PATH)
		n += frame_header_put(p + n, room - n, SLICE("url_path"),
				      c->n_segments > c->rest ? parts_url_path(c) : SLICE(""));
	if (extra & PARTS_EXPLAIN)
		n += frame_header_put(p + n, room - n, SLICE("explain"),
				      c->request.op == REQUEST_EXPLAIN ? SLICE("True")
								       : SLICE("False"));
	c->request.headers = slice_make(p, n);
}
