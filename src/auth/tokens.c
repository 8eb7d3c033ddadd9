/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "wire/json.h"

#define TOKEN_BYTES 6
#define TOKEN_CHARS 8 /* of URL-safe base64 */
#define TOKEN_GIVEN_MIN ((size_t)16)
#define TOKEN_MAX ((size_t)256)
#define TOKEN_FILE_MAX ((size_t)4096)

struct token {
	char key[TOKEN_MAX + 1]; /* zeroes behind its end */
	size_t n;
	uint64_t expires_ns; /* 0: never */
};

struct tokens {
	struct token all[TOKEN_KINDS];
	bool given; /* by a file of somebody else's */
	uint64_t life_ns;
	char *path;
	int place; /* see TOKENS_PLACE; -1: nobody finds the file by it */
	struct lane renewals;
};

struct renewal {
	struct work work;
	struct tokens *tokens;
	enum token_kind kind;
	uint64_t now_ns;
	struct token fresh;
	int error;
	tokens_renewed *done;
	void *arg;
};

static const char *const token_names[] = { "management", "inference", "API" };

static int token_make(struct token *t, uint64_t expires_ns)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char random[TOKEN_BYTES];

	/* A key that begins with '-' looks like a flag on a command line. */
	do {
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return err_origin(-EIO);
	} while (random[0] >> 2 == sizeof(digits) - 3);
	for (int i = 0; i < TOKEN_CHARS; i++) {
		int bit = i * 6, byte = bit / 8;
		unsigned pair = (unsigned)random[byte] << 8 |
				(byte + 1 < TOKEN_BYTES ? random[byte + 1] : 0);

		t->key[i] = digits[(pair >> (10 - bit % 8)) & 63];
	}
	t->key[TOKEN_CHARS] = '\0';
	t->n = TOKEN_CHARS;
	t->expires_ns = expires_ns;
	return 0;
}

static void token_write(struct buf *b, const char *name, const struct token *t)
{
	time_t seconds = (time_t)(t->expires_ns / NS_PER_S);
	char date[32];
	struct tm utc;

	buf_printf(b, "  \"%s\": {\n    \"key\": \"%s\"", name, t->key);
	if (t->expires_ns) {
		gmtime_r(&seconds, &utc);
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
		buf_printf(b, ",\n    \"expiration time\": \"%s.%06lluZ\"", date,
			   (unsigned long long)(t->expires_ns % NS_PER_S / NS_PER_US));
	}
	buf_puts(b, "\n  }");
}

static void tokens_write(const struct token *all, struct buf *b)
{
	buf_puts(b, "{\n");
	for (int k = 0; k < TOKEN_KINDS; k++) {
		token_write(b, token_names[k], &all[k]);
		buf_puts(b, k + 1 < TOKEN_KINDS ? ",\n" : "\n}\n");
	}
}

static int tokens_save(const struct token *all, const char *path)
{
	struct buf b = BUF_INIT(TOKEN_FILE_MAX);
	int r;

	tokens_write(all, &b);
	r = file_write_atomic(path, buf_slice(&b), 0600);
	buf_finish(&b);
	return r;
}

