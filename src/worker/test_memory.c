/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "wire/frame.h"
#include "worker/memory.h"

#define SIZE ((size_t)16384)

static int memory_of(size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	return fd;
}

static void parts_lie_within_their_segment(void **state)
{
	struct memory m = { 0 };
	struct slice s;
	int fd = memory_of(SIZE);

	(void)state;
	assert_int_equal(pwrite(fd, "here", 4, 4000), 4);
	assert_int_equal(memory_add(&m, 7, SIZE, fd), 0);
	assert_true(memory_view(&m, (struct span){ 7, 4000, 4 }, &s));
	assert_true(slice_eq(s, SLICE("here")));
	assert_true(memory_view(&m, (struct span){ 7, 0, SIZE }, &s));
	assert_true(memory_view(&m, (struct span){ 9, 1, 0 }, &s));
	assert_int_equal(s.n, 0);
	assert_false(memory_view(&m, (struct span){ 8, 0, 1 }, &s));
	assert_false(memory_view(&m, (struct span){ 7, 0, SIZE + 1 }, &s));
	assert_false(memory_view(&m, (struct span){ 7, SIZE, 1 }, &s));
	assert_false(memory_view(&m, (struct span){ 7, UINT64_MAX, 2 }, &s));
	assert_false(memory_view(&m, (struct span){ 7, 2, UINT64_MAX }, &s));
	memory_drop(&m, 7);
	memory_drop(&m, 7);
	assert_false(memory_view(&m, (struct span){ 7, 4000, 4 }, &s));
	memory_finish(&m);
}

static void a_segment_has_the_size_it_says(void **state)
{
	struct memory m = { 0 };

	(void)state;
	assert_true(memory_add(&m, 1, SIZE + 1, memory_of(SIZE)) < 0);
	assert_true(memory_add(&m, 1, 0, memory_of(SIZE)) < 0);
	assert_true(memory_set_outbound(&m, memory_of(FRAME_STATUS_PAGE - 1)) < 0);
	memory_finish(&m);
}

static void replies_go_behind_the_status_page(void **state)
{
	struct memory m = { 0 };

	(void)state;
	assert_int_equal(memory_set_outbound(&m, memory_of(SIZE)), 0);
	assert_true(memory_set_outbound(&m, memory_of(SIZE)) < 0);
	memory_begin(&m, 77);
	assert_int_equal(*(uint64_t *)(void *)m.outbound, 77);
	assert_ptr_equal(memory_grant(&m, (struct span){ 0, 4096, 10 }), m.outbound + 4096);
	assert_non_null(memory_grant(&m, (struct span){ 0, 4096, SIZE - 4096 }));
	assert_null(memory_grant(&m, (struct span){ 0, 4095, 10 }));
	assert_null(memory_grant(&m, (struct span){ 0, 4096, SIZE }));
	assert_null(memory_grant(&m, (struct span){ 0, UINT64_MAX, 4 }));
	memory_finish(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_lie_within_their_segment),
		cmocka_unit_test(a_segment_has_the_size_it_says),
		cmocka_unit_test(replies_go_behind_the_status_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
