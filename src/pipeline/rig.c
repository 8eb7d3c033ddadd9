/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pipeline/rig.h"

#define RIG_OUTPUTS_MAX 8

struct sconce_tensor rig_given;
int rig_code;

static char text[RIG_TEXT_MAX];

static const char *rig_run(struct pipeline *p, const char *type, struct slice body,
			   const struct sconce_tensor *outputs)
{
	struct pipeline_part part = { SLICE("body"), slice_str(type), body };
	struct pipeline_request request = { &part, 1, .decode = true, .limited = true };
	struct pipeline_answer answer = { .body = BUF_INIT(RIG_TEXT_MAX - 1) };
	struct sconce_error e = { "" };
	struct pipeline_run *run;

	rig_code = pipeline_before(p, &request, &run, &e);
	if (!rig_code && pipeline_has_infer(p))
		pipeline_inputs(run, &rig_given);
	if (!rig_code)
		rig_code = pipeline_after(run, outputs, &answer, &e);
	snprintf(text, sizeof(text), "%s", rig_code < 0 ? e.text : buf_cstr(&answer.body));
	buf_finish(&answer.body);
	pipeline_end(run);
	return text;
}

const char *rig_answers(const char *steps, const char *type, struct slice body)
{
	struct sconce_error e = { "" };
	struct pipeline *p;

	if (pipeline_parse_text(slice_str(steps), &p, &e) < 0 ||
	    pipeline_bind(p, NULL, "/nowhere", &e) < 0)
		fail_msg("%s", e.text);
	rig_run(p, type, body, NULL);
	pipeline_free(p);
	return text;
}

const char *rig_infers(const char *steps, struct slice body, const struct sconce_tensor *outputs,
		       const char *const *names, size_t n)
{
	struct sconce_tensor_spec in = { .name = "in", .ndim = SCONCE_NDIM_ANY };
	struct sconce_tensor_spec out[RIG_OUTPUTS_MAX] = { { 0 } };
	struct sconce_signature s = { sizeof(s), &in, out, 1, n, 1 };
	struct sconce_error e = { "" };
	struct pipeline *p;

	for (size_t i = 0; i < n; i++) {
		out[i] = (struct sconce_tensor_spec){
			names[i], outputs[i].dtype, outputs[i].ndim, { 0 }
		};
		memcpy(out[i].shape, outputs[i].shape, sizeof(out[i].shape));
	}
	rig_code = *steps == '[' ? pipeline_parse_text(slice_str(steps), &p, &e)
				 : pipeline_of_handler(steps, &p, &e);
	if (!rig_code)
		rig_code = pipeline_bind(p, &s, "/nowhere", &e);
	if (rig_code < 0)
		snprintf(text, sizeof(text), "%s", e.text);
	else
		rig_run(p, "application/json", body, outputs);
	pipeline_free(p);
	return text;
}

const char *rig_refuses(const char *steps)
{
	struct sconce_error e = { "" };
	struct pipeline *p;

	pipeline_parse_text(slice_str(steps), &p, &e);
	pipeline_free(p);
	snprintf(text, sizeof(text), "%s", e.text);
	return text;
}
