/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/pillow.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "image/convert.h"

#define PILLOW_LIMIT_NS (60 * NS_PER_S)
#define PILLOW_STARTS 8 /* in so much time */
#define PILLOW_STARTS_NS (60 * NS_PER_S)
#define PILLOW_LACKS_NS (30 * NS_PER_S) /* until it is looked for again */
#define PILLOW_BYTES_MAX ((uint64_t)1 << 30)
#define PILLOW_WORDS_MAX 1000
#define PILLOW_CHUNK ((size_t)256 << 10)
#define PILLOW_PALETTE 1u
#define PILLOW_ALPHA 2u
#define PILLOW_KEYED 4u

extern char **environ;

/* The folder that a command is started in is none to import from. */
static const char pillow_program[] = "import sys; sys.path[:] = [p for p in sys.path if p]; "
				     "from sconce.image.pillow import main; main()";

enum pillow_status { PILLOW_OK, PILLOW_BAD, PILLOW_MEMORY, PILLOW_LACKS, PILLOW_STATUSES };

/* python/sconce/image/pillow.py has the same two. */
struct pillow_request {
	uint32_t seconds, mode;
	uint64_t pixels, bytes;
};

struct pillow_reply {
	uint32_t status, mode, width, height, orientation, flags, key, zero;
	uint64_t bytes;
};

static int pillow_fail(struct sconce_error *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int pillow_fail(struct sconce_error *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}

/* ---- bytes, until a time ---- */

static bool pillow_wait(int fd, short events, uint64_t until_ns)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	for (;;) {
		uint64_t now_ns = clock_now_ns();
		int r;

		if (now_ns >= until_ns)
			return false;
		r = poll(&poll_fd, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1);
		if (r > 0)
			return true;
		if (r < 0 && errno != EINTR)
			return false;
	}
}

static bool pillow_send(int fd, const void *from, size_t n, uint64_t until_ns)
{
	const char *p = from;

	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EINTR &&
		    (errno != EAGAIN || !pillow_wait(fd, POLLOUT, until_ns)))
			return false;
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		}
	}
	return true;
}

