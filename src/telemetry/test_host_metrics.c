/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "telemetry/host_metrics.h"

static int setup(void **state)
{
	char root[] = "/tmp/sconce-host-XXXXXX";
	_cleanup_(freep) char *proc = NULL;

	assert_non_null(mkdtemp(root));
	proc = mem_printf("%s/proc", root);
	assert_int_equal(file_make_dirs(proc, 0700), 0);
	*state = mem_strdup(root);
	return 0;
}

static int teardown(void **state)
{
	file_remove_tree(*state);
	free(*state);
	return 0;
}

static void put(const char *root, const char *name, const char *text)
{
	_cleanup_(freep) char *path = mem_printf("%s/proc/%s", root, name);

	assert_int_equal(file_write_atomic(path, slice_str(text), 0600), 0);
}

static void cpu_is_busy_unless_idle_or_waiting(void **state)
{
	struct host_cpu a, b;

	put(*state, "stat", "cpu  10 0 10 100 20 0 0 0 5 0\ncpu0 1 1 1 1\n");
	assert_true(host_read_cpu(*state, &a));
	assert_int_equal(a.busy, 20);
	assert_int_equal(a.total, 140);
	put(*state, "stat", "cpu  40 0 10 150 40 0 0 0 5 0\n");
	assert_true(host_read_cpu(*state, &b));
	assert_float_equal(host_cpu_percent(&a, &b), 30, 0);
	assert_float_equal(host_cpu_percent(&b, &b), 0, 0);
	assert_float_equal(host_cpu_percent(&b, &a), 0, 0);
}

static void memory_that_caches_use_is_not_used(void **state)
{
	struct host_memory_use m;

	put(*state, "meminfo",
	    "MemTotal:       1000 kB\nMemFree: 100 kB\nMemAvailable:   600 kB\nBuffers: 50 kB\n"
	    "Cached:          300 kB\nSwapCached: 9 kB\nSReclaimable: 50 kB\n");
	assert_true(host_read_memory(*state, &m));
	assert_int_equal(m.total, 1000 * 1024);
	assert_int_equal(m.available, 600 * 1024);
	assert_int_equal(m.used, 500 * 1024);
}

static void what_the_kernel_does_not_say_is_not_made_up(void **state)
{
	struct host_memory_use m;
	struct host_cpu c;

	put(*state, "stat", "cpu  a b\n");
	put(*state, "meminfo", "");
	assert_false(host_read_cpu(*state, &c));
	assert_false(host_read_memory(*state, &m));
	assert_false(host_read_cpu("/nowhere", &c));
	assert_int_equal(host_process_memory(0), 0);
	assert_true(host_process_memory(getpid()) > 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cpu_is_busy_unless_idle_or_waiting, setup,
						teardown),
		cmocka_unit_test_setup_teardown(memory_that_caches_use_is_not_used, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_the_kernel_does_not_say_is_not_made_up, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
