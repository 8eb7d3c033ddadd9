/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/call.h"

/* `sconce bench`: what a model does under load. See load.h for the two kinds of load. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/load.h"
#include "cli/printable.h"
#include "wire/json.h"

#define PROGRAM "sconce bench"
#define BENCH_CONNECTIONS 64 /* of an open loop */
#define BENCH_CONNECTIONS_MAX 10000
#define BENCH_RATE_MAX 1e6
#define BENCH_SECONDS_MAX 86400

struct bench {
	struct call_args a;
	const char *file, *concurrency, *rate, *connections, *seconds, *warm_up, *timeout;
	bool json;
};

#define AT(field) offsetof(struct bench, field)

static const struct option rows[] = {
	CALL_MODEL_ROW(AT(a)),
	{ "FILE", NULL, OPTION_OPERAND, AT(file), "FILE",
	  "what every request posts; - is standard input", .required = true },
	{ "--concurrency", "-c", OPTION_TEXT, AT(concurrency), "N",
	  "closed loop: so many clients, each of which asks again as soon as it has an answer "
	  "(default: 1)",
	  .alone = 1 },
	{ "--rate", "-r", OPTION_TEXT, AT(rate), "R",
	  "open loop: so many requests a second, whatever the server does; latency counts from "
	  "when a request was due",
	  .alone = 1 },
	{ "--connections", NULL, OPTION_TEXT, AT(connections), "N",
	  "open loop: requests under way at most (default: 64)" },
	{ "--seconds", "-s", OPTION_TEXT, AT(seconds), "S", "how long to measure (default: 10)" },
	{ "--warm-up", NULL, OPTION_TEXT, AT(warm_up), "S",
	  "load before that, which does not count (default: 1)" },
	{ "--timeout", NULL, OPTION_TEXT, AT(timeout), "S",
	  "wait for an answer at most (default: 30)" },
	{ "--json", NULL, OPTION_FLAG, AT(json), NULL, "print the figures as one line of JSON" },
	CALL_ROWS(AT(a)),
};

const struct options bench_command = {
	.program = PROGRAM,
	.about = "Puts load on a model of a running server and tells how it did: throughput,\n"
		 "percentiles of the latency, errors. Only good answers count for the first two.\n"
		 "Ctrl-C ends it early, and what was measured is told. Exit code 1: not every\n"
		 "answer was a success.",
	.rows = rows,
	.n = ARRAY_LEN(rows),
};

/* False: it was said what is wrong. */
static bool bench_number(const char *flag, const char *text, double fallback, double least,
			 double most, double *ret)
{
	char *end = NULL;

	*ret = text ? strtod(text, &end) : fallback;
	if (!text || (end != text && !*end && *ret >= least && *ret <= most))
		return true;
	options_error(&bench_command, "argument %s: %s is not a number from %g to %g", flag, text,
		      least, most);
	return false;
}

static bool bench_plan(const struct bench *b, struct load_plan *p)
{
	const char *how_many = b->rate ? b->connections : b->concurrency;
	double connections, seconds, warm_up, timeout;

	if (!bench_number("--rate", b->rate, 0, 0.001, BENCH_RATE_MAX, &p->rate) ||
	    !bench_number(b->rate ? "--connections" : "--concurrency", how_many,
			  b->rate ? BENCH_CONNECTIONS : 1, 1, BENCH_CONNECTIONS_MAX,
			  &connections) ||
	    !bench_number("--seconds", b->seconds, 10, 0.001, BENCH_SECONDS_MAX, &seconds) ||
	    !bench_number("--warm-up", b->warm_up, 1, 0, BENCH_SECONDS_MAX, &warm_up) ||
	    !bench_number("--timeout", b->timeout, 30, 0.001, BENCH_SECONDS_MAX, &timeout))
		return false;
	p->connections = (unsigned)connections;
	p->measure_ns = (uint64_t)(seconds * (double)NS_PER_S);
	p->warm_up_ns = (uint64_t)(warm_up * (double)NS_PER_S);
	p->answer_limit_ns = (uint64_t)(timeout * (double)NS_PER_S);
	return true;
}

/* The request as it goes over the wire. */
static void bench_request(const struct bench *b, const struct client *c, const char *target,
			  struct slice body, struct buf *out)
{
	const char *media = call_media(&b->a, b->file);
	struct slice host = slice_str(c->address);

	host = slice_istarts(host, SLICE("http://"))
		       ? slice_make(host.p + 7, strcspn(host.p + 7, "/"))
		       : SLICE("localhost");
	buf_printf(out, "POST %s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: sconce-bench\r\n", target,
		   SLICE_ARG(host));
	if (media)
		buf_printf(out, "Content-Type: %s\r\n", media);
	if (c->token)
		buf_printf(out, "Authorization: Bearer %s\r\n", c->token);
	buf_printf(out, "Content-Length: %zu\r\n\r\n", body.n);
	buf_put_slice(out, body);
}

/* ---- what came of it ---- */

static uint64_t bench_failed(const struct load_result *r)
{
	uint64_t n = r->lost + r->unanswered;

	for (size_t i = 0; i < LOAD_STATUSES; i++)
		n += load_status_is_good((unsigned)i) ? 0 : r->statuses[i];
	return n;
}

static double bench_throughput(const struct load_plan *p, const struct load_result *r)
{
	uint64_t ns = MAX(r->took_ns, p->rate > 0 ? p->measure_ns : 1);

	return (double)r->n * 1e9 / (double)ns;
}

