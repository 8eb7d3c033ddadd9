/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The SEQPACKET socket to a worker or zygote: whole frames in, whole frames out, descriptors along
 * with them. Sending never blocks; a frame that the kernel does not take at once is copied and sent
 * later, in order. What is kept has a bound: a peer that does not read is broken. Loop thread only.
 */

#include <stdbool.h>
#include <uv.h>

#include "base/list.h"
#include "wire/frame.h"

#define CHANNEL_BYTES_MAX ((size_t)1 << 20)
#define CHANNEL_FDS_PENDING_MAX 1024

struct channel {
	uv_poll_t *poll; /* NULL: closed */
	int fd;
	struct list pending; /* struct channel_packet, oldest first */
	size_t pending_bytes;
	size_t told_bytes; /* of these: by channel_tell() */
	uint64_t moved_ns; /* when the oldest of these became the oldest */
	unsigned pending_fds;
	size_t bytes_max; /* of what is pending: CHANNEL_BYTES_MAX … */
	unsigned fds_max; /* … and CHANNEL_FDS_PENDING_MAX, unless the owner has set others */
	bool overrun;     /* the peer does not read: told once, and nothing more is kept for it */
	/* A frame arrived; it is valid during the call. Returns 0, or a negative error to stop
	 * reading (the owner has closed the channel or will). */
	int (*received)(struct channel *c, const struct frame *f);
	/* The peer closed (NULL), sent what is not a frame, or does not read: `why` says what. May
	 * be called by channel_send(), so it must not close the channel. */
	void (*broken)(struct channel *c, const char *why);
};

/* Makes a pair: *c takes one end, *ret_peer is the other (close it after handing it on). */
int channel_open(struct channel *c, uv_loop_t *loop, int *ret_peer);
void channel_close(struct channel *c); /* also when never opened; drops what is pending */
/* 0, or -errno when the peer is gone or does not read. `fds` are duplicated by the kernel and stay
 * the caller's. */
int channel_send(struct channel *c, struct slice packet, const int *fds, unsigned n_fds);
/* The same, for what the owner bounds: it counts for no limit here. */
int channel_tell(struct channel *c, struct slice packet);
/* Reads and delivers what has already arrived (used when the peer has died): no more than a socket
 * can hold, for somebody else may have its end, too. */
void channel_drain(struct channel *c);

static inline bool channel_is_open(const struct channel *c)
{
	return c->poll != NULL;
}
