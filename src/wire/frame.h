/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The worker protocol: frames between the front and a worker process, over a Unix SEQPACKET
 * socket. docs/protocol.md tells the story with diagrams; python/sconce/frame.py is the other
 * side, and a test checks the two against each other. This file only turns bytes into structs and
 * back: no I/O, no allocation, and nothing it reads is trusted.
 *
 * All integers are little-endian. A frame is one packet of at most FRAME_MAX bytes: a 16-byte
 * header, then entries, each padded to a multiple of 8.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/span.h"

#define FRAME_PROTOCOL 1
#define FRAME_MAX ((size_t)65536)       /* no frame is longer; one request's metadata must fit */
#define FRAME_SOFT ((size_t)16384)      /* stop adding requests or replies to a frame here */
#define FRAME_INLINE_MAX ((size_t)8192) /* a longer reply body goes through a grant */
#define FRAME_HEAD ((size_t)16)
/* A request's streamed pieces (replies that are not final) may be sent while fewer bytes than this
 * have not been taken by its client; the last one may go beyond it. */
#define FRAME_INSTANCES_MAX 64 /* of a native worker */
#define FRAME_WINDOW_BYTES ((uint64_t)1 << 20)
#define FRAME_UUID 36
#define FRAME_ROOM (FRAME_MAX - FRAME_HEAD) /* for entries */

/* The outbound memfd of a worker begins with this page, which no grant covers. Its first 8 bytes
 * hold the sequence number (see RUN) of the last batch the worker has begun; the front reads it
 * after the worker's death, to tell what must be retried from what was never touched, and when an
 * answer is late, to tell whose. */
#define FRAME_STATUS_PAGE ((size_t)4096)

enum frame_type {
	/* worker → front */
	FRAME_HELLO = 1,  /* JSON {"protocol","pid","runtime","version"} */
	FRAME_LOADED = 2, /* arg: status code (200, 500, 507 …). JSON {"message","credits","async",
			   * "imports":[…]} */
	FRAME_CHUNK = 3,  /* replies; arg: ns the worker was busy with the batches they end */
	FRAME_NEED = 4,   /* arg: request id; u64 bytes wanted for a reply */
	FRAME_METRIC = 5, /* JSON array of updates */
	FRAME_LOG = 6,    /* arg: enum log_level; UTF-8 text */
	FRAME_CALL = 7,   /* a handler calls a model. arg: call id; one request entry, whose headers
			   * name the model; its parts lie inline behind the entry */
	FRAME_RETAIN = 8, /* arg: request id. Its input is still referenced after the reply … */
	FRAME_RELEASE = 9, /* … and no longer is */
	FRAME_SPAWNED =
		10, /* zygote: arg: pid of the new worker, 0 on failure; JSON {"token","error"} */
	FRAME_TRYING = 11, /* before LOADED. arg 1: from now on it loads what `sconce optimize` has
			    * made, and the original is to be had if that ends it; 0: no more */
	FRAME_TRACE = 12,  /* how the time of a batch was spent, before its replies; arg: its
			    * sequence number. Phases */
	/* front → worker */
	FRAME_LOAD = 33,   /* arg: length of the JSON document; carries the outbound memfd, and a
			    * memfd with the document */
	FRAME_RUN = 34,    /* requests; arg: sequence number of the first batch in the frame */
	FRAME_GRANT = 35,  /* arg: request id; u64 offset, u64 length (0: refused) */
	FRAME_CANCEL = 36, /* arg: request id: nobody waits for it any more */
	FRAME_ANSWER = 37, /* to CALL. arg: call id; one reply entry */
	FRAME_SEGMENT =
		38, /* arg: segment id; u64 size; carries a read-only memfd. Size 0: forget it */
	FRAME_TUNE = 39,  /* arg: threads the worker should use from now on */
	FRAME_STOP = 40,  /* finish what was received, then exit 0 */
	FRAME_SPAWN = 41, /* zygote: fork a worker. JSON {"token","environment","cwd"}; carries its
			   * socket, stdout and stderr */
	FRAME_SEQUENCE_OVER = 42, /* UTF-8 id of a sequence that this worker ran */
	FRAME_PEER = 43,   /* arg: rank of another process of this worker; carries a socket to it */
	FRAME_WINDOW = 44, /* arg: request id; u64: so many more bytes of its streamed pieces have
			    * gone to the client, and may be followed by others */
};

struct frame {
	uint8_t type;
	uint16_t count; /* entries */
	uint64_t arg;
	struct slice body; /* after the header */
};

/* Flags of a request entry. */
enum frame_run_flags {
	FRAME_RUN_EXPLAIN = 1 << 0,
	FRAME_RUN_DESCRIBE = 1 << 1,
	FRAME_RUN_SEQUENCE_START = 1 << 2,
	FRAME_RUN_SEQUENCE_END = 1 << 3,
	FRAME_RUN_CONTINUE = 1 << 4,  /* continuous batching: a request the worker already has */
	FRAME_RUN_RETRY = 1 << 5,     /* it was started once before, on a worker that died */
	FRAME_RUN_OWN_IDENT = 1 << 6, /* `uuid` is its client's, and may come again */
	FRAME_RUN_TRACE = 1 << 7,     /* a TRACE frame is wanted for its batch */
};

