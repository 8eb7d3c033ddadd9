/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/worker.h"

/*
 * A process for a worker's place: forked by a zygote where there is one, else a fresh interpreter;
 * and the LOAD frame that tells it which model it is.
 */

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "fleet/environment.h"
#include "fleet/fleet.h"
#include "fleet/placement.h"
#include "fleet/ranks.h"
#include "fleet/zygote.h"
#include "log/log.h"
#include "wire/json.h"

#define WORKER_ARGUMENTS_MAX 16
#define WORKER_OUTBOUND_MIN ((size_t)16 << 20)
#define WORKER_OUTBOUND_MAX ((size_t)4 << 30)

/* cpu_launcher_enable: it gets processors of its own. Those of one worker agree on theirs. */
static bool worker_is_pinned(const struct worker *w)
{
	return w->version->fleet->settings->cpu_launcher_enable && !ranks_wanted(w->version);
}

/* What comes before the arguments of the worker itself; returns how many. */
static size_t worker_put_program(const struct worker *w, char **argv, char *const numbers[2])
{
	static char module[] = "-m", plain[] = "sconce.worker", launcher[] = "sconce.cpu_launcher",
		    workers[] = "--workers", worker[] = "--worker", options[] = "--options",
		    none[] = "", rest[] = "--";
	char *given = w->version->fleet->settings->cpu_launcher_args;
	char *const pinned[] = { launcher,   workers, numbers[0],           worker,
				 numbers[1], options, given ? given : none, rest };
	size_t n = 0;

	argv[n++] = w->version->python ? w->version->python : w->version->fleet->python.executable;
	argv[n++] = module;
	if (!worker_is_pinned(w)) {
		argv[n++] = plain;
		return n;
	}
	memcpy(&argv[n], pinned, sizeof(pinned));
	return n + ARRAY_LEN(pinned);
}

int worker_exec(struct worker *w, struct child *c, int rank, const int fds[4],
		void (*exited)(struct child *c, int status))
{
	struct fleet *f = w->version->fleet;
	static char fd[] = "--fd", three[] = "3", as[] = "--rank";
	_cleanup_(freep) char *number = mem_printf("%d", rank);
	_cleanup_(freep) char *workers = mem_printf("%u", MAX(w->version->min_workers, 1));
	_cleanup_(freep) char *index = mem_printf("%u", w->index);
	char *argv[WORKER_ARGUMENTS_MAX] = { 0 };
	size_t n = worker_put_program(w, argv, (char *const[]){ workers, index });
	char **environment = worker_environment(f, w, (unsigned)MAX(rank, 0));
	struct spawn s = {
		.file = argv[0], .argv = argv, .environment = environment, .cwd = w->version->dir
	};
	int r;

	argv[n++] = fd;
	argv[n++] = three;
	if (rank >= 0) {
		argv[n++] = as;
		argv[n++] = number;
	}
	memcpy(s.fds, fds, sizeof(s.fds));
	r = child_spawn(&f->children, c, &s, exited);
	environment_free(environment);
	return r < 0 ? err_trace(r) : 0;
}

static int worker_spawn(struct worker *w, const int ends[4])
{
	struct fleet *f = w->version->fleet;
	/* Zygotes are of the server's own Python. */
	struct zygotes *zygotes = w->version->python ? NULL : f->zygotes;
	char **environment;
	int r;

	if (ranks_wanted(w->version))
		return ranks_launch(w, ends);
	if (worker_is_pinned(w))
		return worker_exec(w, &w->child, -1, ends, worker_exited);
	environment = worker_environment(f, w, 0);
	r = zygotes_spawn(zygotes, w, environment, w->version->dir, &ends[1]);
	environment_free(environment);
	return r == ZYGOTE_OFF ? worker_exec(w, &w->child, -1, ends, worker_exited) : r;
}

int worker_launch(struct worker *w)
{
	struct fleet *f = w->version->fleet;
	int ends[4] = { -1, -1, -1, -1 };
	int r;

	if (f->python.why) {
		w->load_message = mem_strdup(f->python.why);
		return err_origin(-ENOEXEC);
	}
	r = channel_open(&w->channel, f->loop, &ends[3]);
	w->channel.received = worker_received;
	w->channel.broken = worker_broken;
	if (!r)
		r = output_open(&w->out, f->loop, w->label, false, &ends[1]);
	if (!r)
		r = output_open(&w->err, f->loop, w->label, true, &ends[2]);
	if (!r)
		r = worker_spawn(w, ends);
	for (size_t i = 1; i < ARRAY_LEN(ends); i++)
		closep(&ends[i]);
	return r < 0 ? err_trace(r) : 0;
}

