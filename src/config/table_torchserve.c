/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The keys of TorchServe, with its defaults. Those at the end are parsed and checked, so that an
 * existing file is read without complaint, and then ignored; their help says why.
 */
#include "config/table.h"

#define LISTENERS "Listeners"
#define MODELS "Models"
#define REQUESTS "Requests"
#define SECURITY "Security"
#define METRICS "Metrics and logs"
#define SOURCES "Where settings come from"
#define IGNORED "Accepted without effect"

#define ROW(section, kind, name, ...) SETTING_ROW(section, kind, name, #name, __VA_ARGS__)
#define TEXT(section, name, fallback, help, ...)                                                   \
	ROW(section, SETTING_TEXT, name, fallback, NULL, help, __VA_ARGS__)
#define BOOL(section, name, fallback, help, ...)                                                   \
	ROW(section, SETTING_BOOL, name, fallback, "true|false", help, __VA_ARGS__)
#define ADDRESS(name, fallback, help)                                                              \
	ROW(LISTENERS, SETTING_ADDRESS, name, fallback, "http://host[:port]|unix:path", help,      \
	    .guarded = true)
#define UNUSED(kind, name, fallback, allowed, help)                                                \
	ROW(IGNORED, kind, name, fallback, allowed, help, .info.accepted_only = true)

#define NO_GRPC "gRPC is not served by this version; the REST calls are"
#define NO_TLS "TLS is not served by this version; let a proxy in front terminate it"
#define NO_JVM "Tunes the Java server; there is none here"
#define FOREVER "0..9223372036854775807"