static void bench_print_json(const struct load_plan *p, const struct load_result *r)
{
	const char *comma = "";

	printf("{\"requests\": %llu, \"failed\": %llu, \"unanswered\": %llu, \"late\": %llu, "
	       "\"seconds\": %.3f, \"rate\": %.3f, \"p50_ms\": %.3f, \"p90_ms\": %.3f, "
	       "\"p99_ms\": %.3f, \"max_ms\": %.3f, \"lost\": %llu, \"statuses\": {",
	       (unsigned long long)r->answers,
	       (unsigned long long)(bench_failed(r) - r->unanswered),
	       (unsigned long long)r->unanswered, (unsigned long long)r->late,
	       (double)r->took_ns / 1e9, bench_throughput(p, r), load_percentile(r, 0.5),
	       load_percentile(r, 0.9), load_percentile(r, 0.99), load_percentile(r, 1),
	       (unsigned long long)r->lost);
	for (size_t i = 0; i < LOAD_STATUSES; i++) {
		if (!r->statuses[i])
			continue;
		printf("%s\"%zu\": %llu", comma, i, (unsigned long long)r->statuses[i]);
		comma = ", ";
	}
	puts("}}");
}

static void bench_print_errors(const struct load_result *r)
{
	const char *comma = "";

	if (!bench_failed(r))
		return;
	fputs("errors      ", stdout);
	for (size_t i = 0; i < LOAD_STATUSES; i++) {
		if (!r->statuses[i] || load_status_is_good((unsigned)i))
			continue;
		printf("%s%llu with status %zu", comma, (unsigned long long)r->statuses[i], i);
		comma = ", ";
	}
	if (r->lost)
		printf("%s%llu connections lost", comma, (unsigned long long)r->lost);
	if (r->unanswered)
		printf("%s%llu without an answer", r->lost || *comma ? ", " : "",
		       (unsigned long long)r->unanswered);
	putchar('\n');
}

static void bench_print(const struct load_plan *p, const struct load_result *r)
{
	printf("throughput  %.1f answers/s (%zu in %.1f s)\n", bench_throughput(p, r), r->n,
	       (double)r->took_ns / 1e9);
	if (r->n)
		printf("latency     p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms%s\n",
		       load_percentile(r, 0.5), load_percentile(r, 0.9), load_percentile(r, 0.99),
		       load_percentile(r, 1), p->rate > 0 ? ", since they were due" : "");
	bench_print_errors(r);
	if (r->late)
		printf("late        %llu requests left over 1 ms after they were due: all %u "
		       "connections or this machine were busy; the latency has that in it\n",
		       (unsigned long long)r->late, p->connections);
}

static void bench_announce(const struct load_plan *p, const char *target, size_t body)
{
	printable_printf(stderr, "POST %s, %zu bytes: ", target, body);
	if (p->rate > 0)
		fprintf(stderr, "%g requests/s", p->rate);
	else
		fprintf(stderr, "%u client%s", p->connections, p->connections == 1 ? "" : "s");
	fprintf(stderr, " for %g s after %g s to warm up\n", (double)p->measure_ns / 1e9,
		(double)p->warm_up_ns / 1e9);
}

static int bench_measure(const struct bench *b, struct load_plan *p, const char *target,
			 size_t body)
{
	_cleanup_(buf_finish) struct buf why = BUF_INIT(4096);
	struct load_result result;
	int r;

	if (!b->json)
		bench_announce(p, target, body);
	r = load_run(p, &result, &why);
	if (r < 0)
		printable_printf(stderr, PROGRAM ": error: %s\n", buf_cstr(&why));
	else if (b->json)
		bench_print_json(p, &result);
	else
		bench_print(p, &result);
	r = r < 0 ? CLIENT_USAGE : bench_failed(&result) ? CLIENT_REFUSED : CLIENT_OK;
	load_result_finish(&result);
	return r;
}

/* One ordinary call first: what is wrong with it would be wrong with all. */
static int bench_try(struct client *c, const struct bench *b, const char *target, struct slice body)
{
	const char *media = call_media(&b->a, b->file);
	_cleanup_(freep) char *type = mem_printf("Content-Type:%s%s", media ? " " : "",
						 media ? media : "");
	const char *const lines[] = { type, "Expect:", NULL };
	int r;

	c->upload = &body;
	c->lines = lines;
	r = client_call(c, "POST", target);
	c->upload = NULL;
	c->lines = NULL;
	return r;
}

static int bench_run(struct client *c, const struct bench *b, struct load_plan *p)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(65536), body = BUF_INIT(CALL_FILE_MAX),
					 request = BUF_INIT(CALL_FILE_MAX + 65536);
	int r;

	if (!call_read(PROGRAM, b->file, &body))
		return CLIENT_USAGE;
	client_put_model(c, &target, "/predictions", b->a.model, b->a.version);
	r = bench_try(c, b, buf_cstr(&target), buf_slice(&body));
	if (r)
		return r;
	bench_request(b, c, buf_cstr(&target), buf_slice(&body), &request);
	p->address = c->address;
	p->request = buf_slice(&request);
	return bench_measure(b, p, buf_cstr(&target), body.n);
}

int bench_main(int argc, char **argv)
{
	struct client_options options = { .program = PROGRAM,
					  .key = "inference",
					  .inference = true };
	struct bench b = { 0 };
	struct load_plan plan = { 0 };
	struct client c;
	int r = options_parse(&bench_command, &b, argc, argv);

	if (r >= 0)
		return r;
	if (!bench_plan(&b, &plan))
		return CLIENT_USAGE;
	options.address = b.a.address;
	options.token = b.a.token;
	r = client_init(&c, &options);
	if (!r)
		r = bench_run(&c, &b, &plan);
	client_finish(&c);
	return r;
}
