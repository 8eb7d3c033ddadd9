/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/util.h"
#include "core/metrics.h"

static const char *const labels[] = { "Level", "Hostname" };

static void writes_the_exact_text(void **state)
{
	struct metrics *m = metrics_create(10);
	struct metric_family *f = metrics_family(m, "Requests2XX", METRIC_COUNTER, "a \\ b\nc",
						 labels, 2);
	struct slice values[] = { SLICE("Host"), SLICE("a\"b\\c\nd\xc3\xa9\xff") };
	struct slice name = SLICE("Requests2XX");
	struct buf out = BUF_INIT(1 << 20);

	(void)state;
	metric_add(metric_get(f, values), 2);
	metric_add(metric_get(f, values), 3);
	metrics_write(m, &name, 1, &out);
	assert_string_equal(buf_cstr(&out), "# HELP Requests2XX a \\\\ b\\nc\n"
					    "# TYPE Requests2XX counter\n"
					    "Requests2XX{Level=\"Host\",Hostname=\"a\\\"b\\\\c\\nd"
					    "\xc3\xa9\xef\xbf\xbd\",} 5.0\n");
	buf_finish(&out);
	metrics_destroy(m);
}

static void histograms_are_cumulative(void **state)
{
	static const double bounds[] = { 0.5, 2 };
	struct metrics *m = metrics_create(10);
	struct metric_family *f = metrics_family(m, "h", METRIC_HISTOGRAM, "x", NULL, 0);
	struct slice name = SLICE("h");
	struct buf out = BUF_INIT(1 << 20);

	(void)state;
	metric_family_buckets(f, bounds, 2);
	metric_observe(metric_get(f, NULL), 0.5);
	metric_observe(metric_get(f, NULL), 1);
	metric_observe(metric_get(f, NULL), 100);
	metrics_write(m, &name, 1, &out);
	assert_string_equal(buf_cstr(&out),
			    "# HELP h x\n# TYPE h histogram\n"
			    "h_bucket{le=\"0.5\",} 1.0\nh_bucket{le=\"2.0\",} 2.0\n"
			    "h_bucket{le=\"+Inf\",} 3.0\nh_count 3.0\nh_sum 101.5\n");
	buf_clear(&out);
	name = SLICE("h_count");
	metrics_write(m, &name, 1, &out);
	assert_string_equal(buf_cstr(&out), "# HELP h x\n# TYPE h histogram\nh_count 3.0\n");
	buf_finish(&out);
	metrics_destroy(m);
}

