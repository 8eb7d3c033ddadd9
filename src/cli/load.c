/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load.h"

#include <errno.h>
#include <fcntl.h>
#include <llhttp.h>
#include <math.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/util.h"

#define LOAD_SAMPLES_MAX ((size_t)50000000)
#define LOAD_LATE_NS NS_PER_MS
#define LOAD_AGAIN_NS (100 * NS_PER_MS) /* after a connection that brought no answer at all */
#define LOAD_LOOK_MS 50                 /* for limits and new connections */
#define LOAD_EVENTS 64

struct connection {
	struct list link; /* idle ones, in the load */
	int fd;           /* -1: none */
	bool busy, counts, used;
	uint64_t due_ns, again_ns;
	size_t sent;
	llhttp_t parser;
	bool done; /* an answer is complete */
};

struct load {
	const struct load_plan *plan;
	struct load_result *result;
	struct sockaddr_storage to;
	socklen_t to_n;
	int epoll, timer;
	uint64_t begin_ns, end_ns, gap_ns;
	uint64_t next, total; /* of an open loop */
	struct list idle;
	unsigned n_idle, busy;
	uint64_t looked_ns;
	size_t room; /* of latency_ms */
	llhttp_settings_t parsing;
	struct connection *connections;
};

static volatile sig_atomic_t load_interrupted;

static void load_interrupt(int signal)
{
	(void)signal;
	load_interrupted = 1;
}

/* ---- connections ---- */

static void connection_init(struct load *l, struct connection *c)
{
	c->fd = -1;
	list_push_back(&l->idle, &c->link);
	l->n_idle++;
}

static void connection_close(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->used = false;
}

