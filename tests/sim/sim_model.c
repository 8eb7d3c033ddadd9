/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "fleet/unpack.h"
#include "loop/work.h"
#include "sim.h"

static const struct sim_model models_all[] = {
	{ .url = "echo", .name = "echo", .version = "1.0", .batch_size = 1 },
	{ .url = "echo2",
	  .name = "echo",
	  .version = "2.0",
	  .batch_size = 4,
	  .batch_delay_ms = 20,
	  .streams = true },
	{ .url = "batch",
	  .name = "batch",
	  .version = "1.0",
	  .batch_size = 8,
	  .batch_delay_ms = 50,
	  .latency_goal_ms = 60 },
	{ .url = "stream",
	  .name = "stream",
	  .version = "1.0",
	  .batch_size = 1,
	  .latency_goal_ms = 20,
	  .streams = true },
	{ .url = "async",
	  .name = "async",
	  .version = "1.0",
	  .batch_size = 2,
	  .batch_delay_ms = 10,
	  .async = true,
	  .streams = true },
	{ .url = "hasty",
	  .name = "hasty",
	  .version = "1.0",
	  .batch_size = 2,
	  .batch_delay_ms = 5,
	  .client_timeout_ms = 400 },
	{ .url = "sequence",
	  .name = "sequence",
	  .version = "1.0",
	  .batch_size = 4,
	  .batch_delay_ms = 10,
	  .latency_goal_ms = 30,
	  .sequences = 4,
	  .sequences_max = 40,
	  .sequence_idle_ms = 2000 },
	{ .url = "talk",
	  .name = "talk",
	  .version = "1.0",
	  .batch_size = 1,
	  .async = true,
	  .streams = true,
	  .sequences = 12,
	  .sequences_max = 4,
	  .sequence_idle_ms = 50 },
	{ .url = "chat",
	  .name = "chat",
	  .version = "1.0",
	  .batch_size = 4,
	  .async = true,
	  .continuous = true,
	  .streams = true,
	  .sequences = 8,
	  .sequences_max = 8,
	  .sequence_idle_ms = 1000 },
	{ .url = "ticket",
	  .name = "ticket",
	  .version = "1.0",
	  .batch_size = 1,
	  .job_ticket = true },
	{ .url = "continuous",
	  .name = "continuous",
	  .version = "1.0",
	  .batch_size = 4,
	  .latency_goal_ms = 100,
	  .async = true,
	  .continuous = true,
	  .streams = true },
};

void models_draw(struct sim *s)
{
	unsigned first;

	do
		first = random_below(&s->random, ARRAY_LEN(models_all));
	while (s->weather.talks && !models_all[first].sequences);
	s->n_models = 2 + random_below(&s->random, SIM_MODELS_MAX - 1);
	for (unsigned i = 0; i < s->n_models; i++)
		s->models[i] = models_all[(first + i) % ARRAY_LEN(models_all)];
}

static void model_write(const char *folder, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static void model_config(const struct sim_model *m, char *text, size_t room)
{
	int n = snprintf(text, room, "batchSize: %d\nmaxBatchDelay: %d\n", m->batch_size,
			 m->batch_delay_ms);

	if (m->client_timeout_ms)
		n += snprintf(text + n, room - (size_t)n, "clientTimeoutInMills: %d\n",
			      m->client_timeout_ms);
	if (m->latency_goal_ms)
		n += snprintf(text + n, room - (size_t)n, "latency_goal_ms: %d\n",
			      m->latency_goal_ms);
	if (m->continuous)
		n += snprintf(text + n, room - (size_t)n, "continuousBatching: true\n");
	else if (m->async)
		n += snprintf(text + n, room - (size_t)n, "asyncCommunication: true\n");
	if (m->job_ticket)
		n += snprintf(text + n, room - (size_t)n, "useJobTicket: true\n");
	if (m->sequences)
		snprintf(text + n, room - (size_t)n,
			 "sequenceBatching: true\nsequenceMaxIdleMSec: %u\n"
			 "maxNumSequence: %u\nmaxSequenceJobQueueSize: 4\n",
			 m->sequence_idle_ms, m->sequences_max);
}

void models_write(const struct sim *s)
{
	for (unsigned i = 0; i < s->n_models; i++) {
		const struct sim_model *m = &s->models[i];
		char folder[64], text[512];

		snprintf(folder, sizeof(folder), "%s/store/%s", s->front.folder, m->url);
		mkdir(folder, 0700);
		snprintf(folder + strlen(folder), sizeof(folder) - strlen(folder), "/MAR-INF");
		mkdir(folder, 0700);
		snprintf(text, sizeof(text),
			 "{\"model\":{\"modelName\":\"%s\",\"modelVersion\":\"%s\","
			 "\"handler\":\"h.py:handle\",\"configFile\":\"model-config.yaml\"}}",
			 m->name, m->version);
		model_write(folder, "MANIFEST.json", text);
		*strrchr(folder, '/') = '\0';
		model_write(folder, "h.py", "");
		model_config(m, text, sizeof(text));
		model_write(folder, "model-config.yaml", text);
	}
}

/* ---- unpacking ---- */

struct sim_unpack {
	struct work work;
	struct fleet *fleet;
	char *source, *hint;
	struct region region;
	struct archive_error error;
	struct unpacked result;
	void (*done)(void *arg, struct unpacked *u);
	void *arg;
};

static void model_unpack(struct work *w)
{
	static const struct archive_limits limits = { 1 << 20, 100, 100 };
	struct sim_unpack *u = container_of(w, struct sim_unpack, work);
	struct slice dir;

	u->result.region = &u->region;
	if (archive_unpack(&u->region, u->source, "/nonexistent", &limits, slice_str(u->hint),
			   &u->result.manifest, &dir, &u->error) == 0) {
		u->result.dir = dir.p;
		return;
	}
	u->result.status = u->error.status;
	u->result.type = u->error.type;
	u->result.message = buf_cstr(&u->error.message);
}

static void model_unpacked(struct work *w)
{
	struct sim_unpack *u = container_of(w, struct sim_unpack, work);

	if (u->fleet->stopping) {
		u->result.status = 503;
		u->result.type = "ServiceUnavailableException";
		u->result.message = "The server is stopping";
	}
	u->done(u->arg, &u->result);
	region_finish(&u->region);
	buf_finish(&u->error.message);
	free(u->source);
	free(u->hint);
	free(u);
}

/* In the place of unpack_start(): what its child does, in this process. */
void __wrap_unpack_start(struct fleet *f, const char *source, struct slice name_hint,
			 void (*done)(void *arg, struct unpacked *u), void *arg);

void __wrap_unpack_start(struct fleet *f, const char *source, struct slice name_hint,
			 void (*done)(void *arg, struct unpacked *u), void *arg)
{
	struct sim_unpack *u = mem_new(struct sim_unpack);

	u->fleet = f;
	u->source = mem_strdup(source);
	u->hint = slice_dup(name_hint);
	u->error.message = BUF_INIT(4096);
	u->done = done;
	u->arg = arg;
	region_init(&u->region);
	work_start(f->loop, &u->work, model_unpack, model_unpacked);
}
