/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/zygote.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "fleet/channel.h"
#include "child/output.h"
#include "fleet/environment.h"
#include "fleet/maker.h"
#include "fleet/python.h"
#include "log/log.h"
#include "wire/json.h"

#define ZYGOTE_FAILURES_MAX 3
#define ZYGOTE_ORDERS_MAX 4096 /* TorchServe's bound of workers of a model, too */
#define ZYGOTE_HAS_THREADS 3   /* its exit code when what it imported makes forking unsafe */

enum zygote_kind { ZYGOTE_PLAIN, ZYGOTE_TORCH, ZYGOTE_KINDS };

static const char *const zygote_labels[] = { "zygote", "zygote-torch" };
static char zygote_torch[] = "torch";

/* A worker that was asked for. */
struct zygote_order {
	struct list link;
	uint64_t token;
	struct worker *worker; /* NULL: no longer wanted */
};

struct zygote {
	struct worker_shared *shared;
	enum zygote_kind kind;
	struct child child;
	struct channel channel;
	struct output out, err;
	struct list orders;
	unsigned failures; /* died without having made anything */
};

struct zygotes {
	struct zygote all[ZYGOTE_KINDS];
	uint64_t next_token;
};

static void zygote_child_exited(struct child *c, int status)
{
	worker_ended(container_of(c, struct worker, child), status, NULL);
}

static void zygote_made(struct worker *w, pid_t pid)
{
	child_adopt(w->shared->children, &w->child, pid, zygote_child_exited);
	worker_started(w, pid);
}

static void zygote_settle(struct zygote_order *o, pid_t pid)
{
	struct worker *w = o->worker;

	list_remove(&o->link);
	free(o);
	if (w && pid)
		zygote_made(w, pid);
	else if (w)
		worker_end_soon(w, "could not be forked");
	else if (pid)
		kill(pid, SIGKILL);
}

static int zygote_received(struct channel *c, const struct frame *f)
{
	struct zygote *z = container_of(c, struct zygote, channel);
	yyjson_doc *doc;
	int64_t token = 0;

	if (f->type != FRAME_SPAWNED)
		return 0;
	doc = yyjson_read_opts((char *)(uintptr_t)f->body.p, f->body.n, 0, NULL, NULL);
	json_i64(yyjson_doc_get_root(doc), "token", &token);
	yyjson_doc_free(doc);
	list_for_each (n, &z->orders) {
		struct zygote_order *o = container_of(n, struct zygote_order, link);

		if (o->token != (uint64_t)token)
			continue;
		z->failures = 0;
		/* Nothing that is killed as a group may be everybody. */
		zygote_settle(o, f->arg > 1 && f->arg <= INT32_MAX ? (pid_t)f->arg : 0);
		return 0;
	}
	return 0;
}

static void zygote_broken(struct channel *c, const char *why)
{
	struct zygote *z = container_of(c, struct zygote, channel);

	if (why)
		child_kill(&z->child, SIGKILL);
}

/* It has ended, or is not waited for: its failure is not the workers', which are made some other
 * way. */
static void zygote_gone(struct zygote *z, const char *how)
{
	struct list orders = LIST_INIT(orders);
	struct list *n;

	channel_close(&z->channel);
	output_drain(&z->out);
	output_drain(&z->err);
	log_warn("%s %s%s", zygote_labels[z->kind], how,
		 z->failures >= ZYGOTE_FAILURES_MAX ? "; workers are started without it from now on"
						    : "");
	list_splice_back(&orders, &z->orders);
	while ((n = list_pop(&orders))) {
		struct zygote_order *o = container_of(n, struct zygote_order, link);

		if (o->worker)
			worker_launch_again(o->worker);
		free(o);
	}
}

static void zygote_exited(struct child *c, int status)
{
	struct zygote *z = container_of(c, struct zygote, child);
	bool useless = WIFEXITED(status) && WEXITSTATUS(status) == ZYGOTE_HAS_THREADS;
	char how[96];

	child_describe(status, how, sizeof(how));
	channel_drain(&z->channel);
	z->failures = useless ? ZYGOTE_FAILURES_MAX : z->failures + 1;
	zygote_gone(z, how);
}

static int zygote_start(struct zygote *z)
{
	struct worker_shared *s = z->shared;
	static char module[] = "-m", name[] = "sconce.zygote", fd[] = "--fd", three[] = "3",
		    preload[] = "--preload";
	bool torch = z->kind == ZYGOTE_TORCH;
	char *argv[] = { s->python->executable,  module,       name, fd, three,
			 torch ? preload : NULL, zygote_torch, NULL };
	char **environment = worker_environment(s, NULL, 0);
	/* What it forks has its standard input. */
	int ends[4] = { s->settings->dev ? STDIN_FILENO : -1, -1, -1, -1 };
	int r = channel_open(&z->channel, s->loop, &ends[3]);

	z->channel.received = zygote_received;
	z->channel.broken = zygote_broken;
	/* All workers of a server may wait while it imports torch. */
	z->channel.bytes_max = ZYGOTE_ORDERS_MAX * FRAME_SOFT;
	z->channel.fds_max = ZYGOTE_ORDERS_MAX * 3;
	if (!r)
		r = output_open(&z->out, s->loop, zygote_labels[z->kind], false, &ends[1]);
	if (!r)
		r = output_open(&z->err, s->loop, zygote_labels[z->kind], true, &ends[2]);
	if (!r) {
		struct spawn spawn = { .file = s->python->executable,
				       .argv = argv,
				       .environment = environment };

		memcpy(spawn.fds, ends, sizeof(ends));
		r = child_spawn(s->children, &z->child, &spawn, zygote_exited);
	}
	for (size_t i = 1; i < ARRAY_LEN(ends); i++)
		closep(&ends[i]);
	environment_free(environment);
	if (r) {
		channel_close(&z->channel);
		output_close(&z->out);
		output_close(&z->err);
	}
	return r;
}

