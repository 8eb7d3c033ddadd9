/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/*
 * `sconce completion bash|zsh`: prints a script made from the tables of commands and settings. Both
 * shells share its functions: three that know what there is, one that reads the line so far.
 * Lists have an item a line; @file, @dir, @model and @any (something else) stand for more.
 */

#include <string.h>

#include "base/mem.h"
#include "base/util.h"
#include "cli/torchserve_options.h"
#include "config/settings.h"

#define OPERANDS_COMPLETED 9 /* of those that may be any number */

struct completion_args {
	const char *shell;
};

static const struct option rows[] = {
	{ "SHELL", NULL, OPTION_OPERAND, offsetof(struct completion_args, shell), "bash|zsh",
	  "bash or zsh", .required = true },
};

const struct options completion_command = {
	.program = "sconce completion",
	.about = "Prints a script that completes commands, flags, values and names of models:\n"
		 "  bash: source <(sconce completion bash)\n"
		 "  zsh:  source <(sconce completion zsh)",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

/* Names of models come from a server: only those that are a plain word are taken. */
static const char script_common[] =
	"_sconce_models() {\n"
	"	local sconce=$1\n"
	"	shift\n"
	"	\"$sconce\" models list --quiet --timeout 1 \"$@\" 2>/dev/null </dev/null |\n"
	"		LC_ALL=C grep -x '[A-Za-z0-9][A-Za-z0-9_.:-]*'\n"
	"}\n"
	"\n"
	"# Reads the words before the current one. Sets list; sconce and more ask a server.\n"
	"_sconce_read() {\n"
	"	local current=$1 command=${2##*/} flag= expects= word operands=0\n"
	"	sconce=$2\n"
	"	shift 2\n"
	"	for word; do\n"
	"		if [ \"$word\" = '=' ]; then\n"
	"			continue\n"
	"		elif [ -n \"$expects\" ]; then\n"
	"			case $flag in\n"
	"			--address | --token) more+=(\"$flag\" \"$word\") ;;\n"
	"			esac\n"
	"			expects=\n"
	"			continue\n"
	"		fi\n"
	"		case $word in\n"
	"		-*=*) ;;\n"
	"		-*) flag=$word expects=$(_sconce_values \"$command\" \"$word\") ;;\n"
	"		*)\n"
	"			if _sconce_commands \"$command\" | grep -Fqx -- \"$word\"; then\n"
	"				command=\"$command $word\"\n"
	"			else\n"
	"				operands=$((operands + 1))\n"
	"			fi\n"
	"			;;\n"
	"		esac\n"
	"	done\n"
	"	list=$expects\n"
	"	[ -n \"$list\" ] && return\n"
	"	case $current in -*) ;; *)\n"
	"		list=$(_sconce_commands \"$command\")\n"
	"		[ -n \"$list\" ] ||\n"
	"			list=$(_sconce_values \"$command\" $((operands + 1)))\n"
	"		;;\n"
	"	esac\n"
	"	[ -n \"$list\" ] || list=$(_sconce_flags \"$command\")\n"
	"}\n"
	"\n";

static const char script_bash[] =
	"_sconce() {\n"
	"	local current=${COMP_WORDS[COMP_CWORD]} list word sconce more=()\n"
	"	COMPREPLY=()\n"
	"	_sconce_read \"$current\" \"${COMP_WORDS[@]:0:COMP_CWORD}\"\n"
	"	[ \"$current\" = '=' ] && current=\n"
	"	case $list in\n"
	"	@any) return ;;\n"
	"	@file) mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
	"	@dir) mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
	"	*)\n"
	"		[ \"$list\" != @model ] ||\n"
	"			list=$(_sconce_models \"$sconce\" \"${more[@]}\")\n"
	"		while IFS= read -r word; do\n"
	"			[[ $word == \"$current\"* ]] && COMPREPLY+=(\"$word\")\n"
	"		done <<<\"$list\"\n"
	"		return\n"
	"		;;\n"
	"	esac\n"
	"	compopt -o filenames 2>/dev/null\n"
	"}\n"
	"complete -F _sconce sconce torchserve torch-model-archiver\n";

static const char script_zsh[] =
	"_sconce() {\n"
	"	local list sconce\n"
	"	local -a more\n"
	"	_sconce_read \"${words[CURRENT]}\" \"${(@)words[1,CURRENT-1]}\"\n"
	"	case $list in\n"
	"	@any) ;;\n"
	"	@file) _files ;;\n"
	"	@dir) _files -/ ;;\n"
	"	*)\n"
	"		[ \"$list\" != @model ] ||\n"
	"			list=$(_sconce_models \"$sconce\" \"${more[@]}\")\n"
	"		[ -n \"$list\" ] && compadd -- \"${(@f)list}\"\n"
	"		;;\n"
	"	esac\n"
	"}\n"
	"if [ \"${funcstack[1]}\" = _sconce ]; then\n"
	"	_sconce \"$@\"\n"
	"else\n"
	"	compdef _sconce sconce torchserve torch-model-archiver\n"
	"fi\n";

/* ---- what there is ---- */

/* Where a command is found: below `sconce`, and by a name of its own. */
struct place {
	const char *path;
	const char *alias; /* NULL: none */
};

static void put_case(struct buf *b, const struct place *p, const char *more)
{
	buf_printf(b, "\t'%s%s'", p->path, more);
	if (p->alias)
		buf_printf(b, " | '%s%s'", p->alias, more);
	buf_puts(b, ") printf '%s\\n'");
}

static void put_values(struct buf *b, const struct place *p, const char *name, const char *values)
{
	_cleanup_(freep) char *more = mem_printf(" %s", name);
	struct slice rest = slice_str(values);

	put_case(b, p, more);
	while (rest.p) {
		struct slice value = slice_cut(&rest, '|');

		buf_printf(b, " '%.*s'", SLICE_ARG(value));
	}
	buf_puts(b, " ;;\n");
}

static const char *option_values(const struct option *k)
{
	static const char *const known[][2] = { { "FILE", "@file" },
						{ "ARCHIVE", "@file" },
						{ "DIR", "@dir" },
						{ "MODEL", "@model" } };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (k->value && strcmp(k->value, known[i][0]) == 0)
			return known[i][1];
	return option_has_choices(k) ? k->value : "@any";
}

struct script {
	struct buf commands, flags, values; /* the cases of three functions */
};

static void script_options(struct script *s, const struct place *p, const struct options *o)
{
	unsigned operands = 0;

	put_case(&s->flags, p, "");
	for (size_t i = 0; i < o->n; i++) {
		const struct option *k = &o->rows[i];
		char number[16];

		snprintf(number, sizeof(number), "%u", operands + 1);
		if (option_is_operand(k)) {
			put_values(&s->values, p, number, option_values(k));
			operands++;
			if (k->kind == OPTION_OPERANDS && operands < OPERANDS_COMPLETED)
				i--; /* and the one behind it */
			continue;
		}
		buf_printf(&s->flags, " '%s'", k->name);
		if (k->other)
			buf_printf(&s->flags, " '%s'", k->other);
		if (k->kind == OPTION_FLAG)
			continue;
		put_values(&s->values, p, k->name, option_values(k));
		if (k->other)
			put_values(&s->values, p, k->other, option_values(k));
	}
	buf_puts(&s->flags, " '--help' ;;\n");
}

/* Every setting is a flag of `sconce serve`; those without effect need not be offered. */
static void script_settings(struct script *s, const struct place *p)
{
	const struct setting_info *info;

	put_case(&s->flags, p, "");
	put_values(&s->values, p, "--config", "@file");
	for (unsigned i = 0; (info = settings_info(i)); i++) {
		_cleanup_(freep) char *flag = mem_printf("--%s", info->key);
		bool listed = info->allowed && strchr(info->allowed, '|');

		if (info->accepted_only)
			continue;
		for (char *c = flag; *c; c++)
			*c = *c == '_' ? '-' : *c;
		buf_printf(&s->flags, " '%s'", flag);
		put_values(&s->values, p, flag,
			   listed                            ? info->allowed
			   : strcmp(info->type, "text") == 0 ? "@file"
							     : "@any");
	}
	buf_puts(&s->flags, " '--config' '--help' '--version' ;;\n");
}

/* What `help` explains. */
static void script_explained(struct script *s, const struct place *p, const struct commands *c)
{
	_cleanup_(buf_finish) struct buf names = BUF_INIT(4096);

	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i].options || c->rows[i].sub || c->rows[i].main == serve_main)
			buf_printf(&names, "%s%s", names.n ? "|" : "", c->rows[i].name);
	put_values(&s->values, p, "1", buf_cstr(&names));
}

