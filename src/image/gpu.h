/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Plans done by a GPU: files are decoded by the processor, and what follows is one kernel that
 * leaves the tensor in the GPU's memory, for an engine that takes it there. Bit for bit what
 * image_plan_tensor() makes; but for JPEGs that the GPU is let decode, too.
 *
 * The library with the kernel is loaded when a GPU is opened; a machine may have none, nor a
 * driver. Any thread, but for open and close.
 */

#include "base/slice.h"
#include "image/chain.h"

#define IMAGE_GPU_FAILED (-20)

struct image_gpu; /* opaque */

/* `device`: "cuda:1". IMAGE_BAD: the sentence says what is missing. SCONCE_IMAGE_CUDA in the
 * environment names another library. */
int image_gpu_open(const char *device, struct image_gpu **ret, struct image_error *e);
void image_gpu_close(struct image_gpu *g); /* NULL is fine */
/* Which it is, for people. */
const char *image_gpu_name(const struct image_gpu *g);
int image_gpu_device(const struct image_gpu *g);
/* Looks for nvJPEG, for the chains that let it decode; right after opening. IMAGE_BAD: the sentence
 * says what is missing, and the processor decodes. */
int image_gpu_add_decoder(struct image_gpu *g, struct image_error *e);
/* Its name; NULL: there is none. */
const char *image_gpu_decoder(const struct image_gpu *g);

/* Is it to do this plan? Not all: pictures with alpha, of 16 bits, turned ones, margins, and
 * several resizes are the processor's, and everything is once the GPU has failed. */
bool image_gpu_does(const struct image_gpu *g, const struct image_plan *p);
/* As image_plan_tensor(), into memory of the GPU, which is yours to free. `file`: the bytes that
 * `from` reads, or none; those that nvJPEG does not decode the processor does, and the first time a
 * line on standard error says why. IMAGE_GPU_FAILED: it is not the picture's fault, and the
 * processor may do it; the first time a line on standard error says why. */
int image_gpu_tensor(struct image_gpu *g, const struct image_plan *p, struct slice file,
		     struct image_reader *from, void **ret, struct image_error *e);
/* Memory of the GPU: taking it, copies within it and out of it. */
int image_gpu_alloc(struct image_gpu *g, size_t bytes, void **ret, struct image_error *e);
void image_gpu_free(struct image_gpu *g, void *memory);
int image_gpu_copy(struct image_gpu *g, void *to, const void *from, size_t bytes,
		   struct image_error *e);
int image_gpu_fetch(struct image_gpu *g, void *to, const void *from, size_t bytes,
		    struct image_error *e);
