/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEGs decoded by nvJPEG. Its stand-in decodes as libjpeg does, so with it tensors are those of
 * the processor to the last bit; with the library itself, where there is a GPU, they are nearly
 * those. What it is not given, and what it fails on, the processor decodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>

#include "base/util.h"
#include "image/gpu.h"
#include "image/jpeg_baseline.h"

#define WIDTH 161
#define HEIGHT 83
#define SIZE 24
#define THREADS 4
#define ROUNDS 20

static bool real; /* the library itself */
static int *decoded, *states;

struct file {
	unsigned char *p;
	unsigned long n;
};

/* What a file is to be, beside the usual. */
struct kind {
	int components, space; /* of what is written: 1, 3, 4; J_COLOR_SPACE of the file, or 0 */
	bool progressive, full, apart;
	int restart;
};

static void kind_set(struct jpeg_compress_struct *c, const struct kind *k)
{
	if (k->space)
		jpeg_set_colorspace(c, (J_COLOR_SPACE)k->space);
	if (k->progressive)
		jpeg_simple_progression(c);
	if (k->full)
		c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = 1;
	c->restart_interval = (unsigned)k->restart;
}

static struct file file_make(struct kind k)
{
	static const jpeg_scan_info apart[] = { { 1, { 0 }, 0, 63, 0, 0 },
						{ 1, { 1 }, 0, 63, 0, 0 },
						{ 1, { 2 }, 0, 63, 0, 0 } };
	struct jpeg_compress_struct c = { 0 };
	struct jpeg_error_mgr errors;
	unsigned char row[WIDTH * 4];
	JSAMPROW rows = row;
	struct file f = { 0 };

	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &f.p, &f.n);
	c.image_width = WIDTH;
	c.image_height = HEIGHT;
	c.input_components = k.components;
	c.in_color_space = k.components == 1   ? JCS_GRAYSCALE
			   : k.components == 3 ? JCS_RGB
					       : JCS_CMYK;
	jpeg_set_defaults(&c);
	kind_set(&c, &k);
	if (k.apart) {
		c.scan_info = apart;
		c.num_scans = 3;
	}
	jpeg_start_compress(&c, TRUE);
	for (int y = 0; y < HEIGHT; y++) {
		for (int i = 0; i < WIDTH * k.components; i++)
			row[i] = (unsigned char)(i / k.components + 2 * y +
						 40 * (i % k.components));
		jpeg_write_scanlines(&c, &rows, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	return f;
}

static struct image_gpu *gpu_open(void)
{
	struct image_gpu *g = NULL;
	struct image_error e;

	if (image_gpu_open("cuda:0", &g, &e) || image_gpu_add_decoder(g, &e)) {
		image_gpu_close(g);
		g = NULL;
		if (!real)
			fail_msg("%s", e.text);
		print_message("skipped, there is no GPU or no nvJPEG: %s\n", e.text);
		skip();
	}
	return g;
}

/* ---- a picture, both ways ---- */

static struct image_step steps[] = {
	{ IMAGE_RESIZE_SHORT, .resize = { .height = 40, .filter = IMAGE_BILINEAR } },
	{ IMAGE_CENTER_CROP, .box = { .width = SIZE, .height = SIZE } },
	{ IMAGE_TO_TENSOR },
};

static struct image_reader *reader_of(struct file f)
{
	struct image_reader *reader = NULL;
	struct image_error e;

	if (image_open(f.p, f.n, NULL, &reader, &e))
		fail_msg("%s", e.text);
	return reader;
}

static void check_tensors(const float *here, const float *there, size_t n)
{
	double sum = 0;

	if (!real)
		assert_memory_equal(here, there, n * sizeof(*here));
	for (size_t i = 0; i < n; i++)
		sum += here[i] < there[i] ? there[i] - here[i] : here[i] - there[i];
	assert_true(sum / (double)n < 2.0 / 255);
}

/* Of the file, by the GPU and by the processor. 0, or what the GPU's says. */
static int both(struct image_gpu *g, struct file f, struct image_chain chain)
{
	struct image_reader *one = reader_of(f), *other = reader_of(f);
	struct image_plan *plan = NULL;
	struct image_error e;
	void *made = NULL;
	size_t bytes;
	int r, code;

	chain.on_gpu = true;
	assert_int_equal(image_plan_create(&chain, image_reader_info(one), &plan, &e), 0);
	assert_true(image_gpu_does(g, plan));
	bytes = image_plan_result(plan)->bytes;
	float *here = aligned_alloc(IMAGE_ALIGN, ALIGN_UP(bytes, (size_t)IMAGE_ALIGN));
	float *there = malloc(bytes);

	r = image_gpu_tensor(g, plan, slice_make((const char *)f.p, f.n), one, &made, &e);
	code = image_plan_tensor(plan, other, here, &e);
	if (!r) {
		assert_int_equal(code, 0);
		assert_int_equal(image_gpu_fetch(g, there, made, bytes, &e), 0);
		check_tensors(here, there, bytes / sizeof(*here));
		image_gpu_free(g, made);
	} else if (r != IMAGE_GPU_FAILED) {
		assert_int_equal(r, code);
	}
	free(here);
	free(there);
	image_plan_free(plan);
	image_reader_close(one);
	image_reader_close(other);
	return r;
}

static const struct image_chain all = { .steps = steps, .n = ARRAY_LEN(steps) };

/* Pictures that nvJPEG has decoded since. */
static int since(int before)
{
	return decoded ? *decoded - before : 0;
}

static int now(void)
{
	return decoded ? *decoded : 0;
}

/* ---- tests ---- */

static void baseline_is_decoded_there(void **state)
{
	static const struct kind kinds[] = { { 3 },
					     { 3, .full = true },
					     { 1 },
					     { 3, .restart = 3 },
					     { 3, .space = JCS_GRAYSCALE } };
	struct image_chain plain = { .steps = steps + 2, .n = 1 };
	struct image_chain cropped = { .steps = steps + 1, .n = 2 };
	struct image_gpu *g = gpu_open();
	int before = now(), n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct file f = file_make(kinds[i]);

		assert_int_equal(both(g, f, all), 0);
		assert_int_equal(both(g, f, plain), 0);
		assert_int_equal(both(g, f, cropped), 0);
		free(f.p);
		n += 3;
	}
	if (decoded)
		assert_int_equal(since(before), n);
	/* One after the other: there is one state. */
	if (states)
		assert_int_equal(*states, 1);
	image_gpu_close(g);
	if (states)
		assert_int_equal(*states, 0);
}

