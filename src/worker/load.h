/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The LOAD frame's document: which model this process is to be. */

#include "worker/session.h"

/* Reads `n` bytes of JSON from the descriptor and loads. 0, or negative after the front was told
 * why not. */
int load_model(struct session *s, int fd, size_t n);
/* Loads what the document says; a session without a front has the descriptor -1. 0, or negative
 * with a sentence. */
int load_document(struct session *s, yyjson_val *root, struct sconce_error *e);
