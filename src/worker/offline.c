/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/offline.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "worker/load.h"
#include "worker/piped.h"

#define OFFLINE_DOCUMENT_MAX ((size_t)32 << 20)
#define OFFLINE_FILE_MAX ((size_t)1 << 30)
#define OFFLINE_ANSWER_MAX ((size_t)1 << 30)

static int complain(const char *of, const char *why)
{
	fprintf(stderr, "%s: %s\n", of, why);
	return 1;
}

/* What models and engines print is none of the answers. */
static FILE *answers_only(void)
{
	int fd = dup(STDOUT_FILENO);

	fflush(stdout);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	return fd >= 0 ? fdopen(fd, "w") : stdout;
}

static yyjson_doc *document_read(const char *path)
{
	struct buf text = BUF_INIT(OFFLINE_DOCUMENT_MAX);
	yyjson_doc *doc = NULL;
	int r = file_read_stream(path, &text);

	if (!r)
		doc = yyjson_read(buf_cstr(&text), text.n, 0);
	if (!doc)
		complain(path, r < 0 ? strerror(-r) : "it is no JSON");
	buf_finish(&text);
	return doc;
}

int offline_ops(void)
{
	struct buf out = BUF_INIT(OFFLINE_DOCUMENT_MAX);

	pipeline_list_ops(&out);
	fwrite(out.p, 1, out.n, stdout);
	buf_finish(&out);
	return 0;
}

/* Without the model: whether its engine takes what lies on a GPU is known when it is loaded. */
static void show_pictures(const struct pipeline *p, yyjson_val *engine, struct buf *out)
{
	const char *device = yyjson_get_str(yyjson_obj_get(engine, "device"));
	struct image_error why = { "the model does not run on a GPU" };
	struct image_gpu *gpu = NULL;
	char decoder[200];

	if (device && strncmp(device, "cuda", strlen("cuda")) == 0 && pipeline_has_picture(p)) {
		if (image_gpu_open(device, &gpu, &why) == 0)
			buf_printf(
				out,
				"steps on pictures: GPU: %s, where the engine takes its tensors\n",
				image_gpu_name(gpu));
		else
			buf_printf(out, "steps on pictures: CPU: %s\n", why.text);
	} else if (!pipeline_has_picture(p)) {
		image_fail(&why, IMAGE_BAD, "no tensor of a picture goes to the model as it is");
	}
	piped_choose_decoder(p, gpu, why.text, decoder, sizeof(decoder));
	if (*decoder)
		buf_printf(out, "decoding of JPEG: %s\n", decoder);
	image_gpu_close(gpu);
}

int offline_show(const char *document)
{
	struct buf out = BUF_INIT(OFFLINE_DOCUMENT_MAX);
	yyjson_doc *doc = document_read(document);
	struct sconce_error e = { "the model has no pipeline" };
	struct pipeline *p = NULL;

	if (!doc)
		return 1;
	if (piped_parse(yyjson_obj_get(yyjson_doc_get_root(doc), "pipeline"), &p, &e) == 0 && p) {
		pipeline_show(p, &out);
		show_pictures(p, yyjson_obj_get(yyjson_doc_get_root(doc), "engine"), &out);
		fwrite(out.p, 1, out.n, stdout);
	} else {
		fprintf(stderr, "%s\n", e.text);
	}
	yyjson_doc_free(doc);
	buf_finish(&out);
	if (!p)
		return 1;
	pipeline_free(p);
	return 0;
}

/* ---- running ---- */

/* By its name: what a client would say of it. */
static struct slice media_type(const char *file)
{
	static const char *const types[][2] = { { ".json", "application/json" },
						{ ".txt", "text/plain" },
						{ ".b64", "text/plain" } };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (slice_ends(slice_str(file), slice_str(types[i][0])))
			return slice_str(types[i][1]);
	return SLICE("application/octet-stream");
}

static int request_run(struct session *s, struct session_request *r, struct answer *a,
		       struct sconce_error *e)
{
	struct sconce_tensor outputs[BODY_INPUTS_MAX] = { { 0 } };
	struct body b = { 0 };
	int code = piped_read(s, r, &b, NULL, e);

	if (code >= 0)
		code = model_run_body(&s->model, 0, &b, outputs, e);
	if (code >= 0) {
		code = piped_write(r, outputs, a, e);
		model_release(outputs, s->model.signature->n_outputs);
	}
	if (code == -ENOBUFS)
		snprintf(e->text, sizeof(e->text), "the answer is too large");
	if (b.signature)
		body_finish(&b);
	piped_end(r);
	return code;
}

static int file_run(struct session *s, const char *file, FILE *to)
{
	struct buf bytes = BUF_INIT(OFFLINE_FILE_MAX);
	struct answer a = { .body = BUF_INIT(OFFLINE_ANSWER_MAX) };
	int code = file_read_stream(file, &bytes);
	struct body_part part = { SLICE("body"), media_type(file), buf_slice(&bytes), true };
	struct session_request r = { .parts = &part };
	struct sconce_error e = { "" };

	r.entry.n_parts = 1;
	if (code < 0)
		complain(file, strerror(-code));
	else if ((code = request_run(s, &r, &a, &e)) < 0)
		complain(file, e.text);
	else if (fwrite(a.body.p, 1, a.body.n, to) != a.body.n ||
		 (strcmp(a.type, "application/json") == 0 && fputc('\n', to) == EOF))
		code = -1;
	buf_finish(&bytes);
	buf_finish(&a.body);
	return code < 0 ? 1 : 0;
}

int offline_run(const char *document, const char *const *files, size_t n)
{
	struct session *s = mem_new(struct session);
	struct sconce_error e = { "the model has no pipeline" };
	yyjson_doc *doc = document_read(document);
	FILE *to = answers_only();
	int code = 1;

	s->fd = -1;
	if (doc && load_document(s, yyjson_doc_get_root(doc), &e) == 0 && s->pipeline) {
		code = 0;
		for (size_t i = 0; i < n; i++)
			code |= file_run(s, files[i], to);
	} else if (doc) {
		fprintf(stderr, "%s\n", e.text);
	}
	if (fclose(to) != 0)
		code = 1;
	pipeline_free(s->pipeline);
	pillow_finish(&s->pillow);
	image_gpu_close(s->gpu);
	model_close(&s->model);
	yyjson_doc_free(doc);
	free(s);
	return code;
}
