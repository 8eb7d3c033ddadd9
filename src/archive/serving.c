/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/serving.h"

#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "wire/json.h"

#define SERVING_MAX ((size_t)4 << 20)
#define SERVING_THREADS_MAX 4096

void serving_parse(struct slice json, struct manifest *m)
{
	yyjson_doc *doc = yyjson_read(json.p ? json.p : "", json.n, 0);
	yyjson_val *serving = yyjson_obj_get(yyjson_doc_get_root(doc), "serving");
	int64_t threads;

	if (json_i64(serving, "threads", &threads) && threads > 0 && threads <= SERVING_THREADS_MAX)
		m->serving_threads = threads;
	yyjson_doc_free(doc);
}

void serving_load(const char *dir, struct manifest *m)
{
	_cleanup_(freep) char *path = mem_printf("%s/optimized/optimized.json", dir);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(SERVING_MAX);

	if (m->optimized && file_read(path, &text) == 0)
		serving_parse(buf_slice(&text), m);
}
