/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/settings.h"

struct fixture {
	struct settings s;
	struct buf why;
	char path[40];
};

/* From the command line of the test: the page that the table should have written. */
static const char *page_path;

static int setup(void **state)
{
	struct fixture *f = mem_new(struct fixture);
	int fd;

	settings_init(&f->s);
	buf_init(&f->why, 65536);
	memcpy(f->path, "/tmp/test_settings.XXXXXX", 26);
	fd = mkstemp(f->path);
	*state = f;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	settings_finish(&f->s);
	buf_finish(&f->why);
	unlink(f->path);
	free(f);
	return 0;
}

static int load(struct fixture *f, const char *text)
{
	assert_int_equal(file_write_atomic(f->path, slice_str(text), 0600), 0);
	buf_clear(&f->why);
	return settings_load_file(&f->s, f->path, &f->why);
}

static int set(struct fixture *f, const char *key, const char *value)
{
	_cleanup_(freep) char *origin = mem_printf("--%s", key);

	buf_clear(&f->why);
	return settings_set(&f->s, slice_str(key), slice_str(value), origin, &f->why);
}

/* `want` with @ for the file's name. */
static void expect_why(struct fixture *f, const char *want)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(65536);

	for (; *want; want++) {
		if (*want == '@')
			buf_puts(&b, f->path);
		else
			buf_putc(&b, *want);
	}
	assert_string_equal(buf_cstr(&f->why), buf_cstr(&b));
}

static void test_defaults(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(f->s.inference_address, "http://127.0.0.1:8080");
	assert_int_equal(f->s.job_queue_size, 100);
	assert_int_equal(f->s.max_request_size, 6553500);
	assert_int_equal(f->s.pool_segment_size, 16 << 20);
	assert_int_equal(f->s.max_archive_size, UINT64_C(64) << 30);
	assert_int_equal(f->s.zygote, TRISTATE_AUTO);
	assert_true(f->s.retry && f->s.access_log && f->s.enable_metrics_api);
	assert_false(f->s.no_config_snapshots || f->s.enable_model_api);
	assert_string_equal(f->s.allowed_urls, "file://.*|http(s)?://.*");
	assert_string_equal(f->s.metrics_mode, "log");
	assert_null(f->s.model_store);
	assert_null(f->s.python);
	assert_true(f->s.token_expiration_min == 60);
	assert_string_equal(f->s.ts_header_key_sequence_id, "ts_request_sequence_id");
}

/* A file as the container images of TorchServe have it, and more. */
static void test_file(void **state)
{
	struct fixture *f = *state;

	setenv("SETTINGS_TEST_STORE", "/models/store", 1);
	assert_int_equal(load(f, "inference_address=http://0.0.0.0:8080\n"
				 "management_address = unix:/tmp/m.sock\n"
				 "number_of_netty_threads=32\n"
				 "vmargs=-Xmx4g -Dx=y\n"
				 "job_queue_size=1000 \n"
				 "model_store=$$SETTINGS_TEST_STORE$$\n"
				 "load_models=all\n"
				 "metrics_mode=Prometheus\n"
				 "install_py_dep_per_model=True\n"
				 "enable_model_api = FALSE\n"
				 "token_expiration_min=0.25\n"
				 "memory_budget=2g\n"
				 "zygote=false\n"
				 "NUM_WORKERS=1\n"
				 "max_headers=7\n"
				 "allowed_urls=\n"
				 "cors_allowed_origin=\n"
				 "models={\\\n  \"m\": {}}\n"),
			 0);
	expect_why(f, "");
	assert_string_equal(f->s.management_address, "unix:/tmp/m.sock");
	assert_int_equal(f->s.job_queue_size, 1000);
	assert_string_equal(f->s.model_store, "/models/store");
	assert_string_equal(f->s.metrics_mode, "prometheus");
	assert_true(f->s.install_py_dep_per_model);
	assert_true(f->s.token_expiration_min == 0.25);
	assert_int_equal(f->s.memory_budget, UINT64_C(2) << 30);
	assert_int_equal(f->s.zygote, TRISTATE_OFF);
	assert_int_equal(f->s.max_headers, 7);
	assert_string_equal(f->s.vmargs, "-Xmx4g -Dx=y");
	assert_string_equal(f->s.models, "{\"m\": {}}");
	/* Nothing may be registered is not the same as the default. */
	assert_string_equal(f->s.allowed_urls, "");
	assert_null(f->s.cors_allowed_origin);
}

