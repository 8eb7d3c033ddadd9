/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A model with a pipeline: requests are made into its inputs, and its outputs into answers, by
 * steps that are data (pipeline/pipeline.h). Default handlers of TorchServe are such pipelines, and
 * what fails in them is told as it is when their Python fails. Any thread, but for loading.
 */

#include <yyjson.h>

#include "worker/answer.h"
#include "worker/session.h"
#include "worker/spent.h"

/* What LOAD's member "pipeline" says: {"handler": "image_classifier"}, {"steps": […]}, or a name or
 * list alone. NULL: nothing, *ret is NULL. 0, or negative with a sentence. */
int piped_parse(yyjson_val *v, struct pipeline **ret, struct sconce_error *e);
/* Is there something that only Python could do for this model? Negative: the sentence says what.
 * `python`: the interpreter of the handlers, or "". */
int piped_check(const struct pipeline *p, const char *python, struct sconce_error *e);
/* `engine.inputs` of a configuration with what the pipeline gives the model ("hint": true: but
 * lists of numbers, which have any size), JSON that is to be freed; NULL: that says it itself, or
 * nothing is known. */
char *piped_hint(const struct pipeline *p, yyjson_val *config);

/* Where the model runs on a GPU, its steps on pictures may, too: looks for what they need, and says
 * which it is. */
void piped_choose_gpu(struct session *s, const char *device);
/* Who decodes JPEGs, for people: "GPU: nvJPEG 12.4.0"; "" where the pipeline does not ask for a
 * GPU. `gpu`: that does the other steps, and is given the decoder; NULL: none, and `why`. */
void piped_choose_decoder(const struct pipeline *p, struct image_gpu *gpu, const char *why,
			  char *ret, size_t room);

/* Makes the request's inputs. `spent` (may be NULL) outlives the request: it has the steps. */
int piped_read(const struct session *s, struct session_request *r, struct body *b,
	       struct spent *spent, struct sconce_error *e);
/* The answer's type and body; outputs as of answer_write(). */
int piped_write(struct session_request *r, const struct sconce_tensor *outputs, struct answer *a,
		struct sconce_error *e);
void piped_end(struct session_request *r);
/* What Python's handlers tell the server after each batch: how long those took that were
 * answered. */
void piped_tell_time(struct session *s, const struct session_request *requests, unsigned n,
		     uint64_t took_ns);
