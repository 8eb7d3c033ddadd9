/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/python.h"

#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "child/capture.h"

#define PYTHON_PROBE_MS 30000
#define PYTHON_PATH_MAX 65536

/* The interpreter behind `path`, or NULL when it does not work: version managers put a slow script
 * in front of it, which workers should not go through again. */
static char *python_resolve(const char *path)
{
	static const char *const ask[] = { "-I", "-S", "-c",
					   "import sys; sys.stdout.write('python:' + "
					   "(sys.executable or '')); "
					   "sys.exit(sys.version_info < (3, 9))",
					   NULL };
	_cleanup_(buf_finish) struct buf said = BUF_INIT(PYTHON_PATH_MAX);
	const struct slice mark = SLICE("python:");
	struct slice real;

	if (access(path, X_OK) < 0 || capture_run(path, ask, PYTHON_PROBE_MS, &said))
		return NULL;
	/* Other programs end well, too, whatever they are asked. */
	real = buf_slice(&said);
	if (!slice_starts(real, mark))
		return NULL;
	real = slice_make(real.p + mark.n, real.n - mark.n);
	return real.n && real.p[0] == '/' ? slice_dup(real) : mem_strdup(path);
}

/* What was set as a path is run as that path: its owner may have wrapped an interpreter. */
static char *python_check(struct slice path)
{
	_cleanup_(freep) char *given = slice_dup(path), *cwd = getcwd(NULL, 0);
	_cleanup_(freep) char *real = python_resolve(given);

	if (!real || given[0] == '/')
		return real ? TAKE(given) : NULL;
	return cwd ? mem_printf("%s/%s", cwd, given) : NULL;
}

/* A name without a slash is looked up as a shell would. */
static char *python_search(struct slice name)
{
	struct slice path = slice_str(getenv("PATH"));

	if (slice_find(name, '/') >= 0)
		return python_check(name);
	while (path.p) {
		struct slice dir = slice_cut(&path, ':');
		_cleanup_(freep) char *candidate = mem_printf("%.*s/%.*s", SLICE_ARG(dir),
							      SLICE_ARG(name));
		char *real = dir.n ? python_resolve(candidate) : NULL;

		if (real)
			return real;
	}
	return NULL;
}

/* "<folder of the executable>/<path>" when it can be read, or NULL. */
static char *python_beside(const char *path)
{
	_cleanup_(freep) char *found = file_beside_us(path);

	return found && access(found, R_OK) == 0 ? TAKE(found) : NULL;
}

/* Beside the executable's folder when installed, in the source tree when run from build/bin. */
char *python_packages(void)
{
	static const char *const places[] = { "../share/sconce/python", "../../python" };
	const char *home = getenv("SCONCE_PYTHON_PATH");

	if (home && *home)
		return mem_strdup(home);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_cleanup_(freep) char *place = mem_printf("%s/sconce/worker.py", places[i]);
		_cleanup_(freep) char *worker = python_beside(place),
				      *dir = python_beside(places[i]);

		if (worker && dir)
			return realpath(dir, NULL);
	}
	return NULL;
}

/* Installed into a virtual environment, it serves with that one's Python, active or not. */
static char *python_of_environment(void)
{
	_cleanup_(freep) char *mark = python_beside("../pyvenv.cfg"),
			      *executable = python_beside("python3");

	return mark && executable ? python_check(slice_str(executable)) : NULL;
}

/* What can be seen without running it. */
static const char *python_why_not(const char *wanted)
{
	if (!strchr(wanted, '/'))
		return "; it is not on the PATH, or too old";
	if (access(wanted, F_OK) < 0)
		return ": there is no such file";
	return access(wanted, X_OK) < 0 ? ": it cannot be executed" : "";
}

void python_find(struct python *p, const char *wanted)
{
	bool given = wanted && *wanted;

	*p = (struct python){ 0 };
	p->executable = given ? python_search(slice_str(wanted)) : python_of_environment();
	if (!p->executable && !given)
		p->executable = python_search(SLICE("python3"));
	if (!p->executable && given)
		p->why = mem_printf("'%s' is not a Python 3.9 or newer that runs%s", wanted,
				    python_why_not(wanted));
	else if (!p->executable)
		p->why = mem_strdup(
			"No Python 3.9 or newer was found on the PATH: install python3, "
			"or set python=/path/to/python3");
	p->packages = python_packages();
	if (!p->packages && !p->why)
		p->why = mem_strdup(
			"The Python packages that belong to this server were not found: "
			"reinstall it, or set SCONCE_PYTHON_PATH");
}

void python_finish(struct python *p)
{
	free(p->executable);
	free(p->packages);
	free(p->why);
	*p = (struct python){ 0 };
}
