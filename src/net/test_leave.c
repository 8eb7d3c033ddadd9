/* SPDX-License-Identifier: Apache-2.0 */

/* The server leaves a client that is still sending: it must get to read what it was answered. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/conn_rig.h"

/* Many a client reads nothing before it has sent everything, however slowly. It may take a while,
 * and not for ever. */
static void test_who_goes_on_sending_is_heard_out(void **state)
{
	struct world *w;
	unsigned seconds = 0;

	(void)state;
	clock_source = &test_clock;
	w = world_new(0);
	sends(w, "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n");
	assert_int_equal(seen(w, "HTTP/1.1 413"), 1);
	for (; net_stats(w->net)->connections_now; seconds++) {
		sends_only(w, "more of it");
		uv_run(&w->loop, UV_RUN_NOWAIT);
		time_ns += NS_PER_S - NS_PER_MS;
		net_check_times(w->net);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	assert_in_range(seconds, 20, 40);
	world_end(w);
	clock_source = NULL;
}

static void on_drained(void *arg)
{
	*(bool *)arg = true;
}

/* A client that has sent more than will be answered must not lose the answers before that: closing
 * a socket with unread input throws away what is still on its way out. */
static void test_draining_reads_what_it_does_not_answer(void **state)
{
	struct world *w = world_new(0);
	bool drained = false;
	char rest[16];

	(void)state;
	sends(w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
	for (unsigned i = 0; i < 9; i++)
		sends(w, "GET /more HTTP/1.1\r\nHost: h\r\n\r\n");
	net_drain(w->net, on_drained, &drained);
	answer(w, w->kept, 200, "[first]");
	assert_false(turns(w));
	assert_int_equal(seen(w, "HTTP/1.1 "), 4); /* all that had been begun */
	assert_int_equal(seen(w, "connection: close"), 1);
	assert_false(drained);
	assert_int_equal(send(w->client, "GET", 3, MSG_NOSIGNAL), 3);
	shutdown(w->client, SHUT_WR);
	while (!drained)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(recv(w->client, rest, sizeof(rest), 0), 0);
	world_end(w);
}

/* A client cannot know that it comes too late. */
static void test_what_has_come_is_answered_when_draining(void **state)
{
	struct world *w = world_new(0);
	bool drained = false;

	(void)state;
	assert_true(sends(w, "GET /before HTTP/1.1\r\nHost: h\r\n\r\n"));
	sends_only(w, "GET /mine HTTP/1.1\r\nHost: h\r\n\r\n"
		      "GET /behind HTTP/1.1\r\nHost: h\r\n\r\n");
	net_drain(w->net, on_drained, &drained);
	assert_false(turns(w));
	assert_int_equal(seen(w, "[/mine]"), 1);
	assert_int_equal(seen(w, "connection: close"), 1);
	assert_int_equal(seen(w, "HTTP/1.1 "), 2);
	shutdown(w->client, SHUT_WR);
	while (!drained)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	world_end(w);
}

static void test_what_has_come_is_answered_when_nobody_waits_for_it_any_more(void **state)
{
	struct world *w;

	(void)state;
	clock_source = &test_clock;
	w = world_new(2);
	assert_true(sends(w, "GET /before HTTP/1.1\r\nHost: h\r\n\r\n"));
	sends_only(w, "GET /mine HTTP/1.1\r\nHost: h\r\n\r\n");
	time_ns += 3 * NS_PER_MS;
	net_check_times(w->net);
	assert_true(turns(w));
	assert_int_equal(seen(w, "[/mine]"), 1);
	time_ns += 3 * NS_PER_MS;
	net_check_times(w->net);
	assert_false(turns(w));
	world_end(w);
	clock_source = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_goes_on_sending_is_heard_out),
		cmocka_unit_test(test_draining_reads_what_it_does_not_answer),
		cmocka_unit_test(test_what_has_come_is_answered_when_draining),
		cmocka_unit_test(test_what_has_come_is_answered_when_nobody_waits_for_it_any_more),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
