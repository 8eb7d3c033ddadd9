/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* `torch-model-archiver` (and `sconce archive`): packs a model archive. */

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "archive/writer.h"
#include "base/util.h"
#include "cli/printable.h"

#define AT(field) offsetof(struct archive_spec, field)

/* What an engine runs has no handler. */
static bool is_native(const void *spec)
{
	return archive_spec_is_native(spec);
}

static const struct option rows[] = {
	{ "--model-name", NULL, OPTION_TEXT, AT(model_name), "NAME",
	  "the model's name, and the archive's: NAME.mar", .required = true },
	{ "--serialized-file", NULL, OPTION_TEXT, AT(serialized_file), "FILE",
	  "weights (state_dict), TorchScript or ONNX" },
	{ "--model-file", NULL, OPTION_TEXT, AT(model_file), "FILE",
	  "Python file with the model's class, for models that are not scripted" },
	{ "--handler", NULL, OPTION_TEXT, AT(handler), "HANDLER",
	  "handler: file.py, file.py:function, module:function, or the name of one that the "
	  "server has (image_classifier, text_classifier, ...); none with --runtime native",
	  .required = true, .waived = is_native },
	{ "--extra-files", NULL, OPTION_TEXT, AT(extra_files), "FILES",
	  "further files, separated by commas: files, patterns, and folders for what is in them" },
	{ "--runtime", NULL, OPTION_TEXT, AT(runtime), "python|python3|LSP|native",
	  "what runs the handler (default: python); native: an engine runs the serialized file" },
	{ "--export-path", NULL, OPTION_TEXT, AT(export_path), "DIR",
	  "folder for the archive (default: the current one)" },
	{ "--archive-format", NULL, OPTION_TEXT, AT(format), "tgz|no-archive|zip-store|default",
	  "default: NAME.mar, compressed; zip-store: NAME.mar, not compressed; tgz: NAME.tar.gz; "
	  "no-archive: the folder NAME" },
	{ "--force", "-f", OPTION_FLAG, AT(force), NULL, "replace an archive that exists" },
	{ "--version", "-v", OPTION_TEXT, AT(version), "VERSION", "the model's version",
	  .required = true },
	{ "--requirements-file", "-r", OPTION_TEXT, AT(requirements_file), "FILE",
	  "requirements.txt with the packages that the handler needs" },
	{ "--config-file", "-c", OPTION_TEXT, AT(config_file), "FILE",
	  "model-config.yaml with the model's settings" },
};

const struct options archiver_command = {
	.program = "torch-model-archiver",
	.about =
		"Packs a model with its handler into an archive that servers load. The same files\n"
		"make the same archive, but for its date, which SOURCE_DATE_EPOCH fixes.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

static volatile sig_atomic_t interrupted;

static void archiver_interrupt(int number)
{
	interrupted = number;
}

/* What is half written is removed before the process ends. */
static void archiver_catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = archiver_interrupt };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		struct sigaction old;

		/* nohup and the like stay in force. */
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

int archiver_main(int argc, char **argv)
{
	struct archive_spec s = { .interrupted = &interrupted };
	struct buf notes = BUF_INIT((size_t)16 << 20);
	int r = options_parse(&archiver_command, &s, argc, argv);

	if (r >= 0)
		return r;
	setlocale(LC_CTYPE, "C.UTF-8"); /* names of files that are not ASCII */
	archiver_catch_signals();
	r = archive_write(&s, &notes);
	printable_print(stderr, buf_cstr(&notes));
	buf_finish(&notes);
	if (interrupted) {
		signal(interrupted, SIG_DFL);
		raise(interrupted);
	}
	return r ? 1 : 0;
}