void worker_launch_again(struct worker *w)
{
	int r;

	channel_close(&w->channel);
	output_close(&w->out);
	output_close(&w->err);
	r = worker_launch(w);
	if (r < 0) {
		log_error("%s: cannot start a process: %s", w->label, strerror(-r));
		worker_launched(w, 0);
	}
}

/* ---- LOAD ---- */

static void load_text(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, ",\"%s\":", key);
	json_put_string(b, slice_str(value ? value : ""));
}

static void load_bool(struct buf *b, const char *key, bool value)
{
	buf_printf(b, ",\"%s\":%s", key, value ? "true" : "false");
}

static void load_gpu(struct worker *w, struct buf *b)
{
	int gpu = placement_gpu_seen(w);

	if (gpu >= 0)
		buf_printf(b, "%d", gpu);
	else
		buf_puts(b, "null");
}

static void load_json(struct worker *w, struct buf *b)
{
	const struct version *v = w->version;
	const struct settings *s = v->fleet->settings;
	const struct manifest *m = &v->manifest;
	_cleanup_(freep) char *envelope = s->service_envelope && *s->service_envelope
						  ? mem_strdup(s->service_envelope)
						  : slice_dup(m->envelope);

	buf_printf(b, "{\"batch_size\":%u,\"threads\":%u,\"max_response_size\":%llu,\"gpu_id\":",
		   v->batch_size, w->threads, (unsigned long long)s->max_response_size);
	load_gpu(w, b);
	load_text(b, "model_name", v->model_name);
	load_text(b, "model_version", v->name);
	load_text(b, "model_dir", v->dir);
	load_text(b, "handler", v->handler);
	load_text(b, "envelope", envelope);
	load_text(b, "server_version", SCONCE_VERSION);
	load_text(b, "worker_id", w->label);
	load_bool(b, "limit_max_image_pixels", s->limit_max_image_pixels);
	load_bool(b, "decode_input_request", s->decode_input_request);
	load_bool(b, "metrics", true);
	load_bool(b, "log_request_id", s->log_request_id || strcmp(s->log_format, "json") == 0);
	load_bool(b, "async", m->async_communication);
	load_bool(b, "continuous_batching", m->continuous_batching);
	load_bool(b, "sequence_batching", m->sequence_batching);
	load_text(b, "header_key_sequence_id", s->ts_header_key_sequence_id);
	load_text(b, "header_key_sequence_start", s->ts_header_key_sequence_start);
	load_text(b, "header_key_sequence_end", s->ts_header_key_sequence_end);
	buf_puts(b, ",\"model_metrics\":");
	catalogue_write_model(v->fleet->telemetry.catalogue, b);
	buf_puts(b, ",\"manifest\":");
	buf_put_slice(b, m->manifest_json.n ? m->manifest_json : SLICE("{}"));
	buf_puts(b, ",\"model_yaml_config\":");
	buf_put_slice(b, m->config_json.n ? m->config_json : SLICE("{}"));
	buf_putc(b, '}');
}

static int worker_make_memory(struct worker *w)
{
	struct fleet *f = w->version->fleet;
	size_t size = WORKER_OUTBOUND_MIN;
	struct outbound *o;
	int r;

	while (size < WORKER_OUTBOUND_MAX && size < 2 * f->settings->max_response_size)
		size *= 2;
	r = outbound_create(&o, f->budget, size);
	if (r < 0)
		return err_trace(r);
	w->memory = mem_new(struct worker_memory);
	w->memory->outbound = o;
	w->memory->refs = 1;
	return 0;
}

unsigned worker_threads(const struct worker *w)
{
	if (ranks_wanted(w->version))
		return ranks_threads(w->version);
	return worker_is_pinned(w) ? 0 : fleet_threads_per_worker(w->version->fleet);
}

int worker_send_load(struct worker *w)
{
	static char packet[FRAME_MAX];
	struct buf json = BUF_INIT(FRAME_MAX - FRAME_HEAD - 8);
	struct frame_writer fw;
	int fd, r;

	r = worker_make_memory(w);
	if (r < 0)
		return r;
	w->next_seq = 0;
	w->threads = worker_threads(w);
	load_json(w, &json);
	frame_begin(&fw, packet, sizeof(packet), FRAME_LOAD, 0);
	r = buf_overflowed(&json) ? -E2BIG : frame_put_bytes(&fw, buf_slice(&json));
	buf_finish(&json);
	fd = outbound_fd(w->memory->outbound);
	return r ? err_origin(r) : channel_send(&w->channel, frame_end(&fw), &fd, 1);
}