static void test_all_errors_of_a_file_are_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "# comment\n"
				 "job_queue_size=ten\n"
				 "job_queu_size=10\n"
				 "retry=maybe\n"
				 "zzzzzz=\\u12\n"
				 "zzzzzz=1\n"
				 "model_store=$$NO_SUCH_VARIABLE$$\n"
				 "max_header_size=1023\n"),
			 -EINVAL);
	expect_why(f, "@:2: job_queue_size: 'ten' is not a number; allowed: 1..1000000\n"
		      "warning: @:3: no setting is called 'job_queu_size'; did you mean "
		      "'job_queue_size'?\n"
		      "@:4: retry: 'maybe' is not a truth value; allowed: true|false\n"
		      "@:5: \\u must be followed by four hexadecimal digits\n"
		      "warning: @:6: no setting is called 'zzzzzz'\n"
		      "@:7: model_store: Invalid Environment Variable NO_SUCH_VARIABLE\n"
		      "@:8: max_header_size: '1023' is out of range; allowed: 1024..49152\n");
}

/* Hyphens are for flags, and keys have the case they have. */
static void test_other_spellings_are_other_keys(void **state)
{
	struct fixture *f = *state;
	char *variables[] = { (char[]){ "SCONCE_INFERENCE-ADDRESS=http://0.0.0.0:1" },
			      (char[]){ "sconce_inference_address=http://0.0.0.0:1" },
			      (char[]){ "TS_INFERENCE-ADDRESS=http://0.0.0.0:1" }, NULL };

	assert_int_equal(load(f, "inference_address=http://127.0.0.1:9\n"
				 "inference-address=http://0.0.0.0:8080\n"
				 "INFERENCE_ADDRESS=http://0.0.0.0:8080\n"
				 "enable_envvars_config=true\n"),
			 0);
	expect_why(f, "warning: @:2: no setting is called 'inference-address'; did you mean "
		      "'inference_address'?\n"
		      "warning: @:3: no setting is called 'INFERENCE_ADDRESS'; did you mean "
		      "'inference_address'?\n");
	buf_clear(&f->why);
	assert_int_equal(settings_load_environment(&f->s, variables, &f->why), 0);
	expect_why(f, "warning: no setting is called 'SCONCE_INFERENCE-ADDRESS'; did you mean "
		      "'SCONCE_INFERENCE_ADDRESS'?\n"
		      "warning: no setting is called 'sconce_inference_address'; did you mean "
		      "'SCONCE_INFERENCE_ADDRESS'?\n");
	assert_string_equal(f->s.inference_address, "http://127.0.0.1:9");
	assert_int_equal(set(f, "inference-address", "http://127.0.0.1:10"), 0);
	assert_string_equal(f->s.inference_address, "http://127.0.0.1:10");
}

/* Java's Boolean.parseBoolean() for TorchServe's keys in TorchServe's sources. */
static void test_what_is_no_truth_value(void **state)
{
	struct fixture *f = *state;
	char *variables[] = { (char[]){ "TS_ENABLE_METRICS_API=on" }, NULL };
	char *own[] = { (char[]){ "SCONCE_ENABLE_METRICS_API=on" }, NULL };

	assert_int_equal(load(f, "async_logging=2\ndecode_input_request=yes \n"
				 "enable_envvars_config=TRUE\n"),
			 0);
	expect_why(f, "warning: @:1: async_logging: '2' is not a truth value and counts as false, "
		      "as in TorchServe; allowed: true|false\n"
		      "warning: @:2: decode_input_request: 'yes' is not a truth value and counts "
		      "as false, as in TorchServe; allowed: true|false\n");
	assert_true(!f->s.async_logging && !f->s.decode_input_request);
	buf_clear(&f->why);
	assert_int_equal(settings_load_environment(&f->s, variables, &f->why), 0);
	expect_why(f, "warning: TS_ENABLE_METRICS_API: 'on' is not a truth value and counts as "
		      "false, as in TorchServe; allowed: true|false\n");
	assert_false(f->s.enable_metrics_api);
	buf_clear(&f->why);
	assert_int_equal(settings_load_environment(&f->s, own, &f->why), -EINVAL);
	expect_why(f, "SCONCE_ENABLE_METRICS_API: 'on' is not a truth value; allowed: "
		      "true|false\n");
	assert_int_equal(set(f, "async-logging", "2"), -EINVAL);
	assert_int_equal(load(f, "retry=2\n"), -EINVAL);
}

