/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/environment.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/slice.h"
#include "config/settings.h"
#include "fleet/maker.h"
#include "fleet/placement.h"
#include "fleet/python.h"

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

static struct slice environment_name(const char *line)
{
	return slice_cut(&(struct slice){ line, strlen(line) }, '=');
}

/* Takes `line` over. */
static void environment_append(struct environment *e, char *line)
{
	e->all = mem_realloc(e->all, (e->n + 2) * sizeof(*e->all));
	e->all[e->n++] = line;
	e->all[e->n] = NULL;
}

/* The same; it replaces one of the same name. */
static void environment_set(struct environment *e, char *line)
{
	for (size_t i = 0; i < e->n; i++) {
		if (!slice_eq(environment_name(e->all[i]), environment_name(line)))
			continue;
		free(e->all[i]);
		e->all[i] = line;
		return;
	}
	environment_append(e, line);
}

static void environment_inherit(struct environment *e, const regex_t *hidden)
{
	for (char **line = environ; *line; line++) {
		_cleanup_(freep) char *key = slice_dup(environment_name(*line));

		if (!hidden || regexec(hidden, key, 0, NULL, 0) != 0)
			environment_append(e, mem_strdup(*line));
	}
}

/* TorchServe: our packages first, so that our `ts` wins; then what the user had. */
static void environment_python(struct environment *e, const struct python *p,
			       const struct worker *w)
{
	const char *inherited = getenv("PYTHONPATH");
	bool more = inherited && *inherited;

	environment_set(e, mem_printf("PYTHONPATH=%s%s%s%s%s", p->packages, more ? ":" : "",
				      more ? inherited : "", w ? ":" : "", w ? w->model.dir : ""));
}

static void environment_set_flag(struct environment *e, const char *name, bool value)
{
	environment_set(e, mem_printf("%s=%s", name, value ? "true" : "false"));
}

/* What the handlers that came with TorchServe look at. */
static void environment_set_flags(struct environment *e, const struct settings *s)
{
	environment_set_flag(e, "TS_DECODE_INPUT_REQUEST", s->decode_input_request);
	environment_set_flag(e, "TS_IPEX_ENABLE", s->ipex_enable);
	environment_set_flag(e, "TS_IPEX_GPU_ENABLE", s->ipex_gpu_enable);
}

/* Where it is built, the library lies elsewhere than where packages look for it (sconce/image). */
static void environment_set_images(struct environment *e, const struct settings *s)
{
	_cleanup_(freep) char *built = file_beside_us("../src/image/libsconce-image.so");

	if (built && access(built, R_OK) == 0 && !getenv("SCONCE_IMAGE_LIBRARY"))
		environment_set(e, mem_printf("SCONCE_IMAGE_LIBRARY=%s", built));
	if (strcmp(s->native, "never") == 0)
		environment_set(e, mem_strdup("SCONCE_IMAGE=off"));
}

static void environment_set_devices(struct environment *e, const struct worker *w)
{
	_cleanup_(buf_finish) struct buf line = BUF_INIT(8192);

	placement_put_visible(w, &line);
	if (line.n)
		environment_set(e, buf_steal(&line));
}

/* A zygote must come out of its imports without threads; its workers ask for theirs later. What a
 * model's torchrun section says goes before what the server's environment says. */
static void environment_set_threads(struct environment *e, const struct worker *w)
{
	bool ours = !w || w->maker->threads;
	unsigned threads = w ? worker_threads(w) : 1;

	for (size_t i = 0; threads && i < ARRAY_LEN(environment_threads); i++)
		if (ours || !getenv(environment_threads[i]))
			environment_set(e, mem_printf("%s=%u", environment_threads[i], threads));
}

static void environment_set_malloc(struct environment *e)
{
	for (size_t i = 0; i < ARRAY_LEN(environment_malloc); i++)
		if (!getenv(environment_malloc[i][0]))
			environment_set(e, mem_printf("%s=%s", environment_malloc[i][0],
						      environment_malloc[i][1]));
}

/* The whole name has to match, as in TorchServe; settings_check() has compiled it before. */
static void environment_inherit_allowed(struct environment *e, const char *hidden)
{
	_cleanup_(freep) char *whole = mem_printf("^(%s)$", hidden);
	regex_t re;

	if (regcomp(&re, whole, REG_EXTENDED | REG_NOSUB))
		return;
	environment_inherit(e, &re);
	regfree(&re);
}

static void environment_add(void *e, char *line)
{
	environment_set(e, line);
}

char **worker_environment(const struct worker_shared *s, const struct worker *w, unsigned rank)
{
	const char *hidden = s->settings->blacklist_env_vars;
	struct environment e = { 0 };

	if (hidden)
		environment_inherit_allowed(&e, hidden);
	else
		environment_inherit(&e, NULL);
	environment_python(&e, s->python, w);
	environment_set_flags(&e, s->settings);
	environment_set_images(&e, s->settings);
	environment_set_threads(&e, w);
	environment_set_malloc(&e);
	if (w) {
		environment_set_devices(&e, w);
		if (w->maker->environment)
			w->maker->environment(w, rank, environment_add, &e);
	}
	return e.all;
}

void environment_free(char **environment)
{
	for (char **e = environment; e && *e; e++)
		free(*e);
	free(environment);
}
