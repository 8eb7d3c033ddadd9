/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/removal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "log/log.h"

struct removal {
	struct work work;
	struct removals *all;
	char *path;
	int error;
	void (*done)(void *arg);
	void *arg;
};

static void removal_run(struct work *w)
{
	struct removal *r = container_of(w, struct removal, work);

	if (r->path)
		r->error = file_remove_tree_until(AT_FDCWD, r->path, &r->all->until_ns);
}

static void removal_done(struct work *w)
{
	struct removal *r = container_of(w, struct removal, work);

	if (r->error == -ETIMEDOUT)
		log_warn("%s is left: there was no time to remove all of it", r->path);
	else if (r->error)
		log_warn("%s could not be removed: %s", r->path, strerror(-r->error));
	if (r->done)
		r->done(r->arg);
	free(r->path);
	free(r);
}

void removals_init(struct removals *rs, uv_loop_t *loop)
{
	lane_init(&rs->lane, loop);
	rs->until_ns = 0;
}

void removals_finish(struct removals *rs)
{
	lane_finish(&rs->lane);
}

void removals_limit(struct removals *rs, uint64_t until_ns)
{
	rs->until_ns = until_ns;
}

void removal_add(struct removals *rs, char *path, void (*done)(void *arg), void *arg)
{
	struct removal *r = mem_new(struct removal);

	r->all = rs;
	r->path = path;
	r->done = done;
	r->arg = arg;
	lane_add(&rs->lane, &r->work, removal_run, removal_done);
}
