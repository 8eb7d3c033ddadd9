/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "trace/exporter.h"

/* The thread against a collector that is a socket of this test; what it is sent is read with
 * opentelemetry-proto in tests/e2e/test_tracing.py. */

#define FLUSH_MS 200

static struct buf why = BUF_INIT(1024);
static char url[64];
static int listener = -1;

static int begin(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	(void)state;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1/traces", ntohs(a.sin_port));
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(listener);
	buf_finish(&why);
	return 0;
}

static struct exporter *start(uint64_t interval_ms)
{
	struct exporter_config c = { .url = url,
				     .timeout_ms = 10000,
				     .interval_ms = interval_ms,
				     .flush_ms = FLUSH_MS,
				     .memory = 65536,
				     .resource = SLICE("") };
	struct exporter *e;

	assert_int_equal(exporter_create(&e, &c, &why), 0);
	return e;
}

/* Takes one request, whose connection it leaves open where `answer` is NULL. */
static int collect(const char *answer, struct buf *ret)
{
	int fd = accept(listener, NULL, NULL);
	char *head;
	size_t length;

	assert_true(fd >= 0);
	for (;;) {
		char *room = buf_reserve(ret, 4096);
		ssize_t n = read(fd, room, 4096);

		assert_true(n > 0);
		buf_added(ret, (size_t)n);
		head = strstr(buf_cstr(ret), "\r\n\r\n");
		if (!head)
			continue;
		assert_int_equal(
			sscanf(strstr(ret->p, "Content-Length:"), "Content-Length: %zu", &length),
			1);
		if (ret->n >= (size_t)(head + 4 - ret->p) + length)
			break;
	}
	if (answer)
		assert_int_equal(write(fd, answer, strlen(answer)), strlen(answer));
	return fd;
}

#define TAKEN "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static void spans_travel_together(void **state)
{
	struct buf got = BUF_INIT(1 << 20);
	struct exporter *e = start(600000);
	int fd;

	(void)state;
	exporter_put(e, SLICE("\x12\x03one"));
	/* 512 are a batch, and wait for nobody. */
	for (unsigned i = 1; i < 512; i++)
		exporter_put(e, SLICE("\x12\x03two"));
	fd = collect(TAKEN, &got);
	assert_true(strncmp(got.p, "POST /v1/traces HTTP/1.1\r\n", 26) == 0);
	assert_non_null(strstr(got.p, "Content-Type: application/x-protobuf\r\n"));
	assert_non_null(memmem(got.p, got.n, "\x0a\x06sconce\x12", 9));
	assert_non_null(memmem(got.p, got.n, "\x12\x03one\x12\x03two\x12\x03two", 15));
	exporter_destroy(e);
	close(fd);
	buf_finish(&got);
}

static void what_is_too_much_is_dropped_and_counted(void **state)
{
	struct exporter *e = start(600000);
	char span[1000] = "\x12";

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		exporter_put(e, slice_make(span, sizeof(span)));
	assert_int_equal(exporter_stats(e).dropped, 100 - 65536 / 1004);
	assert_int_equal(exporter_stats(e).sent, 0);
	close(listener); /* nobody is there any more */
	exporter_destroy(e);
	begin(NULL);
}

static void the_end_waits_for_the_last_batch_only(void **state)
{
	struct buf got = BUF_INIT(1 << 20);
	struct exporter *e = start(600000);
	uint64_t began_ns = clock_now_ns();

	(void)state;
	exporter_put(e, SLICE("\x12\x04last"));
	/* The collector takes the connection, and says nothing. */
	exporter_destroy(e);
	close(collect(NULL, &got));
	assert_non_null(memmem(got.p, got.n, "last", 4));
	/* No sooner than it gave up, and it did. */
	assert_true(clock_now_ns() - began_ns >= FLUSH_MS * NS_PER_MS);
	buf_finish(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(spans_travel_together, begin, end),
		cmocka_unit_test_setup_teardown(what_is_too_much_is_dropped_and_counted, begin,
						end),
		cmocka_unit_test_setup_teardown(the_end_waits_for_the_last_batch_only, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
