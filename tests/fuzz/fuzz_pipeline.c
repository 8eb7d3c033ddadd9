/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"
#include "pipeline/pipeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct sconce_tensor_spec specs[] = {
	{ .name = "a", .ndim = SCONCE_NDIM_ANY },
	{ .name = "out", .dtype = SCONCE_FP32, .ndim = 2, .shape = { 1, 4 } },
};
static const struct sconce_signature signature = {
	sizeof(signature), &specs[0], &specs[1], 1, 1, 1
};

static void run(struct pipeline *p, struct slice type, struct slice body)
{
	static float numbers[] = { 1, 2, 2, -1 };
	const struct sconce_tensor output = { .data = numbers,
					      .bytes = sizeof(numbers),
					      .dtype = SCONCE_FP32,
					      .ndim = 2,
					      .shape = { 1, 4 } };
	struct pipeline_part part = { SLICE("body"), type, body };
	struct pipeline_request request = { &part, 1, .decode = true, .limited = true };
	struct pipeline_answer answer = { .body = BUF_INIT((size_t)1 << 20) };
	struct sconce_error e = { "" };
	struct pipeline_run *r;

	if (pipeline_before(p, &request, &r, &e) < 0)
		assert(*e.text);
	else if (pipeline_after(r, &output, &answer, &e) == 0)
		assert(answer.type);
	pipeline_end(r);
	buf_finish(&answer.body);
}

/* The steps, a NUL, the body of a request, whose media type its first byte chooses. What is taken
 * can be shown and run. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice rest = slice_make((const char *)data, n), json = slice_cut(&rest, '\0');
	struct sconce_error e = { "" };
	struct buf out = BUF_INIT((size_t)1 << 20);
	struct pipeline *p;

	if (pipeline_parse_text(json, &p, &e) < 0) {
		assert(*e.text && !p);
		return 0;
	}
	pipeline_show(p, &out);
	buf_finish(&out);
	if (pipeline_bind(p, &signature, "/nowhere", &e) == 0)
		run(p, rest.n && *rest.p == '!' ? SLICE("") : SLICE("application/json"), rest);
	pipeline_free(p);
	return 0;
}
