/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers of 16 bits: IEEE 754 binary16, and the upper half of a float. Rounded to the nearest. */

#include <stdint.h>

uint16_t half_from_float(float f);
float half_to_float(uint16_t h);
uint16_t bfloat_from_float(float f);
float bfloat_to_float(uint16_t h);
