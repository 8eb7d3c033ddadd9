/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libyaml's events become a tree. Containers that are open are on a stack of fixed depth, so
 * nothing recurses while reading. An alias shares the children of its anchor; the weight it would
 * have if written out counts against the bound, so a tree is never larger than it may look.
 */
#include "config/yaml.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <yaml.h>

#include "base/map.h"
#include "base/util.h"
#include "config/yaml_scalar.h"
#include "wire/json.h"

#define YAML_TEXT_MAX ((size_t)1 << 20)
#define YAML_DEPTH_MAX 32
#define YAML_WEIGHT_MAX 100000
#define YAML_BYTES_PER_WEIGHT 64 /* this much text weighs as one more node */

/* A container that is being read. */
struct yaml_frame {
	struct yaml *node, *last; /* last child */
	struct yaml *merges;      /* values of <<, newest first */
	const struct yaml *key;
	bool has_key, merge; /* the key that was read, and whether it is << */
};

struct yaml_reader {
	yaml_parser_t parser;
	struct region *region;
	struct map anchors; /* name to node */
	struct yaml_frame stack[YAML_DEPTH_MAX];
	unsigned depth;
	uint64_t weight;
	struct yaml *root;
	unsigned documents;
	size_t line; /* of the event in hand, from 1 */
	struct buf *why;
};

static int yaml_refuse(struct yaml_reader *r, const char *problem)
{
	buf_printf(r->why, "line %zu: %s", r->line, problem);
	return -EINVAL;
}

static int yaml_add_weight(struct yaml_reader *r, uint64_t weight)
{
	r->weight += weight;
	return r->weight > YAML_WEIGHT_MAX ? yaml_refuse(r, "more than 100000 nodes") : 0;
}

static void yaml_append(struct yaml_frame *f, struct yaml *y)
{
	if (f->last)
		f->last->next = y;
	else
		f->node->child = y;
	f->last = y;
}

/* Puts a complete node, or one that is about to be filled, where it belongs. */
static void yaml_place(struct yaml_reader *r, struct yaml *y)
{
	struct yaml_frame *f;

	if (!r->depth) {
		r->root = y;
		return;
	}
	f = &r->stack[r->depth - 1];
	if (f->node->kind == YAML_MAP) {
		y->key = f->key->text;
		y->key_node = f->key;
		f->has_key = false;
	}
	if (f->node->kind == YAML_MAP && f->merge) {
		y->next = f->merges;
		f->merges = y;
		return;
	}
	yaml_append(f, y);
}

static bool yaml_wants_key(const struct yaml_reader *r)
{
	const struct yaml_frame *f = r->depth ? &r->stack[r->depth - 1] : NULL;

	return f && f->node->kind == YAML_MAP && !f->has_key;
}

static void yaml_take_key(struct yaml_reader *r, const struct yaml *key, bool merge)
{
	struct yaml_frame *f = &r->stack[r->depth - 1];

	f->key = key;
	f->has_key = true;
	f->merge = merge;
}

static void yaml_remember(struct yaml_reader *r, const yaml_char_t *anchor, struct yaml *y)
{
	if (anchor)
		map_set(&r->anchors, slice_str((const char *)anchor), y);
}

static int yaml_on_scalar(struct yaml_reader *r, const yaml_event_t *e)
{
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct slice text = { (const char *)e->data.scalar.value, e->data.scalar.length };
	struct yaml *y = region_new(r->region, struct yaml);

	y->text = region_copy(r->region, text);
	y->weight = 1 + (uint32_t)(text.n / YAML_BYTES_PER_WEIGHT);
	y->line = (uint32_t)r->line;
	yaml_resolve(y, (const char *)e->data.scalar.tag, plain);
	yaml_remember(r, e->data.scalar.anchor, y);
	if (yaml_wants_key(r))
		yaml_take_key(r, y, plain && slice_eq(text, SLICE("<<")));
	else
		yaml_place(r, y);
	return yaml_add_weight(r, y->weight);
}

/* Containers that JSON does not have. */
static const char *yaml_beyond(enum yaml_kind kind, const char *tag)
{
	if (kind == YAML_MAP)
		return slice_eq(slice_str(tag), SLICE("tag:yaml.org,2002:set")) ? "set" : NULL;
	return slice_eq(slice_str(tag), SLICE("tag:yaml.org,2002:omap")) ||
			       slice_eq(slice_str(tag), SLICE("tag:yaml.org,2002:pairs"))
		       ? "pairs"
		       : NULL;
}

