/* SPDX-License-Identifier: Apache-2.0 */

/* The keys that TorchServe does not know. */
#include "config/table.h"

#define WORKERS "Workers"
#define LIMITS "Limits of connections"
#define ARCHIVES "Limits of archives"
#define MEMORY "Memory"
#define METRICS "Metrics and logs"
#define TRACING "Tracing"
#define SECURITY "Security"
#define REQUESTS "Requests"
#define FILES "Start, stop and files"

#define ROW(section, kind, name, ...) SETTING_ROW(section, kind, name, #name, __VA_ARGS__)
#define NUMBER(section, name, fallback, allowed, help)                                             \
	ROW(section, SETTING_NUMBER, name, fallback, allowed, help)
#define SIZE(section, name, fallback, allowed, help)                                               \
	ROW(section, SETTING_SIZE, name, fallback, allowed, help)
#define BOOL(section, name, fallback, help)                                                        \
	ROW(section, SETTING_BOOL, name, fallback, "true|false", help)

const struct setting settings_own[] = {
	ROW(WORKERS, SETTING_TEXT, python, NULL, NULL,
	    "Python interpreter of the workers; none: the first python3 found"),
	ROW(WORKERS, SETTING_TRISTATE, zygote, "auto", "true|false|auto",
	    "Fork Python workers from one process that has imported what they need; auto: where it "
	    "is safe"),
	BOOL(WORKERS, retry, "true",
	     "Run a request a second time, once and alone, when its worker died"),
	BOOL(WORKERS, frame_batching, "true",
	     "Send several batches at a time to workers with short handlers"),
	ROW(WORKERS, SETTING_CHOICE, batch_mode, "adaptive", "adaptive|fixed",
	    "When a free worker takes a batch that is not full: adaptive, while waiting gains less "
	    "than it costs; fixed, after max_batch_delay, as TorchServe; batchMode in "
	    "model-config.yaml goes before it"),
	ROW(WORKERS, SETTING_CHOICE, native, "auto", "auto|never|always",
	    "Serve archives with TorchServe's default handlers for images by an engine, without "
	    "Python: auto, where the model loads that way, else by the handler; native in "
	    "model-config.yaml goes before it"),
	BOOL(WORKERS, build_engines, "true",
	     "Build what an engine lacks (for PyTorch, once for each version) beside the handler "
	     "that serves its model meanwhile"),
	ROW(WORKERS, SETTING_CHOICE, queue_full_status, "503", "503|429",
	    "Status of what a full queue refuses: 503 as TorchServe, or 429 with a message that "
	    "says why; both come with Retry-After"),
	NUMBER(WORKERS, threads_per_worker, "0", "0..4096",
	       "Threads each worker computes with; 0: the cores are divided among the workers"),

	BOOL(REQUESTS, kserve, "false",
	     "Answer GET /v1/models, too, where predictions are: KServe's wrapper of TorchServe "
	     "does"),

	SIZE(MEMORY, memory_budget, "0", "0..16t",
	     "Memory for requests and answers; 0: a quarter of what this machine or container has"),
	SIZE(MEMORY, pool_segment_size, "16m", "1m..1g",
	     "Piece in which memory for requests is taken from the system"),

	NUMBER(LIMITS, max_connections, "10000", "1..1000000",
	       "Open connections, as far as the limit of open files allows (ulimit -Hn); more are "
	       "answered 503 and closed"),
	SIZE(LIMITS, max_header_size, "8192", "1024..49152", "Request line and headers together"),
	NUMBER(LIMITS, max_headers, "128", "1..1024", "Headers of a request"),
	NUMBER(LIMITS, max_pipelined, "16", "1..1024",
	       "Requests read ahead on a connection before the first is answered"),
	NUMBER(LIMITS, header_timeout_ms, "30000", "1..86400000",
	       "Milliseconds for a request's headers to arrive"),
	NUMBER(LIMITS, body_timeout_ms, "60000", "1..86400000",
	       "Longest pause within a request's body, in milliseconds"),
	SIZE(LIMITS, body_rate_min, "240", "0..1g",
	     "Bytes per second that a body must arrive with, after its first ten seconds"),
	NUMBER(LIMITS, idle_timeout_ms, "75000", "1..86400000",
	       "Milliseconds that a connection is kept open without a request"),
	NUMBER(LIMITS, write_timeout_ms, "60000", "1..86400000",
	       "Milliseconds that a client may take none of its answer"),

	SIZE(ARCHIVES, max_archive_size, "64g", "1..16t", "Size of an archive, unpacked"),
	NUMBER(ARCHIVES, max_archive_entries, "100000", "1..10000000",
	       "Files and folders in an archive"),
	NUMBER(ARCHIVES, max_archive_ratio, "100", "1..1000000",
	       "How many times larger than the archive its content may be"),

	NUMBER(ARCHIVES, unpack_timeout, "3600", "1..604800",
	       "Seconds that unpacking an archive may take"),
	NUMBER(ARCHIVES, unpack_stall_timeout, "120", "1..86400",
	       "Seconds in which nothing of an archive is read or written, after which unpacking "
	       "it is given up"),
	NUMBER(ARCHIVES, download_timeout, "3600", "1..604800",
	       "Seconds that downloading an archive may take"),
	NUMBER(ARCHIVES, download_stall_timeout, "60", "1..86400",
	       "Seconds that a download may be slower than download_rate_min before it is taken "
	       "up again"),
	SIZE(ARCHIVES, download_rate_min, "1024", "0..1g",
	     "Bytes per second that a download must arrive with; 0: any"),
	NUMBER(ARCHIVES, install_py_dep_timeout, "1200", "1..86400",
	       "Seconds that installing the requirements.txt of an archive may take"),

	ROW(METRICS, SETTING_TEXT, log_location, "logs", NULL, "Folder of the logs",
	    .env = "LOG_LOCATION"),
	ROW(METRICS, SETTING_TEXT, metrics_location, "logs", NULL,
	    "Folder of the metrics' logs; log_location does not move them, as in TorchServe",
	    .env = "METRICS_LOCATION"),
	ROW(METRICS, SETTING_CHOICE, log_level, "info", "error|warn|info|debug",
	    "What the server's and the models' logs show"),
	ROW(METRICS, SETTING_CHOICE, log_format, "text", "text|json",
	    "Lines as TorchServe writes them, or each as a JSON object with its request's id"),
	BOOL(METRICS, log_request_id, "true",
	     "End access lines and what handlers log with the id of their request; false: lines as "
	     "TorchServe writes them. With log_format=json it is always there"),
	NUMBER(METRICS, loop_stall_warning_ms, "100", "1..3600000",
	       "Warn in the log when the server did not look at its sockets for this many "
	       "milliseconds, and say what kept it"),
	BOOL(METRICS, access_log, "true", "Log every request"),
	BOOL(METRICS, log_console, "true", "Write the logs to standard output, too"),

	ROW(TRACING, SETTING_TEXT, trace_endpoint, NULL, NULL,
	    "URL of a collector that takes OpenTelemetry's spans over HTTP (OTLP): "
	    "http://host:4318; none: requests are not traced",
	    .guarded = true),
	ROW(TRACING, SETTING_TEXT, trace_headers, NULL, NULL,
	    "Headers for the collector: name=value,name=value, with %XX for what is special",
	    .secret = true),
	ROW(TRACING, SETTING_TEXT, trace_service_name, NULL, NULL,
	    "What this server is called in traces; none: service.name of "
	    "trace_resource_attributes, or sconce"),
	ROW(TRACING, SETTING_TEXT, trace_resource_attributes, NULL, NULL,
	    "What else is said of this server: name=value,name=value, with %XX for what is "
	    "special"),
	ROW(TRACING, SETTING_DECIMAL, trace_ratio, "1", "0..1",
	    "Share of requests that are traced; 1: all, 0: none"),
	BOOL(TRACING, trace_parent_based, "true",
	     "A client whose traceparent says whether it is traced decides instead of trace_ratio"),
	NUMBER(TRACING, trace_interval_ms, "1000", "1..600000",
	       "Milliseconds that spans wait for others to be sent with"),
	NUMBER(TRACING, trace_timeout_ms, "10000", "1..600000",
	       "Milliseconds that the collector may take for a batch"),
	SIZE(TRACING, trace_memory, "4m", "64k..1g",
	     "Memory for spans that wait for the collector; what does not fit is dropped"),
	ROW(TRACING, SETTING_CHOICE, trace_compression, "none", "none|gzip",
	    "How batches for the collector are packed"),
	ROW(TRACING, SETTING_TEXT, trace_certificate, NULL, NULL,
	    "File with the certificates that sign the collector's; none: the system's"),
	BOOL(TRACING, trace_response_header, "false",
	     "Answers name their trace, in a header traceresponse"),

	ROW(SECURITY, SETTING_TEXT, key_file, "key_file.json", NULL,
	    "File that the keys are written to at the start, readable for its owner only; two "
	    "servers in one folder need two"),
	ROW(SECURITY, SETTING_TEXT, keys_from, NULL, NULL,
	    "File with keys to take instead of fresh ones, as key_file has them: several servers "
	    "share it. They do not expire, and /token does not replace them"),

	BOOL(SECURITY, console, "true",
	     "Serve the web console, /console of the management address"),
	ROW(SECURITY, SETTING_TEXT, console_hosts, NULL, NULL,
	    "Host names, comma separated, by which browsers may reach the console where calls need "
	    "no key, or *: any; addresses and localhost always do",
	    .guarded = true),

	NUMBER(FILES, drain_timeout, "30", "0..86400",
	       "Seconds that stopping waits for requests in progress"),
	ROW(FILES, SETTING_TEXT, tmp_dir, NULL, NULL,
	    "Folder for unpacked archives; none: $TEMP, $TMPDIR or /tmp"),
	ROW(FILES, SETTING_TEXT, cache_dir, NULL, NULL,
	    "Folder for what workers make once and keep, as what is built for PyTorch; nobody else "
	    "may write to it; none: sconce in $XDG_CACHE_HOME or ~/.cache"),
	BOOL(FILES, no_config_snapshots, "false",
	     "Neither record settings and models for the next start, nor read what was recorded"),
};

const unsigned settings_own_count = ARRAY_LEN(settings_own);
