/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include "api/dialect.h"
#include "api/call.h"

static void touched(struct exchange *x)
{
	(void)x;
}

static const struct carrier carrier = { .touched = touched };

/* Longer than an int can say, and nothing of it is read that is not told. */
static void test_a_very_long_message_of_a_worker_is_cut(void **state)
{
	size_t room = 2 * CALL_MESSAGE_MAX;
	char *text = mmap(NULL, 2 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct reply reply = { .status = 500, .final = true, .error = true };
	struct budget budget = { .limit = 1 << 20 };
	struct api api = { .budget = &budget };
	struct api_door door = { .api = &api };
	struct exchange x = { .carrier = &carrier };
	struct call c = { .api = &api, .door = &door, .x = &x };

	(void)state;
	assert_true(text != MAP_FAILED);
	assert_int_equal(mprotect(text, room, PROT_READ | PROT_WRITE), 0);
	memset(text, 'x', room);
	reply.body = slice_make(text, (size_t)3 << 30);
	region_init(&x.region);
	region_init(&c.region);
	x.head.method = SLICE("POST");
	dialect_predictions.reply(&c, &reply);
	assert_int_equal(x.status, 500);
	assert_in_range(x.out.length, CALL_MESSAGE_MAX, CALL_MESSAGE_MAX + 200);
	exchange_drop_pieces(&x);
	region_finish(&c.region);
	region_finish(&x.region);
	munmap(text, 2 * room);
	assert_int_equal(budget.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_very_long_message_of_a_worker_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
