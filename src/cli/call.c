/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/call.h"

/* `sconce call`: posts files to a model, one after another, and shows what it makes of them. */

#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/printable.h"

#define PROGRAM "sconce call"
#define CALL_TIMEOUT_S 0 /* the model's own limits count */

struct call {
	struct call_args a;
	struct option_list files;
	bool explain, quiet;
};

#define AT(field) offsetof(struct call, field)

static const struct option rows[] = {
	CALL_MODEL_ROW(AT(a)),
	{ "FILE", NULL, OPTION_OPERANDS, AT(files), "FILE",
	  "what to post, each file in a call of its own; - is standard input", .required = true },
	{ "--explain", NULL, OPTION_FLAG, AT(explain), NULL, "ask for explanations" },
	{ "--quiet", "-q", OPTION_FLAG, AT(quiet), NULL, "do not tell how long it took" },
	CALL_ROWS(AT(a)),
};

const struct options call_command = {
	.program = PROGRAM,
	.about = "Posts files to a model of a running server and prints its answers: laid out\n"
		 "on a terminal, elsewhere as they were sent. Where the time went is told on\n"
		 "standard error. Exit code 1: the server refused, 2: wrong usage, 3: no\n"
		 "server answers.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

bool call_read(const char *program, const char *path, struct buf *out)
{
	int r = file_read_stream(strcmp(path, "-") == 0 ? "/dev/stdin" : path, out);

	if (r == 0)
		return true;
	printable_printf(stderr, "%s: error: %s cannot be read: %s\n", program, path, strerror(-r));
	return false;
}

const char *call_media(const struct call_args *a, const char *path)
{
	if (a->content_type)
		return a->content_type;
	return slice_ends(slice_str(path), SLICE(".json")) ? "application/json" : NULL;
}

/* ---- the answer ---- */

static void call_piece(struct slice data)
{
	printable_document(stdout, data);
	fflush(stdout);
}

static void call_binary(const struct client *c)
{
	struct slice type = client_header(c, "content-type");

	printf("%zu bytes that are no text", c->body.n);
	if (type.n)
		printable_printf(stdout, " (%.*s)", SLICE_ARG(type));
	puts("; `> FILE` keeps them.");
}

static void call_print(const struct client *c)
{
	bool terminal = isatty(STDOUT_FILENO);
	yyjson_doc *doc = terminal ? yyjson_read(c->body.p ? c->body.p : "", c->body.n, 0) : NULL;
	char *text = doc ? yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL) : NULL;

	if (terminal && !text && c->body.n && memchr(c->body.p, '\0', c->body.n)) {
		call_binary(c);
	} else {
		printable_document(stdout, text ? slice_str(text) : buf_slice(&c->body));
		if (terminal && (text || (c->body.n && c->body.p[c->body.n - 1] != '\n')))
			putchar('\n');
	}
	fflush(stdout);
	free(text);
	yyjson_doc_free(doc);
}

static void call_tell_time(const char *comma, struct slice name, struct slice facts)
{
	struct slice dur = SLICE("dur="), desc = SLICE("desc=\"");
	struct slice value = slice_cut(&facts, ';');

	if (!slice_starts(value, dur))
		return;
	printable_printf(stderr, "%s%.*s %.*s ms", comma, SLICE_ARG(name), (int)(value.n - dur.n),
			 value.p + dur.n);
	if (facts.n > desc.n && slice_starts(facts, desc))
		printable_printf(stderr, " (of %.*s)", (int)(facts.n - desc.n - 1),
				 facts.p + desc.n);
}

/* "queue;dur=0.3" → "queue 0.3 ms". What the server did not say is not told. */
static void call_tell_times(const struct client *c, const char *file, uint64_t took_ns)
{
	struct slice rest = client_header(c, "server-timing");

	printable_printf(stderr, "%s: ", file);
	fprintf(stderr, "%ld in %.1f ms", c->status, (double)took_ns / 1e6);
	for (const char *comma = ": "; rest.p; comma = ", ") {
		struct slice value = slice_trim(slice_cut(&rest, ',')),
			     name = slice_cut(&value, ';');

		call_tell_time(comma, name, value);
	}
	fputc('\n', stderr);
}

/* ---- the call ---- */

static int call_file(struct client *c, const struct call *call, const char *file)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536), body = BUF_INIT(CALL_FILE_MAX);
	const char *media = call_media(&call->a, file);
	_cleanup_(freep) char *type = mem_printf("Content-Type:%s%s", media ? " " : "",
						 media ? media : "");
	const char *const lines[] = { type, "Expect:", "x-sconce-timing: 1", NULL };
	uint64_t began_ns;
	struct slice upload;
	int r;

	if (!call_read(PROGRAM, file, &body))
		return CLIENT_USAGE;
	upload = buf_slice(&body);
	c->upload = &upload;
	c->lines = lines;
	c->piece = call_piece;
	client_put_model(c, &target, call->explain ? "/explanations" : "/predictions",
			 call->a.model, call->a.version);
	began_ns = clock_now_ns();
	r = client_call(c, "POST", buf_cstr(&target));
	if (!r)
		call_print(c);
	if (!call->quiet && r != CLIENT_SILENT)
		call_tell_times(c, file, clock_now_ns() - began_ns);
	c->upload = NULL;
	c->lines = NULL;
	return r;
}

int call_main(int argc, char **argv)
{
	struct client_options options = { .program = PROGRAM,
					  .key = "inference",
					  .inference = true,
					  .timeout_s = CALL_TIMEOUT_S };
	struct call call = { 0 };
	struct client c;
	int r = options_parse(&call_command, &call, argc, argv);

	if (r >= 0)
		return r;
	options.address = call.a.address;
	options.token = call.a.token;
	r = client_init(&c, &options);
	for (int i = 0; !r && i < call.files.n; i++)
		r = call_file(&c, &call, call.files.values[i]);
	client_finish(&c);
	return r;
}
