/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A picture in memory with several owners: Python's object, and tensors of others that lie on its
 * pixels. Pixels stay as they are while there is more than one, unless those agree on it; owners
 * come and go in any thread.
 */

#include "image/image.h"

/* A picture without pixels yet, and with one owner. NULL: no memory. */
struct image *image_shared_create(void);
/* One owner more, and one less, of a picture from image_shared_create(); the last one frees it.
 * NULL is fine for the latter. */
void image_shared_take(struct image *image);
void image_shared_drop(struct image *image);
