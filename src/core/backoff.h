/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* How long to wait before a worker's next start after `failures` earlier ones in a row:
 * TorchServe's 0, 1, 1, 2, 3, 5 … 1597 seconds. Pure. */
uint64_t backoff_next_ns(unsigned failures);
