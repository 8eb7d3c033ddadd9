/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/engines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "wire/json.h"
#include "worker/cache.h"
#include "worker/model.h"

#define ENGINES_LINE_MAX ((size_t)65536)

static struct sconce_host engine_host(const char *python, const char *cache)
{
	return (struct sconce_host){ .size = sizeof(struct sconce_host),
				     .abi = SCONCE_ENGINE_ABI,
				     .log = model_log,
				     .python = *python ? python : NULL,
				     .cache = cache,
				     .config = "{}" };
}

static void engine_line(struct buf *out, const char *file, const char *python)
{
	_cleanup_(freep) char *cache = cache_open("");
	struct sconce_host host = engine_host(python, cache);
	struct sconce_engine_info info;
	struct sconce_error e = { "" };
	struct plugin p;
	void *engine;

	json_put_member(out, "file", file);
	if (plugin_open(&p, file, &e) < 0) {
		json_put_member(out, "error", e.text);
		return;
	}
	json_put_member(out, "name", p.table->name);
	json_put_member(out, "version", p.table->version);
	json_put_member(out, "suffixes", p.table->suffixes);
	buf_printf(out, ",\"abi\":%u", p.table->abi);
	if (p.table->open(&host, &engine, &e) < 0) {
		json_put_member(out, "error", e.text);
		return;
	}
	plugin_info(p.table, engine, &info);
	json_put_member(out, "runtime", info.runtime);
	json_put_member(out, "runtimeVersion", info.version);
	json_put_member(out, "path", info.path);
	json_put_member(out, "devices", info.devices);
	json_put_member(out, "features", info.features);
	p.table->close(engine);
}

/* What an engine prints must not get into the list; what it does to itself is told. */
static _Noreturn void engine_child(const char *file, const char *python, int to)
{
	struct buf out = BUF_INIT(ENGINES_LINE_MAX);
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (quiet >= 0) {
		dup2(quiet, STDOUT_FILENO);
		dup2(quiet, STDERR_FILENO);
	}
	buf_putc(&out, '{');
	engine_line(&out, file, python);
	buf_puts(&out, "}\n");
	_exit(write(to, out.p, out.n) == (ssize_t)out.n ? 0 : 1);
}

/* Everything the child writes, until it ends or its time is up. True: in time. */
static bool engine_read(int from, struct buf *out, unsigned patience_s)
{
	uint64_t end_ns = clock_now_ns() + patience_s * NS_PER_S;
	struct pollfd p = { .fd = from, .events = POLLIN };

	for (;;) {
		uint64_t now_ns = clock_now_ns();
		char *room = buf_reserve(out, 4096);
		ssize_t n;

		if (!room || now_ns > end_ns ||
		    poll(&p, 1, (int)((end_ns - now_ns) / NS_PER_MS)) == 0)
			return false;
		n = read(from, room, 4096);
		if (n <= 0)
			return n == 0 || errno != EINTR;
		buf_added(out, (size_t)n);
	}
}

static void engine_failed(const char *file, unsigned patience_s, bool in_time, int status)
{
	struct buf out = BUF_INIT(ENGINES_LINE_MAX);
	char why[128];

	if (!in_time)
		snprintf(why, sizeof(why), "it did not open within %u s", patience_s);
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "it ended by signal %d (%s) while it was opened",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(why, sizeof(why), "it ended its process, with %d, while it was opened",
			 WEXITSTATUS(status));
	buf_putc(&out, '{');
	json_put_member(&out, "file", file);
	json_put_member(&out, "error", why);
	printf("%.*s}\n", (int)out.n, out.p);
	buf_finish(&out);
}

static void engine_report(const char *file, const char *python, unsigned patience_s)
{
	struct buf out = BUF_INIT(ENGINES_LINE_MAX);
	int ends[2], status = 0;
	bool in_time;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		engine_child(file, python, ends[1]);
	close(ends[1]);
	in_time = pid > 0 && engine_read(ends[0], &out, patience_s);
	close(ends[0]);
	/* With what it may have started. */
	if (pid > 0 && !in_time && kill(-pid, SIGKILL) < 0)
		kill(pid, SIGKILL);
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (in_time && out.n && out.p[out.n - 1] == '\n')
		fwrite(out.p, 1, out.n, stdout);
	else
		engine_failed(file, patience_s, in_time, status);
	buf_finish(&out);
}

int engines_list(const char *python, unsigned patience_s)
{
	size_t n;
	char **files = plugin_files(&n);

	fflush(stdout);
	for (size_t i = 0; i < n; i++) {
		engine_report(files[i], python, patience_s);
		fflush(stdout);
		free(files[i]);
	}
	free(files);
	return 0;
}

/* Only what is asked for goes to standard output, whatever an engine prints there. Returns where.
 */
static FILE *engines_quiet(void)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	fflush(stdout);
	if (fd >= 0)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	return fd >= 0 ? fdopen(fd, "w") : stdout;
}

static int engine_prepare(const struct sconce_engine *t, const char *python, const char *given,
			  struct sconce_error *e)
{
	_cleanup_(freep) char *cache = cache_open(given);
	struct sconce_host host = engine_host(python, cache);
	struct sconce_engine_info info;
	void *engine;

	if (!SCONCE_HAS(t, prepare) || !t->prepare) {
		snprintf(e->text, sizeof(e->text), "the engine %s needs nothing to be built",
			 t->name);
		return -1;
	}
	if (t->open(&host, &engine, e) < 0)
		return -1;
	if (t->prepare(engine, e) < 0)
		return -1;
	plugin_info(t, engine, &info);
	printf("%s is ready for %s %s\n", t->name, info.runtime, info.version);
	t->close(engine);
	return 0;
}

int engines_prepare(const char *name, const char *python, const char *cache)
{
	struct sconce_error e = { "" };
	struct plugin p;
	size_t from = 0;
	int r = plugin_find(&p, &from, name, "", &e);

	if (!r) {
		r = engine_prepare(p.table, python, cache, &e);
		plugin_close(&p);
	}
	if (r < 0)
		printf("%s\n", e.text);
	return r < 0 ? 1 : 0;
}

int engines_check(const char *file, const char *engine, const char *device, const char *python)
{
	/* The cache first: `errno` is to say what is wrong with the file. */
	_cleanup_(freep) char *cache = cache_open(""), *path = realpath(file, NULL);
	struct buf out = BUF_INIT(ENGINES_LINE_MAX);
	struct model_wish w = { .engine = engine,
				.device = device,
				.python = python,
				.cache = cache,
				.config = "{}",
				.instances = 1,
				.threads = 1 };
	struct sconce_error e = { "" };
	struct model m;
	FILE *to;
	char *slash;
	int r;

	if (!path) {
		fprintf(stderr, "sconce-worker: %s: %s\n", file, strerror(errno));
		return 1;
	}
	slash = strrchr(path, '/');
	*slash = '\0';
	w.dir = path;
	w.file = slash + 1;
	to = engines_quiet();
	r = model_open(&m, &w, &e);
	if (r < 0) {
		fprintf(stderr, "sconce-worker: %s\n", e.text);
	} else {
		buf_putc(&out, '{');
		model_describe(&m, &out);
		fprintf(to, "%.*s}\n", (int)out.n, out.p);
	}
	fclose(to);
	model_close(&m);
	buf_finish(&out);
	return r < 0 ? 1 : 0;
}
