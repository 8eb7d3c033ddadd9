/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/startup.h"

#include <stdlib.h>
#include <string.h>

#include "fleet/register.h"
#include "fleet/sources.h"
#include "log/log.h"

static void startup_done(void *arg, const struct outcome *o)
{
	ready_arrived(arg, o->type ? o->message : NULL);
	if (o->type)
		log_error("A model of load_models could not be loaded: %s", o->message);
	else
		log_info("%s", o->message);
}

static void startup_load(struct fleet *f, struct ready *ready, struct slice name, struct slice url)
{
	struct awaited *a = ready_await(ready, name.n ? name : url);
	uint64_t workers = f->settings->default_workers_per_model;
	struct registration r = { .url = url,
				  .model_name = name,
				  .batch_size = -1,
				  .max_batch_delay_ms = -1,
				  .response_timeout_s = -1,
				  .startup_timeout_s = -1,
				  .synchronous = true,
				  .at_startup = true };

	r.initial_workers = (int64_t)(workers ? workers : f->gpus.n ? f->gpus.n : f->cpus);
	fleet_register(f, &r, startup_done, a);
}

static void startup_load_all(struct fleet *f, struct ready *ready)
{
	size_t n;
	char **all = source_list(f->settings, &n);

	for (size_t i = 0; i < n; i++) {
		startup_load(f, ready, SLICE_NULL, slice_str(all[i]));
		free(all[i]);
	}
	free(all);
}

void startup_load_models(struct fleet *f, struct ready *ready)
{
	struct slice rest = slice_str(f->settings->load_models);

	if (slice_ieq(rest, SLICE("all"))) {
		startup_load_all(f, ready);
		return;
	}
	while (rest.p) {
		struct slice item = slice_trim(slice_cut(&rest, ','));
		ptrdiff_t at = slice_find(item, '=');

		if (!item.n || slice_ieq(item, SLICE("none")))
			continue;
		if (at < 0)
			startup_load(f, ready, SLICE_NULL, item);
		else
			startup_load(
				f, ready, slice_trim(slice_make(item.p, (size_t)at)),
				slice_trim(slice_make(item.p + at + 1, item.n - (size_t)at - 1)));
	}
}
