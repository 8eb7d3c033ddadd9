/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

/* Parsing, with argparse's texts. */

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/guess.h"
#include "base/mem.h"
#include "base/util.h"
#include "cli/options_internal.h"

#define OPTIONS_MAX 64

struct parse {
	const struct options *o;
	char *fields;
	char **argv;
	int argc, at;
	uint64_t seen;         /* one bit per row */
	struct buf unknown;    /* what belongs to nothing, with blanks between */
	struct slice mistyped; /* the first flag among it */
	bool only_operands;    /* after "--" */
};

bool option_has_choices(const struct option *k)
{
	return k->value && strchr(k->value, '|');
}

void option_put_names(struct buf *b, const struct option *k)
{
	bool shorter = k->other && k->other[1] != '-';

	if (shorter)
		buf_printf(b, "%s/", k->other);
	buf_puts(b, k->name);
	if (k->other && !shorter)
		buf_printf(b, "/%s", k->other);
}

static int parse_error(const struct options *o, const struct option *k, const char *what)
{
	_cleanup_(buf_finish) struct buf names = BUF_INIT(256);

	option_put_names(&names, k);
	return options_error(o, "argument %s: %s", buf_cstr(&names), what);
}

/* ---- finding a row ---- */

static bool option_is(const struct option *k, struct slice name)
{
	return !option_is_operand(k) && (slice_eq(slice_str(k->name), name) ||
					 (k->other && slice_eq(slice_str(k->other), name)));
}

static bool option_begins(const struct option *k, struct slice name)
{
	return !option_is_operand(k) && (slice_starts(slice_str(k->name), name) ||
					 (k->other && slice_starts(slice_str(k->other), name)));
}

/* What argparse does not take for a flag: with a blank, unless a flag of ours comes before it. */
static bool parse_is_value(const struct options *o, const char *s)
{
	struct slice rest = slice_str(s), name = slice_cut(&rest, '=');
	uint64_t number;

	if (s[0] != '-' || !s[1] || slice_u64(slice_str(s + 1), &number))
		return true;
	for (size_t i = 0; i < o->n && strchr(s, ' '); i++)
		if (option_is(&o->rows[i], name) || option_begins(&o->rows[i], name) ||
		    (s[1] != '-' && option_is(&o->rows[i], slice_make(s, 2))))
			return false;
	return strchr(s, ' ');
}

static int parse_ambiguous(const struct options *o, struct slice name)
{
	_cleanup_(buf_finish) struct buf could = BUF_INIT(4096);

	for (size_t i = 0; i < o->n; i++)
		if (option_begins(&o->rows[i], name))
			buf_printf(&could, "%s%s", could.n ? ", " : "", o->rows[i].name);
	return options_error(o, "ambiguous option: %.*s could match %s", SLICE_ARG(name),
			     buf_cstr(&could));
}

/* Exact, or the beginning of just one. 0 with *ret (NULL: none), or 2. */
static int parse_find(const struct options *o, struct slice name, const struct option **ret)
{
	unsigned found = 0;

	*ret = NULL;
	for (size_t i = 0; i < o->n; i++)
		if (option_is(&o->rows[i], name)) {
			*ret = &o->rows[i];
			return 0;
		}
	for (size_t i = 0; i < o->n && name.n > 2; i++)
		if (option_begins(&o->rows[i], name)) {
			*ret = &o->rows[i];
			found++;
		}
	return found > 1 ? parse_ambiguous(o, name) : 0;
}

/* ---- taking values ---- */

