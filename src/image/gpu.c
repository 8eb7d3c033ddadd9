/* SPDX-License-Identifier: Apache-2.0 */
#include "image/gpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "image/cuda_library.h"
#include "image/jpeg_baseline.h"
#include "image/nvjpeg.h"
#include "image/plan.h"

#define GPU_DEVICES_MAX 1024
#define GPU_PIXELS_MAX ((size_t)1 << 30) /* bytes of rows, which stand in memory as a whole */
/* Of a picture that nvJPEG is given: an estimated 600 MB of the GPU's memory. */
#define DECODED_PIXELS_MAX ((uint64_t)1 << 26)

struct image_gpu {
	const struct image_cuda_library *table;
	void *gpu;
	int device;
	int failed;             /* atomic: 1, it was told; 2, it will not do any more */
	struct nvjpeg *decoder; /* NULL: there is none */
	int undecoded;          /* atomic, likewise */
};

/* ---- the library ---- */

static void *library_open(struct image_error *e)
{
	static const char *const places[] = { "../src/image/libsconce-image-cuda.so",
					      "../lib/sconce/libsconce-image-cuda.so" };
	const char *given = getenv("SCONCE_IMAGE_CUDA");
	void *library = given ? dlopen(given, RTLD_NOW | RTLD_LOCAL) : NULL;

	for (size_t i = 0; i < ARRAY_LEN(places) && !library && !given; i++) {
		_cleanup_(freep) char *path = file_beside_us(places[i]);

		if (path && access(path, R_OK) == 0)
			library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	}
	if (!library)
		image_fail(e, IMAGE_BAD, "%.200s",
			   given ? dlerror()
				 : "libsconce-image-cuda.so was not built: that needs nvcc");
	return library;
}

/* It stays loaded: CUDA's runtime has threads. */
static const struct image_cuda_library *library_table(struct image_error *e)
{
	void *library = library_open(e);
	const struct image_cuda_library *t = library ? dlsym(library, IMAGE_CUDA_SYMBOL) : NULL;

	if (!library || (t && t->abi == IMAGE_CUDA_ABI && t->job_size == sizeof(struct image_job)))
		return t;
	image_fail(e, IMAGE_BAD, "libsconce-image-cuda.so is of another version of sconce");
	return NULL;
}

static int device_number(const char *device)
{
	char *end;
	long n;

	if (strcmp(device, "cuda") == 0)
		return 0;
	if (strncmp(device, "cuda:", strlen("cuda:")) != 0)
		return -1;
	n = strtol(device + strlen("cuda:"), &end, 10);
	return *end || n < 0 || n > GPU_DEVICES_MAX ? -1 : (int)n;
}

int image_gpu_open(const char *device, struct image_gpu **ret, struct image_error *e)
{
	int number = device_number(device);
	char why[IMAGE_CUDA_WHY_MAX] = "";
	struct image_gpu *g;

	*ret = NULL;
	if (number < 0)
		return image_fail(e, IMAGE_BAD, "\"%.60s\" is no GPU of CUDA", device);
	g = calloc(1, sizeof(*g));
	if (!g)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory for a GPU");
	g->device = number;
	g->table = library_table(e);
	if (!g->table || g->table->open(number, &g->gpu, why) < 0) {
		if (g->table)
			image_fail(e, IMAGE_BAD, "%s", why);
		free(g);
		return IMAGE_BAD;
	}
	*ret = g;
	return 0;
}

void image_gpu_close(struct image_gpu *g)
{
	if (g) {
		nvjpeg_close(g->decoder);
		g->table->close(g->gpu);
	}
	free(g);
}

int image_gpu_add_decoder(struct image_gpu *g, struct image_error *e)
{
	return nvjpeg_open(&g->decoder, e);
}

const char *image_gpu_decoder(const struct image_gpu *g)
{
	return g->decoder ? nvjpeg_name(g->decoder) : NULL;
}

const char *image_gpu_name(const struct image_gpu *g)
{
	return g->table->name(g->gpu);
}

int image_gpu_device(const struct image_gpu *g)
{
	return g->device;
}

static int gpu_code(int r, const char *why, struct image_error *e)
{
	if (!r)
		return 0;
	return image_fail(e, r == IMAGE_CUDA_NO_MEMORY ? IMAGE_NO_MEMORY : IMAGE_BAD, "%s", why);
}

