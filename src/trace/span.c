/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span.h"

#include <endian.h>

#include "base/utf8.h"

/* Numbers of fields, from opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto. */
enum {
	SCOPE_SPANS_SPANS = 2,
	SPAN_TRACE_ID = 1,
	SPAN_SPAN_ID = 2,
	SPAN_TRACE_STATE = 3,
	SPAN_PARENT_SPAN_ID = 4,
	SPAN_NAME = 5,
	SPAN_KIND = 6,
	SPAN_START = 7,
	SPAN_END = 8,
	SPAN_ATTRIBUTES = 9,
	SPAN_EVENTS = 11,
	SPAN_STATUS = 15,
	SPAN_FLAGS = 16,
	EVENT_TIME = 1,
	EVENT_NAME = 2,
	EVENT_ATTRIBUTES = 3,
	STATUS_MESSAGE = 2,
	STATUS_CODE = 3,
	STATUS_ERROR = 2,
	KEY_VALUE_KEY = 1,
	KEY_VALUE_VALUE = 2,
	VALUE_STRING = 1,
	VALUE_INT = 3,
};

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* What a reader needs to know of flags: the client's span is another service's. */
#define FLAGS_HAS_REMOTE 0x100u
#define FLAGS_IS_REMOTE 0x200u
#define FACT_MAX (SPAN_TEXT_MAX + 256)

static size_t varint(char *p, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (char)(v | 0x80);
	p[n++] = (char)v;
	return n;
}

static void put_varint(struct buf *out, unsigned field, uint64_t v)
{
	char p[20];
	size_t n = varint(p, field << 3 | WIRE_VARINT);

	n += varint(p + n, v);
	buf_append(out, p, n);
}

static void put_fixed64(struct buf *out, unsigned field, uint64_t v)
{
	uint64_t le = htole64(v);
	char p[10];
	size_t n = varint(p, field << 3 | WIRE_FIXED64);

	buf_append(out, p, n);
	buf_append(out, &le, sizeof(le));
}

static void put_fixed32(struct buf *out, unsigned field, uint32_t v)
{
	uint32_t le = htole32(v);
	char p[10];
	size_t n = varint(p, field << 3 | WIRE_FIXED32);

	buf_append(out, p, n);
	buf_append(out, &le, sizeof(le));
}

size_t span_message_head(unsigned field, size_t length, char out[12])
{
	size_t n = varint(out, field << 3 | WIRE_BYTES);

	return n + varint(out + n, length);
}

void span_write_message(struct buf *out, unsigned field, struct slice body)
{
	char head[12];

	buf_append(out, head, span_message_head(field, body.n, head));
	buf_put_slice(out, body);
}

static bool is_ascii(struct slice s)
{
	unsigned char any = 0;

	for (size_t i = 0; i < s.n; i++)
		any |= (unsigned char)s.p[i];
	return any < 0x80;
}

/* Strings of protobuf are UTF-8: a reader may refuse all that was sent for one that is not. */
static void put_text(struct buf *out, unsigned field, struct slice s)
{
	char copy[SPAN_TEXT_MAX];
	size_t n = 0;

	if (s.n <= sizeof(copy) && is_ascii(s)) {
		span_write_message(out, field, s);
		return;
	}
	s = utf8_cut(s, sizeof(copy));
	while (s.n) {
		size_t k = utf8_char(s, NULL);

		if (k)
			memcpy(copy + n, s.p, k);
		else
			copy[n] = '?';
		k = MAX(k, 1);
		n += k;
		s = slice_make(s.p + k, s.n - k);
	}
	span_write_message(out, field, slice_make(copy, n));
}

void span_write_fact(struct buf *out, unsigned field, const struct trace_fact *f)
{
	char room[2][FACT_MAX];
	struct buf value = { .p = room[0], .room = FACT_MAX, .max = FACT_MAX - 1 };
	struct buf pair = { .p = room[1], .room = FACT_MAX, .max = FACT_MAX - 1 };

	if (f->text.p)
		put_text(&value, VALUE_STRING, f->text);
	else
		put_varint(&value, VALUE_INT, (uint64_t)f->number);
	put_text(&pair, KEY_VALUE_KEY, slice_str(f->key));
	span_write_message(&pair, KEY_VALUE_VALUE, buf_slice(&value));
	assert(!value.overflowed && !pair.overflowed); /* keys are ours, and short */
	span_write_message(out, field, buf_slice(&pair));
}

/* Those that fit: no span is lost for a fact. */
static void put_facts(struct buf *out, unsigned field, const struct trace_fact *facts, size_t n)
{
	for (size_t i = 0; i < n && out->n + FACT_MAX < out->max; i++)
		span_write_fact(out, field, &facts[i]);
}

static void put_event(struct buf *out, const struct trace_span *s, uint64_t epoch_ns)
{
	char room[4 * FACT_MAX];
	struct buf event = { .p = room, .room = sizeof(room), .max = sizeof(room) - 1 };

	put_fixed64(&event, EVENT_TIME, epoch_ns + s->event_ns);
	put_text(&event, EVENT_NAME, slice_str(s->event));
	put_facts(&event, EVENT_ATTRIBUTES, s->event_facts, s->n_event_facts);
	span_write_message(out, SPAN_EVENTS, buf_slice(&event));
}

static void put_failed(struct buf *out, struct slice message)
{
	char room[FACT_MAX];
	struct buf status = { .p = room, .room = sizeof(room), .max = sizeof(room) - 1 };

	if (message.n)
		put_text(&status, STATUS_MESSAGE, message);
	put_varint(&status, STATUS_CODE, STATUS_ERROR);
	span_write_message(out, SPAN_STATUS, buf_slice(&status));
}

static void put_ids(struct buf *out, const struct trace_span *s)
{
	static const uint8_t none[SPAN_ID_LEN];
	uint32_t flags = (s->trace->flags & 0xffu) | FLAGS_HAS_REMOTE;

	span_write_message(out, SPAN_TRACE_ID,
			   slice_make((const char *)s->trace->id, TRACE_ID_LEN));
	span_write_message(out, SPAN_SPAN_ID, slice_make((const char *)s->id, SPAN_ID_LEN));
	if (s->trace->state.n)
		put_text(out, SPAN_TRACE_STATE, s->trace->state);
	if (memcmp(s->parent, none, SPAN_ID_LEN) != 0) {
		span_write_message(out, SPAN_PARENT_SPAN_ID,
				   slice_make((const char *)s->parent, SPAN_ID_LEN));
		flags |= s->kind == SPAN_SERVER ? FLAGS_IS_REMOTE : 0;
	}
	put_fixed32(out, SPAN_FLAGS, flags);
}

void span_write(struct buf *out, const struct trace_span *s, uint64_t epoch_ns)
{
	char room[SPAN_MAX];
	struct buf body = { .p = room, .room = sizeof(room), .max = sizeof(room) - 1 };

	put_ids(&body, s);
	put_text(&body, SPAN_NAME, s->name);
	put_varint(&body, SPAN_KIND, s->kind);
	put_fixed64(&body, SPAN_START, epoch_ns + s->begin_ns);
	put_fixed64(&body, SPAN_END, epoch_ns + MAX(s->begin_ns, s->end_ns));
	if (s->failed)
		put_failed(&body, s->message);
	if (s->event)
		put_event(&body, s, epoch_ns);
	put_facts(&body, SPAN_ATTRIBUTES, s->facts, s->n_facts);
	assert(!body.overflowed);
	span_write_message(out, SCOPE_SPANS_SPANS, buf_slice(&body));
}
