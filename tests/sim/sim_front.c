/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_front.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/mem.h"
#include "sim.h"

static void front_limits(struct sim *s, struct net_limits *l)
{
	const struct settings *set = &s->front.settings;

	*l = (struct net_limits){
		.head_bytes = set->max_header_size,
		.headers = set->max_headers,
		.body_bytes = set->max_request_size,
		.connections = 0,
		.pipelined = (unsigned)set->max_pipelined,
		.head_timeout_ms = (unsigned)set->header_timeout_ms,
		.body_timeout_ms = (unsigned)set->body_timeout_ms,
		.body_rate_min = set->body_rate_min,
		.idle_timeout_ms = (unsigned)set->idle_timeout_ms,
		.write_timeout_ms = (unsigned)set->write_timeout_ms,
	};
}

static void front_set(struct sim *s, const char *key, const char *fmt, ...) _printf_(3, 4);

static void front_set(struct sim *s, const char *key, const char *fmt, ...)
{
	struct buf why = BUF_INIT(4096);
	char value[256];
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	r = settings_set(&s->front.settings, slice_str(key), slice_str(value), "the simulator",
			 &why);
	if (r)
		sim_fail(s, "setting %s=%s: %s", key, value, buf_cstr(&why));
	buf_finish(&why);
}

static void front_configure(struct sim *s)
{
	struct front *f = &s->front;
	const struct weather *w = &s->weather;

	settings_init(&f->settings);
	front_set(s, "model_store", "%s/store", f->folder);
	front_set(s, "tmp_dir", "%s", f->folder);
	front_set(s, "python", "/nonexistent/python"); /* nobody looks for one */
	front_set(s, "console_hosts", "simulated");
	front_set(s, "number_of_gpu", "0");
	front_set(s, "zygote", "off");
	front_set(s, "disable_system_metrics", "true");
	front_set(s, "disable_token_authorization", "true");
	front_set(s, "enable_model_api", "true");
	front_set(s, "no_config_snapshots", "true");
	front_set(s, "default_startup_timeout", "20");
	front_set(s, "default_response_timeout", "10");
	front_set(s, "unregister_model_timeout", "15");
	front_set(s, "max_request_size", "%zu", SIM_REQUEST_MAX);
	front_set(s, "max_response_size", "%zu", SIM_REQUEST_MAX);
	front_set(s, "max_header_size", "32768");
	front_set(s, "max_pipelined", "%u", 1 + random_below(&s->random, 6));
	if (!w->slow_clients && !w->jumps) {
		/* What comes in time on a machine that is fast enough. */
		front_set(s, "header_timeout_ms", "120000");
		front_set(s, "body_timeout_ms", "120000");
		front_set(s, "write_timeout_ms", "120000");
		front_set(s, "idle_timeout_ms", "600000");
		front_set(s, "body_rate_min", "0");
	}
	front_set(s, "job_queue_size", w->short_queue ? "3" : "1000");
	front_set(s, "frame_batching", random_chance(&s->random, 800) ? "true" : "false");
	front_set(s, "batch_mode", random_chance(&s->random, 500) ? "adaptive" : "fixed");
	front_set(s, "retry", random_chance(&s->random, 800) ? "true" : "false");
	/* Beyond what a setting may be: the checks are in settings_check(), which is not asked. */
	f->settings.pool_segment_size = (uint64_t)1 << 20;
	f->settings.memory_budget = w->tight_memory ? (uint64_t)3 << 20 : (uint64_t)512 << 20;
}

static void front_make_folder(struct sim *s)
{
	struct front *f = &s->front;
	char path[64];

	snprintf(f->folder, sizeof(f->folder), "/tmp/sconce-sim-XXXXXX");
	if (!mkdtemp(f->folder))
		sim_fail(s, "no folder in /tmp");
	snprintf(path, sizeof(path), "%s/store", f->folder);
	mkdir(path, 0700);
	models_write(s);
}

void front_start(struct sim *s)
{
	struct front *f = &s->front;
	struct buf why = BUF_INIT(4096);
	struct net_limits limits;

	front_make_folder(s);
	front_configure(s);
	catalogue_init(&f->catalogue);
	f->budget = (struct budget){ .limit = f->settings.memory_budget };
	f->metrics = metrics_create(10000);
	if (pool_create(&f->pool, &f->budget, f->settings.pool_segment_size) ||
	    fleet_init(&f->fleet, &f->loop, &f->settings, &f->budget, f->pool, f->metrics,
		       &f->catalogue, &why))
		sim_fail(s, "the front cannot be built: %s", buf_cstr(&why));
	buf_finish(&why);
	f->fleet.workers.makers = sim_makers;
	front_trace(s);
	f->api = api_create(&f->fleet, NULL);
	front_limits(s, &limits);
	f->net = net_create(&f->loop, &limits, &f->budget);
	api_door_init(&f->door, f->api, API_ALL | API_CONSOLE);
}

static void front_drained(void *arg)
{
	((struct front *)arg)->drained = true;
}

void front_drain(struct sim *s)
{
	fleet_drain(&s->front.fleet);
	net_drain(s->front.net, front_drained, &s->front);
}

static void front_stopped(void *arg)
{
	((struct front *)arg)->stopped = true;
}

void front_stop(struct sim *s)
{
	fleet_stop(&s->front.fleet, FRONT_GRACE_MS, front_stopped, &s->front);
}

static void front_close_left(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void front_finish(struct sim *s)
{
	struct front *f = &s->front;
	char store[64];

	net_destroy(f->net);
	api_destroy(f->api);
	fleet_finish(&f->fleet);
	for (unsigned i = 0; i < 4; i++)
		system_turn();
	while (s->n_clients)
		clients_step(s);
	system_finish();
	uv_walk(&f->loop, front_close_left, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&f->loop))
		sim_fail(s, "something is left in the loop");
	pool_destroy(f->pool);
	if (f->budget.used)
		sim_fail(s, "%llu bytes of the budget are never given back",
			 (unsigned long long)f->budget.used);
	metrics_destroy(f->metrics);
	catalogue_finish(&f->catalogue);
	snprintf(store, sizeof(store), "%s", f->settings.tmp_dir);
	settings_finish(&f->settings);
	file_remove_tree(store);
}

int front_connect(struct sim *s, size_t *ret_room)
{
	int pair[2], r, room = 200000;
	socklen_t n = sizeof(room);

	if (syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) <
	    0)
		sim_fail(s, "no socket pair");
	/* A small one makes the front wait for its client. */
	if (random_chance(&s->random, 300))
		room = (int)random_size(&s->random, 200000);
	else if (random_chance(&s->random, 600))
		room = 2500 + (int)random_below(&s->random, 4500);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, &n);
	*ret_room = (size_t)room;
	system_enter();
	r = net_adopt(s->front.net, pair[0], &s->front.door.handler);
	system_leave();
	if (r < 0)
		sim_fail(s, "net_adopt: %d", r);
	return pair[1];
}
