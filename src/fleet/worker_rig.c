/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fleet/worker_rig.h"
#include "log/log.h"

#define FAKE_PID 1000000000 /* beyond any real one: nobody may signal it */

struct rig rig;

/* ---- the owner ---- */

static void owner_loaded(void *owner, struct worker *w, int code, const char *message)
{
	(void)owner;
	(void)w;
	rig.loaded++;
	rig.load_code = message ? code : 0;
}

static void owner_optimized_lost(void *owner, const char *how)
{
	(void)owner;
	snprintf(rig.lost_text, sizeof(rig.lost_text), "%s", how);
	rig.optimized_lost = rig.lost_text;
}

static void owner_gone(void *owner, struct worker *w)
{
	(void)owner;
	rig.gone++;
	worker_destroy(w);
	rig.w = NULL;
}

static void owner_touch(void *owner)
{
	(void)owner;
}

static unsigned owner_take(void *owner, struct worker *w, size_t bytes_max, uint64_t now_ns,
			   struct batch *out, uint64_t *ret_wake_ns)
{
	struct batch_policy p = { .batch_size = w->model.batch_size, .bytes_max = bytes_max };

	(void)owner;
	return batch_take(&p, &rig.cost, &rig.queue, now_ns, out, ret_wake_ns);
}

static unsigned owner_next_beside(void *owner)
{
	const struct request *next = queue_first(&rig.queue);

	(void)owner;
	return next && next->retried ? next->beside : 0;
}

static void owner_give_back(void *owner, struct request *r)
{
	(void)owner;
	queue_return(&rig.queue, r);
}

static void owner_release(void *owner)
{
	(void)owner;
	rig.released++;
}

static void owner_answered(void *owner, struct request *r, const struct reply *reply, uint64_t now)
{
	(void)owner;
	(void)r;
	(void)reply;
	(void)now;
}

static void owner_leaves(void *owner, struct worker *w, int status, const char *message)
{
	(void)owner;
	(void)w;
	(void)status;
	(void)message;
}

static bool owner_restarts(void *owner, const struct worker *w, bool loaded)
{
	(void)w;
	(void)owner;
	(void)loaded;
	return true;
}

static unsigned owner_one(void *owner)
{
	(void)owner;
	return 1;
}

static const struct worker_owner_ops owner_ops = {
	.loaded = owner_loaded,
	.optimized_lost = owner_optimized_lost,
	.gone = owner_gone,
	.touch = owner_touch,
	.take = owner_take,
	.next_beside = owner_next_beside,
	.give_back = owner_give_back,
	.release = owner_release,
	.timed = owner_answered,
	.sequence_answered = owner_answered,
	.leaves = owner_leaves,
	.imports_torch = owner_touch,
	.restarts = owner_restarts,
	.threads = owner_one,
	.siblings = owner_one,
	.instances = owner_one,
};

/* ---- the process ---- */

static int fake_start(struct worker *w, const int ends[4])
{
	rig.starts++;
	if (rig.off)
		return -EAGAIN;
	rig.peer = fcntl(ends[3], F_DUPFD_CLOEXEC, 3);
	if (!rig.slow)
		worker_started(w, FAKE_PID);
	return 0;
}

static void fake_kill(struct worker *w)
{
	rig.kills++;
	if (!w->pid)
		worker_end_soon(w, "was not made"); /* as a zygote's */
}

static const struct worker_maker fake_maker = {
	.name = "fake",
	.start = fake_start,
	.kill = fake_kill,
};
static const struct worker_maker *const fake_makers[] = { &fake_maker, NULL };

void rig_turn(void)
{
	uv_run(rig.shared.loop, UV_RUN_NOWAIT);
	workers_launch(&rig.shared);
}

void rig_says(enum frame_type type, uint64_t arg, const char *json)
{
	char packet[1024];
	struct frame_writer fw;
	struct slice s;

	frame_begin(&fw, packet, sizeof(packet), type, arg);
	frame_put_bytes(&fw, slice_str(json));
	s = frame_end(&fw);
	assert_int_equal(send(rig.peer, s.p, s.n, MSG_NOSIGNAL), s.n);
	rig_turn();
}

/* The next frame that the process is sent; its descriptors are dropped. 0: there is none. */
int rig_hears(struct frame *f)
{
	static char packet[FRAME_MAX];
	ssize_t n = recv(rig.peer, packet, sizeof(packet), MSG_DONTWAIT);

	if (n <= 0)
		return 0;
	assert_int_equal(frame_read(slice_make(packet, (size_t)n), f), 0);
	return f->type;
}

void rig_ends(int status)
{
	close(rig.peer);
	rig.peer = -1;
	worker_ended(rig.w, status, NULL);
}

void rig_loads(void)
{
	struct frame f;

	rig_says(FRAME_HELLO, 0, "{\"protocol\":1}");
	assert_int_equal(rig_hears(&f), FRAME_LOAD);
	rig_says(FRAME_LOADED, 200, "{\"credits\":1}");
	assert_int_equal(rig.w->state, WORKER_READY);
}

