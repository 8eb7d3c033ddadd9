/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi_table.h"

#include <assert.h>
#include <string.h>

#include "api/api.h"
#include "base/util.h"

static const struct openapi_param params[] = {
	{ "model_name", "model_name", "path", true, "string", NULL, "Name of the model." },
	{ "model_version", "model_version", "path", true, "string", NULL,
	  "Version of the model; without it the default version is meant." },
	{ "limit", "limit", "query", false, "integer", "100",
	  "How many models to list, at most 100." },
	{ "next_page_token", "next_page_token", "query", false, "string", NULL,
	  "Where to go on: nextPageToken of the answer before." },
	{ "registering", "registering", "query", false, "boolean", "false",
	  "Also list models that are still being downloaded, unpacked or installed." },
	{ "url", "url", "query", true, "string", NULL,
	  "The archive: a file of the model store, or a file, http or https URL that allowed_urls "
	  "matches." },
	{ "register_name", "model_name", "query", false, "string", NULL,
	  "Name to register the model under, instead of the manifest's." },
	{ "handler", "handler", "query", false, "string", NULL,
	  "Handler to use instead of the manifest's." },
	{ "runtime", "runtime", "query", false, "string", NULL,
	  "Runtime to use instead of the manifest's." },
	{ "batch_size", "batch_size", "query", false, "integer", "1",
	  "Requests that one call of the handler may get." },
	{ "max_batch_delay", "max_batch_delay", "query", false, "integer", "100",
	  "How long a request may wait for others of its batch, in milliseconds." },
	{ "latency_goal_ms", "latency_goal_ms", "query", false, "integer", "0",
	  "Milliseconds in which answers should begin: bounds batches, and what is admitted." },
	{ "initial_workers", "initial_workers", "query", false, "integer", "0",
	  "Workers to start at once." },
	{ "synchronous", "synchronous", "query", false, "boolean", "true",
	  "Whether the answer waits until the workers are ready." },
	{ "asynchronous", "synchronous", "query", false, "boolean", "false",
	  "Whether the answer waits until the workers are ready." },
	{ "response_timeout", "response_timeout", "query", false, "integer", "120",
	  "How long a call of the handler may take, in seconds." },
	{ "startup_timeout", "startup_timeout", "query", false, "integer", "120",
	  "How long a worker may take to load the model, in seconds." },
	{ "min_worker", "min_worker", "query", false, "integer", "1", "Workers to have." },
	{ "max_worker", "max_worker", "query", false, "integer", NULL,
	  "Workers beyond this many end; min_worker when not given." },
	{ "customized", "customized", "query", false, "boolean", "false",
	  "Whether to add what the handler says about itself." },
	{ "type", "type", "query", true, "string", NULL,
	  "The key to make anew: management or inference." },
	{ "name[]", "name[]", "query", false, "string", NULL,
	  "Metrics to show; all when not given." },
};

const struct openapi_param *openapi_param(const char *key, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(params); i++)
		if (strlen(params[i].key) == n && memcmp(params[i].key, key, n) == 0)
			return &params[i];
	assert(!"a key in openapi_operations that no parameter has");
	return NULL;
}

static const struct openapi_answer answers[] = {
	{ 202, "status", "Accepted: it goes on in the background" },
	{ 206, "status", "Some of the workers are not ready yet" },
	{ 400, "error", "Bad request" },
	{ 403, "error", "The default version cannot be removed while there are others" },
	{ 404, "error", "Model not found, or it has no such version" },
	{ 405, "error", "The model API is not enabled" },
	{ 408, "error", "The model did not end in time" },
	{ 409, "error", "The model has this version already" },
	{ 413, "error", "The request is larger than max_request_size" },
	{ 500, "error", "Internal Server Error" },
	{ 503, "error", "No worker is available to serve the request" },
	{ 507, "error", "Out of memory" },
};

const struct openapi_answer *openapi_answer(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (answers[i].status == status)
			return &answers[i];
	assert(!"a status in openapi_operations that nothing describes");
	return NULL;
}

