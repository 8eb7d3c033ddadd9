/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An address in shared memory, as it travels between processes: never a pointer. */

#include <stdint.h>

struct span {
	uint32_t segment; /* which memfd; ids are never reused within a server's life */
	uint64_t offset;  /* bytes from its start */
	uint64_t length;  /* bytes */
};
