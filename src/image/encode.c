/* SPDX-License-Identifier: Apache-2.0 */
#include "image/encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <png.h>

/* ---- PNG ---- */

static void png_failed(png_structp png, png_const_charp why)
{
	(void)why;
	png_longjmp(png, 1);
}

static void png_warned(png_structp png, png_const_charp why)
{
	(void)png;
	(void)why;
}

static void png_put(png_structp png, png_bytep p, png_size_t n)
{
	buf_append(png_get_io_ptr(png), p, n);
}

static void png_flush_nothing(png_structp png)
{
	(void)png;
}

static int png_write(png_structp png, png_infop info, const struct image *image, struct buf *out)
{
	int color = image->mode == IMAGE_RGB    ? PNG_COLOR_TYPE_RGB
		    : image->mode == IMAGE_RGBA ? PNG_COLOR_TYPE_RGB_ALPHA
						: PNG_COLOR_TYPE_GRAY;

	/* tidy: allow banned: libpng has no other way to tell errors */
	if (setjmp(png_jmpbuf(png)))
		return IMAGE_NO_MEMORY;
	png_set_write_fn(png, out, png_put, png_flush_nothing);
	png_set_IHDR(png, info, image->width, image->height, 8, color, PNG_INTERLACE_NONE,
		     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	if (image->mode == IMAGE_RGB)
		png_set_filler(png, 0, PNG_FILLER_AFTER);
	for (uint32_t y = 0; y < image->height && !buf_overflowed(out); y++)
		png_write_row(png, image->pixels + (size_t)y * image->stride);
	if (!buf_overflowed(out))
		png_write_end(png, info);
	return 0;
}

int image_encode_png(const struct image *image, struct buf *out, struct image_error *e)
{
	png_structp png;
	png_infop info;
	int r;

	if (image->mode != IMAGE_L && image->mode != IMAGE_RGB && image->mode != IMAGE_RGBA)
		return image_fail(e, IMAGE_BAD,
				  "a picture of mode %s is not written as PNG: convert it",
				  image_mode_name(image->mode));
	png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_failed, png_warned);
	info = png ? png_create_info_struct(png) : NULL;
	r = info ? png_write(png, info, image, out) : IMAGE_NO_MEMORY;
	png_destroy_write_struct(&png, &info);
	return r < 0 ? image_fail(e, r, "there is no memory for the PNG") : 0;
}

/* ---- JPEG ---- */

struct jpeg_failure {
	struct jpeg_error_mgr base; /* first: libjpeg knows this one */
	jmp_buf jump;
};

static void jpeg_failed(j_common_ptr jpeg)
{
	/* tidy: allow banned: the one way out of libjpeg that leaves it fit to be destroyed */
	longjmp(((struct jpeg_failure *)(void *)jpeg->err)->jump, 1);
}

static void jpeg_says(j_common_ptr jpeg)
{
	(void)jpeg;
}

static int jpeg_write(struct jpeg_compress_struct *jpeg, struct jpeg_failure *failure,
		      const struct image *image, unsigned quality, unsigned char **bytes,
		      unsigned long *n)
{
	/* tidy: allow banned: libjpeg has no other way to tell errors */
	if (setjmp(failure->jump))
		return IMAGE_NO_MEMORY;
	jpeg_create_compress(jpeg);
	jpeg_mem_dest(jpeg, bytes, n);
	jpeg->image_width = image->width;
	jpeg->image_height = image->height;
	jpeg->input_components = image->mode == IMAGE_L ? 1 : 4;
	jpeg->in_color_space = image->mode == IMAGE_L ? JCS_GRAYSCALE : JCS_EXT_RGBX;
	jpeg_set_defaults(jpeg);
	jpeg_set_quality(jpeg, (int)quality, TRUE);
	jpeg_start_compress(jpeg, TRUE);
	while (jpeg->next_scanline < image->height) {
		JSAMPROW row = image->pixels + (size_t)jpeg->next_scanline * image->stride;

		jpeg_write_scanlines(jpeg, &row, 1);
	}
	jpeg_finish_compress(jpeg);
	return 0;
}

int image_encode_jpeg(const struct image *image, unsigned quality, struct buf *out,
		      struct image_error *e)
{
	struct jpeg_compress_struct jpeg = { 0 };
	struct jpeg_failure failure;
	unsigned char *bytes = NULL;
	unsigned long n = 0;
	int r;

	if (image->mode != IMAGE_L && image->mode != IMAGE_RGB)
		return image_fail(e, IMAGE_BAD,
				  "a picture of mode %s is not written as JPEG: convert it",
				  image_mode_name(image->mode));
	jpeg.err = jpeg_std_error(&failure.base);
	failure.base.error_exit = jpeg_failed;
	failure.base.output_message = jpeg_says;
	r = jpeg_write(&jpeg, &failure, image, quality, &bytes, &n);
	jpeg_destroy_compress(&jpeg);
	if (!r)
		buf_append(out, bytes, n);
	free(bytes);
	return r < 0 ? image_fail(e, r, "there is no memory for the JPEG") : 0;
}
