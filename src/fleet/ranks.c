/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/ranks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"
#include "config/settings.h"
#include "fleet/maker.h"
#include "loop/turn.h"

#define RANKS_NODES_MAX 4096
#define RANKS_PORTS 1000       /* rendezvous ports, from initial_distribution_port */
#define RANKS_PATIENCE_MS 2000 /* for rank 0 to say why, when another failed to load */

/* One process beside rank 0. */
struct rank {
	struct child child;
	struct worker *worker;
	unsigned number;
};

/* Those of one worker, and while they are being made what all of them get. */
struct ranks {
	unsigned n, made; /* all; with a process, without rank 0 */
	int ends[4];
	struct rank all[]; /* from 1 */
};

unsigned ranks_wanted(const struct manifest *m, const struct devices *d)
{
	return slice_eq(m->parallel_type, SLICE("custom")) ? 0 : d->level;
}

unsigned ranks_nodes(const struct manifest *m, const struct devices *d)
{
	int64_t nodes = ranks_wanted(m, d) ? m->torchrun_nodes : 1;

	return (unsigned)MIN(MAX(nodes, 1), RANKS_NODES_MAX);
}

static unsigned ranks_local(const struct worker *w)
{
	return ranks_wanted(w->model.manifest, w->model.devices);
}

/* ---- where they find each other ---- */

static bool ranks_port_free(unsigned port)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_ANY) };
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;
}

/* Every start gets another port, so that those that start together do not meet. */
static unsigned ranks_pick_port(struct worker_shared *s)
{
	unsigned first = (unsigned)s->settings->initial_distribution_port;

	for (unsigned i = 0; i < RANKS_PORTS; i++) {
		unsigned port = first + s->next_rank_port++ % RANKS_PORTS;

		if (port <= 65535 && ranks_port_free(port))
			return port;
	}
	return first;
}

/* What is wrong with a torchrun section for several computers; NULL: nothing. */
static const char *ranks_complaint(const struct worker *w)
{
	const struct manifest *m = w->model.manifest;
	unsigned nodes = ranks_nodes(m, w->model.devices);
	struct slice backend = m->torchrun_backend;

	if (m->torchrun_node_rank >= (int64_t)nodes)
		return "torchrun.node-rank: it has to be less than nnodes";
	if (nodes > 1 && !m->torchrun_endpoint.n)
		return "torchrun.rdzv-endpoint: it has to name the node with node-rank 0";
	if (nodes > 1 && backend.n && !slice_eq(backend, SLICE("c10d")) &&
	    !slice_eq(backend, SLICE("static")))
		return "torchrun.rdzv-backend: for several nodes it has to be c10d or static";
	return NULL;
}

/* On one computer there is nothing to agree on. For several the endpoint says where rank 0 is. */
static int ranks_choose_master(struct worker *w)
{
	const char *complaint = ranks_complaint(w);
	struct slice port = w->model.manifest->torchrun_endpoint, host = slice_cut(&port, ':');
	uint64_t number = w->shared->settings->initial_distribution_port;

	free(TAKE(w->master));
	if (complaint) {
		free(w->load_message);
		w->load_message = mem_strdup(complaint);
		return err_origin(-EINVAL);
	}
	if (ranks_nodes(w->model.manifest, w->model.devices) == 1) {
		host = SLICE("127.0.0.1");
		number = ranks_pick_port(w->shared);
	} else {
		slice_u64(port, &number);
	}
	w->master = slice_dup(host);
	w->master_port = (unsigned)MIN(number, 65535);
	return 0;
}

