/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the section `engine` says of inputs. */

#include "kit/kit.h"

#define INPUTS_MAX 64

/* Into `ret`, INPUTS_MAX of them; names live as long as the settings, and may be NULL. *ret_hint:
 * inputs will mostly be like that, but not all. 0, or negative: it says something else. */
int inputs_read(const struct settings *s, struct sconce_tensor_spec *ret, size_t *ret_n,
		int *ret_hint, struct sconce_error *e);
