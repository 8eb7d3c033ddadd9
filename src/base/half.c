/* SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"

#include <math.h>
#include <string.h>

/* All of it in doubles, which hold every half exactly; slow, and only for JSON. */
uint16_t half_from_float(float f)
{
	uint16_t sign = signbit(f) ? 0x8000 : 0;
	double value = fabs((double)f), unit;
	int exponent;
	uint32_t steps;

	if (isnan(f))
		return sign | 0x7e00;
	if (value >= 65520)
		return sign | 0x7c00;
	frexp(value, &exponent);
	exponent = exponent - 1 < -14 ? -14 : exponent - 1;
	unit = ldexp(1, exponent - 10);
	steps = (uint32_t)nearbyint(value / unit); /* 0 … 2048; below 1024: a subnormal */
	if (steps < 1024)
		return (uint16_t)(sign | steps);
	return (uint16_t)(sign | ((((uint32_t)(exponent + 15)) << 10) + (steps - 1024)));
}

float half_to_float(uint16_t h)
{
	int exponent = (h >> 10) & 31, steps = h & 1023;
	double value = exponent == 31 ? (steps ? NAN : INFINITY)
		       : exponent     ? ldexp(1024 + steps, exponent - 25)
				      : ldexp(steps, -24);

	return (float)(h & 0x8000 ? -value : value);
}

uint16_t bfloat_from_float(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	if (isnan(f))
		return (uint16_t)(bits >> 16) | 0x40;
	return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float bfloat_to_float(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}
