/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/curl.h"
#include "base/mem.h"
#include "cli/key.h"
#include "cli/printable.h"
#include "cli/sources.h"
#include "wire/json.h"

#define CLIENT_ANSWER_MAX ((size_t)64 << 20)
#define CLIENT_CONNECT_MS 5000L
#define CLIENT_HEAD_MAX ((size_t)1 << 20)

/* ---- where, and with which key ---- */

static int client_no_flags(struct settings *s, void *arg, struct buf *why)
{
	(void)s, (void)arg, (void)why;
	return 0;
}

/* What a server that was started in this folder would listen on and write its keys to. */
static void client_configured(bool inference, char **address, char **key_file)
{
	static const struct sources from = { .flags = client_no_flags };
	struct buf why = BUF_INIT(65536); /* warnings are the server's business */
	struct settings s;

	settings_init(&s);
	if (sources_load(&s, &from, &why) == 0) {
		*address = mem_strdup(inference ? s.inference_address : s.management_address);
		*key_file = mem_strdup(s.key_file);
	}
	settings_finish(&s);
	buf_finish(&why);
	if (!*address)
		*address = mem_printf("http://127.0.0.1:%d", inference ? 8080 : 8081);
	if (!*key_file)
		*key_file = mem_strdup("key_file.json");
}

/* The server that listens there knows best where its keys are. */
static char *client_find_token(const struct client *c, const char *key_file)
{
	const struct client_options *o = &c->options;
	const char *variable = getenv("SCONCE_TOKEN");
	char *token;

	if (o->token)
		return mem_strdup(o->token);
	if (variable && *variable)
		return mem_strdup(variable);
	token = key_of_server(c->address, o->key);
	return token ? token : key_of_file(key_file, o->key);
}

/* Begins a complaint. */
static void client_complain(const struct client *c)
{
	fprintf(stderr, "%s: error: ", c->options.program ? c->options.program : "sconce models");
}

static int client_check_address(const struct client *c)
{
	static const char *const schemes[] = { "http://", "https://", "unix:" };

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (slice_istarts(slice_str(c->address), slice_str(schemes[i])))
			return CLIENT_OK;
	client_complain(c);
	fputs("the address is http://HOST:PORT or unix:PATH, not ", stderr);
	printable_print(stderr, c->address);
	fputc('\n', stderr);
	return CLIENT_USAGE;
}

int client_init(struct client *c, const struct client_options *options)
{
	_cleanup_(freep) char *address = NULL, *key_file = NULL;
	struct buf why = BUF_INIT(4096);

	*c = (struct client){ .options = *options,
			      .body = BUF_INIT(CLIENT_ANSWER_MAX),
			      .head = BUF_INIT(CLIENT_HEAD_MAX) };
	c->curl = curl_load(&why);
	c->easy = c->curl ? c->curl->easy_init() : NULL;
	if (!c->easy) {
		client_complain(c);
		printable_printf(stderr, "%s\n", buf_cstr(&why));
	}
	buf_finish(&why);
	client_configured(options->inference, &address, &key_file);
	c->address = options->address ? mem_strdup(options->address) : TAKE(address);
	for (size_t n = strlen(c->address); n && c->address[n - 1] == '/'; n--)
		c->address[n - 1] = '\0';
	c->token = client_find_token(c, key_file);
	if (!c->easy)
		return CLIENT_SILENT;
	return client_check_address(c);
}

void client_finish(struct client *c)
{
	if (c->easy)
		c->curl->easy_cleanup(c->easy);
	free(c->address);
	free(c->token);
	buf_finish(&c->body);
	buf_finish(&c->head);
}

/* ---- targets ---- */

void client_put_name(struct client *c, struct buf *target, const char *name)
{
	char *escaped = name ? c->curl->easy_escape(c->easy, name, 0) : NULL;

	if (escaped)
		buf_printf(target, "/%s", escaped);
	c->curl->free(escaped);
}

void client_put_query(struct client *c, struct buf *target, const char *key, const char *value)
{
	char *escaped = value ? c->curl->easy_escape(c->easy, value, 0) : NULL;

	if (escaped)
		buf_printf(target, "%c%s=%s", strchr(buf_cstr(target), '?') ? '&' : '?', key,
			   escaped);
	c->curl->free(escaped);
}

void client_split_model(char *model, const char **version)
{
	char *colon = *version ? NULL : strrchr(model, ':');

	if (!colon)
		return;
	*colon = '\0';
	*version = colon[1] ? colon + 1 : NULL;
}

void client_put_model(struct client *c, struct buf *target, const char *before, const char *model,
		      const char *version)
{
	_cleanup_(freep) char *name = mem_strdup(model);

	client_split_model(name, &version);
	buf_puts(target, before);
	client_put_name(c, target, name);
	client_put_name(c, target, version);
}

/* ---- a call ---- */

struct slice client_header(const struct client *c, const char *name)
{
	struct slice rest = buf_slice(&c->head);

	while (rest.n) {
		struct slice value = slice_cut(&rest, '\n'), key = slice_cut(&value, ':');

		if (!value.p || !slice_ieq(key, slice_str(name)))
			continue;
		while (value.n && value.p[value.n - 1] == '\r')
			value.n--;
		return slice_trim(value);
	}
	return SLICE_NULL;
}

