/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the machine is doing: CPU, memory, the root file system; read from the kernel every
 * metric_time_interval, without a helper process, but by a thread of libuv's pool: a file system
 * of the network that hangs keeps statvfs() waiting. The figures mean what TorchServe's (psutil's)
 * mean. Loop thread only.
 */

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "loop/work.h"
#include "telemetry/telemetry.h"

/* Jiffies since the machine started. */
struct host_cpu {
	uint64_t busy, total;
};

struct host_memory_use {
	uint64_t total, used, available; /* bytes */
};

struct host_disk_use {
	double used, available; /* bytes */
};

/* What one look at the machine found. */
struct host_reading {
	bool has_cpu, has_memory, has_disk;
	struct host_cpu cpu;
	struct host_memory_use memory;
	struct host_disk_use disk;
};

struct host_metrics {
	struct telemetry *telemetry;
	uv_timer_t timer;
	struct host_cpu last;
	struct work work;
	struct host_reading reading; /* the pool's while `busy` */
	bool busy, stopped;
};

/* Starts measuring, unless it is disabled. Its timer does not keep the loop alive. */
void host_metrics_start(struct host_metrics *h, uv_loop_t *loop, const struct settings *s,
			struct telemetry *telemetry);
/* A look that is under way ends while the loop runs on, and finds nobody; `h` stays until then. */
void host_metrics_stop(struct host_metrics *h);

/* False when the kernel does not say. `root` is put before the paths: "" but for tests. */
bool host_read_cpu(const char *root, struct host_cpu *ret);
bool host_read_memory(const char *root, struct host_memory_use *ret);
/* Share of the time between two readings that was busy, in percent with one decimal. */
double host_cpu_percent(const struct host_cpu *before, const struct host_cpu *now);
/* Resident bytes of a process, 0 when there is none. */
uint64_t host_process_memory(pid_t pid);
