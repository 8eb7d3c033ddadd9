/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `torch-model-archiver` (and `sconce archive`): packs a model archive. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "archive/writer.h"
#include "base/util.h"
#include "wire/json.h"

struct archiver_flag {
	const char *name, *other; /* other: short or old spelling */
	size_t offset;
	bool boolean;
	const char *help;
};

#define AT(field) offsetof(struct archive_spec, field)

static const struct archiver_flag archiver_flags[] = {
	{ "--model-name", NULL, AT(model_name), false, "name of the model (required)" },
	{ "--version", "-v", AT(version), false, "version of the model (required)" },
	{ "--handler", NULL, AT(handler), false,
	  "handler file, file.py:function, or default handler (required)" },
	{ "--serialized-file", NULL, AT(serialized_file), false,
	  "weights or TorchScript (.pt, .pth, .onnx …)" },
	{ "--model-file", NULL, AT(model_file), false, "Python file with the model's class" },
	{ "--extra-files", NULL, AT(extra_files), false,
	  "comma list of files, folders or patterns" },
	{ "--runtime", NULL, AT(runtime), false, "python (default), python3 or LSP" },
	{ "--export-path", NULL, AT(export_path), false, "folder for the archive (default: here)" },
	{ "--archive-format", NULL, AT(format), false, "default, zip-store, tgz or no-archive" },
	{ "--requirements-file", "-r", AT(requirements_file), false,
	  "requirements.txt of the handler" },
	{ "--config-file", "-c", AT(config_file), false, "model-config.yaml" },
	{ "--force", "-f", AT(force), true, "replace an existing archive" },
};

static int archiver_usage(const char *fmt, const char *what)
{
	fputs("usage: torch-model-archiver --model-name NAME --version V --handler HANDLER "
	      "[options]\ntorch-model-archiver: error: ",
	      stderr);
	fprintf(stderr, fmt, what);
	fputs("\nTry --help.\n", stderr);
	return 2;
}

static int archiver_help(void)
{
	puts("usage: torch-model-archiver --model-name NAME --version V --handler HANDLER "
	     "[options]\n");
	for (size_t i = 0; i < ARRAY_LEN(archiver_flags); i++)
		printf("  %2s%s %-20s %s\n", archiver_flags[i].other ? archiver_flags[i].other : "",
		       archiver_flags[i].other ? "," : " ", archiver_flags[i].name,
		       archiver_flags[i].help);
	return 0;
}

/* As argparse: exact, or the beginning of just one. */
static const struct archiver_flag *archiver_find(struct slice name)
{
	const struct archiver_flag *found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(archiver_flags); i++) {
		const struct archiver_flag *f = &archiver_flags[i];

		if (slice_eq(slice_str(f->name), name) ||
		    (f->other && slice_eq(slice_str(f->other), name)))
			return f;
	}
	for (size_t i = 0; i < ARRAY_LEN(archiver_flags); i++) {
		if (name.n < 3 || !slice_starts(slice_str(archiver_flags[i].name), name))
			continue;
		if (found)
			return NULL;
		found = &archiver_flags[i];
	}
	return found;
}

static int archiver_parse(struct archive_spec *s, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct slice value = slice_str(argv[i]), name = slice_cut(&value, '=');
		const struct archiver_flag *f = archiver_find(name);
		const char *text = value.p;

		if (!f)
			return archiver_usage("unrecognized arguments: %s", argv[i]);
		if (f->boolean) {
			memcpy((char *)s + f->offset, &(bool){ true }, sizeof(bool));
			continue;
		}
		if (!text && i + 1 < argc)
			text = argv[++i];
		if (!text)
			return archiver_usage("argument %s: expected one argument", f->name);
		memcpy((char *)s + f->offset, &text, sizeof(text));
	}
	if (!s->model_name || !s->version)
		return archiver_usage("the following arguments are required: %s",
				      s->model_name ? "-v/--version" : "--model-name");
	return 0;
}

int archiver_main(int argc, char **argv)
{
	struct archive_spec s = { 0 };
	struct buf why = BUF_INIT(8192);
	int r;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return archiver_help();
	r = archiver_parse(&s, argc, argv);
	if (r)
		return r;
	r = archive_write(&s, &why);
	if (r)
		fprintf(stderr, "ERROR - %s\n", buf_cstr(&why));
	buf_finish(&why);
	return r ? 1 : 0;
}
