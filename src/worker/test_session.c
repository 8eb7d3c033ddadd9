/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "worker/front_rig.h"
#include "worker/session.h"

#define HOSTILE "\"file\":\"good.hostile\""
#define ECHO "\"file\":\"any.echo\""
#define MODEL_FAILED "The model failed: "
#define RAW "application/octet-stream"

static char text[FRAME_INLINE_MAX + 1];

static void loads(const char *engine)
{
	front_lends();
	front_loads(engine);
	front_hears_loaded(200);
}

static void answered(uint64_t id, unsigned status, const char *body)
{
	struct frame_reply r = front_hears_reply(text);

	assert_int_equal(r.id, id);
	assert_string_equal(text, body);
	assert_int_equal(r.status, status);
	assert_int_equal(r.flags & FRAME_REPLY_ERROR ? 1 : 0, status != 200);
}

/* ---- answering ---- */

static void a_request_is_answered_and_noted(void **state)
{
	uint64_t id;

	(void)state;
	loads(HOSTILE);
	id = front_asks("good");
	answered(id, 200, "[[1]]");
	assert_int_equal(*(uint64_t *)(void *)front.outbound, 1);
	answered(front_asks("good"), 200, "[[1]]");
	assert_int_equal(*(uint64_t *)(void *)front.outbound, 2);
}

static void a_batch_is_one_run(void **state)
{
	uint64_t ids[3];

	(void)state;
	loads(HOSTILE);
	front_begins();
	for (unsigned i = 0; i < 3; i++)
		ids[i] = front_adds(!i, SLICE("good    "), "", (struct span){ 0 });
	front_runs();
	for (unsigned i = 0; i < 3; i++)
		answered(ids[i], 200, "[[3]]");
}

static void who_does_not_fit_spoils_nothing_for_others(void **state)
{
	uint64_t ids[4];

	(void)state;
	loads(HOSTILE);
	front_begins();
	ids[0] = front_adds(true, SLICE("good    "), "", (struct span){ 0 });
	ids[1] = front_adds(false, SLICE("short"), "", (struct span){ 0 });
	ids[2] = front_adds(false, SLICE("good    good    "), "", (struct span){ 0 });
	ids[3] = front_adds(true, SLICE("good    "), "", (struct span){ 0 });
	front_runs();
	answered(ids[1], 400, "input \"word\" came as 5 bytes, which are no UINT8 of shape [0, 8]");
	answered(ids[0], 200, "[[3]]");
	answered(ids[2], 200, "[[3], [3]]");
	answered(ids[3], 200, "[[1]]");
}

static void engines_that_fail(void **state)
{
	static const struct {
		const char *word;
		unsigned status;
		const char *body;
	} cases[] = {
		{ "error", 500, MODEL_FAILED "it was told to fail" },
		{ "refuse", 400, "it was told to refuse" },
		{ "full", 507, "it was told to be out of memory" },
		{ "nothing", 500, NULL },
		{ "shape", 500, NULL },
		{ "dtype", 500, NULL },
		{ "ndim", 500, NULL },
	};

	(void)state;
	loads(HOSTILE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		answered(front_asks(cases[i].word), cases[i].status,
			 cases[i].body ? cases[i].body
				       : MODEL_FAILED "the engine's output \"rows\" has another "
						      "size than its shape says");
	front_asks("babble");
	assert_int_equal(front_hears_reply(text).status, 500);
	assert_int_equal(strlen(text), strlen(MODEL_FAILED) + SCONCE_ERROR_MAX - 1);
	answered(front_asks("good"), 200, "[[1]]");
}

/* ---- large answers ---- */

static uint64_t asks_for_bytes(size_t n, struct span grant)
{
	_cleanup_(freep) char *bytes = mem_alloc(n);
	uint64_t id;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 7);
	front_begins();
	id = front_adds(true, slice_make(bytes, n), RAW, grant);
	front_runs();
	return id;
}

