/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/gpus.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/host.h"
#include "child/capture.h"
#include "child/job.h"
#include "log/log.h"
#include "wire/smi.h"

#define GPUS_PROBE_MS 5000
#define GPUS_OUTPUT_MAX ((size_t)256 << 10)
#define GPUS_FRESH_NS (1 * NS_PER_S)
#define GPUS_MIB 1048576.0

struct gpu_tool {
	struct slice name;
	const char *list[5];  /* its arguments */
	const char *variable; /* which GPUs a process sees */
	const char *use;      /* nvidia-smi's query; NULL: it is not asked */
	bool ipex;            /* only with ipex_gpu_enable */
};

static const char gpus_query[] =
	"--query-gpu=index,uuid,utilization.gpu,utilization.memory,memory.used,memory.total";

/* In this order; the first that lists any decides. */
static const struct gpu_tool gpu_tools[] = {
	{ SLICE_CONST("nvidia-smi"),
	  { "--query-gpu=index", "--format=csv" },
	  "CUDA_VISIBLE_DEVICES",
	  gpus_query,
	  false },
	{ SLICE_CONST("nvidia-smi"), { "-L" }, "CUDA_VISIBLE_DEVICES", gpus_query, false },
	{ SLICE_CONST("rocm-smi"), { "--showid", "--csv" }, "HIP_VISIBLE_DEVICES", NULL, false },
	{ SLICE_CONST("amd-smi"), { "list", "--csv" }, "HIP_VISIBLE_DEVICES", NULL, false },
	{ SLICE_CONST("xpu-smi"), { "discovery", "--dump", "1" }, "ZE_AFFINITY_MASK", NULL, true },
};

/* Containers may have the devices and not the tool. */
static const struct gpu_tool gpu_no_tool = { .variable = "CUDA_VISIBLE_DEVICES" };

/* ---- which there are ---- */

static unsigned gpus_probe(struct gpus *g, const struct gpu_tool *t)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(GPUS_OUTPUT_MAX);
	struct smi_gpu found[DEVICES_MAX];
	unsigned n;
	int r;

	g->path = capture_find(t->name);
	if (!g->path)
		return 0;
	r = capture_run(g->path, t->list, GPUS_PROBE_MS, &out);
	n = r ? 0 : smi_parse(buf_slice(&out), found, DEVICES_MAX);
	if (r == -ETIMEDOUT)
		log_warn("%s did not answer within %d s: its GPUs are not used. With "
			 "number_of_gpu=0 it is not asked.",
			 g->path, GPUS_PROBE_MS / 1000);
	if (!n)
		free(TAKE(g->path));
	else
		g->tool = t;
	return n;
}

static unsigned gpus_count(struct gpus *g, bool ipex)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_LEN(gpu_tools) && !n; i++)
		if (!gpu_tools[i].ipex || ipex)
			n = gpus_probe(g, &gpu_tools[i]);
	if (!n) {
		_cleanup_(freep) char *tool = capture_find(gpu_tools[0].name);

		g->tool = &gpu_no_tool;
		n = tool ? 0 : host_gpus("");
	}
	return n;
}

void gpus_detect(struct gpus *g, const struct settings *s, struct jobs *jobs,
		 struct telemetry *telemetry)
{
	struct slice names[DEVICES_MAX];
	unsigned there, n;
	const char *list;

	*g = (struct gpus){ .jobs = jobs,
			    .telemetry = s->disable_system_metrics ? NULL : telemetry };
	if (!s->number_of_gpu)
		return;
	there = gpus_count(g, s->ipex_gpu_enable);
	list = getenv(g->tool->variable);
	n = list ? devices_visible(slice_str(list), there, names) : MIN(there, DEVICES_MAX);
	g->n = (unsigned)MIN(n, s->number_of_gpu);
	for (unsigned i = 0; i < g->n; i++)
		g->all[i].name = list ? slice_dup(names[i]) : mem_printf("%u", i);
	gpus_refresh(g, 0);
}

/* ---- how busy they are ---- */

static bool gpu_is(const struct gpu *gpu, const struct smi_gpu *row)
{
	struct slice name = slice_str(gpu->name);
	uint64_t index;

	if (slice_u64(name, &index))
		return index == row->index;
	return slice_starts(row->uuid, name);
}

