/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/pull_list.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/s3.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#define PULL_LIST_MAX ((size_t)1 << 20)
#define PULL_ITEMS_MAX ((size_t)10000)
#define PULL_NAME_MAX ((size_t)255)

/* The name of a file that is not hidden, and nothing of another folder. */
static bool is_file_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '/' || (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.n && s.n <= PULL_NAME_MAX && s.p[0] != '.';
}

static bool take_sum(struct slice s, char ret[SHA256_HEX_LEN + 1])
{
	if (s.n != SHA256_HEX_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!isxdigit((unsigned char)s.p[i]))
			return false;
		ret[i] = (char)tolower((unsigned char)s.p[i]);
	}
	ret[s.n] = '\0';
	return true;
}

static bool is_url(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return slice_istarts(s, SLICE("http://")) || slice_istarts(s, SLICE("https://")) ||
	       s3_is_url(s);
}

static struct slice take_word(struct slice *rest)
{
	size_t n = 0;

	*rest = slice_trim(*rest);
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	struct slice word = slice_make(rest->p, n);

	*rest = slice_trim(slice_make(rest->p + n, rest->n - n));
	return word;
}

/* What is wrong with a line; NULL: it was taken. */
static const char *pull_list_take(struct pull_list *l, struct slice line, struct pull_item *item)
{
	struct slice name = take_word(&line), sum = take_word(&line), url = take_word(&line);

	if (!is_file_name(name))
		return "is no name of a file";
	if (!take_sum(sum, item->sum))
		return "has no SHA-256 of 64 hexadecimal digits behind its name";
	if (!is_url(url))
		return "has no address http://…, https://… or s3://BUCKET/KEY behind its SHA-256";
	if (line.n)
		return "has more than a name, a SHA-256 and an address";
	if (pull_list_has(l, name))
		return "is there twice";
	if (l->n == PULL_ITEMS_MAX)
		return "is one file too many (there may be 10000)";
	item->name = slice_dup(name);
	item->url = slice_dup(url);
	return NULL;
}

int pull_list_parse(struct pull_list *l, struct slice text, const char *path, struct buf *why)
{
	for (unsigned line = 1; text.n; line++) {
		struct slice rest = slice_cut(&text, '\n'), shown;
		struct pull_item item = { .list = path, .line = line };
		const char *fault;

		if (rest.n && rest.p[rest.n - 1] == '\r')
			rest.n--;
		rest = slice_trim(rest);
		if (!rest.n || rest.p[0] == '#')
			continue;
		shown = rest;
		fault = pull_list_take(l, rest, &item);
		if (fault) {
			shown = take_word(&shown);
			buf_printf(why, "%s:%u: '%.*s' %s", path, line,
				   (int)(shown.n < 80 ? shown.n : 80), shown.p, fault);
			return err_origin(-EINVAL);
		}
		l->items = mem_realloc(l->items, (l->n + 1) * sizeof(*l->items));
		l->items[l->n++] = item;
	}
	return 0;
}

int pull_list_read(struct pull_list *l, const char *path, struct buf *why)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PULL_LIST_MAX);
	int r = file_read_stream(path, &text);

	if (r < 0) {
		buf_printf(why, "%s cannot be read: %s", path,
			   r == -ENOBUFS ? "it is longer than a MiB" : strerror(-r));
		return err_trace(r);
	}
	return pull_list_parse(l, buf_slice(&text), path, why);
}

bool pull_list_has(const struct pull_list *l, struct slice name)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_eq(slice_str(l->items[i].name), name))
			return true;
	return false;
}

void pull_list_finish(struct pull_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].name);
		free(l->items[i].url);
		free(l->items[i].fresh);
	}
	free(l->items);
}