static void ranks_environment(const struct worker *w, unsigned rank,
			      void (*set)(void *arg, char *line), void *arg)
{
	const struct manifest *m = w->model.manifest;
	unsigned local = ranks_local(w), nodes = ranks_nodes(m, w->model.devices);
	unsigned node = (unsigned)MAX(m->torchrun_node_rank, 0);
	const struct {
		const char *name;
		unsigned value;
	} numbers[] = {
		{ "LOCAL_RANK", rank },
		{ "RANK", node * local + rank },
		{ "GROUP_RANK", node },
		{ "ROLE_RANK", node * local + rank },
		{ "LOCAL_WORLD_SIZE", local },
		{ "WORLD_SIZE", nodes * local },
		{ "GROUP_WORLD_SIZE", nodes },
		{ "ROLE_WORLD_SIZE", nodes * local },
		{ "MASTER_PORT", w->master_port },
		{ "TORCHELASTIC_RESTART_COUNT", 0 },
		{ "TORCHELASTIC_MAX_RESTARTS", 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		set(arg, mem_printf("%s=%u", numbers[i].name, numbers[i].value));
	set(arg, mem_printf("MASTER_ADDR=%s", w->master));
	set(arg, mem_strdup("ROLE_NAME=default"));
	set(arg, mem_printf("TORCHELASTIC_RUN_ID=%s_%u", w->model.name, w->id));
}

/* ---- life ---- */

static const char *const ranks_arguments[] = { "sconce.worker", NULL };

static void ranks_late(uv_timer_t *t)
{
	TURN(t);
	worker_kill(t->data, NULL);
}

static void ranks_exited(struct child *c, int status)
{
	struct rank *rank = container_of(c, struct rank, child);
	struct worker *w = rank->worker;
	bool loading = w->state == WORKER_STARTING || w->state == WORKER_LOADING;
	char how[96], why[160];

	if (w->state == WORKER_STOPPING)
		return;
	child_describe(status, how, sizeof(how));
	snprintf(why, sizeof(why), "rank %u of %u %s", rank->number, w->ranks->n, how);
	if (!loading) {
		worker_kill(w, why);
		return;
	}
	if (!w->load_message)
		w->load_message = mem_printf("%s while loading", why);
	uv_update_time(w->shared->loop);
	uv_timer_start(w->timer, ranks_late, RANKS_PATIENCE_MS, 0);
}

static int ranks_tell_lead(struct worker *w, unsigned number, int fd)
{
	struct frame_writer fw;
	char packet[FRAME_HEAD];

	frame_begin(&fw, packet, sizeof(packet), FRAME_PEER, number);
	return channel_send(&w->channel, frame_end(&fw), &fd, 1);
}

/* A process with a socket to rank 0. */
static int ranks_add(struct worker *w, struct rank *rank)
{
	_cleanup_(closep) int lead = -1, own = -1;
	const int *ends = w->ranks->ends;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_origin(-errno);
	lead = pair[0];
	own = pair[1];
	r = ranks_tell_lead(w, rank->number, lead);
	if (!r)
		r = python_spawn(w, &rank->child, ranks_arguments, (int)rank->number,
				 (const int[4]){ ends[0], ends[1], ends[2], own }, ranks_exited);
	return r < 0 ? err_trace(r) : 0;
}

static void ranks_lead_exited(struct child *c, int status)
{
	worker_ended(container_of(c, struct worker, child), status, NULL);
}

static void ranks_drop_ends(struct ranks *rs)
{
	for (size_t i = 0; i < ARRAY_LEN(rs->ends); i++) {
		closep(&rs->ends[i]);
		rs->ends[i] = -1;
	}
}

static int ranks_keep_ends(struct ranks *rs, const int ends[4])
{
	for (size_t i = 0; i < ARRAY_LEN(rs->ends); i++)
		rs->ends[i] = -1;
	for (size_t i = 0; i < ARRAY_LEN(rs->ends); i++) {
		rs->ends[i] = ends[i] < 0 ? -1 : fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
		if (ends[i] >= 0 && rs->ends[i] < 0)
			return err_origin(-errno);
	}
	return 0;
}

/* Rank 0 comes last: it finds word of all others. On failure those that run end with the worker. */
static int ranks_go_on(struct worker *w)
{
	struct ranks *rs = w->ranks;
	int r;

	if (rs->made + 1 < rs->n) {
		rs->made++;
		r = ranks_add(w, &rs->all[rs->made]);
		return r < 0 ? err_trace(r) : MAKER_MORE;
	}
	r = python_spawn(w, &w->child, ranks_arguments, 0, rs->ends, ranks_lead_exited);
	if (r < 0)
		return err_trace(r);
	ranks_drop_ends(rs);
	worker_started(w, w->child.pid);
	return 0;
}

static int ranks_start(struct worker *w, const int ends[4])
{
	unsigned n = ranks_local(w);
	int r;

	w->ranks = mem_zalloc(sizeof(*w->ranks) + n * sizeof(w->ranks->all[0]));
	w->ranks->n = n;
	for (unsigned i = 1; i < n; i++) {
		w->ranks->all[i].worker = w;
		w->ranks->all[i].number = i;
	}
	r = ranks_keep_ends(w->ranks, ends);
	if (!r)
		r = ranks_choose_master(w);
	return r < 0 ? err_trace(r) : ranks_go_on(w);
}

static void ranks_kill(struct worker *w)
{
	if (w->pid)
		child_kill(&w->child, SIGKILL);
	else
		worker_end_soon(w, "was ended while its ranks were started");
}

static void ranks_clear(struct worker *w)
{
	if (!w->ranks)
		return;
	for (unsigned i = 1; i <= w->ranks->made; i++)
		child_abandon(&w->ranks->all[i].child);
	ranks_drop_ends(w->ranks);
	free(TAKE(w->ranks));
}

static bool ranks_suits(const struct worker *w)
{
	return ranks_local(w) > 0;
}

/* Each of them: OMP_NUMBER_THREADS of the model, whatever the server's environment says. */
static unsigned ranks_threads(const struct worker *w)
{
	return (unsigned)MAX(w->model.manifest->torchrun_threads, 1);
}

const struct worker_maker maker_ranks = {
	.name = "ranks",
	.suits = ranks_suits,
	.start = ranks_start,
	.go_on = ranks_go_on,
	.kill = ranks_kill,
	.clear = ranks_clear,
	.threads = ranks_threads,
	.environment = ranks_environment,
};
