/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers as JSON, as Python's json writes them (also NaN and Infinity): with as few digits as read
 * back equal. Any thread. */

#include "base/buf.h"

void number_put_float(struct buf *out, float v);
void number_put_double(struct buf *out, double v);
