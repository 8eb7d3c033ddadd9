/* SPDX-License-Identifier: Apache-2.0 */

/* Connections over socket pairs: what a client may send, in which pieces, and what it gets. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/conn_rig.h"

/* ---- bodies nobody wants ---- */

static const char hidden[] = "DELETE /hidden HTTP/1.1\r\nHost: h\r\n\r\n";

/* A request that is answered before its body is there, with another request as its body. */
static void smuggle(const char *how, const char *first, const char *second)
{
	struct world *w = world_new(0);

	print_message("%s\n", how);
	sends(w, first);
	assert_true(sends(w, second));
	assert_true(sends(w, "GET /after HTTP/1.1\r\nHost: h\r\n\r\n"));
	assert_int_equal(seen(w, "[/none]"), 1);
	assert_int_equal(seen(w, "[/hidden]"), 0);
	assert_int_equal(seen(w, "[/after]"), 1);
	assert_int_equal(seen(w, "HTTP/1.1"), 2);
	assert_int_equal(w->heads, 2);
	world_end(w);
}

static void test_bodies_are_no_requests(void **state)
{
	char known[512], chunked[512], whole[1024];

	(void)state;
	snprintf(known, sizeof(known),
		 "POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", strlen(hidden));
	snprintf(whole, sizeof(whole), "%s%s", known, hidden);
	smuggle("later", known, hidden);
	smuggle("at once", whole, "");
	snprintf(whole, sizeof(whole), "%s%.10s", known, hidden);
	smuggle("half with the head", whole, hidden + 10);
	snprintf(chunked, sizeof(chunked),
		 "POST /none HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
	snprintf(whole, sizeof(whole), "%zx\r\n%s\r\n0\r\n\r\n", strlen(hidden), hidden);
	smuggle("chunked, later", chunked, whole);
}

/* Requests with and without bodies, wanted or not, cut anywhere: each gets its own answer, in
 * order. */
static void test_any_split(void **state)
{
	static const char *const kinds[] = {
		"GET /get?%u HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /none?%u HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nGET / HTTP",
		"POST /take?%u HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nGET / HTTP",
		"POST /take?%u HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		"4\r\nGET \r\n6\r\n/ HTTP\r\n0\r\n\r\n",
		"POST /none?%u HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		"4\r\nGET \r\n6\r\n/ HTTP\r\n0\r\n\r\n",
	};

	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct world *w = world_new(0);
		struct buf all = BUF_INIT(REPLIES_MAX);
		struct slice rest;
		unsigned n = 0, random = seed;
		const char *at;

		for (; n < 12; n++) {
			random = random * 1103515245 + 12345;
			buf_printf(&all, kinds[(random >> 16) % ARRAY_LEN(kinds)], n);
		}
		rest = buf_slice(&all);
		while (rest.n) {
			size_t part;

			random = random * 1103515245 + 12345;
			part = MIN(rest.n, 1 + (random >> 16) % (seed % 3 ? 40 : 600));
			assert_int_equal(send(w->client, rest.p, part, MSG_NOSIGNAL), part);
			rest = slice_make(rest.p + part, rest.n - part);
			if (seed % 2)
				assert_true(turns(w));
		}
		assert_true(turns(w));
		assert_int_equal(seen(w, "HTTP/1.1 "), n);
		at = buf_cstr(&w->seen);
		for (unsigned i = 0; i < n; i++) {
			char mark[16];

			snprintf(mark, sizeof(mark), "?%u", i);
			at = strstr(at, mark);
			assert_non_null(at);
		}
		assert_int_equal(w->heads, n);
		buf_finish(&all);
		world_end(w);
	}
}

