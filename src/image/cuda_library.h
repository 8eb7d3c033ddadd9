/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What libsconce-image-cuda.so is to the worker: one symbol, a table. It is built where there is
 * nvcc, loaded where a model runs on a GPU (image/gpu.h), and does without the driver until open().
 *
 * Functions return 0, or -1 with a sentence in `why`; -2 is: no memory. Any thread, but for open
 * and close; a slot belongs to one thread from begin() to end().
 */

#include "image/cuda_job.h"

#define IMAGE_CUDA_ABI 2u
#define IMAGE_CUDA_SYMBOL "sconce_image_cuda"
#define IMAGE_CUDA_WHY_MAX 200
#define IMAGE_CUDA_NO_MEMORY (-2)

struct image_cuda_library {
	uint32_t abi, job_size; /* sizeof(struct image_job) */
	int (*open)(int device, void **ret, char *why);
	void (*close)(void *gpu);
	/* "NVIDIA L4, CUDA 13.0" */
	const char *(*name)(void *gpu);
	/* A block of the host's memory that the GPU reads fast. Blocks are kept for others. */
	int (*begin)(void *gpu, size_t bytes, void **ret_slot, void **ret_block, char *why);
	/* The cudaStream_t on which the slot's work is done, for others to add theirs before; and
	 * until all of it is done. */
	void *(*stream)(void *slot);
	int (*wait)(void *slot, char *why);
	/* Copies `bytes` of the block, and does the job to *ret, memory of the GPU of
	 * result_bytes, which is to be given to free(). `decoded`: rows that lie in the GPU's
	 * memory, or NULL. It is done when this returns. */
	int (*run)(void *slot, const struct image_job *job, size_t bytes, const void *decoded,
		   size_t result_bytes, void **ret, char *why);
	void (*end)(void *slot);
	/* Memory of the GPU; copies within it, and from it to the host's. */
	int (*alloc)(void *gpu, size_t bytes, void **ret, char *why);
	void (*free)(void *gpu, void *memory);
	int (*copy)(void *gpu, void *to, const void *from, size_t bytes, char *why);
	int (*fetch)(void *gpu, void *to, const void *from, size_t bytes, char *why);
};
