/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/step.h"

/* Pipelines and ops for people. */

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "pipeline/tensor.h"

static void put_kinds(struct buf *out, unsigned kinds)
{
	bool first = true;

	for (int k = 1; k < KINDS; k++)
		if (kinds & KIND_BIT((enum kind)k)) {
			buf_printf(out, "%s%s", first ? "" : ", ", kind_name((enum kind)k));
			first = false;
		}
}

/* ---- parameters ---- */

static bool numbers_put(struct buf *out, const struct step_numbers *v)
{
	for (unsigned i = 0; i < v->n; i++)
		buf_printf(out, "%s%lld", i ? ", " : "[", (long long)v->v[i]);
	buf_puts(out, v->n ? "]" : "");
	return v->n;
}

static bool reals_put(struct buf *out, const struct step_reals *v)
{
	for (unsigned i = 0; i < v->n; i++)
		buf_printf(out, "%s%.6g", i ? ", " : "[", (double)v->v[i]);
	buf_puts(out, v->n ? "]" : "");
	return v->n;
}

static void ref_put(struct buf *out, const struct pipeline *p, const struct ref *r)
{
	if (r->step < 0)
		buf_puts(out, "request");
	else if (r->step == p->infer)
		buf_puts(out, "infer");
	else if (p->steps[r->step].name)
		buf_puts(out, p->steps[r->step].name);
	else
		buf_printf(out, "step %d", r->step + 1);
	if (r->part)
		buf_printf(out, ".%s", r->part);
}

/* False: it is what it is without being said. */
static bool param_put(struct buf *out, const struct step *s, const struct param *p)
{
	const void *at = (const char *)&s->params + p->at;
	const char *text;

	switch (p->type) {
	case PARAM_FLAG:
		buf_puts(out, *(const bool *)at ? "true" : "false");
		return *(const bool *)at != (p->fallback != 0);
	case PARAM_CHOICE:
		buf_puts(out, p->words[*(const bool *)at]);
		return *(const bool *)at;
	case PARAM_INTEGER:
		buf_printf(out, "%lld", (long long)*(const int64_t *)at);
		return p->required || (double)*(const int64_t *)at != p->fallback;
	case PARAM_REAL:
		buf_printf(out, "%g", *(const double *)at);
		return *(const double *)at != p->fallback;
	case PARAM_INTEGERS:
		return numbers_put(out, at);
	case PARAM_REALS:
		return reals_put(out, at);
	case PARAM_TEXT:
		text = *(const char *const *)at;
		buf_puts(out, text ? text : "");
		return text && text != p->words[0];
	case PARAM_DATATYPE:
		buf_puts(out, dtype_name(*(const uint32_t *)at));
		return true;
	case PARAM_MODE:
		buf_puts(out, image_mode_name(*(const enum image_mode *)at));
		return true;
	default:
		return false;
	}
}

static void params_put(struct buf *out, const struct step *s)
{
	bool any = false;

	for (unsigned i = 0; i < s->op->n_params; i++) {
		struct buf one = BUF_INIT(1024);

		if (param_put(&one, s, &s->op->params[i])) {
			buf_printf(out, "%s%s=%s", any ? " " : "", s->op->params[i].name,
				   buf_cstr(&one));
			any = true;
		}
		buf_finish(&one);
	}
}

/* ---- the picture ---- */

/* What it takes, where that is not just what the step before it gives. */
static void from_put(struct buf *out, const struct pipeline *p, const struct step *s)
{
	if (s->n_from == 1 && s->from[0].step == (int)s->number - 2 && !s->from[0].part)
		return;
	buf_puts(out, s->number == 1 ? "" : "  ◄ ");
	for (unsigned i = 0; i < s->n_from && s->number > 1; i++) {
		buf_puts(out, i ? ", " : "");
		if (s->params.n_inputs)
			buf_printf(out, "%s: ", s->params.input_names[i]);
		ref_put(out, p, &s->from[i]);
	}
}

