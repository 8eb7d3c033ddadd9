/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "wire/accept.h"

static void weights_are_those_of_the_name(void **state)
{
	static const struct {
		const char *accept;
		int weight;
	} rows[] = {
		{ "", ACCEPT_UNNAMED },
		{ "*/*", ACCEPT_UNNAMED },
		{ "text/plain", ACCEPT_UNNAMED },
		{ "application/x", 1000 },
		{ "Application/X ; charset=utf-8", 1000 },
		{ "application/x;q=0.5", 500 },
		{ "application/x; Q=0.125", 125 },
		{ "application/x;q=0.0009", 0 },
		{ "application/x;q=1.5", 1000 },
		{ "application/x;q=0", 0 },
		{ "application/x;q=", ACCEPT_UNNAMED },
		{ "application/x;q=high", ACCEPT_UNNAMED },
		{ "application/x;q=0.x", ACCEPT_UNNAMED },
		{ "application/x;version=1.0.0;q=0.3", 300 },
		{ "application/x;version=\"1.0.0\"", 1000 },
		{ "application/x;version=0.0.1", ACCEPT_UNNAMED },
		{ "application/x;version=0.0.1,application/x;version=1.0.0;q=0.2", 200 },
		{ "text/plain;q=0.9, application/x;q=0.2,application/x;q=0.4", 400 },
		{ ",;,=;q,application/x", 1000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(accept_weight(slice_str(rows[i].accept), SLICE("application/x"),
					       SLICE("1.0.0")),
				 rows[i].weight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_are_those_of_the_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
