/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Requests as a connection would read them: in pieces, each head copied, bodies skipped. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct http1_limits limits = { 2048, 16, 65536 };
	struct slice in = slice_make((const char *)data, n);
	enum http1_event e = HTTP1_MORE;
	struct http_head head;
	struct region r;
	struct http1 h;

	http1_init(&h, &limits);
	region_init(&r);
	while (in.n && e != HTTP1_REFUSE) {
		size_t piece = 1 + (size_t)(unsigned char)in.p[0] % 64, eaten = 0;
		struct slice part = slice_make(in.p, piece < in.n ? piece : in.n);

		e = http1_feed(&h, part, &eaten);
		if (e == HTTP1_MORE && !eaten)
			break;
		in = slice_make(in.p + eaten, in.n - eaten);
		if (e != HTTP1_HEAD)
			continue;
		if (http1_head(&h, &r, &head))
			break;
		if (head.content_length != HTTP_LENGTH_UNKNOWN)
			http1_body_taken(&h);
		http_param(&r, http_head_get(&head, "content-type"), "boundary");
	}
	http1_finish(&h);
	region_finish(&r);
	return 0;
}
