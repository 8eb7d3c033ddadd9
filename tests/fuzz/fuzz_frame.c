/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A packet, read as whatever it may be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice rest, name, value;
	struct frame_request request;
	struct frame_reply reply;
	struct frame_phase phase;
	struct frame_part part;
	struct frame f;

	if (frame_read(slice_make((const char *)data, n), &f) < 0)
		return 0;
	rest = f.body;
	while (frame_request_next(&rest, &request) == 0) {
		while (frame_header_next(&request.headers, &name, &value) > 0)
			;
		while (frame_part_next(&request, &part) == 0)
			;
	}
	rest = f.body;
	while (frame_reply_next(&rest, &reply) == 0)
		;
	rest = f.body;
	for (unsigned i = 1; frame_phase_next(&rest, i, &phase) == 0; i++)
		;
	return 0;
}
