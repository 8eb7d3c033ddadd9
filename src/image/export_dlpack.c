/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pictures as DLPack has tensors, for python/sconce/image/dlpack.py: those who take one lie on the
 * pixels, and the last owner frees them. All that runs at an end is C, since that end may come in
 * any thread, without Python's lock, or after Python's own.
 *
 * The structs are those of DLPack 0.8 ("dltensor") and 1.0 ("dltensor_versioned").
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "base/util.h"
#include "image/shared.h"

#define EXPORT __attribute__((visibility("default")))
#define DL_CPU 1
#define DL_UINT 1
#define DL_READ_ONLY 1u

struct dl_tensor {
	void *data;
	int32_t device, device_id;
	int32_t ndim;
	uint8_t code, bits;
	uint16_t lanes;
	int64_t *shape, *strides; /* in elements */
	uint64_t byte_offset;
};

struct dl_managed {
	struct dl_tensor tensor;
	void *context;
	void (*deleter)(struct dl_managed *self);
};

struct dl_versioned {
	uint32_t major, minor;
	void *context;
	void (*deleter)(struct dl_versioned *self);
	uint64_t flags;
	struct dl_tensor tensor;
};

/* What is freed at once. */
struct lent {
	union {
		struct dl_managed plain;
		struct dl_versioned versioned;
	};
	struct image *image;
	int64_t shape[3], strides[3];
};

/* What PyCapsule_New() takes. */
struct capsule {
	void *pointer;
	const char *name;
	void (*destructor)(void *capsule);
};

typedef int is_valid_fn(void *capsule, const char *name);
typedef void *get_pointer_fn(void *capsule, const char *name);

EXPORT extern void sconce_image_python(is_valid_fn *is_valid, get_pointer_fn *get_pointer);
EXPORT extern int sconce_image_dlpack(struct image *image, bool versioned, bool read_only,
				      struct capsule *ret, struct image_error *e);

static const char plain_name[] = "dltensor", versioned_name[] = "dltensor_versioned";
static _Atomic(is_valid_fn *) capsule_is_valid;
static _Atomic(get_pointer_fn *) capsule_get_pointer;

/* Python's own functions, which this library is not linked with. */
void sconce_image_python(is_valid_fn *is_valid, get_pointer_fn *get_pointer)
{
	atomic_store(&capsule_is_valid, is_valid);
	atomic_store(&capsule_get_pointer, get_pointer);
}

/* ---- the ends ---- */

static void end(struct lent *l)
{
	image_shared_drop(l->image);
	free(l);
}

static void end_plain(struct dl_managed *self)
{
	end(self->context);
}

static void end_versioned(struct dl_versioned *self)
{
	end(self->context);
}

/* Of a capsule that nobody took, which would have given it another name. */
static void end_capsule(void *capsule)
{
	is_valid_fn *is_valid = atomic_load(&capsule_is_valid);
	get_pointer_fn *get_pointer = atomic_load(&capsule_get_pointer);
	struct dl_managed *plain;
	struct dl_versioned *versioned;

	if (is_valid(capsule, plain_name)) {
		plain = get_pointer(capsule, plain_name);
		plain->deleter(plain);
	} else if (is_valid(capsule, versioned_name)) {
		versioned = get_pointer(capsule, versioned_name);
		versioned->deleter(versioned);
	}
}

/* ---- the beginning ---- */

/* Height, width, and channels where there are several: where they are among their pixel's bytes. */
static struct dl_tensor describe(struct lent *l)
{
	const struct image *image = l->image;
	unsigned bands = image_bands(image->mode), pixel = image_pixel(image->mode);
	unsigned element = image->mode == IMAGE_I16 ? 2 : 1;

	l->shape[0] = image->height;
	l->shape[1] = image->width;
	l->shape[2] = bands;
	l->strides[0] = (int64_t)(image->stride / element);
	l->strides[1] = pixel / element;
	l->strides[2] = image->mode == IMAGE_LA ? 3 : 1;
	return (struct dl_tensor){ .data = image->pixels,
				   .device = DL_CPU,
				   .ndim = bands > 1 ? 3 : 2,
				   .code = DL_UINT,
				   .bits = (uint8_t)(element * 8),
				   .lanes = 1,
				   .shape = l->shape,
				   .strides = l->strides };
}

int sconce_image_dlpack(struct image *image, bool versioned, bool read_only, struct capsule *ret,
			struct image_error *e)
{
	struct lent *l = calloc(1, sizeof(*l));

	if (!l)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory for a tensor");
	image_shared_take(image);
	l->image = image;
	if (versioned)
		l->versioned = (struct dl_versioned){ .major = 1,
						      .context = l,
						      .deleter = end_versioned,
						      .flags = read_only ? DL_READ_ONLY : 0,
						      .tensor = describe(l) };
	else
		l->plain = (struct dl_managed){ .tensor = describe(l),
						.context = l,
						.deleter = end_plain };
	*ret = (struct capsule){ .pointer = l,
				 .name = versioned ? versioned_name : plain_name,
				 .destructor = end_capsule };
	return 0;
}
