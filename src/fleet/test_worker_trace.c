/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "fleet/worker_rig.h"
#include "fleet/worker_trace.h"

static struct buf spans = BUF_INIT(1 << 20);
static unsigned n_spans;

static void collect(void *sink, struct slice span)
{
	(void)sink;
	buf_put_slice(&spans, span);
	n_spans++;
}

static struct tracer tracer = { .put = collect };
static struct trace trace;

static int set_up(void **state)
{
	rig_set_up(state);
	rig.shared.tracer = &tracer;
	buf_clear(&spans);
	n_spans = 0;
	trace = (struct trace){ .id = "id", .span = "sp", .flags = TRACE_SAMPLED };
	rig_loads();
	return 0;
}

static int tear_down(void **state)
{
	buf_finish(&spans);
	return rig_tear_down(state);
}

static bool told(const char *text)
{
	return memmem(spans.p, spans.n, text, strlen(text)) != NULL;
}

static void sends(uint64_t seq, const struct frame_phase *phases, unsigned n)
{
	char packet[8192];
	struct frame_writer fw;
	struct slice s;

	frame_begin(&fw, packet, sizeof(packet), FRAME_TRACE, seq);
	for (unsigned i = 0; i < n; i++)
		frame_put_phase(&fw, &phases[i]);
	s = frame_end(&fw);
	assert_int_equal(send(rig.peer, s.p, s.n, MSG_NOSIGNAL), s.n);
	rig_turn();
}

static void sends_phases(uint64_t seq, unsigned n, uint64_t begin_ns, uint64_t end_ns)
{
	struct frame_phase phases[FRAME_PHASES_MAX + 1];

	for (unsigned i = 0; i < n; i++)
		phases[i] = (struct frame_phase){ i, begin_ns, end_ns, SLICE("a-phase") };
	sends(seq, phases, n);
}

/* The flags of the one request of the next RUN frame. */
static unsigned hears_flags(void)
{
	struct frame_request entry;
	struct slice rest;
	struct frame f;

	do
		assert_true(rig_hears(&f));
	while (f.type != FRAME_RUN);
	rest = f.body;
	assert_int_equal(frame_request_next(&rest, &entry), 0);
	return entry.flags;
}

static void who_asks_hears_what_the_handler_took(void **state)
{
	struct frame_phase phases[] = { { .name = SLICE("worker") },
					{ .parent = 1, .name = SLICE("handler") } };
	struct request timed = rig_asked(7, NULL), native = rig_asked(8, NULL);

	(void)state;
	timed.timed = native.timed = true;
	queue_push(&rig.queue, &timed);
	assert_int_equal(rig_runs(), 1);
	assert_true(hears_flags() & FRAME_RUN_TRACE);
	phases[0].begin_ns = clock_now_ns();
	phases[1].begin_ns = phases[0].begin_ns + 2;
	phases[1].end_ns = phases[0].begin_ns + 6;
	phases[0].end_ns = phases[0].begin_ns + 9;
	sends(1, phases, 2);
	assert_int_equal(timed.handled_ns, 4);
	rig_answers(7, "done");
	queue_push(&rig.queue, &native);
	assert_int_equal(rig_runs(), 1);
	assert_int_equal(native.handled_ns, 0);
	phases[0].begin_ns = clock_now_ns();
	phases[0].end_ns = phases[0].begin_ns + 9;
	sends(2, phases, 1); /* has no handler */
	assert_int_equal(native.handled_ns, 9);
	rig_answers(8, "done");
	assert_int_equal(n_spans, 0);
	assert_int_equal(rig.kills, 0);
}

static void who_is_recorded_is_told_of(void **state)
{
	struct request r = rig_asked(7, NULL);

	(void)state;
	r.trace = &trace;
	queue_push(&rig.queue, &r);
	assert_int_equal(rig_runs(), 1);
	assert_true(hears_flags() & FRAME_RUN_TRACE);
	assert_int_equal(n_spans, 1);
	assert_true(told("queue"));
	sends_phases(1, 3, 0, UINT64_MAX); /* of a clock that is wrong: within the batch */
	assert_int_equal(n_spans, 4);
	sends_phases(1, 3, 0, UINT64_MAX); /* once a batch */
	assert_int_equal(n_spans, 4);
	rig_answers(7, "done");
	assert_int_equal(n_spans, 5);
	assert_true(told("batch") && told("sconce.batch.id"));
	assert_int_equal(rig.kills, 0);
}

static void who_is_not_costs_nothing(void **state)
{
	struct request r = rig_asked(7, NULL), unsampled = rig_asked(8, NULL);

	(void)state;
	trace.flags = 0;
	unsampled.trace = &trace;
	rig_begins(&r);
	sends_phases(1, 1, 1, 2);
	rig_answers(7, "done");
	rig_begins(&unsampled);
	sends_phases(2, 1, 1, 2);
	rig_answers(8, "done");
	assert_int_equal(n_spans, 0);
	/* For what it does not have (any more) either. */
	sends_phases(1, 1, 1, 2);
	sends_phases(UINT64_MAX, FRAME_PHASES_MAX, 1, 2);
	assert_int_equal(n_spans, 0);
	assert_int_equal(rig.kills, 0);
}

static void a_death_is_an_event(void **state)
{
	struct request r = rig_asked(7, NULL);

	(void)state;
	r.trace = &trace;
	rig_begins(&r);
	rig_notes(1);
	rig_ends(SIGSEGV);
	assert_int_equal(n_spans, 2);
	assert_true(told("worker_died") && told("sconce.fate"));
}

static void lies_end_it(void **state)
{
	(void)state;
	sends_phases(1, FRAME_PHASES_MAX + 1, 1, 2);
	assert_int_equal(rig.kills, 1);
	rig_ends(SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_is_recorded_is_told_of, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_not_costs_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_asks_hears_what_the_handler_took, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_death_is_an_event, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lies_end_it, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