static void lies_in(struct frame_reply r, uint64_t id, size_t offset, size_t n)
{
	assert_int_equal(r.id, id);
	assert_int_equal(r.status, 200);
	assert_int_equal(r.flags, FRAME_REPLY_FINAL | FRAME_REPLY_GRANTED);
	assert_int_equal(r.offset, offset);
	assert_int_equal(r.length, n);
	for (size_t i = 0; i < n; i++)
		if (front.outbound[offset + i] != (char)(i * 7))
			fail_msg("byte %zu is another", i);
}

static void large_answers_go_where_they_may(void **state)
{
	uint64_t id;

	(void)state;
	loads(ECHO);
	id = asks_for_bytes(10000, (struct span){ .offset = 4096, .length = 10000 });
	lies_in(front_hears_reply(text), id, 4096, 10000);
	id = asks_for_bytes(10000, (struct span){ .offset = 65536, .length = 10064 });
	lies_in(front_hears_reply(text), id, 65536, 10000);
}

static void memory_is_asked_for(void **state)
{
	struct frame f;
	uint64_t id, wanted;

	(void)state;
	loads(ECHO);
	id = asks_for_bytes(10000, (struct span){ .offset = 4096, .length = 9999 });
	f = front_hears(FRAME_NEED);
	assert_int_equal(f.arg, id);
	assert_int_equal(frame_u64(&f.body, &wanted), 0);
	assert_int_equal(wanted, 10000);
	front_sends_u64s(FRAME_GRANT, id, (const uint64_t[]){ 65536, 16384 }, 2);
	lies_in(front_hears_reply(text), id, 65536, 10000);
	/* There is none. */
	id = asks_for_bytes(10000, (struct span){ 0 });
	front_hears(FRAME_NEED);
	front_sends_u64s(FRAME_GRANT, id, (const uint64_t[]){ 0, 0 }, 2);
	answered(id, 507, "There is no memory for a response of 10000 bytes now.");
	/* Nobody wants it any more. */
	id = asks_for_bytes(10000, (struct span){ 0 });
	front_hears(FRAME_NEED);
	front_sends(FRAME_CANCEL, id, SLICE(""));
	answered(id, 499, "The client has left.");
	/* It is beyond what is allowed. */
	id = asks_for_bytes(500001, (struct span){ 0 });
	answered(id, 507, "The response has 500001 bytes, max_response_size allows 500000.");
}

static void small_answers_say_what_they_are(void **state)
{
	struct slice name, value, headers;
	struct frame_reply r;

	(void)state;
	loads(ECHO);
	asks_for_bytes(3, (struct span){ 0 });
	r = front_hears_reply(text);
	assert_int_equal(r.length, 3);
	assert_true(slice_eq(r.type, SLICE(RAW)));
	headers = r.headers;
	assert_int_equal(frame_header_next(&headers, &name, &value), 1);
	assert_true(slice_eq(name, SLICE("x-tensor-dtype")) && slice_eq(value, SLICE("UINT8")));
	assert_int_equal(frame_header_next(&headers, &name, &value), 1);
	assert_true(slice_eq(name, SLICE("x-tensor-shape")) && slice_eq(value, SLICE("3")));
}

/* ---- those who leave ---- */

static void a_run_that_nobody_waits_for_is_cancelled(void **state)
{
	uint64_t waits, follows;

	(void)state;
	loads(HOSTILE);
	/* The one instance runs: somebody else has to hear. */
	waits = front_asks("wait");
	follows = front_asks("good");
	front_sends(FRAME_CANCEL, waits, SLICE(""));
	answered(waits, 499, "The client has left.");
	answered(follows, 200, "[[1]]");
}

static void a_batch_runs_on_for_one_who_stays(void **state)
{
	uint64_t ids[2];

	(void)state;
	loads(HOSTILE);
	front_begins();
	ids[0] = front_adds(true, SLICE("wait    "), "", (struct span){ 0 });
	ids[1] = front_adds(false, SLICE("wait    "), "", (struct span){ 0 });
	front_runs();
	front_sends(FRAME_CANCEL, ids[1], SLICE(""));
	front_sends(FRAME_CANCEL, 12345, SLICE(""));
	front_sends(FRAME_CANCEL, ids[1], SLICE(""));
	front_sends(FRAME_CANCEL, ids[0], SLICE(""));
	answered(ids[0], 499, "The client has left.");
	answered(ids[1], 499, "The client has left.");
}

