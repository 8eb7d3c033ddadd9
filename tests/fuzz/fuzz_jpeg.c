/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include "image/jpeg_baseline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct image_info info = { .mode = IMAGE_RGB };
	size_t bytes;

	/* Of the size that it says, where it is the frame's first bytes that do. */
	for (size_t i = 0; i + 9 < n; i++) {
		if (data[i] != 0xff || data[i + 1] != 0xc0)
			continue;
		info.height = (uint32_t)data[i + 5] << 8 | data[i + 6];
		info.width = (uint32_t)data[i + 7] << 8 | data[i + 8];
		info.mode = data[i + 9] == 1 ? IMAGE_L : IMAGE_RGB;
		break;
	}
	if (!jpeg_baseline(data, n, &info, &bytes))
		assert(bytes <= n && data[bytes - 1] == 0xd9);
	return fuzz_image(data, n);
}
