/* SPDX-License-Identifier: Apache-2.0 */
#include "image/exif.h"

#include <stdbool.h>
#include <string.h>

#include "base/util.h"

#define ORIENTATION 274

/* Bytes of a value of each type; 0: there is none such. */
static const uint8_t sizes[] = { 0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8 };

struct tiff {
	const uint8_t *p;
	size_t n;
	bool big; /* endian */
};

static uint32_t u16(const struct tiff *t, const uint8_t *p)
{
	return t->big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t u32(const struct tiff *t, const uint8_t *p)
{
	return t->big ? u16(t, p) << 16 | u16(t, p + 2) : u16(t, p + 2) << 16 | u16(t, p);
}

static unsigned one_to_eight(uint32_t value)
{
	return value >= 1 && value <= 8 ? value : 1;
}

/* The first value, where it is a whole number. Others (text, fractions) turn nothing. */
static unsigned value_of(const struct tiff *t, unsigned type, const uint8_t *p)
{
	switch (type) {
	case 3: /* short, signed or not */
	case 8:
		return one_to_eight(u16(t, p));
	case 4: /* long */
	case 9:
	case 13:
		return one_to_eight(u32(t, p));
	case 6:
		return one_to_eight(p[0]);
	default:
		return 1;
	}
}

/* The list of tags that begins at `at`. Sizes are counted as Pillow counts them, because it leaves
 * out tags by what those before them claim to have. */
static unsigned directory(const struct tiff *t, size_t at)
{
	uint64_t total = 0;
	unsigned tags;

	if (at > t->n || t->n - at < 2)
		return EXIF_SILENT;
	tags = u16(t, t->p + at);
	at += 2;
	for (; tags && t->n - at >= 12; tags--, at += 12) {
		const uint8_t *entry = t->p + at, *value = entry + 8;
		unsigned type = u16(t, entry + 2);
		uint64_t size = type < ARRAY_LEN(sizes) ? sizes[type] : 0;

		size *= u32(t, entry + 4);
		if (!size)
			continue;
		if (size > 4) {
			uint32_t offset = u32(t, value);

			total += size;
			if (total > t->n)
				continue;
			if (offset > t->n || t->n - offset < size)
				return EXIF_SILENT;
			value = t->p + offset;
		}
		if (u16(t, entry) == ORIENTATION)
			return value_of(t, type, value);
	}
	return EXIF_SILENT;
}

unsigned exif_orientation(const uint8_t *p, size_t n)
{
	struct tiff t;

	for (unsigned i = 0; i < 2 && n >= 6 && !memcmp(p, "Exif\0", 6); i++) {
		p += 6;
		n -= 6;
	}
	t = (struct tiff){ p, n, n && p[0] == 'M' };
	if (n < 8 || p[0] != p[1] || (p[0] != 'M' && p[0] != 'I') || p[2] + p[3] != 42 ||
	    (p[2] && p[3]))
		return EXIF_SILENT;
	return directory(&t, u32(&t, p + 4));
}

unsigned xmp_orientation(const uint8_t *p, size_t n)
{
	static const char tag[] = "tiff:Orientation";
	const uint8_t *end = p + n;

	while (n && (p = memmem(p, (size_t)(end - p), tag, sizeof(tag) - 1))) {
		p += sizeof(tag) - 1;
		if (end - p >= 2 && p[0] == '>')
			p += 1;
		else if (end - p >= 3 && p[0] == '=' && p[1] == '"')
			p += 2;
		else
			continue;
		if (*p >= '0' && *p <= '9')
			return one_to_eight(*p - '0');
	}
	return EXIF_SILENT;
}
