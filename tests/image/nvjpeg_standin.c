/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Stands in for libnvjpeg.so: libjpeg decodes, into "the GPU's" memory of cuda_standin.c. Whoever
 * uses it in another order than the library wants (image/nvjpeg_abi.h), or leaves something open,
 * ends here. SCONCE_STANDIN_NVJPEG=nvjpegDecode:6 lets a call fail with a status; with -1
 * nvjpegGetImageInfo tells another size; "tell" writes a line for each picture that is decoded.
 */

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>

#include "image/nvjpeg_abi.h"

#define EXPORT __attribute__((visibility("default")))
#define AWAY ((uintptr_t)1 << 60)

EXPORT nvjpeg_property_fn nvjpegGetProperty;
EXPORT nvjpeg_create_fn nvjpegCreateSimple;
EXPORT nvjpeg_destroy_fn nvjpegDestroy;
EXPORT nvjpeg_state_create_fn nvjpegJpegStateCreate;
EXPORT nvjpeg_state_destroy_fn nvjpegJpegStateDestroy;
EXPORT nvjpeg_info_fn nvjpegGetImageInfo;
EXPORT nvjpeg_decode_fn nvjpegDecode;
/* For tests: pictures it has decoded, and states there are. */
EXPORT extern int standin_decoded, standin_states;
int standin_decoded, standin_states;

struct failing {
	struct jpeg_error_mgr errors;
	jmp_buf out;
};

/* The status that this call is to fail with; 0: none. */
static int told(const char *call)
{
	const char *what = getenv("SCONCE_STANDIN_NVJPEG");
	size_t n = strlen(call);

	return what && !strncmp(what, call, n) && what[n] == ':'
		       ? (int)strtol(what + n + 1, NULL, 10)
		       : 0;
}

int nvjpegGetProperty(int type, int *value)
{
	*value = 7 + type;
	return told("nvjpegGetProperty");
}

int nvjpegCreateSimple(void **handle)
{
	int status = told("nvjpegCreateSimple");

	if (!status)
		*handle = malloc(1);
	return status;
}

int nvjpegDestroy(void *handle)
{
	if (standin_states)
		abort();
	free(handle);
	return 0;
}

int nvjpegJpegStateCreate(void *handle, void **state)
{
	int status = told("nvjpegJpegStateCreate");

	(void)handle;
	if (!status) {
		*state = malloc(1);
		__atomic_add_fetch(&standin_states, 1, __ATOMIC_RELAXED);
	}
	return status;
}

int nvjpegJpegStateDestroy(void *state)
{
	free(state);
	__atomic_sub_fetch(&standin_states, 1, __ATOMIC_RELAXED);
	return 0;
}

static void on_error(j_common_ptr common)
{
	/* tidy: allow banned: the one way out of libjpeg */
	longjmp(((struct failing *)(void *)common->err)->out, 1);
}

static void begin(struct jpeg_decompress_struct *d, struct failing *f, const unsigned char *data,
		  size_t length)
{
	d->err = jpeg_std_error(&f->errors);
	f->errors.error_exit = on_error;
	jpeg_create_decompress(d);
	jpeg_mem_src(d, data, length);
	jpeg_read_header(d, TRUE);
}

int nvjpegGetImageInfo(void *handle, const unsigned char *data, size_t length, int *components,
		       int *subsampling, int *widths, int *heights)
{
	int status = told("nvjpegGetImageInfo");
	struct jpeg_decompress_struct d = { 0 };
	struct failing f;

	(void)handle;
	if (status > 0)
		return status;
	if (setjmp(f.out)) { /* tidy: allow banned: likewise */
		jpeg_destroy_decompress(&d);
		return NVJPEG_BAD_JPEG;
	}
	begin(&d, &f, data, length);
	*components = d.num_components;
	*subsampling = 0;
	for (int i = 0; i < d.num_components && i < NVJPEG_COMPONENTS; i++) {
		widths[i] = (int)d.image_width + (status < 0);
		heights[i] = (int)d.image_height;
	}
	jpeg_destroy_decompress(&d);
	return 0;
}

int nvjpegDecode(void *handle, void *state, const unsigned char *data, size_t length, int format,
		 struct nvjpeg_planes *to, void *stream)
{
	unsigned char *out = (unsigned char *)((uintptr_t)to->channel[0] & ~AWAY);
	struct jpeg_decompress_struct d = { 0 };
	int status = told("nvjpegDecode");
	struct failing f;

	if (!handle || !state || !stream || !((uintptr_t)to->channel[0] & AWAY))
		abort();
	if (status)
		return status;
	if (setjmp(f.out)) { /* tidy: allow banned: likewise */
		jpeg_destroy_decompress(&d);
		return NVJPEG_BAD_JPEG;
	}
	begin(&d, &f, data, length);
	d.out_color_space = format == NVJPEG_OUTPUT_Y ? JCS_GRAYSCALE : JCS_RGB;
	jpeg_start_decompress(&d);
	while (d.output_scanline < d.output_height) {
		JSAMPROW row = out + d.output_scanline * to->pitch[0];

		jpeg_read_scanlines(&d, &row, 1);
	}
	jpeg_destroy_decompress(&d);
	__atomic_add_fetch(&standin_decoded, 1, __ATOMIC_RELAXED);
	if (getenv("SCONCE_STANDIN_NVJPEG") && !strcmp(getenv("SCONCE_STANDIN_NVJPEG"), "tell"))
		fprintf(stderr, "nvjpeg_standin: decoded\n");
	return 0;
}
