/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "wire/frame.h"

static char packet[FRAME_MAX];

static struct slice one_request(void)
{
	static char headers[64];
	size_t n = frame_header_put(headers, sizeof(headers), SLICE("X-Foo"), SLICE("bar"));
	static const int64_t dims[] = { 1, -2 };
	struct frame_part parts[] = {
		{ .name = SLICE("body"), .type = SLICE("image/jpeg"), .span = { 7, 4096, 99 } },
		{ .name = SLICE("t"),
		  .kind = FRAME_PART_TENSOR,
		  .dtype = 3,
		  .ndim = 2,
		  .dims = (const uint8_t *)dims,
		  .type = SLICE("") },
	};
	struct frame_request r = { .batch = 0,
				   .flags = FRAME_RUN_EXPLAIN,
				   .id = 42,
				   .deadline_ns = 5,
				   .grant = { 0, 8192, 4096 },
				   .n_parts = 2,
				   .headers = slice_make(headers, n) };
	struct frame_writer w;

	memcpy(r.uuid, "0123456789abcdef0123456789abcdef0123", FRAME_UUID);
	frame_begin(&w, packet, sizeof(packet), FRAME_RUN, 77);
	assert_int_equal(frame_put_request(&w, &r, parts), 0);
	return frame_end(&w);
}

static void a_request_survives_the_trip(void **state)
{
	struct slice p = one_request(), rest, name, value;
	struct frame_request r;
	struct frame_part part;
	struct frame f;
	int64_t dim;

	(void)state;
	assert_int_equal(frame_read(p, &f), 0);
	assert_int_equal(f.type, FRAME_RUN);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.arg, 77);
	rest = f.body;
	assert_int_equal(frame_request_next(&rest, &r), 0);
	assert_int_equal(rest.n, 0);
	assert_int_equal(r.id, 42);
	assert_int_equal(r.flags, FRAME_RUN_EXPLAIN);
	assert_int_equal(r.grant.length, 4096);
	assert_int_equal(frame_part_next(&r, &part), 0);
	assert_true(slice_eq(part.name, SLICE("body")) && slice_eq(part.type, SLICE("image/jpeg")));
	assert_int_equal(part.span.segment, 7);
	assert_int_equal(part.span.length, 99);
	assert_int_equal(frame_part_next(&r, &part), 0);
	memcpy(&dim, part.dims + 8, sizeof(dim));
	assert_int_equal(dim, -2);
	assert_int_equal(frame_part_next(&r, &part), -EBADMSG);
	assert_int_equal(frame_header_next(&r.headers, &name, &value), 1);
	assert_true(slice_eq(name, SLICE("X-Foo")) && slice_eq(value, SLICE("bar")));
	assert_int_equal(frame_header_next(&r.headers, &name, &value), 0);
}

static void a_reply_survives_the_trip(void **state)
{
	struct frame_reply in = { .status = 201,
				  .flags = FRAME_REPLY_FINAL,
				  .id = 9,
				  .length = 5,
				  .type = SLICE("text/plain"),
				  .phrase = SLICE("Made"),
				  .headers = SLICE(""),
				  .body = SLICE("hello") };
	struct frame_reply out;
	struct frame_writer w;
	struct slice rest;
	struct frame f;

	(void)state;
	frame_begin(&w, packet, sizeof(packet), FRAME_CHUNK, 0);
	assert_int_equal(frame_put_reply(&w, &in), 0);
	assert_int_equal(frame_put_reply(&w, &in), 0);
	assert_int_equal(frame_read(frame_end(&w), &f), 0);
	assert_int_equal(f.count, 2);
	rest = f.body;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(frame_reply_next(&rest, &out), 0);
		assert_int_equal(out.status, 201);
		assert_true(slice_eq(out.body, SLICE("hello")));
		assert_true(slice_eq(out.type, SLICE("text/plain")));
		assert_true(slice_eq(out.phrase, SLICE("Made")));
	}
	assert_int_equal(frame_reply_next(&rest, &out), -EBADMSG);
}

