/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How long src/image takes: `image_bench FILE ROUNDS` prints a line for each thing that is done
 * with the file, with the median of its rounds in milliseconds of processor time of this thread.
 * SCONCE_SIMD chooses the kernels. Things take turns, so that whatever else the machine does
 * meets all of them. `image_bench --memory FILE` prints how many KiB the process grows when it
 * prepares the file once; its result is not counted.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "image/chain.h"
#include "image/convert.h"
#include "image/kernels.h"

#define STEPS 6
#define ROWS 8
#define SIDE 224
#define CLASSIFY 1 /* the thing */

struct thing {
	const char *name;
	struct image_step steps[STEPS];
	size_t n;
	bool decoded; /* begins with the pixels */
	bool scaled;
	uint8_t orientation;
	enum image_mode from; /* of the pixels that it begins with, where that is not RGB */
};

#define SHORT(size, with)                                                                          \
	{                                                                                          \
		IMAGE_RESIZE_SHORT, .resize = {.height = size, .filter = with }                    \
	}
#define MIDDLE(size)                                                                               \
	{                                                                                          \
		IMAGE_CENTER_CROP, .box = {.width = size, .height = size }                         \
	}
#define IMAGENET                                                                                   \
	{                                                                                          \
		IMAGE_NORMALIZE, .normalize = {                                                    \
			3,                                                                         \
			{ 0.485f, 0.456f, 0.406f },                                                \
			{ 0.229f, 0.224f, 0.225f }                                                 \
		}                                                                                  \
	}

#define CONVERTED(is, mode, to)                                                                    \
	{                                                                                          \
		is, { { IMAGE_CONVERT, { to } } }, 1, true, .from = mode                           \
	}

static const struct thing things[] = {
	{ "decode", {}, 0 },
	{ "decode, classify",
	  { { IMAGE_CONVERT, .mode = IMAGE_RGB },
	    SHORT(256, IMAGE_BILINEAR),
	    MIDDLE(224),
	    { IMAGE_TO_TENSOR },
	    IMAGENET },
	  5 },
	{ "decode, classify, scaled",
	  { { IMAGE_CONVERT, .mode = IMAGE_RGB },
	    SHORT(256, IMAGE_BILINEAR),
	    MIDDLE(224),
	    { IMAGE_TO_TENSOR },
	    IMAGENET },
	  5,
	  .scaled = true },
	{ "decode, orient, classify",
	  { { IMAGE_ORIENT },
	    SHORT(256, IMAGE_BILINEAR),
	    MIDDLE(224),
	    { IMAGE_TO_TENSOR },
	    IMAGENET },
	  5,
	  .orientation = 6 },
	{ "classify",
	  { SHORT(256, IMAGE_BILINEAR), MIDDLE(224), { IMAGE_TO_TENSOR }, IMAGENET },
	  4,
	  true },
	{ "copy", {}, 0, true },
	{ "bilinear", { SHORT(256, IMAGE_BILINEAR) }, 1, true },
	{ "bicubic", { SHORT(256, IMAGE_BICUBIC) }, 1, true },
	{ "lanczos", { SHORT(256, IMAGE_LANCZOS) }, 1, true },
	{ "nearest", { SHORT(256, IMAGE_NEAREST) }, 1, true },
	{ "grey", { { IMAGE_CONVERT, .mode = IMAGE_L } }, 1, true },
	{ "grey, bilinear",
	  { { IMAGE_CONVERT, .mode = IMAGE_L }, SHORT(256, IMAGE_BILINEAR) },
	  2,
	  true },
	CONVERTED("P to L", IMAGE_P, IMAGE_L),
	CONVERTED("P to RGB", IMAGE_P, IMAGE_RGB),
	CONVERTED("CMYK to L", IMAGE_CMYK, IMAGE_L),
	CONVERTED("CMYK to RGB", IMAGE_CMYK, IMAGE_RGB),
	CONVERTED("RGBA to LA", IMAGE_RGBA, IMAGE_LA),
	CONVERTED("RGBA to RGB", IMAGE_RGBA, IMAGE_RGB),
	CONVERTED("LA to L", IMAGE_LA, IMAGE_L),
	CONVERTED("L to RGB", IMAGE_L, IMAGE_RGB),
	CONVERTED("I;16 to L", IMAGE_I16, IMAGE_L),
	{ "crop", { MIDDLE(224) }, 1, true },
	{ "flip", { { IMAGE_FLIP_X } }, 1, true },
	{ "upside down", { { IMAGE_FLIP_Y } }, 1, true },
	{ "turn", { { IMAGE_ORIENT } }, 1, true, .orientation = 6 },
	{ "turn, grey", { { IMAGE_ORIENT } }, 1, true, .orientation = 6, .from = IMAGE_L },
	{ "turn by half", { { IMAGE_ORIENT } }, 1, true, .orientation = 3 },
	{ "tensor", { { IMAGE_TO_TENSOR }, IMAGENET }, 2, true },
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const struct image_error *e)
{
	fprintf(stderr, "image_bench: %s\n", e->text);
	exit(1);
}

struct input {
	uint8_t *bytes;
	size_t n;
	struct image images[IMAGE_MODES]; /* its pixels, in the modes that things begin with */
	void *tensor;
};

/* Not getrusage(), which remembers who started the process. */
static long peak_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* To rows that nobody keeps. */
static double decode_once(struct input *in)
{
	struct image_reader *reader;
	const struct image_info *info;
	struct image_error e;
	uint8_t *rows;
	size_t stride;
	double start = now_ms();

	if (image_open(in->bytes, in->n, NULL, &reader, &e))
		fail(&e);
	info = image_reader_info(reader);
	stride = ALIGN_UP((size_t)info->width * image_pixel(info->mode), IMAGE_ALIGN);
	rows = aligned_alloc(IMAGE_ALIGN, stride * ROWS);
	for (uint32_t y = 0; y < info->height; y += ROWS)
		if (image_reader_rows(reader, rows, stride, MIN(info->height - y, ROWS), &e))
			fail(&e);
	free(rows);
	image_reader_close(reader);
	return now_ms() - start;
}

