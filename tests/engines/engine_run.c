/* SPDX-License-Identifier: Apache-2.0 */
#include <sconce/engine.h>

/*
 * Runs an engine without a server: what is tested of an engine, or measured, depends on nothing
 * else. Inputs are memory that nobody may write, and are gone before the outputs are looked at, so
 * an engine that keeps to neither is found out. See arguments.c for what it can be asked.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "arguments.h"
#include "measure.h"
#include "report.h"
#include "tensor_file.h"

#define CANCEL_NS 1000000
#define RETUNE_SECONDS 20

struct host {
	struct sconce_host host;
	struct report *report;
};

struct session {
	struct arguments a;
	struct host host;
	const struct sconce_engine *engine;
	void *opened, *model, **instances;
	void *another; /* instance, of --restless */
	const struct sconce_signature *signature;
};

/* An instance at work on a group. */
struct job {
	struct session *s;
	void *instance;
	struct sconce_tensor *inputs;
	size_t n_inputs;
	struct sconce_tensor *outputs; /* of the last run */
	void **lent;
	uint64_t *ns, hash;
	int result, differs;
	struct sconce_error error;
	pthread_t thread;
};

static void host_log(const struct sconce_host *host, int level, const char *line)
{
	report_log(((const struct host *)host)->report, level, line);
}

/* Prints what could not be done, and ends. */
static void give_up(struct session *s, const char *stage, const char *error)
{
	struct report *r = s->host.report;

	yyjson_mut_obj_add_strcpy(report_document(r), report_root(r), "stage", stage);
	yyjson_mut_obj_add_strcpy(report_document(r), report_root(r), "error", error);
	report_finish(r);
	free(s->instances);
	exit(1);
}

static void *calloc_or_end(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		exit(2);
	return p;
}

/* ---- loading ---- */

static void add_ms(struct session *s, const char *key, uint64_t began)
{
	struct report *r = s->host.report;

	yyjson_mut_obj_add_real(report_document(r), report_root(r), key,
				(double)(now_ns() - began) / 1e6);
}

static void engine_open(struct session *s)
{
	void *library = dlopen(s->a.engine, RTLD_NOW | RTLD_LOCAL);
	struct sconce_engine_info info = { .size = sizeof(info) };
	struct sconce_error error = { "" };
	uint64_t began = now_ns();

	if (!library)
		give_up(s, "dlopen", dlerror());
	s->engine = dlsym(library, SCONCE_ENGINE_SYMBOL);
	if (!s->engine)
		give_up(s, "dlopen", "it has no symbol " SCONCE_ENGINE_SYMBOL);
	if (s->engine->abi != SCONCE_ENGINE_ABI)
		give_up(s, "dlopen", "it was built for another SCONCE_ENGINE_ABI: build it again");
	if (s->engine->open && s->engine->open(&s->host.host, &s->opened, &error))
		give_up(s, "open", error.text);
	add_ms(s, "open_ms", began);
	if (s->engine->info)
		s->engine->info(s->opened, &info);
	report_info(s->host.report, s->engine, &info);
}

static void model_load(struct session *s)
{
	char path[4096];
	struct sconce_model_options options = {
		.size = sizeof(options),
		.path = realpath(s->a.model, path) ? path : s->a.model,
		.device = s->a.device,
		.instances = s->a.instances,
		.threads = s->a.threads,
		.batch = s->a.batch,
		.config = s->a.config,
	};
	struct sconce_error error = { "" };
	uint64_t began = now_ns();

	if (s->engine->load(s->opened, &options, &s->model, &error)) {
		if (s->engine->close)
			s->engine->close(s->opened);
		give_up(s, "load", error.text);
	}
	s->signature = s->engine->signature(s->model);
	for (uint32_t i = 0; i < s->a.instances; i++) {
		s->instances[i] = s->model;
		if (s->engine->instance_create &&
		    s->engine->instance_create(s->model, i, &s->instances[i], &error))
			give_up(s, "instance", error.text);
	}
	for (uint32_t i = 0; i < s->a.instances; i++)
		if (SCONCE_HAS(s->engine, warm_up) && s->engine->warm_up &&
		    s->engine->warm_up(s->instances[i], &error))
			give_up(s, "warm_up", error.text);
	add_ms(s, "load_ms", began);
	report_signature(s->host.report, s->signature);
}

static void model_unload(struct session *s)
{
	if (s->another)
		s->engine->instance_destroy(s->another);
	for (uint32_t i = 0; s->engine->instance_destroy && i < s->a.instances; i++)
		s->engine->instance_destroy(s->instances[i]);
	if (s->engine->unload)
		s->engine->unload(s->model);
}

/* ---- running ---- */

static uint64_t hash_add(uint64_t hash, const void *p, size_t n)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

