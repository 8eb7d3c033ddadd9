/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `sconce dev`: serves a handler while it is being written, from where it lies. A source file or a
 * folder without a manifest becomes a model folder of links (serve/stage.h); a model folder and an
 * archive are served as they are.
 */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "cli/printable.h"
#include "serve/dev.h"
#include "serve/serve.h"
#include "wire/json.h"

#define PROGRAM "sconce dev"
#define DEV_FILES_MAX 64

struct dev_args {
	const char *target, *name, *handler, *model_file, *serialized_file, *config_file, *port,
		*python, *config;
	struct option_list extra_files;
};

#define AT(field) offsetof(struct dev_args, field)
#define ROW(name, field, value, help)                                                              \
	{                                                                                          \
		name, NULL, OPTION_TEXT, AT(field), value, help                                    \
	}

static const struct option rows[] = {
	{ "TARGET", NULL, OPTION_OPERAND, AT(target), "FILE",
	  "a handler.py, a folder with one, or an archive", .required = true },
	ROW("--name", name, "NAME", "what the model is called (default: as its file or folder)"),
	ROW("--handler", handler, "HANDLER",
	    "the handler in a folder: a file, file.py:function, or a built-in one"),
	ROW("--model-file", model_file, "FILE", "the model's class, as for an archive"),
	ROW("--serialized-file", serialized_file, "FILE",
	    "the weights (default: those in the folder, where there is one such file)"),
	{ "--extra-files", NULL, OPTION_LIST, AT(extra_files), "FILE",
	  "what else the handler reads and is not in its folder" },
	ROW("--config-file", config_file, "FILE",
	    "model configuration (default: model-config.yaml in the folder)"),
	{ "--port", "-p", OPTION_TEXT, AT(port), "N", "port on 127.0.0.1 (default: 8080)" },
	ROW("--python", python, "FILE", "interpreter of the handler (default: python3)"),
	ROW("--config", config, "FILE", "further settings (config.properties)"),
};

const struct options dev_command = {
	.program = PROGRAM,
	.about = "Serves a handler while you write it: it is loaded again when a file is saved,\n"
		 "what it prints and raises is shown here, and breakpoint() stops here. One\n"
		 "worker, no time limits, no tokens, and only this machine can call it.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

struct dev_run {
	struct dev_args a;
	char *target;  /* resolved */
	char *folder;  /* of the handler; NULL: the target is a model folder or an archive */
	char *scratch; /* ours, removed at the end */
	char *handler, *name;
	char *files[DEV_FILES_MAX + 1]; /* resolved, to be linked */
	unsigned n_files;
	const char *watched[DEV_FILES_MAX + 3];
	struct dev_plan plan;
};

/* ---- what is there ---- */

static int dev_complain(const char *fmt, ...) _printf_(1, 2);

static int dev_complain(const char *fmt, ...)
{
	va_list args;

	fputs(PROGRAM ": error: ", stderr);
	va_start(args, fmt);
	printable_vprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return 2;
}

static const char *dev_last(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool dev_has(const char *folder, const char *name)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", folder, name);

	return access(path, R_OK) == 0;
}

static bool dev_is_source(const char *name)
{
	return slice_ends(slice_str(name), SLICE(".py")) && strncmp(name, "test_", 5) != 0 &&
	       name[0] != '.' && name[0] != '_';
}

static bool dev_is_handler(const char *name)
{
	return dev_is_source(name) && slice_ends(slice_str(name), SLICE("handler.py"));
}

static bool dev_is_weights(const char *name)
{
	static const char *const endings[] = { ".pt", ".pth", ".pt2", ".onnx", ".safetensors" };

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (slice_ends(slice_str(name), slice_str(endings[i])))
			return true;
	return false;
}

/* The only entry of its kind, or NULL. free() it. */
static char *dev_only(const char *folder, bool (*is)(const char *name))
{
	_cleanup_(freep) char *found = NULL;
	DIR *d = opendir(folder);
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d))) {
		if (!is(e->d_name))
			continue;
		free(found);
		found = mem_strdup(e->d_name);
		n++;
	}
	if (d)
		closedir(d);
	return n == 1 ? TAKE(found) : NULL;
}

/* The handler in a folder that says nothing of it. */
static char *dev_find_handler(const struct dev_run *d)
{
	if (d->a.handler)
		return mem_strdup(d->a.handler);
	if (dev_has(d->folder, "handler.py"))
		return mem_strdup("handler.py");
	char *only = dev_only(d->folder, dev_is_handler);

	return only ? only : dev_only(d->folder, dev_is_source);
}

