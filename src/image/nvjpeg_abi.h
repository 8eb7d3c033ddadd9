/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The part of nvJPEG's interface that is used, as of the header nvjpeg.h of CUDA 11.6: its types,
 * status codes and functions (docs.nvidia.com/cuda/nvjpeg describes them). NVIDIA has only added
 * to them since, as far as is known; the library of CUDA 13 has all these functions. Handles are
 * pointers; enums are ints.
 */

#include <stddef.h>

#define NVJPEG_COMPONENTS 4

enum nvjpeg_status {
	NVJPEG_OK = 0,
	NVJPEG_NOT_INITIALIZED = 1,
	NVJPEG_INVALID_PARAMETER = 2,
	NVJPEG_BAD_JPEG = 3,
	NVJPEG_JPEG_NOT_SUPPORTED = 4,
	NVJPEG_ALLOCATOR_FAILURE = 5,
	NVJPEG_EXECUTION_FAILED = 6,
	NVJPEG_ARCH_MISMATCH = 7,
	NVJPEG_INTERNAL_ERROR = 8,
	NVJPEG_IMPLEMENTATION_NOT_SUPPORTED = 9,
	NVJPEG_INCOMPLETE_BITSTREAM = 10
};

/* nvjpegOutputFormat_t, nvjpegChromaSubsampling_t, libraryPropertyType. */
enum { NVJPEG_OUTPUT_Y = 2, NVJPEG_OUTPUT_RGBI = 5 };
enum { NVJPEG_CSS_UNKNOWN = -1 };
enum { NVJPEG_MAJOR = 0, NVJPEG_MINOR = 1, NVJPEG_PATCH = 2 };

struct nvjpeg_planes { /* nvjpegImage_t */
	unsigned char *channel[NVJPEG_COMPONENTS];
	size_t pitch[NVJPEG_COMPONENTS];
};

typedef int nvjpeg_property_fn(int type, int *value);
typedef int nvjpeg_create_fn(void **handle);
typedef int nvjpeg_destroy_fn(void *handle);
typedef int nvjpeg_state_create_fn(void *handle, void **state);
typedef int nvjpeg_state_destroy_fn(void *state);
typedef int nvjpeg_info_fn(void *handle, const unsigned char *data, size_t length, int *components,
			   int *subsampling, int *widths, int *heights);
typedef int nvjpeg_decode_fn(void *handle, void *state, const unsigned char *data, size_t length,
			     int format, struct nvjpeg_planes *to, void *stream);
