/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The LOAD frame's document: which model this process is to be. */

#include "worker/session.h"

/* Reads `n` bytes of JSON from the descriptor and loads. 0, or negative after the front was told
 * why not. */
int load_model(struct session *s, int fd, size_t n);