static const struct openapi_schema schemas[] = {
	{ "error", "application/json", "object", NULL, NULL },
	{ "status", "application/json", "object", NULL, NULL },
	{ "document", "application/json", "object", NULL, NULL },
	{ "any", "*/*", "string", "binary", NULL },
	{ "text", "text/plain; version=0.0.4; charset=utf-8", "string", NULL, NULL },
	{ "models", "application/json", "object", NULL, NULL },
	{ "listed", NULL, "object", NULL, NULL },
	{ "coming", NULL, "object", NULL, NULL },
	{ "ready", "application/json", "object", NULL, NULL },
	{ "versions", "application/json", "array", NULL, "version" },
	{ "version", NULL, "object", NULL, NULL },
	{ "worker", NULL, "object", NULL, NULL },
	{ "queue", NULL, "object", NULL, NULL },
};

const struct openapi_field openapi_fields[] = {
	{ "error", "code", "integer", true, false, "Error code." },
	{ "error", "type", "string", true, false, "Error type." },
	{ "error", "message", "string", true, false, "Error message." },
	{ "status", "status", "string", true, false, "What has been done." },
	{ "document", "openapi", "string", true, false, NULL },
	{ "document", "info", "object", true, false, NULL },
	{ "document", "paths", "object", true, false, NULL },
	{ "models", "nextPageToken", "string", false, false, "next_page_token of the next call." },
	{ "models", "models", "listed", true, true, NULL },
	{ "models", "registering", "coming", false, true, "Models that are not there yet." },
	{ "coming", "modelName", "string", true, false,
	  "Name of the model, as far as it is known." },
	{ "coming", "modelVersion", "string", false, false, "Its version, once it is known." },
	{ "coming", "modelUrl", "string", true, false, "URL of the model." },
	{ "coming", "status", "string", true, false,
	  "WAITING, DOWNLOADING, UNPACKING or INSTALLING." },
	{ "coming", "bytes", "integer", false, false,
	  "How much of the archive that was done for." },
	{ "coming", "totalBytes", "integer", false, false, "Size of the archive." },
	{ "listed", "modelName", "string", true, false, "Name of the model." },
	{ "listed", "modelUrl", "string", true, false, "URL of the model." },
	{ "ready", "name", "string", true, false, "Name of the model." },
	{ "ready", "ready", "boolean", true, false, "Whether it has a worker." },
	{ "version", "modelName", "string", true, false, "Name of the model." },
	{ "version", "modelVersion", "string", true, false, "Version of the model." },
	{ "version", "modelUrl", "string", true, false, "URL of the model." },
	{ "version", "minWorkers", "integer", true, false, "Workers to have at least." },
	{ "version", "maxWorkers", "integer", true, false, "Workers to have at most." },
	{ "version", "batchSize", "integer", false, false, "Requests of a batch." },
	{ "version", "maxBatchDelay", "integer", false, false, "Milliseconds to gather a batch." },
	{ "version", "batchMode", "string", false, false,
	  "fixed: every batch that is not full waits for so long. Absent: only where it pays." },
	{ "version", "latencyGoalMs", "integer", false, false,
	  "Milliseconds in which answers should begin. Absent: there is no goal." },
	{ "version", "responseTimeout", "integer", false, false,
	  "Seconds for a call of the handler." },
	{ "version", "startupTimeout", "integer", false, false, "Seconds to load the model." },
	{ "version", "workers", "worker", true, true, NULL },
	{ "version", "jobQueueStatus", "queue", true, false, NULL },
	{ "version", "customizedMetadata", "object", false, false,
	  "What the handler says of itself." },
	{ "worker", "id", "string", true, false, "Number of the worker." },
	{ "worker", "startTime", "string", true, false, "When its process began." },
	{ "worker", "status", "string", true, false, "READY, LOADING or UNLOADING." },
	{ "worker", "memoryUsage", "integer", false, false, "Bytes of its process." },
	{ "worker", "pid", "integer", false, false, "Its process; -1 before there is one." },
	{ "worker", "gpu", "boolean", false, false, "Whether it has a GPU." },
	{ "queue", "remainingCapacity", "integer", true, false,
	  "Requests that the queue still takes." },
	{ "queue", "pendingRequests", "integer", true, false, "Requests that wait." },
};
const size_t openapi_fields_n = ARRAY_LEN(openapi_fields);

const struct openapi_schema *openapi_schema(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(schemas); i++)
		if (strcmp(schemas[i].name, name) == 0)
			return &schemas[i];
	return NULL;
}

#define INFERENCE_PATH(path, id, text, params)                                                     \
	{                                                                                          \
		API_INFERENCE, path, "post", id, text, params,                                     \
			"Output data format is defined by each model.", "any",                     \
			"404 413 500 503 507", "Input data format is defined by each model."       \
	}