int image_gpu_alloc(struct image_gpu *g, size_t bytes, void **ret, struct image_error *e)
{
	char why[IMAGE_CUDA_WHY_MAX];

	return gpu_code(g->table->alloc(g->gpu, bytes, ret, why), why, e);
}

void image_gpu_free(struct image_gpu *g, void *memory)
{
	g->table->free(g->gpu, memory);
}

int image_gpu_copy(struct image_gpu *g, void *to, const void *from, size_t bytes,
		   struct image_error *e)
{
	char why[IMAGE_CUDA_WHY_MAX];

	return gpu_code(g->table->copy(g->gpu, to, from, bytes, why), why, e);
}

int image_gpu_fetch(struct image_gpu *g, void *to, const void *from, size_t bytes,
		    struct image_error *e)
{
	char why[IMAGE_CUDA_WHY_MAX];

	return gpu_code(g->table->fetch(g->gpu, to, from, bytes, why), why, e);
}

/* ---- from a plan to a job ---- */

/* The stages of a plan that has no others. */
struct parts {
	const struct stage *source, *across, *down, *place; /* but the first, NULL: there is none */
};

/* A crop that is within its picture. */
static bool is_inside(const struct stage *s)
{
	const struct stage *below = s - 1;

	return s->place.dx >= 0 && s->place.dy >= 0 && s->place.dx + s->width <= below->width &&
	       s->place.dy + s->height <= below->height;
}

static bool parts_of(const struct image_plan *p, struct parts *ret)
{
	*ret = (struct parts){ .source = &p->stages[0] };
	for (unsigned i = 1; i < p->n; i++) {
		const struct stage *s = &p->stages[i];

		if (s->ops == &stage_across && !ret->across && !ret->down && !ret->place)
			ret->across = s;
		else if (s->ops == &stage_down && !ret->down && !ret->place)
			ret->down = s;
		else if (s->ops == &stage_place && !ret->place && is_inside(s))
			ret->place = s;
		else
			return false;
	}
	return true;
}

bool image_gpu_does(const struct image_gpu *g, const struct image_plan *p)
{
	const struct stage *source = &p->stages[0];
	struct parts parts;

	return __atomic_load_n(&g->failed, __ATOMIC_RELAXED) < 2 && p->result.tensor &&
	       source->mode != IMAGE_I16 && source->mode <= IMAGE_CMYK && p->result.bytes &&
	       stage_stride(source) * window_height(source) <= GPU_PIXELS_MAX &&
	       parts_of(p, &parts);
}

/* Room for so many bytes; the place of the first. */
static uint64_t block_add(size_t *block, size_t bytes)
{
	size_t at = *block;

	*block += ALIGN_UP(bytes, (size_t)IMAGE_ALIGN);
	return at;
}

static struct image_job_pass job_pass(const struct stage *s, size_t *block)
{
	const struct image_weights *w = &s->pass.weights;

	return (struct image_job_pass){ .lo = block_add(block, w->n * sizeof(*w->lo)),
					.count = block_add(block, w->n * sizeof(*w->count)),
					.k = block_add(block,
						       (size_t)w->n * w->taps * sizeof(*w->k)),
					.taps = w->taps,
					.n = w->n };
}

/* Where the result's first pixel lies among what is resized, whose windows begin elsewhere. */
static void job_place(struct image_job *j, const struct parts *parts)
{
	int64_t dx = parts->place ? parts->place->place.dx : 0;
	int64_t dy = parts->place ? parts->place->place.dy : 0;
	const struct stage *y = parts->down ? parts->down : parts->source;

	j->x = (uint32_t)(dx - (parts->across ? parts->across->win.x0 : 0));
	j->y = (uint32_t)(dy - y->win.y0);
}

/* Bytes of a pixel that nvJPEG has decoded. */
static uint32_t decoded_pixel(const struct image_plan *p)
{
	return p->info.mode == IMAGE_L ? 1 : 3;
}

