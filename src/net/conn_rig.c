/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/conn_rig.h"

uint64_t time_ns = NS_PER_S;

static uint64_t test_now_ns(void)
{
	return time_ns;
}

const struct clock_source test_clock = { .now_ns = test_now_ns, .wall_ns = test_now_ns };

/* A sink that keeps nothing but the count. */
struct count {
	struct sink sink;
	struct world *world;
	size_t n;
	char room[7];
	bool over;
};

static int count_begin(struct sink *s, uint64_t length)
{
	(void)s;
	return length != HTTP_LENGTH_UNKNOWN && length > 100000 ? SINK_TOO_LARGE : SINK_OK;
}

static int count_room(struct sink *s, size_t want, char **ret, size_t *ret_n)
{
	struct count *c = container_of(s, struct count, sink);

	(void)want;
	assert_false(c->over);
	if (c->world->time_ns)
		*c->world->time_ns += NS_PER_MS;
	*ret = c->room;
	*ret_n = sizeof(c->room);
	return SINK_OK;
}

static void count_filled(struct sink *s, size_t n)
{
	container_of(s, struct count, sink)->n += n;
}

static void count_over(struct sink *s)
{
	struct count *c = container_of(s, struct count, sink);

	assert_false(c->over);
	c->over = true;
}

static const struct sink_ops count_ops = { .begin = count_begin,
					   .room = count_room,
					   .filled = count_filled,
					   .end = count_over,
					   .abort = count_over };

void answer(struct world *w, struct exchange *x, int status, const char *text)
{
	struct answer a = { .status = status };

	w->inside = true;
	exchange_reply(x, &a, (struct payload){ .p = text, .n = strlen(text) });
	w->inside = false;
}

static void on_head(void *ctx, struct exchange *x)
{
	static char big[BIG_ANSWER + 1];
	struct world *w = ctx;
	struct count *c;

	assert_false(w->inside);
	w->heads++;
	x->user = w;
	if (slice_eq(x->head.path, SLICE("/later")) || slice_eq(x->head.path, SLICE("/stream"))) {
		w->kept = x;
	} else if (slice_eq(x->head.path, SLICE("/empty"))) {
		answer(w, x, 204, "");
	} else if (slice_eq(x->head.path, SLICE("/slow"))) {
		*w->time_ns += NS_PER_MS;
		answer(w, x, 200, "slow");
	} else if (slice_eq(x->head.path, SLICE("/heavy"))) {
		*w->time_ns += 10 * NS_PER_MS;
		answer(w, x, 200, region_printf(&x->region, "%0*d", (int)HEAVY_ANSWER, 0));
	} else if (slice_eq(x->head.path, SLICE("/big"))) {
		memset(big, 'b', BIG_ANSWER);
		answer(w, x, 200, big);
	} else if (slice_eq(x->head.path, SLICE("/take")) && x->head.content_length) {
		c = region_new(&x->region, struct count);
		c->sink.ops = &count_ops;
		c->world = w;
		x->sink = &c->sink;
	} else {
		answer(w, x, 404, region_printf(&x->region, "[%.*s]", SLICE_ARG(x->head.target)));
	}
}

static void on_body(void *ctx, struct exchange *x)
{
	struct count *c = container_of(x->sink, struct count, sink);

	assert_true(c->over);
	answer(ctx, x, 200,
	       region_printf(&x->region, "[%.*s %zu]", SLICE_ARG(x->head.target), c->n));
}

static void on_done(void *ctx, struct exchange *x, enum exchange_end how)
{
	struct world *w = ctx;

	assert_false(w->inside);
	w->done++;
	w->gone += how == EXCHANGE_GONE;
	if (w->kept == x)
		w->kept = NULL;
}

static void on_refusal(void *ctx, struct exchange *x, int status, const char *why,
		       struct buf *headers, struct buf *body)
{
	struct world *w = ctx;

	if (x && !x->user)
		w->heads++;
	buf_puts(headers, "content-type: text/plain\r\n");
	buf_printf(body, "refused: %d %s", status, why);
	if (x)
		buf_printf(body, " [%.*s]", SLICE_ARG(x->head.target));
}

void connect_client(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(net_adopt(w->net, pair[0], &w->handler), 0);
	w->client = pair[1];
	buf_finish(&w->seen);
	buf_init(&w->seen, REPLIES_MAX);
}

struct world *world_new(unsigned timeout_ms)
{
	struct net_limits limits = { .head_bytes = 4096,
				     .headers = 32,
				     .body_bytes = 1 << 20,
				     .connections = 100,
				     .pipelined = 4,
				     .head_timeout_ms = timeout_ms,
				     .body_timeout_ms = timeout_ms,
				     .idle_timeout_ms = timeout_ms,
				     .write_timeout_ms = 0 };
	struct world *w = mem_new(struct world);

	uv_loop_init(&w->loop);
	w->budget.limit = WORLD_BUDGET;
	w->net = net_create(&w->loop, &limits, &w->budget);
	w->handler = (struct exchange_handler){
		.ctx = w,
		.head = on_head,
		.body = on_body,
		.done = on_done,
		.refusal = on_refusal,
	};
	connect_client(w);
	return w;
}

void world_end(struct world *w)
{
	net_destroy(w->net);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	if (w->client >= 0)
		close(w->client);
	assert_int_equal(w->done, w->heads);
	assert_int_equal(w->budget.used, 0);
	buf_finish(&w->seen);
	free(w);
}

bool turns(struct world *w)
{
	char piece[4096];
	ssize_t n = 0;

	for (unsigned quiet = 0; quiet < 3; quiet++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		while ((n = read(w->client, piece, sizeof(piece))) > 0) {
			assert_int_equal(buf_append(&w->seen, piece, (size_t)n), 0);
			quiet = 0;
		}
		if (n == 0 || errno != EAGAIN)
			return false;
	}
	return true;
}

void sends_only(struct world *w, const char *text)
{
	struct slice rest = slice_str(text);

	while (rest.n) {
		ssize_t n = send(w->client, rest.p, rest.n, MSG_NOSIGNAL);

		if (n < 0)
			break;
		rest = slice_make(rest.p + n, rest.n - (size_t)n);
	}
}

bool sends(struct world *w, const char *text)
{
	sends_only(w, text);
	return turns(w);
}

unsigned seen(const struct world *w, const char *text)
{
	struct slice rest = buf_slice(&w->seen);
	unsigned n = 0;
	char *at;

	while (rest.n && (at = memmem(rest.p, rest.n, text, strlen(text)))) {
		n++;
		rest = slice_make(at + 1, (size_t)(rest.p + rest.n - at - 1));
	}
	return n;
}