static int tokens_open_place(const char *path)
{
	_cleanup_(freep) char *real = realpath(path, NULL);
	int fd = real ? memfd_create(TOKENS_PLACE, MFD_CLOEXEC) : -1;

	if (fd >= 0 && write(fd, real, strlen(real)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct tokens *tokens_new(uv_loop_t *loop, const char *path)
{
	struct tokens *t = mem_new(struct tokens);

	lane_init(&t->renewals, loop);
	t->path = mem_strdup(path);
	t->place = -1;
	return t;
}

int tokens_create(struct tokens **ret, uv_loop_t *loop, const char *path, uint64_t expires_ns,
		  uint64_t now_ns, struct buf *why)
{
	struct tokens *t = tokens_new(loop, path);
	int r = 0;

	t->life_ns = expires_ns;
	for (int k = 0; k < TOKEN_KINDS && !r; k++)
		r = token_make(&t->all[k], k == TOKEN_API ? 0 : now_ns + expires_ns);
	if (!r)
		r = tokens_save(t->all, path);
	if (r) {
		buf_printf(why,
			   "%s: the keys for token authorization cannot be written: %s. Start in a "
			   "folder that is writable, name another place with key_file "
			   "(--key-file), or do without keys with --disable-token-auth",
			   path, strerror(-r));
		tokens_destroy(t, false);
		return err_trace(r);
	}
	t->place = tokens_open_place(path);
	*ret = t;
	return 0;
}

uint64_t tokens_expire_ns(const struct tokens *t, enum token_kind kind)
{
	return t->all[kind].expires_ns;
}

/* ---- keys that are given ---- */

/* What a header can carry after "Bearer". */
static bool token_is_word(struct slice key)
{
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] <= ' ' || key.p[i] > '~')
			return false;
	return true;
}

/* 0, or -EINVAL with the end of a sentence. */
static int token_take(struct token *t, yyjson_val *entry, struct buf *why)
{
	yyjson_val *value = yyjson_obj_get(entry, "key");
	struct slice key = slice_make(yyjson_get_str(value), yyjson_get_len(value));

	if (!yyjson_is_str(value))
		buf_puts(why, "is not there: {\"key\": \"…\"} is wanted");
	else if (key.n < TOKEN_GIVEN_MIN || key.n > TOKEN_MAX)
		buf_printf(why, "has %zu characters; %zu to %zu are allowed", key.n,
			   TOKEN_GIVEN_MIN, TOKEN_MAX);
	else if (!token_is_word(key))
		buf_puts(why, "has a blank, or what is not ASCII");
	else if (yyjson_obj_get(entry, "expiration time"))
		buf_puts(why, "has an expiration time, but keys that are given do not expire: take "
			      "it out, and change them there");
	else {
		memcpy(t->key, key.p, key.n);
		t->n = key.n;
		return 0;
	}
	return err_origin(-EINVAL);
}

/* The API key renews the others, which these are not: it may be left out. */
static int tokens_take(struct tokens *t, yyjson_val *root, struct buf *why)
{
	for (int k = 0; k < TOKEN_KINDS; k++) {
		yyjson_val *entry = yyjson_obj_get(root, token_names[k]);
		int r;

		if (!entry && k == TOKEN_API) {
			r = token_make(&t->all[k], 0);
		} else {
			buf_printf(why, "the key \"%s\" ", token_names[k]);
			r = token_take(&t->all[k], entry, why);
		}
		if (r)
			return err_trace(r);
		buf_clear(why);
	}
	if (strcmp(t->all[TOKEN_INFERENCE].key, t->all[TOKEN_MANAGEMENT].key) != 0)
		return 0;
	buf_puts(why, "inference and management have the same key, so whoever may predict could "
		      "manage");
	return err_origin(-EINVAL);
}

static int tokens_read(struct tokens *t, struct buf *why)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TOKEN_FILE_MAX);
	int r = file_read(t->path, &text);
	yyjson_doc *doc;

	if (r) {
		buf_puts(why, strerror(-r));
		return err_trace(r);
	}
	doc = yyjson_read(text.p, text.n, 0);
	if (yyjson_is_obj(yyjson_doc_get_root(doc))) {
		r = tokens_take(t, yyjson_doc_get_root(doc), why);
	} else {
		buf_puts(why, "it is no JSON object, as key_file.json is");
		r = err_origin(-EINVAL);
	}
	yyjson_doc_free(doc);
	explicit_bzero(text.p, text.n);
	return r;
}

int tokens_create_given(struct tokens **ret, uv_loop_t *loop, const char *path, struct buf *why)
{
	_cleanup_(buf_finish) struct buf cause = BUF_INIT(TOKEN_FILE_MAX);
	struct tokens *t = tokens_new(loop, path);
	int r = tokens_read(t, &cause);

	t->given = true;
	if (r) {
		buf_printf(why, "%s: no keys can be taken from this file (keys_from): %s", path,
			   buf_cstr(&cause));
		tokens_destroy(t, false);
		return err_trace(r);
	}
	t->place = tokens_open_place(path);
	*ret = t;
	return 0;
}

bool tokens_given(const struct tokens *t)
{
	return t->given;
}

