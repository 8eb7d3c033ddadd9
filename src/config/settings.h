/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every setting of the server, from one table (settings.c): key, type, default, bounds, help.
 * `sconce serve --help`, the environment, config.properties and docs/settings.md all come from it.
 *
 * Sources, later wins: defaults, config.properties, environment (SCONCE_<KEY>; also TS_<KEY> when
 * enable_envvars_config=true), command line (--key value).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum tristate { TRISTATE_OFF, TRISTATE_ON, TRISTATE_AUTO };

struct settings {
	/* listeners: "http://host:port" or "unix:path" */
	char *inference_address, *management_address, *metrics_address;
	/* models */
	char *model_store, *load_models, *models;
	uint64_t default_workers_per_model;      /* 0: one per CPU at start-up, none over the API */
	uint64_t default_response_timeout;       /* s */
	uint64_t default_startup_timeout;        /* s */
	uint64_t unregister_model_timeout;       /* s */
	uint64_t job_queue_size;                 /* per model version */
	uint64_t max_request_size, max_response_size;  /* bytes */
	uint64_t number_of_gpu;
	uint64_t initial_worker_port;            /* only names workers: the first is 9000 */
	bool limit_max_image_pixels, decode_input_request;
	char *default_service_handler, *service_envelope;
	bool install_py_dep_per_model;
	char *allowed_urls, *blacklist_env_vars;
	bool enable_model_api, disable_token_authorization;
	char *cors_allowed_origin, *cors_allowed_methods, *cors_allowed_headers;
	/* metrics and logs */
	char *metrics_mode;                      /* prometheus | log | legacy */
	char *metrics_config;
	bool enable_metrics_api, model_metrics_auto_detect, disable_system_metrics;
	uint64_t metric_time_interval;           /* s */
	char *log_location, *metrics_location, *log_level;   /* error | warn | info | debug */
	bool access_log, log_console;
	/* ours */
	char *python;                            /* interpreter for handlers; NULL: found */
	enum tristate zygote;
	bool retry;                              /* once, alone, after a worker died */
	bool frame_batching;
	uint64_t threads_per_worker;             /* 0: cores divided among workers */
	uint64_t memory_budget;                  /* bytes; 0: a quarter of the memory allowed to us */
	uint64_t pool_segment_size;              /* bytes */
	uint64_t drain_timeout;                  /* s */
	uint64_t max_connections, max_header_size, max_headers, max_pipelined;
	uint64_t header_timeout_ms, body_timeout_ms, body_rate_min, idle_timeout_ms, write_timeout_ms;
	uint64_t max_archive_size, max_archive_entries, max_archive_ratio;
	char *tmp_dir;                           /* default: $TEMP, $TMPDIR, /tmp */
	bool no_config_snapshots;
	/* … every other TorchServe key is parsed into a field too; see settings.c. */
	char *workflow_store;
	bool enable_envvars_config;
};

/* `why` receives whole lines for people; warnings too (unknown keys), prefixed "warning: ". */
void settings_init(struct settings *s);                  /* defaults */
void settings_finish(struct settings *s);
/* 0, or -EINVAL with "file:line: key: what is wrong; allowed: …" in `why`; -errno if unreadable. */
int settings_load_file(struct settings *s, const char *path, struct buf *why);
/* SCONCE_*, and TS_* if enabled. */
int settings_load_environment(struct settings *s, char *const *environment, struct buf *why);
/* One key. `origin` names where it comes from in messages ("--job-queue-size"). 0, -EINVAL with
 * a message, -ENOENT when there is no such key. Keys match with '-' for '_'. */
int settings_set(struct settings *s, struct slice key, struct slice value, const char *origin,
		 struct buf *why);
/* After all sources: relations between settings, derived defaults. */
int settings_check(struct settings *s, struct buf *why);

/* Walks the table, for --help and docs: returns NULL after the last. */
struct setting_info {
	const char *key, *type, *fallback, *help, *section;
	const char *allowed;        /* "0..1000000", "prometheus|log|legacy" */
	bool accepted_only;         /* parsed and checked for TorchServe's sake, without effect */
};
const struct setting_info *settings_info(unsigned i);