/* ---- requests ---- */

static void replied(struct request *r, const struct reply *reply)
{
	(void)r;
	rig.replies++;
	rig.last = *reply;
	rig.last.body = slice_make(rig.body, MIN(reply->body.n, sizeof(rig.body)));
	if (reply->body.n)
		memcpy(rig.body, reply->body.p, rig.last.body.n);
	if (reply->release)
		reply->release(reply->arg);
}

struct request rig_asked(uint64_t id, struct part *part)
{
	return (struct request){ .id = id,
				 .parts = part,
				 .n_parts = part != NULL,
				 .reply = replied,
				 .queued_ns = clock_now_ns() };
}

unsigned rig_runs(void)
{
	uint64_t wake_ns;

	return worker_run(rig.w, 1, clock_now_ns(), &wake_ns);
}

void rig_puts(const struct frame_reply *reply, size_t n)
{
	static char body[FRAME_INLINE_MAX], packet[FRAME_MAX];
	struct frame_reply fr = *reply;
	struct frame_writer fw;
	struct slice s;

	if (!fr.body.p)
		fr.body = slice_make(body, n);
	fr.length = fr.body.n;
	frame_begin(&fw, packet, sizeof(packet), FRAME_CHUNK, 0);
	assert_int_equal(frame_put_reply(&fw, &fr), 0);
	s = frame_end(&fw);
	assert_int_equal(send(rig.peer, s.p, s.n, MSG_NOSIGNAL), s.n);
}

void rig_sends(const struct frame_reply *reply, size_t n)
{
	rig_puts(reply, n);
	rig_turn();
}

void rig_answers(uint64_t id, const char *body)
{
	rig_sends(&(struct frame_reply){ .status = 200,
					 .flags = FRAME_REPLY_FINAL,
					 .id = id,
					 .body = slice_str(body) },
		  0);
}

/* Asks one that the process is handed. */
void rig_begins(struct request *r)
{
	struct frame f;

	queue_push(&rig.queue, r);
	assert_int_equal(rig_runs(), 1);
	do
		assert_true(rig_hears(&f));
	while (f.type != FRAME_RUN);
}

/* The process notes that it has begun the batches up to this. */
void rig_notes(uint64_t batch)
{
	int fd = outbound_fd(rig.w->memory->outbound);

	assert_int_equal(pwrite(fd, &batch, sizeof(batch), 0), sizeof(batch));
}

/* ---- the rig ---- */

int rig_set_up(void **state)
{
	static char text[] = "text", prometheus[] = "prometheus";
	struct worker_model m = {
		.name = "m",
		.version = "1.0",
		.dir = "/",
		.handler = "h",
		.manifest = &rig.manifest,
		.devices = &rig.devices,
		.batch_size = 4,
		.response_timeout_s = 5,
		.startup_timeout_s = 60,
		.max_retry_timeout_s = 300,
		.metrics = &rig.version_metrics,
		.sizes = &rig.sizes,
		.cost = &rig.cost,
		.optimized_lost = &rig.optimized_lost,
	};

	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.peer = -1;
	rig.budget.limit = (uint64_t)1 << 30;
	rig.settings.max_response_size = 6553500;
	rig.settings.log_format = text;
	rig.settings.metrics_mode = prometheus;
	assert_int_equal(pool_create(&rig.pool, &rig.budget, (size_t)1 << 20), 0);
	rig.metrics = metrics_create(1000);
	catalogue_init(&rig.catalogue);
	telemetry_init(&rig.telemetry, rig.metrics, &rig.catalogue, &rig.settings);
	telemetry_version(&rig.telemetry, &rig.version_metrics, SLICE("m"), SLICE("1.0"));
	queue_init(&rig.queue, 100);
	rig.shared = (struct worker_shared){ .loop = uv_default_loop(),
					     .settings = &rig.settings,
					     .budget = &rig.budget,
					     .pool = rig.pool,
					     .telemetry = &rig.telemetry,
					     .makers = fake_makers };
	list_init(&rig.shared.launches);
	list_init(&rig.shared.memories);
	rig.w = worker_create(&rig.shared, &owner_ops, &rig, &m, 9000, 0, DEVICES_NONE);
	worker_start(rig.w);
	return 0;
}

int rig_tear_down(void **state)
{
	(void)state;
	if (rig.w && rig.w->maker) {
		worker_stop(rig.w, 0);
		rig_ends(0);
	} else if (rig.w) {
		worker_stop(rig.w, 0);
	}
	assert_null(rig.w);
	uv_run(rig.shared.loop, UV_RUN_DEFAULT);
	assert_int_equal(rig.budget.used, 0);
	assert_int_equal(rig.budget.idle, 0);
	telemetry_forget(&rig.version_metrics);
	telemetry_finish(&rig.telemetry);
	metrics_destroy(rig.metrics);
	catalogue_finish(&rig.catalogue);
	pool_destroy(rig.pool);
	return 0;
}
