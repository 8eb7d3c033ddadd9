/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/handler.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/util.h"

#define HANDLER_READ_MAX ((size_t)1 << 20)

static bool handler_mentions_torch(const char *path)
{
	static const char *const signs[] = { "import torch", "from torch", "ts.torch_handler" };
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HANDLER_READ_MAX);

	if (file_read(path, &text) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(signs) && text.n; i++)
		if (memmem(text.p, text.n, signs[i], strlen(signs[i])))
			return true;
	return false;
}

bool handler_imports_torch(const char *dir, const char *handler)
{
	static const char *const defaults[] = { "image_classifier", "object_detector",
						"image_segmenter", "text_classifier",
						"base_handler" };
	struct slice rest = slice_str(handler), file = slice_cut(&rest, ':');
	_cleanup_(freep) char *plain = mem_printf("%s/%.*s", dir, SLICE_ARG(file));
	_cleanup_(freep) char *module = mem_printf("%s.py", plain);

	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		if (slice_eq(file, slice_str(defaults[i])))
			return true;
	return handler_mentions_torch(plain) || handler_mentions_torch(module);
}