/* "handler.py:function" → the path of its file; a built-in handler stays a name. */
static char *dev_place_handler(const struct dev_run *d, const char *handler)
{
	_cleanup_(freep) char *path = mem_printf("%s/%s", d->folder, handler);
	_cleanup_(freep) char *real = NULL;
	char *colon = strrchr(path, ':');
	const char *function = colon ? strrchr(handler, ':') : "";

	if (colon)
		*colon = '\0';
	real = realpath(path, NULL);
	return real ? mem_printf("%s%s", real, function) : mem_strdup(handler);
}

/* ---- links and the manifest ---- */

/* A file that is named has to be there; it is linked unless its folder is. 0, or 2. */
static int dev_add_file(struct dev_run *d, const char *path)
{
	char *real = path ? realpath(path, NULL) : NULL;

	if (!path)
		return 0;
	if (!real)
		return dev_complain("%s: %s", path, strerror(errno));
	if (d->n_files == DEV_FILES_MAX) {
		free(real);
		return dev_complain("more than %d files; put them into a folder", DEV_FILES_MAX);
	}
	d->files[d->n_files++] = real;
	return 0;
}

static int dev_add_extra(struct dev_run *d)
{
	int r = 0;

	for (int i = 0; !r && i < d->a.extra_files.n; i++) {
		struct slice rest = slice_str(d->a.extra_files.values[i]);

		while (!r && rest.p) {
			_cleanup_(freep) char *one = slice_dup(slice_cut(&rest, ','));

			r = *one ? dev_add_file(d, one) : 0;
		}
	}
	return r;
}

static void dev_put(struct buf *b, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	buf_printf(b, ",\"%s\":", key);
	json_put_string(b, slice_str(value));
}

static char *dev_manifest(const struct dev_run *d)
{
	struct buf b = BUF_INIT(65536);
	_cleanup_(freep) char *weights = d->a.serialized_file
						 ? mem_strdup(dev_last(d->a.serialized_file))
						 : dev_only(d->folder, dev_is_weights);
	const char *config = d->a.config_file ? dev_last(d->a.config_file) : NULL;

	if (!config && dev_has(d->folder, "model-config.yaml"))
		config = "model-config.yaml";
	buf_puts(&b, "{\"runtime\":\"python\",\"archiverVersion\":\"0.12.0\",\"model\":{"
		     "\"modelVersion\":\"1.0\"");
	dev_put(&b, "modelName", d->name);
	dev_put(&b, "handler", d->handler);
	dev_put(&b, "modelFile", d->a.model_file ? dev_last(d->a.model_file) : NULL);
	dev_put(&b, "serializedFile", weights);
	dev_put(&b, "configFile", config);
	buf_puts(&b, "}}");
	return buf_steal(&b);
}

/* ---- the plan ---- */

static int dev_plan_stage(struct dev_run *d)
{
	_cleanup_(freep) char *handler = NULL;
	int r = dev_add_file(d, d->a.model_file);

	if (!r)
		r = dev_add_file(d, d->a.serialized_file);
	if (!r)
		r = dev_add_file(d, d->a.config_file);
	if (!r)
		r = dev_add_extra(d);
	if (r)
		return r;
	handler = d->handler ? TAKE(d->handler) : dev_find_handler(d);
	if (!handler)
		return dev_complain("%s has no handler.py and not just one Python file: --handler "
				    "names the handler",
				    d->a.target);
	d->handler = dev_place_handler(d, handler);
	d->plan.stage = (struct stage){ .into = mem_printf("%s/%s", d->scratch, d->name),
					.folder = d->folder,
					.files = (const char *const *)d->files,
					.manifest = dev_manifest(d) };
	d->plan.url = mem_printf("file://%s", d->plan.stage.into);
	d->watched[0] = d->folder;
	for (unsigned i = 0; i < d->n_files; i++)
		d->watched[i + 1] = d->files[i];
	return 0;
}

static bool dev_is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* "name_of_this": what a URL and a metric can carry. */
static char *dev_name_of(const char *path)
{
	struct slice last = slice_str(dev_last(path));
	char *name;

	if (slice_ends(last, SLICE(".py")))
		last.n -= 3;
	name = slice_dup(last);
	for (char *c = name; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-",
			    *c))
			*c = '_';
	return name;
}

static int dev_find_target(struct dev_run *d)
{
	_cleanup_(freep) char *file = mem_strdup(d->a.target);
	char *colon = strrchr(file, ':');

	d->target = realpath(file, NULL);
	if (!d->target && colon &&
	    slice_ends(slice_make(file, (size_t)(colon - file)), SLICE(".py"))) {
		*colon = '\0';
		d->target = realpath(file, NULL);
	}
	if (!d->target)
		return dev_complain("%s: %s", d->a.target, strerror(errno));
	return 0;
}

