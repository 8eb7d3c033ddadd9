/* SPDX-License-Identifier: Apache-2.0 */
#include <sconce/engine.h>

/*
 * An engine that does what its input says, as an engine may that has a bug: the input is a row of
 * bytes, a word. What it is not told to do otherwise it answers with the number of rows that it was
 * given at once. Built several times, with other numbers in its table.
 */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef HOSTILE_ABI
#define HOSTILE_ABI SCONCE_ENGINE_ABI
#endif
#ifndef HOSTILE_SIZE
#define HOSTILE_SIZE sizeof(struct sconce_engine)
#endif
#ifndef HOSTILE_NAME
#define HOSTILE_NAME "hostile"
#endif

#ifndef HOSTILE_SUFFIX
#define HOSTILE_SUFFIX "." HOSTILE_NAME
#endif

#define WORD 8

/* Of a run that waits until it is cancelled. */
struct instance {
	pthread_mutex_t lock;
	pthread_cond_t change;
	int running, cancelled;
};

static const struct sconce_tensor_spec tensor_in = {
	.name = "word", .dtype = SCONCE_UINT8, .ndim = 2, .shape = { SCONCE_DIM_ANY, WORD }
};
static const struct sconce_tensor_spec tensor_out = {
	.name = "rows", .dtype = SCONCE_INT64, .ndim = 2, .shape = { SCONCE_DIM_ANY, 1 }
};
static const struct sconce_signature signature = {
	sizeof(signature), &tensor_in, &tensor_out, 1, 1, 1
};

/* Says too much, and says less than there is. */
static const struct sconce_tensor_spec tensor_out_ndim = { .name = "rows", .ndim = 17 };
static const struct sconce_signature signature_ndim = {
	sizeof(signature), &tensor_in, &tensor_out_ndim, 1, 1, 0
};
static const struct sconce_tensor_spec tensor_in_loose = { .name = "word",
							   .dtype = SCONCE_UINT8,
							   .ndim = 2,
							   .shape = { SCONCE_DIM_ANY,
								      SCONCE_DIM_ANY } };
static const struct sconce_signature signature_loose = {
	sizeof(signature), &tensor_in_loose, &tensor_out, 1, 1, 1
};
static const struct sconce_signature signature_brief = {
	offsetof(struct sconce_signature, batches), &tensor_in, &tensor_out, 1, 1, 1
};

static int hostile_open(const struct sconce_host *host, void **ret, struct sconce_error *error)
{
#ifdef HOSTILE_CRASHES
	abort();
#endif
#ifdef HOSTILE_LEAVES
	exit(3);
#endif
#ifdef HOSTILE_HANGS
	pause();
#endif
#ifdef HOSTILE_ABSENT
	snprintf(error->text, sizeof(error->text), "its runtime is missing: install it");
	return -1;
#endif
	(void)error;
	host->log(host, 1, "the hostile engine is open");
	*ret = (void *)(uintptr_t)host;
	return 0;
}

static void hostile_close(void *engine)
{
	(void)engine;
}

static void hostile_info(void *engine, struct sconce_engine_info *ret)
{
	(void)engine;
	ret->runtime = "hostile";
	ret->version = "1";
	ret->devices = "cpu";
}

/* A model says in its file whether it can be loaded. */
static int hostile_load(void *engine, const struct sconce_model_options *options, void **ret,
			struct sconce_error *error)
{
	FILE *f = fopen(options->path, "r");
	char text[64] = "";

	(void)engine;
	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
	}
	if (strncmp(text, "crash", 5) == 0)
		raise(SIGFPE);
	if (strncmp(text, "hang", 4) == 0)
		pause();
	if (strncmp(text, "good if told", 12) == 0 && !strstr(options->config, "\"told\"")) {
		snprintf(error->text, sizeof(error->text), "it was not told: %.200s",
			 options->config);
		return -1;
	}
	if (strncmp(text, "good", 4) != 0) {
		snprintf(error->text, sizeof(error->text), "the file says: %s", text);
		return -1;
	}
	*ret = (void *)(uintptr_t)(strstr(text, "17 dimensions") ? &signature_ndim
				   : strstr(text, "no batches")  ? &signature_brief
				   : strstr(text, "any length")  ? &signature_loose
								 : &signature);
	return 0;
}

static void hostile_unload(void *model)
{
	(void)model;
}

static const struct sconce_signature *hostile_signature(void *model)
{
	return model;
}

/* One who cannot have more than so many. */
static int hostile_instance_create(void *model, uint32_t index, void **ret,
				   struct sconce_error *error)
{
	struct instance *i = calloc(1, sizeof(*i));

	(void)model;
	if (!i || index >= 6) {
		free(i);
		snprintf(error->text, sizeof(error->text), "six instances are enough");
		return -1;
	}
	pthread_mutex_init(&i->lock, NULL);
	pthread_cond_init(&i->change, NULL);
	*ret = i;
	return 0;
}