/* A document has text: what is none would reach the worker as something else. */
static bool zygote_can_be_told(char *const *environment, const char *cwd)
{
	bool text = utf8_valid(slice_str(cwd));

	for (; *environment; environment++)
		text = text && utf8_valid(slice_str(*environment));
	return text;
}

static int zygote_order(struct zygote *z, uint64_t token, char *const *environment, const char *cwd,
			const int fds[3])
{
	static char packet[FRAME_MAX];
	struct buf json = BUF_INIT(FRAME_MAX - FRAME_HEAD);
	struct frame_writer fw;
	int r;

	if (!zygote_can_be_told(environment, cwd))
		return -EILSEQ;
	buf_printf(&json, "{\"token\":%llu,\"cwd\":", (unsigned long long)token);
	json_put_string(&json, slice_str(cwd));
	buf_puts(&json, ",\"environment\":{");
	for (char *const *e = environment; *e; e++) {
		struct slice value = slice_str(*e), key = slice_cut(&value, '=');

		if (e != environment)
			buf_putc(&json, ',');
		json_put_string(&json, key);
		buf_putc(&json, ':');
		json_put_string(&json, value);
	}
	buf_puts(&json, "}}");
	frame_begin(&fw, packet, sizeof(packet), FRAME_SPAWN, token);
	r = buf_overflowed(&json) ? -E2BIG : frame_put_bytes(&fw, buf_slice(&json));
	buf_finish(&json);
	if (!r)
		r = channel_send(&z->channel, frame_end(&fw), fds, 3);
	return r;
}

/* ---- the maker ---- */

/* Zygotes are of the server's own Python. */
static bool zygote_suits(const struct worker *w)
{
	return w->shared->zygotes && !w->model.python && w->shared->python->executable;
}

static struct zygote *zygotes_pick(struct zygotes *zs, const struct worker *w)
{
	struct zygote *torch = &zs->all[ZYGOTE_TORCH], *plain = &zs->all[ZYGOTE_PLAIN];

	if (w->model.wants_torch && *w->model.wants_torch && torch->failures < ZYGOTE_FAILURES_MAX)
		return torch;
	return plain->failures < ZYGOTE_FAILURES_MAX ? plain : NULL;
}

static int zygote_fork(struct worker *w, const int ends[4])
{
	struct zygotes *zs = w->shared->zygotes;
	struct zygote *z = zygotes_pick(zs, w);
	struct zygote_order *o;
	char **environment;
	int r;

	if (!z || (!z->child.pid && zygote_start(z) < 0))
		return MAKER_OFF;
	environment = worker_environment(w->shared, w, 0);
	r = zygote_order(z, ++zs->next_token, environment, w->model.dir, &ends[1]);
	environment_free(environment);
	if (r < 0)
		return MAKER_OFF;
	o = mem_new(struct zygote_order);
	o->token = zs->next_token;
	o->worker = w;
	list_push_back(&z->orders, &o->link);
	return 0;
}

/* It makes no others either. What the kernel holds does not even die, so that is not waited for. */
static void zygote_end(struct zygote *z)
{
	channel_drain(&z->channel);
	child_abandon(&z->child);
	z->failures++;
	zygote_gone(z, "does not answer: it is ended");
}

/* Nobody waits for this process any more. One that was waited for too long shows a zygote that
 * hangs. */
static void zygote_give_up(struct zygotes *zs, const struct worker *w)
{
	for (int k = 0; k < ZYGOTE_KINDS; k++) {
		struct zygote *z = &zs->all[k];

		list_for_each (n, &z->orders) {
			struct zygote_order *o = container_of(n, struct zygote_order, link);

			if (o->worker != w)
				continue;
			o->worker = NULL;
			if (w->timed_out)
				zygote_end(z);
			return;
		}
	}
}

static void zygote_kill(struct worker *w)
{
	if (w->pid) {
		child_kill(&w->child, SIGKILL);
		return;
	}
	zygote_give_up(w->shared->zygotes, w);
	worker_end_soon(w, "was not made by its zygote");
}

const struct worker_maker maker_zygote = {
	.name = "zygote",
	.suits = zygote_suits,
	.start = zygote_fork,
	.kill = zygote_kill,
};

/* ---- all of them ---- */

struct zygotes *zygotes_create(struct worker_shared *s)
{
	struct zygotes *zs = mem_new(struct zygotes);

	for (int k = 0; k < ZYGOTE_KINDS; k++) {
		zs->all[k].shared = s;
		zs->all[k].kind = (enum zygote_kind)k;
		list_init(&zs->all[k].orders);
	}
	return zs;
}

struct zygotes *zygotes_destroy(struct zygotes *zs)
{
	struct list *n;

	for (int k = 0; zs && k < ZYGOTE_KINDS; k++) {
		struct zygote *z = &zs->all[k];

		child_abandon(&z->child);
		channel_close(&z->channel);
		output_close(&z->out);
		output_close(&z->err);
		while ((n = list_pop(&z->orders)))
			free(container_of(n, struct zygote_order, link));
	}
	free(zs);
	return NULL;
}