static int yaml_on_open(struct yaml_reader *r, enum yaml_kind kind, const yaml_char_t *anchor,
			const yaml_char_t *tag)
{
	struct yaml *y;

	if (yaml_wants_key(r))
		return yaml_refuse(r, "a key must be a scalar");
	if (r->depth == YAML_DEPTH_MAX)
		return yaml_refuse(r, "nested more than 32 levels deep");
	y = region_new(r->region, struct yaml);
	y->kind = kind;
	y->beyond = yaml_beyond(kind, (const char *)tag);
	y->weight = 1;
	y->line = (uint32_t)r->line;
	yaml_place(r, y);
	yaml_remember(r, anchor, y);
	r->stack[r->depth++] = (struct yaml_frame){ .node = y };
	return yaml_add_weight(r, 1);
}

static bool yaml_is_open(const struct yaml_reader *r, const struct yaml *y)
{
	for (unsigned i = 0; i < r->depth; i++)
		if (r->stack[i].node == y)
			return true;
	return false;
}

static struct yaml *yaml_copy(struct region *region, const struct yaml *from)
{
	struct yaml *y = region_new(region, struct yaml);

	*y = *from;
	y->next = NULL;
	return y;
}

static int yaml_on_alias(struct yaml_reader *r, const yaml_event_t *e)
{
	struct yaml *y = map_get(&r->anchors, slice_str((const char *)e->data.alias.anchor));

	if (!y)
		return yaml_refuse(r, "an alias without its anchor");
	if (yaml_is_open(r, y))
		return yaml_refuse(r, "an alias within its own anchor");
	if (r->depth + y->height > YAML_DEPTH_MAX)
		return yaml_refuse(r, "nested more than 32 levels deep");
	if (yaml_wants_key(r)) {
		if (y->kind == YAML_SEQ || y->kind == YAML_MAP)
			return yaml_refuse(r, "a key must be a scalar");
		yaml_take_key(r, y, false);
		return yaml_add_weight(r, y->weight);
	}
	y = yaml_copy(r->region, y);
	y->line = (uint32_t)r->line;
	yaml_place(r, y);
	return yaml_add_weight(r, y->weight);
}

/* Copies the pairs of a mapping before those in *list. */
static int yaml_merge_one(struct yaml_reader *r, const struct yaml *from, struct yaml **list)
{
	struct yaml *rest = *list, **end = list;
	int result;

	if (from->kind != YAML_MAP)
		return yaml_refuse(r, "<< takes a mapping or a list of mappings");
	result = yaml_add_weight(r, from->weight);
	if (result < 0)
		return result;
	for (const struct yaml *c = from->child; c; c = c->next) {
		*end = yaml_copy(r->region, c);
		end = &(*end)->next;
	}
	*end = rest;
	return 0;
}

/* Of several mappings the first in a list wins, and the pairs of the mapping itself win over all:
 * later pairs replace earlier ones, so they are put in front in that order. */
static int yaml_merge(struct yaml_reader *r, struct yaml_frame *f)
{
	int result = 0;

	for (const struct yaml *m = f->merges; m && result == 0; m = m->next) {
		struct yaml *group = NULL, **end = &group;

		if (m->kind != YAML_SEQ)
			result = yaml_merge_one(r, m, &group);
		else
			for (const struct yaml *c = m->child; c && result == 0; c = c->next)
				result = yaml_merge_one(r, c, &group);
		while (*end)
			end = &(*end)->next;
		*end = f->node->child;
		f->node->child = group;
	}
	return result;
}

static bool yaml_key_is_text(const struct yaml *y)
{
	return y->key_node->kind == YAML_STRING && !y->key_node->beyond;
}

/* A later pair gives its value to an earlier one with the same key; 1 and "1" are two. */
static void yaml_unique(struct yaml *node)
{
	struct map kinds[2];

	if (!node->child || !node->child->next)
		return;
	map_init(&kinds[0]);
	map_init(&kinds[1]);
	for (struct yaml **at = &node->child; *at;) {
		struct yaml *y = *at;
		struct map *seen = &kinds[yaml_key_is_text(y)];
		struct yaml *first = map_get(seen, y->key);

		if (first) {
			struct yaml *next = first->next == y ? y->next : first->next;

			*at = y->next;
			*first = *y;
			first->next = next;
		} else {
			map_set(seen, y->key, y);
			at = &y->next;
		}
	}
	map_finish(&kinds[0]);
	map_finish(&kinds[1]);
}

static int yaml_on_close(struct yaml_reader *r)
{
	struct yaml_frame *f = &r->stack[--r->depth];
	struct yaml *y = f->node;
	int result;

	if (y->kind == YAML_MAP) {
		result = yaml_merge(r, f);
		if (result < 0)
			return result;
		yaml_unique(y);
	}
	for (const struct yaml *c = y->child; c; c = c->next) {
		y->weight += c->weight;
		y->height = MAX(y->height, c->height);
	}
	y->height++;
	return 0;
}

