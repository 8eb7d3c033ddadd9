/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Listeners and connections of one loop. net/ is the only code that reads from and writes to
 * clients. Everything is bounded by `struct net_limits`; a client that breaks a limit or the
 * protocol gets the status that says so, once, on its own connection only. Sending, closing and
 * freeing happen in one place, at the end of the loop's turn (a uv_prepare_t, before it waits).
 */

#include <stdint.h>
#include <uv.h>

#include "base/budget.h"
#include "net/exchange.h"

struct net;
struct listener;

struct net_limits {
	size_t head_bytes;         /* request line and headers together; 431 (414 for a line that
				    * alone is longer) */
	size_t headers;            /* count; 431 */
	uint64_t body_bytes;       /* 413; checked before the sink is asked */
	unsigned connections;      /* of this net; beyond it 503 and close at once. Each listener
				    * keeps an eighth (64 at most) that others cannot take */
	unsigned pipelined;        /* unanswered requests read ahead per connection, as long as
				    * there is memory and the client takes its answers */
	unsigned head_timeout_ms;  /* first byte of a head to its end; 408 */
	unsigned body_timeout_ms;  /* longest pause within a body; 408 */
	uint64_t body_rate_min;    /* bytes/s over the whole body, 10 s after its first; 408 */
	unsigned idle_timeout_ms;  /* between requests; silent close */
	unsigned write_timeout_ms; /* longest time without progress while answering; reset */
};

struct net_stats {
	uint64_t connections_now, connections_total;
	uint64_t refused_total; /* connections: too many */
	uint64_t accept_failures_total;
	uint64_t bad_requests_total; /* that break the protocol or a limit of a head */
	uint64_t timeouts_total;     /* of the clients: a head, a body, an answer, a pause */
};

/* What is read ahead on connections is taken from the budget, which must outlive the net. */
struct net *net_create(uv_loop_t *loop, const struct net_limits *limits, struct budget *budget);
/* Call when no connection is left (after net_drain reported so) or to cut everything off. */
struct net *net_destroy(struct net *n);

/* Opens a listener. `address` is "http://host:port", "http://host" (port 80) or "unix:path"
 * ("unix:///path" too; a stale socket file is replaced, a live one is -EADDRINUSE). On failure
 * returns -errno and writes a sentence for people to `why`. The handler must outlive the net. */
int net_listen(struct net *n, const char *address, const struct exchange_handler *handler,
	       struct listener **ret, struct buf *why);
/* The same for a socket that listens already, bound by somebody else; it is ours from now on, in
 * any case. `name` is what people call it. */
int net_listen_on(struct net *n, int fd, const char *name, const struct exchange_handler *handler,
		  struct listener **ret, struct buf *why);
/* The port a TCP listener really got (for port 0). */
int listener_port(const struct listener *l);

/* Takes over a connected Unix socket, as if it had been accepted. 0, or -errno (the descriptor is
 * closed in any case). */
int net_adopt(struct net *n, int fd, const struct exchange_handler *handler);

/* Stops accepting, closes idle connections, lets in-flight exchanges finish with
 * "Connection: close", then calls done at the end of a turn of the loop. */
void net_drain(struct net *n, void (*done)(void *arg), void *arg);
/* Looks for what is late. A timer does so; for tests, whose clock is their own. */
void net_check_times(struct net *n);
const struct net_stats *net_stats(const struct net *n);
