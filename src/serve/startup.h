/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "api/ready.h"
#include "fleet/fleet.h"

/* Registers the models of load_models: "all", or a comma list of [name=]archive. Returns at once;
 * models that fail are logged, and keep the server from being ready. */
void startup_load_models(struct fleet *f, struct ready *ready);
