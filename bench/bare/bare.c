/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An engine in a plain loop, as a yardstick: what a server that adds nothing would reach. A number
 * of threads, each with an instance of its own, run the same input for some seconds, and find its
 * five likeliest classes. Prints {"requests", "seconds", "cpu"} as JSON.
 *
 *     bare ENGINE.so MODEL INPUT [--python FILE] [--instances N] [--threads N] [--seconds N]
 *
 * INPUT: bytes of the one input, float32 of 1 × 3 × 224 × 224; or a photograph, which is decoded
 * and prepared each time as ImageNet's models want it.
 */

#include <dlfcn.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <sconce/engine.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "image/chain.h"

#define INSTANCES_MAX 64
#define TOP 5
#define SIDE 224
#define PIXELS ((size_t)3 * SIDE * SIDE * sizeof(float))
#define WARM_UP_RUNS 20

struct bare {
	const char *engine, *model, *input, *python;
	unsigned instances, threads, seconds;
	const struct sconce_engine *table;
	void *opened, *loaded;
	unsigned char *bytes;
	size_t n_bytes;
	bool photograph;
	_Atomic bool over;
};

static const struct image_step steps[] = {
	{ .op = IMAGE_RESIZE_SHORT, .resize = { .height = 256, .filter = IMAGE_BILINEAR } },
	{ .op = IMAGE_CENTER_CROP, .box = { .width = SIDE, .height = SIDE } },
	{ .op = IMAGE_TO_TENSOR },
	{ .op = IMAGE_NORMALIZE,
	  .normalize = { 3, { 0.485f, 0.456f, 0.406f }, { 0.229f, 0.224f, 0.225f } } },
};

struct loop {
	struct bare *bare;
	void *instance;
	pthread_t thread;
	unsigned long requests;
	unsigned best[TOP];
	float *pixels; /* of a photograph */
};

