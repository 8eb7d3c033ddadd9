/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stands in for libsconce-image-cuda.so: "the GPU" is this processor. Its memory is at addresses
 * that nobody can use but through the table, so whoever takes them for the host's crashes.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/cuda_library.h"

#define AWAY ((uintptr_t)1 << 60) /* no address of a process */

static void *away(void *p)
{
	return (void *)((uintptr_t)p | AWAY);
}

static void *here(const void *p)
{
	if (!((uintptr_t)p & AWAY))
		abort(); /* that is the host's */
	return (void *)((uintptr_t)p & ~AWAY);
}

static int standin_open(int device, void **ret, char *why)
{
	static int gpu;

	if (device != 0) {
		snprintf(why, IMAGE_CUDA_WHY_MAX, "there is no GPU %d", device);
		return -1;
	}
	*ret = &gpu;
	return 0;
}

static void standin_close(void *gpu)
{
	(void)gpu;
}

static const char *standin_name(void *gpu)
{
	(void)gpu;
	return "a stand-in";
}

static int standin_begin(void *gpu, size_t bytes, void **ret_slot, void **ret_block, char *why)
{
	(void)gpu;
	(void)why;
	*ret_slot = *ret_block = aligned_alloc(64, (bytes + 63) / 64 * 64);
	return 0;
}

static void *standin_stream(void *slot)
{
	return slot;
}

static int standin_wait(void *slot, char *why)
{
	bool broken = getenv("SCONCE_STANDIN_LOST");

	(void)slot;
	if (broken)
		snprintf(why, IMAGE_CUDA_WHY_MAX, "CUDA: the stand-in is lost");
	return broken ? -1 : 0;
}

static int standin_run(void *slot, const struct image_job *job, size_t bytes, const void *decoded,
		       size_t result_bytes, void **ret, char *why)
{
	uint8_t *block = malloc(bytes), *to = malloc(result_bytes);
	bool broken = getenv("SCONCE_STANDIN_BROKEN");

	if (broken)
		snprintf(why, IMAGE_CUDA_WHY_MAX, "CUDA: the stand-in is broken");
	/* A copy of its own, so that a sanitizer sees what lies outside. */
	memcpy(block, slot, bytes);
	for (uint32_t y = 0; !broken && y < job->height; y++)
		for (uint32_t x = 0; x < job->width; x++)
			job_pixel(block, decoded ? here(decoded) : NULL, job, x, y, to);
	free(block);
	if (broken)
		free(to);
	else
		*ret = away(to);
	return broken ? -1 : 0;
}

static void standin_end(void *slot)
{
	free(slot);
}

static int standin_alloc(void *gpu, size_t bytes, void **ret, char *why)
{
	(void)gpu;
	if (getenv("SCONCE_STANDIN_FULL")) {
		snprintf(why, IMAGE_CUDA_WHY_MAX, "CUDA: the stand-in is full");
		return IMAGE_CUDA_NO_MEMORY;
	}
	*ret = away(malloc(bytes));
	return 0;
}

static void standin_free(void *gpu, void *memory)
{
	(void)gpu;
	free(here(memory));
}

static int standin_copy(void *gpu, void *to, const void *from, size_t bytes, char *why)
{
	(void)gpu;
	(void)why;
	memcpy(here(to), here(from), bytes);
	return 0;
}

static int standin_fetch(void *gpu, void *to, const void *from, size_t bytes, char *why)
{
	(void)gpu;
	(void)why;
	memcpy(to, here(from), bytes);
	return 0;
}

extern const struct image_cuda_library sconce_image_cuda;
__attribute__((visibility("default"))) const struct image_cuda_library sconce_image_cuda = {
	IMAGE_CUDA_ABI, sizeof(struct image_job),
	standin_open,   standin_close,
	standin_name,   standin_begin,
	standin_stream, standin_wait,
	standin_run,    standin_end,
	standin_alloc,  standin_free,
	standin_copy,   standin_fetch,
};
