/* SPDX-License-Identifier: Apache-2.0 */
#include "image/nvjpeg.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "image/nvjpeg_abi.h"

/* What a state has grown to it keeps; one that has seen a picture of more is not kept. */
#define KEPT_PIXELS ((uint64_t)16 << 20)

struct nvjpeg_state {
	struct nvjpeg_state *next;
	void *state;
	uint64_t pixels;
};

struct nvjpeg {
	nvjpeg_property_fn *property;
	nvjpeg_create_fn *create;
	nvjpeg_destroy_fn *destroy;
	nvjpeg_state_create_fn *state_create;
	nvjpeg_state_destroy_fn *state_destroy;
	nvjpeg_info_fn *info;
	nvjpeg_decode_fn *decode;
	void *handle;
	char name[40];
	pthread_mutex_t lock;
	struct nvjpeg_state *free; /* with the lock */
};

static const char *status_text(int status)
{
	static const char *const texts[] = {
		[NVJPEG_NOT_INITIALIZED] = "it is not initialised",
		[NVJPEG_INVALID_PARAMETER] = "a parameter is wrong",
		[NVJPEG_BAD_JPEG] = "it cannot read the file",
		[NVJPEG_JPEG_NOT_SUPPORTED] = "it does not support the file",
		[NVJPEG_ALLOCATOR_FAILURE] = "there is no memory",
		[NVJPEG_EXECUTION_FAILED] = "the GPU failed",
		[NVJPEG_ARCH_MISMATCH] = "it does not support the GPU",
		[NVJPEG_INTERNAL_ERROR] = "it failed within",
		[NVJPEG_IMPLEMENTATION_NOT_SUPPORTED] = "it does not support this here",
		[NVJPEG_INCOMPLETE_BITSTREAM] = "the file ends too early",
	};

	return status > 0 && status < (int)ARRAY_LEN(texts) ? texts[status] : "it failed";
}

static int failed(const char *call, int status, struct image_error *e)
{
	image_fail(e, IMAGE_BAD, "%s: %s (status %d)", call, status_text(status), status);
	switch (status) {
	case NVJPEG_BAD_JPEG:
	case NVJPEG_JPEG_NOT_SUPPORTED:
	case NVJPEG_ALLOCATOR_FAILURE:
	case NVJPEG_IMPLEMENTATION_NOT_SUPPORTED:
	case NVJPEG_INCOMPLETE_BITSTREAM:
		return NVJPEG_PICTURE;
	default:
		return NVJPEG_BROKEN;
	}
}

/* ---- the library ---- */

static void *library_open(struct image_error *e)
{
	static const char *const names[] = { "libnvjpeg.so.13", "libnvjpeg.so.12",
					     "libnvjpeg.so.11" };
	const char *given = getenv("SCONCE_NVJPEG");
	void *library = given ? dlopen(given, RTLD_NOW | RTLD_LOCAL) : NULL;

	for (size_t i = 0; i < ARRAY_LEN(names) && !library && !given; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		image_fail(e, IMAGE_BAD, "%.200s",
			   given ? dlerror()
				 : "there is no libnvjpeg.so.13, .12 or .11 where libraries are "
				   "looked for; SCONCE_NVJPEG names one elsewhere");
	return library;
}

static int library_bind(struct nvjpeg *n, void *library, struct image_error *e)
{
	const struct {
		const char *name;
		void *to;
	} calls[] = {
		{ "nvjpegGetProperty", &n->property },
		{ "nvjpegCreateSimple", &n->create },
		{ "nvjpegDestroy", &n->destroy },
		{ "nvjpegJpegStateCreate", &n->state_create },
		{ "nvjpegJpegStateDestroy", &n->state_destroy },
		{ "nvjpegGetImageInfo", &n->info },
		{ "nvjpegDecode", &n->decode },
	};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		*(void **)calls[i].to = dlsym(library, calls[i].name);
		if (!*(void **)calls[i].to)
			return image_fail(e, IMAGE_BAD, "the library for nvJPEG has no %s",
					  calls[i].name);
	}
	return 0;
}

static int library_start(struct nvjpeg *n, struct image_error *e)
{
	int version[3] = { 0 }, status = 0;

	for (int i = NVJPEG_MAJOR; i <= NVJPEG_PATCH && !status; i++)
		status = n->property(i, &version[i]);
	if (status) {
		failed("nvjpegGetProperty", status, e);
		return IMAGE_BAD;
	}
	snprintf(n->name, sizeof(n->name), "nvJPEG %d.%d.%d", version[0], version[1], version[2]);
	status = n->create(&n->handle);
	if (status) {
		failed("nvjpegCreateSimple", status, e);
		return IMAGE_BAD;
	}
	return 0;
}

