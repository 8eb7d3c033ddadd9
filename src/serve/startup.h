/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/fleet.h"

/* Registers the models of load_models: "all", or a comma list of [name=]archive. Returns at once;
 * models that fail are logged. */
void startup_load_models(struct fleet *f);