/* Whatever byte is changed, reading either refuses or stays inside the packet (ASan watches). */
static void any_changed_byte_is_survived(void **state)
{
	struct slice p = one_request();
	char copy[512];

	(void)state;
	assert_true(p.n <= sizeof(copy));
	for (size_t at = 0; at < p.n; at++) {
		for (int bit = 0; bit < 8; bit++) {
			struct frame_request r;
			struct frame_part part;
			struct slice rest;
			struct frame f;

			memcpy(copy, p.p, p.n);
			copy[at] = (char)(copy[at] ^ (1 << bit));
			if (frame_read(slice_make(copy, p.n), &f) < 0)
				continue;
			rest = f.body;
			while (frame_request_next(&rest, &r) == 0)
				while (frame_part_next(&r, &part) == 0)
					assert_true(part.name.n <= p.n);
		}
	}
}

static void bad_heads_are_refused(void **state)
{
	struct slice p = one_request();
	struct frame f;

	(void)state;
	assert_int_equal(frame_read(slice_make(p.p, 15), &f), -EBADMSG);
	assert_int_equal(frame_read(slice_make(p.p, p.n - 8), &f), -EBADMSG);
	packet[0] = 99;
	assert_int_equal(frame_read(p, &f), -EBADMSG);
	packet[0] = FRAME_RUN;
	packet[1] = 1;
	assert_int_equal(frame_read(p, &f), -EBADMSG);
}

static void what_does_not_fit_is_left_out(void **state)
{
	struct frame_reply in = { .status = 200,
				  .id = 9,
				  .length = 100,
				  .type = SLICE(""),
				  .phrase = SLICE(""),
				  .headers = SLICE(""),
				  .body = slice_make(packet, 100) };
	char small[256];
	struct frame_writer w;
	struct frame f;

	(void)state;
	frame_begin(&w, small, sizeof(small), FRAME_CHUNK, 0);
	assert_int_equal(frame_put_reply(&w, &in), 0);
	assert_int_equal(frame_put_reply(&w, &in), -ENOSPC);
	assert_int_equal(frame_read(frame_end(&w), &f), 0);
	assert_int_equal(f.count, 1);
}

static struct slice two_phases(void)
{
	struct frame_writer w;

	frame_begin(&w, packet, sizeof(packet), FRAME_TRACE, 9);
	assert_int_equal(frame_put_phase(&w, &(struct frame_phase){ 0, 5, 7, SLICE("worker") }), 0);
	assert_int_equal(frame_put_phase(&w, &(struct frame_phase){ 1, 5, 6, SLICE("a name\xff") }),
			 0);
	return frame_end(&w);
}

static void phases_survive_the_trip(void **state)
{
	struct slice rest;
	struct frame_phase p;
	struct frame f;

	(void)state;
	assert_int_equal(frame_read(two_phases(), &f), 0);
	assert_int_equal(f.arg, 9);
	rest = f.body;
	assert_int_equal(frame_phase_next(&rest, 1, &p), 0);
	assert_true(slice_eq(p.name, SLICE("worker")));
	assert_int_equal(frame_phase_next(&rest, 2, &p), 0);
	assert_true(p.parent == 1 && p.begin_ns == 5 && p.end_ns == 6);
	assert_true(slice_eq(p.name, SLICE("a?name?"))); /* what a name does not have */
	assert_int_equal(rest.n, 0);
}

static void broken_phases_are_refused(void **state)
{
	static const struct {
		size_t at;
		unsigned char byte;
	} rows[] = {
		{ FRAME_HEAD, 33 },      /* no multiple of 8 */
		{ FRAME_HEAD, 16 },      /* less than an entry */
		{ FRAME_HEAD + 1, 1 },   /* more than there is */
		{ FRAME_HEAD + 4, 1 },   /* a part of itself */
		{ FRAME_HEAD + 6, 0 },   /* no name */
		{ FRAME_HEAD + 6, 200 }, /* a longer one than the entry */
		{ FRAME_HEAD + 8, 8 },   /* begins after its end */
		{ FRAME_HEAD + 24, ' ' }, { FRAME_HEAD + 24, 0x7f },
	};
	struct frame_phase p;
	struct slice rest;
	struct frame f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(frame_read(two_phases(), &f), 0);
		packet[rows[i].at] = (char)rows[i].byte;
		rest = f.body;
		assert_int_equal(frame_phase_next(&rest, 1, &p), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_survives_the_trip),
		cmocka_unit_test(a_reply_survives_the_trip),
		cmocka_unit_test(any_changed_byte_is_survived),
		cmocka_unit_test(bad_heads_are_refused),
		cmocka_unit_test(what_does_not_fit_is_left_out),
		cmocka_unit_test(phases_survive_the_trip),
		cmocka_unit_test(broken_phases_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
