/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve.h"

/*
 * Puts the server together, runs its loop, and takes it apart again.
 *
 *     running ─SIGTERM→ draining: listeners closed, requests in flight finish
 *             ─none left, or drain_timeout→ stopping: workers end ─→ exit 0
 *
 * A second SIGTERM cuts the draining short.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "auth/tokens.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/util.h"
#include "fleet/fleet.h"
#include "log/log.h"
#include "loop/turn.h"
#include "net/net.h"
#include "serve/banner.h"
#include "serve/dev.h"
#include "serve/files.h"
#include "serve/snapshot.h"
#include "serve/startup.h"
#include "serve/systemd.h"
#include "trace/tracer.h"

#define SERVE_DOORS 3
#define SERVE_WORKER_GRACE_MS 10000
#define SERVE_DEV_GRACE_MS 500 /* who ends it sees what it is at */
#define SERVE_STUCK_MS 5000    /* that a stop may take beyond all that has a limit of its own */
#define SERVE_LAST_WORDS_S 10  /* that files may take when no loop turns any more */
#define SERVE_TOKEN_LIFE_S 3155760000.0 /* a century: with the present time it still fits */
#define SERVE_CATALOGUE_MAX ((size_t)1 << 20)

struct server {
	uv_loop_t loop;
	struct turn turn;
	struct settings *settings;
	struct budget budget;
	struct pool *pool;
	struct metrics *metrics;
	struct catalogue catalogue;
	struct tracer *tracer; /* NULL: nothing is traced */
	struct fleet fleet;
	struct snapshots snapshots;
	struct dev *dev; /* NULL: it serves, and nobody edits */
	struct api *api;
	struct net *net;
	struct tokens *tokens;
	struct api_door doors[SERVE_DOORS];
	unsigned n_doors;
	uv_signal_t terminate, interrupt, hangup;
	uv_timer_t patience;
	struct systemd systemd;
	int ready_fd; /* see serve_run(); -1: told, or nobody listens */
	bool draining, stopping;
};

/* ---- the end ---- */

static void serve_stopped(void *arg)
{
	struct server *s = arg;

	uv_stop(&s->loop);
}

/* From here on files are written and removed by this thread, or waited for: the disk of the log or
 * of the keys may be one that does not answer. */
static void serve_last_words(void)
{
	signal(SIGALRM, SIG_DFL);
	alarm(SERVE_LAST_WORDS_S);
}

/* A thread, or a process, is in the kernel's hands and does not come back: neither could we. */
static void serve_stuck(uv_timer_t *t)
{
	TURN(t);
	log_error(
		"A disk or a process does not answer: the server ends as it is. What it leaves in "
		"its tmp_dir is removed by the next start");
	serve_last_words();
	log_stop();
	_exit(1);
}

static void serve_stop(struct server *s)
{
	uint64_t grace_ms = s->settings->dev ? SERVE_DEV_GRACE_MS : SERVE_WORKER_GRACE_MS;

	if (s->stopping)
		return;
	s->stopping = true;
	uv_timer_start(&s->patience, serve_stuck, grace_ms + FLEET_TIDY_MS + SERVE_STUCK_MS, 0);
	uv_unref((uv_handle_t *)&s->patience);
	snapshots_end(&s->snapshots);
	fleet_stop(&s->fleet, grace_ms, serve_stopped, s);
}

static void serve_drained(void *arg)
{
	serve_stop(arg);
}

static void serve_out_of_patience(uv_timer_t *t)
{
	TURN(t);
	log_warn("Some requests did not finish within drain_timeout");
	serve_stop(t->data);
}

static void serve_signalled(uv_signal_t *h, int signal)
{
	struct server *s = h->data;

	TURN(h);
	if (s->draining) {
		log_warn("Got signal %d again: not waiting for requests any more", signal);
		serve_stop(s);
		return;
	}
	s->draining = true;
	log_info("Got signal %d: finishing the requests in flight", signal);
	systemd_tell(&s->systemd, "STOPPING=1\nSTATUS=Finishing the requests in flight");
	uv_timer_start(&s->patience, serve_out_of_patience, s->settings->drain_timeout * 1000, 0);
	api_stops(s->api);
	fleet_drain(&s->fleet);
	net_drain(s->net, serve_drained, s);
}

