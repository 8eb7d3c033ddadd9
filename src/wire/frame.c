/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"

#define REQUEST_FIXED ((size_t)88)
#define PART_FIXED ((size_t)32)
#define REPLY_FIXED ((size_t)40)
#define PHASE_FIXED ((size_t)24)

static uint16_t get16(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static void put16(char *p, uint64_t v)
{
	uint16_t le = htole16((uint16_t)v);

	memcpy(p, &le, sizeof(le));
}

static void put32(char *p, uint64_t v)
{
	uint32_t le = htole32((uint32_t)v);

	memcpy(p, &le, sizeof(le));
}

static void put64(char *p, uint64_t v)
{
	uint64_t le = htole64(v);

	memcpy(p, &le, sizeof(le));
}

/* ---- reading ---- */

static bool frame_type_known(uint8_t type)
{
	return (type >= FRAME_HELLO && type <= FRAME_TRACE) ||
	       (type >= FRAME_LOAD && type <= FRAME_WINDOW);
}

int frame_read(struct slice packet, struct frame *ret)
{
	if (packet.n < FRAME_HEAD || packet.n > FRAME_MAX)
		return err_origin(-EBADMSG);
	if (packet.p[1] || get32(packet.p + 4) != packet.n ||
	    !frame_type_known((uint8_t)packet.p[0]))
		return err_origin(-EBADMSG);
	ret->type = (uint8_t)packet.p[0];
	ret->count = get16(packet.p + 2);
	ret->arg = get64(packet.p + 8);
	ret->body = slice_make(packet.p + FRAME_HEAD, packet.n - FRAME_HEAD);
	return 0;
}

/* Checks an entry's own length and cuts it off. */
static int frame_entry(struct slice *rest, size_t fixed, struct slice *ret)
{
	size_t n;

	if (rest->n < fixed)
		return err_origin(-EBADMSG);
	n = get32(rest->p);
	if (n < fixed || n % 8 || n > rest->n)
		return err_origin(-EBADMSG);
	*ret = slice_make(rest->p, n);
	rest->p += n;
	rest->n -= n;
	return 0;
}

/* Takes n bytes off; false when there are fewer. */
static bool frame_take(struct slice *rest, size_t n, struct slice *ret)
{
	if (n > rest->n)
		return false;
	*ret = slice_make(rest->p, n);
	rest->p += n;
	rest->n -= n;
	return true;
}

static int frame_headers_check(struct slice block)
{
	struct slice name, value;

	while (frame_header_next(&block, &name, &value) > 0)
		;
	return block.n ? err_origin(-EBADMSG) : 0;
}

int frame_request_next(struct slice *rest, struct frame_request *ret)
{
	struct slice e, tail;

	if (frame_entry(rest, REQUEST_FIXED, &e) < 0)
		return -EBADMSG;
	*ret = (struct frame_request){ .batch = get16(e.p + 4),
				       .flags = get16(e.p + 6),
				       .id = get64(e.p + 8),
				       .deadline_ns = get64(e.p + 16),
				       .grant.offset = get64(e.p + 24),
				       .grant.length = get64(e.p + 32),
				       .n_parts = get16(e.p + 40) };
	memcpy(ret->uuid, e.p + 48, FRAME_UUID);
	tail = slice_make(e.p + REQUEST_FIXED, e.n - REQUEST_FIXED);
	if (ret->flags >= FRAME_RUN_TRACE << 1 ||
	    !frame_take(&tail, ret->n_parts * PART_FIXED, &ret->parts) ||
	    !frame_take(&tail, get32(e.p + 84), &ret->texts) ||
	    !frame_take(&tail, get32(e.p + 44), &ret->headers) || tail.n >= 8)
		return err_origin(-EBADMSG);
	return frame_headers_check(ret->headers);
}

int frame_part_next(struct frame_request *r, struct frame_part *ret)
{
	struct slice dims = SLICE_NULL, p;

	if (!frame_take(&r->parts, PART_FIXED, &p))
		return err_origin(-EBADMSG);
	*ret = (struct frame_part){ .span = { get32(p.p), get64(p.p + 8), get64(p.p + 16) },
				    .kind = (uint8_t)p.p[24],
				    .dtype = (uint8_t)p.p[25],
				    .ndim = (uint8_t)p.p[26] };
	if (ret->kind > FRAME_PART_TENSOR || ret->ndim > FRAME_NDIM_MAX ||
	    ret->span.offset > UINT64_MAX - ret->span.length ||
	    !frame_take(&r->texts, get16(p.p + 4), &ret->name) ||
	    !frame_take(&r->texts, get16(p.p + 6), &ret->type) ||
	    !frame_take(&r->texts, (size_t)ret->ndim * 8, &dims))
		return err_origin(-EBADMSG);
	ret->dims = (const uint8_t *)dims.p;
	return 0;
}

int frame_reply_next(struct slice *rest, struct frame_reply *ret)
{
	struct slice e, tail;
	bool granted;

	if (frame_entry(rest, REPLY_FIXED, &e) < 0)
		return -EBADMSG;
	*ret = (struct frame_reply){ .status = get16(e.p + 4),
				     .flags = get16(e.p + 6),
				     .id = get64(e.p + 8),
				     .offset = get64(e.p + 16),
				     .length = get64(e.p + 24) };
	granted = ret->flags & FRAME_REPLY_GRANTED;
	tail = slice_make(e.p + REPLY_FIXED, e.n - REPLY_FIXED);
	if (ret->flags >= FRAME_REPLY_GRANTED << 1 ||
	    (!granted && ret->length > FRAME_INLINE_MAX) ||
	    !frame_take(&tail, get16(e.p + 32), &ret->type) ||
	    !frame_take(&tail, get16(e.p + 34), &ret->phrase) ||
	    !frame_take(&tail, get32(e.p + 36), &ret->headers) ||
	    !frame_take(&tail, granted ? 0 : ret->length, &ret->body) || tail.n >= 8)
		return err_origin(-EBADMSG);
	return frame_headers_check(ret->headers);
}

static bool frame_phase_name_char(char c)
{
	return c > ' ' && c <= '~';
}

int frame_phase_next(struct slice *rest, unsigned index, struct frame_phase *ret)
{
	struct slice e, tail;

	if (frame_entry(rest, PHASE_FIXED, &e) < 0)
		return -EBADMSG;
	*ret = (struct frame_phase){ .parent = get16(e.p + 4),
				     .begin_ns = get64(e.p + 8),
				     .end_ns = get64(e.p + 16) };
	tail = slice_make(e.p + PHASE_FIXED, e.n - PHASE_FIXED);
	if (!frame_take(&tail, get16(e.p + 6), &ret->name) || tail.n >= 8 || !ret->name.n ||
	    ret->name.n > FRAME_PHASE_NAME_MAX || ret->parent >= index ||
	    ret->begin_ns > ret->end_ns)
		return err_origin(-EBADMSG);
	for (size_t i = 0; i < ret->name.n; i++)
		if (!frame_phase_name_char(ret->name.p[i]))
			return err_origin(-EBADMSG);
	return 0;
}

int frame_header_next(struct slice *rest, struct slice *name, struct slice *value)
{
	struct slice r = *rest;

	if (r.n < 4 || (size_t)get16(r.p) + get16(r.p + 2) > r.n - 4)
		return 0;
	*name = slice_make(r.p + 4, get16(r.p));
	*value = slice_make(name->p + name->n, get16(r.p + 2));
	rest->p += 4 + name->n + value->n;
	rest->n -= 4 + name->n + value->n;
	return 1;
}

int frame_u64(struct slice *rest, uint64_t *ret)
{
	struct slice v;

	if (!frame_take(rest, 8, &v))
		return err_origin(-EBADMSG);
	*ret = get64(v.p);
	return 0;
}

/* ---- writing ---- */

void frame_begin(struct frame_writer *w, char *p, size_t max, enum frame_type type, uint64_t arg)
{
	assert(max >= FRAME_HEAD && max <= FRAME_MAX);
	*w = (struct frame_writer){ .p = p, .n = FRAME_HEAD, .max = max };
	memset(p, 0, FRAME_HEAD);
	p[0] = (char)type;
	put64(p + 8, arg);
}

static char *frame_room(struct frame_writer *w, size_t n)
{
	if (n > w->max - w->n || w->count == UINT16_MAX)
		return NULL;
	return w->p + w->n;
}

static char *frame_copy(char *at, struct slice s)
{
	if (s.n)
		memcpy(at, s.p, s.n);
	return at + s.n;
}

/* Pads what was written from `start` to a multiple of 8 and closes the entry. */
static void frame_close_entry(struct frame_writer *w, char *start, char *at)
{
	size_t n = ALIGN_UP((size_t)(at - start), (size_t)8);

	memset(at, 0, n - (size_t)(at - start));
	put32(start, n);
	w->n += n;
	w->count++;
}

static size_t frame_texts_length(const struct frame_part *parts, unsigned n)
{
	size_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		if (parts[i].name.n > UINT16_MAX || parts[i].type.n > UINT16_MAX ||
		    parts[i].ndim > FRAME_NDIM_MAX)
			return SIZE_MAX / 2;
		total += parts[i].name.n + parts[i].type.n + (size_t)parts[i].ndim * 8;
	}
	return total;
}

