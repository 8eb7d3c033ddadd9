/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the settings `models` and `model_snapshot` say of a version meets what its archive says. */

#include "archive/archive.h"
#include "config/model_list.h"

/* Where the archive says nothing. */
void parameters_complete(struct manifest *m, const struct model_parameters *p);
/* Whatever the archive says. */
void parameters_replace(struct manifest *m, const struct model_parameters *p);