_Noreturn static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "bare: %s: %s\n", what, why);
	exit(1);
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_now(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void say(const struct sconce_host *host, int level, const char *line)
{
	(void)host;
	if (level >= 2)
		fprintf(stderr, "bare: %s\n", line);
}

/* ---- one request ---- */

static void find_best(struct loop *l, const float *scores, size_t n)
{
	float greatest = scores[0], sum = 0, last = INFINITY;

	for (size_t i = 1; i < n; i++)
		greatest = scores[i] > greatest ? scores[i] : greatest;
	for (size_t i = 0; i < n; i++)
		sum += expf(scores[i] - greatest);
	for (unsigned k = 0; k < TOP && k < n; k++) {
		float best = -INFINITY;

		for (size_t i = 0; i < n; i++)
			if (scores[i] > best && scores[i] < last) {
				best = scores[i];
				l->best[k] = (unsigned)i;
			}
		last = best;
	}
	if (!(sum > 0))
		give_up("the model", "its output is no number");
}

/* The pixels of the photograph, in place of its bytes. */
static void prepare(struct loop *l)
{
	const struct image_chain chain = { .steps = steps, .n = sizeof(steps) / sizeof(*steps) };
	const struct bare *b = l->bare;
	struct image_reader *reader;
	struct image_plan *plan;
	struct image_error e;

	if (image_open(b->bytes, b->n_bytes, NULL, &reader, &e) < 0 ||
	    image_plan_create(&chain, image_reader_info(reader), &plan, &e) < 0 ||
	    image_plan_tensor(plan, reader, l->pixels, &e) < 0)
		give_up(b->input, e.text);
	image_plan_free(plan);
	image_reader_close(reader);
}

static void run_once(struct loop *l)
{
	const struct bare *b = l->bare;
	struct sconce_tensor input = { .data = b->photograph ? (void *)l->pixels : b->bytes,
				       .bytes = b->photograph ? PIXELS : b->n_bytes,
				       .dtype = SCONCE_FP32,
				       .ndim = 4,
				       .shape = { 1, 3, SIDE, SIDE } };
	struct sconce_tensor output = { 0 };
	struct sconce_error error = { "" };

	if (b->photograph)
		prepare(l);
	if (b->table->run(l->instance, &input, 1, &output, 1, &error) < 0)
		give_up("run", error.text);
	find_best(l, output.data, output.bytes / sizeof(float));
	if (output.release)
		output.release(&output);
}

static void *loop_run(void *arg)
{
	struct loop *l = arg;

	while (!l->bare->over) {
		run_once(l);
		l->requests++;
	}
	return NULL;
}

/* ---- the engine ---- */

static void engine_open(struct bare *b)
{
	static struct sconce_host host = { sizeof(host), SCONCE_ENGINE_ABI, say, NULL, NULL, NULL };
	void *library = dlopen(b->engine, RTLD_NOW | RTLD_LOCAL);
	struct sconce_model_options o = { .size = sizeof(o),
					  .path = b->model,
					  .device = "cpu",
					  .instances = b->instances,
					  .threads = b->threads,
					  .config = "{}" };
	struct sconce_error error = { "" };

	if (!library)
		give_up("dlopen", dlerror());
	b->table = dlsym(library, SCONCE_ENGINE_SYMBOL);
	if (!b->table)
		give_up(b->engine, "it is no engine");
	host.python = b->python;
	if (b->table->open(&host, &b->opened, &error) < 0 ||
	    b->table->load(b->opened, &o, &b->loaded, &error) < 0)
		give_up(b->engine, error.text);
}

static void input_read(struct bare *b)
{
	FILE *f = fopen(b->input, "rb");
	long n;

	if (!f || fseek(f, 0, SEEK_END) < 0 || (n = ftell(f)) < 0)
		give_up(b->input, "it cannot be read");
	rewind(f);
	b->n_bytes = (size_t)n;
	b->bytes = aligned_alloc(64, (b->n_bytes + 63) / 64 * 64);
	if (!b->bytes || fread(b->bytes, 1, b->n_bytes, f) != b->n_bytes)
		give_up(b->input, "it cannot be read");
	fclose(f);
	b->photograph = b->n_bytes != PIXELS;
}

static void measure(struct bare *b)
{
	struct loop loops[INSTANCES_MAX] = { 0 };
	struct timespec pause = { .tv_sec = b->seconds };
	struct sconce_error error = { "" };
	unsigned long requests = 0;
	double began, cpu;

	for (unsigned i = 0; i < b->instances; i++) {
		loops[i].bare = b;
		loops[i].pixels = aligned_alloc(IMAGE_ALIGN, PIXELS);
		if (!loops[i].pixels)
			give_up("memory", "there is none");
		if (b->table->instance_create(b->loaded, i, &loops[i].instance, &error) < 0)
			give_up("instance", error.text);
		for (unsigned k = 0; k < WARM_UP_RUNS; k++)
			run_once(&loops[i]);
	}
	began = seconds_now();
	cpu = cpu_now();
	for (unsigned i = 0; i < b->instances; i++)
		pthread_create(&loops[i].thread, NULL, loop_run, &loops[i]);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	b->over = true;
	for (unsigned i = 0; i < b->instances; i++) {
		pthread_join(loops[i].thread, NULL);
		requests += loops[i].requests;
	}
	printf("{\"requests\": %lu, \"seconds\": %.6f, \"cpu\": %.6f, \"best\": %u}\n", requests,
	       seconds_now() - began, cpu_now() - cpu, loops[0].best[0]);
	for (unsigned i = 0; i < b->instances; i++) {
		b->table->instance_destroy(loops[i].instance);
		free(loops[i].pixels);
	}
}

static unsigned number(const char *text, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n < 1 || n > max)
		give_up(text, "is no such number");
	return (unsigned)n;
}

static void arguments_read(struct bare *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "python", required_argument, NULL, 'p' },
		{ "instances", required_argument, NULL, 'i' },
		{ "threads", required_argument, NULL, 't' },
		{ "seconds", required_argument, NULL, 's' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'p')
			b->python = optarg;
		else if (option == 'i')
			b->instances = number(optarg, INSTANCES_MAX);
		else if (option == 't')
			b->threads = number(optarg, INSTANCES_MAX);
		else if (option == 's')
			b->seconds = number(optarg, 3600);
		else
			exit(2);
	}
	if (argc - optind != 3)
		give_up("usage", "bare ENGINE.so MODEL INPUT");
	b->engine = argv[optind];
	b->model = argv[optind + 1];
	b->input = argv[optind + 2];
}

int main(int argc, char **argv)
{
	struct bare b = { .instances = 2, .threads = 1, .seconds = 5 };

	arguments_read(&b, argc, argv);
	input_read(&b);
	engine_open(&b);
	measure(&b);
	b.table->unload(b.loaded);
	b.table->close(b.opened);
	free(b.bytes);
	return 0;
}
