/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A command's options as one table: parsing, --help and the completion of shells come from it.
 * Parsed as Python's argparse does it, because scripts rely on it: --key value, --key=value,
 * -kvalue, unambiguous beginnings of a flag, operands anywhere. Texts point into argv.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum option_kind {
	OPTION_FLAG,     /* bool */
	OPTION_TEXT,     /* const char * */
	OPTION_LIST,     /* struct option_list: one value or more */
	OPTION_OPERAND,  /* const char *, without a flag; in the order of the table */
	OPTION_OPERANDS, /* struct option_list: all that are left; the last operand of a table */
};

struct option_list {
	char **values;
	int n;
};

struct option {
	const char *name;  /* "--model-name", or the field's name of an operand: "MODEL" */
	const char *other; /* a second spelling: "-v", "--ncs" */
	enum option_kind kind;
	size_t offset;
	/* What --help calls the value. FILE, DIR and MODEL are completed by the shell; "a|b" are
	 * all the values there are. */
	const char *value;
	const char *help;
	bool required;
	bool (*waived)(const void *fields); /* then it is not required; NULL: never */
	unsigned alone; /* of those with one number (not 0) only one may be given */
};

struct options {
	const char *program; /* "torch-model-archiver" */
	const char *about;   /* one sentence */
	const struct option *rows;
	size_t n;
	const char *stray; /* what to do about an operand too many; NULL: nothing is said */
};

/* -1: go on; else the exit code: help was printed, or what is wrong with the usage (2). Fields that
 * are not given keep their value. `argv[0]` is skipped. */
int options_parse(const struct options *o, void *fields, int argc, char **argv);
void options_help(const struct options *o);
/* Usage and "program: error: …", on stderr. Returns 2. */
int options_error(const struct options *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Is it given without a flag? */
static inline bool option_is_operand(const struct option *k)
{
	return k->kind == OPTION_OPERAND || k->kind == OPTION_OPERANDS;
}
/* Whether all the values there are stand in the row's `value`. */
bool option_has_choices(const struct option *k);