static int parse_check(const struct options *o, const struct option *k, const char *text)
{
	_cleanup_(buf_finish) struct buf what = BUF_INIT(4096);
	struct slice rest = slice_str(k->value);
	const char *comma = "";

	if (k->value && strcmp(k->value, "N") == 0 &&
	    !slice_u64(slice_str(text), &(uint64_t){ 0 })) {
		buf_printf(&what, "invalid int value: '%s'", text);
		return parse_error(o, k, buf_cstr(&what));
	}
	if (!option_has_choices(k))
		return 0;
	buf_printf(&what, "invalid choice: '%s' (choose from ", text);
	while (rest.p) {
		struct slice one = slice_cut(&rest, '|');

		if (slice_eq(one, slice_str(text)))
			return 0;
		buf_printf(&what, "%s'%.*s'", comma, SLICE_ARG(one));
		comma = ", ";
	}
	buf_putc(&what, ')');
	return parse_error(o, k, buf_cstr(&what));
}

static int parse_mark(struct parse *p, const struct option *k)
{
	p->seen |= UINT64_C(1) << (k - p->o->rows);
	for (size_t i = 0; i < p->o->n && k->alone; i++) {
		_cleanup_(buf_finish) struct buf what = BUF_INIT(256);
		const struct option *other = &p->o->rows[i];

		if (other == k || other->alone != k->alone || !(p->seen & UINT64_C(1) << i))
			continue;
		buf_puts(&what, "not allowed with argument ");
		option_put_names(&what, other);
		return parse_error(p->o, k, buf_cstr(&what));
	}
	return 0;
}

static int parse_store(struct parse *p, const struct option *k, const char *text)
{
	int r = parse_check(p->o, k, text);

	if (r)
		return r;
	memcpy(p->fields + k->offset, &text, sizeof(text));
	return parse_mark(p, k);
}

static int parse_list(struct parse *p, const struct option *k)
{
	struct option_list list = { p->argv + p->at, 0 };

	while (p->at < p->argc && parse_is_value(p->o, p->argv[p->at])) {
		list.n++;
		p->at++;
	}
	if (!list.n)
		return parse_error(p->o, k, "expected at least one argument");
	memcpy(p->fields + k->offset, &list, sizeof(list));
	return parse_mark(p, k);
}

/* The flag at p->at. `attached`: what came with it, behind '=' or a single letter, or NULL. */
static int parse_flag(struct parse *p, const struct option *k, const char *attached)
{
	char **value = &p->argv[p->at];

	p->at++;
	if (k->kind == OPTION_FLAG) {
		_cleanup_(freep) char *what = mem_printf("ignored explicit argument '%s'",
							 attached ? attached : "");

		memcpy(p->fields + k->offset, &(bool){ true }, sizeof(bool));
		return attached ? parse_error(p->o, k, what) : parse_mark(p, k);
	}
	if (k->kind == OPTION_LIST && !attached)
		return parse_list(p, k);
	if (k->kind == OPTION_LIST) {
		struct option_list list = { value, 1 };

		*value = (char *)(uintptr_t)attached;
		memcpy(p->fields + k->offset, &list, sizeof(list));
		return parse_mark(p, k);
	}
	if (attached)
		return parse_store(p, k, attached);
	if (p->at == p->argc || !parse_is_value(p->o, p->argv[p->at]))
		return parse_error(p->o, k, "expected one argument");
	return parse_store(p, k, p->argv[p->at++]);
}

/* Complaints about these come last, as from argparse. */
static int parse_unknown(struct parse *p)
{
	const char *text = p->argv[p->at++];
	struct slice value = slice_str(text), name = slice_cut(&value, '=');

	if (!p->mistyped.p && !parse_is_value(p->o, text))
		p->mistyped = name;
	buf_printf(&p->unknown, "%s%s", p->unknown.n ? " " : "", text);
	return 0;
}

/* One more of the last operands: they move together, over words that were read. */
static int parse_operands(struct parse *p, const struct option *k)
{
	struct option_list list;

	memcpy(&list, p->fields + k->offset, sizeof(list));
	if (!list.n)
		list.values = p->argv + p->at;
	list.values[list.n++] = p->argv[p->at++];
	memcpy(p->fields + k->offset, &list, sizeof(list));
	return parse_mark(p, k);
}

