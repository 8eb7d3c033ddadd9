/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "api/call.h"
#include "base/clock.h"

#define ROOM ((sizeof(struct call) + 4095) / 4096 * 4096)

static void begin(struct call *c, struct api *a, struct version *v, uint64_t now_ns)
{
	*c = (struct call){ .api = a, .version = v };
	list_init(&c->timed);
	c->request.deadline_ns = now_ns + v->client_timeout_ms * NS_PER_MS;
	deadline_start(c);
}

/* Thousands of another model may wait for an hour: they are not looked through for one that waits
 * for a second. */
static void test_those_with_more_time_are_not_looked_at(void **state)
{
	struct version patient = { .client_timeout_ms = 3600000 },
		       hasty = { .client_timeout_ms = 9 };
	struct call *hidden = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
	struct call first, near, next;
	struct api a = { 0 };
	uv_loop_t loop;

	(void)state;
	assert_true(hidden != MAP_FAILED);
	uv_loop_init(&loop);
	deadlines_init(&a.deadlines, &loop);
	begin(&first, &a, &patient, NS_PER_S);
	begin(hidden, &a, &patient, NS_PER_S);
	assert_int_equal(a.deadlines.at_ns, first.request.deadline_ns);
	assert_int_equal(mprotect(hidden, ROOM, PROT_NONE), 0);
	begin(&near, &a, &hasty, NS_PER_S);
	begin(&next, &a, &hasty, NS_PER_S + 1);
	assert_int_equal(a.deadlines.at_ns, near.request.deadline_ns);
	deadline_stop(&near);
	deadline_stop(&next);
	deadline_stop(&next);
	assert_int_equal(mprotect(hidden, ROOM, PROT_READ | PROT_WRITE), 0);
	deadline_stop(&first);
	deadline_stop(hidden);
	deadlines_finish(&a.deadlines);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	munmap(hidden, ROOM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_those_with_more_time_are_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
