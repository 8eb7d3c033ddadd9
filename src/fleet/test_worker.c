/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/util.h"
#include "config/settings.h"
#include "core/queue.h"
#include "fleet/maker.h"
#include "log/log.h"
#include "pool/pool.h"

/*
 * A worker without a process: its maker keeps the other end of the channel, and the test plays the
 * process and the owner.
 */

#define FAKE_PID 1000000000 /* beyond any real one: nobody may signal it */

struct rig {
	struct worker_shared shared;
	struct settings settings;
	struct budget budget;
	struct pool *pool;
	struct telemetry telemetry;
	struct metrics *metrics;
	struct catalogue catalogue;
	struct version_metrics version_metrics;
	struct manifest manifest;
	struct devices devices;
	struct sizes sizes;
	struct batch_cost cost;
	struct worker *w;
	struct queue queue;
	int peer; /* what the process would hold; -1: none */
	unsigned starts, kills, loaded, gone, released, lost;
	int load_code;
	bool off; /* the maker is */
	struct reply last;
	char body[256];
	unsigned replies;
};

static struct rig rig;

/* ---- the owner ---- */

static void owner_loaded(void *owner, struct worker *w, int code, const char *message)
{
	(void)owner;
	(void)w;
	rig.loaded++;
	rig.load_code = message ? code : 0;
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

static bool owner_next_alone(void *owner)
{
	(void)owner;
	return false;
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

static unsigned owner_one(void *owner)
{
	(void)owner;
	return 1;
}

static const struct worker_owner_ops owner_ops = {
	.loaded = owner_loaded,
	.gone = owner_gone,
	.touch = owner_touch,
	.take = owner_take,
	.next_alone = owner_next_alone,
	.give_back = owner_give_back,
	.release = owner_release,
	.sequence_answered = owner_answered,
	.leaves = owner_leaves,
	.imports_torch = owner_touch,
	.threads = owner_one,
	.siblings = owner_one,
};

/* ---- the process ---- */

static int fake_start(struct worker *w, const int ends[4])
{
	rig.starts++;
	if (rig.off)
		return -EAGAIN;
	rig.peer = fcntl(ends[3], F_DUPFD_CLOEXEC, 3);
	worker_started(w, FAKE_PID);
	return 0;
}

static void fake_kill(struct worker *w)
{
	(void)w;
	rig.kills++;
}

static const struct worker_maker fake_maker = {
	.name = "fake",
	.start = fake_start,
	.kill = fake_kill,
};
static const struct worker_maker *const fake_makers[] = { &fake_maker, NULL };

static void turn(void)
{
	uv_run(rig.shared.loop, UV_RUN_NOWAIT);
}

static void says(enum frame_type type, uint64_t arg, const char *json)
{
	char packet[1024];
	struct frame_writer fw;
	struct slice s;

	frame_begin(&fw, packet, sizeof(packet), type, arg);
	frame_put_bytes(&fw, slice_str(json));
	s = frame_end(&fw);
	assert_int_equal(send(rig.peer, s.p, s.n, MSG_NOSIGNAL), s.n);
	turn();
}

/* The next frame that the process is sent; its descriptors are dropped. 0: there is none. */
static int hears(struct frame *f)
{
	static char packet[FRAME_MAX];
	ssize_t n = recv(rig.peer, packet, sizeof(packet), MSG_DONTWAIT);

	if (n <= 0)
		return 0;
	assert_int_equal(frame_read(slice_make(packet, (size_t)n), f), 0);
	return f->type;
}

static void ends(int status)
{
	close(rig.peer);
	rig.peer = -1;
	worker_ended(rig.w, status, NULL);
}

static void loads(void)
{
	struct frame f;

	says(FRAME_HELLO, 0, "{\"protocol\":1}");
	assert_int_equal(hears(&f), FRAME_LOAD);
	says(FRAME_LOADED, 200, "{\"credits\":1}");
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

static struct request asked(uint64_t id, struct part *part)
{
	return (struct request){ .id = id,
				 .parts = part,
				 .n_parts = part != NULL,
				 .reply = replied,
				 .queued_ns = clock_now_ns() };
}

static unsigned runs(void)
{
	uint64_t wake_ns;

	return worker_run(rig.w, 1, clock_now_ns(), &wake_ns);
}

static void answers(uint64_t id, const char *body)
{
	struct frame_reply fr = { .status = 200,
				  .flags = FRAME_REPLY_FINAL,
				  .id = id,
				  .length = strlen(body),
				  .body = slice_str(body) };
	char packet[1024];
	struct frame_writer fw;
	struct slice s;

	frame_begin(&fw, packet, sizeof(packet), FRAME_CHUNK, 0);
	assert_int_equal(frame_put_reply(&fw, &fr), 0);
	s = frame_end(&fw);
	assert_int_equal(send(rig.peer, s.p, s.n, MSG_NOSIGNAL), s.n);
	turn();
}

/* ---- the rig ---- */

static int set_up(void **state)
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
	rig.w = worker_create(&rig.shared, &owner_ops, &rig, &m, 9000, 0, DEVICES_NONE);
	worker_start(rig.w);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (rig.w && rig.w->maker) {
		worker_stop(rig.w, 0);
		ends(0);
	} else if (rig.w) {
		worker_stop(rig.w, 0);
	}
	assert_null(rig.w);
	uv_run(rig.shared.loop, UV_RUN_DEFAULT);
	assert_int_equal(rig.budget.used, 0);
	telemetry_forget(&rig.version_metrics);
	telemetry_finish(&rig.telemetry);
	metrics_destroy(rig.metrics);
	catalogue_finish(&rig.catalogue);
	pool_destroy(rig.pool);
	return 0;
}

static void test_loads_runs_answers_and_stops(void **state)
{
	struct request r = asked(7, NULL);
	struct frame f;

	(void)state;
	loads();
	assert_int_equal(rig.loaded, 1);
	queue_push(&rig.queue, &r);
	assert_int_equal(runs(), 1);
	assert_int_equal(hears(&f), FRAME_RUN);
	answers(7, "true");
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.released, 1);
	assert_true(slice_eq(rig.last.body, SLICE("true")));
	worker_stop(rig.w, 1000);
	assert_int_equal(hears(&f), FRAME_STOP);
	ends(0);
	assert_int_equal(rig.gone, 1);
}

static void test_a_death_gives_back_what_was_not_begun(void **state)
{
	struct request r = asked(7, NULL);

	(void)state;
	loads();
	queue_push(&rig.queue, &r);
	assert_int_equal(runs(), 1);
	ends(SIGKILL);
	assert_int_equal(rig.replies, 0);
	assert_ptr_equal(queue_first(&rig.queue), &r);
	assert_int_equal(rig.w->state, WORKER_WAITING);
	/* The first new start follows at once. */
	turn();
	assert_int_equal(rig.starts, 2);
	loads();
	assert_int_equal(runs(), 1);
	answers(7, "true");
	assert_int_equal(rig.replies, 1);
}

static void test_a_batch_is_as_large_as_a_frame(void **state)
{
	static char text[FRAME_MAX / 3];
	struct request r[4];
	struct frame f;

	(void)state;
	loads();
	for (unsigned i = 0; i < 4; i++) {
		r[i] = asked(i + 1, NULL);
		r[i].headers = slice_make(text, sizeof(text));
		r[i].encoded = worker_request_size(&r[i]);
		queue_push(&rig.queue, &r[i]);
	}
	assert_int_equal(runs(), 2);
	assert_int_equal(hears(&f), FRAME_RUN);
	assert_int_equal(f.count, 2);
	answers(1, "1");
	answers(2, "2");
	assert_int_equal(runs(), 2);
	answers(3, "3");
	answers(4, "4");
	assert_int_equal(rig.replies, 4);
}

static void test_what_cannot_be_handed_over_waits_again(void **state)
{
	struct block b;
	struct part p = { 0 };
	struct request r = asked(7, &p);

	(void)state;
	loads();
	rig.sizes.recent = 20000; /* so that it would get a grant */
	assert_int_equal(pool_alloc(rig.pool, 100, &b), 0);
	p.span = (struct span){ block_segment_id(&b), b.offset, 100 };
	queue_push(&rig.queue, &r);
	shutdown(rig.peer, SHUT_RDWR);
	assert_int_equal(runs(), 0);
	assert_int_equal(rig.kills, 1);
	assert_ptr_equal(queue_first(&rig.queue), &r);
	assert_int_equal(r.grant.length, 0);
	assert_null(r.place);
	ends(SIGKILL);
	assert_int_equal(rig.replies, 0);
	turn();
	loads();
	assert_int_equal(runs(), 1);
	assert_true(r.grant.length);
	answers(7, "true");
	assert_int_equal(rig.replies, 1);
	pool_free(rig.pool, &b);
}

static void test_a_kill_that_nobody_reports_yet_keeps_the_place(void **state)
{
	(void)state;
	loads();
	worker_kill(rig.w, "the test says so");
	assert_int_equal(rig.kills, 1);
	assert_false(worker_has_credit(rig.w));
	worker_stop(rig.w, 0);
	turn();
	assert_int_equal(rig.kills, 2);
	assert_int_equal(rig.gone, 0);
	ends(SIGKILL);
	assert_int_equal(rig.gone, 1);
}

static void test_a_start_that_fails_is_reported_from_the_loop(void **state)
{
	(void)state;
	ends(SIGKILL);
	assert_int_equal(rig.load_code, 500);
	rig.off = true;
	rig.loaded = 0;
	worker_start(rig.w);
	assert_int_equal(rig.loaded, 0);
	assert_int_equal(rig.w->state, WORKER_STARTING);
	turn();
	assert_int_equal(rig.loaded, 1);
	assert_int_equal(rig.w->state, WORKER_WAITING);
	/* The same when it is stopped in between. */
	worker_start(rig.w);
	worker_stop(rig.w, 1000);
	assert_int_equal(rig.gone, 0);
	turn();
	turn();
	assert_int_equal(rig.gone, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_loads_runs_answers_and_stops, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_death_gives_back_what_was_not_begun, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_batch_is_as_large_as_a_frame, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_handed_over_waits_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_kill_that_nobody_reports_yet_keeps_the_place,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_start_that_fails_is_reported_from_the_loop,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