/* *ret: bytes of its block. `decoded`: the rows are not in it, but as nvJPEG has them. */
static struct image_job job_of(const struct image_plan *p, const struct parts *parts, bool decoded,
			       size_t *ret)
{
	const struct stage *source = parts->source;
	const struct tensor *t = &p->tensor;
	struct image_job j = { .stride = stage_stride(source),
			       .width = p->result.width,
			       .height = p->result.height,
			       .pixel = t->pixel,
			       .bands = t->bands,
			       .element = (uint32_t)tensor_element_size(t),
			       .last = t->last };

	*ret = 0;
	if (decoded) {
		j.pixel = decoded_pixel(p);
		j.stride = (uint64_t)source->width * j.pixel;
	} else {
		j.pixels = block_add(ret, stage_rows_memory(source, window_height(source)));
	}
	memcpy(j.at, t->at, sizeof(j.at));
	if (parts->across)
		j.across = job_pass(parts->across, ret);
	if (parts->down)
		j.down = job_pass(parts->down, ret);
	if (t->element != IMAGE_U8)
		j.values = block_add(ret, (size_t)4 * 256 * j.element);
	job_place(&j, parts);
	return j;
}

static void block_pass(uint8_t *block, const struct image_job_pass *j, const struct stage *s)
{
	const struct image_weights *w;

	if (!s)
		return;
	w = &s->pass.weights;
	memcpy(block + j->lo, w->lo, w->n * sizeof(*w->lo));
	memcpy(block + j->count, w->count, w->n * sizeof(*w->count));
	memcpy(block + j->k, w->k, (size_t)w->n * w->taps * sizeof(*w->k));
}

/* Rows that nobody wants are read nevertheless: a file that is damaged there is damaged. */
static int block_pixels(uint8_t *block, const struct image_job *j, const struct image_plan *p,
			struct image_reader *from, struct image_error *e)
{
	const struct stage *source = &p->stages[0];
	const struct image_info *info = image_reader_info(from);
	int rc;

	if (p->by > 1)
		image_reader_scale(from, p->info.width / p->by, p->info.height / p->by);
	if (info->width != source->width || info->height != source->height ||
	    info->mode != source->mode)
		return image_fail(e, IMAGE_BAD,
				  "the picture is not of the size or mode planned for");
	rc = image_reader_skip(from, source->win.y0, e);
	rc = rc ? rc
		: image_reader_rows(from, block + j->pixels, j->stride, window_height(source), e);
	return rc ? rc : image_reader_skip(from, source->height - source->win.y1, e);
}

static void block_tables(uint8_t *block, const struct image_job *j, const struct parts *parts,
			 const struct image_plan *p)
{
	const struct tensor *t = &p->tensor;

	block_pass(block, &j->across, parts->across);
	block_pass(block, &j->down, parts->down);
	if (t->element == IMAGE_F32)
		memcpy(block + j->values, t->values, sizeof(t->values));
	else if (t->element == IMAGE_F16)
		memcpy(block + j->values, t->halves, sizeof(t->halves));
}

/* ---- doing it ---- */

