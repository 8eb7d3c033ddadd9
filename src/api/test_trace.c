/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "api/call.h"
#include "api/route.h"
#include "api/trace.h"
#include "trace/tracer.h"

static const char *peer(const struct exchange *x)
{
	(void)x;
	return "/127.0.0.1:4711";
}

static const struct carrier carrier = { .peer = peer };
static bool named;

static void put(void *sink, struct slice span)
{
	static const struct slice name = SLICE_CONST("POST /predictions/{model}");

	(void)sink;
	named = memmem(span.p, span.n, name.p, name.n);
}

static void run(struct call *c)
{
	(void)c;
}

/* A client may leave while a thread reads its form, into the call's region. */
static void test_the_end_of_a_trace_takes_no_memory_of_the_call(void **state)
{
	const struct route route = { .path = "predictions/{model}", .run = run };
	struct tracer tracer = { .put = put };
	struct fleet fleet = { .tracer = &tracer };
	struct api api = { .fleet = &fleet };
	struct exchange x = { .carrier = &carrier };
	struct call c = { .api = &api, .x = &x, .route = &route, .model = SLICE("m") };

	(void)state;
	region_init(&x.region);
	region_init(&c.region);
	x.head.method = SLICE("POST");
	x.head.path = SLICE("/predictions/m");
	trace_end(&c, EXCHANGE_GONE);
	assert_true(named);
	assert_int_equal(c.region.used, 0);
	region_finish(&c.region);
	region_finish(&x.region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_end_of_a_trace_takes_no_memory_of_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
