/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a collector's answer means. Pure; nothing of it is trusted. */

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum export_verdict {
	EXPORT_SENT,
	EXPORT_AGAIN, /* later; it may be taken then */
	EXPORT_LOST,  /* it will never be taken */
};

/* `status`: of HTTP; 0: there was no answer. */
enum export_verdict export_verdict(long status);
/* How long to wait before the next try, after `tries` of them: 1 s, 2 s, 4 s …, less a random part
 * of a half; or what the collector asks for, up to a bound. */
uint64_t export_wait_ns(unsigned tries, uint64_t retry_after_s, uint64_t random);

/* Of a body that says how much was not taken (ExportTraceServiceResponse): spans, at most `sent`.
 * *ret_why lies in `body`. */
uint64_t export_rejected(struct slice body, uint64_t sent, struct slice *ret_why);
