/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/util.h"
#include "pipeline/base64.h"

#define PIXELS_PILLOW ((uint64_t)178956970) /* beyond which it calls a picture a bomb */

struct image_limits request_limits(const struct pipeline_run *run)
{
	/* Also without a bound on pixels memory has one. */
	return (struct image_limits){ .pixels = run->request->limited ? PIXELS_PILLOW
								      : UINT32_MAX };
}

/* Of several with one name the last one counts, as in Python's dict. */
static const struct pipeline_part *request_part(const struct pipeline_request *r, const char *name)
{
	for (size_t i = r->n; i--;)
		if (slice_eq(r->parts[i].name, slice_str(name)))
			return &r->parts[i];
	return NULL;
}

static void part_value(const struct pipeline_run *run, const struct pipeline_part *part,
		       struct value *ret)
{
	bool is_json;

	*ret = (struct value){ 0 };
	if (!part)
		return;
	is_json = slice_eq(part->type, SLICE("application/json"));
	ret->kind = KIND_BYTES;
	ret->bytes = part->bytes;
	if (!run->request->decode || (!is_json && !slice_starts(part->type, SLICE("text"))))
		return;
	if (!is_json) {
		ret->kind = utf8_valid(part->bytes) ? KIND_TEXT : KIND_BYTES;
		return;
	}
	ret->doc = json_loads(part->bytes);
	ret->json = yyjson_doc_get_root(ret->doc);
	if (yyjson_is_str(ret->json)) {
		ret->kind = KIND_TEXT;
		ret->bytes = slice_make(yyjson_get_str(ret->json), yyjson_get_len(ret->json));
	} else if (ret->json) {
		ret->kind = KIND_JSON;
	}
}

/* As Python's `or` sees it. */
static bool is_false(const struct value *v)
{
	if (v->kind != KIND_JSON)
		return !v->bytes.n;
	return yyjson_is_null(v->json) || yyjson_is_false(v->json) ||
	       (yyjson_is_num(v->json) && yyjson_get_num(v->json) == 0) ||
	       (yyjson_is_ctn(v->json) && !yyjson_get_len(v->json));
}

void request_value(const struct pipeline_run *run, const char *part, struct value *ret)
{
	part_value(run, request_part(run->request, part ? part : "data"), ret);
	if (part || !is_false(ret))
		return;
	value_finish(ret);
	part_value(run, request_part(run->request, "body"), ret);
}

static int picture_of_text(const struct step *s, struct slice text, struct value *ret,
			   struct sconce_error *e)
{
	size_t n = 0;

	ret->owned = malloc(base64_room(text));
	if (!ret->owned)
		return step_fail(e, s, SCONCE_NO_MEMORY, "there is no memory for the picture");
	if (!base64_decode(text, ret->owned, &n))
		return step_fail(e, s, SCONCE_BAD_INPUT, "the text is not base64");
	ret->kind = KIND_BYTES;
	ret->bytes = slice_make(ret->owned, n);
	return 0;
}

int request_picture(const struct step *s, const struct value *in, struct value *ret,
		    struct value *ret_tensor, struct sconce_error *e)
{
	switch (in->kind) {
	case KIND_NONE:
		return step_fail(e, s, SCONCE_BAD_INPUT, "the request has no picture");
	case KIND_BYTES:
		ret->kind = KIND_BYTES;
		ret->bytes = in->bytes;
		return 0;
	case KIND_TEXT:
		return picture_of_text(s, in->bytes, ret, e);
	default:
		if (!s->params.lists)
			return step_fail(e, s, SCONCE_BAD_INPUT,
					 "it takes a picture, or one in base64, and no other JSON");
		return lists_read(s, in->json, yyjson_doc_get_val_count(in->doc), SCONCE_FP32,
				  ret_tensor, e);
	}
}
