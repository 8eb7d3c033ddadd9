/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/form.h"
#include "wire/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The same text as a body and as a query. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice rest = slice_make((const char *)data, n), name, value;
	struct form_field fields[16];
	char *copy = malloc(n + 1);
	struct region r;
	unsigned count;

	if (!copy)
		return 0;
	if (n)
		memcpy(copy, data, n);
	form_parse_in_place(copy, n, fields, 16, &count);
	free(copy);
	region_init(&r);
	while (http_query_next(&r, &rest, &name, &value) > 0)
		;
	region_finish(&r);
	return 0;
}
