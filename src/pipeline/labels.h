/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names of classes, from a file as TorchServe's index_to_name.json: {"0": "tench"}, {"0": ["n01",
 * "tench"]} (the last one counts), or {"object_type_names": ["tench"]}. Not changed once it is
 * read.
 */

#include <sconce/engine.h>

#include "base/slice.h"

#define LABELS_BYTES_MAX ((size_t)16 << 20)

struct labels;

struct label {
	int64_t class;
	struct slice name;
	bool shared; /* with another class */
};

/* NULL and an empty sentence: there is no such file. NULL and a sentence: it is no such file. */
struct labels *labels_read(const char *dir, const char *file, struct sconce_error *e);
struct labels *labels_parse(struct slice json, struct sconce_error *e);
struct labels *labels_free(struct labels *l); /* NULL is fine; returns NULL */
/* NULL: the class has no name. */
const struct label *labels_find(const struct labels *l, int64_t class);