enum frame_part_kind {
	FRAME_PART_BODY = 0,   /* the whole body; has a name ("body") and media type */
	FRAME_PART_FIELD = 1,  /* form attribute or query parameter: no media type */
	FRAME_PART_FILE = 2,   /* form part with its own media type */
	FRAME_PART_TENSOR = 3, /* dtype and shape are set */
};

#define FRAME_NDIM_MAX 16

struct frame_part {
	struct slice name, type;
	struct span span;
	uint8_t kind, dtype, ndim;
	const uint8_t *dims; /* reading: ndim × i64, unaligned. Writing: int64_t[ndim] */
};

/* One request of a RUN or CALL frame. */
struct frame_request {
	uint16_t batch; /* index within the frame; a batch's requests are adjacent */
	uint16_t flags;
	uint16_t n_parts;
	uint64_t id;           /* unique per server life */
	uint64_t deadline_ns;  /* CLOCK_MONOTONIC, 0: none */
	struct span grant;     /* where the reply may go in the outbound memfd; length 0: none */
	char uuid[FRAME_UUID]; /* what handlers see as the request id; zeros behind it */
	struct slice headers;  /* see frame_header_next() */
	struct slice parts;    /* reading: see frame_part_next() */
	struct slice texts;    /* reading: names, types and dims of the parts */
};

enum frame_reply_flags {
	FRAME_REPLY_FINAL = 1 << 0,
	FRAME_REPLY_ERROR = 1 << 1, /* the body is a message; the front writes the error document */
	FRAME_REPLY_GRANTED = 1 << 2, /* the body lies in the outbound memfd */
};

/* One reply of a CHUNK or ANSWER frame. */
struct frame_reply {
	uint16_t status; /* HTTP */
	uint16_t flags;
	uint64_t id;
	uint64_t offset, length; /* body: in the outbound memfd, or inline */
	struct slice type;       /* content type, may be empty */
	struct slice phrase;     /* reason phrase, may be empty */
	struct slice headers;
	struct slice body; /* inline body; empty when GRANTED */
};

#define FRAME_PHASES_MAX 64
#define FRAME_PHASE_NAME_MAX 64

/* One entry of a TRACE frame: part of what was done for a batch, on CLOCK_MONOTONIC. */
struct frame_phase {
	unsigned parent; /* the entry that it is a part of, from 1 on; 0: the batch */
	uint64_t begin_ns, end_ns;
	struct slice name; /* printable ASCII, not empty */
};

/* ---- reading. All return 0, or -EBADMSG with nothing trusted. ---- */

int frame_read(struct slice packet, struct frame *ret);
/* Takes the next entry off *rest. Checks every length, that the entry ends inside the frame, and
 * the ranges of enums. -EBADMSG also when there is none. */
int frame_request_next(struct slice *rest, struct frame_request *ret);
int frame_part_next(struct frame_request *r, struct frame_part *ret);
int frame_reply_next(struct slice *rest, struct frame_reply *ret);
/* `index`: of this entry, from 1 on: its parent is before it. */
int frame_phase_next(struct slice *rest, unsigned index, struct frame_phase *ret);
/* Walks a header block: u16 name length, u16 value length, name, value. 1: a header, 0: no more. */
int frame_header_next(struct slice *rest, struct slice *name, struct slice *value);
int frame_u64(struct slice *rest, uint64_t *ret);

/* ---- writing, into a caller's buffer of FRAME_MAX bytes ---- */

struct frame_writer {
	char *p;
	size_t n; /* bytes so far */
	size_t max;
	uint16_t count;
	bool overflowed; /* something did not fit; the frame must not be sent */
};

void frame_begin(struct frame_writer *w, char *p, size_t max, enum frame_type type, uint64_t arg);
/* What a request and its parts take in a frame; more than FRAME_ROOM: it fits none. */
size_t frame_request_size(const struct frame_request *r, const struct frame_part *parts);
/* Adds an entry; -ENOSPC leaves the frame as it was before, so it can be sent and a new one begun.
 */
int frame_put_request(struct frame_writer *w, const struct frame_request *r,
		      const struct frame_part *parts);
int frame_put_reply(struct frame_writer *w, const struct frame_reply *r);
/* A longer name is cut; what frames do not have in names becomes '?'. */
int frame_put_phase(struct frame_writer *w, const struct frame_phase *p);
int frame_put_u64(struct frame_writer *w, uint64_t v);
int frame_put_bytes(struct frame_writer *w, struct slice s);
/* Fills in count and length; returns the packet. */
struct slice frame_end(struct frame_writer *w);

/* Appends one header to a header block in a buf-like caller area; returns bytes written or 0. */
size_t frame_header_put(char *p, size_t room, struct slice name, struct slice value);
