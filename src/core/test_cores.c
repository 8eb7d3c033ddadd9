/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "core/cores.h"

static void models_share_the_cores(void **state)
{
	static const struct {
		unsigned cores, models, threads; /* that one does best with */
		unsigned workers, each;          /* of a model, and what each of all workers gets */
	} rows[] = {
		{ 2, 1, 1, 2, 1 },  { 2, 1, 2, 1, 2 },  { 2, 2, 1, 1, 1 },    { 2, 2, 2, 1, 1 },
		{ 1, 1, 1, 1, 1 },  { 1, 3, 2, 1, 1 },  { 8, 1, 3, 2, 4 },    { 8, 2, 1, 4, 1 },
		{ 16, 2, 4, 2, 4 }, { 16, 3, 4, 1, 5 }, { 64, 1, 16, 4, 16 }, { 4, 1, 64, 1, 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned workers = cores_workers(rows[i].cores, rows[i].models, rows[i].threads);

		assert_int_equal(workers, rows[i].workers);
		assert_int_equal(cores_threads(rows[i].cores, workers * rows[i].models),
				 rows[i].each);
		/* Nobody fights, unless there are more models than cores. */
		assert_true(rows[i].models > rows[i].cores ||
			    workers * rows[i].models * rows[i].each <= rows[i].cores);
	}
	assert_int_equal(cores_workers(0, 0, 0), 1);
	assert_int_equal(cores_threads(0, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_share_the_cores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
