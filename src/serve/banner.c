/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/banner.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/util.h"
#include "log/log.h"

static void banner_text(const char *label, const char *value)
{
	log_info("%s: %s", label, value && *value ? value : "N/A");
}

static void banner_number(const char *label, uint64_t value)
{
	log_info("%s: %llu", label, (unsigned long long)value);
}

static void banner_flag(const char *label, bool value)
{
	log_info("%s: %s", label, value ? "true" : "false");
}

static void banner_surroundings(const struct fleet *f)
{
	const struct settings *s = f->settings;
	char cwd[PATH_MAX];

	log_info("Torchserve version: 0.12.0 (sconce " SCONCE_VERSION ")");
	banner_text("TS Home", f->python.packages);
	banner_text("Current directory", getcwd(cwd, sizeof(cwd)));
	banner_text("Temp directory", s->tmp_dir);
	log_info("Metrics config path: %s", s->metrics_config ? s->metrics_config : "built-in");
	banner_number("Number of GPUs", f->gpus.n);
	banner_number("Number of CPUs", f->cpus);
	log_info("Memory budget: %llu M", (unsigned long long)(f->budget->limit >> 20));
	banner_text("Python executable",
		    f->python.executable ? f->python.executable : f->python.why);
	banner_text("Config file", s->config_file);
}

static void banner_places(const struct settings *s)
{
	banner_text("Inference address", s->inference_address);
	banner_text("Management address", s->management_address);
	if (s->console && strncmp(s->management_address, "http", 4) == 0)
		log_info("Console: %s/console", s->management_address);
	banner_text("Metrics address", s->enable_metrics_api ? s->metrics_address : NULL);
	banner_text("Model Store", s->model_store);
	banner_text("Initial Models", s->load_models);
	banner_text("Log dir", s->log_location);
	banner_text("Metrics dir", s->metrics_location ? s->metrics_location : s->log_location);
}

static void banner_mode(const char *mode)
{
	_cleanup_(freep) char *upper = mem_strdup(mode);

	for (char *c = upper; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	banner_text("Metrics mode", upper);
}

static void banner_settings(const struct settings *s)
{
	banner_number("Netty threads", s->number_of_netty_threads);
	banner_number("Netty client threads", s->netty_client_threads);
	banner_number("Default workers per model", s->default_workers_per_model);
	banner_text("Blacklist Regex", s->blacklist_env_vars);
	banner_number("Maximum Response Size", s->max_response_size);
	banner_number("Maximum Request Size", s->max_request_size);
	banner_flag("Limit Maximum Image Pixels", s->limit_max_image_pixels);
	banner_flag("Prefer direct buffer", s->prefer_direct_buffer);
	log_info("Allowed Urls: [%s]", s->allowed_urls ? s->allowed_urls : "");
	banner_flag("Custom python dependency for model allowed", s->install_py_dep_per_model);
	banner_flag("Enable metrics API", s->enable_metrics_api);
	banner_mode(s->metrics_mode);
	banner_flag("Disable system metrics", s->disable_system_metrics);
	banner_text("Workflow Store", s->workflow_store);
	banner_text("CPP log config", s->cpp_log_config);
	banner_text("Model config", s->models);
	log_info("System metrics command: %s",
		 s->system_metrics_cmd ? s->system_metrics_cmd : "default");
	banner_flag("Model API enabled", s->enable_model_api);
}

/* The keys from row `first` on that have no effect for its reason, which is in the table. */
static void banner_ignored_for(const struct settings *s, unsigned first)
{
	_cleanup_(buf_finish) struct buf keys = BUF_INIT(4096);
	const char *reason = settings_info(first)->help;
	const struct setting_info *info;
	unsigned n = 0;

	for (unsigned i = first; (info = settings_info(i)); i++)
		if (info->accepted_only && settings_given(s, i) && strcmp(info->help, reason) == 0)
			buf_printf(&keys, "%s%s", n++ ? ", " : "", info->key);
	log_warn("%s %s set but %s no effect (%s)", buf_cstr(&keys), n > 1 ? "are" : "is",
		 n > 1 ? "have" : "has", reason);
}

/* One line for each reason. */
static void banner_ignored(const struct settings *s)
{
	const struct setting_info *info, *before;

	for (unsigned i = 0; (info = settings_info(i)); i++) {
		bool told = !info->accepted_only || !settings_given(s, i);

		for (unsigned j = 0; j < i && !told; j++) {
			before = settings_info(j);
			told = before->accepted_only && settings_given(s, j) &&
			       strcmp(before->help, info->help) == 0;
		}
		if (!told)
			banner_ignored_for(s, i);
	}
}

/* As TorchServe says it, and how to do it. */
static void banner_keys(const struct settings *s)
{
	const char *file = s->keys_from ? s->keys_from : s->key_file;
	_cleanup_(freep) char *path = realpath(file, NULL);

	if (s->disable_token_authorization)
		return;
	log_info("Token authorization is enabled: calls need the header Authorization: Bearer KEY, "
		 "with the inference key for predictions and the management key for models. "
		 "--disable-token-auth (disable_token_authorization=true) does without");
	log_info("Key file located at %s", path ? path : file);
}

/* What was given, and by whom: nothing that an earlier run left counts unseen. */
static void banner_sources(const struct settings *s)
{
	_cleanup_(buf_finish) struct buf lines = BUF_INIT((size_t)1 << 20);
	struct slice rest;

	settings_write_sources(s, &lines);
	rest = buf_slice(&lines);
	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n');

		log_info("%.*s", SLICE_ARG(line));
	}
	if (s->snapshot_unused)
		log_info("The snapshot %s is not used: a configuration file was named",
			 s->snapshot_unused);
}

static void banner_limits(const struct settings *s)
{
	if (s->default_workers_per_model > VERSION_WORKERS_MAX)
		log_warn("default_workers_per_model is %llu: a model has %d workers at most",
			 (unsigned long long)s->default_workers_per_model, VERSION_WORKERS_MAX);
}

void banner_log(const struct fleet *f)
{
	banner_limits(f->settings);
	banner_surroundings(f);
	banner_places(f->settings);
	banner_settings(f->settings);
	banner_sources(f->settings);
	banner_keys(f->settings);
	banner_ignored(f->settings);
}