static void frame_put_part(char *at, const struct frame_part *p)
{
	memset(at, 0, PART_FIXED);
	put32(at, p->span.segment);
	put16(at + 4, p->name.n);
	put16(at + 6, p->type.n);
	put64(at + 8, p->span.offset);
	put64(at + 16, p->span.length);
	at[24] = (char)p->kind;
	at[25] = (char)p->dtype;
	at[26] = (char)p->ndim;
}

static char *frame_put_texts(char *at, const struct frame_part *p)
{
	int64_t dim;

	at = frame_copy(at, p->name);
	at = frame_copy(at, p->type);
	for (unsigned d = 0; d < p->ndim; d++, at += 8) {
		memcpy(&dim, p->dims + (size_t)d * 8, sizeof(dim));
		put64(at, (uint64_t)dim);
	}
	return at;
}

size_t frame_request_size(const struct frame_request *r, const struct frame_part *parts)
{
	size_t total = REQUEST_FIXED + r->n_parts * PART_FIXED + r->headers.n +
		       frame_texts_length(parts, r->n_parts);

	return ALIGN_UP(total, (size_t)8);
}

int frame_put_request(struct frame_writer *w, const struct frame_request *r,
		      const struct frame_part *parts)
{
	size_t texts = frame_texts_length(parts, r->n_parts);
	char *start = frame_room(w, frame_request_size(r, parts)), *at;

	if (!start)
		return -ENOSPC;
	memset(start, 0, REQUEST_FIXED);
	put16(start + 4, r->batch);
	put16(start + 6, r->flags);
	put64(start + 8, r->id);
	put64(start + 16, r->deadline_ns);
	put64(start + 24, r->grant.offset);
	put64(start + 32, r->grant.length);
	put16(start + 40, r->n_parts);
	put32(start + 44, r->headers.n);
	memcpy(start + 48, r->uuid, FRAME_UUID);
	put32(start + 84, texts);
	at = start + REQUEST_FIXED;
	for (unsigned i = 0; i < r->n_parts; i++, at += PART_FIXED)
		frame_put_part(at, &parts[i]);
	for (unsigned i = 0; i < r->n_parts; i++)
		at = frame_put_texts(at, &parts[i]);
	at = frame_copy(at, r->headers);
	frame_close_entry(w, start, at);
	return 0;
}