static uint64_t hash_outputs(const struct sconce_tensor *t, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; n; n--, t++) {
		hash = hash_add(hash, &t->dtype, sizeof(t->dtype));
		hash = hash_add(hash, t->shape, t->ndim * sizeof(*t->shape));
		hash = hash_add(hash, t->data, t->bytes);
	}
	return hash;
}

static void outputs_release(struct job *j)
{
	for (size_t i = 0; i < j->s->signature->n_outputs; i++)
		if (j->outputs[i].release)
			j->outputs[i].release(&j->outputs[i]);
	memset(j->outputs, 0, j->s->signature->n_outputs * sizeof(*j->outputs));
}

static void outputs_lend(struct job *j)
{
	long lend = j->s->a.lend;

	for (size_t i = 0; lend >= 0 && i < j->s->signature->n_outputs; i++) {
		if (!j->lent[i])
			j->lent[i] = guarded_alloc((size_t)lend);
		j->outputs[i].data = j->lent[i];
		j->outputs[i].bytes = (uint64_t)lend;
	}
}

static void job_once(struct job *j)
{
	const struct sconce_signature *s = j->s->signature;

	outputs_release(j);
	outputs_lend(j);
	j->result = j->s->engine->run(j->instance, j->inputs, j->n_inputs, j->outputs, s->n_outputs,
				      &j->error);
	if (j->result)
		memset(j->outputs, 0, s->n_outputs * sizeof(*j->outputs));
}

static void *job_run(void *arg)
{
	struct job *j = arg;
	const struct arguments *a = &j->s->a;

	for (long i = -a->warm; i < a->repeat; i++) {
		uint64_t began = now_ns();

		job_once(j);
		if (i >= 0)
			j->ns[i] = now_ns() - began;
		if (j->result)
			break;
		uint64_t hash = hash_outputs(j->outputs, j->s->signature->n_outputs);
		j->differs |= i > -a->warm && hash != j->hash;
		j->hash = hash;
	}
	return NULL;
}

/* Cancels until it has ended: who cancels does not know when a run begins. */
static void job_join(struct job *j)
{
	const struct sconce_engine *e = j->s->engine;
	struct timespec until;

	if (j->s->a.cancel && SCONCE_HAS(e, cancel) && e->cancel) {
		do {
			e->cancel(j->instance);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += CANCEL_NS;
			until.tv_sec += until.tv_nsec / 1000000000;
			until.tv_nsec %= 1000000000;
		} while (pthread_timedjoin_np(j->thread, NULL, &until));
		return;
	}
	pthread_join(j->thread, NULL);
}

/* ---- telling ---- */

static void add_outputs(struct session *s, const struct job *j, size_t group, yyjson_mut_val *run)
{
	struct report *r = s->host.report;
	yyjson_mut_val *list = yyjson_mut_obj_add_arr(report_document(r), run, "outputs");
	char name[64], file[80];

	for (size_t i = 0; i < s->signature->n_outputs; i++) {
		const struct sconce_tensor *t = &j->outputs[i];
		int lent = t->data && t->data == j->lent[i];

		snprintf(name, sizeof(name), "%zu-%zu", group, i);
		if (s->a.out && tensor_write(t, s->a.out, name, file, sizeof(file)))
			exit(2);
		yyjson_mut_arr_add_val(list, report_tensor(r, t, s->a.out ? file : NULL, lent));
	}
}

static void add_run(struct session *s, const struct job *jobs, uint32_t n, size_t group,
		    yyjson_mut_val *runs)
{
	struct report *r = s->host.report;
	yyjson_mut_doc *doc = report_document(r);
	yyjson_mut_val *run = yyjson_mut_arr_add_obj(doc, runs), *ns;
	const struct job *failed = NULL;
	int same = 1;

	for (uint32_t i = 0; i < n; i++) {
		failed = jobs[i].result && !failed ? &jobs[i] : failed;
		same &= !jobs[i].differs && jobs[i].hash == jobs[0].hash;
	}
	if (failed) {
		yyjson_mut_obj_add_strcpy(doc, run, "error", failed->error.text);
		yyjson_mut_obj_add_bool(doc, run, "bad_input", failed->result == SCONCE_BAD_INPUT);
		return;
	}
	yyjson_mut_obj_add_bool(doc, run, "same", same);
	ns = yyjson_mut_obj_add_arr(doc, run, "ns");
	for (long i = 0; i < s->a.repeat; i++)
		yyjson_mut_arr_add_uint(doc, ns, jobs[0].ns[i]);
	add_outputs(s, jobs, group, run);
}

/* ---- a group ---- */

static void job_begin(struct session *s, struct job *j, void *instance)
{
	*j = (struct job){ .s = s, .instance = instance };
	j->outputs = calloc_or_end(s->signature->n_outputs, sizeof(*j->outputs));
	j->lent = calloc_or_end(s->signature->n_outputs, sizeof(*j->lent));
	j->ns = calloc_or_end((size_t)s->a.repeat, sizeof(*j->ns));
}

