/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The registered models: names, versions side by side, and which version is the default. */

#include "base/map.h"
#include "fleet/version.h"

struct model {
	char *name;
	struct list versions;            /* struct version, in the order they were asked for */
	struct version *default_version; /* NULL only while the first is being added */
	bool default_chosen;             /* somebody said which it is */
	bool loaded_at_startup;
};

struct store {
	struct map models; /* name → struct model */
};

void store_init(struct store *s);
void store_finish(struct store *s);

struct model *store_model(const struct store *s, struct slice name);
/* `version` SLICE_NULL: the default one. */
struct version *model_version(const struct model *m, struct slice version);
void model_set_default(struct model *m, struct version *v);
/* Puts `v` under its model, making the model with its first version, which becomes the default. */
void store_add(struct store *s, struct version *v, struct slice model_name);
/* Takes `v` out (it lives on until it has drained). The last version takes the model with it. */
void store_remove(struct store *s, struct version *v);
/* Models sorted by name; free() the array. */
struct model **store_sorted(const struct store *s, size_t *ret_n);
