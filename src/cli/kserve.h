/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config/settings.h"

/* KServe starts TorchServe's image behind a wrapper of its own, which listens at port 8080 and
 * answers KServe's routes. Where KServe's variables are there (PROTOCOL_VERSION and
 * TS_SERVICE_ENVELOPE), the settings become those of the wrapper and the server in one; what the
 * environment says about them stays. 0, or a negative error with a message. */
int kserve_apply(struct settings *s, struct buf *why);
/* Says so on stderr, if it is so. */
void kserve_tell(const struct settings *s);
