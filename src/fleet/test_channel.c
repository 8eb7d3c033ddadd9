/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "fleet/channel.h"

struct end {
	struct channel channel;
	uint64_t args[8];
	unsigned n;
	const char *why;
	bool broken;
};

static int got(struct channel *c, const struct frame *f)
{
	struct end *e = container_of(c, struct end, channel);

	e->args[e->n++ % ARRAY_LEN(e->args)] = f->arg;
	return 0;
}

static void broke(struct channel *c, const char *why)
{
	struct end *e = container_of(c, struct end, channel);

	e->broken = true;
	e->why = why;
}

static int opened(struct end *e)
{
	int peer;

	*e = (struct end){ 0 };
	assert_int_equal(channel_open(&e->channel, uv_default_loop(), &peer), 0);
	e->channel.received = got;
	e->channel.broken = broke;
	return peer;
}

static struct slice stop_frame(char *packet, uint64_t arg)
{
	struct frame_writer w;

	frame_begin(&w, packet, FRAME_HEAD, FRAME_STOP, arg);
	return frame_end(&w);
}

static void closed(struct end *e, int peer)
{
	channel_close(&e->channel);
	close(peer);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static void delivers_frames_in_order(void **state)
{
	char packet[FRAME_HEAD];
	struct end e;
	int peer = opened(&e);

	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		struct slice p = stop_frame(packet, i);

		assert_int_equal(send(peer, p.p, p.n, 0), p.n);
	}
	channel_drain(&e.channel);
	assert_int_equal(e.n, 3);
	assert_int_equal(e.args[0], 1);
	assert_int_equal(e.args[2], 3);
	assert_false(e.broken);
	closed(&e, peer);
}

static void garbage_breaks_the_channel(void **state)
{
	struct end e;
	int peer = opened(&e);

	(void)state;
	assert_int_equal(send(peer, "garbage", 7, 0), 7);
	channel_drain(&e.channel);
	assert_true(e.broken);
	assert_string_equal(e.why, "it sent a packet that is not a frame");
	closed(&e, peer);
}

static void a_closed_peer_is_not_an_error_by_itself(void **state)
{
	struct end e;
	int peer = opened(&e);

	(void)state;
	close(peer);
	channel_drain(&e.channel);
	assert_true(e.broken);
	assert_null(e.why);
	closed(&e, -1);
}

/* It has been sent something, says three things, and ends without having looked. */
static void ended_without_reading(struct end *e, int peer)
{
	char packet[FRAME_HEAD];

	assert_int_equal(channel_send(&e->channel, stop_frame(packet, 9), NULL, 0), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		struct slice p = stop_frame(packet, i);

		assert_int_equal(send(peer, p.p, p.n, 0), p.n);
	}
	close(peer);
}

static void hears_what_was_said_before_a_reset(void **state)
{
	struct end e;

	(void)state;
	ended_without_reading(&e, opened(&e));
	channel_drain(&e.channel);
	assert_int_equal(e.n, 3);
	assert_true(e.broken);
	assert_null(e.why);
	closed(&e, -1);
}

static void a_reset_does_not_end_the_listening(void **state)
{
	struct end e;

	(void)state;
	ended_without_reading(&e, opened(&e));
	for (int i = 0; i < 5 && !e.broken; i++)
		uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	assert_int_equal(e.n, 3);
	assert_true(e.broken);
	assert_null(e.why);
	closed(&e, -1);
}

static void keeps_what_the_kernel_does_not_take(void **state)
{
	char packet[FRAME_HEAD], got_back[FRAME_HEAD];
	struct end e;
	int peer = opened(&e);
	uint64_t sent = 0, seen = 0;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct frame f;

	(void)state;
	while (!e.channel.pending_bytes) {
		sent++;
		assert_int_equal(channel_send(&e.channel, stop_frame(packet, sent), &fd, 1), 0);
	}
	close(fd);
	fcntl(peer, F_SETFL, O_NONBLOCK);
	while (seen < sent) {
		while (recv(peer, got_back, sizeof(got_back), 0) > 0) {
			assert_int_equal(frame_read(slice_make(got_back, FRAME_HEAD), &f), 0);
			assert_int_equal(f.arg, ++seen);
		}
		uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	}
	assert_int_equal(e.channel.pending_bytes, 0);
	closed(&e, peer);
}

static void what_is_lost_on_its_way_breaks_the_channel(void **state)
{
	char packet[FRAME_HEAD];
	struct end e;
	int peer = opened(&e), fd, kept;

	(void)state;
	while (list_empty(&e.channel.pending))
		assert_int_equal(channel_send(&e.channel, stop_frame(packet, 1), NULL, 0), 0);
	fd = dup(peer);
	kept = dup(fd); /* the number that is free */
	close(kept);
	assert_int_equal(channel_send(&e.channel, stop_frame(packet, 2), &fd, 1), 0);
	assert_int_equal(close(kept), 0);
	while (recv(peer, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		;
	uv_run(uv_default_loop(), UV_RUN_NOWAIT);
	assert_true(e.broken);
	assert_string_equal(e.why, "what it is sent cannot be written");
	assert_int_equal(e.channel.pending_fds, 0);
	close(fd);
	closed(&e, peer);
}

static void a_peer_that_does_not_read_is_broken_once(void **state)
{
	char packet[FRAME_HEAD];
	struct end e;
	int peer = opened(&e);
	unsigned refused = 0;

	(void)state;
	while (refused < 3)
		refused += channel_send(&e.channel, stop_frame(packet, 1), NULL, 0) == -ENOBUFS;
	assert_true(e.broken);
	assert_string_equal(e.why, "it does not read what it is sent");
	assert_true(e.channel.pending_bytes <= CHANNEL_BYTES_MAX);
	/* What was kept still goes out when it reads, so that it can say more before it is ended.
	 */
	e.broken = false;
	assert_int_equal(channel_send(&e.channel, stop_frame(packet, 1), NULL, 0), -ENOBUFS);
	assert_false(e.broken);
	closed(&e, peer);
}

/* Somebody else (a child of the worker) holds its end, and goes on talking. */
static int goes_on(struct channel *c, const struct frame *f)
{
	struct end *e = container_of(c, struct end, channel);
	char packet[FRAME_HEAD];
	struct slice p = stop_frame(packet, f->arg);

	e->n++;
	send((int)f->arg, p.p, p.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return 0;
}

static void draining_has_an_end(void **state)
{
	char packet[FRAME_HEAD];
	struct end e;
	int peer = opened(&e);
	struct slice p = stop_frame(packet, (uint64_t)peer);

	(void)state;
	e.channel.received = goes_on;
	assert_int_equal(send(peer, p.p, p.n, 0), p.n);
	channel_drain(&e.channel);
	assert_true(e.n > 1000);
	closed(&e, peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivers_frames_in_order),
		cmocka_unit_test(garbage_breaks_the_channel),
		cmocka_unit_test(a_closed_peer_is_not_an_error_by_itself),
		cmocka_unit_test(hears_what_was_said_before_a_reset),
		cmocka_unit_test(a_reset_does_not_end_the_listening),
		cmocka_unit_test(keeps_what_the_kernel_does_not_take),
		cmocka_unit_test(what_is_lost_on_its_way_breaks_the_channel),
		cmocka_unit_test(a_peer_that_does_not_read_is_broken_once),
		cmocka_unit_test(draining_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