static void script_commands(struct script *s, const struct place *p, const struct commands *c)
{
	put_case(&s->commands, p, "");
	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i].help)
			buf_printf(&s->commands, " '%s'", c->rows[i].name);
	buf_puts(&s->commands, " ;;\n");
	put_case(&s->flags, p, "");
	buf_puts(&s->flags, " '--help' ;;\n");
	for (size_t i = 0; i < c->n; i++) {
		const struct command *k = &c->rows[i];
		_cleanup_(freep) char *path = mem_printf("%s %s", p->path, k->name);
		/* A table that another name of the executable has, too, is called after it. */
		struct place place = { path, NULL };

		if (k->options && !slice_starts(slice_str(k->options->program), SLICE("sconce ")))
			place.alias = k->options->program;
		if (k->sub)
			script_commands(s, &place, k->sub);
		else if (k->options)
			script_options(s, &place, k->options);
		else if (strcmp(k->name, "serve") == 0)
			script_settings(s, &place);
		else if (strcmp(k->name, "help") == 0)
			script_explained(s, &place, c);
	}
}

static void script_function(const char *name, const char *key, struct buf *cases)
{
	printf("%s() {\n\tcase \"%s\" in\n%s\tesac\n}\n\n", name, key, buf_cstr(cases));
	buf_finish(cases);
}

int completion_main(int argc, char **argv)
{
	struct completion_args args = { 0 };
	struct script s = { BUF_INIT(1 << 20), BUF_INIT(1 << 20), BUF_INIT(1 << 20) };
	struct place root = { "sconce", NULL };
	bool zsh;
	int r = options_parse(&completion_command, &args, argc, argv);

	if (r >= 0)
		return r;
	zsh = strcmp(args.shell, "zsh") == 0;
	script_commands(&s, &root, &sconce_commands);
	if (zsh)
		puts("#compdef sconce torchserve torch-model-archiver");
	printf("# Made by `sconce completion %s`.\n\n", args.shell);
	script_function("_sconce_commands", "$1", &s.commands);
	script_function("_sconce_flags", "$1", &s.flags);
	script_function("_sconce_values", "$1 $2", &s.values);
	fputs(script_common, stdout);
	fputs(zsh ? script_zsh : script_bash, stdout);
	return 0;
}