static void doubles_look_like_javas(void **state)
{
	static const struct {
		double v;
		const char *text;
	} rows[] = { { 0, "0.0" },
		     { -0.0, "-0.0" },
		     { 1, "1.0" },
		     { 0.1, "0.1" },
		     { 100, "100.0" },
		     { 1234567, "1234567.0" },
		     { 9999999, "9999999.0" },
		     { 1e7, "1.0E7" },
		     { 27724000, "2.7724E7" },
		     { 0.001, "0.001" },
		     { 0.0001, "1.0E-4" },
		     { 1.0 / 3, "0.3333333333333333" },
		     { 123.456, "123.456" },
		     { 12.05, "12.05" },
		     { 0.5, "0.5" },
		     { 7.25, "7.25" },
		     { 0.1 + 0.2, "0.30000000000000004" },
		     { 9999999.999, "9999999.999" },
		     { INFINITY, "+Inf" },
		     { -INFINITY, "-Inf" },
		     { NAN, "NaN" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(64);

		metric_write_double(&out, rows[i].v);
		assert_string_equal(buf_cstr(&out), rows[i].text);
		buf_finish(&out);
	}
}

static void families_do_not_change_their_shape(void **state)
{
	struct metrics *m = metrics_create(10);
	struct metric_family *f = metrics_family(m, "a", METRIC_GAUGE, "", labels, 2);

	(void)state;
	assert_non_null(f);
	assert_ptr_equal(metrics_family(m, "a", METRIC_GAUGE, "", labels, 2), f);
	assert_null(metrics_family(m, "a", METRIC_COUNTER, "", labels, 2));
	assert_null(metrics_family(m, "a", METRIC_GAUGE, "", labels, 1));
	assert_null(metrics_family(m, "9a", METRIC_GAUGE, "", labels, 2));
	assert_null(metrics_family(m, "a b", METRIC_GAUGE, "", labels, 2));
	metrics_destroy(m);
}

static void series_are_bounded_and_forgotten(void **state)
{
	struct metrics *m = metrics_create(3);
	struct metric_family *f = metrics_family(m, "a", METRIC_GAUGE, "", labels, 2);
	struct slice dropped = SLICE("sconce_metric_series_dropped_total");
	struct buf out = BUF_INIT(1 << 20);

	(void)state;
	for (char c = 'a'; c < 'f'; c++) {
		struct slice values[] = { SLICE("Host"), slice_make(&c, 1) };

		metric_set(metric_get(f, values), 1);
	}
	metrics_write(m, &dropped, 1, &out);
	assert_non_null(strstr(buf_cstr(&out), "dropped_total 2.0\n"));
	metric_family_forget(f, "Hostname", SLICE("a"));
	buf_clear(&out);
	metrics_write(m, NULL, 0, &out);
	assert_null(strstr(buf_cstr(&out), "Hostname=\"a\""));
	assert_non_null(strstr(buf_cstr(&out), "Hostname=\"b\""));
	buf_finish(&out);
	metrics_destroy(m);
}

static void a_series_without_a_value_is_not_there(void **state)
{
	struct metrics *m = metrics_create(10);
	struct metric_family *f = metrics_family(m, "a", METRIC_GAUGE, "", labels, 2);
	struct slice quiet[] = { SLICE("Host"), SLICE("quiet") },
		     set[] = { SLICE("Host"), SLICE("set") };
	struct metric *later = metric_prepare(f, quiet);
	struct buf out = BUF_INIT(1 << 20);

	(void)state;
	metric_set(metric_prepare(f, set), 0);
	metrics_write(m, NULL, 0, &out);
	assert_non_null(strstr(buf_cstr(&out), "# TYPE a gauge\n"));
	assert_non_null(strstr(buf_cstr(&out), "\"set\",} 0.0\n"));
	assert_null(strstr(buf_cstr(&out), "quiet"));
	metric_set(later, 2);
	assert_ptr_equal(metric_prepare(f, quiet), later); /* it stays */
	buf_clear(&out);
	metrics_write(m, NULL, 0, &out);
	assert_non_null(strstr(buf_cstr(&out), "\"quiet\",} 2.0\n"));

	metric_drop(f, quiet);
	metric_drop(f, quiet);
	buf_clear(&out);
	metrics_write(m, NULL, 0, &out);
	assert_null(strstr(buf_cstr(&out), "quiet"));
	assert_non_null(strstr(buf_cstr(&out), "\"set\""));
	buf_finish(&out);
	metrics_destroy(m);
}

static void open_metrics_has_names_of_its_own(void **state)
{
	static const char *const one[] = { "a" };
	static const double bounds[] = { 0.0001, 2 };
	struct metrics *m = metrics_create(10);
	struct slice value = SLICE("x\"y"), prefix = SLICE("t_");
	struct buf out = BUF_INIT(1 << 20);

	(void)state;
	metric_add(metric_get(metrics_family(m, "t_busy_seconds_total", METRIC_COUNTER,
					     "Say \"x\".", one, 1),
			      &value),
		   1.5);
	metric_add(
		metric_get(metrics_family(m, "t_Requests2XX", METRIC_COUNTER, "r", NULL, 0), NULL),
		2);
	metric_set(metric_get(metrics_family(m, "t_open", METRIC_GAUGE, "o", NULL, 0), NULL), 3);
	metric_set(
		metric_get(metrics_family(m, "t_open_total", METRIC_COUNTER, "all", NULL, 0), NULL),
		4);
	metric_family_buckets(metrics_family(m, "t_h", METRIC_HISTOGRAM, "h", NULL, 0), bounds, 2);
	metric_get(metrics_family(m, "t_h", METRIC_HISTOGRAM, "h", NULL, 0), NULL);
	metric_get(metrics_family(m, "t_h_count", METRIC_GAUGE, "not this", NULL, 0), NULL);
	metrics_write_open(m, prefix, NULL, 0, 0, &out);
	assert_string_equal(buf_cstr(&out),
			    "# TYPE t_busy_seconds counter\n# UNIT t_busy_seconds seconds\n"
			    "# HELP t_busy_seconds Say \\\"x\\\".\n"
			    "t_busy_seconds_total{a=\"x\\\"y\"} 1.5\n"
			    "# TYPE t_Requests2XX unknown\n# HELP t_Requests2XX r\n"
			    "t_Requests2XX 2.0\n"
			    "# TYPE t_open gauge\n# HELP t_open o\nt_open 3.0\n"
			    "# TYPE t_open_total unknown\n# HELP t_open_total all\n"
			    "t_open_total 4.0\n"
			    "# TYPE t_h histogram\n# HELP t_h h\n"
			    "t_h_bucket{le=\"0.0001\"} 0\nt_h_bucket{le=\"2.0\"} 0\n"
			    "t_h_bucket{le=\"+Inf\"} 0\nt_h_count 0.0\nt_h_sum 0.0\n");
	buf_finish(&out);
	metrics_destroy(m);
}

static void buckets_bear_their_newest_request(void **state)
{
	static const double bounds[] = { 1 };
	struct metrics *m = metrics_create(10);
	struct metric_family *f = metrics_family(m, "h", METRIC_HISTOGRAM, "", NULL, 0);
	struct slice name = SLICE("h_bucket");
	struct buf out = BUF_INIT(1 << 20);
	struct metric *h;

	(void)state;
	metric_family_buckets(f, bounds, 1);
	h = metric_get(f, NULL);
	metric_observe_request(h, 0.5, &(struct metric_request){ "old", NULL, 1000000000 });
	metric_observe_request(h, 0.25, &(struct metric_request){ "a\"b", NULL, 2000000000 });
	metric_observe(h, 0.125);
	metric_observe_request(
		h, 9,
		&(struct metric_request){ "0123456789012345678901234567890123456789", "feed", 3 });
	metrics_write_open(m, SLICE("h"), &name, 1, 500000000, &out);
	assert_string_equal(buf_cstr(&out),
			    "# TYPE h histogram\n# HELP h \n"
			    "h_bucket{le=\"1.0\"} 3 # {request_id=\"a\\\"b\"} 0.25 2.500\n"
			    "h_bucket{le=\"+Inf\"} 4 # {trace_id=\"feed\",request_id="
			    "\"012345678901234567890123456789012345\"} 9.0 0.500\n"
			    "h_count 4.0\nh_sum 9.875\n");
	buf_finish(&out);
	metrics_destroy(m);
}

static void one_with_a_trace_stays_for_a_minute(void **state)
{
	static const double bounds[] = { 1 };
	struct metrics *m = metrics_create(10);
	struct metric_family *f = metrics_family(m, "h", METRIC_HISTOGRAM, "", NULL, 0);
	struct slice name = SLICE("h_bucket");
	struct buf out = BUF_INIT(1 << 20);
	struct metric *h;

	(void)state;
	metric_family_buckets(f, bounds, 1);
	h = metric_get(f, NULL);
	metric_observe_request(h, 0.5, &(struct metric_request){ "traced", "feed", 1 });
	metric_observe_request(h, 0.25, &(struct metric_request){ "not", "", 59000000000 });
	metrics_write_open(m, SLICE("h"), &name, 1, 0, &out);
	assert_non_null(strstr(buf_cstr(&out), "request_id=\"traced\""));
	metric_observe_request(h, 0.25, &(struct metric_request){ "later", NULL, 61000000000 });
	buf_clear(&out);
	metrics_write_open(m, SLICE("h"), &name, 1, 0, &out);
	assert_non_null(strstr(buf_cstr(&out), "{request_id=\"later\"}"));
	buf_finish(&out);
	metrics_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_metrics_has_names_of_its_own),
		cmocka_unit_test(buckets_bear_their_newest_request),
		cmocka_unit_test(one_with_a_trace_stays_for_a_minute),
		cmocka_unit_test(writes_the_exact_text),
		cmocka_unit_test(histograms_are_cumulative),
		cmocka_unit_test(doubles_look_like_javas),
		cmocka_unit_test(families_do_not_change_their_shape),
		cmocka_unit_test(series_are_bounded_and_forgotten),
		cmocka_unit_test(a_series_without_a_value_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