static void serve_hangup(uv_signal_t *h, int signal)
{
	const struct server *s = h->data;

	if (s->settings->dev) {
		serve_signalled(h, signal); /* its terminal was closed */
		return;
	}
	TURN(h);
	log_reopen();
	log_info("Got SIGHUP: logs reopened");
}

/* ---- the beginning ---- */

static void serve_turned(void *arg, uint64_t took_ns)
{
	struct server *s = arg;

	telemetry_turn(&s->fleet.telemetry, (double)took_ns / 1e9);
}

static void serve_watch_signals(struct server *s)
{
	const struct {
		uv_signal_t *handle;
		uv_signal_cb cb;
		int number;
	} watch[] = { { &s->terminate, serve_signalled, SIGTERM },
		      { &s->interrupt, serve_signalled, SIGINT },
		      { &s->hangup, serve_hangup, SIGHUP } };

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on files: memory for workers is one, and a log */
	for (size_t i = 0; i < ARRAY_LEN(watch); i++) {
		uv_signal_init(&s->loop, watch[i].handle);
		watch[i].handle->data = s;
		uv_signal_start(watch[i].handle, watch[i].cb, watch[i].number);
	}
	uv_timer_init(&s->loop, &s->patience);
	s->patience.data = s;
}

/* For a start that failed: libuv's handlers would write to a loop that is gone. */
static void serve_forget_signals(void)
{
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

static void serve_limits(const struct settings *set, struct net_limits *l)
{
	*l = (struct net_limits){
		.head_bytes = set->max_header_size,
		.headers = set->max_headers,
		.body_bytes = set->max_request_size,
		.connections = files_for_connections(set),
		.pipelined = (unsigned)set->max_pipelined,
		.head_timeout_ms = (unsigned)set->header_timeout_ms,
		.body_timeout_ms = (unsigned)set->body_timeout_ms,
		.body_rate_min = set->body_rate_min,
		.idle_timeout_ms = (unsigned)set->idle_timeout_ms,
		.write_timeout_ms = (unsigned)set->write_timeout_ms,
	};
}

/* `name` is what systemd calls its socket, if it has one that stands for the address. */
static int serve_listen(struct server *s, const char *name, const char *address, unsigned roles,
			struct buf *why)
{
	struct api_door *d = &s->doors[s->n_doors++];
	int fd = systemd_take_socket(&s->systemd, name);

	api_door_init(d, s->api, roles);
	if (fd < 0)
		return net_listen(s->net, address, &d->handler, NULL, why);
	log_info("The socket '%s' of systemd is used instead of %s_address", name, name);
	return net_listen_on(s->net, fd, name, &d->handler, NULL, why);
}

static int serve_open(struct server *s, struct buf *why)
{
	const struct settings *set = s->settings;
	bool combined = strcmp(set->inference_address, set->management_address) == 0 &&
			!systemd_has_socket(&s->systemd, "management");
	unsigned manages = API_MANAGEMENT | (set->console ? API_CONSOLE : 0);
	const char *stray;
	int r;

	r = serve_listen(s, "inference", set->inference_address,
			 API_INFERENCE | (combined ? manages : 0), why);
	if (!r && !combined)
		r = serve_listen(s, "management", set->management_address, manages, why);
	if (!r && set->enable_metrics_api)
		r = serve_listen(s, "metrics", set->metrics_address, API_METRICS, why);
	stray = systemd_stray_socket(&s->systemd);
	if (r || !stray)
		return r;
	buf_printf(why,
		   "systemd hands over a socket that is called '%s': FileDescriptorName= of its "
		   "unit has to be inference, management or metrics, each once",
		   stray);
	return err_origin(-EINVAL);
}

static int serve_make_tokens(struct server *s, struct buf *why)
{
	double life_s = MIN(s->settings->token_expiration_min * 60, SERVE_TOKEN_LIFE_S);
	uint64_t life_ns = (uint64_t)life_s * NS_PER_S;

	if (s->settings->disable_token_authorization)
		return 0;
	if (s->settings->keys_from)
		return tokens_create_given(&s->tokens, &s->loop, s->settings->keys_from, why);
	return tokens_create(&s->tokens, &s->loop, s->settings->key_file, life_ns, clock_wall_ns(),
			     why);
}

static int serve_read_catalogue(struct server *s, struct buf *why)
{
	const char *path = s->settings->metrics_config;
	struct buf text = BUF_INIT(SERVE_CATALOGUE_MAX);
	int r;

	catalogue_init(&s->catalogue);
	if (!path)
		return 0;
	r = file_read(path, &text);
	if (r < 0)
		buf_printf(why, "metrics_config: %s cannot be read: %s", path, strerror(-r));
	else
		r = catalogue_parse(&s->catalogue, buf_slice(&text), path, why);
	buf_finish(&text);
	return r;
}

static size_t serve_power_of_two(uint64_t n)
{
	size_t size = (size_t)1 << 20;

	while (size < n)
		size *= 2;
	return size;
}

/* Where none was named a server without models may do without. */
static int serve_check_python(const struct server *s, struct buf *why)
{
	const struct python *p = &s->fleet.python;

	if (p->executable ? p->packages != NULL : !s->settings->python)
		return 0;
	if (!p->executable)
		settings_put_head(s->settings, "python", why);
	buf_puts(why, p->why);
	return -ENOEXEC;
}

static int serve_build(struct server *s, struct buf *why)
{
	struct net_limits limits;
	int r;

	r = serve_read_catalogue(s, why);
	if (!r)
		r = serve_make_tokens(s, why);
	if (r < 0)
		return err_trace(r);
	s->budget.limit = s->settings->memory_budget;
	s->metrics = metrics_create(10000);
	r = pool_create(&s->pool, &s->budget, serve_power_of_two(s->settings->pool_segment_size));
	if (r == -EOPNOTSUPP)
		buf_puts(why, "this kernel cannot make memory that workers can read but never "
			      "write (F_SEAL_FUTURE_WRITE of memfd_create): Linux 5.1 or later "
			      "is needed");
	if (r < 0)
		return err_trace(r);
	r = fleet_init(&s->fleet, &s->loop, s->settings, &s->budget, s->pool, s->metrics,
		       &s->catalogue, why);
	if (r < 0)
		return err_trace(r);
	r = tracer_create(&s->tracer, s->settings, why);
	if (r < 0)
		return r;
	fleet_trace(&s->fleet, s->tracer);
	r = serve_check_python(s, why);
	if (r < 0)
		return r;
	snapshots_init(&s->snapshots, &s->fleet);
	s->api = api_create(&s->fleet, s->tokens);
	api_starts(s->api);
	serve_limits(s->settings, &limits);
	s->net = net_create(&s->loop, &limits, &s->budget);
	api_counts(s->api, s->net);
	return 0;
}

/* The launcher may say so. */
static void serve_tell_launcher(struct server *s)
{
	ssize_t n;

	if (s->ready_fd < 0)
		return;
	do
		n = write(s->ready_fd, "1", 1);
	while (n < 0 && errno == EINTR);
	close(s->ready_fd);
	s->ready_fd = -1;
}

/* The models of the start are there, as TorchServe has them before it listens; their workers may
 * still be loading. */
static void serve_known(void *arg)
{
	struct server *s = arg;

	if (!s->draining) {
		log_info("Model server started.");
		serve_tell_launcher(s);
		systemd_tell(&s->systemd, "READY=1\nSTATUS=Answering; models are loading");
	}
	api_started(s->api);
}

static void serve_loaded(void *arg)
{
	struct server *s = arg;

	snapshots_begin(&s->snapshots);
	if (!s->draining)
		systemd_tell(&s->systemd, "STATUS=Answering");
}

static bool serve_is_end(const struct server *s, const uv_handle_t *h)
{
	return h == (const uv_handle_t *)&s->terminate || h == (const uv_handle_t *)&s->interrupt ||
	       h == (const uv_handle_t *)&s->patience;
}

static void serve_close_handle(uv_handle_t *h, void *arg)
{
	if (serve_is_end(arg, h))
		uv_unref(h);
	else if (!uv_is_closing(h))
		uv_close(h, NULL);
}

/* Who asks again while we tidy up must not kill us in the middle of that, and that has its limit:
 * these go last. */
static void serve_close_ends(struct server *s)
{
	uv_close((uv_handle_t *)&s->terminate, NULL);
	uv_close((uv_handle_t *)&s->interrupt, NULL);
	uv_close((uv_handle_t *)&s->patience, NULL);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	serve_last_words();
	uv_run(&s->loop, UV_RUN_DEFAULT);
}

static void serve_take_apart(struct server *s)
{
	dev_destroy(s->dev);
	net_destroy(s->net);
	api_destroy(s->api);
	fleet_finish(&s->fleet);
	turn_finish(&s->turn);
	uv_walk(&s->loop, serve_close_handle, s);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	tracer_destroy(s->tracer); /* it has a limit of its own */
	serve_close_ends(s);
	uv_loop_close(&s->loop);
	systemd_finish(&s->systemd);
	snapshots_finish(&s->snapshots);
	pool_destroy(s->pool);
	metrics_destroy(s->metrics);
	catalogue_finish(&s->catalogue);
	tokens_destroy(s->tokens, true);
}

static void serve_start_log(const struct settings *set)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	struct log_config c = { .location = set->log_location,
				.metrics_location = set->metrics_location,
				.level = LOG_INFO,
				.console = set->log_console,
				.access = set->access_log,
				.json = strcmp(set->log_format, "json") == 0,
				.request_ids = set->log_request_id,
				.rotate_bytes = 100 << 20,
				.rotate_keep = 5 };

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (set->log_level && strcmp(set->log_level, levels[i]) == 0)
			c.level = (enum log_level)i;
	log_start(&c);
}

