/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/tokens.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/util.h"
#include "config/host.h"
#include "wire/json.h"

#define KEY_FILE_MAX ((size_t)64 << 10)
#define KEY_TABLE_MAX ((size_t)16 << 20) /* of /proc/net/tcp */
#define KEY_PLACE_MAX 4097
#define KEY_SOCKETS_MAX 16
#define KEY_LISTENS SLICE("0A")

/* Sockets that listen at an address, by their inodes. */
struct key_sockets {
	uint64_t inodes[KEY_SOCKETS_MAX];
	unsigned n;
};

char *key_of_file(const char *path, const char *kind)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(KEY_FILE_MAX);
	yyjson_doc *doc = file_read(path, &text) == 0 ? yyjson_read(text.p, text.n, 0) : NULL;
	yyjson_val *entry = yyjson_obj_get(yyjson_doc_get_root(doc), kind);
	char *key = mem_strdup(yyjson_get_str(yyjson_obj_get(entry, "key")));

	yyjson_doc_free(doc);
	if (text.p)
		explicit_bzero(text.p, text.n);
	return key;
}

/* ---- who listens ---- */

static struct slice key_word(struct slice *rest)
{
	*rest = slice_trim(*rest);
	return slice_cut(rest, ' ');
}

/* Files of /proc have no length, so file_read() is not for them. */
static int key_read_proc(const char *path, struct buf *out)
{
	return file_read_stream(path, out);
}

static void key_add(struct key_sockets *s, struct slice inode)
{
	uint64_t v;

	if (s->n < KEY_SOCKETS_MAX && slice_u64(inode, &v) && v)
		s->inodes[s->n++] = v;
}

/* "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …" */
static void key_find_tcp(struct key_sockets *s, const char *table, unsigned port)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(KEY_TABLE_MAX);
	struct slice rest;
	char hex[8];

	if (key_read_proc(table, &text) < 0)
		return;
	snprintf(hex, sizeof(hex), ":%04X", port);
	rest = buf_slice(&text);
	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n'), words[10];

		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			words[i] = key_word(&line);
		if (slice_ends(words[1], slice_str(hex)) && slice_eq(words[3], KEY_LISTENS))
			key_add(s, words[9]);
	}
}

/* "Num: RefCount Protocol Flags Type St Inode Path" */
static void key_find_unix(struct key_sockets *s, struct slice path)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(KEY_TABLE_MAX);
	struct slice rest;

	if (key_read_proc("/proc/net/unix", &text) < 0)
		return;
	rest = buf_slice(&text);
	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n'), words[7];

		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			words[i] = key_word(&line);
		/* A connection has the path of its listener, and is of the same process. */
		if (slice_eq(line, path))
			key_add(s, words[6]);
	}
}

static bool key_is_here(struct slice host)
{
	return host_is_loopback(host) || slice_eq(host, SLICE("[::1]"));
}

static void key_find_sockets(struct key_sockets *s, struct slice address)
{
	static const struct slice local = SLICE_CONST("unix:"), http = SLICE_CONST("http://");
	struct slice host, port;
	uint64_t number = 80;
	ptrdiff_t bracket;

	if (slice_istarts(address, local)) {
		key_find_unix(s, slice_make(address.p + local.n, address.n - local.n));
		return;
	}
	if (!slice_istarts(address, http))
		return;
	port = slice_make(address.p + http.n, address.n - http.n);
	port = slice_cut(&port, '/');
	host = port;
	bracket = slice_find(port, ']');
	if (bracket >= 0) {
		host = slice_make(port.p, (size_t)bracket + 1);
		port = slice_make(port.p + host.n, port.n - host.n);
		slice_cut(&port, ':');
	} else {
		host = slice_cut(&port, ':');
	}
	if (!key_is_here(host) || (port.n && !slice_u64(port, &number)) || number > 65535)
		return;
	key_find_tcp(s, "/proc/net/tcp", (unsigned)number);
	key_find_tcp(s, "/proc/net/tcp6", (unsigned)number);
}

/* Is an open file of a process what is looked for? `link` is what /proc says of it. */
typedef bool key_wanted(void *arg, const char *link);

/* The path of the first that is, or NULL. free() it. */
static char *key_find_open(const char *process, key_wanted *wanted, void *arg)
{
	_cleanup_(freep) char *folder = mem_printf("%s/fd", process);
	struct dirent *e;
	char *found = NULL;
	DIR *d = opendir(folder);

	while (d && !found && (e = readdir(d))) {
		char link[64];
		ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);

		if (n <= 0)
			continue;
		link[n] = '\0';
		if (wanted(arg, link))
			found = mem_printf("%s/%s", folder, e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

static bool key_is_socket(void *arg, const char *link)
{
	const struct key_sockets *s = arg;
	unsigned long long inode;

	if (sscanf(link, "socket:[%llu]", &inode) != 1)
		return false;
	for (unsigned i = 0; i < s->n; i++)
		if (s->inodes[i] == inode)
			return true;
	return false;
}

static bool key_is_place(void *arg, const char *link)
{
	(void)arg;
	return strcmp(link, "/memfd:" TOKENS_PLACE " (deleted)") == 0;
}

/* The folder in /proc of this user's process that has one of the sockets, or NULL. */
static char *key_find_process(struct key_sockets *s)
{
	struct dirent *e;
	char *found = NULL;
	DIR *d = s->n ? opendir("/proc") : NULL;

	while (d && !found && (e = readdir(d))) {
		_cleanup_(freep) char *path = mem_printf("/proc/%s", e->d_name), *socket = NULL;
		struct stat st;
		uint64_t pid;

		if (!slice_u64(slice_str(e->d_name), &pid) || stat(path, &st) < 0 ||
		    st.st_uid != geteuid())
			continue;
		socket = key_find_open(path, key_is_socket, s);
		if (socket)
			found = TAKE(path);
	}
	if (d)
		closedir(d);
	return found;
}

char *key_of_server(const char *address, const char *kind)
{
	_cleanup_(buf_finish) struct buf place = BUF_INIT(KEY_PLACE_MAX);
	_cleanup_(freep) char *process = NULL, *open = NULL, *path = NULL;
	struct key_sockets sockets = { 0 };

	key_find_sockets(&sockets, slice_str(address));
	process = key_find_process(&sockets);
	open = process ? key_find_open(process, key_is_place, NULL) : NULL;
	if (!open || key_read_proc(open, &place) < 0)
		return NULL;
	/* Through its eyes: it may be in another container. */
	path = mem_printf("%s/root%s", process, buf_cstr(&place));
	return key_of_file(path, kind);
}
