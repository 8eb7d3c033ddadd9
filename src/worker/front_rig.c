/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/util.h"
#include "worker/front_rig.h"
#include "worker/session.h"

#define PATIENCE_MS 30000
#define WORD 8

struct front front;

static struct frame_writer writer;
static char run_packet[FRAME_MAX];
static unsigned batches;
static pthread_t thread;
static bool joined;
static struct slice replies; /* of the frame that was heard */
static unsigned n_replies;

static void *rig_worker(void *arg)
{
	return (void *)(intptr_t)session_main((int)(intptr_t)arg);
}

static char *rig_memory(int *ret_fd)
{
	char *p;

	*ret_fd = memfd_create("rig", MFD_CLOEXEC);
	assert_true(*ret_fd >= 0);
	assert_int_equal(ftruncate(*ret_fd, (off_t)FRONT_MEMORY), 0);
	p = mmap(NULL, FRONT_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

static void rig_file(const char *name, const char *text)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", front.folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void rig_send(struct slice packet, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (char *)(uintptr_t)packet.p, packet.n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(front.fd, &msg, MSG_NOSIGNAL), packet.n);
}

int front_set_up(void **state)
{
	int ends[2];

	(void)state;
	front = (struct front){ .folder = "/tmp/sconce-worker-XXXXXX", .next = 1 };
	joined = false;
	replies = SLICE_NULL;
	n_replies = 0;
	assert_non_null(mkdtemp(front.folder));
	rig_file("good.hostile", "good");
	rig_file("bad.hostile", "it is broken");
	rig_file("ndim.hostile", "good, but has an output of 17 dimensions");
	rig_file("brief.hostile", "good, and knows of no batches");
	rig_file("good.cold", "good");
	rig_file("any.echo", "");
	rig_file("any.placed", "");
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	front.fd = ends[0];
	front.outbound = rig_memory(&front.outbound_fd);
	pthread_create(&thread, NULL, rig_worker, (void *)(intptr_t)ends[1]);
	front_hears(FRAME_HELLO);
	return 0;
}

int front_joins(void)
{
	void *code;

	assert_int_equal(pthread_join(thread, &code), 0);
	joined = true;
	return (int)(intptr_t)code;
}

void front_cleans(void)
{
	static const char *const files[] = { "good.hostile", "bad.hostile",
					     "ndim.hostile", "brief.hostile",
					     "good.cold",    "any.echo",
					     "any.placed",   "" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_(freep) char *path = mem_printf("%s/%s", front.folder, files[i]);

		assert_int_equal(remove(path), 0);
	}
}

int front_tear_down(void **state)
{
	(void)state;
	if (!joined) {
		front_sends(FRAME_STOP, 0, SLICE(""));
		assert_int_equal(front_joins(), 0);
	}
	front_cleans();
	close(front.fd);
	close(front.outbound_fd);
	munmap(front.outbound, FRONT_MEMORY);
	if (front.inbound)
		munmap(front.inbound, FRONT_MEMORY);
	return 0;
}

/* ---- sending ---- */

void front_sends(enum frame_type type, uint64_t arg, struct slice body)
{
	char packet[512];
	struct frame_writer fw;

	frame_begin(&fw, packet, sizeof(packet), type, arg);
	frame_put_bytes(&fw, body);
	rig_send(frame_end(&fw), NULL, 0);
}

void front_sends_u64s(enum frame_type type, uint64_t arg, const uint64_t *values, unsigned n)
{
	front_sends(type, arg, slice_make((const char *)values, n * sizeof(*values)));
}

void front_lends(void)
{
	char packet[64];
	struct frame_writer fw;
	int fd;

	front.inbound = rig_memory(&fd);
	frame_begin(&fw, packet, sizeof(packet), FRAME_SEGMENT, 1);
	frame_put_u64(&fw, FRONT_MEMORY);
	rig_send(frame_end(&fw), &fd, 1);
	close(fd);
}

void front_loads_text(const char *json)
{
	char packet[FRAME_HEAD];
	struct frame_writer fw;
	int fds[] = { front.outbound_fd, memfd_create("load", MFD_CLOEXEC) };

	assert_int_equal(write(fds[1], json, strlen(json)), strlen(json));
	frame_begin(&fw, packet, sizeof(packet), FRAME_LOAD, strlen(json));
	rig_send(frame_end(&fw), fds, 2);
	close(fds[1]);
}

void front_loads(const char *engine)
{
	_cleanup_(freep) char *json = mem_printf(
		"{\"model_name\":\"m\",\"model_dir\":\"%s\",\"threads\":4,"
		"\"max_response_size\":500000,\"engine\":{\"device\":\"cpu\",%s}}",
		front.folder, engine);

	front_loads_text(json);
}

/* ---- hearing ---- */

struct frame front_hears(enum frame_type type)
{
	struct pollfd p = { .fd = front.fd, .events = POLLIN };
	struct frame f;
	ssize_t n;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail_msg("nothing comes where a frame of type %d was expected", type);
	n = recv(front.fd, front.packet, sizeof(front.packet), 0);
	assert_true(n > 0);
	assert_int_equal(frame_read(slice_make(front.packet, (size_t)n), &f), 0);
	if (type)
		assert_int_equal(f.type, type);
	return f;
}

struct slice front_hears_loaded(unsigned status)
{
	struct frame f = front_hears(FRAME_LOADED);

	if (f.arg != status)
		fail_msg("%.*s", SLICE_ARG(f.body));
	return f.body;
}

bool front_says(struct slice document, const char *words)
{
	return memmem(document.p, document.n, words, strlen(words));
}

struct frame_reply front_hears_reply(char text[FRAME_INLINE_MAX + 1])
{
	struct frame_reply r;

	if (!n_replies) {
		struct frame f = front_hears(FRAME_CHUNK);

		replies = f.body;
		n_replies = f.count;
	}
	n_replies--;
	assert_int_equal(frame_reply_next(&replies, &r), 0);
	assert_true(r.flags & FRAME_REPLY_FINAL);
	memcpy(text, r.body.p, r.body.n);
	text[r.body.n] = '\0';
	return r;
}

/* ---- requests ---- */

void front_begins(void)
{
	batches = 0;
	frame_begin(&writer, run_packet, sizeof(run_packet), FRAME_RUN, front.seq + 1);
}

uint64_t front_adds(bool new_batch, struct slice body, const char *accept, struct span grant)
{
	struct frame_part part = { .name = SLICE("body"),
				   .type = front.type ? slice_str(front.type)
						      : SLICE("application/octet-stream"),
				   .kind = FRAME_PART_BODY,
				   .span = { 1, front.used, body.n } };
	struct frame_request r = { .n_parts = 1, .id = front.next++, .grant = grant };
	char headers[128];

	batches += new_batch;
	front.seq += new_batch;
	r.batch = (uint16_t)(batches - 1);
	memcpy(front.inbound + front.used, body.p, body.n);
	front.used += ALIGN_UP(body.n, (size_t)64);
	assert_true(front.used < FRONT_MEMORY);
	r.headers = slice_make(headers, frame_header_put(headers, sizeof(headers), SLICE("Accept"),
							 slice_str(accept)));
	assert_int_equal(frame_put_request(&writer, &r, &part), 0);
	return r.id;
}

void front_runs(void)
{
	rig_send(frame_end(&writer), NULL, 0);
}

uint64_t front_asks(const char *word)
{
	char body[WORD + 1];
	uint64_t id;

	snprintf(body, sizeof(body), "%-*s", WORD, word);
	front_begins();
	id = front_adds(true, slice_make(body, WORD), "*/*", (struct span){ 0 });
	front_runs();
	return id;
}
