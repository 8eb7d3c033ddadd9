/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/models_progress.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/models.h"
#include "cli/printable.h"

#define PROGRESS_TIMEOUT_S 1
#define PROGRESS_WIDTH 40 /* of a model's name */

static void progress_print(yyjson_val *version)
{
	_cleanup_(buf_finish) struct buf status = BUF_INIT(256);

	models_put_status(&status, version);
	if (status.n)
		printable_print(stderr, buf_cstr(&status));
	else if (version)
		fprintf(stderr, "%zu of %lld workers ready", models_workers_ready(version),
			(long long)yyjson_get_sint(yyjson_obj_get(version, "minWorkers")));
	else
		fputs("loading the archive", stderr);
}

static void progress_tick(void *userdata)
{
	struct models_progress *p = userdata;
	uint64_t seconds = (clock_now_ns() - p->began_ns) / NS_PER_S;
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536);
	char name[PROGRESS_WIDTH + 1];
	yyjson_doc *doc = NULL;

	if (!seconds)
		return;
	buf_puts(&target, "/models");
	client_put_name(&p->asking, &target, p->model);
	if (client_ask(&p->asking, "GET", buf_cstr(&target)))
		return;
	if (p->asking.status == 200)
		doc = yyjson_read(p->asking.body.p, p->asking.body.n, 0);
	snprintf(name, sizeof(name), "%s", p->model);
	fputs("\r\033[K", stderr);
	printable_print(stderr, name);
	fputs(": ", stderr);
	progress_print(yyjson_arr_get_first(yyjson_doc_get_root(doc)));
	fprintf(stderr, ", %llu s", (unsigned long long)seconds);
	fflush(stderr);
	yyjson_doc_free(doc);
	p->shown = true;
}

void models_progress_begin(struct models_progress *p, struct client *waiting, const char *model)
{
	struct client_options options = waiting->options;

	*p = (struct models_progress){ .waiting = waiting, .began_ns = clock_now_ns() };
	if (!model || !isatty(STDERR_FILENO))
		return;
	options.timeout_s = PROGRESS_TIMEOUT_S;
	if (client_init(&p->asking, &options) != CLIENT_OK) {
		client_finish(&p->asking);
		return;
	}
	p->model = model;
	waiting->tick = progress_tick;
	waiting->userdata = p;
}

void models_progress_end(struct models_progress *p)
{
	if (!p->model)
		return;
	p->waiting->tick = NULL;
	client_finish(&p->asking);
	if (p->shown)
		fputs("\r\033[K", stderr);
}
