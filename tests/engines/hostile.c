/* SPDX-License-Identifier: Apache-2.0 */
#include <sconce/engine.h>

/*
 * An engine that does what its input says, as an engine may that has a bug: the input is a row of
 * bytes, a word. What it is not told to do otherwise it answers with the number of rows that it was
 * given at once. Built several times, with other numbers in its table.
 */

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

static const struct sconce_tensor_spec tensor_in = {
	.name = "word", .dtype = SCONCE_UINT8, .ndim = 2, .shape = { SCONCE_DIM_ANY, WORD }
};
static const struct sconce_tensor_spec tensor_out = {
	.name = "rows", .dtype = SCONCE_INT64, .ndim = 2, .shape = { SCONCE_DIM_ANY, 1 }
};
static const struct sconce_signature signature = {
	sizeof(signature), &tensor_in, &tensor_out, 1, 1, 1
};

static int hostile_open(const struct sconce_host *host, void **ret, struct sconce_error *error)
{
#ifdef HOSTILE_CRASHES
	abort();
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
	if (strncmp(text, "good", 4) != 0) {
		snprintf(error->text, sizeof(error->text), "the file says: %s", text);
		return -1;
	}
	*ret = (void *)(uintptr_t)&signature;
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

static int hostile_instance_create(void *model, uint32_t index, void **ret,
				   struct sconce_error *error)
{
	(void)index;
	(void)error;
	*ret = model;
	return 0;
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

static int hostile_run(void *instance, const struct sconce_tensor *inputs, size_t n_inputs,
		       struct sconce_tensor *outputs, size_t n_outputs, struct sconce_error *error)
{
	int64_t rows = inputs->shape[0];
	int64_t *values;

	(void)instance;
	(void)n_inputs;
	(void)n_outputs;
	if (is(inputs, "crash"))
		abort();
	if (is(inputs, "print"))
		fputs("a word from the engine\n", stderr);
	if (is(inputs, "hang"))
		pause();
	if (is(inputs, "error")) {
		snprintf(error->text, sizeof(error->text), "it was told to fail");
		return -1;
	}
	values = malloc((size_t)rows * sizeof(*values));
	if (!values)
		return -1;
	for (int64_t i = 0; i < rows; i++)
		values[i] = rows;
	*outputs = (struct sconce_tensor){ .data = values,
					   .bytes = (uint64_t)rows * sizeof(*values),
					   .dtype = is(inputs, "dtype") ? 77 : SCONCE_INT64,
					   .ndim = 2,
					   .shape = { is(inputs, "shape") ? rows + 1 : rows, 1 },
					   .release = hostile_release,
					   .owner = values };
	return 0;
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
	.instance_destroy = hostile_unload,
	.run = hostile_run,
};