static bool pillow_receive(int fd, void *to, size_t n, uint64_t until_ns)
{
	char *p = to;

	while (n) {
		ssize_t got = recv(fd, p, n, MSG_DONTWAIT);

		if (!got || (got < 0 && errno != EINTR &&
			     (errno != EAGAIN || !pillow_wait(fd, POLLIN, until_ns))))
			return false;
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
	return true;
}

/* ---- the process ---- */

static void pillow_end(struct pillow *p)
{
	if (!p->pid)
		return;
	kill(p->pid, SIGKILL);
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(p->fd);
	p->pid = 0;
}

/* Its standard input is `fd`, and nothing else of ours stays open in it. */
static int pillow_spawn(struct pillow *p, int fd)
{
	const char *argv[] = { p->python, "-c", pillow_program, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&files);
	r = posix_spawn_file_actions_adddup2(&files, fd, STDIN_FILENO);
	r = r ? r : posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	r = r ? r
	      : posix_spawnp(&p->pid, p->python, &files, &attributes,
			     (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (r)
		p->pid = 0;
	return r;
}

/* It says nothing that it is not asked. */
static bool pillow_has_ended(const struct pillow *p)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) != 0;
}

static int pillow_lacks(struct pillow *p, struct sconce_error *e)
{
	p->lacks_ns = clock_now_ns();
	snprintf(p->lacks, sizeof(p->lacks), "%s", e->text);
	fprintf(stderr, "Pictures that are not JPEG, PNG, WebP, GIF or BMP cannot be read: %s\n",
		p->lacks);
	return PIPELINE_LACKS;
}

/* What it says in words. */
static bool pillow_words(struct pillow *p, const struct pillow_reply *r, uint64_t until_ns,
			 struct sconce_error *e)
{
	if (r->bytes > PILLOW_WORDS_MAX || !pillow_receive(p->fd, e->text, r->bytes, until_ns))
		return false;
	e->text[r->bytes] = '\0';
	return true;
}

/* The first thing that it says is whether it finds Pillow. */
static int pillow_greet(struct pillow *p, struct sconce_error *e)
{
	uint64_t until_ns = clock_now_ns() + p->limit_ns;
	struct pillow_reply hello;

	if (!pillow_receive(p->fd, &hello, sizeof(hello), until_ns) ||
	    (hello.status != PILLOW_OK && hello.status != PILLOW_LACKS) ||
	    !pillow_words(p, &hello, until_ns, e)) {
		pillow_fail(e, 0,
			    "they need Python's Pillow, and what reads them with it does not start "
			    "with %.400s",
			    p->python);
		return pillow_lacks(p, e);
	}
	return hello.status == PILLOW_LACKS ? pillow_lacks(p, e) : 0;
}

static bool pillow_may_start(struct pillow *p)
{
	uint64_t now_ns = clock_now_ns();

	if (!p->since_ns || now_ns - p->since_ns > PILLOW_STARTS_NS) {
		p->since_ns = now_ns;
		p->starts = 0;
	}
	return p->starts++ < PILLOW_STARTS;
}

static int pillow_start(struct pillow *p, struct sconce_error *e)
{
	int ends[2], r;

	if (!pillow_may_start(p))
		return pillow_fail(e, -1,
				   "what reads such pictures has ended %d times within a minute, "
				   "and is not started again now",
				   PILLOW_STARTS);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return pillow_fail(e, -1, "there is no socket to read a picture: %s",
				   strerror(errno));
	r = pillow_spawn(p, ends[1]);
	close(ends[1]);
	if (r) {
		close(ends[0]);
		pillow_fail(e, 0, "they need Python's Pillow, and %.400s cannot be started: %s",
			    p->python, strerror(r));
		return pillow_lacks(p, e);
	}
	p->fd = ends[0];
	return pillow_greet(p, e);
}

static int pillow_ready(struct pillow *p, struct sconce_error *e)
{
	int r;

	if (!p->python)
		return pillow_fail(e, PIPELINE_LACKS,
				   "pictures that are not JPEG, PNG, WebP, GIF or BMP need Python "
				   "with Pillow: install both");
	if (p->lacks_ns && clock_now_ns() - p->lacks_ns < PILLOW_LACKS_NS)
		return pillow_fail(e, PIPELINE_LACKS, "%s", p->lacks);
	p->lacks_ns = 0;
	if (p->pid && pillow_has_ended(p))
		pillow_end(p);
	if (p->pid)
		return 0;
	r = pillow_start(p, e);
	if (r)
		pillow_end(p);
	return r;
}

/* ---- a picture ---- */

static bool pillow_reply_sound(const struct pillow_reply *r, uint64_t pixels)
{
	const struct image head = { .mode = r->mode, .width = r->width };
	uint64_t count = (uint64_t)r->width * r->height;
	uint64_t palette = r->flags & PILLOW_PALETTE ? sizeof(((struct image_palette *)0)->rgba)
						     : 0;

	if (r->status != PILLOW_OK)
		return r->status < PILLOW_STATUSES;
	return r->mode < IMAGE_MODES && count && count <= pixels &&
	       (r->mode == IMAGE_P) == !!palette && r->orientation >= 1 && r->orientation <= 8 &&
	       r->bytes == palette + (uint64_t)image_row(&head) * r->height;
}

static void pillow_set_palette(struct image_palette *palette, const struct pillow_reply *r)
{
	uint16_t key[3];

	palette->n = r->flags & PILLOW_PALETTE ? ARRAY_LEN(palette->rgba) : 0;
	palette->alpha = r->flags & PILLOW_ALPHA;
	for (unsigned i = 0; i < 3; i++)
		key[i] = (uint8_t)(r->key >> (8 * i));
	if (r->flags & PILLOW_KEYED)
		image_palette_key(palette, r->mode, key, r->mode == IMAGE_RGB ? 3 : 1);
}

static bool pillow_rows(struct pillow *p, struct image *image, uint64_t until_ns)
{
	size_t row = image_row(image), at_once = MAX(PILLOW_CHUNK / row, 1);
	_cleanup_(freep) uint8_t *rows = malloc(row * MIN(at_once, image->height));
	bool got = rows;

	for (uint32_t y = 0; got && y < image->height;) {
		uint32_t n = (uint32_t)MIN(at_once, image->height - y);

		got = pillow_receive(p->fd, rows, n * row, until_ns);
		for (uint32_t i = 0; got && i < n; i++)
			image_put_row(image, y + i, rows + i * row);
		y += n;
	}
	return got;
}

/* 1: what comes next on the socket is not known any more. */
static int pillow_picture(struct pillow *p, const struct pillow_reply *r, struct image *ret,
			  uint64_t until_ns, struct sconce_error *e)
{
	struct image_error why;
	int code;

	if ((uint64_t)r->width * r->height * image_pixel(r->mode) > PILLOW_BYTES_MAX) {
		pillow_fail(e, 0, "a picture of %u × %u is too large", r->width, r->height);
		return 1;
	}
	code = image_create(ret, r->mode, r->width, r->height, &why);
	if (code) {
		pillow_fail(e, 0, "%s", why.text);
		return 1;
	}
	pillow_set_palette(&ret->palette, r);
	if ((!ret->palette.n ||
	     pillow_receive(p->fd, ret->palette.rgba, sizeof(ret->palette.rgba), until_ns)) &&
	    pillow_rows(p, ret, until_ns))
		return 0;
	image_free(ret);
	return pillow_fail(e, -1, "what reads such pictures ended, or took too long");
}

static int pillow_answer(struct pillow *p, uint64_t pixels, struct image *ret,
			 uint8_t *ret_orientation, uint64_t until_ns, struct sconce_error *e)
{
	static const int codes[] = { [PILLOW_BAD] = SCONCE_BAD_INPUT,
				     [PILLOW_MEMORY] = SCONCE_NO_MEMORY,
				     [PILLOW_LACKS] = PIPELINE_LACKS };
	struct pillow_reply r;

	if (!pillow_receive(p->fd, &r, sizeof(r), until_ns))
		return pillow_fail(e, -1, "what reads such pictures ended, or took too long");
	if (!pillow_reply_sound(&r, pixels))
		return pillow_fail(e, -1, "what reads such pictures answered with nonsense");
	*ret_orientation = (uint8_t)r.orientation;
	if (r.status == PILLOW_OK)
		return pillow_picture(p, &r, ret, until_ns, e);
	if (!pillow_words(p, &r, until_ns, e))
		return pillow_fail(e, -1, "what reads such pictures answered with nonsense");
	return codes[r.status];
}

static int pillow_ask(struct pillow *p, struct slice bytes, unsigned mode, uint64_t pixels,
		      struct image *ret, uint8_t *ret_orientation, struct sconce_error *e)
{
	uint64_t until_ns = clock_now_ns() + p->limit_ns;
	struct pillow_request q = { (uint32_t)(p->limit_ns / NS_PER_S) + 1, mode, pixels, bytes.n };
	int r;

	if (!pillow_send(p->fd, &q, sizeof(q), until_ns) ||
	    !pillow_send(p->fd, bytes.p, bytes.n, until_ns))
		r = pillow_fail(e, -1, "what reads such pictures ended, or took too long");
	else
		r = pillow_answer(p, pixels, ret, ret_orientation, until_ns, e);
	if (r == 1) {
		/* It is as it should be, but what it would send now is too much. */
		pillow_end(p);
		return SCONCE_BAD_INPUT;
	}
	if (r == -1)
		pillow_end(p);
	return r;
}

/* ---- one at a time ---- */

static bool pillow_take(struct pillow *p)
{
	uint64_t until_ns = clock_now_ns() + p->limit_ns;
	struct timespec until = { .tv_sec = (time_t)(until_ns / NS_PER_S),
				  .tv_nsec = (long)(until_ns % NS_PER_S) };
	bool taken;

	pthread_mutex_lock(&p->lock);
	while (p->busy && pthread_cond_timedwait(&p->free, &p->lock, &until) != ETIMEDOUT)
		;
	taken = !p->busy;
	p->busy = true; /* or is: whoever has it gives it back */
	pthread_mutex_unlock(&p->lock);
	return taken;
}

static void pillow_give(struct pillow *p)
{
	pthread_mutex_lock(&p->lock);
	p->busy = false;
	pthread_cond_signal(&p->free);
	pthread_mutex_unlock(&p->lock);
}

static int pillow_decode(const struct pipeline_decoder *d, struct slice bytes, unsigned mode,
			 uint64_t pixels, struct image *ret, uint8_t *ret_orientation,
			 struct sconce_error *e)
{
	struct pillow *p = container_of((struct pipeline_decoder *)(uintptr_t)d, struct pillow,
					decoder);
	int r;

	if (!pillow_take(p))
		return pillow_fail(
			e, -1, "other pictures that only Pillow reads take too long to wait for");
	r = pillow_ready(p, e);
	if (!r)
		r = pillow_ask(p, bytes, mode, pixels, ret, ret_orientation, e);
	pillow_give(p);
	return r;
}

void pillow_init(struct pillow *p, const char *python)
{
	pthread_condattr_t monotonic;

	*p = (struct pillow){ .decoder = { pillow_decode },
			      .python = *python ? mem_strdup(python) : NULL,
			      .limit_ns = PILLOW_LIMIT_NS };
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->free, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void pillow_finish(struct pillow *p)
{
	if (!p->decoder.decode)
		return;
	pillow_end(p);
	pthread_cond_destroy(&p->free);
	pthread_mutex_destroy(&p->lock);
	free(p->python);
	*p = (struct pillow){ 0 };
}