static int dev_plan(struct dev_run *d)
{
	bool folder = dev_is_folder(d->target);
	bool source = !folder && slice_ends(slice_str(d->target), SLICE(".py"));
	const char *colon = strrchr(d->a.target, ':');

	if (source && (d->a.handler))
		return dev_complain("%s is the handler: --handler is for folders", d->a.target);
	d->name = d->a.name ? mem_strdup(d->a.name) : dev_name_of(d->target);
	d->plan.shown = d->a.target;
	if (source) {
		d->folder = mem_strndup(d->target, (size_t)(dev_last(d->target) - d->target - 1));
		d->handler = mem_printf(
			"%s%s", dev_last(d->target),
			colon && strncmp(colon, ":", 1) == 0 && !strchr(colon, '/') ? colon : "");
	} else if (folder && !dev_has(d->target, "MAR-INF/MANIFEST.json")) {
		d->folder = mem_strdup(d->target);
	} else {
		d->plan.url = mem_printf("file://%s", d->target);
		d->plan.name = d->a.name;
		d->watched[0] = d->target;
		return 0;
	}
	d->plan.name = d->name;
	return dev_plan_stage(d);
}

/* ---- the settings ---- */

static int dev_set(struct settings *s, const char *key, const char *value, struct buf *why)
{
	return settings_set(s, slice_str(key), slice_str(value), PROGRAM, why);
}

static int dev_settings(struct dev_run *d, struct settings *s, struct buf *why)
{
	_cleanup_(freep) char *logs = mem_printf("%s/logs", d->scratch);
	char *address = mem_printf("http://127.0.0.1:%s", d->a.port ? d->a.port : "8080");
	const char *const all[][2] = {
		{ "inference_address", address },
		{ "management_address", address },
		{ "enable_metrics_api", "false" },
		{ "disable_token_authorization", "true" },
		{ "disable_system_metrics", "true" },
		{ "no_config_snapshots", "true" },
		{ "load_models", "none" },
		{ "log_location", logs },
		{ "metrics_location", logs },
		{ "log_console", "false" },
		/* Its terminal shows one person's own calls. */
		{ "log_format", "text" },
		{ "log_request_id", "false" },
		{ "drain_timeout", "1" },
		{ "loop_stall_warning_ms", "3600000" },
		{ "allowed_urls", "file://.*" },
	};
	int r = d->a.config ? settings_load_file(s, d->a.config, why) : 0;

	d->plan.address = address;
	for (size_t i = 0; !r && i < ARRAY_LEN(all); i++)
		r = dev_set(s, all[i][0], all[i][1], why);
	if (!r && d->a.python)
		r = dev_set(s, "python", d->a.python, why);
	if (!r)
		r = settings_check(s, why);
	s->dev = true;
	return r;
}

/* ---- the whole ---- */

static bool dev_wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(terminal && !strcmp(terminal, "dumb"));
}

static int dev_serve(struct dev_run *d)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(65536);
	struct termios terminal;
	bool is_terminal = tcgetattr(STDIN_FILENO, &terminal) == 0;
	struct settings s;
	int r;

	settings_init(&s);
	r = dev_settings(d, &s, &why);
	if (r)
		printable_printf(stderr, PROGRAM ": error: %s", buf_cstr(&why));
	d->plan.watched = d->watched;
	d->plan.colour = dev_wants_colour();
	/* Bytecode is known by size and second: two saves within one would look the same. */
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	r = r ? 2 : serve_run_dev(&s, &d->plan);
	/* A debugger that was ended in the middle leaves it as it needed it. */
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
	settings_finish(&s);
	return r;
}

static void dev_finish(struct dev_run *d)
{
	if (d->scratch)
		file_remove_tree(d->scratch);
	for (unsigned i = 0; i < d->n_files; i++)
		free(d->files[i]);
	free((char *)(uintptr_t)d->plan.stage.into);
	free((char *)(uintptr_t)d->plan.stage.manifest);
	free((char *)(uintptr_t)d->plan.url);
	free((char *)(uintptr_t)d->plan.address);
	free(d->target);
	free(d->folder);
	free(d->scratch);
	free(d->handler);
	free(d->name);
}

int dev_main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	struct dev_run d = { 0 };
	int r = options_parse(&dev_command, &d.a, argc, argv);

	if (r >= 0)
		return r;
	d.scratch = mem_printf("%s/sconce-dev-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(d.scratch)) {
		r = dev_complain("%s cannot be made: %s", d.scratch, strerror(errno));
		free(TAKE(d.scratch));
		return r;
	}
	r = dev_find_target(&d);
	if (!r)
		r = dev_plan(&d);
	if (!r)
		r = dev_serve(&d);
	dev_finish(&d);
	return r;
}
