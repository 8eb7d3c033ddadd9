/* SPDX-License-Identifier: Apache-2.0 */
#include "api/dialect.h"

/*
 * TorchServe's dialect: a body is what it is (a form's fields, or one field `body`), an answer is
 * the handler's bytes, and an error has `code`, `type` and `message`. Its KServe routes are no
 * other, because there the service envelope reads the body, in the worker.
 */

#include "api/parts.h"
#include "api/route.h"
#include "api/stream.h"
#include "wire/json.h"

static int torchserve_read(struct call *c, bool query, unsigned headers)
{
	if (parts_read(c, query) < 0)
		return -1;
	parts_headers(c, headers);
	return 0;
}

static int predictions_read(struct call *c)
{
	return torchserve_read(c, false, PARTS_URL_PATH | PARTS_EXPLAIN);
}

static int kserve_read(struct call *c)
{
	return torchserve_read(c, false, PARTS_EXPLAIN);
}

static int fields_read(struct call *c)
{
	return torchserve_read(c, true, 0);
}

static void torchserve_reply(struct call *c, const struct reply *reply)
{
	struct slice text = reply->body;

	if (!reply->error) {
		call_send(c, reply);
		return;
	}
	/* It may lie where its worker still writes, and be longer than anybody reads. */
	text.n = MIN(text.n, CALL_MESSAGE_MAX);
	text = region_copy(&c->region, text);
	call_error(c, reply->status, dialect_error_type(reply->status == 504 ? 504 : 500), "%.*s",
		   SLICE_ARG(text));
	if (reply->release)
		reply->release(reply->arg);
}

static void torchserve_piece(struct call *c, const struct reply *reply)
{
	if (!c->streaming)
		call_begin(c, reply, SLICE("ts_stream_next"), SLICE("true"));
	stream_send(c, reply);
}

const struct dialect dialect_predictions = { .name = "predictions",
					     .read = predictions_read,
					     .reply = torchserve_reply,
					     .piece = torchserve_piece,
					     .error = json_error,
					     .error_media = "application/json" };

const struct dialect dialect_kserve = { .name = "kserve",
					.read = kserve_read,
					.reply = torchserve_reply,
					.piece = torchserve_piece,
					.error = json_error,
					.error_media = "application/json" };

const struct dialect dialect_fields = { .name = "fields",
					.read = fields_read,
					.reply = torchserve_reply,
					.piece = torchserve_piece,
					.error = json_error,
					.error_media = "application/json" };

const struct dialect *dialect_of(const struct call *c)
{
	return c->route && c->route->dialect ? c->route->dialect : &dialect_predictions;
}

const char *dialect_error_type(int status)
{
	switch (status) {
	case 408:
	case 504:
		return "RequestTimeoutException";
	case 503:
		return "ServiceUnavailableException";
	default:
		return status >= 500 ? "InternalServerException" : "BadRequestException";
	}
}
