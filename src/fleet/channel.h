/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The SEQPACKET socket to a worker or zygote: whole frames in, whole frames out, descriptors along
 * with them. Sending never blocks; a frame that the kernel does not take at once is copied and sent
 * later, in order. Loop thread only.
 */

#include <stdbool.h>
#include <uv.h>

#include "base/list.h"
#include "wire/frame.h"

struct channel {
	uv_poll_t *poll; /* NULL: closed */
	int fd;
	struct list pending; /* struct channel_packet, oldest first */
	size_t pending_bytes;
	/* A frame arrived; it is valid during the call. Returns 0, or a negative error to stop
	 * reading (the owner has closed the channel or will). */
	int (*received)(struct channel *c, const struct frame *f);
	/* The peer closed, or sent what is not a frame (`why` says what). */
	void (*broken)(struct channel *c, const char *why);
};

/* Makes a pair: *c takes one end, *ret_peer is the other (close it after handing it on). */
int channel_open(struct channel *c, uv_loop_t *loop, int *ret_peer);
void channel_close(struct channel *c); /* also when never opened; drops what is pending */
/* 0, or -errno when the peer is gone. `fds` are duplicated by the kernel and stay the caller's. */
int channel_send(struct channel *c, struct slice packet, const int *fds, unsigned n_fds);
/* Reads and delivers everything that has already arrived (used when the peer has died). */
void channel_drain(struct channel *c);

static inline bool channel_is_open(const struct channel *c)
{
	return c->poll != NULL;
}
