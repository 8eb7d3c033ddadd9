/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a client has sent, as a handler of TorchServe sees it: the part `data` or `body`, decoded
 * where its media type says so. */

#include "pipeline/step.h"

/* The value of a part; NULL: `data`, or `body` where that is empty. Its bytes are the client's. */
void request_value(const struct pipeline_run *run, const char *part, struct value *ret);
/* The bytes of an encoded picture, possibly in base64, into *ret; or, where the step says that it
 * may be, a list of numbers as a tensor into *ret_tensor. */
int request_picture(const struct step *s, const struct value *in, struct value *ret,
		    struct value *ret_tensor, struct sconce_error *e);
struct image_limits request_limits(const struct pipeline_run *run);

/* ---- decoded.c ---- */

/* A picture that image/ has failed to read, `code` and `why` say how: as somebody else reads it, or
 * the step's failure. `mode`: of pipeline_decoder. */
int decoded_elsewhere(const struct step *s, const struct pipeline_run *run, struct slice bytes,
		      unsigned mode, int code, const struct image_error *why, struct image *ret,
		      uint8_t *ret_orientation, struct sconce_error *e);
/* The code of the pipeline for one of image/. */
int image_code(int code);

/* ---- lists.c: numbers in JSON ---- */

/* Nested lists, all of them of one length at each depth, as a tensor; `values`: of the document
 * that they are in. */
int lists_read(const struct step *s, yyjson_val *v, size_t values, uint32_t dtype,
	       struct value *out, struct sconce_error *e);
/* ---- loads.c ---- */

/* JSON as Python's json.loads() reads it, in any encoding of Unicode; NULL: it is none. */
yyjson_doc *json_loads(struct slice text);
