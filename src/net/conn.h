/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to net/: a connection. It is two things that know little of each other: a transport (the
 * socket, what it waits for, when it closes; conn.c, output.c) and the state of the protocol that
 * is spoken on it (h1.h: the parser, the body being read, the exchanges in order).
 *
 * Whatever happens to a connection is recorded and looked at in net_turn(), the one place that
 * sends, closes and frees: conn_touch() asks for that, conn_doom() wants it closed there. Reading
 * hands bytes to the protocol, which calls the API layer; nothing else calls out.
 */

#include <sys/types.h>

#include "net/h1.h"
#include "net/net.h"

#define NET_RECEIVE ((size_t)65536)
#define NET_RECEIVE_HEAD ((size_t)4096)  /* where a large body is expected behind the head */
#define NET_READ_BYTES ((size_t)1 << 20) /* read at a time, into memory that may be new … */
#define NET_TURN_BYTES ((size_t)4 << 20) /* … and in one turn of the loop */
#define NET_WEIGHED ((size_t)4096)       /* what was read and is answered weighs by that */
#define NET_IOV 64
#define NET_UNTAKEN ((size_t)16384)  /* of answers: no further request is begun behind them */
#define NET_TAIL_COPY ((size_t)4096) /* a remainder this small is copied: its memory goes back */
#define NET_LINGER_BYTES ((uint64_t)32 << 20) /* read and dropped of what nobody wants any more */
#define NET_LINGER_MS 1000                    /* without any more of it … */
#define NET_LINGER_WHOLE_MS 30000             /* … and in all, about */

/* What a connection waits for. Each kind has one timeout, so its list is ordered by deadline. */
enum wait_kind { WAIT_HEAD, WAIT_BODY, WAIT_IDLE, WAIT_LINGER, WAIT_WRITE, WAIT_KINDS, WAIT_NONE };

/* It may wait for input and for output at once. */
struct wait {
	struct list link; /* in net->waits[kind] */
	struct conn *conn;
	enum wait_kind kind;
	uint64_t until_ms;
};

struct net {
	uv_loop_t *loop;
	struct net_limits limits;
	struct budget *budget;
	struct http1_limits head_limits;
	struct net_stats stats;
	struct list conns, listeners;
	struct list due; /* connections that net_turn() has to look at */
	struct list free_exchanges;
	unsigned n_free;
	uv_timer_t *tick;
	uv_prepare_t *turn; /* before the loop waits for events */
	struct list waits[WAIT_KINDS];
	uint64_t wait_ms[WAIT_KINDS];
	uint64_t told_ns;  /* when it was last said that none can be accepted; 0: never */
	uv_idle_t *again;  /* runs while the last turn has left connections to look at */
	unsigned counted;  /* in this turn: requests begun, pieces read, connections looked at */
	uint64_t first_ns; /* when the first of them was */
	bool late;         /* they have taken so long that others have to wait */
	size_t turn_read;  /* bytes, in this turn */
	bool turning;      /* in net_turn(): connections may be closed */
	bool draining;
	void (*drained)(void *arg);
	void *drained_arg;
	char receive[NET_RECEIVE];
};

struct listener {
	struct list link;
	struct net *net;
	const struct exchange_handler *handler;
	uv_poll_t poll;
	int fd;
	unsigned connections; /* that came by it */
	bool pipe;            /* a Unix socket */
	bool paused;          /* it could not accept: until the next tick */
	char *unlink_path;    /* of a Unix socket … */
	dev_t dev;            /* … as long as what lies there is this one */
	ino_t ino;
	int port;
};

struct conn {
	struct list link, due;
	struct net *net;
	struct listener *listener; /* NULL: adopted, or the listener has closed */
	const struct exchange_handler *handler;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} h;
	struct h1 h1;
	struct wait in, out;
	uint64_t dropped;      /* input thrown away while lingering … */
	uint64_t linger_until; /* … and until when that may go on, in ms */
	uv_write_t write;
	bool writing, reading, eof;
	bool satisfied;   /* with what was read in this turn: a whole body, or all that may be */
	bool close_after; /* no further requests: close when all answers are out */
	bool linger;      /* the client may still be sending: drop that for a moment first */
	bool lingering;
	bool heard;  /* when draining began a request had come that is not begun yet */
	bool doomed; /* close it in the next turn, whatever is pending */
	bool reset;  /* what the kernel still has for it is thrown away too, and its client sees an
		      * error */
	bool closed;
	size_t queued;     /* bytes that libuv was given */
	size_t queue_seen; /* libuv's queue at the last check: progress */
	char peer[64];
};

/* ---- net.c ---- */
/* What takes time is done: sees when that was too much. `weight`: 1, or by its bytes. */
void net_count(struct net *n, unsigned weight);

/* ---- conn.c ---- */
struct conn *conn_create(struct net *n, const struct exchange_handler *handler, bool pipe);
int conn_begin(struct conn *c); /* its handle is connected */
/* Look at it in the next net_turn(). */
void conn_touch(struct conn *c);
/* Close it there; answers still pending are given up. */
void conn_doom(struct conn *c);
/* What it is waiting for on its way in (or WAIT_NONE); begins anew only when that changes. */
void conn_wait(struct conn *c, enum wait_kind kind);
/* It arrived, in part: waits anew. */
void conn_wait_again(struct conn *c);
/* More came that is dropped: its client may not read before it has sent everything. */
void conn_linger_on(struct conn *c);
/* Whether the socket takes no more for now. */
void conn_wait_output(struct conn *c, bool waits);
void conn_timed_out(struct wait *w);
void conn_stop_reading(struct conn *c);
/* No further requests, but for one that has come already. */
void conn_drain(struct conn *c);
/* Sends, and then closes or goes on. Only from net_turn(). */
void conn_turn(struct conn *c);
/* At once; answers still pending are given up. Only from net_turn() and net_destroy(). */
void conn_close(struct conn *c);

/* ---- output.c ---- */
/* Sends what can be sent. False: the connection is beyond use. */
bool output_send(struct conn *c);
/* How much has gone of what libuv was given, and is still there as pieces: see h1_sent(). */
size_t output_gone(const struct conn *c);

/* ---- listen.c ---- */
void listener_close(struct listener *l);
/* Those that could not accept try again. */
void listeners_resume(struct net *n);
