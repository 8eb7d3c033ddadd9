/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the API's own description (OpenAPI 3.0.1) says, as data. */

#include <stddef.h>

struct openapi_param {
	const char *name;
	const char *in; /* "path" or "query" */
	const char *type;
	const char *fallback; /* the default; NULL: none */
	const char *text;
};

struct openapi_answer {
	unsigned status;
	const char *schema; /* name of an openapi_schema */
	const char *text;
};

struct openapi_schema {
	const char *name;
	const char *media; /* type */
	const char *json;
};

struct openapi_operation {
	unsigned roles;
	const char *path;
	const char *method; /* in lower case */
	const char *id;
	const char *text;
	const char *params; /* names, separated by blanks */
	const char *ok;     /* what 200 means; its schema is `schema` */
	const char *schema;
	const char *others; /* further statuses, separated by blanks */
	const char *body;   /* what the request's body is; NULL: none */
};

/* In the order in which they are written: operations of one path stand together. */
extern const struct openapi_operation openapi_operations[];
extern const size_t openapi_operations_n;

const struct openapi_param *openapi_param(const char *name, size_t n);
const struct openapi_schema *openapi_schema(const char *name);
/* What a status other than 200 means. */
const struct openapi_answer *openapi_answer(unsigned status);