static int serve_go(struct settings *settings, int ready_fd, const struct dev_plan *plan)
{
	struct server s = { .settings = settings, .ready_fd = ready_fd };
	struct buf why = BUF_INIT(4096);
	int r;

	serve_start_log(settings);
	uv_loop_init(&s.loop);
	turn_init(&s.turn, &s.loop, settings->loop_stall_warning_ms * NS_PER_MS, serve_turned, &s);
	serve_watch_signals(&s);
	r = systemd_init(&s.systemd, &why);
	if (!r)
		r = files_check(&why);
	if (!r)
		r = startup_check(settings, &why);
	if (!r)
		r = serve_build(&s, &why);
	if (!r)
		r = serve_open(&s, &why);
	if (r < 0) {
		serve_forget_signals();
		serve_last_words();
		log_error("The server cannot start: %s", why.n ? buf_cstr(&why) : strerror(-r));
		log_stop();
		fprintf(stderr, "sconce: cannot start: %s%s\n",
			why.n ? buf_cstr(&why) : strerror(-r),
			plan && r == -EADDRINUSE ? "; --port takes another" : "");
		return 1;
	}
	banner_log(&s.fleet);
	systemd_watch(&s.systemd, &s.loop);
	if (plan)
		s.dev = dev_create(&s.fleet, api_ready(s.api), plan, serve_known, &s);
	else
		startup_load_models(&s.fleet, api_ready(s.api), serve_known, serve_loaded, &s);
	uv_run(&s.loop, UV_RUN_DEFAULT);
	serve_take_apart(&s);
	closep(&s.ready_fd);
	log_info("The server has stopped");
	log_stop();
	buf_finish(&why);
	return 0;
}

int serve_run(struct settings *settings, int ready_fd)
{
	return serve_go(settings, ready_fd, NULL);
}

int serve_run_dev(struct settings *settings, const struct dev_plan *plan)
{
	return serve_go(settings, -1, plan);
}
