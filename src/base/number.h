/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whole numbers as templates render them: Helm writes 1e+06 for a million, Terraform 1.0 for one,
 * Jinja puts them in quotes. What is integral is an integer, however it is written.
 */

#include "base/slice.h"

/* "7", "-7", "7.0", "1e+06", "2.5e1"; blanks around it do not count. Exact: false, leaving *ret
 * alone, for whatever is not integral or does not fit. */
bool number_from_text(struct slice s, int64_t *ret);
/* False for a fraction, NaN, and what is beyond the doubles that are exact (2^53). */
bool number_from_double(double v, int64_t *ret);
