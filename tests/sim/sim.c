/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sim [--seed N] [--seeds N] [--steps N] [--seconds N | --hours N] [--verbose]
 *
 * Runs seeds, one after the other, from the first on, until there are enough or the time is over.
 * Each has a process of its own: what one leaves behind (the seeds of hashes and of ids, memory,
 * descriptors) cannot make the next one another than it is alone.
 */

#include "sim.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define SIM_STEPS 3000
#define SIM_TURN_S 60 /* of real time, for a machine that is busy: a turn that does not end */

void sim_fail(const struct sim *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("FAILED, seed %llu, step %u, %.3f s: ", (unsigned long long)s->seed, s->step,
	       (double)system_now_ns() / 1e9);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
	abort();
}

void sim_say(const struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->verbose)
		return;
	va_start(ap, fmt);
	printf("%6u %9.3f ", s->step, (double)system_now_ns() / 1e9);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
}

void sim_turn(struct sim *s)
{
	uint64_t began_ns = system_real_ns(), took_ns;
	unsigned calls;

	alarm(SIM_TURN_S);
	calls = system_turn();
	took_ns = system_real_ns() - began_ns;
	s->figures.turns++;
	s->figures.turn_max_ns = MAX(s->figures.turn_max_ns, took_ns);
	s->figures.calls_max = MAX(s->figures.calls_max, calls);
	if (calls > SIM_TURN_CALLS_MAX)
		sim_fail(s, "one turn of the loop made %u reads and writes", calls);
}

/* ---- the weather ---- */

static void sim_draw_weather(struct sim *s)
{
	struct weather *w = &s->weather;
	const struct {
		const char *name;
		bool *is;
	} all[] = {
		{ "slow", &w->slow_clients }, { "rude", &w->rude_clients },
		{ "bad", &w->bad_requests },  { "big", &w->big_bodies },
		{ "deaths", &w->deaths },     { "stalls", &w->stalls },
		{ "lies", &w->lies },         { "starts", &w->bad_starts },
		{ "manage", &w->manage },     { "tight", &w->tight_memory },
		{ "short", &w->short_queue }, { "descriptors", &w->no_descriptors },
		{ "writes", &w->bad_writes }, { "jumps", &w->jumps },
		{ "talks", &w->talks },
	};
	/* One seed in eight has fine weather: there every answer must be the planned one. */
	unsigned often = s->seed % 8 ? 100 + random_below(&s->random, 400) : 0;

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		*all[i].is = random_chance(&s->random, often);
	if (!often)
		w->big_bodies = random_chance(&s->random, 750);
	w->unmarked = random_chance(&s->random, 500);
	w->manage = w->manage || w->talks;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (*all[i].is)
			sim_say(s, "weather: %s", all[i].name);
	if (w->unmarked)
		sim_say(s, "weather: unmarked");
}

static void sim_faults(struct sim *s)
{
	struct system_faults f = { .short_write = 30, .again = 20 };

	if (s->weather.no_descriptors)
		f.descriptors = 200;
	if (s->weather.bad_writes)
		f = (struct system_faults){ f.descriptors, 300, 200, 5 };
	system_set_faults(&f);
}

/* ---- a run ---- */

static void sim_registered(void *arg, const struct outcome *o)
{
	(void)o;
	--*(unsigned *)arg;
}

/* The models that are there from the beginning. */
static void sim_register(struct sim *s)
{
	unsigned left = s->n_models, tries = 0;

	for (unsigned i = 0; i < s->n_models; i++) {
		struct registration r = { .url = slice_str(s->models[i].url),
					  .batch_size = -1,
					  .max_batch_delay_ms = -1,
					  .latency_goal_ms = -1,
					  .initial_workers = 1 + random_below(&s->random, 2),
					  .response_timeout_s = -1,
					  .startup_timeout_s = -1,
					  .synchronous = true };

		system_enter();
		fleet_register(&s->front.fleet, &r, sim_registered, &left);
		system_leave();
	}
	while (left) {
		processes_step(s);
		sim_turn(s);
		system_advance(10 * NS_PER_MS);
		if (++tries > 100000)
			sim_fail(s, "the first models are never ready");
	}
}

static void sim_time(struct sim *s)
{
	struct sim_random *r = &s->random;

	const struct weather *w = &s->weather;
	bool restarts = w->deaths || w->lies || w->stalls || w->bad_starts;

	if (w->jumps && random_chance(r, 10))
		system_advance(random_size(r, 15000) * NS_PER_MS);
	else if (restarts && random_chance(r, 10))
		system_advance(random_size(r, 2000) * NS_PER_MS);
	else
		system_advance(random_size(r, 2000) * NS_PER_US);
}

