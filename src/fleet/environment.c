/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/environment.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"
#include "fleet/fleet.h"
#include "fleet/worker.h"

extern char **environ;

static const char *const environment_threads[] = { "OMP_NUM_THREADS", "MKL_NUM_THREADS",
						   "OPENBLAS_NUM_THREADS" };

/* A handler gets and makes objects as large as bodies at every call. glibc would give their pages
 * back each time, and the kernel clear them again: three quarters of a 600 KB call. */
static const char *const environment_malloc[][2] = { { "MALLOC_MMAP_THRESHOLD_", "33554432" },
						     { "MALLOC_TRIM_THRESHOLD_", "33554432" } };

struct environment {
	char **all;
	size_t n;
};

static void environment_add(struct environment *e, char *line)
{
	e->all = mem_realloc(e->all, (e->n + 2) * sizeof(*e->all));
	e->all[e->n++] = line;
	e->all[e->n] = NULL;
}

static bool environment_replaced(struct slice name)
{
	return slice_eq(name, SLICE("PYTHONPATH")) ||
	       slice_eq(name, SLICE("TS_DECODE_INPUT_REQUEST"));
}

static bool environment_is_threads(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(environment_threads); i++)
		if (slice_eq(name, slice_str(environment_threads[i])))
			return true;
	return false;
}

static void environment_inherit(struct environment *e, const regex_t *hidden, bool for_zygote)
{
	for (char **line = environ; *line; line++) {
		struct slice value = slice_str(*line), name = slice_cut(&value, '=');
		_cleanup_(freep) char *key = slice_dup(name);

		if (environment_replaced(name) || (for_zygote && environment_is_threads(name)))
			continue;
		if (hidden && regexec(hidden, key, 0, NULL, 0) == 0)
			continue;
		environment_add(e, mem_strdup(*line));
	}
}

/* TorchServe: our packages first, so that our `ts` wins; then what the user had. */
static void environment_python(struct environment *e, const struct fleet *f, const struct worker *w)
{
	const char *inherited = getenv("PYTHONPATH");
	bool more = inherited && *inherited;

	environment_add(e,
			mem_printf("PYTHONPATH=%s%s%s%s%s", f->python.packages, more ? ":" : "",
				   more ? inherited : "", w ? ":" : "", w ? w->version->dir : ""));
	environment_add(e, mem_printf("TS_DECODE_INPUT_REQUEST=%s",
				      f->settings->decode_input_request ? "true" : "false"));
}

/* A zygote must come out of its imports without threads; its workers ask for theirs later. */
static void environment_set_threads(struct environment *e, const struct fleet *f, bool for_zygote)
{
	unsigned threads = for_zygote ? 1 : fleet_threads_per_worker(f);

	for (size_t i = 0; i < ARRAY_LEN(environment_threads); i++)
		if (for_zygote || !getenv(environment_threads[i]))
			environment_add(e, mem_printf("%s=%u", environment_threads[i], threads));
}

static void environment_set_malloc(struct environment *e)
{
	for (size_t i = 0; i < ARRAY_LEN(environment_malloc); i++)
		if (!getenv(environment_malloc[i][0]))
			environment_add(e, mem_printf("%s=%s", environment_malloc[i][0],
						      environment_malloc[i][1]));
}

char **worker_environment(const struct fleet *f, const struct worker *w)
{
	const char *pattern = f->settings->blacklist_env_vars;
	struct environment e = { 0 };
	regex_t hidden;
	bool hide = pattern && *pattern && regcomp(&hidden, pattern, REG_EXTENDED | REG_NOSUB) == 0;

	environment_inherit(&e, hide ? &hidden : NULL, !w);
	if (hide)
		regfree(&hidden);
	environment_python(&e, f, w);
	environment_set_threads(&e, f, !w);
	environment_set_malloc(&e);
	return e.all;
}

void environment_free(char **environment)
{
	for (char **e = environment; e && *e; e++)
		free(*e);
	free(environment);
}
