/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/preparation.h"

#include <string.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "child/job.h"
#include "fleet/fleet.h"
#include "log/log.h"

#define PREPARATION_MAX_MS 900000
#define PREPARATION_NICE "19"

struct preparation {
	struct list link;
	char *engine, *python;
	uint64_t began_ns;
};

void preparations_init(struct preparations *ps)
{
	list_init(&ps->all);
}

void preparations_finish(struct preparations *ps)
{
	while (!list_empty(&ps->all)) {
		struct preparation *p = container_of(list_pop(&ps->all), struct preparation, link);

		free(p->engine);
		free(p->python);
		free(p);
	}
}

static bool is_forbidden(const struct version *v)
{
	struct slice json = v->manifest.config_json;
	yyjson_doc *doc;
	bool says;

	if (!v->fleet->settings->build_engines)
		return true;
	doc = yyjson_read(json.p, json.n, 0);
	says = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "engine"), "build");
	yyjson_doc_free(doc);
	return says;
}

static bool was_begun(const struct preparations *ps, const char *engine, const char *python)
{
	list_for_each (n, &ps->all) {
		const struct preparation *p = container_of(n, struct preparation, link);

		if (strcmp(p->engine, engine) == 0 && strcmp(p->python, python) == 0)
			return true;
	}
	return false;
}

static void preparation_done(void *arg, const struct job_end *end)
{
	const struct preparation *p = arg;
	struct slice said = end->output;

	if (end->stopped)
		return;
	said = slice_cut(&said, '\n');
	if (end->status == 0)
		log_info("What the engine %s needs is built, in %llu s: models that are "
			 "registered from now on are served by it, others after the next start",
			 p->engine,
			 (unsigned long long)((clock_now_ns() - p->began_ns) / NS_PER_S));
	else
		log_warn("What the engine %s needs could not be built, so handlers serve its "
			 "models: %.*s",
			 p->engine, SLICE_ARG(said.n ? said : SLICE("it ended without a word")));
}

void preparation_begin(const struct version *v, const char *engine)
{
	struct fleet *f = v->fleet;
	const char *found = v->python ? v->python : f->python.executable;
	const char *python = found ? found : "";
	_cleanup_(freep) char *file = file_beside_us("sconce-worker");
	const char *const argv[] = { "sconce-worker",
				     "--prepare",
				     engine,
				     "--python",
				     python,
				     "--cache",
				     f->settings->cache_dir ? f->settings->cache_dir : "",
				     "--nice",
				     PREPARATION_NICE,
				     NULL };
	struct job_spec spec = {
		.kind = JOB_BUILD, .file = file, .argv = argv, .limit_ms = PREPARATION_MAX_MS
	};
	struct preparation *p;

	if (!file || is_forbidden(v) || was_begun(&f->preparations, engine, python))
		return;
	log_info("Building what the engine %s needs, beside all else: this takes a while, once",
		 engine);
	p = mem_new(struct preparation);
	p->engine = mem_strdup(engine);
	p->python = mem_strdup(python);
	p->began_ns = clock_now_ns();
	list_push_back(&f->preparations.all, &p->link);
	job_start(&f->jobs, &spec, preparation_done, p);
}
