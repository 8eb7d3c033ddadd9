/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/util.h"
#include "pool/outbound.h"
#include "pool/pool.h"

#define MIB ((size_t)1 << 20)

static size_t unmapped, unmapped_most; /* bytes; by one call */

int __real_munmap(void *p, size_t n);
int __wrap_munmap(void *p, size_t n);

int __wrap_munmap(void *p, size_t n)
{
	unmapped += n;
	unmapped_most = MAX(unmapped_most, n);
	return __real_munmap(p, n);
}

static void blocks_are_seen_through_the_read_only_descriptor(void **state)
{
	struct budget budget = { .limit = 8 * MIB };
	struct pool *p;
	struct block b;
	size_t size;
	char *view, path[64];
	int fd, again;

	(void)state;
	assert_int_equal(pool_create(&p, &budget, MIB), 0);
	assert_int_equal(pool_alloc(p, 5000, &b), 0);
	assert_int_equal(b.size, 8192);
	memcpy(b.p, "hello", 5);
	assert_true(pool_segment(p, block_segment_id(&b), &fd, &size));
	assert_int_equal(size, MIB);
	view = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(view != MAP_FAILED);
	assert_memory_equal(view + b.offset, "hello", 5);
	assert_true(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_int_equal(ftruncate(fd, 0), -1);
	munmap(view, size);
	/* Nor when it is opened anew. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_true(again < 0 || pwrite(again, "X", 1, (off_t)b.offset) < 0);
	assert_true(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
	assert_memory_equal(b.p, "hello", 5);
	close(again);
	pool_free(p, &b);
	assert_int_equal(budget.used, 0);
	pool_destroy(p);
}

/* Ten clients that announce all there is, and send next to nothing. */
static void promises_cost_nothing(void **state)
{
	struct budget budget = { .limit = 8 * MIB };
	struct block promised[10], whole;
	struct pool_stats stats;
	struct pool *p;

	(void)state;
	assert_int_equal(pool_create(&p, &budget, MIB), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(pool_reserve(p, 4 * MIB, 65536, &promised[i]), 0);
	assert_int_equal(budget.used, 10 * 65536);
	pool_stats(p, &stats);
	assert_true(stats.reserved_bytes <= budget.limit);
	assert_int_equal(promised[0].size, 4 * MIB);
	assert_int_equal(promised[9].size, 65536); /* enough was promised: this one has to grow */
	assert_int_equal(pool_alloc(p, 6 * MIB, &whole), 0);
	assert_int_equal(pool_charge(p, &promised[0], 4 * MIB), POOL_FULL);
	assert_int_equal(pool_charge(p, &promised[0], MIB), 0);
	assert_int_equal(promised[0].charged, MIB);
	assert_int_equal(pool_grow(p, &promised[9], 65536, 131072), 0);
	for (unsigned i = 0; i < 10; i++)
		pool_free(p, &promised[i]);
	pool_free(p, &whole);
	pool_stats(p, &stats);
	assert_int_equal(budget.used + stats.used_bytes + stats.reserved_bytes, 0);
	pool_destroy(p);
}

static void the_budget_refuses(void **state)
{
	struct budget budget = { .limit = 64 * 1024 };
	struct block a, b;
	struct pool *p;

	(void)state;
	assert_int_equal(pool_create(&p, &budget, MIB), 0);
	assert_int_equal(pool_alloc(p, 40000, &a), 0);
	assert_int_equal(pool_alloc(p, 1024, &b), POOL_FULL);
	assert_null(b.segment);
	pool_free(p, &a);
	assert_int_equal(pool_alloc(p, 1024, &b), 0);
	pool_free(p, &b);
	assert_int_equal(budget.refused_total, 1);
	pool_destroy(p);
}

static uint32_t gone_id;

static void gone(void *arg, uint32_t id)
{
	(void)arg;
	gone_id = id;
}

static void large_blocks_have_a_segment_of_their_own(void **state)
{
	struct budget budget = { .limit = 64 * MIB };
	struct block b;
	struct pool *p;
	uint32_t id;
	size_t size;
	int fd;

	(void)state;
	assert_int_equal(pool_create(&p, &budget, MIB), 0);
	pool_on_segment_gone(p, gone, NULL);
	assert_int_equal(pool_alloc(p, 3 * MIB + 1, &b), 0);
	id = block_segment_id(&b);
	assert_true(pool_segment(p, id, &fd, &size));
	assert_int_equal(size, 3 * MIB + 4096);
	pool_free(p, &b);
	assert_int_equal(gone_id, id);
	assert_false(pool_segment(p, id, &fd, &size));
	pool_destroy(p);
}

static void growing_keeps_the_bytes(void **state)
{
	struct budget budget = { .limit = 64 * MIB };
	struct block b;
	struct pool *p;

	(void)state;
	assert_int_equal(pool_create(&p, &budget, MIB), 0);
	assert_int_equal(pool_alloc(p, 10, &b), 0);
	memcpy(b.p, "0123456789", 10);
	assert_int_equal(pool_grow(p, &b, 10, 5 * MIB), 0);
	assert_memory_equal(b.p, "0123456789", 10);
	assert_true(b.size >= 5 * MIB);
	pool_free(p, &b);
	assert_int_equal(budget.used, 0);
	pool_destroy(p);
}

static void idle_segments_go_back(void **state)
{
	struct budget budget = { .limit = 64 * MIB };
	struct pool_stats stats;
	struct block b[5];
	struct pool *p;

	(void)state;
	assert_int_equal(pool_create(&p, &budget, MIB), 0);
	for (unsigned i = 0; i < ARRAY_LEN(b); i++)
		assert_int_equal(pool_alloc(p, MIB / 2, &b[i]), 0);
	for (unsigned i = 0; i < ARRAY_LEN(b); i++)
		pool_free(p, &b[i]);
	for (unsigned i = 0; i < 20; i++)
		pool_trim(p, UINT64_MAX);
	pool_stats(p, &stats);
	assert_int_equal(stats.segments, 1);
	assert_int_equal(stats.trimmed_bytes_total, 2 * MIB);
	pool_destroy(p);
}

static void close_outbound(struct outbound *o)
{
	struct memfd memory = outbound_release(o);

	memfd_close(&memory);
}

static void grants_stay_inside_and_off_the_status_page(void **state)
{
	struct budget budget = { .limit = 64 * MIB };
	struct span a, b;
	struct outbound *o;

	(void)state;
	assert_int_equal(outbound_create(&o, &budget, MIB), 0);
	assert_int_equal(outbound_grant(o, 10000, &a), 0);
	assert_int_equal(outbound_grant(o, 10000, &b), 0);
	assert_true(a.offset >= 4096 && a.length >= 10000);
	assert_non_null(outbound_view(o, a, a.offset, a.length));
	assert_non_null(outbound_view(o, a, a.offset + 1, a.length - 1));
	assert_null(outbound_view(o, a, a.offset + 1, a.length));
	assert_null(outbound_view(o, a, b.offset, 1));
	assert_null(outbound_view(o, a, 0, 8));
	assert_null(outbound_view(o, a, UINT64_MAX, 2));
	assert_null(outbound_view(o, a, a.offset, UINT64_MAX));
	assert_null(outbound_view(o, (struct span){ 0 }, 0, 0));
	assert_int_equal(outbound_grant(o, 2 * MIB, &b), OUTBOUND_FULL);
	outbound_revoke(o, a);
	close_outbound(o);
	assert_int_equal(budget.used, 0);
}

/* Replies that slow clients still read take as much of it as the budget allows. */
static void leases_are_bounded_by_the_budget_only(void **state)
{
	struct budget budget = { .limit = 512 * MIB };
	struct span held[60], one;
	struct outbound *o;

	(void)state;
	assert_int_equal(outbound_create(&o, &budget, 1024 * MIB), 0);
	for (unsigned i = 0; i < ARRAY_LEN(held); i++)
		assert_int_equal(outbound_grant(o, 6553500, &held[i]), 0);
	assert_int_equal(outbound_grant(o, 9000, &one), 0);
	assert_int_equal(one.length, 16384);
	outbound_revoke(o, one);
	for (unsigned i = 0; i < ARRAY_LEN(held); i++)
		outbound_revoke(o, held[i]);
	assert_int_equal(budget.used, 0);
	close_outbound(o);
}

/* Whoever has it: a worker more is no reason for more of it. */
static void idle_memory_of_all_is_bounded(void **state)
{
	struct budget budget = { .limit = 64 * MIB };
	struct outbound *all[4];
	struct span grant;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(outbound_create(&all[i], &budget, 64 * MIB), 0);
		assert_int_equal(outbound_grant(all[i], 8 * MIB, &grant), 0);
		assert_int_equal(budget.idle, i * 8 * MIB);
		outbound_revoke(all[i], grant);
		assert_int_equal(budget.idle, (i + 1) * 8 * MIB);
	}
	assert_int_equal(outbound_shed(all[0], MIB), MIB);
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		outbound_shed(all[i], UINT64_MAX);
	assert_int_equal(budget.idle, budget_idle_max(&budget));
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		close_outbound(all[i]);
	assert_int_equal(budget.idle, 0);
}

static void hand_over(void *arg, struct memfd memory, int read_only)
{
	struct memfd *got = arg;

	assert_int_equal(got->size, 0);
	assert_true(read_only >= 0);
	close(read_only);
	*got = memory;
}

static void memory_can_be_closed_by_somebody_else(void **state)
{
	struct budget budget = { .limit = 64 << 20 };
	struct memfd got = { .fd = -1 };
	struct block b = BLOCK_NONE;
	struct pool *p;

	(void)state;
	assert_int_equal(pool_create(&p, &budget, 1 << 20), 0);
	pool_on_segment_close(p, hand_over, &got);
	assert_int_equal(pool_alloc(p, 8 << 20, &b), 0);
	memset(b.p, 'x', 8 << 20);
	pool_free(p, &b);
	assert_true(got.size >= 8 << 20);
	assert_int_equal(got.p[(8 << 20) - 1], 'x'); /* still whole */
	memfd_close(&got);
	pool_on_segment_close(p, NULL, NULL);
	pool_destroy(p);
	assert_int_equal(budget.used, 0);
}

/* Who maps memory meanwhile waits for the call that unmaps, whatever thread it is on. */
static void long_memory_is_unmapped_in_pieces(void **state)
{
	const size_t size = 50 * MIB + 4096;
	struct memfd m;
	char *p;

	(void)state;
	assert_int_equal(memfd_open(&m, "test", size, MEMFD_SHARED), 0);
	memset(m.p, 'x', size);
	p = m.p;
	unmapped = unmapped_most = 0;
	memfd_close(&m);
	assert_int_equal(unmapped, size);
	assert_true(unmapped_most <= 4 * MIB);
	assert_int_equal(msync(p, size, MS_ASYNC), -1);
	memfd_close(&m);
	assert_int_equal(unmapped, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_seen_through_the_read_only_descriptor),
		cmocka_unit_test(promises_cost_nothing),
		cmocka_unit_test(the_budget_refuses),
		cmocka_unit_test(large_blocks_have_a_segment_of_their_own),
		cmocka_unit_test(growing_keeps_the_bytes),
		cmocka_unit_test(idle_segments_go_back),
		cmocka_unit_test(leases_are_bounded_by_the_budget_only),
		cmocka_unit_test(grants_stay_inside_and_off_the_status_page),
		cmocka_unit_test(idle_memory_of_all_is_bounded),
		cmocka_unit_test(memory_can_be_closed_by_somebody_else),
		cmocka_unit_test(long_memory_is_unmapped_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