const struct openapi_operation openapi_operations[] = {
	{ API_ALL, "/", "options", "apiDescription", "Describes this API.", "",
	  "An openapi 3.0.1 descriptor", "document", "500", NULL },
	{ API_INFERENCE, "/ping", "get", "ping", "Says whether all models have their workers.", "",
	  "All is well", "status", "500", NULL },
	{ API_ALL, "/livez", "get", "livez", "Says that the server runs.", "", "It does", "status",
	  "", NULL },
	{ API_ALL, "/readyz", "get", "readyz",
	  "Says whether the models that were asked for answer.", "", "They do", "status", "503",
	  NULL },
	INFERENCE_PATH("/v1/models/{model_name}:predict", "predictions",
		       "Asks the default version of a model.", "model_name"),
	INFERENCE_PATH("/v2/models/{model_name}/infer", "predictions",
		       "Asks the default version of a model.", "model_name"),
	INFERENCE_PATH("/predictions/{model_name}", "predictions",
		       "Asks the default version of a model.", "model_name"),
	INFERENCE_PATH("/predictions/{model_name}/{model_version}", "version_predictions",
		       "Asks a version of a model.", "model_name model_version"),
	INFERENCE_PATH("/explanations/{model_name}", "explanations",
		       "Asks the default version of a model for the reasons of its answer.",
		       "model_name"),
	INFERENCE_PATH("/explanations/{model_name}/{model_version}", "version_explanations",
		       "Asks a version of a model for the reasons of its answer.",
		       "model_name model_version"),
	{ API_MANAGEMENT, "/models", "get", "listModels", "Lists the registered models.",
	  "limit next_page_token registering", "OK", "models", "500", NULL },
	{ API_MANAGEMENT, "/models", "post", "registerModel", "Registers a model.",
	  "url register_name handler runtime batch_size max_batch_delay "
	  "latency_goal_ms response_timeout startup_timeout initial_workers synchronous",
	  "Model registered", "status", "202 206 400 404 405 409 500 507", NULL },
	{ API_MANAGEMENT, "/models/{model_name}", "get", "describeModel",
	  "Describes the default version of a model.", "model_name customized", "OK", "versions",
	  "404 500 503", NULL },
	{ API_MANAGEMENT, "/models/{model_name}", "put", "setAutoScale",
	  "Sets the number of workers of a model's default version.",
	  "model_name min_worker max_worker asynchronous", "Model workers updated", "status",
	  "202 206 400 404 500", NULL },
	{ API_MANAGEMENT, "/models/{model_name}", "delete", "unregisterModel",
	  "Unregisters a model's only version.", "model_name", "Model unregistered", "status",
	  "403 404 405 408 500", NULL },
	{ API_MANAGEMENT, "/models/{model_name}/{model_version}", "get", "version_describeModel",
	  "Describes a version of a model; \"all\" as the version describes all of them.",
	  "model_name model_version customized", "OK", "versions", "404 500 503", NULL },
	{ API_MANAGEMENT, "/models/{model_name}/{model_version}", "put", "version_setAutoScale",
	  "Sets the number of workers of a version.",
	  "model_name model_version min_worker max_worker asynchronous", "Model workers updated",
	  "status", "202 206 400 404 500", NULL },
	{ API_MANAGEMENT, "/models/{model_name}/{model_version}", "delete",
	  "version_unregisterModel", "Unregisters a version.", "model_name model_version",
	  "Model unregistered", "status", "403 404 405 408 500", NULL },
	{ API_MANAGEMENT, "/models/{model_name}/{model_version}/set-default", "put", "setDefault",
	  "Makes a version the default.", "model_name model_version", "Default version set",
	  "status", "404 500", NULL },
	{ API_MANAGEMENT, "/v1/models/{model_name}", "get", "modelReady",
	  "Says whether a model has a worker that is ready.", "model_name", "OK", "ready", "404",
	  NULL },
	{ API_MANAGEMENT, "/token", "get", "token", "Makes a new key, in key_file.json.", "type",
	  "The key has been written", "any", "400 500", NULL },
	{ API_METRICS, "/metrics", "get", "metrics", "Metrics in the format of Prometheus.",
	  "name[]", "The metrics", "text", "500", NULL },
};
const size_t openapi_operations_n = ARRAY_LEN(openapi_operations);
