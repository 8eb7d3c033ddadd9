/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every setting of the server, from one table (table_*.c): key, type, default, bounds, help.
 * `sconce serve --help`, the environment, config.properties and docs/settings.md all come from it.
 *
 * Sources, later wins: defaults, a snapshot, a file (config.properties), environment
 * (LOG_LOCATION, METRICS_LOCATION, OpenTelemetry's OTEL_…; TS_<KEY> when
 * enable_envvars_config=true; SCONCE_<KEY>), command line (--key value). The flags of `torchserve`
 * come before the environment, as TorchServe's do.
 *
 * An empty string is the same as none (NULL), except for allowed_urls. Blanks around a value do
 * not count. Sizes may be written 64m or 1g (powers of 1024), and whole numbers as templates do
 * (1e+06). In a file and in TS_<KEY>, a truth value of TorchServe's that is neither true nor false
 * is false, with a warning; everywhere else it is refused.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define SETTINGS_MAX 256

enum tristate { TRISTATE_OFF, TRISTATE_ON, TRISTATE_AUTO };

struct settings {
	/* listeners: "http://host:port" or "unix:path" */
	char *inference_address, *management_address, *metrics_address;
	/* models */
	char *model_store, *load_models, *models;
	uint64_t default_workers_per_model; /* 0: one per CPU at start-up, none over the API */
	uint64_t default_response_timeout;  /* s */
	uint64_t default_startup_timeout;   /* s */
	uint64_t unregister_model_timeout;  /* s */
	uint64_t job_queue_size;            /* per model version */
	uint64_t max_request_size, max_response_size; /* bytes */
	uint64_t number_of_gpu;                       /* at most; UINT64_MAX: all there are */
	uint64_t initial_worker_port;                 /* only names workers: the first is 9000 */
	uint64_t initial_distribution_port;
	bool limit_max_image_pixels, decode_input_request;
	char *default_service_handler, *service_envelope;
	bool install_py_dep_per_model;
	char *allowed_urls, *blacklist_env_vars;
	bool enable_model_api, disable_token_authorization;
	char *cors_allowed_origin, *cors_allowed_methods, *cors_allowed_headers;
	/* metrics and logs */
	char *metrics_mode; /* prometheus | log | legacy */
	char *metrics_config;
	bool enable_metrics_api, model_metrics_auto_detect, disable_system_metrics;
	uint64_t metric_time_interval;                     /* s */
	char *log_location, *metrics_location, *log_level; /* error | warn | info | debug */
	char *log_format;                                  /* text | json */
	bool access_log, log_console, log_request_id;
	uint64_t loop_stall_warning_ms;
	/* tracing */
	char *trace_endpoint; /* NULL: off */
	char *trace_headers, *trace_service_name, *trace_resource_attributes, *trace_certificate;
	char *trace_compression;                      /* none | gzip */
	double trace_ratio;                           /* 0..1 */
	uint64_t trace_interval_ms, trace_timeout_ms; /* between batches; of one */
	uint64_t trace_memory;                        /* bytes */
	bool trace_parent_based, trace_response_header;
	/* ours */
	char *python; /* interpreter for handlers; NULL: found */
	enum tristate zygote;
	bool retry; /* once, alone, after a worker died */
	bool frame_batching;
	char *batch_mode;            /* adaptive | fixed */
	char *native;                /* auto | never | always */
	bool build_engines;
	char *queue_full_status;     /* 503 | 429 */
	uint64_t threads_per_worker; /* 0: cores divided among workers */
	uint64_t memory_budget;      /* bytes; 0: a quarter of the memory allowed to us */
	uint64_t pool_segment_size;  /* bytes */
	uint64_t drain_timeout;      /* s */
	uint64_t max_connections, max_header_size, max_headers, max_pipelined;
	uint64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
	uint64_t body_rate_min; /* bytes/s */
	uint64_t max_archive_size, max_archive_entries, max_archive_ratio;
	uint64_t unpack_timeout, unpack_stall_timeout;     /* s */
	uint64_t download_timeout, download_stall_timeout; /* s */
	uint64_t download_rate_min;                        /* bytes/s */
	uint64_t install_py_dep_timeout;                   /* s */
	char *tmp_dir;                                     /* default: $TEMP, $TMPDIR, /tmp */
	char *cache_dir; /* absolute; NULL: where workers find it */
	bool no_config_snapshots;
	char *key_file, *keys_from;
	bool console; /* at the management address */
	char *console_hosts;
	/* the other keys of TorchServe */
	char *workflow_store; /* default: model_store */
	char *model_snapshot; /* JSON; goes before load_models */
	bool enable_envvars_config, use_env_allowed_urls;
	double token_expiration_min;
	bool ts_open_inference_protocol, kserve;
	char *ts_header_key_sequence_id, *ts_header_key_sequence_start;
	char *ts_header_key_sequence_end;
	bool ipex_enable, ipex_gpu_enable, cpu_launcher_enable;
	char *cpu_launcher_args;
	/* accepted only: see the table for why each is without effect */
	char *grpc_inference_address, *grpc_management_address;
	uint64_t grpc_inference_port, grpc_management_port;
	uint64_t grpc_inference_max_connection_age_ms, grpc_inference_max_connection_age_grace_ms;
	uint64_t grpc_management_max_connection_age_ms, grpc_management_max_connection_age_grace_ms;
	bool enable_grpc_ssl;
	char *private_key_file, *certificate_file, *keystore, *keystore_pass, *keystore_type;
	uint64_t number_of_netty_threads, netty_client_threads, io_ratio;
	bool prefer_direct_buffer, use_native_io, async_logging;
	bool debug;
	char *system_metrics_cmd, *model_server_home, *cpp_log_config, *version;
	char *vmargs, *plugins_path, *num_workers;
	/* No settings: the files that were loaded, the later one too as config_file; NULL: none. */
	char *config_file, *snapshot_file;
	char *snapshot_unused; /* the newest, when a file was named instead; NULL: none */
	bool trace_disabled;   /* no setting: OTEL_SDK_DISABLED, whoever gave an endpoint */
	bool dev;              /* no setting: one model that is being written, see serve/dev.h */
	/* By row of the table, who gave it ("config.properties:7", "--model-store"); NULL: it is a
	 * default. */
	char *origins[SETTINGS_MAX];
	/* What the snapshot says but did not bring back ("file:line: key=value"). */
	char *withheld[SETTINGS_MAX];
};

