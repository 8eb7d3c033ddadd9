/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "core/queue.h"

static struct request requests[4];
static struct queue q;

static int set_up(void **state)
{
	(void)state;
	queue_init(&q, 2);
	for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
		requests[i] = (struct request){ .id = i + 1 };
		list_init(&requests[i].link);
	}
	return 0;
}

static void is_bounded_and_in_order(void **state)
{
	(void)state;
	assert_int_equal(queue_push(&q, &requests[0]), 0);
	assert_int_equal(queue_push(&q, &requests[1]), 0);
	assert_int_equal(queue_push(&q, &requests[2]), QUEUE_FULL);
	assert_ptr_equal(queue_first(&q), &requests[0]);
	queue_remove(&q, &requests[0]);
	assert_ptr_equal(queue_first(&q), &requests[1]);
	assert_int_equal(q.n, 1);
}

static void returned_requests_go_first_and_beyond_the_bound(void **state)
{
	(void)state;
	queue_push(&q, &requests[2]);
	queue_push(&q, &requests[3]);
	queue_return(&q, &requests[1]);
	queue_return(&q, &requests[0]);
	for (unsigned i = 0; i < 4; i++) {
		assert_ptr_equal(queue_first(&q), &requests[i]);
		queue_remove(&q, &requests[i]);
	}
	assert_null(queue_first(&q));
}

static void expires_what_is_late(void **state)
{
	(void)state;
	requests[0].deadline_ns = 100;
	requests[2].deadline_ns = 80;
	requests[3].deadline_ns = 60;
	q.max = 4;
	for (unsigned i = 0; i < 3; i++)
		queue_push(&q, &requests[i]);
	queue_return(&q, &requests[3]);
	assert_int_equal(q.expires_ns, 60);
	assert_null(queue_expire(&q, 59));
	assert_ptr_equal(queue_expire(&q, 80), &requests[3]);
	assert_ptr_equal(queue_expire(&q, 80), &requests[2]);
	assert_null(queue_expire(&q, 80));
	/* It has looked at all of them, and needs not look again before this. */
	assert_int_equal(q.expires_ns, 100);
	assert_ptr_equal(queue_expire(&q, 100), &requests[0]);
	assert_null(queue_expire(&q, 100));
	assert_true(q.expires_ns == UINT64_MAX);
	assert_int_equal(q.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_bounded_and_in_order, set_up),
		cmocka_unit_test_setup(returned_requests_go_first_and_beyond_the_bound, set_up),
		cmocka_unit_test_setup(expires_what_is_late, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