/* It connects while it waits to be written to; what comes of that shows then. */
static bool connection_open(struct load *l, struct connection *c)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	c->fd = socket(l->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return false;
	if (l->to.ss_family != AF_UNIX)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if ((connect(c->fd, (struct sockaddr *)&l->to, l->to_n) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0) {
		connection_close(c);
		return false;
	}
	llhttp_init(&c->parser, HTTP_RESPONSE, &l->parsing);
	c->parser.data = c;
	return true;
}

static void connection_watch(struct load *l, struct connection *c, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void connection_rest(struct load *l, struct connection *c)
{
	c->busy = false;
	l->busy--;
	l->n_idle++;
	list_push_back(&l->idle, &c->link);
}

/* There is no answer to what was asked. */
static void connection_fail(struct load *l, struct connection *c, uint64_t *counter)
{
	bool fresh = !c->used;

	if (c->busy) {
		*counter += c->counts;
		connection_rest(l, c);
	}
	connection_close(c);
	c->again_ns = fresh ? clock_now_ns() + LOAD_AGAIN_NS : 0;
}

static void connection_write(struct load *l, struct connection *c)
{
	const struct slice *all = &l->plan->request;

	while (c->sent < all->n) {
		ssize_t n = send(c->fd, all->p + c->sent, all->n - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
			connection_watch(l, c, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			connection_fail(l, c, &l->result->lost);
			return;
		}
		c->sent += (size_t)n;
	}
	connection_watch(l, c, EPOLLIN);
}

static void load_sample(struct load *l, uint64_t took_ns)
{
	struct load_result *r = l->result;

	if (r->n == l->room) {
		l->room = MAX(l->room * 2, (size_t)4096);
		r->latency_ms = mem_realloc(r->latency_ms, l->room * sizeof(*r->latency_ms));
	}
	r->latency_ms[r->n++] = (float)((double)took_ns / 1e6);
}

static void connection_answered(struct load *l, struct connection *c, bool open)
{
	uint64_t now_ns = clock_now_ns();
	int status = llhttp_get_status_code(&c->parser);

	c->done = false;
	c->used = true;
	connection_rest(l, c);
	if (c->counts) {
		l->result->statuses[status < LOAD_STATUSES ? status : 0]++;
		l->result->took_ns = now_ns - l->begin_ns;
		l->result->answers++;
		/* Refusals that come at once would make a server look fast. */
		if (load_status_is_good((unsigned)status))
			load_sample(l, now_ns - c->due_ns);
	}
	if (!open || !llhttp_should_keep_alive(&c->parser) || c->sent < l->plan->request.n)
		connection_close(c);
	else
		llhttp_resume(&c->parser);
}

static int load_on_message(llhttp_t *p)
{
	struct connection *c = p->data;

	/* 100 Continue announces an answer and is none. */
	c->done = llhttp_get_status_code(p) >= 200;
	return c->done ? HPE_PAUSED : HPE_OK;
}

static void connection_read(struct load *l, struct connection *c)
{
	static char data[65536];
	ssize_t n = recv(c->fd, data, sizeof(data), 0);
	llhttp_errno_t e;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && c->busy)
		e = llhttp_execute(&c->parser, data, (size_t)n);
	else if (n == 0 && c->busy)
		e = llhttp_finish(&c->parser); /* the end of a body may be the connection's */
	else
		e = HPE_USER;
	if (c->done)
		connection_answered(l, c, n > 0);
	else if (e != HPE_OK || n <= 0)
		connection_fail(l, c, &l->result->lost);
}

/* ---- when to ask ---- */

static bool load_asks(const struct load *l, uint64_t now_ns)
{
	if (load_interrupted || l->result->n >= LOAD_SAMPLES_MAX)
		return false;
	return l->total ? l->next < l->total : now_ns < l->end_ns;
}

static uint64_t load_due(const struct load *l)
{
	return l->begin_ns - l->plan->warm_up_ns + l->next * l->gap_ns;
}

/* False: not on this connection now. */
static bool load_ask(struct load *l, struct connection *c, uint64_t due_ns, uint64_t now_ns)
{
	if (c->fd < 0 && now_ns < c->again_ns)
		return false;
	c->busy = true;
	c->done = false;
	c->counts = due_ns >= l->begin_ns;
	c->due_ns = due_ns;
	c->sent = 0;
	l->busy++;
	if (c->fd < 0 && !connection_open(l, c))
		connection_fail(l, c, &l->result->lost);
	else
		connection_write(l, c);
	return true;
}

/* As far as something is due and connections are idle. */
static void load_ask_all(struct load *l)
{
	uint64_t now_ns = clock_now_ns();

	for (unsigned i = l->n_idle; i && load_asks(l, now_ns); i--) {
		struct connection *c = container_of(list_first(&l->idle), struct connection, link);
		uint64_t due_ns = l->total ? load_due(l) : now_ns;

		if (due_ns > now_ns)
			return;
		list_remove(&c->link);
		l->n_idle--;
		if (load_ask(l, c, due_ns, now_ns)) {
			l->next++;
			l->result->late += due_ns >= l->begin_ns && now_ns - due_ns > LOAD_LATE_NS;
		} else {
			l->n_idle++;
			list_push_back(&l->idle, &c->link);
		}
	}
}

/* What was due and could not be asked waits for an answer, which wakes us, too. */
static void load_arm(struct load *l)
{
	uint64_t due = load_due(l);
	struct itimerspec at = { .it_value = { .tv_sec = (time_t)(due / NS_PER_S),
					       .tv_nsec = (long)(due % NS_PER_S) } };

	if (l->next >= l->total || due <= clock_now_ns())
		at = (struct itimerspec){ 0 };
	timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void load_expire(struct load *l)
{
	uint64_t now_ns = clock_now_ns();

	if (!load_interrupted && now_ns - l->looked_ns < LOAD_LOOK_MS * NS_PER_MS)
		return;
	l->looked_ns = now_ns;
	for (unsigned i = 0; i < l->plan->connections; i++) {
		struct connection *c = &l->connections[i];

		if (c->busy && (load_interrupted || now_ns - c->due_ns > l->plan->answer_limit_ns))
			connection_fail(l, c, &l->result->unanswered);
	}
}

static void load_turn(struct load *l)
{
	struct epoll_event events[LOAD_EVENTS];
	int n;

	load_ask_all(l);
	load_arm(l);
	n = epoll_wait(l->epoll, events, LOAD_EVENTS, LOAD_LOOK_MS);
	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		uint64_t ticks;

		if (!c) {
			if (read(l->timer, &ticks, sizeof(ticks)) < 0)
				continue;
		} else if (c->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT)) {
			connection_read(l, c);
		} else if (c->fd >= 0 && c->busy) {
			connection_write(l, c);
		}
	}
	load_expire(l);
}

/* ---- the whole ---- */

static int load_find_unix(struct load *l, const char *path, struct buf *why)
{
	struct sockaddr_un *to = (struct sockaddr_un *)&l->to;

	if (strlen(path) >= sizeof(to->sun_path)) {
		buf_printf(why, "the path of the socket is too long: %s", path);
		return -EINVAL;
	}
	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, path, strlen(path) + 1);
	l->to_n = sizeof(*to);
	return 0;
}