/*
 * `why` receives whole lines for people; warnings too (unknown keys), prefixed "warning: ". After
 * an error the settings are a mixture, good for settings_finish() only; all errors of a source are
 * reported, not just the first.
 */
void settings_init(struct settings *s); /* defaults */
void settings_finish(struct settings *s);
/* 0, or -EINVAL with "file:line: key: what is wrong; allowed: …" in `why`; -errno if unreadable. */
int settings_load_file(struct settings *s, const char *path, struct buf *why);
/* The same of a snapshot, but for what would open this run because an earlier one was open: rows
 * that are `guarded`, with another value than the default, and listeners that others than this
 * machine reach. allowed_urls and blacklist_env_vars come back: without them more would be allowed.
 * What the file that is loaded next says counts, except its model_snapshot. */
int settings_load_snapshot(struct settings *s, const char *path, struct buf *why);
/* After all sources: warns of what was withheld and nobody else gave. */
void settings_warn_withheld(const struct settings *s, struct buf *why);
/* SCONCE_*, and TS_* if enabled; LOG_LOCATION and METRICS_LOCATION; TEMP or TMPDIR for a tmp_dir
 * that is not set. -EINVAL as above. */
int settings_load_environment(struct settings *s, char *const *environment, struct buf *why);
/* One key. `origin` names where it comes from in messages ("--job-queue-size"). 0, -EINVAL with
 * a message, -ENOENT when there is no such key. '-' may stand for '_', as in flags. */
int settings_set(struct settings *s, struct slice key, struct slice value, const char *origin,
		 struct buf *why);
/* After all sources: relations between settings, derived defaults (memory_budget,
 * workflow_store, tmp_dir). -EINVAL as above. */
int settings_check(struct settings *s, struct buf *why);

/* Walks the table, for --help and docs: returns NULL after the last. */
struct setting_info {
	const char *key, *type, *fallback, *help, *section;
	const char *allowed; /* "0..1000000", "prometheus|log|legacy"; NULL: any text */
	bool accepted_only;  /* parsed and checked for TorchServe's sake, without effect */
};
const struct setting_info *settings_info(unsigned i);

static inline bool settings_given(const struct settings *s, unsigned i)
{
	return s->origins[i];
}
/* Who gave the value of a key that there is; NULL: it is a default. */
const char *settings_origin(const struct settings *s, const char *key);
/* Begins a message about a key with who gave it, and the key where that does not say it. */
void settings_put_head(const struct settings *s, const char *key, struct buf *why);

/* How a section of the table is written: its head, and each of its rows. */
struct settings_style {
	void (*section)(struct buf *out, const char *name);
	void (*row)(struct buf *out, const struct setting_info *info);
};
/* All sections of those with an effect, or of those without (`ignored`). */
void settings_write_styled(struct buf *out, const struct settings_style *style, bool ignored);

/* The table as text: for `--help` (80 columns), and as the page docs/settings.md. */
void settings_write_help(struct buf *out);
void settings_write_markdown(struct buf *out);
/* Each setting with its value and who gave it, a line each. */
void settings_write_effective(const struct settings *s, struct buf *out);
/* What was given, a line for each source: "Settings from config.properties: a=1, b=2". */
void settings_write_sources(const struct settings *s, struct buf *out);
/* What any source gave, as a properties file that settings_load_file() reads back (for snapshots);
 * defaults, derived ones too, stay defaults. Passwords are left out, and model_snapshot. */
void settings_write_properties(const struct settings *s, struct buf *out);