static double once(const struct thing *t, struct input *in)
{
	struct image_chain chain = { t->steps, t->n, t->scaled };
	struct image_reader *reader;
	struct image_plan *plan;
	struct image_info info;
	struct image_error e;
	struct image out = { 0 };
	const struct image *image = &in->images[t->from ? t->from : IMAGE_RGB];
	double start = now_ms();

	if (!t->n && !t->decoded)
		return decode_once(in);
	if (t->decoded ? image_reader_of(image, 1, &reader, &e)
		       : image_open(in->bytes, in->n, NULL, &reader, &e))
		fail(&e);
	info = *image_reader_info(reader);
	if (t->orientation)
		info.orientation = t->orientation;
	if (image_plan_create(&chain, &info, &plan, &e))
		fail(&e);
	if (image_plan_result(plan)->tensor ? image_plan_tensor(plan, reader, in->tensor, &e)
					    : image_plan_image(plan, reader, &out, &e))
		fail(&e);
	image_plan_free(plan);
	image_reader_close(reader);
	image_free(&out);
	return now_ms() - start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void read_file(const char *path, struct input *in)
{
	FILE *f = fopen(path, "rb");

	if (!f || fseek(f, 0, SEEK_END)) {
		perror(path);
		exit(1);
	}
	in->n = (size_t)ftell(f);
	in->bytes = malloc(in->n);
	rewind(f);
	if (fread(in->bytes, 1, in->n, f) != in->n)
		exit(1);
	fclose(f);
}

/* The same picture in another mode; of P, grey. */
static void make(struct input *in, enum image_mode mode)
{
	const struct image *from = &in->images[mode == IMAGE_P ? IMAGE_L : IMAGE_RGB];
	struct image *to = &in->images[mode];
	image_convert_fn *convert = image_convert(IMAGE_RGB, mode);
	struct image_error e;

	if (image_create(to, mode, from->width, from->height, &e))
		fail(&e);
	for (uint32_t y = 0; y < to->height; y++) {
		const uint8_t *row = from->pixels + y * from->stride;

		if (mode == IMAGE_P)
			memcpy(to->pixels + y * to->stride, row, to->width);
		else if (mode == IMAGE_I16)
			memcpy(to->pixels + y * to->stride, row, (size_t)to->width * 2);
		else
			convert(to->pixels + y * to->stride, row, to->width, NULL);
	}
	for (unsigned i = 0; i < 256; i++)
		memcpy(to->palette.rgba[i], (uint8_t[]){ (uint8_t)i, (uint8_t)~i, 7, 255 }, 4);
}

/* What the whole picture makes, at most. */
static void decode(struct input *in)
{
	struct image *image = &in->images[IMAGE_RGB];
	size_t bytes;
	struct image_error e;

	if (image_decode(in->bytes, in->n, NULL, image, &e))
		fail(&e);
	for (enum image_mode mode = IMAGE_L; mode < IMAGE_MODES; mode++)
		if (mode != IMAGE_RGB && (mode <= IMAGE_I16 || image_convert(IMAGE_RGB, mode)))
			make(in, mode);
	bytes = MAX((size_t)image->width * image->height, (size_t)SIDE * SIDE);
	in->tensor = aligned_alloc(IMAGE_ALIGN, ALIGN_UP(bytes * 3 * sizeof(float), IMAGE_ALIGN));
}

static int measure_memory(struct input *in)
{
	size_t bytes = SIDE * SIDE * 3 * sizeof(float);
	long before;

	in->tensor = memset(aligned_alloc(IMAGE_ALIGN, bytes), 0, bytes);
	before = peak_kib();
	once(&things[CLASSIFY], in);
	printf("%ld\n", peak_kib() - before);
	return 0;
}

static int measure_time(struct input *in, size_t rounds)
{
	double *ms = calloc(rounds * ARRAY_LEN(things), sizeof(*ms));

	decode(in);
	for (size_t r = 0; r < rounds; r++)
		for (size_t i = 0; i < ARRAY_LEN(things); i++)
			ms[i * rounds + r] = once(&things[i], in);
	for (size_t i = 0; i < ARRAY_LEN(things); i++) {
		qsort(ms + i * rounds, rounds, sizeof(*ms), compare);
		printf("%-26s %9.3f\n", things[i].name, ms[i * rounds + rounds / 2]);
	}
	free(ms);
	return 0;
}

int main(int argc, char **argv)
{
	bool memory = argc == 3 && !strcmp(argv[1], "--memory");
	size_t rounds = argc == 3 ? (size_t)strtoul(argv[2], NULL, 10) : 0;
	struct input in = { 0 };
	int code;

	if (!memory && !rounds) {
		fprintf(stderr, "usage: image_bench FILE ROUNDS | --memory FILE\n");
		return 2;
	}
	/* As in workers: what is freed is kept. */
	if (!memory && (!mallopt(M_MMAP_THRESHOLD, 1 << 30) || !mallopt(M_TRIM_THRESHOLD, 1 << 30)))
		return 1;
	read_file(argv[memory ? 2 : 1], &in);
	code = memory ? measure_memory(&in) : measure_time(&in, rounds);
	free(in.bytes);
	free(in.tensor);
	for (enum image_mode mode = 0; mode < IMAGE_MODES; mode++)
		image_free(&in.images[mode]);
	return code;
}
