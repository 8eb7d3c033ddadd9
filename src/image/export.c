/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What python/sconce/image calls through ctypes: a shared library of this folder alone. Its structs
 * are those of the headers; sconce_image_layout() tells their sizes, so that a library of another
 * version is found out before it is used. Pointers are Python's to keep alive during a call, which
 * runs without its lock.
 */

#include "image/chain.h"
#include "image/shared.h"

#define EXPORT __attribute__((visibility("default")))
#define EXPORT_VERSION 2u

EXPORT extern uint64_t sconce_image_layout(void);
EXPORT extern int sconce_image_open(const void *bytes, size_t n, const struct image_limits *limits,
				    struct image_reader **ret, struct image_info *ret_info,
				    struct image_error *e);
EXPORT extern int sconce_image_hold(enum image_mode mode, uint32_t width, uint32_t height,
				    const void *pixels, struct image **ret, struct image_error *e);
EXPORT extern int sconce_image_again(const struct image *image, struct image_reader **ret,
				     struct image_info *ret_info, struct image_error *e);
EXPORT extern void sconce_image_drop(struct image *image);
EXPORT extern void sconce_image_close(struct image_reader *r);
EXPORT extern int sconce_image_plan(const struct image_chain *c, const struct image_info *info,
				    struct image_plan **ret, struct image_result *ret_result,
				    struct image_error *e);
EXPORT extern void sconce_image_plan_free(struct image_plan *p);
EXPORT extern int sconce_image_tensor(const struct image_plan *p, struct image_reader *from,
				      void *to, struct image_error *e);
EXPORT extern int sconce_image_picture(const struct image_plan *p, struct image_reader *from,
				       struct image **ret, struct image_error *e);
EXPORT extern void sconce_image_bands(const struct image *image, void *to);

uint64_t sconce_image_layout(void)
{
	return (uint64_t)EXPORT_VERSION << 48 | (uint64_t)sizeof(struct image_step) << 32 |
	       (uint64_t)sizeof(struct image_result) << 16 | sizeof(struct image_info);
}

int sconce_image_open(const void *bytes, size_t n, const struct image_limits *limits,
		      struct image_reader **ret, struct image_info *ret_info, struct image_error *e)
{
	int r = image_open(bytes, n, limits, ret, e);

	if (!r)
		*ret_info = *image_reader_info(*ret);
	return r;
}

/* ---- pictures in memory ---- */

int sconce_image_hold(enum image_mode mode, uint32_t width, uint32_t height, const void *pixels,
		      struct image **ret, struct image_error *e)
{
	struct image *image;
	int r;

	if (mode > IMAGE_CMYK || mode == IMAGE_P || !width || !height)
		return image_fail(e, IMAGE_BAD, "there are no such pictures");
	image = image_shared_create();
	if (!image)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory for the picture");
	r = image_create(image, mode, width, height, e);
	if (r < 0) {
		image_shared_drop(image);
		return r;
	}
	for (uint32_t y = 0; y < height; y++)
		image_put_row(image, y, (const uint8_t *)pixels + y * image_row(image));
	*ret = image;
	return 0;
}

int sconce_image_again(const struct image *image, struct image_reader **ret,
		       struct image_info *ret_info, struct image_error *e)
{
	int r = image_reader_of(image, 1, ret, e);

	if (!r)
		*ret_info = *image_reader_info(*ret);
	return r;
}

void sconce_image_bands(const struct image *image, void *to)
{
	for (uint32_t y = 0; y < image->height; y++)
		image_get_row(image, y, (uint8_t *)to + y * image_row(image));
}

void sconce_image_drop(struct image *image)
{
	image_shared_drop(image);
}

void sconce_image_close(struct image_reader *r)
{
	image_reader_close(r);
}

/* ---- chains ---- */

int sconce_image_plan(const struct image_chain *c, const struct image_info *info,
		      struct image_plan **ret, struct image_result *ret_result,
		      struct image_error *e)
{
	int r = image_chain_check(c, e);

	if (!r)
		r = image_plan_create(c, info, ret, e);
	if (!r)
		*ret_result = *image_plan_result(*ret);
	return r;
}

void sconce_image_plan_free(struct image_plan *p)
{
	image_plan_free(p);
}

int sconce_image_tensor(const struct image_plan *p, struct image_reader *from, void *to,
			struct image_error *e)
{
	return image_plan_tensor(p, from, to, e);
}

int sconce_image_picture(const struct image_plan *p, struct image_reader *from, struct image **ret,
			 struct image_error *e)
{
	struct image *image = image_shared_create();
	int r;

	if (!image)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory for the picture");
	r = image_plan_image(p, from, image, e);
	if (r < 0)
		image_shared_drop(image);
	else
		*ret = image;
	return r;
}
