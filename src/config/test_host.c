/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/host.h"

struct root {
	char path[32];
};

static int setup(void **state)
{
	struct root *r = mem_new(struct root);

	memcpy(r->path, "/tmp/test_host.XXXXXX", 22);
	*state = r;
	return mkdtemp(r->path) ? 0 : -1;
}

static int teardown(void **state)
{
	struct root *r = *state;

	file_remove_tree(r->path);
	free(r);
	return 0;
}

static void put(const struct root *r, const char *path, const char *text)
{
	_cleanup_(freep) char *full = mem_printf("%s%s", r->path, path);
	_cleanup_(freep) char *folder = mem_strndup(full, (size_t)(strrchr(full, '/') - full));

	assert_int_equal(file_make_dirs(folder, 0755), 0);
	assert_int_equal(file_write_atomic(full, slice_str(text), 0644), 0);
}

static void test_nothing_known(void **state)
{
	struct root *r = *state;

	assert_int_equal(host_memory(r->path), 0);
	assert_int_equal(host_gpus(r->path), 0);
	put(r, "/proc/meminfo", "garbage\nMemTotal: x kB\n:\n\n");
	put(r, "/proc/self/cgroup", "::\n0\n\n7:memory\n0::\n");
	assert_int_equal(host_memory(r->path), 0);
}

static void test_cgroup_2(void **state)
{
	struct root *r = *state;

	put(r, "/proc/meminfo", "MemFree:  1 kB\nMemTotal:        8388608 kB\n");
	assert_int_equal(host_memory(r->path), UINT64_C(8) << 30);
	put(r, "/proc/self/cgroup", "0::/a/b\n");
	assert_int_equal(host_memory(r->path), UINT64_C(8) << 30);
	put(r, "/sys/fs/cgroup/a/b/memory.max", "max\n");
	put(r, "/sys/fs/cgroup/a/memory.max", "2147483648\n");
	assert_int_equal(host_memory(r->path), UINT64_C(2) << 30);
	put(r, "/sys/fs/cgroup/a/b/memory.max", "1073741824\n");
	assert_int_equal(host_memory(r->path), UINT64_C(1) << 30);
	/* In a container our own group is the top of what is visible. */
	put(r, "/proc/self/cgroup", "0::/\n");
	put(r, "/sys/fs/cgroup/memory.max", "536870912\n");
	assert_int_equal(host_memory(r->path), UINT64_C(512) << 20);
}

static void test_cgroup_1(void **state)
{
	struct root *r = *state;

	put(r, "/proc/meminfo", "MemTotal: 8388608 kB\n");
	put(r, "/proc/self/cgroup", "12:cpu,cpuacct:/x\n7:hugetlb,memory:/docker/1\n0::/\n");
	put(r, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	assert_int_equal(host_memory(r->path), UINT64_C(8) << 30);
	put(r, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
	assert_int_equal(host_memory(r->path), UINT64_C(1) << 30);
}

static void test_cpu_quota_2(void **state)
{
	struct root *r = *state;

	put(r, "/proc/self/cgroup", "0::/a/b\n");
	assert_int_equal(host_cpu_quota(r->path), 0);
	put(r, "/sys/fs/cgroup/a/cpu.max", "max 100000\n");
	put(r, "/sys/fs/cgroup/a/b/cpu.max", "250000 0\n");
	assert_int_equal(host_cpu_quota(r->path), 0);
	put(r, "/sys/fs/cgroup/a/b/cpu.max", "250000 100000\n");
	assert_int_equal(host_cpu_quota(r->path), 3);
	put(r, "/sys/fs/cgroup/a/cpu.max", "1000 100000\n");
	assert_int_equal(host_cpu_quota(r->path), 1);
	put(r, "/sys/fs/cgroup/a/cpu.max", "18446744073709551615 1\n");
	assert_int_equal(host_cpu_quota(r->path), 3);
}

static void test_cpu_quota_1(void **state)
{
	struct root *r = *state;

	put(r, "/proc/self/cgroup", "4:cpu,cpuacct:/docker/1\n");
	put(r, "/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "150000\n");
	assert_int_equal(host_cpu_quota(r->path), 0);
	put(r, "/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
	assert_int_equal(host_cpu_quota(r->path), 2);
	put(r, "/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(host_cpu_quota(r->path), 0);
}

static void test_gpus(void **state)
{
	struct root *r = *state;

	put(r, "/dev/nvidia0", "");
	put(r, "/dev/nvidia11", "");
	put(r, "/dev/nvidiactl", "");
	put(r, "/dev/nvidia-uvm", "");
	put(r, "/dev/nvidia", "");
	assert_int_equal(host_gpus(r->path), 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_known), TEST(test_cgroup_2),    TEST(test_cgroup_1),
		TEST(test_cpu_quota_2),   TEST(test_cpu_quota_1), TEST(test_gpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
