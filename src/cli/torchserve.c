/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `torchserve` as its users type it. With --foreground the server runs in this process; otherwise a
 * child becomes the server, and this one returns when it listens (or says why it does not).
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "cli/pidfile.h"
#include "cli/sources.h"
#include "cli/torchserve_options.h"
#include "serve/serve.h"

#define STOP_PATIENCE_MS 60000

static const char *torchserve_tmp(const struct settings *s)
{
	return s->tmp_dir ? s->tmp_dir : "/tmp";
}

static bool torchserve_is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int torchserve_flag(struct settings *s, const char *key, const char *value, struct buf *why)
{
	return value ? settings_set(s, slice_str(key), slice_str(value), key, why) : 0;
}

static int torchserve_settings(struct settings *s, const struct torchserve_options *o,
			       struct buf *why)
{
	_cleanup_(buf_finish) struct buf models = BUF_INIT((size_t)1 << 20);
	int r;

	if (o->config && access(o->config, R_OK) < 0) {
		buf_printf(why, "--ts-config file not found: %s\n", o->config);
		return -ENOENT;
	}
	r = sources_load(s, o->config, why);
	if (!r)
		r = torchserve_flag(s, "model_store", o->model_store, why);
	if (!r)
		r = torchserve_flag(s, "workflow_store", o->workflow_store, why);
	torchserve_put_models(o, &models);
	if (!r && models.n)
		r = torchserve_flag(s, "load_models", buf_cstr(&models), why);
	if (!r && o->no_snapshots)
		r = torchserve_flag(s, "no_config_snapshots", "true", why);
	if (!r && o->disable_token_auth)
		r = torchserve_flag(s, "disable_token_authorization", "true", why);
	if (!r && o->enable_model_api)
		r = torchserve_flag(s, "enable_model_api", "true", why);
	if (!r)
		r = settings_check(s, why);
	return r;
}

static int torchserve_check_store(const struct settings *s, struct buf *why)
{
	if (!s->model_store) {
		buf_puts(why, "Missing mandatory parameter --model-store\n");
		return -EINVAL;
	}
	if (!torchserve_is_folder(s->model_store)) {
		buf_printf(why, "--model-store directory not found: %s\n", s->model_store);
		return -ENOENT;
	}
	return 0;
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

static int torchserve_start(struct settings *s, const struct torchserve_options *o)
{
	_cleanup_(freep) char *pid_path = mem_printf("%s/.model_server.pid", torchserve_tmp(s));
	struct buf why = BUF_INIT(4096);
	pid_t pid;
	enum pidfile_state state = pidfile_look(pid_path, &pid);

	if (state == PIDFILE_ALIVE) {
		puts("TorchServe is already running, please use torchserve --stop to stop "
		     "TorchServe.");
		return 1;
	}
	if (state == PIDFILE_ORPHAN) {
		puts("Removing orphan pid file.");
		unlink(pid_path);
	}
	if (torchserve_check_store(s, &why) < 0) {
		fputs(buf_cstr(&why), stdout);
		buf_finish(&why);
		return 1;
	}
	return o->foreground ? torchserve_serve(s, pid_path, -1)
			     : torchserve_background(s, pid_path);
}

/* ---- stop ---- */

static int torchserve_stop(const struct settings *s, const struct torchserve_options *o)
{
	_cleanup_(freep) char *pid_path = mem_printf("%s/.model_server.pid", torchserve_tmp(s));
	pid_t pid;
	enum pidfile_state state = pidfile_look(pid_path, &pid);

	if (state == PIDFILE_NONE) {
		puts("TorchServe is not currently running.");
		return 0;
	}
	if (state == PIDFILE_ORPHAN || kill(pid, SIGTERM) < 0) {
		puts("TorchServe already stopped.");
		unlink(pid_path);
		return 0;
	}
	unlink("key_file.json");
	if (o->foreground && !pidfile_wait(pid, STOP_PATIENCE_MS)) {
		puts("TorchServe has not stopped within 60 seconds.");
		return 1;
	}
	puts("TorchServe has stopped.");
	return 0;
}

int torchserve_main(int argc, char **argv)
{
	struct torchserve_options o;
	struct buf why = BUF_INIT((size_t)1 << 20);
	struct settings s;
	int code = torchserve_parse(&o, argc, argv);

	if (code >= 0)
		return code;
	if (o.version) {
		puts("TorchServe Version is 0.12.0");
		return 0;
	}
	settings_init(&s);
	code = torchserve_settings(&s, &o, &why);
	if (why.n)
		fputs(buf_cstr(&why), code ? stdout : stderr);
	if (code)
		code = 1;
	else
		code = o.stop ? torchserve_stop(&s, &o) : torchserve_start(&s, &o);
	buf_finish(&why);
	settings_finish(&s);
	return code;
}
