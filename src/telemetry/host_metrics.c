/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/host_metrics.h"

#include <math.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "loop/turn.h"

#define HOST_FILE_MAX ((size_t)1 << 20) /* /proc/stat has a line per CPU */
#define HOST_FIRST_MS 1000 /* there is no CPU utilization before some time has passed */
#define HOST_MB ((double)(1 << 20))
#define HOST_GB ((double)(1 << 30))

static bool host_read(const char *root, const char *path, struct buf *out)
{
	_cleanup_(freep) char *full = mem_printf("%s%s", root, path);

	buf_clear(out);
	return file_read(full, out) == 0;
}

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; guests are part of user
 * and nice. */
bool host_read_cpu(const char *root, struct host_cpu *ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOST_FILE_MAX);
	struct slice rest, line;
	uint64_t v;

	*ret = (struct host_cpu){ 0 };
	if (!host_read(root, "/proc/stat", &text))
		return false;
	rest = buf_slice(&text);
	line = slice_cut(&rest, '\n');
	if (!slice_eq(slice_cut(&line, ' '), SLICE("cpu")))
		return false;
	for (unsigned i = 0; i < 8 && line.p;) {
		struct slice word = slice_cut(&line, ' ');

		if (!word.n)
			continue;
		if (!slice_u64(word, &v))
			return false;
		ret->total += v;
		ret->busy += i == 3 || i == 4 ? 0 : v;
		i++;
	}
	return ret->total > 0;
}

static double host_round(double v)
{
	return round(v * 10) / 10;
}

double host_cpu_percent(const struct host_cpu *before, const struct host_cpu *now)
{
	if (now->total <= before->total || now->busy < before->busy)
		return 0;
	return host_round(100.0 * (double)(now->busy - before->busy) /
			  (double)(now->total - before->total));
}

bool host_read_memory(const char *root, struct host_memory_use *ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOST_FILE_MAX);
	uint64_t free_bytes = 0, buffers = 0, cached = 0, reclaimable = 0;
	const struct {
		struct slice key;
		uint64_t *at;
	} wanted[] = {
		{ SLICE("MemTotal"), &ret->total }, { SLICE("MemAvailable"), &ret->available },
		{ SLICE("MemFree"), &free_bytes },  { SLICE("Buffers"), &buffers },
		{ SLICE("Cached"), &cached },       { SLICE("SReclaimable"), &reclaimable }
	};
	struct slice rest;

	*ret = (struct host_memory_use){ 0 };
	if (!host_read(root, "/proc/meminfo", &text))
		return false;
	rest = buf_slice(&text);
	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n'), key = slice_cut(&line, ':');
		uint64_t kib;

		line = slice_trim(line);
		for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
			if (slice_eq(key, wanted[i].key) && slice_u64(slice_cut(&line, ' '), &kib))
				*wanted[i].at = kib * 1024;
	}
	cached += buffers + reclaimable + free_bytes;
	ret->used = ret->total > cached ? ret->total - cached : 0;
	return ret->total && ret->available <= ret->total;
}

uint64_t host_process_memory(pid_t pid)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(4096);
	struct slice rest;
	uint64_t pages;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if (pid <= 0 || file_read(path, &text) < 0)
		return 0;
	rest = buf_slice(&text);
	slice_cut(&rest, ' ');
	return slice_u64(slice_cut(&rest, ' '), &pages) ? pages * (uint64_t)sysconf(_SC_PAGESIZE)
							: 0;
}

static void host_set(struct host_metrics *h, enum host_metric which, double v)
{
	telemetry_host(h->telemetry, which, v);
}

static void host_publish_cpu(struct host_metrics *h, const struct host_cpu *now)
{
	host_set(h, HOST_CPU_UTILIZATION, host_cpu_percent(&h->last, now));
	h->last = *now;
}

static void host_publish_memory(struct host_metrics *h, const struct host_memory_use *m)
{
	host_set(h, HOST_MEMORY_USED, (double)m->used / HOST_MB);
	host_set(h, HOST_MEMORY_AVAILABLE, (double)m->available / HOST_MB);
	host_set(h, HOST_MEMORY_UTILIZATION,
		 host_round(100.0 * (double)(m->total - m->available) / (double)m->total));
}

static void host_publish_disk(struct host_metrics *h, const struct host_disk_use *d)
{
	double both = d->used + d->available;

	host_set(h, HOST_DISK_USAGE, d->used / HOST_GB);
	host_set(h, HOST_DISK_AVAILABLE, d->available / HOST_GB);
	host_set(h, HOST_DISK_UTILIZATION, both > 0 ? host_round(100 * d->used / both) : 0);
}

/* What is kept for root is neither used nor available. */
static bool host_read_disk(struct host_disk_use *ret)
{
	struct statvfs st;

	if (statvfs("/", &st) < 0)
		return false;
	ret->used = (double)(st.f_blocks - st.f_bfree) * (double)st.f_frsize;
	ret->available = (double)st.f_bavail * (double)st.f_frsize;
	return true;
}

static void host_look(struct work *w)
{
	struct host_reading *r = &container_of(w, struct host_metrics, work)->reading;

	r->has_cpu = host_read_cpu("", &r->cpu);
	r->has_memory = host_read_memory("", &r->memory);
	r->has_disk = host_read_disk(&r->disk);
}

static void host_looked(struct work *w)
{
	struct host_metrics *h = container_of(w, struct host_metrics, work);
	const struct host_reading *r = &h->reading;

	h->busy = false;
	if (h->stopped)
		return;
	if (r->has_cpu)
		host_publish_cpu(h, &r->cpu);
	if (r->has_memory)
		host_publish_memory(h, &r->memory);
	if (r->has_disk)
		host_publish_disk(h, &r->disk);
}

/* One that takes longer than the interval is waited for. */
static void host_measure(uv_timer_t *t)
{
	struct host_metrics *h = t->data;

	TURN(t);
	if (h->busy)
		return;
	h->busy = true;
	work_start(t->loop, &h->work, host_look, host_looked);
}

void host_metrics_start(struct host_metrics *h, uv_loop_t *loop, const struct settings *s,
			struct telemetry *telemetry)
{
	uint64_t interval_ms = s->metric_time_interval * 1000;

	*h = (struct host_metrics){ .telemetry = telemetry };
	uv_timer_init(loop, &h->timer);
	uv_unref((uv_handle_t *)&h->timer);
	h->timer.data = h;
	if (s->disable_system_metrics)
		return;
	host_read_cpu("", &h->last);
	uv_timer_start(&h->timer, host_measure, HOST_FIRST_MS, interval_ms);
}

void host_metrics_stop(struct host_metrics *h)
{
	h->stopped = true;
	uv_close((uv_handle_t *)&h->timer, NULL);
}
