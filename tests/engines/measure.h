/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the process costs. */

#include <stdint.h>

uint64_t now_ns(void);
/* Memory of this process: what it shares counts in part. KiB; -1: the system does not tell. */
long pss_kib(void);
/* What of it is its own and in no file. KiB; -1 likewise. */
long anonymous_kib(void);
long thread_count(void);
