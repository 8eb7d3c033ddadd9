/* SPDX-License-Identifier: Apache-2.0 */

/* What a snapshot does not bring back: what would open a run because an earlier one was open. */
#include "config/withhold.h"

#include "base/mem.h"
#include "config/host.h"
#include "config/properties.h"

/* Nobody but this machine reaches it. */
static bool is_local(struct slice address)
{
	static const struct slice http = SLICE_CONST("http://");
	struct slice host;

	if (slice_starts(address, SLICE("unix:")))
		return true;
	if (!slice_starts(address, http))
		return false;
	host = slice_make(address.p + http.n, address.n - http.n);
	if (slice_starts(host, SLICE("[::1]")))
		return true;
	return host_is_loopback(slice_cut(&host, ':'));
}

/* A value that cannot be parsed opens nothing, and is complained of elsewhere. */
static bool is_default(const struct setting *t, struct slice value)
{
	_cleanup_(buf_finish) struct buf unsaid = BUF_INIT(1024),
					 own = BUF_INIT(PROPERTIES_TEXT_MAX),
					 theirs = BUF_INIT(PROPERTIES_TEXT_MAX);
	struct settings fresh, given;
	bool same;

	settings_init(&fresh);
	settings_init(&given);
	setting_format(t, &fresh, &own);
	same = setting_parse(t, &given, value, &unsaid) < 0;
	setting_format(t, &given, &theirs);
	same = same || slice_eq(buf_slice(&own), buf_slice(&theirs));
	settings_finish(&fresh);
	settings_finish(&given);
	return same;
}

bool settings_withhold(struct settings *s, const struct setting *t, struct slice value,
		       const char *origin)
{
	unsigned i = setting_index(t);

	value = slice_trim(value);
	if (!t->guarded || is_default(t, value) || (t->type == SETTING_ADDRESS && is_local(value)))
		return false;
	free(s->withheld[i]);
	s->withheld[i] = mem_printf("%s: %s=%.*s", origin, t->info.key, SLICE_ARG(value));
	return true;
}

void settings_warn_withheld(const struct settings *s, struct buf *why)
{
	const struct setting *t;

	for (unsigned i = 0; (t = setting_at(i)); i++)
		if (s->withheld[i] && !s->origins[i])
			buf_printf(why,
				   "warning: %s is not restored from a snapshot; if it is still "
				   "meant, give it again (a flag, config.properties, SCONCE_...)\n",
				   s->withheld[i]);
}