struct share {
	struct image_gpu *g;
	struct file f;
	int failed;
};

static void *decodes_often(void *arg)
{
	struct share *s = arg;

	for (int i = 0; i < ROUNDS; i++)
		s->failed |= both(s->g, s->f, all);
	return NULL;
}

/* Each has a state of its own while it decodes. */
static void threads_decode_together(void **state)
{
	struct image_gpu *g = gpu_open();
	struct share shares[THREADS];
	pthread_t threads[THREADS];
	int before = now();

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		shares[i] = (struct share){ g, file_make((struct kind){ 3 }), 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, decodes_often, &shares[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(shares[i].failed, 0);
		free(shares[i].f.p);
	}
	if (decoded)
		assert_int_equal(since(before), THREADS * ROUNDS);
	if (states)
		assert_in_range(*states, 1, THREADS);
	image_gpu_close(g);
}

static void other_files_are_the_processors(void **state)
{
	static const struct {
		struct kind kind;
		const char *why;
	} others[] = {
		{ { 3, .progressive = true }, "is not baseline" },
		{ { 1, .progressive = true }, "is not baseline" },
		{ { 4 }, "is CMYK" },
		{ { 3, .apart = true }, "comes in several scans" },
		{ { 3, .space = JCS_RGB }, "has colours that are not YCbCr" },
	};
	struct image_gpu *g = gpu_open();
	int before = now();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct file f = file_make(others[i].kind);
		struct image_reader *reader = reader_of(f);
		size_t n;

		assert_string_equal(jpeg_baseline(f.p, f.n, image_reader_info(reader), &n),
				    others[i].why);
		image_reader_close(reader);
		assert_int_equal(both(g, f, all), 0);
		free(f.p);
	}
	assert_int_equal(since(before), 0);
	image_gpu_close(g);
}

