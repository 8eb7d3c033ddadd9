/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `torchserve` as its users type it. With --foreground the server runs in this process; otherwise a
 * child becomes the server, and this one returns when it listens (or says why it does not).
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "cli/kserve.h"
#include "cli/pidfile.h"
#include "cli/printable.h"
#include "cli/sources.h"
#include "cli/torchserve_options.h"
#include "serve/serve.h"

/* How long --stop waits: TorchServe's 60 s at least; beyond drain_timeout, workers get 10 s to end
 * and folders are removed. It says so when the server is not gone at once. */
#define STOP_PATIENCE_MIN_MS 60000
#define STOP_PATIENCE_AFTER_DRAIN_MS 30000
#define STOP_SILENCE_MS 1000

static const char *torchserve_tmp(const struct settings *s)
{
	return s->tmp_dir ? s->tmp_dir : "/tmp";
}

static bool torchserve_is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool torchserve_is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* NULL: none were named. */
static const char *torchserve_models(const struct torchserve_options *o, struct buf *list)
{
	torchserve_put_models(o, list);
	return o->models.n ? buf_cstr(list) : NULL;
}

static int torchserve_flags(struct settings *s, void *arg, struct buf *why)
{
	const struct torchserve_options *o = arg;
	_cleanup_(buf_finish) struct buf list = BUF_INIT((size_t)1 << 20);
	const char *models = torchserve_models(o, &list);
	const struct {
		const char *key, *flag, *value;
	} all[] = {
		{ "model_store", "--model-store", o->model_store },
		{ "workflow_store", "--workflow-store", o->workflow_store },
		{ "load_models", "--models", models },
		{ "cpp_log_config", "--cpp-log-config", o->cpp_log_config },
		{ "no_config_snapshots", "--ncs", o->no_snapshots ? "true" : NULL },
		{ "disable_token_authorization", "--disable-token-auth",
		  o->disable_token_auth ? "true" : NULL },
		{ "enable_model_api", "--enable-model-api", o->enable_model_api ? "true" : NULL },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(all) && !r; i++)
		if (all[i].value)
			r = settings_set(s, slice_str(all[i].key), slice_str(all[i].value),
					 all[i].flag, why);
	return r;
}

static int torchserve_settings(struct settings *s, struct torchserve_options *o, struct buf *why)
{
	const struct sources from = {
		.file = o->config, .flags = torchserve_flags, .arg = o, .environment_last = true
	};
	int r = sources_load(s, &from, why);

	r = r ? r : kserve_apply(s, why);
	return r ? r : settings_check(s, why);
}

/* ---- what a start needs ---- */

/* Tells what is missing in TorchServe's words. */
static bool torchserve_has_file(const char *flag, const char *path)
{
	if (!path || torchserve_is_file(path))
		return true;
	printable_printf(stdout, "%s file not found: %s\n", flag, path);
	return false;
}

/* A flag is answered in TorchServe's words; who wrote it elsewhere is shown where. */
static bool torchserve_has_folder(const struct settings *s, const char *key, const char *path)
{
	_cleanup_(buf_finish) struct buf place = BUF_INIT(PATH_MAX + 256);
	const char *origin = settings_origin(s, key);

	if (torchserve_is_folder(path))
		return true;
	if (origin && strncmp(origin, "--", 2) == 0) {
		printable_printf(stdout, "%s directory not found: %s\n", origin, path);
		return false;
	}
	settings_put_head(s, key, &place);
	printable_printf(stdout, "%sdirectory not found: %s\n", buf_cstr(&place), path);
	return false;
}

static bool torchserve_check_files(const struct torchserve_options *o)
{
	const char *named = getenv("TS_CONFIG_FILE"), *temp = getenv("TEMP");
	bool by_variable = named && *named;

	if (temp && *temp && !torchserve_is_folder(temp)) {
		printable_printf(
			stdout,
			"Invalid temp directory: %s, please check TEMP environment variable.\n",
			temp);
		return false;
	}
	return torchserve_has_file("--log-config", o->log_config) &&
	       torchserve_has_file(by_variable ? "TS_CONFIG_FILE" : "--ts-config",
				   by_variable ? named : o->config) &&
	       torchserve_has_file("--cpp-log-config", o->cpp_log_config);
}

/* There are no workflows yet: a folder for them that is missing does no harm. One that was asked
 * for right now is told in TorchServe's words. */
static bool torchserve_check_workflows(const struct settings *s)
{
	_cleanup_(buf_finish) struct buf place = BUF_INIT(PATH_MAX + 256);
	const char *origin = settings_origin(s, "workflow_store");

	if (!origin || torchserve_is_folder(s->workflow_store))
		return true;
	if (strncmp(origin, "--", 2) == 0)
		return torchserve_has_folder(s, "workflow_store", s->workflow_store);
	settings_put_head(s, "workflow_store", &place);
	fprintf(stderr,
		"warning: %sthere is no folder %s; workflows are not served by this version\n",
		buf_cstr(&place), s->workflow_store);
	return true;
}

static bool torchserve_check_stores(const struct settings *s)
{
	if (!s->model_store) {
		puts("Missing mandatory parameter --model-store");
		return false;
	}
	return torchserve_has_folder(s, "model_store", s->model_store) &&
	       torchserve_check_workflows(s);
}

