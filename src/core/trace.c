/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trace.h"

#include <endian.h>

#include "base/util.h"
#include "base/uuid.h"

/* version "-" trace-id "-" parent-id "-" flags, in lower case: no other digits are allowed. */
#define AT_ID ((size_t)3)
#define AT_PARENT (AT_ID + TRACE_ID_HEX + 1)
#define AT_FLAGS (AT_PARENT + SPAN_ID_HEX + 1)

static_assert(AT_FLAGS + 2 == TRACEPARENT_LEN, "as the specification has it");

static bool trace_digit(char c, uint8_t *ret)
{
	if (c >= '0' && c <= '9')
		*ret = (uint8_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*ret = (uint8_t)(c - 'a' + 10);
	else
		return false;
	return true;
}

/* False also when all are zero and `zeros` are none. */
static bool trace_read_hex(const char *p, uint8_t *ret, size_t n, bool zeros)
{
	uint8_t any = 0, high, low;

	for (size_t i = 0; i < n; i++) {
		if (!trace_digit(p[2 * i], &high) || !trace_digit(p[2 * i + 1], &low))
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
		any |= ret[i];
	}
	return zeros || any;
}

bool traceparent_read(struct slice text, struct trace *ret)
{
	struct trace t = { 0 };
	uint8_t version;

	if (text.n < TRACEPARENT_LEN || text.p[AT_ID - 1] != '-' || text.p[AT_PARENT - 1] != '-' ||
	    text.p[AT_FLAGS - 1] != '-')
		return false;
	if (!trace_read_hex(text.p, &version, 1, true) || version == 0xff)
		return false;
	/* A version that is not known yet may have more behind another dash. */
	if (text.n > TRACEPARENT_LEN && (!version || text.p[TRACEPARENT_LEN] != '-'))
		return false;
	if (!trace_read_hex(text.p + AT_ID, t.id, TRACE_ID_LEN, false) ||
	    !trace_read_hex(text.p + AT_PARENT, t.parent, SPAN_ID_LEN, false) ||
	    !trace_read_hex(text.p + AT_FLAGS, &t.flags, 1, true))
		return false;
	t.flags &= TRACE_SAMPLED | TRACE_RANDOM;
	*ret = t;
	return true;
}

void trace_hex(const uint8_t *id, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[id[i] >> 4];
		out[2 * i + 1] = digits[id[i] & 15];
	}
}

void traceparent_write(const struct trace *t, char out[TRACEPARENT_LEN])
{
	memcpy(out, "00-", AT_ID);
	trace_hex(t->id, TRACE_ID_LEN, out + AT_ID);
	out[AT_PARENT - 1] = out[AT_FLAGS - 1] = '-';
	trace_hex(t->span, SPAN_ID_LEN, out + AT_PARENT);
	trace_hex(&t->flags, 1, out + AT_FLAGS);
}

/* As OpenTelemetry's SDKs: the last 8 bytes as a number, without its lowest bit. */
static bool trace_in_ratio(const struct trace *t, double ratio)
{
	uint64_t tail;

	if (ratio >= 1)
		return true;
	memcpy(&tail, t->id + TRACE_ID_LEN - sizeof(tail), sizeof(tail));
	return (double)(be64toh(tail) >> 1) < ratio * 9223372036854775808.0;
}

bool trace_sample(const struct trace_sampler *s, const struct trace *t)
{
	static const uint8_t none[SPAN_ID_LEN];

	if (s->parent_based && memcmp(t->parent, none, sizeof(none)) != 0)
		return t->flags & TRACE_SAMPLED;
	return trace_in_ratio(t, s->ratio);
}

void trace_new_span(uint8_t id[SPAN_ID_LEN])
{
	uint64_t bits;

	do
		bits = uuid_random();
	while (!bits);
	memcpy(id, &bits, SPAN_ID_LEN);
}

void trace_begin(struct trace *t, const struct trace *parent, const struct trace_sampler *s)
{
	if (parent) {
		*t = *parent;
	} else {
		*t = (struct trace){ .flags = TRACE_RANDOM };
		trace_new_span(t->id);
		trace_new_span(t->id + SPAN_ID_LEN);
	}
	trace_new_span(t->span);
	t->flags = (uint8_t)((t->flags & TRACE_RANDOM) | (trace_sample(s, t) ? TRACE_SAMPLED : 0));
}