static void job_end(struct job *j)
{
	outputs_release(j);
	for (size_t i = 0; i < j->s->signature->n_outputs; i++)
		if (j->lent[i])
			guarded_free(j->lent[i], (size_t)j->s->a.lend);
	free(j->outputs);
	free(j->lent);
	free(j->ns);
}

/* What may come while others run: other threads, an instance more, which runs, and one less. */
static void change(struct session *s, const struct job *like, size_t step)
{
	struct sconce_error error;
	struct job job;

	if (step % 4 < 2) {
		s->engine->set_threads(s->model, step % 4 ? 1 : 2);
		return;
	}
	if (step % 4 == 3) {
		s->engine->instance_destroy(s->another);
		s->another = NULL;
		return;
	}
	if (s->engine->instance_create(s->model, s->a.instances, &s->another, &error))
		give_up(s, "instance", error.text);
	job_begin(s, &job, s->another);
	job.inputs = like->inputs;
	job.n_inputs = like->n_inputs;
	job_run(&job);
	job_end(&job);
}

static void group_run(struct session *s, size_t group, yyjson_mut_val *runs)
{
	const struct group *g = &s->a.groups[group];
	int alone = s->a.restless && group % 2;
	uint32_t n = alone ? 1 : s->a.instances;
	struct sconce_tensor *inputs = calloc_or_end(g->n, sizeof(*inputs));
	struct job *jobs = calloc_or_end(n, sizeof(*jobs));

	for (size_t i = 0; i < g->n; i++)
		if (tensor_read(g->inputs[i], &inputs[i]))
			exit(2);
	for (uint32_t i = 0; i < n; i++) {
		job_begin(s, &jobs[i], alone && s->another ? s->another : s->instances[i]);
		jobs[i].inputs = inputs;
		jobs[i].n_inputs = g->n;
	}
	for (uint32_t i = 0; i < n; i++)
		pthread_create(&jobs[i].thread, NULL, job_run, &jobs[i]);
	if (s->a.restless && group % (size_t)s->a.restless == 0)
		change(s, jobs, group / (size_t)s->a.restless);
	for (uint32_t i = 0; i < n; i++)
		job_join(&jobs[i]);
	for (size_t i = 0; i < g->n; i++)
		guarded_free(inputs[i].data, inputs[i].bytes);
	add_run(s, jobs, n, group, runs);
	for (uint32_t i = 0; i < n; i++)
		job_end(&jobs[i]);
	free(jobs);
	free(inputs);
}

static void retune(struct session *s)
{
	size_t have = report_await_log(s->host.report, 0, 0);

	if (!SCONCE_HAS(s->engine, set_threads) || !s->engine->set_threads)
		return;
	s->engine->set_threads(s->model, (uint32_t)s->a.retune);
	report_await_log(s->host.report, have, RETUNE_SECONDS);
}

static void groups_run(struct session *s)
{
	struct report *r = s->host.report;
	yyjson_mut_doc *doc = report_document(r);
	yyjson_mut_val *runs = yyjson_mut_obj_add_arr(doc, report_root(r), "runs");

	for (size_t i = 0; i < s->a.n_groups; i++) {
		if (s->a.retune && i + 1 == s->a.n_groups)
			retune(s);
		if (s->a.await && i + 1 == s->a.n_groups)
			report_await_log(r, (size_t)s->a.await - 1, RETUNE_SECONDS);
		group_run(s, i, runs);
	}
	if (SCONCE_HAS(s->engine, memory) && s->engine->memory)
		yyjson_mut_obj_add_uint(doc, report_root(r), "memory", s->engine->memory(s->model));
}

int main(int argc, char **argv)
{
	struct session s = { 0 };

	arguments_read(&s.a, argc, argv);
	s.host.report = report_create();
	s.host.host = (struct sconce_host){
		.size = sizeof(s.host.host),
		.abi = SCONCE_ENGINE_ABI,
		.log = host_log,
		.python = s.a.python,
		.cache = s.a.cache,
		.config = s.a.host_config,
	};
	s.instances = calloc_or_end(s.a.instances, sizeof(*s.instances));
	report_process(s.host.report, "before");
	engine_open(&s);
	if (s.a.model) {
		model_load(&s);
		report_process(s.host.report, "loaded");
		if (s.a.touch && utimensat(AT_FDCWD, s.a.model, NULL, 0))
			exit(2);
		groups_run(&s);
		report_process(s.host.report, "after");
		model_unload(&s);
	}
	if (s.engine->close)
		s.engine->close(s.opened);
	report_finish(s.host.report);
	free(s.instances);
	return 0;
}
