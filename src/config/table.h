/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The table of settings, for the files of config/ that walk it. */

#include "config/settings.h"

enum setting_type {
	SETTING_TEXT,
	SETTING_BOOL,
	SETTING_TRISTATE,
	SETTING_NUMBER,
	SETTING_SIZE,
	SETTING_DECIMAL,
	SETTING_CHOICE,  /* text, one of `allowed`, kept in lower case */
	SETTING_ADDRESS, /* text that names a listener */
	SETTING_TYPES,
};

/* Default and bounds are texts, parsed like any value: what the help says is what is checked. */
struct setting {
	struct setting_info info;
	enum setting_type type;
	size_t offset;      /* in struct settings */
	const char *ts_env; /* NULL: TS_<KEY> */
	const char *env;    /* a variable that always counts */
	bool keep_empty;    /* "" is not the same as none */
	bool secret;        /* never written out */
	bool guarded;       /* a snapshot must not bring it back, see settings_load_snapshot() */
};

/* Two runs of rows: TorchServe's keys, then ours. */
extern const struct setting settings_torchserve[], settings_own[];
extern const unsigned settings_torchserve_count, settings_own_count;

const struct setting *setting_at(unsigned i); /* NULL after the last */
unsigned setting_index(const struct setting *t);
/* As files have it. NULL when there is none. */
const struct setting *setting_find(struct slice key);
/* As flags have it: '-' stands for '_'. */
const struct setting *setting_find_flag(struct slice key);
/* '-' for '_', and any case. */
bool setting_key_resembles(struct slice a, struct slice b);
/* The key that is most like an unknown one, NULL when none is. */
const struct setting *setting_nearest(struct slice key);
bool setting_is_own(const struct setting *t); /* no key of TorchServe */

/* Parses into the field. -EINVAL with "'x' is not …; allowed: …" in `why`, field unchanged. */
int setting_parse(const struct setting *t, struct settings *s, struct slice value, struct buf *why);
/* Quotes a value or key in a message: not too much of it, and nothing a terminal would obey. */
void setting_put_shown(struct buf *why, struct slice s);
/* Appends the field as text that parses to the same. False when it is none (NULL). */
bool setting_format(const struct setting *t, const struct settings *s, struct buf *out);

static inline void *setting_field(const struct setting *t, struct settings *s)
{
	return (char *)s + t->offset;
}

static inline const void *setting_field_const(const struct setting *t, const struct settings *s)
{
	return (const char *)s + t->offset;
}

#define SETTING_ROW(section_, kind, name, key_, fallback_, allowed_, help_, ...)                   \
	{                                                                                          \
		.info = { .key = key_,                                                             \
			  .type = kind##_NAME,                                                     \
			  .fallback = fallback_,                                                   \
			  .help = help_,                                                           \
			  .section = section_,                                                     \
			  .allowed = allowed_ },                                                   \
		.type = kind, .offset = offsetof(struct settings, name), __VA_ARGS__               \
	}

#define SETTING_TEXT_NAME "text"
#define SETTING_BOOL_NAME "boolean"
#define SETTING_TRISTATE_NAME "choice"
#define SETTING_NUMBER_NAME "number"
#define SETTING_SIZE_NAME "size"
#define SETTING_DECIMAL_NAME "decimal"
#define SETTING_CHOICE_NAME "choice"
#define SETTING_ADDRESS_NAME "address"
