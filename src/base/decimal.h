/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A double as Java's Double.toString() prints it, which is how TorchServe writes numbers: the
 * shortest digits that read back equal, "1.0", "2.7724E7". Any thread. */

#include <stddef.h>

#define DECIMAL_MAX 40

/* Returns the length; there is no NUL. "NaN", "+Inf" and "-Inf" as Prometheus has them. */
size_t decimal_write(char out[DECIMAL_MAX], double v);
