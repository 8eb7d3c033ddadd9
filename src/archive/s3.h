/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files of stores that speak as Amazon's S3 does: where "s3://BUCKET/KEY" is, and what a request
 * for it has to say (Signature Version 4). Pure: account and time are arguments.
 */

#include <time.h>

#include "base/buf.h"

/* Texts are others'. */
struct s3_account {
	const char *key_id, *secret; /* NULL: requests are not signed, as for public buckets */
	const char *token;           /* of keys that end; NULL: none */
	const char *region;
	const char *endpoint; /* http(s)://host[:port] of another store than Amazon's; NULL */
};

/* From the variables that Amazon's own tools read: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN, AWS_REGION or AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL. */
struct s3_account s3_account_of_environment(void);
bool s3_is_url(struct slice url);
/* The address of "s3://BUCKET/KEY"; free it. */
char *s3_address(const struct s3_account *a, const char *url);
/* Appends the header lines, each ended by '\n', that a GET of an address of s3_address() needs. */
void s3_sign(const struct s3_account *a, const char *address, time_t now, struct buf *lines);