/* Files that are too short are damaged, as ever; what lies behind the end is nobody's. */
static void ends_are_seen(void **state)
{
	struct image_gpu *g = gpu_open();
	struct file f = file_make((struct kind){ 3 }), cut = f,
		    longer = { malloc(f.n + 9), f.n + 9 };
	struct image_reader *reader = reader_of(f);
	const struct image_info *info = image_reader_info(reader);
	int before = now();
	size_t n = 0;

	(void)state;
	memcpy(longer.p, f.p, f.n);
	memset(longer.p + f.n, 0xff, 9);
	assert_null(jpeg_baseline(longer.p, longer.n, info, &n));
	assert_int_equal(n, f.n);
	/* Wherever it ends, in memory of that size. */
	for (size_t i = 0; i < f.n; i++) {
		unsigned char *p = memcpy(malloc(i + 1), f.p, i);

		assert_non_null(jpeg_baseline(p, i, info, &n));
		free(p);
	}
	cut.n = f.n * 2 / 3;
	assert_int_equal(both(g, cut, all), IMAGE_BAD);
	assert_int_equal(since(before), 0);
	assert_int_equal(both(g, longer, all), 0);
	image_reader_close(reader);
	image_gpu_close(g);
	free(longer.p);
	free(f.p);
}

/* 8300 × 8300, of which there is but the beginning: grey to libjpeg, and not for nvJPEG. */
static void large_pictures_are_the_processors(void **state)
{
	struct image_gpu *g = gpu_open();
	struct file f = file_make((struct kind){ 1 });
	int before = now();
	size_t frame = 0;

	(void)state;
	while (f.p[frame] != 0xff || f.p[frame + 1] != 0xc0)
		frame++;
	f.p[frame + 5] = f.p[frame + 7] = 8300 >> 8;
	f.p[frame + 6] = f.p[frame + 8] = 8300 & 0xff;
	assert_int_equal(both(g, f, all), 0);
	assert_int_equal(since(before), 0);
	image_gpu_close(g);
	free(f.p);
}

static void heads_that_lie(void **state)
{
	struct file f = file_make((struct kind){ 3 });
	struct image_reader *reader = reader_of(f);
	struct image_info info = *image_reader_info(reader);
	size_t n, frame = 0;

	(void)state;
	image_reader_close(reader);
	while (f.p[frame] != 0xff || f.p[frame + 1] != 0xc0)
		frame++;
	info.width++;
	assert_non_null(jpeg_baseline(f.p, f.n, &info, &n));
	info.width--;
	info.mode = IMAGE_L;
	assert_non_null(jpeg_baseline(f.p, f.n, &info, &n));
	info.mode = IMAGE_RGB;
	f.p[frame + 4] = 12;
	assert_string_equal(jpeg_baseline(f.p, f.n, &info, &n), "has more than 8 bits a sample");
	f.p[frame + 4] = 8;
	for (int components = 0; components < 256; components++) {
		f.p[frame + 9] = (unsigned char)components;
		assert_true(!jpeg_baseline(f.p, f.n, &info, &n) == (components == 3));
	}
	f.p[frame + 9] = 3;
	f.p[frame + 3] = 0;
	assert_non_null(jpeg_baseline(f.p, f.n, &info, &n));
	free(f.p);
}

/* A call that fails costs nobody the picture. `again`: it is asked for the next one. */
static void fails_at(const char *call, bool again)
{
	struct image_gpu *g = gpu_open();
	struct file f = file_make((struct kind){ 3 });
	int before = now();

	setenv("SCONCE_STANDIN_NVJPEG", call, 1);
	assert_int_equal(both(g, f, all), 0);
	assert_int_equal(both(g, f, all), 0);
	assert_int_equal(since(before), 0);
	unsetenv("SCONCE_STANDIN_NVJPEG");
	assert_int_equal(both(g, f, all), 0);
	assert_int_equal(since(before), again ? 1 : 0);
	image_gpu_close(g);
	free(f.p);
}