/* A read that has brought all of a body is not followed by one that mostly finds nothing. */
static void test_what_follows_a_body_is_read_in_the_next_turn(void **state)
{
	struct world *w = world_new(0);
	static const char text[] = "1234567GET /next HTTP/1.1\r\nHost: h\r\n\r\n";

	(void)state;
	sends(w, "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n");
	assert_int_equal(send(w->client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(w->heads, 1);
	assert_true(turns(w));
	assert_int_equal(seen(w, "[/take 7]"), 1);
	assert_int_equal(seen(w, "[/next]"), 1);
	world_end(w);
}

/* Behind a large body little is read at first, because the next one may be as large. */
static void test_large_bodies_and_what_follows(void **state)
{
	static const char head[] =
		"POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n",
			  end[] = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
	struct buf all = BUF_INIT(REPLIES_MAX);
	struct world *w = world_new(0);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		buf_puts(&all, head);
		for (unsigned k = 0; k < 70000; k++)
			buf_putc(&all, 'x');
	}
	for (unsigned i = 0; i < 200; i++)
		buf_puts(&all, end);
	for (size_t sent = 0; sent < all.n;) {
		ssize_t n = send(w->client, all.p + sent, all.n - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		assert_true(turns(w));
	}
	for (unsigned i = 0; i < 10000 && w->done < 203; i++)
		assert_true(turns(w));
	assert_int_equal(seen(w, "[/take 70000]"), 3);
	assert_int_equal(seen(w, "[/next]"), 200);
	buf_finish(&all);
	world_end(w);
}

static void test_long_unwanted_body_closes(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	sends(w, "POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nab");
	assert_int_equal(seen(w, "connection: keep-alive"), 1);
	world_end(w);
	/* One that is invited for nothing is not waited for. */
	w = world_new(0);
	sends(w, "POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n"
		 "Expect: 100-continue\r\n\r\n");
	assert_int_equal(seen(w, "100 Continue"), 0);
	assert_int_equal(seen(w, "connection: close"), 1);
	world_end(w);
}

static void test_continue(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	sends(w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"
		 "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
		 "Expect: 100-continue\r\n\r\n");
	assert_int_equal(w->seen.n, 0); /* answers keep their order */
	answer(w, w->kept, 200, "[first]");
	assert_true(turns(w));
	assert_int_equal(seen(w, "100 Continue"), 1);
	assert_true(sends(w, "abc"));
	assert_int_equal(seen(w, "[/take 3]"), 1);
	world_end(w);
}

/* ---- refusals ---- */

static void test_one_refusal(void **state)
{
	struct world *w;

	(void)state;
	clock_source = &test_clock;
	w = world_new(1);
	sends(w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /half HT");
	for (unsigned i = 0; i < 20; i++) {
		time_ns += NS_PER_MS;
		net_check_times(w->net);
		turns(w);
	}
	assert_int_equal(seen(w, "HTTP/1.1"), 0);
	assert_non_null(w->kept);
	answer(w, w->kept, 200, "[slow]");
	turns(w);
	assert_int_equal(seen(w, "[slow]"), 1);
	assert_int_equal(seen(w, "HTTP/1.1 408"), 1);
	assert_int_equal(seen(w, "HTTP/1.1 "), 2);
	world_end(w);
	clock_source = NULL;
}

/* Who waits for the word that it may send has time from then on. */
static void test_an_invitation_that_waits(void **state)
{
	struct world *w;

	(void)state;
	clock_source = &test_clock;
	w = world_new(2);
	sends(w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"
		 "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
		 "Expect: 100-continue\r\n\r\n");
	for (unsigned i = 0; i < 5; i++) {
		time_ns += NS_PER_MS;
		net_check_times(w->net);
		assert_true(turns(w));
	}
	answer(w, w->kept, 200, "[first]");
	assert_true(turns(w));
	assert_int_equal(seen(w, "100 Continue"), 1);
	assert_int_equal(seen(w, "408"), 0);
	time_ns += 2 * NS_PER_MS;
	net_check_times(w->net);
	assert_false(turns(w));
	assert_int_equal(seen(w, "HTTP/1.1 408"), 1);
	world_end(w);
	clock_source = NULL;
}

/* Each request, and each pause between two, has time of its own, however they are cut. */
static void use_longer_than_allowed(const char *first, const char *again)
{
	struct world *w;

	clock_source = &test_clock;
	w = world_new(2);
	assert_true(sends(w, first));
	for (unsigned i = 0; i < 10; i++) {
		assert_true(sends(w, again));
		time_ns += NS_PER_MS;
		net_check_times(w->net);
		assert_true(turns(w));
	}
	assert_int_equal(seen(w, "HTTP/1.1 404"), 10);
	time_ns += 2 * NS_PER_MS;
	net_check_times(w->net);
	assert_false(turns(w));
	world_end(w);
	clock_source = NULL;
}

static void test_a_client_that_goes_on_is_not_late(void **state)
{
	(void)state;
	use_longer_than_allowed("", "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	use_longer_than_allowed("GET / HT", "TP/1.1\r\nHost: h\r\n\r\nGET / HT");
	use_longer_than_allowed("", "POST /none HTTP/1.1\r\nHost: h\r\n"
				    "Content-Length: 2\r\n\r\nab");
}

/* Some clients send a line break behind a body: that begins no request that could be late. */
static void test_line_breaks_begin_nothing(void **state)
{
	struct world *w;

	(void)state;
	clock_source = &test_clock;
	w = world_new(2);
	assert_true(sends(w, "POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab\r\n"));
	assert_true(sends(w, "\r\n"));
	assert_int_equal(seen(w, "HTTP/1.1 "), 1);
	assert_true(sends(w, "GET / HTTP/1.1\r\nHost: h\r\n\r\n\r\n"));
	time_ns += 2 * NS_PER_MS;
	net_check_times(w->net);
	assert_false(turns(w));
	assert_int_equal(seen(w, "HTTP/1.1 "), 2);
	world_end(w);
	clock_source = NULL;
}

/* What is wrong with a body whose request the API layer is answering ends the connection only. */
static void test_refusal_leaves_the_word_to_the_api(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	sends(w, "POST /later HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n");
	assert_int_equal(w->seen.n, 0);
	answer(w, w->kept, 200, "[mine]");
	assert_false(turns(w) && shutdown(w->client, SHUT_WR) == 0 && turns(w));
	assert_int_equal(seen(w, "[mine]"), 1);
	assert_int_equal(seen(w, "HTTP/1.1 "), 1);
	assert_int_equal(seen(w, "connection: close"), 1);
	world_end(w);
}

static void refused(const char *request, const char *status, const char *named)
{
	struct world *w = world_new(0);

	sends(w, request);
	assert_int_equal(seen(w, status), 1);
	assert_int_equal(seen(w, "HTTP/1.1 "), 1);
	if (named)
		assert_int_equal(seen(w, named), 1);
	else
		assert_int_equal(w->heads, 0);
	world_end(w);
}

/* Who has a head is told of, whoever refuses it. */
static void test_refusals(void **state)
{
	(void)state;
	refused("POST /take HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		"ffffffffffffffff\r\n",
		"HTTP/1.1 413", "[/take]");
	refused("POST /take HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n",
		"HTTP/1.1 413", "[/take]");
	refused("POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n", "HTTP/1.1 413",
		"[/take]");
	refused("POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n", "HTTP/1.1 413",
		"[/take]");
	refused("GET /x HTTP/1.1\r\n\r\n", "HTTP/1.1 400", "[/x]");
	refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400", "[/]");
	refused("GET /y HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n", "HTTP/1.1 417", "[/y]");
	refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400",
		"[/]");
	refused("GARBAGE\r\n\r\n", "HTTP/1.1 400", NULL);
}

/* ---- streams ---- */

static unsigned released;

static void on_release(void *arg)
{
	(void)arg;
	released++;
}

static void chunk(struct world *w, const char *text)
{
	w->inside = true;
	exchange_chunk(w->kept,
		       (struct payload){ .p = text, .n = strlen(text), .release = on_release });
	w->inside = false;
}

static void test_stream(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	released = 0;
	sends(w, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
	exchange_begin(w->kept, &(struct answer){ .status = 200 });
	for (unsigned i = 0; i < 5; i++)
		chunk(w, "piece");
	turns(w);
	chunk(w, "a last one");
	exchange_finish(w->kept);
	assert_true(turns(w));
	assert_int_equal(released, 6);
	assert_int_equal(seen(w, "5\r\npiece\r\n"), 5);
	assert_int_equal(seen(w, "a\r\na last one\r\n0\r\n\r\nHTTP/1.1 404"), 1);
	world_end(w);
}

/* What has gone of a piece counts, before the piece has gone; what waits behind another answer does
 * not. */
static void test_delivered(void **state)
{
	static char big[600000];
	struct world *w = world_new(0);
	struct exchange *first, *second;
	char part[4096];
	uint64_t before;

	(void)state;
	sends(w, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
	first = w->kept;
	sends(w, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
	second = w->kept;
	exchange_begin(second, &(struct answer){ .status = 200 });
	exchange_chunk(second, (struct payload){ .p = "behind", .n = 6 });
	exchange_begin(first, &(struct answer){ .status = 200 });
	exchange_chunk(first, (struct payload){ .p = big, .n = sizeof(big) });
	assert_int_equal(exchange_delivered(first), 0);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	before = exchange_delivered(first);
	assert_in_range(before, 1, sizeof(big) - 1);
	while (exchange_delivered(first) == before) {
		assert_true(read(w->client, part, sizeof(part)) > 0);
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	assert_in_range(exchange_delivered(first), before + 1, sizeof(big) - 1);
	assert_int_equal(exchange_delivered(second), 0);
	turns(w);
	assert_int_equal(exchange_delivered(first), sizeof(big));
	assert_int_equal(exchange_delivered(second), 0);
	exchange_finish(first);
	turns(w);
	assert_int_equal(exchange_delivered(second), 6);
	exchange_finish(second);
	assert_true(turns(w));
	assert_int_equal(w->done, 2);
	world_end(w);
}

/* Longer than an unsigned int can say: all of it is still to go when the first bytes are there. */
static void test_an_answer_of_four_gibibytes(void **state)
{
	size_t size = (size_t)4 << 30;
	char *big = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct world *w = world_new(0);

	(void)state;
	assert_true(big != MAP_FAILED);
	sends(w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
	exchange_reply(w->kept, &(struct answer){ .status = 200 },
		       (struct payload){ .p = big, .n = size });
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_in_range(exchange_delivered(w->kept), 1, size - 1);
	world_end(w);
	munmap(big, size);
}

static void test_stream_breaks(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	released = 0;
	sends(w, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
	exchange_begin(w->kept, &(struct answer){ .status = 200 });
	chunk(w, "piece");
	exchange_abort(w->kept);
	assert_false(turns(w));
	assert_int_equal(seen(w, "piece"), 1);
	assert_int_equal(seen(w, "0\r\n\r\n"), 0);
	assert_int_equal(w->gone, 1);
	world_end(w);
}

/* A client that has gone between two calls of one turn: the exchange stays usable to the end of
 * that turn. */
static void test_client_leaves_stream(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	released = 0;
	sends(w, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
	close(w->client);
	exchange_begin(w->kept, &(struct answer){ .status = 200 });
	chunk(w, "piece");
	chunk(w, "piece");
	assert_non_null(w->kept);
	exchange_finish(w->kept);
	for (unsigned i = 0; i < 3; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_null(w->kept);
	assert_int_equal(released, 2);
	w->client = -1;
	world_end(w);
}

static void test_no_body_no_length(void **state)
{
	struct world *w = world_new(0);

	(void)state;
	assert_true(sends(w, "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n"
			     "HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n"));
	assert_int_equal(seen(w, "HTTP/1.1 204"), 1);
	assert_int_equal(seen(w, "content-length: 7"), 1); /* of HEAD's */
	assert_int_equal(seen(w, "content-length"), 1);
	assert_int_equal(seen(w, "[/head]"), 0);
	world_end(w);
}

/* ---- many clients ---- */

static void test_slow_reader_holds_nobody(void **state)
{
	static char big[600000];
	struct world *w = world_new(0);
	int slow = w->client;

	(void)state;
	memset(big, 'x', sizeof(big));
	sends(w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
	exchange_reply(w->kept, &(struct answer){ .status = 200 },
		       (struct payload){ .p = big, .n = sizeof(big) });
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(w->done, 0);
	buf_finish(&w->seen);
	connect_client(w);
	assert_true(sends(w, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n"));
	assert_int_equal(seen(w, "[/quick]"), 1);
	close(w->client);
	w->client = slow;
	assert_true(turns(w));
	assert_int_equal(w->done, 2);
	assert_true(w->seen.n > sizeof(big));
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies_are_no_requests),
		cmocka_unit_test(test_any_split),
		cmocka_unit_test(test_what_follows_a_body_is_read_in_the_next_turn),
		cmocka_unit_test(test_large_bodies_and_what_follows),
		cmocka_unit_test(test_long_unwanted_body_closes),
		cmocka_unit_test(test_continue),
		cmocka_unit_test(test_one_refusal),
		cmocka_unit_test(test_an_invitation_that_waits),
		cmocka_unit_test(test_a_client_that_goes_on_is_not_late),
		cmocka_unit_test(test_line_breaks_begin_nothing),
		cmocka_unit_test(test_refusal_leaves_the_word_to_the_api),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_delivered),
		cmocka_unit_test(test_an_answer_of_four_gibibytes),
		cmocka_unit_test(test_stream_breaks),
		cmocka_unit_test(test_client_leaves_stream),
		cmocka_unit_test(test_no_body_no_length),
		cmocka_unit_test(test_slow_reader_holds_nobody),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
