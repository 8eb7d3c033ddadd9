/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading MAR-INF/MANIFEST.json and model-config.yaml of an unpacked archive. See archive.h. */

#include "archive/archive.h"

/* `source` gives the default model name. 0, or -EINVAL with *err filled. */
int manifest_load(struct region *r, const char *dir, struct slice source, struct slice name_hint,
		  struct manifest *ret, struct archive_error *err);
/* Of a model that is no archive (bare.h): `file` of `dir`, whose configuration may lie beside it,
 * as "net.onnx.yaml", or in its folder, as model-config.yaml. */
int manifest_load_bare(struct region *r, const char *dir, struct slice file, struct slice source,
		       struct slice name_hint, struct manifest *ret, struct archive_error *err);
/* From texts; `json` or `yaml` may be SLICE_NULL. Fuzzed. */
int manifest_parse(struct region *r, struct slice json, struct slice yaml, struct slice source,
		   struct slice name_hint, struct manifest *ret, struct archive_error *err);
#define MANIFEST_NAME_MAX 256
#define MANIFEST_NAME_RULE                                                                         \
	"must be UTF-8 of 1 to 256 bytes, without control characters and without / \" \\"
/* Of a model and of a version. */
bool manifest_name_valid(struct slice name);
/* The name that a file gives a model: "noop-v1.0.mar" → "noop_v1_0". */
struct slice manifest_name_of(struct region *r, struct slice source);
/* The keys of model-config.yaml that the server itself heeds; others are for the handler. */
void model_config_apply(struct region *r, struct slice yaml_text, struct manifest *m,
			struct archive_error *err, int *ret);