static int yaml_on_event(struct yaml_reader *r, const yaml_event_t *e)
{
	r->line = e->start_mark.line + 1;
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return r->documents++ ? yaml_refuse(r, "more than one document") : 0;
	case YAML_SCALAR_EVENT:
		return yaml_on_scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
		return yaml_on_open(r, YAML_SEQ, e->data.sequence_start.anchor,
				    e->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return yaml_on_open(r, YAML_MAP, e->data.mapping_start.anchor,
				    e->data.mapping_start.tag);
	case YAML_ALIAS_EVENT:
		return yaml_on_alias(r, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return yaml_on_close(r);
	default:
		return 0;
	}
}

static int yaml_read(struct yaml_reader *r)
{
	bool end = false;
	int result = 0;

	while (!end && result == 0) {
		yaml_event_t e;

		if (!yaml_parser_parse(&r->parser, &e)) {
			r->line = r->parser.problem_mark.line + 1;
			return yaml_refuse(r, r->parser.problem ? r->parser.problem
								: "cannot be read");
		}
		end = e.type == YAML_STREAM_END_EVENT;
		result = yaml_on_event(r, &e);
		yaml_event_delete(&e);
	}
	return result;
}

int yaml_parse(struct region *region, struct slice text, struct yaml **ret, struct buf *why)
{
	struct yaml_reader r = { .region = region, .why = why, .line = 1 };
	int result;

	if (text.n > YAML_TEXT_MAX)
		return yaml_refuse(&r, "the text is longer than 1048576 bytes");
	if (!yaml_parser_initialize(&r.parser))
		return yaml_refuse(&r, "out of memory");
	map_init(&r.anchors);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p ? text.p : ""),
				     text.n);
	result = yaml_read(&r);
	yaml_parser_delete(&r.parser);
	map_finish(&r.anchors);
	if (result < 0)
		return result;
	*ret = r.root ? r.root : region_new(region, struct yaml);
	return 0;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml *c = map->child; c; c = c->next)
		if (slice_eq(c->key, slice_str(key)))
			return c;
	return NULL;
}

/* The shortest of the usual precisions that reads back as the same; it still looks like a float. */
static void yaml_put_float(double v, struct buf *out)
{
	char text[40];
	int digits = 15;

	assert(!isnan(v));
	if (isinf(v)) {
		buf_puts(out, v < 0 ? "-1e999" : "1e999");
		return;
	}
	do {
		snprintf(text, sizeof(text), "%.*g", digits, v);
	} while (strtod(text, NULL) != v && digits++ < 17);
	buf_puts(out, text);
	if (!strpbrk(text, ".e"))
		buf_puts(out, ".0");
}

static void yaml_put_scalar(const struct yaml *y, struct buf *out)
{
	if (y->beyond) {
		buf_printf(out, "{\"!\": \"%s\", \"v\": ", y->beyond);
		json_put_string(out, y->text);
		buf_putc(out, '}');
		return;
	}
	switch (y->kind) {
	case YAML_BOOL:
		buf_puts(out, y->boolean ? "true" : "false");
		break;
	case YAML_INT:
		buf_printf(out, "%lld", (long long)y->integer);
		break;
	case YAML_FLOAT:
		yaml_put_float(y->number, out);
		break;
	case YAML_STRING:
		json_put_string(out, y->text);
		break;
	default:
		buf_puts(out, "null");
	}
}

static bool yaml_is_object(const struct yaml *map)
{
	for (const struct yaml *c = map->child; c; c = c->next)
		if (!yaml_key_is_text(c) || slice_eq(c->key, SLICE("!")))
			return false;
	return true;
}

static void yaml_put_map(const struct yaml *y, struct buf *out)
{
	bool object = yaml_is_object(y);

	buf_puts(out, object ? "{" : "{\"!\": \"map\", \"v\": [");
	for (const struct yaml *c = y->child; c && !buf_overflowed(out); c = c->next) {
		if (c != y->child)
			buf_puts(out, ", ");
		buf_puts(out, object ? "" : "[");
		yaml_put_scalar(c->key_node, out);
		buf_puts(out, object ? ": " : ", ");
		yaml_to_json(c, out);
		buf_puts(out, object ? "" : "]");
	}
	buf_puts(out, object ? "}" : "]}");
}

static void yaml_put_seq(const struct yaml *y, struct buf *out)
{
	buf_putc(out, '[');
	for (const struct yaml *c = y->child; c && !buf_overflowed(out); c = c->next) {
		if (c != y->child)
			buf_puts(out, ", ");
		yaml_to_json(c, out);
	}
	buf_putc(out, ']');
}

/* Recursion is bounded by the depth that yaml_parse() allows. */
void yaml_to_json(const struct yaml *y, struct buf *out)
{
	if (y->kind != YAML_MAP && y->kind != YAML_SEQ) {
		yaml_put_scalar(y, out);
		return;
	}
	if (y->beyond)
		buf_printf(out, "{\"!\": \"%s\", \"v\": ", y->beyond);
	if (y->kind == YAML_MAP)
		yaml_put_map(y, out);
	else
		yaml_put_seq(y, out);
	if (y->beyond)
		buf_putc(out, '}');
}
