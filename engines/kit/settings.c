/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/kit.h"

#include <stdio.h>
#include <string.h>

/* Keys that any host may have among those of an engine. */
#define HOST_KEYS "name file device threads instances inputs outputs build"

int settings_read(struct settings *s, const char *json, struct sconce_error *e)
{
	*s = (struct settings){ 0 };
	if (!json || !*json)
		return 0;
	s->doc = yyjson_read(json, strlen(json), 0);
	s->root = yyjson_doc_get_root(s->doc);
	if (yyjson_is_obj(s->root))
		return 0;
	settings_finish(s);
	return kit_fail(e, -1, "engine: is no mapping of settings");
}

void settings_finish(struct settings *s)
{
	yyjson_doc_free(s->doc);
	*s = (struct settings){ 0 };
}

int settings_text(const struct settings *s, const char *key, const char **ret,
		  struct sconce_error *e)
{
	yyjson_val *v = yyjson_obj_get(s->root, key);

	if (!v || yyjson_is_null(v))
		return 0;
	if (!yyjson_is_str(v))
		return kit_fail(e, -1, "engine: %s: is no text", key);
	*ret = yyjson_get_str(v);
	return 0;
}

int settings_flag(const struct settings *s, const char *key, bool *ret, struct sconce_error *e)
{
	yyjson_val *v = yyjson_obj_get(s->root, key);

	if (!v || yyjson_is_null(v))
		return 0;
	if (!yyjson_is_bool(v))
		return kit_fail(e, -1, "engine: %s: is neither true nor false", key);
	*ret = yyjson_get_bool(v);
	return 0;
}

/* Is `word` in a list by spaces? */
static bool among(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; n && (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
			return true;
	return false;
}

void settings_warn(const struct settings *s, const char *known, const struct sconce_host *host)
{
	yyjson_val *key, *value;
	size_t i, n;

	yyjson_obj_foreach(s->root, i, n, key, value)
	{
		const char *name = yyjson_get_str(key);

		if (!among(HOST_KEYS, name) && !among(known, name))
			kit_log(host, 2, "engine: %.100s: is no setting; there are: %s", name,
				known);
	}
}

int settings_value(yyjson_val *v, char *ret, size_t room)
{
	int n = -1;

	if (yyjson_is_str(v))
		n = snprintf(ret, room, "%s", yyjson_get_str(v));
	else if (yyjson_is_bool(v))
		n = snprintf(ret, room, "%d", yyjson_get_bool(v));
	else if (yyjson_is_sint(v))
		n = snprintf(ret, room, "%lld", (long long)yyjson_get_sint(v));
	else if (yyjson_is_uint(v))
		n = snprintf(ret, room, "%llu", (unsigned long long)yyjson_get_uint(v));
	else if (yyjson_is_real(v))
		n = snprintf(ret, room, "%.17g", yyjson_get_real(v));
	return n >= 0 && (size_t)n < room ? 0 : -1;
}
