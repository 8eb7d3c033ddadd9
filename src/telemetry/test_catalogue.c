/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/file.h"
#include "base/util.h"
#include "telemetry/catalogue.h"

static const char *example; /* docs/metrics.yaml */

static const struct catalogue_metric *find(const struct map *section, const char *name)
{
	return map_get(section, slice_str(name));
}

static void parse(struct catalogue *c, const char *text)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);

	catalogue_init(c);
	if (catalogue_parse(c, slice_str(text), "m.yaml", &why) < 0)
		fail_msg("%s", buf_cstr(&why));
}

static void assert_same(const struct map *a, const struct map *b)
{
	assert_int_equal(a->n, b->n);
	map_for_each (e, a) {
		const struct catalogue_metric *x = e->value, *y = find(b, e->key);

		assert_non_null(y);
		assert_string_equal(x->unit, y->unit);
		assert_int_equal(x->type, y->type);
		assert_int_equal(x->n_dimensions, y->n_dimensions);
		for (unsigned i = 0; i < x->n_dimensions; i++)
			assert_string_equal(x->dimensions[i], y->dimensions[i]);
	}
}

static void the_example_is_what_is_built_in(void **state)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20);
	struct catalogue own, read;

	(void)state;
	assert_int_equal(file_read(example, &text), 0);
	catalogue_init(&own);
	parse(&read, buf_cstr(&text));
	assert_same(&own.server, &read.server);
	assert_same(&own.model, &read.model);
	catalogue_finish(&own);
	catalogue_finish(&read);
}

static void a_file_replaces_the_built_in_list(void **state)
{
	struct catalogue c;
	struct buf json = BUF_INIT(4096);

	(void)state;
	parse(&c, "dimensions: [&l Level]\n"
		  "ts_metrics:\n  gauge:\n"
		  "model_metrics:\n"
		  "  histogram:\n"
		  "    - {name: Tokens, unit: count, dimensions: [*l, Mode]}\n"
		  "  counter:\n"
		  "    - {name: \"a b\", unit: x, dimensions: []}\n");
	assert_int_equal(c.server.n, 0);
	assert_int_equal(find(&c.model, "Tokens")->type, METRIC_HISTOGRAM);
	assert_string_equal(find(&c.model, "Tokens")->dimensions[1], "Mode");
	catalogue_write_model(&c, &json);
	assert_string_equal(buf_cstr(&json),
			    "[{\"name\":\"Tokens\",\"unit\":\"count\",\"type\":\"histogram\","
			    "\"dimensions\":[\"Level\",\"Mode\"]},"
			    "{\"name\":\"a b\",\"unit\":\"x\",\"type\":\"counter\","
			    "\"dimensions\":[]}]");
	buf_finish(&json);
	catalogue_finish(&c);
}

static void errors_name_file_and_line(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "m.yaml:0: there is neither ts_metrics nor model_metrics\n" },
		{ "\nx: 1\n", "m.yaml:2: there is neither ts_metrics nor model_metrics\n" },
		{ "ts_metrics: [", "m.yaml: line 2: did not find expected node content\n" },
		{ "ts_metrics: 5\n",
		  "m.yaml:1: ts_metrics must have counter, gauge or histogram\n" },
		{ "ts_metrics:\n  summary: []\n",
		  "m.yaml:2: 'summary' is no type of metric; allowed: counter, gauge, "
		  "histogram\n" },
		{ "ts_metrics:\n  counter: 1\n", "m.yaml:2: counter must be a list of metrics\n" },
		{ "model_metrics:\n  gauge:\n    - name: a\n      unit: b\n",
		  "m.yaml:3: a metric needs name, unit and dimensions, texts of at most 200 "
		  "bytes\n" },
		{ "model_metrics:\n  gauge:\n    - name: a\n      unit: b\n"
		  "      dimensions: c\n",
		  "m.yaml:5: dimensions of a must be a list of names\n" },
		{ "model_metrics:\n  gauge:\n    - name: a\n      unit: b\n"
		  "      dimensions:\n        - [x]\n",
		  "m.yaml:6: a dimension of a must be a name\n" },
		{ "model_metrics:\n  gauge:\n"
		  "    - {name: a, unit: b, dimensions: [c, d, e, f, g, h, i, j]}\n",
		  "m.yaml:3: a has more than 7 dimensions\n" },
		{ "ts_metrics:\n  gauge:\n    - &m {name: a, unit: b, dimensions: []}\n"
		  "    - *m\n",
		  "m.yaml:3: there are two metrics named a\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);
		struct catalogue c;

		catalogue_init(&c);
		assert_int_equal(catalogue_parse(&c, slice_str(rows[i].text), "m.yaml", &why),
				 -EINVAL);
		assert_string_equal(buf_cstr(&why), rows[i].why);
		catalogue_finish(&c);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_what_is_built_in),
		cmocka_unit_test(a_file_replaces_the_built_in_list),
		cmocka_unit_test(errors_name_file_and_line),
	};

	assert_int_equal(argc, 2);
	example = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
