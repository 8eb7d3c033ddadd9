/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From the outputs of a model to the body of an answer, in the form that body.h has found out. Any
 * thread. */

#include "base/buf.h"
#include "worker/body.h"

struct answer {
	const char *type; /* content type; static */
	/* For raw bytes, what they are; else dtype is NULL. */
	const char *dtype;
	char shape[400]; /* "1,1000" */
	struct buf body;
};

/* Decides upon b->form: what the client asks for (`accept` is its Accept header, or empty) or,
 * where it does not, what the body was like. 0, or SCONCE_BAD_INPUT: the model's outputs have not
 * that form. */
int answer_choose(struct body *b, struct slice accept, struct sconce_error *e);
/* `outputs` are sound, at most BODY_INPUTS_MAX. 0; SCONCE_BAD_INPUT: not in this form; -ENOBUFS:
 * beyond the bound of a->body, which is to be set before. */
int answer_write(struct answer *a, const struct body *b, const struct sconce_signature *signature,
		 const char *model, const struct sconce_tensor *outputs, struct sconce_error *e);
/* One output as raw bytes, which lie elsewhere: content type and headers only. */
void answer_describe_raw(struct answer *a, const struct body *b,
			 const struct sconce_tensor *output);
