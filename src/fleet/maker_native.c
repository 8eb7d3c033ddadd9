/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/maker.h"

/* The native worker: one process for a version, whose instances are threads over shared weights. */

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "fleet/environment.h"

static bool native_suits(const struct worker *w)
{
	return w->model.native;
}

static void native_exited(struct child *c, int status)
{
	worker_ended(container_of(c, struct worker, child), status, NULL);
}

static int native_start(struct worker *w, const int ends[4])
{
	_cleanup_(freep) char *file = file_beside_us("sconce-worker");
	const char *argv[] = { file, "--fd", "3", NULL };
	struct spawn s = { .file = file, .cwd = w->model.dir };
	char **environment;
	int r;

	if (!file)
		return err_origin(-ENOENT);
	environment = worker_environment(w->shared, w, 0);
	s.environment = environment;
	s.argv = (char *const *)(uintptr_t)argv; /* execve() does not write them */
	memcpy(s.fds, ends, sizeof(s.fds));
	r = child_spawn(w->shared->children, &w->child, &s, native_exited);
	environment_free(environment);
	if (r < 0)
		return err_trace(r);
	worker_started(w, w->child.pid);
	return 0;
}

static void native_kill(struct worker *w)
{
	child_kill(&w->child, SIGKILL);
}

const struct worker_maker maker_native = {
	.name = "native",
	.suits = native_suits,
	.start = native_start,
	.kill = native_kill,
};