const struct setting settings_torchserve[] = {
	ADDRESS(inference_address, "http://127.0.0.1:8080", "Where inference requests are served"),
	ADDRESS(management_address, "http://127.0.0.1:8081", "Where models are managed"),
	ADDRESS(metrics_address, "http://127.0.0.1:8082", "Where metrics are served"),

	TEXT(MODELS, model_store, NULL, "Folder of the model archives"),
	TEXT(MODELS, workflow_store, NULL, "Folder of the workflow archives; none: model_store"),
	TEXT(MODELS, load_models, NULL,
	     "Models to load at start: a comma list of [name=]archive, or all"),
	TEXT(MODELS, models, NULL,
	     "JSON with the parameters of models: {model: {version: {minWorkers, …}}}; what an "
	     "archive's model-config.yaml says goes before it"),
	TEXT(MODELS, model_snapshot, NULL,
	     "JSON with the models to restore, as snapshots have it; goes before load_models"),
	ROW(MODELS, SETTING_NUMBER, default_workers_per_model, "0", "0..100000",
	    "Workers of a model that asks for no number; 0: one per GPU (one per CPU without any) "
	    "for models loaded at start, none for models registered later"),
	ROW(MODELS, SETTING_NUMBER, default_response_timeout, "120", "0..2147483647",
	    "Seconds a handler may take for a batch before its worker is replaced"),
	ROW(MODELS, SETTING_NUMBER, default_startup_timeout, "120", "0..2147483647",
	    "Seconds a worker may take to load its model"),
	ROW(MODELS, SETTING_NUMBER, unregister_model_timeout, "120", "0..2147483647",
	    "Seconds that unregistering a model waits for its work"),
	ROW(MODELS, SETTING_NUMBER, number_of_gpu, NULL, "0..65535",
	    "GPUs to spread workers over; none: as many as there are"),
	ROW(MODELS, SETTING_NUMBER, initial_worker_port, "9000", "1..65535",
	    "Number in the name of the first worker (W-9000-…); no port is opened"),
	ROW(MODELS, SETTING_NUMBER, initial_distribution_port, "29500", "1..65535",
	    "First of the ports over which the processes of one worker find each other "
	    "(parallelType pp, tp, pptp)"),
	BOOL(MODELS, cpu_launcher_enable, "false",
	     "Give every worker processors of its own; without it all share them, and the threads "
	     "are divided"),
	TEXT(MODELS, cpu_launcher_args, NULL,
	     "How to divide the processors, as torch.backends.xeon.run_cpu takes it: --ninstances, "
	     "--ncores_per_instance, --node_id, --core_list, --use_logical_core, …"),
	TEXT(MODELS, default_service_handler, NULL, "Handler of models that name none"),
	TEXT(MODELS, service_envelope, NULL,
	     "Request envelope of all models: body, json or kserve"),
	BOOL(MODELS, install_py_dep_per_model, "false",
	     "Install the requirements.txt of an archive for its model", .guarded = true),
	BOOL(MODELS, limit_max_image_pixels, "true",
	     "Keep Pillow's limit on image sizes in the built-in vision handlers"),
	BOOL(MODELS, ipex_enable, "false",
	     "Let the built-in handlers use Intel Extension for PyTorch"),
	BOOL(MODELS, ipex_gpu_enable, "false",
	     "Let the built-in handlers use Intel Extension for PyTorch on Intel GPUs"),

	ROW(REQUESTS, SETTING_NUMBER, job_queue_size, "100", "1..1000000",
	    "Requests that may wait for one version of a model; more are answered 503"),
	ROW(REQUESTS, SETTING_SIZE, max_request_size, "6553500", "1..1t",
	    "Longest request body; longer ones are answered 413"),
	ROW(REQUESTS, SETTING_SIZE, max_response_size, "6553500", "1..1t",
	    "Longest answer of a handler"),
	BOOL(REQUESTS, decode_input_request, "true",
	     "Decode text and JSON bodies before the handler sees them"),
	BOOL(REQUESTS, ts_open_inference_protocol, "false",
	     "Answer in the Open Inference Protocol's format"),
	TEXT(REQUESTS, ts_header_key_sequence_id, "ts_request_sequence_id",
	     "Header with the id of a sequence"),
	TEXT(REQUESTS, ts_header_key_sequence_start, "ts_request_sequence_start",
	     "Header that starts a sequence"),
	TEXT(REQUESTS, ts_header_key_sequence_end, "ts_request_sequence_end",
	     "Header that ends a sequence"),

	BOOL(SECURITY, use_env_allowed_urls, "false",
	     "With enable_envvars_config, let TS_ALLOWED_URLS set allowed_urls", .guarded = true),
	TEXT(SECURITY, allowed_urls, "file://.*|http(s)?://.*",
	     "Where models may be registered from: a comma list of regular expressions; empty: "
	     "nowhere",
	     .keep_empty = true),
	TEXT(SECURITY, blacklist_env_vars, NULL,
	     "Regular expression of environment variables that workers do not see"),
	BOOL(SECURITY, enable_model_api, "false",
	     "Allow registering and unregistering over the API", .guarded = true),
	BOOL(SECURITY, disable_token_authorization, "false", "Serve requests without a token",
	     .guarded = true),
	ROW(SECURITY, SETTING_DECIMAL, token_expiration_min, "60", "0..1000000000",
	    "Minutes that a token is valid", .ts_env = "TS_TOKEN_EXPIRATION_TIME_MIN",
	    .guarded = true),
	TEXT(SECURITY, cors_allowed_origin, NULL, "Access-Control-Allow-Origin of answers",
	     .guarded = true),
	TEXT(SECURITY, cors_allowed_methods, NULL, "Access-Control-Allow-Methods of answers",
	     .guarded = true),
	TEXT(SECURITY, cors_allowed_headers, NULL, "Access-Control-Allow-Headers of answers",
	     .guarded = true),

	ROW(METRICS, SETTING_CHOICE, metrics_mode, "log", "prometheus|log|legacy",
	    "Where TorchServe's metrics go: to metrics_address, to log files, or (legacy) three "
	    "counters to metrics_address and all others to log files; sconce's own (sconce_…) are "
	    "at metrics_address in every mode"),
	TEXT(METRICS, metrics_config, NULL, "File that names the metrics; none: the built-in list"),
	BOOL(METRICS, enable_metrics_api, "true", "Serve metrics at metrics_address"),
	BOOL(METRICS, model_metrics_auto_detect, "false",
	     "Take metrics from handlers that metrics_config does not name"),
	BOOL(METRICS, disable_system_metrics, "false", "Do not measure CPU, memory, disk and GPUs"),
	ROW(METRICS, SETTING_NUMBER, metric_time_interval, "60", "1..2147483647",
	    "Seconds between measurements of the system"),

	BOOL(SOURCES, enable_envvars_config, "false",
	     "Let environment variables TS_<KEY> override this file"),

	UNUSED(SETTING_TEXT, grpc_inference_address, "127.0.0.1", NULL, NO_GRPC),
	UNUSED(SETTING_TEXT, grpc_management_address, "127.0.0.1", NULL, NO_GRPC),
	UNUSED(SETTING_NUMBER, grpc_inference_port, "7070", "0..65535", NO_GRPC),
	UNUSED(SETTING_NUMBER, grpc_management_port, "7071", "0..65535", NO_GRPC),
	UNUSED(SETTING_NUMBER, grpc_inference_max_connection_age_ms, NULL, FOREVER, NO_GRPC),
	UNUSED(SETTING_NUMBER, grpc_inference_max_connection_age_grace_ms, NULL, FOREVER, NO_GRPC),
	UNUSED(SETTING_NUMBER, grpc_management_max_connection_age_ms, NULL, FOREVER, NO_GRPC),
	UNUSED(SETTING_NUMBER, grpc_management_max_connection_age_grace_ms, NULL, FOREVER, NO_GRPC),
	UNUSED(SETTING_BOOL, enable_grpc_ssl, "false", "true|false", NO_GRPC),
	UNUSED(SETTING_TEXT, private_key_file, NULL, NULL, NO_TLS),
	UNUSED(SETTING_TEXT, certificate_file, NULL, NULL, NO_TLS),
	UNUSED(SETTING_TEXT, keystore, NULL, NULL, "A Java key store; " NO_TLS),
	ROW(IGNORED, SETTING_TEXT, keystore_pass, "changeit", NULL, "A Java key store; " NO_TLS,
	    .info.accepted_only = true, .secret = true),
	UNUSED(SETTING_TEXT, keystore_type, "PKCS12", NULL, "A Java key store; " NO_TLS),
	UNUSED(SETTING_NUMBER, number_of_netty_threads, "0", "0..1000000", NO_JVM),
	UNUSED(SETTING_NUMBER, netty_client_threads, "0", "0..1000000", NO_JVM),
	UNUSED(SETTING_BOOL, prefer_direct_buffer, "false", "true|false", NO_JVM),
	UNUSED(SETTING_BOOL, use_native_io, "true", "true|false", NO_JVM),
	UNUSED(SETTING_NUMBER, io_ratio, "50", "1..100", NO_JVM),
	UNUSED(SETTING_TEXT, vmargs, NULL, NULL, NO_JVM),
	UNUSED(SETTING_TEXT, plugins_path, NULL, NULL, "Java plug-ins cannot be loaded"),
	UNUSED(SETTING_BOOL, async_logging, "false", "true|false",
	       "Logs are always written by a thread of their own"),
	UNUSED(SETTING_TEXT, system_metrics_cmd, NULL, NULL,
	       "The server measures the system itself, without a command"),
	UNUSED(SETTING_TEXT, model_server_home, NULL, NULL,
	       "The server finds its own files without it"),
	UNUSED(SETTING_TEXT, cpp_log_config, NULL, NULL, "There are no C++ workers to configure"),
	UNUSED(SETTING_BOOL, debug, "false", "true|false", "Use log_level=debug"),
	UNUSED(SETTING_TEXT, version, NULL, NULL, "The version is the program's own"),
	SETTING_ROW(IGNORED, SETTING_TEXT, num_workers, "NUM_WORKERS", NULL, NULL,
		    "Read by KServe's wrapper, not by the server", .info.accepted_only = true),
};

const unsigned settings_torchserve_count = ARRAY_LEN(settings_torchserve);
