/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a scalar means: pure, from text to kind and value, by the rules of PyYAML's safe_load. */

#include "config/yaml.h"

/* Fills kind and value of `y` from y->text. `tag` is the explicit tag, NULL without one. */
void yaml_resolve(struct yaml *y, const char *tag, bool plain);
