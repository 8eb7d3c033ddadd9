/* SPDX-License-Identifier: Apache-2.0 */
#include "config/host.h"

#include <dirent.h>
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

/* The tightest limit from `group` up to the top of the hierarchy at `mount`. "max" and what is not
 * visible in a container are no limits. */
static uint64_t group_limit(const char *root, const char *mount, struct slice group,
			    const char *file)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOST_FILE_MAX);
	uint64_t limit = UINT64_MAX, v;

	for (;;) {
		_cleanup_(freep) char *path = mem_printf("%s%.*s/%s", mount, SLICE_ARG(group),
							 file);

		if (read_host_file(root, path, &text) == 0 &&
		    slice_u64(slice_trim(slice_cut(&(struct slice){ text.p, text.n }, '\n')), &v) &&
		    v)
			limit = MIN(limit, v);
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
static uint64_t groups_limit(const char *root)
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
			v = group_limit(root, "/sys/fs/cgroup", path, "memory.max");
		else if (has_word(controllers, SLICE("memory")))
			v = group_limit(root, "/sys/fs/cgroup/memory", path,
					"memory.limit_in_bytes");
		else
			continue;
		limit = MIN(limit, v);
	}
	return limit;
}

uint64_t host_memory(const char *root)
{
	uint64_t total = total_memory(root), limit = groups_limit(root);

	if (!total)
		return limit == UINT64_MAX ? 0 : limit;
	return MIN(total, limit);
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Devices are /dev/nvidia0, /dev/nvidia1, …; nvidiactl and the like are not. */
static unsigned nvidia_gpus(const char *root)
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

/* The kernel's topology lists CPUs, too; their gpu_id is 0. */
static unsigned amd_gpus(const char *root)
{
	_cleanup_(freep) char *path = mem_printf("%s/sys/class/kfd/kfd/topology/nodes", root);
	_cleanup_(closedirp) DIR *d = opendir(path);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOST_FILE_MAX);
	unsigned n = 0;
	uint64_t id;

	for (struct dirent *e; d && (e = readdir(d));) {
		_cleanup_(freep) char *file = mem_printf("%s/%s/gpu_id", path, e->d_name);
		struct slice s;

		buf_clear(&text);
		if (e->d_name[0] == '.' || file_read(file, &text) < 0)
			continue;
		s = buf_slice(&text);
		n += slice_u64(slice_cut(&s, '\n'), &id) && id;
	}
	return n;
}

unsigned host_gpus(const char *root)
{
	return nvidia_gpus(root) + amd_gpus(root);
}