static void test_numbers_as_templates_render_them(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "job_queue_size=1e+03\nmax_request_size=6.5535e+06 \n"
				 "metric_time_interval=30.0\nmemory_budget=2g \n"),
			 0);
	expect_why(f, "");
	assert_int_equal(f->s.job_queue_size, 1000);
	assert_int_equal(f->s.max_request_size, 6553500);
	assert_int_equal(f->s.metric_time_interval, 30);
	assert_int_equal(f->s.memory_budget, UINT64_C(2) << 30);
	assert_int_equal(load(f, "job_queue_size=1.5\njob_queue_size=1e9\n"), -EINVAL);
	expect_why(f, "@:1: job_queue_size: '1.5' is not a number; allowed: 1..1000000\n"
		      "@:2: job_queue_size: '1e9' is out of range; allowed: 1..1000000\n");
}

static void test_file_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_int_equal(settings_load_file(&f->s, f->path, &f->why), -ENOENT);
	expect_why(f, "@: No such file or directory\n");
}

static void test_values(void **state)
{
	static const struct {
		const char *key, *value;
		int result;
		const char *why;
	} cases[] = {
		{ "job-queue-size", "1", 0, "" },
		{ "job-queue-size", "0", -EINVAL,
		  "--job-queue-size: '0' is out of range; allowed: 1..1000000\n" },
		{ "job_queue_size", "-5", -EINVAL,
		  "--job_queue_size: '-5' is out of range; allowed: 1..1000000\n" },
		{ "job_queue_size", "99999999999999999999999", -EINVAL,
		  "--job_queue_size: '99999999999999999999999' is not a number; "
		  "allowed: 1..1000000\n" },
		{ "job_queue_size", "10k", -EINVAL,
		  "--job_queue_size: '10k' is not a number; allowed: 1..1000000\n" },
		{ "job_queue_size", "", -EINVAL,
		  "--job_queue_size: '' is not a number; allowed: 1..1000000\n" },
		{ "memory-budget", "x\x1b[2J", -EINVAL,
		  "--memory-budget: 'x?[2J' is not a size; allowed: 0..16t\n" },
		{ "memory-budget", "18446744073709551615t", -EINVAL,
		  "--memory-budget: '18446744073709551615t' is not a size; allowed: 0..16t\n" },
		{ "memory-budget", "17t", -EINVAL,
		  "--memory-budget: '17t' is out of range; allowed: 0..16t\n" },
		{ "memory-budget", "k", -EINVAL,
		  "--memory-budget: 'k' is not a size; allowed: 0..16t\n" },
		{ "memory-budget", "b", -EINVAL,
		  "--memory-budget: 'b' is not a size; allowed: 0..16t\n" },
		{ "metrics-mode", "none", -EINVAL,
		  "--metrics-mode: 'none' is not a choice; allowed: prometheus|log|legacy\n" },
		{ "zygote", "2", -EINVAL,
		  "--zygote: '2' is not a choice; allowed: true|false|auto\n" },
		{ "token-expiration-min", "1e3", -EINVAL,
		  "--token-expiration-min: '1e3' is not a number; allowed: 0..1000000000\n" },
		{ "metrics-address", "https://localhost:8445", -EINVAL,
		  "--metrics-address: 'https://localhost:8445' needs TLS, which is not served by "
		  "this version; allowed: http://host[:port]|unix:path\n" },
		{ "metrics-address", "http://[::1]:8082", 0, "" },
		{ "metrics-address", "http://localhost", 0, "" },
		{ "metrics-address", "http://localhost:99999", -EINVAL,
		  "--metrics-address: 'http://localhost:99999' is not an address; allowed: "
		  "http://host[:port]|unix:path\n" },
		{ "metrics-address", "unix:", -EINVAL,
		  "--metrics-address: 'unix:' is not an address; allowed: "
		  "http://host[:port]|unix:path\n" },
		{ "model_stor", "x", -ENOENT,
		  "--model_stor: no setting is called 'model_stor'; did you mean "
		  "'model_store'?\n" },
		{ "JOB_QUEUE_SIZE", "1", -ENOENT,
		  "--JOB_QUEUE_SIZE: no setting is called 'JOB_QUEUE_SIZE'; did you mean "
		  "'job_queue_size'?\n" },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(set(f, cases[i].key, cases[i].value), cases[i].result);
		assert_string_equal(buf_cstr(&f->why), cases[i].why);
	}
	assert_int_equal(f->s.job_queue_size, 1);
	assert_string_equal(f->s.metrics_address, "http://localhost");
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} cases[] = {
		{ "0", 0 },          { "123", 123 },         { "64m", 64 << 20 },
		{ "64M", 64 << 20 }, { "2 g", 2ULL << 30 },  { "512kb", 512 << 10 },
		{ "3MiB", 3 << 20 }, { "16t", 16ULL << 40 }, { "7b", 7 },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(set(f, "memory-budget", cases[i].text), 0);
		assert_int_equal(f->s.memory_budget, cases[i].want);
	}
}