static int load_find(struct load *l, const char *address, struct buf *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	struct slice rest = slice_str(address);
	_cleanup_(freep) char *host = NULL, *port = NULL;
	const char *colon;
	int r;

	if (slice_starts(rest, SLICE("unix:")))
		return load_find_unix(l, address + 5, why);
	if (!slice_istarts(rest, SLICE("http://"))) {
		buf_printf(why, "load is put on http:// and unix: addresses, not on %s", address);
		return -EINVAL;
	}
	rest = slice_make(rest.p + 7, strcspn(rest.p + 7, "/"));
	colon = rest.n && rest.p[rest.n - 1] != ']' ? memrchr(rest.p, ':', rest.n) : NULL;
	port = colon ? mem_strndup(colon + 1, (size_t)(rest.p + rest.n - colon - 1))
		     : mem_strdup("80");
	if (colon)
		rest.n = (size_t)(colon - rest.p);
	if (rest.n > 1 && rest.p[0] == '[')
		rest = slice_make(rest.p + 1, rest.n - 2);
	host = slice_dup(rest);
	r = getaddrinfo(host, port, &hints, &found);
	if (r) {
		buf_printf(why, "%s: %s", host, gai_strerror(r));
		return -EHOSTUNREACH;
	}
	memcpy(&l->to, found->ai_addr, found->ai_addrlen);
	l->to_n = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int load_begin(struct load *l)
{
	const struct load_plan *p = l->plan;
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->epoll < 0 || l->timer < 0 ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &event) < 0)
		return -errno;
	prctl(PR_SET_TIMERSLACK, 1ul);
	llhttp_settings_init(&l->parsing);
	l->parsing.on_message_complete = load_on_message;
	list_init(&l->idle);
	l->connections = mem_zalloc(p->connections * sizeof(*l->connections));
	for (unsigned i = 0; i < p->connections; i++)
		connection_init(l, &l->connections[i]);
	if (p->rate > 0) {
		l->gap_ns = MAX((uint64_t)((double)NS_PER_S / p->rate), 1);
		l->total = MAX((p->warm_up_ns + p->measure_ns) / l->gap_ns, 1);
	}
	l->begin_ns = clock_now_ns() + p->warm_up_ns;
	l->end_ns = l->begin_ns + p->measure_ns;
	return 0;
}

static int load_compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

int load_run(const struct load_plan *p, struct load_result *ret, struct buf *why)
{
	struct load l = { .plan = p, .result = ret, .epoll = -1, .timer = -1 };
	struct sigaction interrupt = { .sa_handler = load_interrupt }, before;
	int r;

	*ret = (struct load_result){ 0 };
	r = load_find(&l, p->address, why);
	if (r < 0)
		return r;
	r = load_begin(&l);
	if (r < 0)
		buf_puts(why, strerror(-r));
	load_interrupted = 0;
	sigaction(SIGINT, &interrupt, &before);
	while (r == 0 && (l.busy || load_asks(&l, clock_now_ns())))
		load_turn(&l);
	sigaction(SIGINT, &before, NULL);
	for (unsigned i = 0; l.connections && i < p->connections; i++)
		connection_close(&l.connections[i]);
	free(l.connections);
	closep(&l.epoll);
	closep(&l.timer);
	if (ret->n)
		qsort(ret->latency_ms, ret->n, sizeof(*ret->latency_ms), load_compare);
	return r;
}

void load_result_finish(struct load_result *r)
{
	free(r->latency_ms);
	*r = (struct load_result){ 0 };
}

double load_percentile(const struct load_result *r, double p)
{
	double rank = ceil(p * (double)r->n);

	assert(p >= 0 && p <= 1);
	return r->n ? (double)r->latency_ms[rank > 1 ? (size_t)rank - 1 : 0] : 0;
}