/* "45 %", "1024 MiB": the number, or nothing ("[N/A]"). */
static bool gpu_figure(struct slice text, double *ret)
{
	uint64_t v = 0;
	bool good = slice_u64(slice_cut(&text, ' '), &v);

	*ret = (double)v;
	return good;
}

static struct gpu_use gpus_figures(const struct smi_gpu *row)
{
	struct gpu_use use = { -1, -1, -1 };
	double v;

	if (gpu_figure(row->busy, &v))
		use.busy = v / 100;
	if (gpu_figure(row->memory_used, &v))
		use.memory_used = v * GPUS_MIB;
	if (gpu_figure(row->memory_total, &v))
		use.memory_total = v * GPUS_MIB;
	return use;
}

static void gpus_publish(struct gpus *g, unsigned id, const struct smi_gpu *row)
{
	double busy, used, total;

	if (!g->telemetry)
		return;
	telemetry_gpu_use(g->telemetry, id, &g->all[id].figures);
	if (gpu_figure(row->busy, &busy))
		telemetry_gpu(g->telemetry, GPU_UTILIZATION, id, busy);
	if (!gpu_figure(row->memory_used, &used))
		return;
	telemetry_gpu(g->telemetry, GPU_MEMORY_USED, id, used);
	if (gpu_figure(row->memory_total, &total) && total > 0)
		telemetry_gpu(g->telemetry, GPU_MEMORY_UTILIZATION, id, 100 * used / total);
}

static void gpus_take(struct gpus *g, const struct smi_gpu *row)
{
	for (unsigned i = 0; i < g->n; i++) {
		if (!gpu_is(&g->all[i], row))
			continue;
		free(TAKE(g->all[i].use));
		g->all[i].use = mem_printf("utilization.gpu::%.*s utilization.memory::%.*s "
					   "memory.used::%.*s",
					   SLICE_ARG(row->busy), SLICE_ARG(row->memory_busy),
					   SLICE_ARG(row->memory_used));
		g->all[i].figures = gpus_figures(row);
		gpus_publish(g, i, row);
	}
}

static void gpus_told(void *arg, const struct job_end *end)
{
	struct gpus *g = arg;
	struct smi_gpu rows[DEVICES_MAX];
	unsigned n = end->status ? 0 : smi_parse(end->output, rows, DEVICES_MAX);

	g->asking = false;
	for (unsigned i = 0; i < g->n; i++)
		free(TAKE(g->all[i].use));
	for (unsigned i = 0; i < n; i++)
		if (rows[i].busy.n)
			gpus_take(g, &rows[i]);
	for (unsigned i = 0; i < g->n && g->telemetry; i++)
		if (!g->all[i].use)
			telemetry_gpu_use(g->telemetry, i, NULL);
}

void gpus_refresh(struct gpus *g, uint64_t age_ns)
{
	uint64_t now_ns = clock_now_ns();

	if (!g->n || !g->tool->use || g->asking || g->jobs->stopping ||
	    (g->asked_ns && now_ns - g->asked_ns < age_ns))
		return;
	g->asking = true;
	g->asked_ns = now_ns;
	job_start(g->jobs,
		  &(struct job_spec){ .kind = JOB_PROBE,
				      .file = g->path,
				      .argv = (const char *const[]){ g->path, g->tool->use,
								     "--format=csv", NULL },
				      .limit_ms = GPUS_PROBE_MS },
		  gpus_told, g);
}

void gpus_put_use(struct gpus *g, int id, struct buf *out)
{
	const char *use = id >= 0 && (unsigned)id < g->n ? g->all[id].use : NULL;

	gpus_refresh(g, GPUS_FRESH_NS);
	if (use)
		buf_printf(out, "gpuId::%d %s", id, use);
	else
		buf_puts(out, "N/A");
}

void gpus_put_visible(const struct gpus *g, const uint16_t *ids, unsigned n, struct buf *out)
{
	buf_printf(out, "%s=", g->tool->variable);
	for (unsigned i = 0; i < n; i++)
		buf_printf(out, "%s%s", i ? "," : "", g->all[ids[i]].name);
}

void gpus_finish(struct gpus *g)
{
	for (unsigned i = 0; i < g->n; i++) {
		free(g->all[i].name);
		free(g->all[i].use);
	}
	free(g->path);
}