static void torchserve_warn(const struct torchserve_options *o)
{
	const struct {
		const char *flag, *value, *why;
	} ignored[] = {
		{ "--plugins-path", o->plugins_path, "Java plug-ins cannot be loaded" },
		{ "--log-config", o->log_config,
		  "it is for log4j; see log_level and log_location" },
		{ "--cpp-log-config", o->cpp_log_config, "there are no C++ workers" },
	};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		if (ignored[i].value)
			fprintf(stderr, "warning: %s has no effect: %s\n", ignored[i].flag,
				ignored[i].why);
}

/* ---- start ---- */

/* Serves with the pid file held. `ready_fd`: see serve_run(). */
static int torchserve_serve(struct settings *s, const char *pid_path, int ready_fd)
{
	int fd = pidfile_claim(pid_path), code;

	if (fd < 0)
		fprintf(stderr, "warning: %s cannot be written: %s\n", pid_path, strerror(-fd));
	code = serve_run(s, ready_fd);
	pidfile_release(pid_path, fd);
	return code;
}

static int torchserve_child(struct settings *s, const char *pid_path, int ready_fd)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setsid();
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	return torchserve_serve(s, pid_path, ready_fd);
}

static int torchserve_background(struct settings *s, const char *pid_path)
{
	int pair[2], status = 0;
	char byte;
	pid_t pid;

	fflush(stdout);
	if (pipe2(pair, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		perror("torchserve");
		return 1;
	}
	if (pid == 0) {
		close(pair[0]);
		_exit(torchserve_child(s, pid_path, pair[1]));
	}
	close(pair[1]);
	if (read(pair[0], &byte, 1) == 1) {
		puts("Model server started.");
		return 0;
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

/* True: go on. */
static bool torchserve_is_free(const char *pid_path)
{
	pid_t pid;
	enum pidfile_state state = pidfile_look(pid_path, &pid);

	if (state == PIDFILE_ALIVE) {
		puts("TorchServe is already running, please use torchserve --stop to stop "
		     "TorchServe.");
		return false;
	}
	if (state == PIDFILE_ORPHAN) {
		puts("Removing orphan pid file.");
		unlink(pid_path);
	}
	return true;
}

static int torchserve_start(struct settings *s, struct torchserve_options *o)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT((size_t)1 << 20);
	_cleanup_(freep) char *pid_path = NULL;
	int r;

	if (!torchserve_check_files(o))
		return 1;
	r = torchserve_settings(s, o, &why);
	sources_report(&why, stdout);
	if (r)
		return 1;
	pid_path = mem_printf("%s/.model_server.pid", torchserve_tmp(s));
	if (!torchserve_is_free(pid_path) || !torchserve_check_stores(s))
		return 1;
	torchserve_warn(o);
	kserve_tell(s);
	return o->foreground ? torchserve_serve(s, pid_path, -1)
			     : torchserve_background(s, pid_path);
}

/* ---- stop ---- */

/* False: it has not ended in time. */
static bool torchserve_wait(const struct settings *s, pid_t pid)
{
	uint64_t drain_ms = MIN(s->drain_timeout, INT_MAX / 2000) * 1000;
	int patience_ms = (int)MAX(drain_ms + STOP_PATIENCE_AFTER_DRAIN_MS, STOP_PATIENCE_MIN_MS);

	if (pidfile_wait(pid, STOP_SILENCE_MS))
		return true;
	fprintf(stderr,
		"Waiting for the server (process %d) to finish the requests in flight, at most %d "
		"s; a second SIGTERM cuts that short.\n",
		(int)pid, patience_ms / 1000);
	return pidfile_wait(pid, patience_ms - STOP_SILENCE_MS);
}

/* Settings only say where the pid file is: what is wrong with them must not keep it running. Waits
 * for the end, so that the next start finds the place free. */
static int torchserve_stop(struct settings *s, struct torchserve_options *o)
{
	_cleanup_(buf_finish) struct buf unsaid = BUF_INIT((size_t)1 << 20);
	_cleanup_(freep) char *pid_path = NULL;
	enum pidfile_state state;
	pid_t pid;

	torchserve_settings(s, o, &unsaid);
	pid_path = mem_printf("%s/.model_server.pid", torchserve_tmp(s));
	state = pidfile_look(pid_path, &pid);
	if (state == PIDFILE_ORPHAN) {
		puts("Removing orphan pid file.");
		unlink(pid_path);
	}
	if (state != PIDFILE_ALIVE) {
		puts("TorchServe is not currently running.");
		return 0;
	}
	if (kill(pid, SIGTERM) < 0) {
		puts("TorchServe already stopped.");
		return 0;
	}
	if (s->key_file)
		unlink(s->key_file);
	if (!torchserve_wait(s, pid)) {
		puts("Stopping TorchServe took too long.");
		return 1;
	}
	puts("TorchServe has stopped.");
	return 0;
}

int torchserve_main(int argc, char **argv)
{
	struct torchserve_options o;
	struct settings s;
	int code = torchserve_parse(&o, argc, argv);

	if (code < 0 && o.version) {
		puts("TorchServe Version is 0.12.0");
		code = 0;
	} else if (code < 0) {
		settings_init(&s);
		code = o.stop ? torchserve_stop(&s, &o) : torchserve_start(&s, &o);
		settings_finish(&s);
	}
	return code;
}