static int parse_operand(struct parse *p)
{
	for (size_t i = 0; i < p->o->n; i++) {
		const struct option *k = &p->o->rows[i];

		if (k->kind == OPTION_OPERANDS)
			return parse_operands(p, k);
		if (k->kind == OPTION_OPERAND && !(p->seen & UINT64_C(1) << i))
			return parse_store(p, k, p->argv[p->at++]);
	}
	return parse_unknown(p);
}

/* -kvalue, or -fkvalue where -f has no value. */
static int parse_letters(struct parse *p, const char *text)
{
	const struct option *k;
	int r = 0;

	for (text++; !r && *text && *text != '-'; text++) {
		const char letter[] = { '-', *text, '\0' };

		r = parse_find(p->o, slice_str(letter), &k);
		if (r || !k)
			break;
		if (k->kind != OPTION_FLAG || !text[1])
			return parse_flag(p, k, text[1] ? text + 1 : NULL);
		memcpy(p->fields + k->offset, &(bool){ true }, sizeof(bool));
		r = parse_mark(p, k);
	}
	return r ? r : parse_unknown(p);
}

/* -1: help was asked for. */
static int parse_next(struct parse *p)
{
	const char *text = p->argv[p->at];
	struct slice attached = slice_str(text), name = slice_cut(&attached, '=');
	const struct option *k;
	int r;

	if (p->only_operands || parse_is_value(p->o, text))
		return parse_operand(p);
	if (strcmp(text, "--") == 0) {
		p->at++;
		p->only_operands = true;
		return 0;
	}
	if (strcmp(text, "-h") == 0 || strcmp(text, "--help") == 0)
		return -1;
	r = parse_find(p->o, name, &k);
	if (r)
		return r;
	return k ? parse_flag(p, k, attached.p) : parse_letters(p, text);
}

/* ---- what is missing, what is too much ---- */

static int parse_missing(const struct parse *p)
{
	_cleanup_(buf_finish) struct buf names = BUF_INIT(4096);

	for (size_t i = 0; i < p->o->n; i++) {
		const struct option *k = &p->o->rows[i];

		if (!k->required || (p->seen & UINT64_C(1) << i) ||
		    (k->waived && k->waived(p->fields)))
			continue;
		if (names.n)
			buf_puts(&names, ", ");
		option_put_names(&names, k);
	}
	return names.n ? options_error(p->o, "the following arguments are required: %s",
				       buf_cstr(&names))
		       : 0;
}

/* Without the dashes, which are right in any case. */
static struct slice parse_bare(struct slice flag)
{
	while (flag.n && *flag.p == '-')
		flag = slice_make(flag.p + 1, flag.n - 1);
	return flag;
}

static int parse_refuse_unknown(struct parse *p)
{
	struct guess g = guess_begin(parse_bare(p->mistyped));
	const struct option *best = NULL;

	if (!p->unknown.n)
		return 0;
	for (size_t i = 0; i < p->o->n && p->mistyped.p; i++)
		if (guess_next(&g, parse_bare(slice_str(p->o->rows[i].name))))
			best = &p->o->rows[i];
	options_error(p->o, "unrecognized arguments: %s", buf_cstr(&p->unknown));
	if (best)
		fprintf(stderr, "Did you mean %s?\n", best->name);
	else if (!p->mistyped.p && p->o->stray)
		fprintf(stderr, "%s\n", p->o->stray);
	return 2;
}

int options_parse(const struct options *o, void *fields, int argc, char **argv)
{
	struct parse p = { .o = o,
			   .fields = fields,
			   .argv = argv,
			   .argc = argc,
			   .at = 1,
			   .unknown = BUF_INIT(65536) };
	int r = 0;

	assert(o->n <= OPTIONS_MAX);
	while (!r && p.at < argc)
		r = parse_next(&p);
	if (r < 0)
		options_help(o);
	else if (!r)
		r = parse_missing(&p);
	if (!r)
		r = parse_refuse_unknown(&p);
	buf_finish(&p.unknown);
	return r < 0 ? 0 : r ? r : -1;
}
