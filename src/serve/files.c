/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/files.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/util.h"
#include "log/log.h"

#define FILES_MIN 128 /* listeners, logs, a worker, a child that unpacks, some connections */
#define FILES_OF_WORKERS UINT64_C(2048) /* and logs, models, children: hundreds of workers */

/* A body above half a segment has memory of its own. Promised and used, that is twice the budget
 * at most, and each piece of memory is two descriptors. */
static uint64_t files_of_bodies(const struct settings *s)
{
	return 2 * (2 * s->memory_budget / (s->pool_segment_size / 2));
}

int files_check(struct buf *why)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_max >= FILES_MIN)
		return 0;
	buf_printf(why,
		   "no more than %llu files may be open here, %d are needed at least. Raise the "
		   "limit (ulimit -Hn, LimitNOFILE)",
		   (unsigned long long)l.rlim_max, FILES_MIN);
	return err_origin(-EMFILE);
}

unsigned files_for_connections(const struct settings *s)
{
	uint64_t kept = FILES_OF_WORKERS + files_of_bodies(s), fit;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return (unsigned)s->max_connections;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	fit = l.rlim_max - MIN(l.rlim_max / 2, kept);
	if (fit >= s->max_connections)
		return (unsigned)s->max_connections;
	log_warn("max_connections is %llu, but no more than %llu files may be open here: there "
		 "will be %llu connections at most. Raise the limit (ulimit -Hn, LimitNOFILE)",
		 (unsigned long long)s->max_connections, (unsigned long long)l.rlim_max,
		 (unsigned long long)fit);
	return (unsigned)MAX(fit, 1);
}
