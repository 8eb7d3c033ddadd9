/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/* Where ONNX Runtime is: nothing of it is needed before a model is. */

#include <dlfcn.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIND_PATIENCE_MS 20000

extern char **environ;

static int find_open(struct onnx *o, const char *path)
{
	const struct ort_api_base *(*base)(void);

	o->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!o->library)
		return -1;
	*(void **)&base = dlsym(o->library, "OrtGetApiBase");
	o->api = base ? base()->get_api(ORT_API_VERSION) : NULL;
	if (!o->api) {
		dlclose(o->library);
		o->library = NULL;
		return -1;
	}
	o->version = base()->version();
	snprintf(o->path, sizeof(o->path), "%s", path);
	return 0;
}

static int find_matching(struct onnx *o, const char *pattern)
{
	glob_t found = { 0 };
	int r = -1;

	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc && r < 0; i++)
			r = find_open(o, found.gl_pathv[i]);
	globfree(&found);
	return r;
}

/* "<folder>/capi/libonnxruntime.so.1.31.1" */
static int find_in_package(struct onnx *o, const char *folder)
{
	char pattern[ONNX_PATH_MAX + 64];

	snprintf(pattern, sizeof(pattern), "%s/capi/libonnxruntime.so.*", folder);
	return find_matching(o, pattern);
}

/* Beside the interpreter, as in every virtual environment: no need to start it. */
static int find_beside(struct onnx *o, const char *python)
{
	const char *slash = strrchr(python, '/');
	char pattern[ONNX_PATH_MAX + 64];

	if (!slash)
		return -1;
	snprintf(pattern, sizeof(pattern),
		 "%.*s/../lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*",
		 (int)(slash - python), python);
	return find_matching(o, pattern);
}

/* What it prints, one line; an interpreter that hangs is ended. */
static int find_run(const char *python, const char *code, char *ret, size_t room)
{
	char *const arguments[] = { (char *)(uintptr_t)python, (char *)(uintptr_t) "-c",
				    (char *)(uintptr_t)code, NULL };
	posix_spawn_file_actions_t actions;
	struct pollfd p = { .events = POLLIN };
	int ends[2], status = -1;
	ssize_t n = -1;
	pid_t pid;

	if (pipe(ends) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	if (posix_spawn(&pid, python, &actions, NULL, arguments, environ) == 0) {
		p.fd = ends[0];
		close(ends[1]);
		ends[1] = -1;
		if (poll(&p, 1, FIND_PATIENCE_MS) == 1)
			n = read(ends[0], ret, room - 1);
		else
			kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	posix_spawn_file_actions_destroy(&actions);
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	if (n <= 0 || status)
		return -1;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

static int find_of_python(struct onnx *o, const char *python)
{
	char folder[ONNX_PATH_MAX];

	if (!python)
		return -1;
	if (find_beside(o, python) == 0)
		return 0;
	if (find_run(python,
		     "import importlib.util as u\n"
		     "s = u.find_spec('onnxruntime')\n"
		     "print(s.submodule_search_locations[0] if s else '')",
		     folder, sizeof(folder)) < 0 ||
	    !*folder)
		return -1;
	return find_in_package(o, folder);
}

/* `"library": "/path"` of the configuration; there is no more to read in it here. */
static int find_configured(const char *config, char *ret, size_t room)
{
	const char *at = config ? strstr(config, "\"library\"") : NULL;
	size_t n;

	at = at ? strchr(at + strlen("\"library\""), '"') : NULL;
	if (!at)
		return -1;
	n = strcspn(++at, "\"");
	if (!n || n >= room || memchr(at, '\\', n))
		return -1;
	memcpy(ret, at, n);
	ret[n] = '\0';
	return 0;
}

int onnx_find(struct onnx *o, struct sconce_error *e)
{
	const char *python = o->host->python;
	char path[ONNX_PATH_MAX];

	if (find_configured(SCONCE_HAS(o->host, config) ? o->host->config : NULL, path,
			    sizeof(path)) == 0) {
		if (find_open(o, path) == 0)
			return 0;
		snprintf(e->text, sizeof(e->text),
			 "engine.library: %.500s is not a library of ONNX Runtime that works here",
			 path);
		return -1;
	}
	if (find_of_python(o, python) == 0 || find_open(o, "libonnxruntime.so.1") == 0 ||
	    find_open(o, "libonnxruntime.so") == 0)
		return 0;
	snprintf(e->text, sizeof(e->text),
		 "ONNX Runtime is not installed: %.500s -m pip install onnxruntime",
		 python ? python : "python3");
	return -1;
}