static void sim_step(struct sim *s)
{
	struct sim_random *r = &s->random;
	unsigned acts = 1 + random_below(r, 12);

	if (s->n_clients < SIM_CLIENTS_MAX && random_chance(r, 100))
		client_create(s);
	while (acts--) {
		struct sim_client *c = client_pick(s);
		struct process *p = random_chance(r, 500) ? process_pick(s) : NULL;

		if (c)
			client_step(s, c);
		if (p)
			process_step(s, p);
	}
	if (s->weather.manage)
		manager_step(s);
	if (!s->weather.bad_writes && random_chance(r, 20))
		client_probe(s, "/livez", 200);
	sim_time(s);
	sim_turn(s);
	clients_step_probes(s);
	oracle_watch(s);
}

static void sim_run(struct sim *s)
{
	random_seed(&s->random, s->seed);
	list_init(&s->clients);
	sim_draw_weather(s);
	models_draw(s);
	processes_init(s);
	system_init(&s->front.loop, s->seed, s->verbose);
	front_start(s);
	s->calm = true;
	sim_register(s);
	s->calm = false;
	sim_faults(s);
	for (s->step = 1; s->step <= s->steps; s->step++)
		sim_step(s);
	oracle_end(s);
	front_finish(s);
}

/* ---- the program ---- */

struct sim_options {
	uint64_t seed, seeds, seconds;
	unsigned steps;
	bool verbose;
};

static uint64_t sim_present; /* the seed that runs, for who dies */

static void sim_died(int sig)
{
	printf("the run of seed %llu ended by signal %d\n", (unsigned long long)sim_present, sig);
	fflush(stdout);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void sim_report(const struct sim *s)
{
	const struct sim_figures *f = &s->figures;

	printf("seed %llu: %llu asked, %llu answered (%llu as planned, %llu refused), %llu broken "
	       "off, %llu deaths; at most %u calls and %.1f ms a turn, %zu MB\n",
	       (unsigned long long)s->seed, (unsigned long long)f->asked,
	       (unsigned long long)f->answered, (unsigned long long)f->planned,
	       (unsigned long long)f->refused, (unsigned long long)f->broken,
	       (unsigned long long)f->deaths, f->calls_max, (double)f->turn_max_ns / 1e6,
	       f->heap_max >> 20);
	fflush(stdout);
}

static void sim_options(int argc, char **argv, struct sim_options *o)
{
	static const struct option names[] = { { "seed", required_argument, NULL, 's' },
					       { "seeds", required_argument, NULL, 'n' },
					       { "steps", required_argument, NULL, 't' },
					       { "seconds", required_argument, NULL, 'd' },
					       { "hours", required_argument, NULL, 'h' },
					       { "verbose", no_argument, NULL, 'v' },
					       { 0 } };
	int c;

	*o = (struct sim_options){ .seed = 1, .seeds = 1, .steps = SIM_STEPS };
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;

		if (c == 's')
			o->seed = n;
		else if (c == 'n')
			o->seeds = n;
		else if (c == 't')
			o->steps = (unsigned)n;
		else if (c == 'd')
			o->seconds = n;
		else if (c == 'h')
			o->seconds = (uint64_t)(strtod(optarg, NULL) * 3600);
		else if (c == 'v')
			o->verbose = true;
		else
			exit(2);
	}
	if (o->seconds)
		o->seeds = UINT64_MAX;
}

static void sim_run_seed(const struct sim_options *o, uint64_t seed)
{
	static struct sim s;

	s = (struct sim){ .seed = seed, .steps = o->steps, .verbose = o->verbose };
	sim_present = seed;
	sim_run(&s);
	sim_report(&s);
}

/* Returns what the program shall end with. */
static int sim_run_apart(const struct sim_options *o, uint64_t seed)
{
	pid_t pid, parent = getpid();
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		return 1;
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			sim_run_seed(o, seed);
		exit(0); /* a sanitizer looks for leaks */
	}
	if (waitpid(pid, &status, 0) < 0)
		return 1;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	printf("FAILED, seed %llu: make sim SEED=%llu shows it again\n", (unsigned long long)seed,
	       (unsigned long long)seed);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	uint64_t began_ns = system_real_ns();
	struct sim_options o;
	int r;

	sim_options(argc, argv, &o);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGABRT, sim_died);
	signal(SIGALRM, sim_died);
	for (uint64_t i = 0; i < o.seeds; i++) {
		if (o.seconds && system_real_ns() - began_ns > o.seconds * NS_PER_S)
			break;
		r = sim_run_apart(&o, o.seed + i);
		if (r)
			return r;
	}
	return 0;
}
