/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON as Gson's lenient reader takes it, which TorchServe's clients have come to rely on: names
 * and texts in single quotes or none, '=' or "=>" for ':', ';' for ',', comments.
 */

#include "base/buf.h"

/* Rewrites a lenient document as a strict one, at most six times as long. What is no JSON in either
 * stays wrong: parsing the result says so. False: it does not fit into `out`. */
bool lenient_rewrite(struct slice text, struct buf *out);
