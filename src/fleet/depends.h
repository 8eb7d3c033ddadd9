/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The requirements.txt of an archive, installed for its model alone (install_py_dep_per_model):
 * into the model's folder, or with `useVenv` into a virtual environment in it, whose Python then
 * runs the workers. Children do the work, before any worker starts. Loop thread only.
 */

#include "fleet/version.h"

/* Does this version ask for packages, and do the settings allow it? */
bool depends_wanted(const struct version *v);
/* `done` is called once, from the loop; `failed` NULL: all is installed, else what to tell. */
void depends_install(struct version *v, void (*done)(void *arg, const char *failed), void *arg);
