/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text from elsewhere on a terminal: nothing in it that a terminal would obey, columns aligned. */

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

/* Prints it with '?' for control characters and what is not UTF-8; line ends stay. */
void printable_print(FILE *out, const char *text);
void printable_printf(FILE *out, const char *fmt, ...) _printf_(2, 3);
void printable_vprintf(FILE *out, const char *fmt, va_list args);
/* What programs read: as it is, except on a terminal. */
void printable_document(FILE *out, struct slice text);

#define PRINTABLE_COLUMNS 10

/* Rows of cells, kept until all widths are known. */
struct printable_table {
	struct buf cells; /* NUL-terminated, row by row */
	unsigned columns, n;
	unsigned widths[PRINTABLE_COLUMNS];
};

void printable_table_init(struct printable_table *t, unsigned columns);
void printable_table_put(struct printable_table *t, const char *fmt, ...) _printf_(2, 3);
/* Prints it, each line after `indent` blanks, and empties it. */
void printable_table_print(struct printable_table *t, FILE *out, int indent);
