/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Models that are no archive: a file of a format that an engine loads (.onnx, .xml of OpenVINO,
 * .tflite, Paddle's .pdmodel, TorchScript's .pt, AOTInductor's .pt2), or a folder with TensorFlow's
 * saved_model.pb.
 * They are served from where they lie, for what they consist of may be in files beside them.
 */

#include <stdbool.h>

#include "base/slice.h"

#define BARE_RUNTIME SLICE("native")

/* By its name alone. Not for folders: "" for those. */
struct slice bare_ending(struct slice name);
/* Is there such a model at `path`? Reads a little of files whose names say too little: a .pt may
 * hold weights alone, an .xml anything. */
bool bare_is_model(const char *path);
/* Of a file that has a model's ending and is none: what to say after its name. NULL: nothing. */
const char *bare_otherwise(const char *path);
/* What the model's folder has of it: "net.onnx", "saved_model.pb". */
struct slice bare_file(const char *path);