static void test_environment(void **state)
{
	char *off[] = { (char[]){ "TS_JOB_QUEUE_SIZE=5" },
			(char[]){ "LOG_LOCATION=/l" },
			(char[]){ "METRICS_LOCATION=/m" },
			(char[]){ "TMPDIR=/var/tmp" },
			(char[]){ "TEMP=/t" },
			(char[]){ "SCONCE_MAX_HEADERS=9" },
			(char[]){ "SCONCE_TRACE=1" },
			(char[]){ "SCONCE_PORT=tcp://1.2.3.4" },
			(char[]){ "SCONCE_JOB_QUEUESIZE=1" },
			(char[]){ "no equals sign" },
			(char[]){ "TS_OPEN_INFERENCE_PROTOCOL=oip" },
			NULL };
	struct fixture *f = *state;

	assert_int_equal(settings_load_environment(&f->s, off, &f->why), 0);
	expect_why(f, "warning: no setting is called 'SCONCE_JOB_QUEUESIZE'; did you mean "
		      "'SCONCE_JOB_QUEUE_SIZE'?\n");
	assert_int_equal(f->s.job_queue_size, 100);
	assert_string_equal(f->s.log_location, "/l");
	assert_string_equal(f->s.metrics_location, "/m");
	assert_string_equal(f->s.tmp_dir, "/t");
	assert_int_equal(f->s.max_headers, 9);
	assert_true(f->s.ts_open_inference_protocol);
}

static void test_environment_of_torchserve(void **state)
{
	char *on[] = { (char[]){ "TS_JOB_QUEUE_SIZE=5" },
		       (char[]){ "SCONCE_ENABLE_ENVVARS_CONFIG=true" },
		       (char[]){ "SCONCE_JOB_QUEUE_SIZE=6" },
		       (char[]){ "TS_MAX_HEADERS=8" },
		       (char[]){ "TS_ALLOWED_URLS=.*" },
		       (char[]){ "TS_TOKEN_EXPIRATION_TIME_MIN=1.5" },
		       (char[]){ "TS_HEADER_KEY_SEQUENCE_ID=seq" },
		       (char[]){ "TS_OPEN_INFERENCE_PROTOCOL=true" },
		       (char[]){ "TS_NUM_WORKERS=3" },
		       (char[]){ "TS_CONFIG_FILE=/x" },
		       NULL };
	char *urls[] = { (char[]){ "TS_USE_ENV_ALLOWED_URLS=true" },
			 (char[]){ "TS_ALLOWED_URLS=https://good/.*" }, NULL };
	char *bad[] = { (char[]){ "TS_JOB_QUEUE_SIZE=x" }, (char[]){ "SCONCE_MAX_HEADERS=y" },
			(char[]){ "SCONCE_ENABLE_ENVVARS_CONFIG=z" }, NULL };
	struct fixture *f = *state;

	assert_int_equal(settings_load_environment(&f->s, on, &f->why), 0);
	expect_why(f, "");
	assert_int_equal(f->s.job_queue_size, 6);
	assert_int_equal(f->s.max_headers, 8);
	assert_string_equal(f->s.allowed_urls, "file://.*|http(s)?://.*");
	assert_true(f->s.token_expiration_min == 1.5);
	assert_string_equal(f->s.ts_header_key_sequence_id, "seq");
	assert_true(f->s.ts_open_inference_protocol);
	assert_string_equal(f->s.num_workers, "3");
	assert_int_equal(settings_load_environment(&f->s, urls, &f->why), 0);
	assert_string_equal(f->s.allowed_urls, "https://good/.*");

	assert_int_equal(settings_load_environment(&f->s, bad, &f->why), -EINVAL);
	expect_why(f, "SCONCE_ENABLE_ENVVARS_CONFIG: 'z' is not a truth value; allowed: "
		      "true|false\n"
		      "SCONCE_MAX_HEADERS: 'y' is not a number; allowed: 1..1024\n");
	buf_clear(&f->why);
	bad[2] = NULL;
	assert_int_equal(settings_load_environment(&f->s, bad, &f->why), -EINVAL);
	expect_why(f, "TS_JOB_QUEUE_SIZE: 'x' is not a number; allowed: 1..1000000\n"
		      "SCONCE_MAX_HEADERS: 'y' is not a number; allowed: 1..1024\n");
}

