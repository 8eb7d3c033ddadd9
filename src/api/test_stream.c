/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/stream.h"

static void touched(struct exchange *x)
{
	(void)x;
}

static const struct carrier carrier = { .touched = touched };

/* What a slow client keeps waiting is counted as what it takes, however small its pieces are. */
static void test_small_pieces_count_as_the_memory_they_take(void **state)
{
	enum { PIECES = 1000 };
	struct reply token = { .status = 200, .body = SLICE("x") };
	struct budget budget = { .limit = PIECES * sizeof(struct piece) };
	struct api api = { .budget = &budget };
	struct exchange x = { .carrier = &carrier };
	struct call c = { .api = &api, .x = &x, .streaming = true };
	unsigned n = 0;

	(void)state;
	region_init(&x.region);
	x.head.method = SLICE("POST");
	exchange_begin(&x, &(struct answer){ .status = 200 });
	while (!c.abandoned && n <= PIECES) {
		stream_send(&c, &token);
		n++;
	}
	assert_true(n > 1 && n < PIECES && x.out.aborted);
	exchange_drop_pieces(&x);
	assert_int_equal(budget.used, 0);
	region_finish(&x.region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_pieces_count_as_the_memory_they_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
