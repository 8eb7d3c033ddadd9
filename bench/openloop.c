/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Posts at a fixed rate, whatever the server does: request i is due at i / rate. Latency is counted
 * from when a request was due, so a pause of the server costs every request that it delayed, not
 * only the few that a client waiting for answers would have had under way.
 *
 *   openloop PORT PATH RATE SECONDS CONNECTIONS BODY-FILE
 *
 * One thread, one line of JSON in the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull
#define ANSWER_MAX 65536
#define GRACE_NS (5 * NS) /* for the last answers */

struct connection {
	int fd;
	bool busy;
	uint64_t due_ns; /* of the request under way */
	size_t sent, n;
	char answer[ANSWER_MAX];
};

struct run {
	int epoll, timer;
	uint64_t begin_ns, gap_ns;
	uint64_t total, next, finished, failed;
	char *request;
	size_t request_n;
	double *latency_ms;
	struct connection *connections;
	unsigned connections_n;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "openloop: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Head and body as one piece. */
static void request_make(struct run *r, const char *path, const char *file)
{
	FILE *f = fopen(file, "rb");
	long size;
	int head;

	if (!f || fseek(f, 0, SEEK_END) < 0 || (size = ftell(f)) < 0)
		die(file);
	rewind(f);
	r->request = malloc((size_t)size + 1024);
	if (!r->request)
		die("malloc");
	head = snprintf(r->request, 1024,
			"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
			"Content-Type: application/octet-stream\r\nContent-Length: %ld\r\n\r\n",
			path, size);
	if (head < 0 || head >= 1024 ||
	    fread(r->request + head, 1, (size_t)size, f) != (size_t)size)
		die(file);
	r->request_n = (size_t)head + (size_t)size;
	fclose(f);
}

static void connection_open(struct run *r, struct connection *c, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		die("epoll");
}

static void connection_watch(struct run *r, struct connection *c, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	epoll_ctl(r->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void connection_write(struct run *r, struct connection *c)
{
	while (c->sent < r->request_n) {
		ssize_t n = send(c->fd, r->request + c->sent, r->request_n - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			connection_watch(r, c, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0)
			die("send");
		c->sent += (size_t)n;
	}
	connection_watch(r, c, EPOLLIN);
}

/* Sends what is due as far as there are connections for it. */
static void run_send(struct run *r)
{
	uint64_t now = now_ns();

	for (unsigned i = 0; i < r->connections_n && r->next < r->total; i++) {
		struct connection *c = &r->connections[i];
		uint64_t due = r->begin_ns + r->next * r->gap_ns;

		if (due > now)
			return;
		if (c->busy)
			continue;
		c->busy = true;
		c->due_ns = due;
		c->sent = c->n = 0;
		r->next++;
		connection_write(r, c);
	}
}

/* Bytes of the whole answer, 0 while that is not known. */
static size_t answer_size(const struct connection *c)
{
	const char *end = memmem(c->answer, c->n, "\r\n\r\n", 4);

	if (!end)
		return 0;
	for (const char *p = c->answer; p < end; p = (const char *)memchr(p, '\n', end - p + 2) + 1)
		if (!strncasecmp(p, "content-length:", 15))
			return (size_t)(end + 4 - c->answer) + strtoul(p + 15, NULL, 10);
	fprintf(stderr, "openloop: an answer without a length\n");
	exit(1);
}

static void connection_read(struct run *r, struct connection *c)
{
	ssize_t n = recv(c->fd, c->answer + c->n, sizeof(c->answer) - 1 - c->n, 0);
	size_t size;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		die("the server closed a connection");
	c->n += (size_t)n;
	c->answer[c->n] = '\0';
	size = answer_size(c);
	if (!size || c->n < size)
		return;
	r->failed += strncmp(c->answer, "HTTP/1.1 200", 12) != 0;
	r->latency_ms[r->finished++] = (double)(now_ns() - c->due_ns) / 1e6;
	c->busy = false;
}

static void run_arm(struct run *r)
{
	uint64_t due = r->begin_ns + r->next * r->gap_ns;
	struct itimerspec at = { .it_value = { .tv_sec = (time_t)(due / NS),
					       .tv_nsec = (long)(due % NS) } };

	if (r->next == r->total)
		at = (struct itimerspec){ 0 };
	timerfd_settime(r->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void run_loop(struct run *r)
{
	uint64_t end = r->begin_ns + r->total * r->gap_ns + GRACE_NS;

	while (r->finished < r->total && now_ns() < end) {
		struct epoll_event events[64];
		int n;

		run_arm(r);
		n = epoll_wait(r->epoll, events, 64, 100);
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			uint64_t ticks;

			if (!c) {
				if (read(r->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
					die("timer");
				continue;
			}
			if (events[i].events & EPOLLOUT)
				connection_write(r, c);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				connection_read(r, c);
		}
		run_send(r);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(const struct run *r, double p)
{
	return r->finished ? r->latency_ms[(size_t)(p * (double)(r->finished - 1))] : 0;
}

int main(int argc, char **argv)
{
	struct run r = { 0 };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	double rate, seconds;

	if (argc != 7) {
		fprintf(stderr, "openloop PORT PATH RATE SECONDS CONNECTIONS BODY-FILE\n");
		return 2;
	}
	rate = strtod(argv[3], NULL);
	seconds = strtod(argv[4], NULL);
	r.connections_n = (unsigned)strtoul(argv[5], NULL, 10);
	r.total = (uint64_t)(rate * seconds);
	r.gap_ns = (uint64_t)((double)NS / rate);
	r.connections = calloc(r.connections_n, sizeof(*r.connections));
	r.latency_ms = calloc(r.total, sizeof(*r.latency_ms));
	r.epoll = epoll_create1(EPOLL_CLOEXEC);
	r.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!r.connections || !r.latency_ms || r.epoll < 0 || r.timer < 0 ||
	    epoll_ctl(r.epoll, EPOLL_CTL_ADD, r.timer, &event) < 0)
		die("start");
	prctl(PR_SET_TIMERSLACK, 1ul);
	request_make(&r, argv[2], argv[6]);
	for (unsigned i = 0; i < r.connections_n; i++)
		connection_open(&r, &r.connections[i], (uint16_t)strtoul(argv[1], NULL, 10));
	r.begin_ns = now_ns() + NS / 10;
	run_loop(&r);
	qsort(r.latency_ms, r.finished, sizeof(*r.latency_ms), compare);
	printf("{\"requests\": %lu, \"failed\": %lu, \"unanswered\": %lu, \"p50_ms\": %.3f, "
	       "\"p90_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
	       r.finished, r.failed, r.total - r.finished, percentile(&r, 0.5), percentile(&r, 0.9),
	       percentile(&r, 0.99), percentile(&r, 1));
	return 0;
}
