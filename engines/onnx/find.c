/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx.h"

/* Where ONNX Runtime is: nothing of it is needed before a model is. */

static int find_open(void *engine, const char *path, struct sconce_error *e)
{
	return ort_open(engine, path, e);
}

int onnx_find(struct onnx *o, struct sconce_error *e)
{
	static const char *const names[] = { "libonnxruntime.so.1", "libonnxruntime.so", NULL };
	static const struct kit_library library = {
		.runtime = "ONNX Runtime",
		.package = "onnxruntime",
		.pattern = "onnxruntime/capi/libonnxruntime.so.*",
		.names = names,
		.open = find_open,
	};

	return kit_library_find(&library, o->host, o, e);
}
