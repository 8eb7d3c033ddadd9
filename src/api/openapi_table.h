/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the API's own description (OpenAPI 3.0.1) says, as data. */

#include <stdbool.h>
#include <stddef.h>

struct openapi_param {
	const char *key; /* what operations call it: the same name may mean different things */
	const char *name;
	const char *in; /* "path" or "query" */
	bool required;
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
	const char *media; /* type, where it is a whole body */
	const char *type;
	const char *format;
	const char *items; /* an array of this schema */
};

/* A member of the objects of a schema. */
struct openapi_field {
	const char *schema;
	const char *name;
	const char *type; /* or the name of a schema */
	bool required;
	bool many; /* an array of these */
	const char *text;
};

struct openapi_operation {
	unsigned roles;
	const char *path;
	const char *method; /* in lower case */
	const char *id;
	const char *text;
	const char *params; /* keys, separated by blanks */
	const char *ok;     /* what 200 means; its schema is `schema` */
	const char *schema;
	const char *others; /* further statuses, separated by blanks */
	const char *body;   /* what the request's body is; NULL: none */
};

/* In the order in which they are written: operations of one path stand together. */
extern const struct openapi_operation openapi_operations[];
extern const size_t openapi_operations_n;

const struct openapi_param *openapi_param(const char *key, size_t n);
/* NULL: a plain type has this name. */
const struct openapi_schema *openapi_schema(const char *name);
extern const struct openapi_field openapi_fields[];
extern const size_t openapi_fields_n;
/* What a status other than 200 means. */
const struct openapi_answer *openapi_answer(unsigned status);
