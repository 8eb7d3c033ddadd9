/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/removal.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "log/log.h"

struct removal {
	struct work work;
	char *path;
	int error;
	void (*done)(void *arg);
	void *arg;
};

static void removal_run(struct work *w)
{
	struct removal *r = container_of(w, struct removal, work);

	if (r->path)
		r->error = file_remove_tree(r->path);
}

static void removal_done(struct work *w)
{
	struct removal *r = container_of(w, struct removal, work);

	if (r->error)
		log_warn("%s could not be removed: %s", r->path, strerror(-r->error));
	if (r->done)
		r->done(r->arg);
	free(r->path);
	free(r);
}

void removal_add(struct lane *l, char *path, void (*done)(void *arg), void *arg)
{
	struct removal *r = mem_new(struct removal);

	r->path = path;
	r->done = done;
	r->arg = arg;
	lane_add(l, &r->work, removal_run, removal_done);
}
