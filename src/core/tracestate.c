/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trace.h"

/* The client's tracestate: what others know of the trace. It is only passed on, whole or not at
 * all, up to TRACESTATE_MAX. */

#include "base/util.h"

#define MEMBERS_MAX 32
#define KEY_MAX ((size_t)256)
#define TENANT_MAX ((size_t)241)
#define SYSTEM_MAX ((size_t)14)
#define VALUE_MAX ((size_t)256)

static bool key_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool key_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool key_word(struct slice s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if (!key_letter(s.p[i]) && !key_digit(s.p[i]) && !memchr("_-*/", s.p[i], 4))
			return false;
	return s.n && s.n <= max;
}

/* "vendor", or "tenant@vendor", where a tenant may begin with a digit. */
static bool key_valid(struct slice key)
{
	struct slice system = key, tenant;

	if (slice_find(key, '@') < 0)
		return key_word(key, KEY_MAX) && key_letter(key.p[0]);
	tenant = slice_cut(&system, '@');
	return key_word(tenant, TENANT_MAX) && key_word(system, SYSTEM_MAX) &&
	       key_letter(system.p[0]);
}

/* Its blanks at the end are gone; those at its beginning are a part of it. */
static bool value_valid(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < 0x20 || value.p[i] > 0x7e || value.p[i] == '=')
			return false;
	return value.n && value.n <= VALUE_MAX;
}

static bool tracestate_has(const struct tracestate *s, struct slice key)
{
	struct slice rest = slice_make(s->text, s->n);

	while (rest.n) {
		struct slice member = slice_cut(&rest, ',');

		if (slice_eq(slice_cut(&member, '='), key))
			return true;
	}
	return false;
}

static void tracestate_put(struct tracestate *s, struct slice member)
{
	size_t comma = s->n ? 1 : 0;

	s->full = s->full || comma + member.n > TRACESTATE_MAX - s->n;
	if (s->full)
		return;
	if (comma)
		s->text[s->n++] = ',';
	memcpy(s->text + s->n, member.p, member.n);
	s->n += member.n;
}

void tracestate_add(struct tracestate *s, struct slice header)
{
	while (header.n && !s->broken) {
		struct slice member = slice_trim(slice_cut(&header, ',')), value = member, key;

		if (!member.n)
			continue;
		key = slice_cut(&value, '=');
		s->broken = ++s->members > MEMBERS_MAX || !key_valid(key) || !value_valid(value) ||
			    tracestate_has(s, key);
		if (!s->broken)
			tracestate_put(s, member);
	}
}

struct slice tracestate_text(const struct tracestate *s)
{
	return s->broken || !s->n ? SLICE_NULL : slice_make(s->text, s->n);
}
