/* SPDX-License-Identifier: Apache-2.0 */
#include "config/host.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#define HOST_FILE_MAX ((size_t)65536)

static int read_host_file(const char *root, const char *path, struct buf *out)
{
	_cleanup_(freep) char *full = mem_printf("%s%s", root, path);

	buf_clear(out);
	return file_read(full, out);
}

static uint64_t total_memory(const char *root)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOST_FILE_MAX);
	struct slice rest, line, key;
	uint64_t kib;

	if (read_host_file(root, "/proc/meminfo", &text) < 0)
		return 0;
	rest = buf_slice(&text);
	while (rest.n) {
		line = slice_cut(&rest, '\n');
		key = slice_cut(&line, ':');
		line = slice_trim(line);
		if (slice_eq(key, SLICE("MemTotal")) && slice_u64(slice_cut(&line, ' '), &kib))
			return kib * 1024;
	}
	return 0;
}

/* A resource that control groups limit, and how its limit is read from the folder of a group. */
struct limit_kind {
	struct slice controller; /* its name in version 1, where it has a hierarchy of its own */
	const char *mount_v1;
	uint64_t (*read_v2)(const char *root, const char *group);
	uint64_t (*read_v1)(const char *root, const char *group);
};

/* A number, or UINT64_MAX: "max", 0 and what is not visible in a container are no limits. */
static uint64_t read_limit(const char *root, const char *group, const char *file)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOST_FILE_MAX);
	_cleanup_(freep) char *path = mem_printf("%s/%s", group, file);
	struct slice rest;
	uint64_t v;

	if (read_host_file(root, path, &text) < 0)
		return UINT64_MAX;
	rest = buf_slice(&text);
	return slice_u64(slice_trim(slice_cut(&rest, '\n')), &v) && v ? v : UINT64_MAX;
}

static uint64_t memory_limit_v2(const char *root, const char *group)
{
	return read_limit(root, group, "memory.max");
}

static uint64_t memory_limit_v1(const char *root, const char *group)
{
	return read_limit(root, group, "memory.limit_in_bytes");
}

static uint64_t thousandths(uint64_t quota_us, uint64_t period_us)
{
	return quota_us > UINT64_MAX / 1000 ? UINT64_MAX : quota_us * 1000 / period_us;
}

/* "quota period", both in microseconds; a quota of "max" is none. */
static uint64_t cpu_limit_v2(const char *root, const char *group)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOST_FILE_MAX);
	_cleanup_(freep) char *path = mem_printf("%s/cpu.max", group);
	uint64_t quota, period;
	struct slice rest, line;

	if (read_host_file(root, path, &text) < 0)
		return UINT64_MAX;
	rest = buf_slice(&text);
	line = slice_cut(&rest, '\n');
	if (!slice_u64(slice_cut(&line, ' '), &quota) || !slice_u64(line, &period) || !period)
		return UINT64_MAX;
	return thousandths(quota, period);
}

/* A quota of -1 is none. */
static uint64_t cpu_limit_v1(const char *root, const char *group)
{
	uint64_t period = read_limit(root, group, "cpu.cfs_period_us");
	uint64_t quota = read_limit(root, group, "cpu.cfs_quota_us");

	return period == UINT64_MAX ? UINT64_MAX : thousandths(quota, period);
}

static const struct limit_kind memory_limits = {
	.controller = SLICE_CONST("memory"),
	.mount_v1 = "/sys/fs/cgroup/memory",
	.read_v2 = memory_limit_v2,
	.read_v1 = memory_limit_v1,
};
static const struct limit_kind cpu_limits = {
	.controller = SLICE_CONST("cpu"),
	.mount_v1 = "/sys/fs/cgroup/cpu",
	.read_v2 = cpu_limit_v2,
	.read_v1 = cpu_limit_v1,
};

/* The tightest limit from `group` up to the top of the hierarchy at `mount`. */
static uint64_t group_limit(const char *root, const char *mount, struct slice group,
			    uint64_t (*read)(const char *root, const char *group))
{
	uint64_t limit = UINT64_MAX;

	for (;;) {
		_cleanup_(freep) char *path = mem_printf("%s%.*s", mount, SLICE_ARG(group));

		limit = MIN(limit, read(root, path));
		if (!group.n)
			return limit;
		while (group.n && group.p[group.n - 1] != '/')
			group.n--;
		group.n -= group.n > 0;
	}
}

static bool has_word(struct slice list, struct slice word)
{
	while (list.n)
		if (slice_eq(slice_cut(&list, ','), word))
			return true;
	return false;
}

/* Lines are "number:controllers:path"; version 2 is number 0 without controllers. */
static uint64_t groups_limit(const char *root, const struct limit_kind *kind)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOST_FILE_MAX);
	uint64_t limit = UINT64_MAX, v;
	struct slice rest;

	if (read_host_file(root, "/proc/self/cgroup", &text) < 0)
		return limit;
	rest = buf_slice(&text);
	while (rest.n) {
		struct slice path = slice_cut(&rest, '\n');
		struct slice number = slice_cut(&path, ':');
		struct slice controllers = slice_cut(&path, ':');

		if (path.n && path.p[path.n - 1] == '/')
			path.n--;
		if (slice_eq(number, SLICE("0")) && !controllers.n)
			v = group_limit(root, "/sys/fs/cgroup", path, kind->read_v2);
		else if (has_word(controllers, kind->controller))
			v = group_limit(root, kind->mount_v1, path, kind->read_v1);
		else
			continue;
		limit = MIN(limit, v);
	}
	return limit;
}

uint64_t host_memory(const char *root)
{
	uint64_t total = total_memory(root), limit = groups_limit(root, &memory_limits);

	if (!total)
		return limit == UINT64_MAX ? 0 : limit;
	return MIN(total, limit);
}

unsigned host_cpu_quota(const char *root)
{
	uint64_t limit = groups_limit(root, &cpu_limits);

	return limit >= UINT_MAX ? 0 : MAX((unsigned)((limit + 999) / 1000), 1);
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Devices are /dev/nvidia0, /dev/nvidia1, …; nvidiactl and the like are not. */
unsigned host_gpus(const char *root)
{
	_cleanup_(freep) char *path = mem_printf("%s/dev", root);
	_cleanup_(closedirp) DIR *d = opendir(path);
	unsigned n = 0;
	uint64_t index;

	for (struct dirent *e; d && (e = readdir(d));) {
		struct slice name = slice_str(e->d_name);

		if (slice_starts(name, SLICE("nvidia")))
			n += slice_u64(slice_make(name.p + 6, name.n - 6), &index);
	}
	return n;
}

bool host_is_loopback(struct slice host)
{
	_cleanup_(freep) char *text = slice_dup(host);
	unsigned char address[4];

	if (slice_ieq(host, SLICE("localhost")))
		return true;
	return inet_pton(AF_INET, text, address) == 1 && address[0] == 127;
}
