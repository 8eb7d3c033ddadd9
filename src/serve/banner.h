/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/fleet.h"

/* Logs how the server is set up, in the lines that TorchServe's users look for. */
void banner_log(const struct fleet *f);
