/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Internal to net/: a connection, its exchanges and their answers. See net.h and exchange.h. */

#include "net/net.h"
#include "wire/http1.h"

#define NET_RECEIVE ((size_t)65536)
#define NET_IOV 64
#define NET_TAIL_COPY                                                                              \
	((size_t)4096) /* a remainder this small is copied, so memory goes back early */
#define NET_LINGER_BYTES                                                                           \
	((uint64_t)32 << 20) /* read and dropped after an answer that came early                   \
			      */
#define NET_LINGER_MS 1000

/* What a connection waits for. Each kind has one timeout, so its list is ordered by deadline. */
enum wait_kind { WAIT_HEAD, WAIT_BODY, WAIT_IDLE, WAIT_WRITE, WAIT_LINGER, WAIT_KINDS, WAIT_NONE };

struct net {
	uv_loop_t *loop;
	struct net_limits limits;
	struct http1_limits head_limits;
	struct net_stats stats;
	struct list conns, listeners;
	struct list free_exchanges;
	unsigned n_free;
	uv_timer_t *tick;
	struct list waits[WAIT_KINDS];
	uint64_t wait_ms[WAIT_KINDS];
	bool draining;
	void (*drained)(void *arg);
	void *drained_arg;
	char receive[NET_RECEIVE];
};

struct listener {
	struct list link;
	struct net *net;
	const struct exchange_handler *handler;
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	char *unlink_path; /* of a Unix socket */
	int port;
};

/* A piece of an answer on its way out. */
struct piece {
	struct piece *next;
	const char *p;
	size_t n;
	void (*release)(void *arg);
	void *arg;
};

struct pending_exchange {
	struct exchange x;
	struct piece *first, *last; /* not yet accepted by the kernel */
	size_t pending;
	bool begun, finished, aborted;
	bool chunked, until_close, head_only, close;
	bool body_done; /* the request was read to its end */
};

struct conn {
	struct list link;
	struct net *net;
	const struct exchange_handler *handler;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	struct http1 parser;
	struct list exchanges; /* oldest first */
	unsigned n_exchanges;
	struct pending_exchange *incoming; /* its body is being read */
	uint64_t body_left;                /* of known length */
	bool body_known;
	uint64_t body_seen, body_began_ms;
	uint64_t dropped; /* input thrown away */
	struct buf stash; /* input beyond the pipelining limit */
	uv_write_t write;
	bool writing, reading, corked, closing;
	bool last_request; /* the client has said so */
	bool refused;      /* it broke a rule: its input is not looked at any more */
	bool close_after;  /* no further requests: close when all answers are out */
	bool linger;       /* the client may still be sending: drop that for a moment first */
	bool lingering;
	bool reset;       /* what the kernel still has for it is thrown away too */
	struct list wait; /* in net->waits[kind] */
	enum wait_kind wait_kind;
	uint64_t wait_until_ms;
	unsigned n_queued; /* pieces that libuv has */
	size_t queue_seen; /* libuv's queue at the last check: progress */
	char peer[64];
};

/* conn.c */
struct conn *conn_create(struct listener *l);
int conn_accept(struct conn *c, struct listener *l);
void conn_close(struct conn *c); /* at once; answers still pending are given up */
void conn_wait(struct conn *c, enum wait_kind kind);
void conn_settle(struct conn *c); /* after output: next wait, close, go on reading */
void conn_timed_out(struct conn *c);
/* Answers on net's own account and closes. */
void conn_refuse(struct conn *c, struct pending_exchange *e, int status, const char *why);
/* input.c */
void conn_start_reading(struct conn *c);
void conn_resume_input(struct conn *c); /* what was read ahead, when there is room again */
/* intake.c. Those that return false have refused the request. */
bool conn_begin_sink(struct conn *c, struct pending_exchange *e);
/* Room in the sink for the body that is coming. */
bool conn_sink_room(struct conn *c, size_t want, char **p, size_t *n);
void conn_body_arrived(struct conn *c, size_t n);       /* bytes that are in their place already */
bool conn_body_known(struct conn *c, struct slice *in); /* takes its part off `in` */
bool conn_body_piece(struct conn *c);                   /* of a chunked body */
void conn_body_done(struct conn *c);
/* pending.c */
struct pending_exchange *pending_take(struct conn *c);
void pending_finish(struct pending_exchange *e, enum exchange_end how);
static inline struct pending_exchange *pending_of(struct exchange *x)
{
	return (struct pending_exchange *)(void *)x;
}
/* output.c */
void conn_flush(struct conn *c);
void pieces_release(struct pending_exchange *e);
/* net.c */
void net_conn_gone(struct net *n);