static size_t client_on_head(char *data, size_t size, size_t n, void *userdata)
{
	struct client *c = userdata;

	return buf_append(&c->head, data, size * n) == 0 ? size * n : 0;
}

static size_t client_on_body(char *data, size_t size, size_t n, void *userdata)
{
	struct client *c = userdata;

	if (c->piece && client_header(c, "ts_stream_next").p) {
		c->piece(slice_make(data, size * n));
		return size * n;
	}
	return buf_append(&c->body, data, size * n) == 0 ? size * n : 0;
}

static int client_on_tick(void *userdata, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
	struct client *c = userdata;

	(void)a, (void)b, (void)d, (void)e;
	c->tick(c->userdata);
	return 0;
}

static struct curl_slist *client_lines(const struct client *c)
{
	_cleanup_(freep) char *token = mem_printf("Authorization: Bearer %s",
						  c->token ? c->token : "");
	struct curl_slist *list = c->token ? c->curl->slist_append(NULL, token) : NULL;

	for (size_t i = 0; c->lines && c->lines[i]; i++)
		list = c->curl->slist_append(list, c->lines[i]);
	return list;
}

static void client_upload(const struct client *c)
{
	const struct curl *curl = c->curl;

	curl->easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->upload->n);
	curl->easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->upload->n ? c->upload->p : "");
}

static CURLcode client_perform(struct client *c, const char *method, const char *target)
{
	const struct curl *curl = c->curl;
	struct slice address = slice_str(c->address);
	bool local = slice_starts(address, SLICE("unix:"));
	_cleanup_(freep) char *url = mem_printf("%s%s", local ? "http://localhost" : c->address,
						target);
	struct curl_slist *headers = client_lines(c);
	CURLcode r;

	buf_clear(&c->body);
	buf_clear(&c->head);
	if (c->upload)
		client_upload(c);
	curl->easy_setopt(c->easy, CURLOPT_URL, url);
	if (local)
		curl->easy_setopt(c->easy, CURLOPT_UNIX_SOCKET_PATH, c->address + 5);
	curl->easy_setopt(c->easy, CURLOPT_NOPROXY, "*"); /* a token goes to the server only */
	curl->easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
	curl->easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	curl->easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, client_on_body);
	curl->easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl->easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, client_on_head);
	curl->easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	curl->easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, CLIENT_CONNECT_MS);
	curl->easy_setopt(c->easy, CURLOPT_TIMEOUT, c->options.timeout_s);
	curl->easy_setopt(c->easy, CURLOPT_NOPROGRESS, c->tick ? 0L : 1L);
	curl->easy_setopt(c->easy, CURLOPT_XFERINFOFUNCTION, client_on_tick);
	curl->easy_setopt(c->easy, CURLOPT_XFERINFODATA, c);
	r = curl->easy_perform(c->easy);
	curl->easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->status);
	curl->easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
	curl->slist_free_all(headers);
	return r;
}

int client_ask(struct client *c, const char *method, const char *target)
{
	return client_perform(c, method, target) == CURLE_OK ? CLIENT_OK : CLIENT_SILENT;
}

/* ---- what went wrong ---- */

static void client_advise(struct client *c, const char *type, const char *message)
{
	const char *advice = NULL;
	bool key = strcmp(type, "InvalidKeyException") == 0;

	if (key && c->token)
		advice = "The token is not valid here, or has expired: `sconce models token` "
			 "renews it where the server's key file is.";
	else if (key)
		advice = "Give --token, set SCONCE_TOKEN, or run this as the server's user on its "
			 "machine, or in the folder of its key file.";
	else if (c->status == 404 && c->missing)
		c->missing(c, type, message);
	else if (c->status == 404)
		advice = "`sconce models list` shows what is there.";
	if (advice)
		fprintf(stderr, "%s\n", advice);
}

static int client_refused(struct client *c)
{
	yyjson_doc *doc = yyjson_read(c->body.p, c->body.n, 0);
	yyjson_val *root = yyjson_doc_get_root(doc);
	const char *message = yyjson_get_str(yyjson_obj_get(root, "message"));
	const char *type = yyjson_get_str(yyjson_obj_get(root, "type"));

	if (message) {
		client_complain(c);
		printable_print(stderr, message);
		fputc('\n', stderr);
	} else {
		client_complain(c);
		printable_printf(stderr, "%s answered with status %ld\n", c->address, c->status);
	}
	client_advise(c, type ? type : "", message ? message : "");
	yyjson_doc_free(doc);
	return CLIENT_REFUSED;
}

static int client_silent(const struct client *c, CURLcode r)
{
	client_complain(c);
	printable_printf(stderr, "no answer from %s: %s\n", c->address, c->curl->easy_strerror(r));
	if (r == CURLE_COULDNT_CONNECT)
		fprintf(stderr,
			"Is the server running, and is this its %s_address? --address names "
			"another.\n",
			c->options.inference ? "inference" : "management");
	else if (r == CURLE_OPERATION_TIMEDOUT)
		fputs("It may still be at work; --timeout waits longer.\n", stderr);
	return CLIENT_SILENT;
}

int client_call(struct client *c, const char *method, const char *target)
{
	CURLcode r = client_perform(c, method, target);

	if (r != CURLE_OK)
		return client_silent(c, r);
	return c->status >= 200 && c->status < 300 ? CLIENT_OK : client_refused(c);
}