static void test_check_derives(void **state)
{
	struct fixture *f = *state;

	set(f, "model-store", "/models");
	set(f, "max-request-size", "64m");
	assert_int_equal(settings_check(&f->s, &f->why), 0);
	assert_true(f->s.memory_budget >= 256 << 20);
	assert_string_equal(f->s.workflow_store, "/models");
	assert_string_equal(f->s.tmp_dir, "/tmp");
}

/* Workers are in other folders. */
static void test_relative_folders_are_beside_the_server(void **state)
{
	_cleanup_(freep) char *here = getcwd(NULL, 0), *wanted = mem_printf("%s/kept", here);
	struct fixture *f = *state;

	set(f, "cache-dir", "kept");
	set(f, "tmp-dir", "kept");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(settings_check(&f->s, &f->why), 0);
		assert_string_equal(f->s.cache_dir, wanted);
		assert_string_equal(f->s.tmp_dir, wanted);
	}
}

static void test_check_relations(void **state)
{
	struct fixture *f = *state;

	set(f, "blacklist-env-vars", "AWS_(.*");
	assert_int_equal(settings_check(&f->s, &f->why), -EINVAL);
	assert_true(slice_starts(buf_slice(&f->why),
				 SLICE("--blacklist-env-vars: 'AWS_(.*' is not a regular")));
	buf_clear(&f->why);
	set(f, "blacklist-env-vars", "AWS_.*");
	set(f, "max-request-size", "64m");
	set(f, "memory-budget", "63m");
	assert_int_equal(settings_check(&f->s, &f->why), -EINVAL);
	expect_why(f, "--memory-budget: 66060288 bytes are less than max_request_size (67108864); "
		      "allowed: at least both max_request_size and pool_segment_size\n");
	set(f, "memory-budget", "65m");
	assert_int_equal(settings_check(&f->s, &f->why), 0);
	assert_memory_equal(buf_cstr(&f->why), "warning: --memory-budget: ", 26);
	set(f, "pool-segment-size", "128m");
	assert_int_equal(settings_check(&f->s, &f->why), -EINVAL);
}

/* Who said it, also where several settings are weighed against each other. */
static void test_errors_name_file_and_line(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "model_store=/models\nblacklist_env_vars=(\nmodels={\"m\": 1}\n"
				 "service_envelope=kfserving\nmemory_budget=1m\n"),
			 0);
	expect_why(f, "");
	assert_int_equal(settings_check(&f->s, &f->why), -EINVAL);
	expect_why(f, "@:5: memory_budget: 1048576 bytes are less than max_request_size (6553500); "
		      "allowed: at least both max_request_size and pool_segment_size\n"
		      "@:2: blacklist_env_vars: '(' is not a regular expression: Unmatched ( or "
		      "\\(\n"
		      "warning: @:4: service_envelope: there is no envelope 'kfserving', it is "
		      "called kserve now; allowed: body|json|kserve|kservev2\n"
		      "@:3: models: model m: its versions must be an object\n");
	assert_int_equal(set(f, "model-store", "/other"), 0);
	assert_string_equal(settings_origin(&f->s, "model_store"), "--model-store");
	assert_null(settings_origin(&f->s, "workflow_store"));
}

