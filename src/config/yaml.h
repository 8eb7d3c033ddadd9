/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * YAML as it occurs in model-config.yaml and metrics.yaml: one document, mappings, sequences,
 * scalars, anchors, aliases and merge keys (<<). Bounded (1 MiB of text, depth 32, 100,000 nodes
 * with aliases expanded), never constructs objects from tags. Built on libyaml.
 *
 * Plain scalars are what PyYAML's safe_load makes of them (YAML 1.1: yes, no, on and off are
 * booleans, 010 is octal, 1:30 is sexagesimal, 1e5 is a string). What JSON and this tree have no
 * value for is marked (`beyond`), and is as near to it as can be: dates and binary data are
 * strings, integers beyond 64 bits are floats. Keys are texts as written; one that occurs twice has
 * its last value.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/region.h"

enum yaml_kind { YAML_NULL, YAML_BOOL, YAML_INT, YAML_FLOAT, YAML_STRING, YAML_SEQ, YAML_MAP };

struct yaml {
	enum yaml_kind kind;
	struct slice text; /* scalars, as written; keys of a map sit in `key` of its children */
	struct slice key;
	bool boolean;
	int64_t integer;
	double number;
	const char *beyond; /* "timestamp", "binary", "int", "float", "set", "pairs"; mostly NULL */
	const struct yaml *key_node; /* the scalar that is its key */
	struct yaml *child, *next;   /* children in order; those of an alias are the anchor's own */
	uint32_t weight;             /* nodes in it, aliases expanded; long texts count more */
	uint32_t height;             /* levels below it */
	uint32_t line;               /* where it starts, from 1 */
};

/* Nodes live in the region. 0, or -EINVAL with "line N: …" in `why`. An empty document is
 * YAML_NULL. */
int yaml_parse(struct region *r, struct slice text, struct yaml **ret, struct buf *why);
const struct yaml *yaml_get(const struct yaml *map, const char *key); /* NULL when absent */
/*
 * Writes it as JSON (for handlers: context.model_yaml_config). Infinity becomes 1e999, which JSON
 * readers take as such. What JSON lacks becomes {"!": kind, "v": …}, of which the worker makes what
 * PyYAML would have made (sconce/model_config.py): "v" is the text of a scalar, or the container;
 * of kind "map", for keys that are no texts (and for a key "!"), it is a list of pairs.
 */
void yaml_to_json(const struct yaml *y, struct buf *out);
