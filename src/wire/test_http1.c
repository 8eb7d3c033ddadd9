/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "wire/http1.h"

static const struct http1_limits limits = { 1024, 8, 65536 };

/* What came of a text: events as letters, the body, the last status and target. */
struct outcome {
	char events[64];
	char body[256];
	size_t body_n;
	int status;
	char target[128];
};

static void note(struct outcome *o, char c)
{
	size_t n = strlen(o->events);

	if (n + 1 < sizeof(o->events) && !(c == 'b' && n && o->events[n - 1] == 'b'))
		o->events[n] = c;
}

static bool step(struct http1 *h, struct slice *in, struct outcome *o)
{
	struct region r;
	struct http_head head;
	size_t eaten = 0;
	enum http1_event e = http1_feed(h, *in, &eaten);

	*in = slice_make(in->p + eaten, in->n - eaten);
	switch (e) {
	case HTTP1_HEAD:
		note(o, 'h');
		region_init(&r);
		o->status = http1_head(h, &r, &head);
		snprintf(o->target, sizeof(o->target), "%.*s", SLICE_ARG(head.path));
		if (head.content_length == 0)
			http1_body_taken(h);
		region_finish(&r);
		return !o->status;
	case HTTP1_BODY:
		note(o, 'b');
		memcpy(o->body + o->body_n, h->piece.p, h->piece.n);
		o->body_n += h->piece.n;
		return true;
	case HTTP1_END:
		note(o, 'e');
		return true;
	case HTTP1_REFUSE:
		o->status = h->status;
		return false;
	default:
		return in->n > 0;
	}
}

static struct outcome run(const char *text, size_t n, size_t piece)
{
	struct outcome o = { 0 };
	struct http1 h;

	http1_init(&h, &limits);
	for (size_t at = 0; at < n && !o.status; at += piece) {
		struct slice in = slice_make(text + at, MIN(piece, n - at));

		while (in.n && step(&h, &in, &o))
			;
	}
	http1_finish(&h);
	return o;
}

static struct outcome feed(const char *text)
{
	size_t n = strlen(text);
	/* On the heap, so that reading beyond the end is seen. */
	char *copy = memcpy(malloc(n), text, n);
	struct outcome whole = run(copy, n, n), bytes = run(copy, n, 1);

	free(copy);
	assert_int_equal(whole.status, bytes.status);
	if (!whole.status) {
		assert_string_equal(whole.events, bytes.events);
		assert_string_equal(whole.target, bytes.target);
		assert_int_equal(whole.body_n, bytes.body_n);
		assert_memory_equal(whole.body, bytes.body, whole.body_n);
	}
	return whole;
}

static void plain_and_pipelined_requests(void **state)
{
	struct outcome o = feed("GET /ping?a=b HTTP/1.1\r\nHost: x\r\nEmpty:\r\n\r\n"
				"GET http://h/two HTTP/1.1\r\nHost: h\r\n\r\n");

	(void)state;
	assert_int_equal(o.status, 0);
	assert_string_equal(o.events, "hh");
	assert_string_equal(o.target, "/two");
}

static void a_proxys_target_is_cut_behind_its_host(void **state)
{
	static const struct {
		const char *target, *path;
	} rows[] = {
		{ "http://h/two", "/two" },
		{ "HTTPS://h/two?x", "/two" },
		{ "http://h", "/" },
		{ "https://h", "/" },
		{ "http://", "/" },
		{ "https://", "/" },
		{ "http:///two", "/two" },
		{ "https:///two", "/two" },
		{ "http://h?to=/two", "" },
		{ "https://h?to=http://i/two", "" },
		{ "http://u:p@h:1/two", "/two" },
		{ "/two#/three?x", "/two" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[128];
		struct outcome o;

		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].target);
		o = feed(text);
		assert_int_equal(o.status, 0);
		assert_string_equal(o.target, rows[i].path);
	}
}

static void chunked_bodies(void **state)
{
	struct outcome o = feed("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
				"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: a\r\n\r\n");

	(void)state;
	assert_int_equal(o.status, 0);
	assert_string_equal(o.events, "hbe");
	assert_int_equal(o.body_n, 11);
	assert_memory_equal(o.body, "hello world", 11);
}

static void trailers_say_nothing_of_the_connection(void **state)
{
	struct outcome o = feed("POST /one HTTP/1.1\r\nHost: x\r\n"
				"Transfer-Encoding: chunked\r\n\r\n"
				"1\r\na\r\n0\r\nConnection: close\r\nUpgrade: h2c\r\n\r\n"
				"GET /two HTTP/1.1\r\nHost: x\r\n\r\n");

	(void)state;
	assert_int_equal(o.status, 0);
	assert_string_equal(o.events, "hbeh");
	assert_string_equal(o.target, "/two");
}