static void hostile_instance_destroy(void *instance)
{
	struct instance *i = instance;

	/* It must not run any more. */
	if (i->running)
		abort();
	pthread_cond_destroy(&i->change);
	pthread_mutex_destroy(&i->lock);
	free(i);
}

#ifdef HOSTILE_COLD
/* Only the first one gets warm. */
static int hostile_warm_up(void *instance, struct sconce_error *error)
{
	static void *first;

	if (!first)
		first = instance;
	if (instance == first)
		return 0;
	snprintf(error->text, sizeof(error->text), "it stays cold");
	return -1;
}
#endif

static void hostile_cancel(void *instance)
{
	struct instance *i = instance;

	pthread_mutex_lock(&i->lock);
	i->cancelled = 1;
	pthread_cond_signal(&i->change);
	pthread_mutex_unlock(&i->lock);
}

static void wait_for_cancel(struct instance *i)
{
	pthread_mutex_lock(&i->lock);
	while (!i->cancelled)
		pthread_cond_wait(&i->change, &i->lock);
	pthread_mutex_unlock(&i->lock);
}

static void hostile_release(struct sconce_tensor *t)
{
	free(t->owner);
}

/* Does any row say so? Which comes first in a batch is nobody's choice. */
static int is(const struct sconce_tensor *in, const char *word)
{
	for (const char *row = in->data; row + WORD <= (const char *)in->data + in->bytes;
	     row += WORD)
		if (memcmp(row, word, strlen(word)) == 0)
			return 1;
	return 0;
}

static int fail(struct sconce_error *error, int code, const char *why)
{
	snprintf(error->text, sizeof(error->text), "%s", why);
	return code;
}

/* What a word has it do before it answers, or instead. */
static int obey(struct instance *i, const struct sconce_tensor *in, struct sconce_error *error)
{
	if (is(in, "crash"))
		abort();
	if (is(in, "print"))
		fputs("a word from the engine\n", stderr);
	if (is(in, "hang"))
		pause();
	if (is(in, "wait")) {
		wait_for_cancel(i);
		return fail(error, -1, "it was cancelled");
	}
	if (is(in, "error"))
		return fail(error, -1, "it was told to fail");
	if (is(in, "refuse"))
		return fail(error, SCONCE_BAD_INPUT, "it was told to refuse");
	if (is(in, "full"))
		return fail(error, SCONCE_NO_MEMORY, "it was told to be out of memory");
	if (is(in, "babble")) {
		memset(error->text, 'x', sizeof(error->text));
		return -1;
	}
	return 0;
}

static int answer(const struct sconce_tensor *in, struct sconce_tensor *out)
{
	int64_t rows = in->shape[0], *values = malloc((size_t)rows * sizeof(*values));

	if (!values)
		return -1;
	for (int64_t row = 0; row < rows; row++)
		values[row] = rows;
	*out = (struct sconce_tensor){ .data = values,
				       .bytes = (uint64_t)rows * sizeof(*values),
				       .dtype = is(in, "dtype") ? 77 : SCONCE_INT64,
				       .ndim = is(in, "ndim") ? 99 : 2,
				       .shape = { is(in, "shape") ? rows + 1 : rows, 1 },
				       .release = hostile_release,
				       .owner = values };
	return 0;
}

/* Where it may, and beyond. */
static void spill(const struct sconce_tensor *in, struct sconce_tensor *out)
{
	if (is(in, "spill"))
		memset(out->data, 7, out->bytes + 1);
	out->bytes += is(in, "boast");
	out->dtype = SCONCE_UINT8;
	out->ndim = 1;
	out->shape[0] = (int64_t)out->bytes;
}

static int hostile_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
		       struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *error)
{
	struct instance *i = instance;
	int r;

	(void)n_inputs;
	(void)n_outputs;
	pthread_mutex_lock(&i->lock);
	i->running = 1;
	i->cancelled = 0;
	pthread_mutex_unlock(&i->lock);
	r = obey(i, inputs, error);
	if (!r && outputs->data && (is(inputs, "spill") || is(inputs, "boast")))
		spill(inputs, outputs);
	else if (!r && !is(inputs, "nothing"))
		r = answer(inputs, outputs);
	pthread_mutex_lock(&i->lock);
	i->running = 0;
	pthread_mutex_unlock(&i->lock);
	return r;
}

SCONCE_EXPORT extern const struct sconce_engine sconce_engine;
const struct sconce_engine sconce_engine = {
	.size = HOSTILE_SIZE,
	.abi = HOSTILE_ABI,
	.name = HOSTILE_NAME,
	.version = "1",
	.suffixes = HOSTILE_SUFFIX,
	.open = hostile_open,
	.close = hostile_close,
	.info = hostile_info,
	.load = hostile_load,
	.unload = hostile_unload,
	.signature = hostile_signature,
	.instance_create = hostile_instance_create,
	.instance_destroy = hostile_instance_destroy,
	.run = hostile_run,
#ifdef HOSTILE_COLD
	.warm_up = hostile_warm_up,
#endif
	.cancel = hostile_cancel,
};
