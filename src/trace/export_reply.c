/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export_reply.h"

#include "base/clock.h"
#include "base/util.h"

#define WAIT_FIRST_NS NS_PER_S
#define WAIT_DOUBLINGS 5
#define WAIT_ASKED_MAX_S UINT64_C(300)

enum { RESPONSE_PARTIAL_SUCCESS = 1, PARTIAL_REJECTED = 1, PARTIAL_MESSAGE = 2 };

enum export_verdict export_verdict(long status)
{
	switch (status) {
	case 0:
	case 429:
	case 502:
	case 503:
	case 504:
		return EXPORT_AGAIN;
	default:
		return status >= 200 && status < 300 ? EXPORT_SENT : EXPORT_LOST;
	}
}

uint64_t export_wait_ns(unsigned tries, uint64_t retry_after_s, uint64_t random)
{
	uint64_t wait_ns = WAIT_FIRST_NS << MIN(tries, WAIT_DOUBLINGS);

	if (retry_after_s)
		return MIN(retry_after_s, WAIT_ASKED_MAX_S) * NS_PER_S;
	return wait_ns - random % (wait_ns / 2);
}

static bool read_varint(struct slice *rest, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 64 && rest->n; shift += 7) {
		unsigned char c = (unsigned char)*rest->p;

		rest->p++;
		rest->n--;
		*ret |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return true;
	}
	return false;
}

/* One field: its number and, by its kind, a value or bytes. False: there is none, or no message. */
static bool read_field(struct slice *rest, uint64_t *field, uint64_t *value, struct slice *bytes)
{
	uint64_t tag;
	unsigned skip;

	*bytes = SLICE_NULL;
	*value = 0;
	if (!rest->n || !read_varint(rest, &tag))
		return false;
	*field = tag >> 3;
	switch (tag & 7) {
	case 0:
		return read_varint(rest, value);
	case 2:
		if (!read_varint(rest, value) || *value > rest->n)
			return false;
		*bytes = slice_make(rest->p, (size_t)*value);
		rest->p += *value;
		rest->n -= *value;
		return true;
	case 1:
	case 5:
		skip = (tag & 7) == 1 ? 8 : 4;
		if (rest->n < skip)
			return false;
		rest->p += skip;
		rest->n -= skip;
		return true;
	default:
		return false;
	}
}

uint64_t export_rejected(struct slice body, uint64_t sent, struct slice *ret_why)
{
	struct slice partial = SLICE_NULL, bytes;
	uint64_t field, value, rejected = 0;

	*ret_why = SLICE_NULL;
	while (read_field(&body, &field, &value, &bytes))
		if (field == RESPONSE_PARTIAL_SUCCESS)
			partial = bytes;
	if (body.n)
		return 0; /* it is something else */
	while (read_field(&partial, &field, &value, &bytes)) {
		if (field == PARTIAL_REJECTED && !bytes.p)
			rejected = value <= INT64_MAX ? MIN(value, sent) : 0;
		else if (field == PARTIAL_MESSAGE && bytes.p)
			*ret_why = bytes;
	}
	return rejected;
}