/* Another server may have put its own keys there since. */
static void tokens_remove_file(const struct tokens *t)
{
	struct buf ours = BUF_INIT(TOKEN_FILE_MAX), there = BUF_INIT(TOKEN_FILE_MAX);

	tokens_write(t->all, &ours);
	if (file_read(t->path, &there) == 0 && slice_eq(buf_slice(&ours), buf_slice(&there)))
		unlink(t->path);
	buf_finish(&ours);
	buf_finish(&there);
}

struct tokens *tokens_destroy(struct tokens *t, bool remove_file)
{
	if (!t)
		return NULL;
	lane_finish(&t->renewals);
	closep(&t->place);
	if (remove_file && !t->given)
		tokens_remove_file(t);
	explicit_bzero(t->all, sizeof(t->all));
	free(t->path);
	free(t);
	return NULL;
}

static bool tokens_have_length(const struct tokens *t, size_t n)
{
	for (int k = 0; k < TOKEN_KINDS; k++)
		if (t->all[k].n == n)
			return true;
	return false;
}

/* "Bearer", blanks, one word. RFC 9110 takes any case, TorchServe this one only. */
static bool token_from_header(struct slice header, struct slice *ret)
{
	struct slice s = slice_trim(header);

	if (!slice_starts(s, SLICE("Bearer")) || s.n <= 6 || (s.p[6] != ' ' && s.p[6] != '\t'))
		return false;
	*ret = slice_trim(slice_make(s.p + 6, s.n - 6));
	return slice_find(*ret, ' ') < 0 && slice_find(*ret, '\t') < 0;
}

const char *token_kind_name(enum token_kind kind)
{
	assert(kind < TOKEN_KINDS);
	return token_names[kind];
}

const char *tokens_file_name(const struct tokens *t)
{
	const char *slash = strrchr(t->path, '/');

	return slash ? slash + 1 : t->path;
}

enum token_verdict tokens_judge(const struct tokens *t, enum token_kind kind,
				struct slice authorization, uint64_t now_ns)
{
	const struct token *want = &t->all[kind];
	struct slice got;
	size_t differ[TOKEN_KINDS];

	if (!slice_trim(authorization).n)
		return TOKEN_MISSING;
	if (!token_from_header(authorization, &got))
		return TOKEN_MALFORMED;
	if (!tokens_have_length(t, got.n))
		return TOKEN_WRONG;
	for (int k = 0; k < TOKEN_KINDS; k++) {
		differ[k] = got.n ^ t->all[k].n;
		for (size_t i = 0; i < got.n; i++)
			differ[k] |= (unsigned char)got.p[i] ^ (unsigned char)t->all[k].key[i];
	}
	if (!differ[kind])
		return !want->expires_ns || now_ns < want->expires_ns ? TOKEN_GOOD : TOKEN_EXPIRED;
	for (int k = 0; k < TOKEN_KINDS; k++)
		if (!differ[k])
			return TOKEN_OTHER;
	return TOKEN_WRONG;
}

/* Reads the keys while the loop checks calls against them; only renewal_done() changes them, and
 * that of the one before has returned: they share a lane. */
static void renewal_run(struct work *w)
{
	struct renewal *n = container_of(w, struct renewal, work);
	struct token next[TOKEN_KINDS];

	n->error = token_make(&n->fresh, n->now_ns + n->tokens->life_ns);
	if (n->error)
		return;
	memcpy(next, n->tokens->all, sizeof(next));
	next[n->kind] = n->fresh;
	n->error = tokens_save(next, n->tokens->path);
	explicit_bzero(next, sizeof(next));
}

static void renewal_done(struct work *w)
{
	struct renewal *n = container_of(w, struct renewal, work);

	if (!n->error)
		n->tokens->all[n->kind] = n->fresh;
	n->done(n->arg, n->error);
	explicit_bzero(&n->fresh, sizeof(n->fresh));
	free(n);
}

void tokens_renew(struct tokens *t, enum token_kind kind, uint64_t now_ns, tokens_renewed *done,
		  void *arg)
{
	struct renewal *n = mem_new(struct renewal);

	assert(kind != TOKEN_API && !t->given);
	n->tokens = t;
	n->kind = kind;
	n->now_ns = now_ns;
	n->done = done;
	n->arg = arg;
	lane_add(&t->renewals, &n->work, renewal_run, renewal_done);
}

bool tokens_renewing(const struct tokens *t)
{
	return t->renewals.n > 0;
}
