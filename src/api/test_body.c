/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "api/body.h"
#include "wire/http.h"

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

static struct budget budget;
static struct pool *pool;

static int set_up(void **state)
{
	(void)state;
	budget = (struct budget){ .limit = 8 * MIB };
	return pool_create(&pool, &budget, MIB);
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(budget.used, 0);
	pool_destroy(pool);
	return 0;
}

/* As many bytes of `n` as there is room for at once; returns how many. */
static size_t arrive(struct body *b, size_t n)
{
	size_t room;
	char *p;

	assert_int_equal(b->sink.ops->room(&b->sink, n, &p, &room), SINK_OK);
	n = n < room ? n : room;
	memset(p, 'x', n);
	b->sink.ops->filled(&b->sink, n);
	return n;
}

static void who_sends_one_byte_takes_little(void **state)
{
	static struct body bodies[1000];
	const size_t n = sizeof(bodies) / sizeof(bodies[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		body_init(&bodies[i], pool, MIB);
		assert_int_equal(bodies[i].sink.ops->begin(&bodies[i].sink, 100 * KIB), SINK_OK);
		assert_int_equal(arrive(&bodies[i], 1), 1);
	}
	assert_true(budget.used <= n * KIB);
	for (size_t i = 0; i < n; i++)
		body_finish(&bodies[i]);
}

static void most_are_read_in_few_calls(void **state)
{
	static const uint64_t lengths[] = { 60 * KIB, MIB, HTTP_LENGTH_UNKNOWN };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t left = lengths[i] == HTTP_LENGTH_UNKNOWN ? MIB : (size_t)lengths[i];
		unsigned calls = 0;
		struct body b;

		body_init(&b, pool, MIB);
		assert_int_equal(b.sink.ops->begin(&b.sink, lengths[i]), SINK_OK);
		for (; left; calls++)
			left -= arrive(&b, left);
		assert_true(calls <= 6);
		assert_true(budget.used >= b.used);
		body_finish(&b);
	}
}

/* Byte by byte: what was given back is taken again, and nothing is lost. */
static void what_trickles_in_is_whole(void **state)
{
	struct body b;

	(void)state;
	body_init(&b, pool, MIB);
	assert_int_equal(b.sink.ops->begin(&b.sink, HTTP_LENGTH_UNKNOWN), SINK_OK);
	for (size_t i = 0; i < 200 * KIB; i++)
		assert_int_equal(arrive(&b, 1), 1);
	assert_int_equal(b.used, 200 * KIB);
	for (size_t i = 0; i < b.used; i++)
		assert_int_equal(b.block.p[i], 'x');
	body_finish(&b);
}

/* To move is to copy, on the loop. Whatever others have been promised. */
static void what_is_long_moves_no_more(void **state)
{
	static const uint64_t lengths[] = { 100 * MIB, HTTP_LENGTH_UNKNOWN };
	struct block others;

	(void)state;
	budget.limit = 256 * MIB;
	assert_int_equal(pool_reserve(pool, 200 * MIB, KIB, &others), 0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t copied = 0, left = 100 * MIB;
		const char *at = NULL;
		struct body b;

		body_init(&b, pool, 200 * MIB);
		assert_int_equal(b.sink.ops->begin(&b.sink, lengths[i]), SINK_OK);
		while (left) {
			size_t before = b.used;

			left -= arrive(&b, left);
			copied += b.block.p != at ? before : 0;
			at = b.block.p;
		}
		assert_int_equal(b.used, 100 * MIB);
		for (size_t k = 0; k < b.used; k += KIB)
			assert_int_equal(b.block.p[k], 'x');
		body_finish(&b);
		assert_true(copied <= 16 * MIB);
	}
	pool_free(pool, &others);
}

/* Addresses for the longest there may be are not always to be had. */
static void what_finds_no_place_for_all_goes_on(void **state)
{
	struct body b;

	(void)state;
	budget.limit = 64 * MIB;
	body_init(&b, pool, SIZE_MAX / 4);
	assert_int_equal(b.sink.ops->begin(&b.sink, HTTP_LENGTH_UNKNOWN), SINK_OK);
	for (size_t left = 20 * MIB; left;)
		left -= arrive(&b, left);
	assert_int_equal(b.used, 20 * MIB);
	for (size_t k = 0; k < b.used; k += KIB)
		assert_int_equal(b.block.p[k], 'x');
	body_finish(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(who_sends_one_byte_takes_little),     TEST(most_are_read_in_few_calls),
		TEST(what_trickles_in_is_whole),           TEST(what_is_long_moves_no_more),
		TEST(what_finds_no_place_for_all_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