static void test_models_that_are_doubtful(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "models={\"m\": {\"1.0\": {\"minWorkers\": 0, \"x\": 1}}}\n"), 0);
	assert_int_equal(settings_check(&f->s, &f->why), 0);
	expect_why(f, "warning: @:1: models: model m, version 1.0: minWorkers: 0 counts as 1\n"
		      "warning: @:1: models: model m, version 1.0: x: is not known and has no "
		      "effect\n");
}

static void test_written_settings_read_back(void **state)
{
	struct fixture *f = *state;
	_cleanup_(buf_finish) struct buf first = BUF_INIT(65536), second = BUF_INIT(65536);
	struct settings again;

	assert_int_equal(load(f, "model_store=/a b\\\\c\nallowed_urls=\nretry=false\n"
				 "token_expiration_min=0.125\nzygote=true\nkeystore_pass=secret\n"
				 "models={\"a\":{\"=:#\":{}}}\nmodel_snapshot={\"models\":{}}\n"),
			 0);
	assert_int_equal(settings_check(&f->s, &f->why), 0);
	settings_write_properties(&f->s, &first);
	assert_null(strstr(buf_cstr(&first), "memory_budget"));
	assert_null(strstr(buf_cstr(&first), "secret"));
	assert_int_equal(file_write_atomic(f->path, buf_slice(&first), 0600), 0);
	settings_init(&again);
	assert_int_equal(settings_load_file(&again, f->path, &f->why), 0);
	settings_write_properties(&again, &second);
	assert_string_equal(buf_cstr(&first), buf_cstr(&second));
	assert_string_equal(again.model_store, "/a b\\c");
	assert_string_equal(again.allowed_urls, "");
	assert_true(again.token_expiration_min == 0.125);
	settings_finish(&again);
}

static void test_table_is_sound(void **state)
{
	const struct setting_info *info, *other;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; (info = settings_info(i)); i++, n++) {
		assert_true(info->key && info->help && info->section && info->type);
		assert_true(info->help[strlen(info->help) - 1] != '.');
		for (unsigned j = 0; j < i && (other = settings_info(j)); j++)
			assert_string_not_equal(info->key, other->key);
	}
	assert_true(n > 100);
	assert_null(settings_info(n + 1000));
}

static void test_help_fits_a_terminal(void **state)
{
	_cleanup_(buf_finish) struct buf b = BUF_INIT(65536);
	struct slice rest, line;

	(void)state;
	settings_write_help(&b);
	assert_non_null(strstr(buf_cstr(&b), "  --job-queue-size <1..1000000>\n        Requests "));
	rest = buf_slice(&b);
	while (rest.n) {
		line = slice_cut(&rest, '\n');
		assert_true(line.n <= 90);
		assert_true(!line.n || line.p[line.n - 1] != ' ');
	}
}

/* If it fails: build sconce-settings-doc and write its output to docs/settings.md. */
static void test_page_is_up_to_date(void **state)
{
	_cleanup_(buf_finish) struct buf want = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);

	(void)state;
	if (!page_path)
		skip();
	settings_write_markdown(&want);
	assert_int_equal(file_read(page_path, &got), 0);
	assert_string_equal(buf_cstr(&got), buf_cstr(&want));
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_file),
		TEST(test_all_errors_of_a_file_are_told),
		TEST(test_other_spellings_are_other_keys),
		TEST(test_what_is_no_truth_value),
		TEST(test_numbers_as_templates_render_them),
		TEST(test_file_that_cannot_be_read),
		TEST(test_values),
		TEST(test_sizes),
		TEST(test_environment),
		TEST(test_environment_of_torchserve),
		TEST(test_check_derives),
		TEST(test_relative_folders_are_beside_the_server),
		TEST(test_check_relations),
		TEST(test_errors_name_file_and_line),
		TEST(test_models_that_are_doubtful),
		TEST(test_written_settings_read_back),
		TEST(test_table_is_sound),
		TEST(test_help_fits_a_terminal),
		TEST(test_page_is_up_to_date),
	};

	page_path = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