/* Has it come to this only now? Threads may meet here; what will not do any more does not again. */
static bool is_news(int *level, int now)
{
	int was = __atomic_load_n(level, __ATOMIC_RELAXED);

	while (was < now)
		if (__atomic_compare_exchange_n(level, &was, now, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

/* For want of memory it may be asked again. */
static int gpu_failed(struct image_gpu *g, int r, const char *why, struct image_error *e)
{
	int now = r == IMAGE_CUDA_NO_MEMORY ? 1 : 2;

	if (is_news(&g->failed, now))
		fprintf(stderr, "The processor does the steps on pictures %s: %s\n",
			now == 1 ? "where the GPU cannot" : "from now on", why);
	return image_fail(e, IMAGE_GPU_FAILED, "%s", why);
}

/* The rows are decoded by the processor. */
static int tensor_of_rows(struct image_gpu *g, const struct image_plan *p,
			  const struct parts *parts, struct image_reader *from, void **ret,
			  struct image_error *e)
{
	const struct image_cuda_library *t = g->table;
	char why[IMAGE_CUDA_WHY_MAX];
	void *slot, *block;
	struct image_job j;
	size_t bytes;
	int rc;

	j = job_of(p, parts, false, &bytes);
	rc = t->begin(g->gpu, bytes, &slot, &block, why);
	if (rc)
		return gpu_failed(g, rc, why, e);
	block_tables(block, &j, parts, p);
	rc = block_pixels(block, &j, p, from, e);
	if (!rc) {
		rc = t->run(slot, &j, bytes, NULL, p->result.bytes, ret, why);
		rc = rc ? gpu_failed(g, rc, why, e) : 0;
	}
	t->end(slot);
	return rc;
}

/* ---- decoding there ---- */

#define UNDECODED 1 /* it is the processor's turn, with the rows */

/* The first is told, and that there will be no more. */
static int undecoded(struct image_gpu *g, int r, const char *why)
{
	int now = r == NVJPEG_BROKEN ? 2 : 1;

	if (is_news(&g->undecoded, now))
		fprintf(stderr, "The processor decodes JPEG files %s: %s\n",
			now == 1 ? "where nvJPEG does not" : "from now on", why);
	return UNDECODED;
}

/* What is still being done when something fails is waited for: it is done to memory that is to be
 * given back. */
static int decode_and_run(struct image_gpu *g, const struct image_plan *p,
			  const struct parts *parts, struct slice file, const uint8_t *pixels,
			  void **ret, struct image_error *e)
{
	const struct image_cuda_library *t = g->table;
	char why[IMAGE_CUDA_WHY_MAX], lost_why[IMAGE_CUDA_WHY_MAX];
	struct nvjpeg_state *state = NULL;
	void *slot, *block;
	size_t bytes;
	struct image_job j = job_of(p, parts, true, &bytes);
	int undone, lost = 0, rc = t->begin(g->gpu, bytes, &slot, &block, why);

	if (rc)
		return gpu_failed(g, rc, why, e);
	block_tables(block, &j, parts, p);
	undone = nvjpeg_decode(g->decoder, t->stream(slot), (const uint8_t *)file.p, file.n,
			       &p->info, (void *)(uintptr_t)pixels, &state, e);
	if (!undone)
		rc = t->run(slot, &j, bytes, pixels + parts->source->win.y0 * j.stride,
			    p->result.bytes, ret, why);
	if (undone || rc)
		lost = t->wait(slot, lost_why);
	nvjpeg_release(g->decoder, state);
	t->end(slot);
	if (rc)
		return gpu_failed(g, rc, why, e);
	if (!undone)
		return 0;
	undecoded(g, undone, e->text);
	return lost ? gpu_failed(g, lost, lost_why, e) : UNDECODED;
}

static bool is_to_decode(const struct image_gpu *g, const struct image_plan *p, struct slice file)
{
	return g->decoder && p->chain->on_gpu && p->by == 1 && file.n &&
	       p->info.format == IMAGE_JPEG && __atomic_load_n(&g->undecoded, __ATOMIC_RELAXED) < 2;
}

static int tensor_of_file(struct image_gpu *g, const struct image_plan *p,
			  const struct parts *parts, struct slice file, void **ret,
			  struct image_error *e)
{
	size_t area = (size_t)p->info.width * p->info.height, bytes;
	char why[IMAGE_CUDA_WHY_MAX];
	const char *other;
	void *pixels;
	int rc;

	if (area > DECODED_PIXELS_MAX)
		return undecoded(g, NVJPEG_PICTURE, "it has more than 67 million pixels");
	other = jpeg_baseline((const uint8_t *)file.p, file.n, &p->info, &bytes);
	if (other) {
		snprintf(why, sizeof(why), "it %s", other);
		return undecoded(g, NVJPEG_PICTURE, why);
	}
	file.n = bytes;
	if (g->table->alloc(g->gpu, area * decoded_pixel(p), &pixels, why) < 0)
		return undecoded(g, NVJPEG_PICTURE, why);
	rc = decode_and_run(g, p, parts, file, pixels, ret, e);
	g->table->free(g->gpu, pixels);
	return rc;
}

int image_gpu_tensor(struct image_gpu *g, const struct image_plan *p, struct slice file,
		     struct image_reader *from, void **ret, struct image_error *e)
{
	struct parts parts;
	int rc = UNDECODED;

	parts_of(p, &parts);
	if (is_to_decode(g, p, file))
		rc = tensor_of_file(g, p, &parts, file, ret, e);
	return rc == UNDECODED ? tensor_of_rows(g, p, &parts, from, ret, e) : rc;
}