/* The library stays loaded: CUDA's runtime has threads. */
int nvjpeg_open(struct nvjpeg **ret, struct image_error *e)
{
	struct nvjpeg *n = calloc(1, sizeof(*n));
	void *library;
	int r;

	*ret = NULL;
	if (!n)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory for nvJPEG");
	library = library_open(e);
	r = library ? library_bind(n, library, e) : IMAGE_BAD;
	r = r ? r : library_start(n, e);
	if (r) {
		free(n);
		return r;
	}
	pthread_mutex_init(&n->lock, NULL);
	*ret = n;
	return 0;
}

static void state_free(struct nvjpeg *n, struct nvjpeg_state *s)
{
	n->state_destroy(s->state);
	free(s);
}

static struct nvjpeg_state *state_kept(struct nvjpeg *n)
{
	struct nvjpeg_state *s;

	pthread_mutex_lock(&n->lock);
	s = n->free;
	if (s)
		n->free = s->next;
	pthread_mutex_unlock(&n->lock);
	return s;
}

void nvjpeg_close(struct nvjpeg *n)
{
	struct nvjpeg_state *s;

	if (!n)
		return;
	while ((s = state_kept(n)))
		state_free(n, s);
	n->destroy(n->handle);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

const char *nvjpeg_name(const struct nvjpeg *n)
{
	return n->name;
}

/* ---- pictures ---- */

static int state_take(struct nvjpeg *n, struct nvjpeg_state **ret, struct image_error *e)
{
	struct nvjpeg_state *s = state_kept(n);
	int status;

	*ret = s;
	if (s)
		return 0;
	s = calloc(1, sizeof(*s));
	status = s ? n->state_create(n->handle, &s->state) : NVJPEG_ALLOCATOR_FAILURE;
	if (status) {
		free(s);
		return failed("nvjpegJpegStateCreate", status, e);
	}
	*ret = s;
	return 0;
}

void nvjpeg_release(struct nvjpeg *n, struct nvjpeg_state *s)
{
	if (!s)
		return;
	if (s->pixels > KEPT_PIXELS) {
		state_free(n, s);
		return;
	}
	pthread_mutex_lock(&n->lock);
	s->next = n->free;
	n->free = s;
	pthread_mutex_unlock(&n->lock);
}

/* What it writes is of the size that it finds itself, so that must be ours. */
static int check_info(struct nvjpeg *n, const uint8_t *bytes, size_t length,
		      const struct image_info *info, struct image_error *e)
{
	int widths[NVJPEG_COMPONENTS] = { 0 }, heights[NVJPEG_COMPONENTS] = { 0 };
	int components = 0, subsampling = NVJPEG_CSS_UNKNOWN;
	int status = n->info(n->handle, bytes, length, &components, &subsampling, widths, heights);

	if (status)
		return failed("nvjpegGetImageInfo", status, e);
	if (widths[0] > 0 && (uint32_t)widths[0] == info->width && heights[0] > 0 &&
	    (uint32_t)heights[0] == info->height && components == (info->mode == IMAGE_L ? 1 : 3) &&
	    subsampling != NVJPEG_CSS_UNKNOWN)
		return 0;
	image_fail(e, IMAGE_BAD, "nvjpegGetImageInfo: it sees another picture");
	return NVJPEG_PICTURE;
}

int nvjpeg_decode(struct nvjpeg *n, void *stream, const uint8_t *bytes, size_t length,
		  const struct image_info *info, void *to, struct nvjpeg_state **ret_state,
		  struct image_error *e)
{
	bool grey = info->mode == IMAGE_L;
	struct nvjpeg_planes planes = { .channel = { to },
					.pitch = { (size_t)info->width * (grey ? 1 : 3) } };
	int r = check_info(n, bytes, length, info, e), status;

	*ret_state = NULL;
	if (r || (r = state_take(n, ret_state, e)))
		return r;
	(*ret_state)->pixels = MAX((*ret_state)->pixels, (uint64_t)info->width * info->height);
	status = n->decode(n->handle, (*ret_state)->state, bytes, length,
			   grey ? NVJPEG_OUTPUT_Y : NVJPEG_OUTPUT_RGBI, &planes, stream);
	return status ? failed("nvjpegDecode", status, e) : 0;
}