static void what_smuggles_is_refused(void **state)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{ "POST / HTTP/1.1\r\nHost: h\r\n"
		  "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\n"
		  "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 2\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n",
		  413 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n",
		  400 },
		{ "GET / HTTP/1.1\nHost: x\n\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nA: b\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n",
		  400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n",
		  501 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", 501 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \r\n"
		  "Content-Length: 3\r\n\r\n",
		  400 },
		{ "GET / HTTP/9.9\r\n\r\n", 505 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
		{ "NONSENSE\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\n\r\n", 417 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outcome o = feed(rows[i].text);

		if (o.status != rows[i].status)
			print_error("row %zu\n", i);
		assert_int_equal(o.status, rows[i].status);
	}
}

static void sizes_of_chunks_are_looked_at_at_once(void **state)
{
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const char *const chunks[] = { "ffffffffffffffff\r\n", "10001\r\n",
					      "4\r\nabcd\r\nfffd\r\n" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
		snprintf(text, sizeof(text), "%s%s", head, chunks[i]);
		assert_int_equal(feed(text).status, 413);
	}
	snprintf(text, sizeof(text), "%s4\r\nabcd\r\nfffc\r\n", head);
	assert_int_equal(feed(text).status, 0);
}

static void hosts_and_codings_of_http_1_0(void **state)
{
	(void)state;
	assert_int_equal(feed("GET / HTTP/1.1\r\n\r\n").status, 400);
	assert_int_equal(feed("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n").status, 400);
	assert_int_equal(feed("GET / HTTP/1.0\r\n\r\n").status, 0);
	assert_int_equal(feed("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").status, 400);
}

static void a_nul_in_a_head_is_refused(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n";
	struct outcome o = run(text, sizeof(text) - 1, sizeof(text));

	(void)state;
	assert_int_equal(o.status, 400);
}

static void heads_are_bounded(void **state)
{
	char text[4096] = "GET /";
	struct outcome o;

	(void)state;
	memset(text + 5, 'a', 2000);
	o = feed(text);
	assert_int_equal(o.status, 414);
	memset(text, 0, sizeof(text));
	memcpy(text, "GET / HTTP/1.1\r\nA: ", 19);
	memset(text + 19, 'b', 2000);
	o = feed(text);
	assert_int_equal(o.status, 431);
	o = feed(
		"GET / HTTP/1.1\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\ng: 1\r\nh: 1\r\n"
		"i: 1\r\n\r\n");
	assert_int_equal(o.status, 431);
}

static void connect_and_star_do_no_harm(void **state)
{
	(void)state;
	assert_int_equal(feed("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").status, 0);
	assert_int_equal(feed("CONNECT a:1 HTTP/1.1\r\nHost: h\r\n\r\n").status, 0);
	assert_int_equal(
		feed("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n")
			.status,
		0);
}

static void answers_are_written_whole(void **state)
{
	char p[512];
	struct http1_answer a = {
		.status = 200, .minor = 1, .headers = SLICE("A: b\r\n"), .content_length = 12
	};
	size_t n = http1_write_head(p, &a);

	(void)state;
	assert_memory_equal(p,
			    "HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 12\r\n"
			    "connection: keep-alive\r\n\r\n",
			    n);
	a = (struct http1_answer){ .status = 599,
				   .reason = SLICE("Odd"),
				   .chunked = true,
				   .close = true,
				   .content_length = HTTP_LENGTH_UNKNOWN };
	n = http1_write_head(p, &a);
	assert_memory_equal(p,
			    "HTTP/1.1 599 Odd\r\ntransfer-encoding: chunked\r\n"
			    "connection: close\r\n\r\n",
			    n);
	assert_int_equal(http1_write_chunk_size(p, 0x1a2b), 6);
	assert_memory_equal(p, "1a2b\r\n", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_and_pipelined_requests),
		cmocka_unit_test(a_proxys_target_is_cut_behind_its_host),
		cmocka_unit_test(chunked_bodies),
		cmocka_unit_test(trailers_say_nothing_of_the_connection),
		cmocka_unit_test(what_smuggles_is_refused),
		cmocka_unit_test(sizes_of_chunks_are_looked_at_at_once),
		cmocka_unit_test(hosts_and_codings_of_http_1_0),
		cmocka_unit_test(a_nul_in_a_head_is_refused),
		cmocka_unit_test(heads_are_bounded),
		cmocka_unit_test(connect_and_star_do_no_harm),
		cmocka_unit_test(answers_are_written_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