static void failures_are_the_processors(void **state)
{
	(void)state;
	if (real)
		skip();
	fails_at("nvjpegDecode:3", true);
	fails_at("nvjpegDecode:4", true);
	fails_at("nvjpegDecode:5", true);
	fails_at("nvjpegDecode:9", true);
	fails_at("nvjpegDecode:10", true);
	fails_at("nvjpegDecode:1", false);
	fails_at("nvjpegDecode:2", false);
	fails_at("nvjpegDecode:6", false);
	fails_at("nvjpegDecode:8", false);
	fails_at("nvjpegDecode:99", false);
	fails_at("nvjpegJpegStateCreate:5", true);
	fails_at("nvjpegJpegStateCreate:6", false);
	fails_at("nvjpegGetImageInfo:4", true);
	fails_at("nvjpegGetImageInfo:8", false);
	fails_at("nvjpegGetImageInfo:-1", true); /* it sees another size */
}

/* One GPU without memory for the pixels, one that is lost while it decodes, one whose kernel fails.
 */
static void the_gpu_fails(void **state)
{
	struct image_gpu *g;
	struct file f;
	int before = now();

	(void)state;
	if (real)
		skip();
	f = file_make((struct kind){ 3 });
	g = gpu_open();
	setenv("SCONCE_STANDIN_FULL", "1", 1);
	assert_int_equal(both(g, f, all), 0);
	unsetenv("SCONCE_STANDIN_FULL");
	assert_int_equal(since(before), 0);
	setenv("SCONCE_STANDIN_LOST", "1", 1);
	setenv("SCONCE_STANDIN_NVJPEG", "nvjpegDecode:6", 1);
	assert_int_equal(both(g, f, all), IMAGE_GPU_FAILED);
	unsetenv("SCONCE_STANDIN_LOST");
	unsetenv("SCONCE_STANDIN_NVJPEG");
	image_gpu_close(g);
	g = gpu_open();
	setenv("SCONCE_STANDIN_BROKEN", "1", 1);
	assert_int_equal(both(g, f, all), IMAGE_GPU_FAILED);
	unsetenv("SCONCE_STANDIN_BROKEN");
	image_gpu_close(g);
	free(f.p);
}

static void adds_none(const char *library, const char *call, const char *why)
{
	char *before = strdup(getenv("SCONCE_NVJPEG"));
	struct image_gpu *g = NULL;
	struct image_error e = { "" };

	assert_int_equal(image_gpu_open("cuda:0", &g, &e), 0);
	setenv("SCONCE_NVJPEG", library ? library : before, 1);
	setenv("SCONCE_STANDIN_NVJPEG", call, 1);
	assert_int_equal(image_gpu_add_decoder(g, &e), IMAGE_BAD);
	assert_null(image_gpu_decoder(g));
	if (!strstr(e.text, why))
		fail_msg("%s", e.text);
	setenv("SCONCE_NVJPEG", before, 1);
	unsetenv("SCONCE_STANDIN_NVJPEG");
	image_gpu_close(g);
	free(before);
}

static void what_is_missing_is_said(void **state)
{
	struct image_gpu *g;

	(void)state;
	if (real)
		skip();
	adds_none("/nowhere/libnvjpeg.so", "", "/nowhere/libnvjpeg.so: cannot open");
	adds_none("libm.so.6", "", "the library for nvJPEG has no nvjpegGetProperty");
	adds_none(NULL, "nvjpegGetProperty:1", "nvjpegGetProperty: it is not initialised");
	adds_none(NULL, "nvjpegCreateSimple:7", "nvjpegCreateSimple: it does not support the GPU");
	g = gpu_open();
	assert_string_equal(image_gpu_decoder(g), "nvJPEG 7.8.9");
	image_gpu_close(g);
}

int main(void)
{
	const char *library = getenv("SCONCE_NVJPEG");
	void *standin = library ? dlopen(library, RTLD_NOW | RTLD_LOCAL) : NULL;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(baseline_is_decoded_there),
		cmocka_unit_test(threads_decode_together),
		cmocka_unit_test(other_files_are_the_processors),
		cmocka_unit_test(ends_are_seen),
		cmocka_unit_test(large_pictures_are_the_processors),
		cmocka_unit_test(heads_that_lie),
		cmocka_unit_test(failures_are_the_processors),
		cmocka_unit_test(the_gpu_fails),
		cmocka_unit_test(what_is_missing_is_said),
	};

	decoded = standin ? dlsym(standin, "standin_decoded") : NULL;
	states = standin ? dlsym(standin, "standin_states") : NULL;
	real = !decoded;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