int frame_put_reply(struct frame_writer *w, const struct frame_reply *r)
{
	bool granted = r->flags & FRAME_REPLY_GRANTED;
	size_t body = granted ? 0 : r->body.n;
	size_t total = REPLY_FIXED + r->type.n + r->phrase.n + r->headers.n + body;
	char *start = frame_room(w, ALIGN_UP(total, (size_t)8)), *at;

	assert(r->type.n <= UINT16_MAX && r->phrase.n <= UINT16_MAX);
	assert(granted || r->body.n == r->length);
	if (!start)
		return -ENOSPC;
	memset(start, 0, REPLY_FIXED);
	put16(start + 4, r->status);
	put16(start + 6, r->flags);
	put64(start + 8, r->id);
	put64(start + 16, r->offset);
	put64(start + 24, r->length);
	put16(start + 32, r->type.n);
	put16(start + 34, r->phrase.n);
	put32(start + 36, r->headers.n);
	at = frame_copy(start + REPLY_FIXED, r->type);
	at = frame_copy(at, r->phrase);
	at = frame_copy(at, r->headers);
	at = frame_copy(at, slice_make(r->body.p, body));
	frame_close_entry(w, start, at);
	return 0;
}

int frame_put_phase(struct frame_writer *w, const struct frame_phase *p)
{
	size_t n = MIN(p->name.n, (size_t)FRAME_PHASE_NAME_MAX);
	char *start = frame_room(w, ALIGN_UP(PHASE_FIXED + n, (size_t)8)), *at;

	if (!start)
		return -ENOSPC;
	put16(start + 4, p->parent);
	put16(start + 6, n);
	put64(start + 8, p->begin_ns);
	put64(start + 16, p->end_ns);
	at = start + PHASE_FIXED;
	for (size_t i = 0; i < n; i++)
		*at++ = frame_phase_name_char(p->name.p[i]) ? p->name.p[i] : '?';
	frame_close_entry(w, start, at);
	return 0;
}

int frame_put_u64(struct frame_writer *w, uint64_t v)
{
	char *at = frame_room(w, 8);

	if (!at) {
		w->overflowed = true;
		return -ENOSPC;
	}
	put64(at, v);
	w->n += 8;
	return 0;
}

int frame_put_bytes(struct frame_writer *w, struct slice s)
{
	char *at = frame_room(w, s.n);

	if (!at) {
		w->overflowed = true;
		return -ENOSPC;
	}
	frame_copy(at, s);
	w->n += s.n;
	return 0;
}

struct slice frame_end(struct frame_writer *w)
{
	assert(!w->overflowed);
	put16(w->p + 2, w->count);
	put32(w->p + 4, w->n);
	return slice_make(w->p, w->n);
}

size_t frame_header_put(char *p, size_t room, struct slice name, struct slice value)
{
	size_t n = 4 + name.n + value.n;

	if (name.n > UINT16_MAX || value.n > UINT16_MAX || n > room)
		return 0;
	put16(p, name.n);
	put16(p + 2, value.n);
	frame_copy(frame_copy(p + 4, name), value);
	return n;
}