static void who_has_left_is_not_run(void **state)
{
	uint64_t waits, left;

	(void)state;
	loads(HOSTILE);
	waits = front_asks("wait");
	left = front_asks("error");
	front_sends(FRAME_CANCEL, left, SLICE(""));
	front_sends(FRAME_CANCEL, waits, SLICE(""));
	answered(waits, 499, "The client has left.");
	answered(left, 499, "The client has left.");
}

/* ---- instances ---- */

static void tune(unsigned threads, uint64_t instances, const char *words)
{
	struct slice said;

	front_sends_u64s(FRAME_TUNE, threads, &instances, 1);
	said = front_hears_loaded(200);
	if (!front_says(said, words))
		fail_msg("%.*s does not say %s", SLICE_ARG(said), words);
}

static void instances_run_beside_each_other(void **state)
{
	uint64_t waits[2];

	(void)state;
	loads(HOSTILE ",\"instances\":3");
	waits[0] = front_asks("wait");
	waits[1] = front_asks("wait");
	answered(front_asks("good"), 200, "[[1]]");
	for (unsigned i = 0; i < 2; i++) {
		front_sends(FRAME_CANCEL, waits[i], SLICE(""));
		answered(waits[i], 499, "The client has left.");
	}
}

static void there_are_as_many_instances_as_is_said(void **state)
{
	uint64_t waits;
	struct frame f;

	(void)state;
	loads(HOSTILE);
	tune(4, 4, "\"credits\":4,\"async\":true");
	tune(4, 1, "\"credits\":1,\"async\":false");
	tune(4, 3, "\"credits\":3");
	/* Six are the most, which it does not know yet. */
	tune(4, 9, "\"credits\":6");
	answered(front_asks("good"), 200, "[[1]]");
	/* One that runs ends when it is done. */
	waits = front_asks("wait");
	answered(front_asks("good"), 200, "[[1]]");
	front_sends_u64s(FRAME_TUNE, 4, (const uint64_t[]){ 1 }, 1);
	front_sends(FRAME_CANCEL, waits, SLICE(""));
	for (unsigned n = 0; n < 2; n++) {
		f = front_hears(0);
		if (f.type == FRAME_LOADED)
			assert_true(front_says(f.body, "\"credits\":1"));
		else
			assert_int_equal(f.type, FRAME_CHUNK);
	}
	answered(front_asks("good"), 200, "[[1]]");
}

static void an_instance_that_fails_to_warm_up_is_not_used(void **state)
{
	(void)state;
	loads("\"file\":\"good.cold\"");
	tune(4, 3, "\"credits\":1,");
	answered(front_asks("good"), 200, "[[1]]");
}

static void the_last_word_counts(void **state)
{
	(void)state;
	loads(HOSTILE ",\"instances\":4");
	for (uint64_t round = 0; round < 50; round++)
		front_sends_u64s(FRAME_TUNE, 4, (const uint64_t[]){ 1 + round % 5 }, 1);
	front_sends_u64s(FRAME_TUNE, 4, (const uint64_t[]){ 6 }, 1);
	while (!front_says(front_hears_loaded(200), "\"credits\":6,"))
		;
	for (unsigned i = 0; i < 10; i++)
		answered(front_asks("good"), 200, "[[1]]");
}

static void what_was_received_is_answered_before_the_end(void **state)
{
	(void)state;
	loads(HOSTILE ",\"instances\":2");
	front_begins();
	for (unsigned i = 0; i < 100; i++)
		front_adds(true, SLICE("good    "), "", (struct span){ 0 });
	front_runs();
	front_sends(FRAME_STOP, 0, SLICE(""));
	for (unsigned i = 0; i < 100; i++) {
		front_hears_reply(text);
		assert_string_equal(text, "[[1]]");
	}
	assert_int_equal(front_joins(), 0);
}

static void it_may_be_stopped_before_it_has_loaded(void **state)
{
	(void)state;
	front_sends(FRAME_STOP, 0, SLICE(""));
	assert_int_equal(front_joins(), 0);
}

