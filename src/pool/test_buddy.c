/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "pool/buddy.h"

static void gives_rounded_blocks_and_takes_them_back(void **state)
{
	struct buddy b;
	size_t offset, size;

	(void)state;
	buddy_init(&b, 1 << 20, 1024);
	assert_true(buddy_alloc(&b, 600, &offset, &size));
	assert_int_equal(offset, 0);
	assert_int_equal(size, 1024);
	assert_true(buddy_alloc(&b, 3000, &offset, &size));
	assert_int_equal(size, 4096);
	assert_int_equal(offset % 4096, 0);
	assert_int_equal(b.used, 5120);
	buddy_free(&b, 0);
	buddy_free(&b, offset);
	assert_true(buddy_alloc(&b, 1 << 20, &offset, &size));
	assert_false(buddy_alloc(&b, 1, &offset, &size));
	assert_int_equal(buddy_round(&b, (1 << 20) + 1), 0);
	buddy_finish(&b);
}

static void the_last_freed_comes_first(void **state)
{
	struct buddy b;
	size_t a, c, d, size;

	(void)state;
	buddy_init(&b, 1 << 20, 1024);
	buddy_alloc(&b, 1024, &a, &size);
	buddy_alloc(&b, 1024, &c, &size);
	buddy_alloc(&b, 1024, &d, &size);
	buddy_free(&b, a);
	buddy_alloc(&b, 1024, &d, &size);
	assert_int_equal(d, a);
	buddy_finish(&b);
}

/* Random traffic: blocks never overlap, and in the end everything is one block again. */
static void survives_random_traffic(void **state)
{
	enum { BLOCKS = 200 };
	size_t offsets[BLOCKS], sizes[BLOCKS] = { 0 };
	static uint8_t owner[1024];
	uint32_t seed = 12345;
	struct buddy b;

	(void)state;
	buddy_init(&b, 1 << 20, 1024);
	for (int step = 0; step < 20000; step++) {
		unsigned i;

		seed = seed * 1664525 + 1013904223;
		i = (seed >> 8) % BLOCKS;
		if (sizes[i]) {
			for (size_t k = 0; k < sizes[i] / 1024; k++)
				owner[offsets[i] / 1024 + k] = 0;
			assert_int_equal(buddy_free(&b, offsets[i]), sizes[i]);
			sizes[i] = 0;
		} else if (buddy_alloc(&b, 1 + (seed >> 16) % 30000, &offsets[i], &sizes[i])) {
			for (size_t k = 0; k < sizes[i] / 1024; k++) {
				assert_int_equal(owner[offsets[i] / 1024 + k], 0);
				owner[offsets[i] / 1024 + k] = 1;
			}
		} else {
			sizes[i] = 0;
		}
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		if (sizes[i])
			buddy_free(&b, offsets[i]);
	assert_int_equal(b.used, 0);
	assert_true(buddy_alloc(&b, 1 << 20, &offsets[0], &sizes[0]));
	buddy_finish(&b);
}

static void count_bytes(void *arg, size_t offset, size_t n)
{
	(void)offset;
	*(size_t *)arg += n;
}

static void trims_what_was_idle_for_a_round(void **state)
{
	size_t offset, size, punched = 0;
	struct buddy b;

	(void)state;
	buddy_init(&b, 1 << 20, 1024);
	assert_int_equal(buddy_trim(&b, SIZE_MAX, count_bytes, &punched), 0);
	buddy_alloc(&b, 1 << 20, &offset, &size);
	buddy_free(&b, offset);
	assert_int_equal(buddy_trim(&b, SIZE_MAX, count_bytes, &punched), 0);
	assert_int_equal(buddy_trim(&b, SIZE_MAX, count_bytes, &punched), 1 << 20);
	assert_int_equal(punched, 1 << 20);
	assert_int_equal(buddy_trim(&b, SIZE_MAX, count_bytes, &punched), 0);
	buddy_finish(&b);
}

/* A large area after a burst, in which a little is always in use. */
static void trims_what_is_idle_beside_what_is_not(void **state)
{
	size_t offset, size, small, got, punched = 0;
	struct buddy b;

	(void)state;
	buddy_init(&b, 1 << 20, 1024);
	buddy_alloc(&b, 1 << 20, &offset, &size);
	buddy_free(&b, offset);
	for (unsigned i = 0; i < 20; i++) {
		buddy_alloc(&b, 4096, &small, &got);
		buddy_trim(&b, 100000, count_bytes, &punched);
		buddy_free(&b, small);
		assert_true(punched <= (i + 1) * 100000);
	}
	assert_int_equal(punched, (1 << 20) - 4096);
	assert_int_equal(b.used, 0);
	buddy_finish(&b);
}

static void knows_what_is_idle_and_sheds_it_at_once(void **state)
{
	size_t a, b, size, punched = 0;
	struct buddy all;

	(void)state;
	buddy_init(&all, 1 << 20, 1024);
	assert_int_equal(all.idle, 0);
	buddy_alloc(&all, 65536, &a, &size);
	buddy_alloc(&all, 65536, &b, &size);
	assert_int_equal(all.idle, 0);
	buddy_free(&all, a);
	assert_int_equal(all.idle, 65536);
	buddy_alloc(&all, 16384, &a, &size);
	assert_int_equal(all.idle, 65536 - 16384);
	buddy_free(&all, a);
	buddy_free(&all, b);
	assert_int_equal(all.idle, 2 * 65536);
	assert_int_equal(buddy_shed(&all, 70000, count_bytes, &punched), 70000 / 1024 * 1024);
	assert_int_equal(all.idle, 2 * 65536 - punched);
	buddy_trim(&all, SIZE_MAX, count_bytes, &punched);
	buddy_trim(&all, SIZE_MAX, count_bytes, &punched);
	assert_int_equal(punched, 2 * 65536);
	assert_int_equal(all.idle, 0);
	assert_int_equal(buddy_shed(&all, SIZE_MAX, count_bytes, &punched), 0);
	buddy_finish(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_rounded_blocks_and_takes_them_back),
		cmocka_unit_test(the_last_freed_comes_first),
		cmocka_unit_test(survives_random_traffic),
		cmocka_unit_test(trims_what_was_idle_for_a_round),
		cmocka_unit_test(trims_what_is_idle_beside_what_is_not),
		cmocka_unit_test(knows_what_is_idle_and_sheds_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