/* Steps that are done as one are in one bracket. */
static const char *bracket(const struct pipeline *p, unsigned i)
{
	const struct step *s = &p->steps[i];
	unsigned end = i;

	while (p->steps[end].fused)
		end++;
	if (p->steps[end].first == (int)end)
		return "─";
	return p->steps[end].first == (int)i ? "┌" : s->fused ? "│" : "└";
}

static void step_put(struct buf *out, const struct pipeline *p, unsigned i)
{
	const struct step *s = &p->steps[i];
	struct type type = (int)i == p->infer ? type_of_ref(p, &(struct ref){ .step = (int)i })
					      : s->type;
	struct buf params = BUF_INIT(2048);
	char gives[500];

	type_write(gives, sizeof(gives), &type);
	params_put(&params, s);
	buf_printf(out, " %2u %s %-12s %-44s ► %s", s->number, bracket(p, i), s->op->name,
		   buf_cstr(&params), gives);
	buf_finish(&params);
	if (s->name)
		buf_printf(out, "  as %s", s->name);
	from_put(out, p, s);
	buf_putc(out, '\n');
}

void pipeline_show(const struct pipeline *p, struct buf *out)
{
	buf_puts(out, p->infer > 0 ? "    each request\n" : "");
	for (unsigned i = 0; i < p->n; i++) {
		if ((int)i == p->infer)
			buf_puts(out, "    ═══ requests of a batch, stacked ═══\n");
		step_put(out, p, i);
		if ((int)i == p->infer)
			buf_puts(out, "    ═══ each request again ═══\n");
	}
}

/* ---- the table ---- */

static void param_list(struct buf *out, const struct param *p, bool first)
{
	static const char *const types[] = {
		[PARAM_FLAG] = "true or false", [PARAM_INTEGER] = "whole number",
		[PARAM_REAL] = "number",        [PARAM_INTEGERS] = "whole numbers",
		[PARAM_REALS] = "numbers",      [PARAM_TEXT] = "text",
		[PARAM_DATATYPE] = "datatype",  [PARAM_FILTER] = "filter",
		[PARAM_MODE] = "mode",          [PARAM_CHOICE] = "word",
		[PARAM_VALUE] = "name",         [PARAM_VALUES] = "names",
	};

	buf_printf(out, "%s`%s` (%s%s): %s", first ? "" : "<br>", p->name, types[p->type],
		   p->required ? ", needed" : "", p->help);
	if (p->type == PARAM_TEXT && p->words[0])
		buf_printf(out, " (default: %s)", p->words[0]);
	else if (p->type == PARAM_CHOICE)
		buf_printf(out, " (default: %s)", p->words[0]);
	else if (p->type == PARAM_DATATYPE && !p->required)
		buf_printf(out, " (default: %s)", dtype_name((uint32_t)p->fallback));
	else if (p->type == PARAM_FILTER)
		buf_puts(out, " (default: bilinear)");
	else if (p->type == PARAM_FLAG)
		buf_printf(out, " (default: %s)", p->fallback != 0 ? "true" : "false");
	else if ((p->type == PARAM_INTEGER || p->type == PARAM_REAL) && p->fallback != 0)
		buf_printf(out, " (default: %g)", p->fallback);
}

void pipeline_list_ops(struct buf *out)
{
	buf_puts(out,
		 "| op | takes | gives | what it does, and its parameters |\n|---|---|---|---|\n");
	for (size_t i = 0; i < ops_n; i++) {
		const struct op *op = ops_all[i];

		buf_printf(out, "| `%s` | ", op->name);
		put_kinds(out, op->takes);
		buf_printf(out, " | %s | %s", kind_name(op->gives), op->help);
		for (unsigned k = 0; k < op->n_params; k++) {
			buf_puts(out, k ? "" : "<br>");
			param_list(out, &op->params[k], !k);
		}
		buf_puts(out, " |\n");
	}
}