static void segments_come_and_go(void **state)
{
	(void)state;
	loads(HOSTILE);
	answered(front_asks("good"), 200, "[[1]]");
	front_sends_u64s(FRAME_SEGMENT, 1, (const uint64_t[]){ 0 }, 1);
	munmap(front.inbound, FRONT_MEMORY);
	front_lends();
	answered(front_asks("good"), 200, "[[1]]");
}

/* ---- a front that is none ---- */

/* In a process of its own, which it ends: with what code? */
static int ends_with(struct slice packet)
{
	int ends[2], status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(session_main(ends[1]) ? 3 : 4);
	}
	close(ends[1]);
	if (packet.n)
		assert_int_equal(send(ends[0], packet.p, packet.n, 0), packet.n);
	else
		close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (packet.n)
		close(ends[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int ends_with_frame(enum frame_type type, size_t n)
{
	char packet[64] = { 0 };
	struct frame_writer fw;

	frame_begin(&fw, packet, sizeof(packet), type, 1);
	frame_put_bytes(&fw, slice_make("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", n));
	return ends_with(frame_end(&fw));
}

/* The process of the engine ends: with what code, and what last word? */
static int ends_by_asking(const char *word, char said[256])
{
	int ends[2], status;
	ssize_t n, sum = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		front_set_up(NULL);
		loads(HOSTILE);
		front_cleans();
		front_begins();
		front_adds(true, slice_str(word), RAW,
			   (struct span){ .offset = 8192, .length = 1024 });
		front_runs();
		front_hears(FRAME_CHUNK);
		_exit(9);
	}
	close(ends[1]);
	while (sum < 255 && (n = read(ends[0], said + sum, (size_t)(255 - sum))) > 0)
		sum += n;
	said[sum] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void writing_beyond_what_was_offered_ends_it(void **state)
{
	static const char words[] =
		"The worker ends: the engine hostile wrote beyond the 960 bytes that it was "
		"offered";
	char said[256];

	(void)state;
	assert_int_equal(ends_by_asking("spill   ", said), 1);
	assert_non_null(strstr(said, words));
	assert_int_equal(ends_by_asking("boast   ", said), 1);
	assert_non_null(strstr(said, words));
}

static void what_is_no_protocol_ends_it(void **state)
{
	(void)state;
	assert_int_equal(ends_with(SLICE("x")), 1);
	assert_int_equal(ends_with_frame(FRAME_RUN, 0), 1);
	assert_int_equal(ends_with_frame(FRAME_RUN, 16), 1);
	assert_int_equal(ends_with_frame(FRAME_GRANT, 8), 1);
	assert_int_equal(ends_with_frame(FRAME_SEGMENT, 0), 1);
	assert_int_equal(ends_with_frame(FRAME_LOAD, 0), 1);
	/* Without a front there is nothing to do. */
	assert_int_equal(ends_with(SLICE("")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_protocol_ends_it),
		cmocka_unit_test(writing_beyond_what_was_offered_ends_it),
		FRONT_TEST(a_request_is_answered_and_noted),
		FRONT_TEST(a_batch_is_one_run),
		FRONT_TEST(who_does_not_fit_spoils_nothing_for_others),
		FRONT_TEST(engines_that_fail),
		FRONT_TEST(large_answers_go_where_they_may),
		FRONT_TEST(memory_is_asked_for),
		FRONT_TEST(small_answers_say_what_they_are),
		FRONT_TEST(a_run_that_nobody_waits_for_is_cancelled),
		FRONT_TEST(a_batch_runs_on_for_one_who_stays),
		FRONT_TEST(who_has_left_is_not_run),
		FRONT_TEST(instances_run_beside_each_other),
		FRONT_TEST(there_are_as_many_instances_as_is_said),
		FRONT_TEST(an_instance_that_fails_to_warm_up_is_not_used),
		FRONT_TEST(the_last_word_counts),
		FRONT_TEST(what_was_received_is_answered_before_the_end),
		FRONT_TEST(it_may_be_stopped_before_it_has_loaded),
		FRONT_TEST(segments_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
