/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/step.h"

/* TorchServe's default handlers as pipelines: what they answer, these answer. */

#include <stdio.h>
#include <string.h>

#define IMAGENET                                                                                   \
	"{\"decode_image\": {\"lists\": true}},"                                                   \
	"{\"resize\": {\"size\": 256}},"                                                           \
	"{\"center_crop\": {\"size\": 224}},"                                                      \
	"\"to_tensor\","                                                                           \
	"{\"normalize\": {\"mean\": [0.485, 0.456, 0.406], \"std\": [0.229, 0.224, 0.225]}},"      \
	"\"batch\","
#define AS_PYTHON "{\"encode_json\": {\"indent\": 2, \"digits\": \"double\"}}"

static const struct {
	const char *name, *steps;
} handlers[] = {
	{ "image_classifier", "[" IMAGENET "\"infer\","
			      "{\"softmax\": {\"axis\": 0}},"
			      "{\"topk\": {\"k\": 5}},"
			      "\"labels\"," AS_PYTHON "]" },
	{ "image_segmenter", "[" IMAGENET "{\"infer\": {\"output\": \"out\"}},"
			     "{\"softmax\": {\"axis\": 0}},"
			     "{\"best\": {\"axis\": 0, \"dimensions\": 3}}," AS_PYTHON "]" },
	/* Its models give lists of dicts, of which one request has the first. */
	{ "object_detector",
	  "[{\"decode_image\": {\"lists\": true}},"
	  "\"to_tensor\", \"batch\","
	  "{\"infer\": {\"rows\": false}},"
	  "{\"boxes\": {\"boxes\": \"infer.output_0.boxes\", \"scores\": "
	  "\"infer.output_0.scores\", \"classes\": \"infer.output_0.labels\", \"threshold\": "
	  "0.5}},"
	  "\"labels\"," AS_PYTHON "]" },
};

int pipeline_of_handler(const char *name, struct pipeline **ret, struct sconce_error *e)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
		if (strcmp(handlers[i].name, name) != 0)
			continue;
		if (pipeline_parse_text(slice_str(handlers[i].steps), ret, e) < 0)
			return -1;
		(*ret)->is_handler = true;
		return 0;
	}
	*ret = NULL;
	snprintf(e->text, sizeof(e->text), "the handler %.60s is no pipeline: it needs Python",
		 name);
	return -1;
}
