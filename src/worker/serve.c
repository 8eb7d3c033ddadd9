/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/session.h"

/* What the thread of an instance does: batches in, replies out. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "worker/piped.h"
#include "worker/replies.h"
#include "worker/stack.h"

/* Replies wait for those of the batches behind theirs only while batches are this short. */
#define SERVE_HOLD_NS UINT64_C(100000)
#define SERVE_ANSWER_SLACK ((size_t)65536)
/* Behind memory that an engine is offered lies that of another's answer. */
#define SERVE_GUARD ((size_t)64)
#define SERVE_GUARD_BYTE 0xa5

struct serving {
	struct session *session;
	struct model *model;
	unsigned instance;
	struct replies replies;
	struct spent spent;
};

/* As Python's handlers fail: the reason is for the log. */
static void serve_fail_handler(struct serving *v, struct session_request *r, int code,
			       const struct sconce_error *e)
{
	bool memory = code == SCONCE_NO_MEMORY;

	fprintf(stderr, "Request %.*s: %s\n", FRAME_UUID, r->entry.uuid, e->text);
	replies_fail(&v->replies, r, memory ? 507 : 503,
		     memory ? "Out of resources" : "Prediction failed");
}

static void serve_fail(struct serving *v, struct session_request *r, int code,
		       const struct sconce_error *e)
{
	int status = code == SCONCE_BAD_INPUT ? 400 : code == SCONCE_NO_MEMORY ? 507 : 500;
	char message[SCONCE_ERROR_MAX + 64];

	if (code == PIPELINE_LACKS) {
		replies_fail(&v->replies, r, 503, e->text);
		return;
	}
	if (v->session->pipeline && pipeline_is_handler(v->session->pipeline)) {
		serve_fail_handler(v, r, code, e);
		return;
	}
	if (status == 500)
		fprintf(stderr, "Request %.*s: the engine failed: %s\n", FRAME_UUID, r->entry.uuid,
			e->text);
	snprintf(message, sizeof(message), "%s%s", status == 500 ? "The model failed: " : "",
		 e->text);
	replies_fail(&v->replies, r, status, message);
}

static void serve_answer(struct serving *v, struct session_request *r, const struct body *b,
			 const struct sconce_tensor *outputs)
{
	struct answer a = { .body = BUF_INIT(v->session->max_response_size + SERVE_ANSWER_SLACK) };
	struct sconce_error e = { "" };
	unsigned phase = spent_open(&v->spent, "postprocess");
	int code = r->piped ? piped_write(r, outputs, &a, &e)
			    : answer_write(&a, b, v->model->signature, v->session->model_name,
					   outputs, &e);

	spent_close(&v->spent, phase);
	if (v->session->pipeline && pipeline_is_handler(v->session->pipeline))
		a.type = ""; /* as what Python's handlers return */
	r->answered = !code;
	if (code == -ENOBUFS)
		replies_fail(&v->replies, r, 507,
			     "The response is larger than max_response_size allows.");
	else if (code < 0)
		serve_fail(v, r, code, &e);
	else
		replies_put(&v->replies, r, &a);
	buf_finish(&a.body);
}

/* ---- one request ---- */

/* Raw bytes of one output may be made where the front will read them. */
static struct sconce_tensor serve_offer(struct serving *v, const struct session_request *r,
					const struct body *b)
{
	struct sconce_tensor offer = { 0 };

	if (r->piped || b->form != FORM_RAW || v->model->signature->n_outputs != 1 ||
	    r->grant.length <= SERVE_GUARD)
		return offer;
	offer.data = memory_grant(&v->session->memory, r->grant);
	if (!offer.data)
		return offer;
	offer.bytes = r->grant.length - SERVE_GUARD;
	memset((char *)offer.data + offer.bytes, SERVE_GUARD_BYTE, SERVE_GUARD);
	return offer;
}

/* What was written beyond it may be what others are about to be sent: nothing is sent any more. */
static void serve_check_offer(struct serving *v, const struct sconce_tensor *offer,
			      const struct sconce_tensor *output)
{
	const unsigned char *guard = (const unsigned char *)offer->data + offer->bytes;
	bool within = output->data != offer->data || output->bytes <= offer->bytes;
	char why[256];

	for (size_t i = 0; i < SERVE_GUARD && within; i++)
		within = guard[i] == SERVE_GUARD_BYTE;
	if (within)
		return;
	snprintf(why, sizeof(why),
		 "the engine %.64s wrote beyond the %llu bytes that it was offered",
		 v->model->plugin.table->name, (unsigned long long)offer->bytes);
	session_broken(why);
}

static int serve_run(struct serving *v, const struct body *b, struct sconce_tensor *outputs,
		     struct sconce_error *e)
{
	unsigned phase = spent_open(&v->spent, "inference");
	int code = model_run_body(v->model, v->instance, b, outputs, e);

	spent_close(&v->spent, phase);
	return code;
}

static void serve_single(struct serving *v, struct session_request *r, const struct body *b)
{
	struct sconce_tensor outputs[BODY_INPUTS_MAX] = { 0 };
	struct sconce_error e = { "" };
	struct sconce_tensor offer = serve_offer(v, r, b);
	struct answer a = { 0 };
	int code;

	if (!session_begin_run(v->session, v->instance, r, NULL, 1)) {
		replies_nobody(&v->replies, r);
		return;
	}
	outputs[0] = offer;
	code = serve_run(v, b, outputs, &e);
	session_end_run(v->session, v->instance, r, 1);
	if (offer.data)
		serve_check_offer(v, &offer, outputs);
	if (code < 0) {
		if (session_cancelled(v->session, r))
			replies_nobody(&v->replies, r);
		else
			serve_fail(v, r, code, &e);
		return;
	}
	if (offer.data && outputs->data == offer.data) {
		answer_describe_raw(&a, b, outputs);
		replies_put_granted(&v->replies, r, &a, outputs->bytes);
	} else {
		serve_answer(v, r, b, outputs);
	}
	model_release(outputs, v->model->signature->n_outputs);
}

/* ---- several ---- */

static void serve_parts(struct serving *v, struct session_job *j, struct body *bodies,
			const struct stack *k, const struct sconce_tensor *outputs)
{
	struct sconce_tensor parts[BODY_INPUTS_MAX];
	int64_t from = 0;

	for (unsigned i = 0; i < j->n; i++) {
		if (!k->rows[i])
			continue;
		for (size_t o = 0; o < v->model->signature->n_outputs; o++)
			parts[o] = stack_part(k, &outputs[o], from, k->rows[i]);
		serve_answer(v, &j->requests[i], &bodies[i], parts);
		from += k->rows[i];
	}
}

/* Which of those that have no answer yet can be run as one: those that agree with the first. */
static unsigned serve_choose(const struct session_job *j, const struct body *bodies,
			     const bool *tried, bool *in)
{
	const struct body *first = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < j->n; i++) {
		in[i] = false;
		if (j->requests[i].over || tried[i] || !bodies[i].n || !bodies[i].inputs->ndim ||
		    bodies[i].inputs->shape[0] < 1)
			continue;
		first = first ? first : &bodies[i];
		in[i] = stack_agrees(first, &bodies[i]);
		n += in[i];
	}
	return n;
}

/* What this does not answer is run by itself. */
static void serve_stack(struct serving *v, struct session_job *j, struct body *bodies,
			const bool *in)
{
	struct sconce_tensor outputs[BODY_INPUTS_MAX] = { 0 };
	const struct sconce_signature *s = v->model->signature;
	struct sconce_error e = { "" };
	struct stack k;
	int r = -1;

	if (!stack_make(&k, bodies, in, j->n, s) &&
	    session_begin_run(v->session, v->instance, j->requests, in, j->n)) {
		r = serve_run(v, &k.all, outputs, &e);
		session_end_run(v->session, v->instance, j->requests, j->n);
	}
	if (r >= 0) {
		if (stack_fits(&k, outputs, s->n_outputs))
			serve_parts(v, j, bodies, &k, outputs);
		model_release(outputs, s->n_outputs);
	}
	stack_finish(&k);
}

/* A run for each shape that came. */
static void serve_stacked(struct serving *v, struct session_job *j, struct body *bodies)
{
	_cleanup_(freep) bool *in = mem_zalloc(2 * j->n * sizeof(*in));
	bool *tried = in + j->n;
	unsigned n;

	while ((n = serve_choose(j, bodies, tried, in))) {
		if (n > 1)
			serve_stack(v, j, bodies, in);
		for (unsigned i = 0; i < j->n; i++)
			tried[i] = tried[i] || in[i];
	}
}

/* What a default handler answers without captum, which would have kept it in Python. */
#define SERVE_NO_CAPTUM                                                                            \
	"an explanation needs the package captum, which cannot be imported (No module named "      \
	"'captum'): install it in the Python of the workers, or name it in the archive's "         \
	"requirements.txt"

static void serve_explain(struct serving *v, struct session_request *r)
{
	if (v->session->pipeline && pipeline_is_handler(v->session->pipeline))
		replies_fail(&v->replies, r, 503, SERVE_NO_CAPTUM);
	else
		replies_fail(&v->replies, r, 501, "An engine does not explain its predictions.");
}

static bool serve_special(struct serving *v, struct session_request *r)
{
	struct answer a = { .type = "application/json", .body = BUF_INIT(16) };

	if (session_cancelled(v->session, r)) {
		replies_nobody(&v->replies, r);
	} else if (r->entry.flags & FRAME_RUN_EXPLAIN) {
		serve_explain(v, r);
	} else if (r->entry.flags & FRAME_RUN_DESCRIBE) {
		buf_puts(&a.body, v->session->pipeline ? "null" : "{}");
		replies_put(&v->replies, r, &a);
		buf_finish(&a.body);
	}
	return r->over;
}

static void serve_read(struct serving *v, struct session_request *r, struct body *b)
{
	struct slice rest = r->entry.headers, name, value, accept = SLICE("");
	struct sconce_error e = { "" };
	int code;

	while (frame_header_next(&rest, &name, &value) > 0) {
		if (slice_ieq(name, SLICE("x-tensor-shape")))
			b->shape = value;
		else if (slice_ieq(name, SLICE("x-tensor-dtype")))
			b->dtype = value;
		else if (slice_ieq(name, SLICE("accept")))
			accept = value;
	}
	if (v->session->pipeline)
		code = piped_read(v->session, r, b, &v->spent, &e);
	else
		code = body_read(b, v->model->signature, r->parts, r->entry.n_parts, &e);
	if (!code && !v->session->pipeline)
		code = answer_choose(b, accept, &e);
	if (code < 0)
		serve_fail(v, r, code, &e);
}

static bool serve_is_traced(const struct session_job *j)
{
	unsigned flags = 0;

	for (unsigned i = 0; i < j->n; i++)
		flags |= j->requests[i].entry.flags;
	return flags & FRAME_RUN_TRACE;
}

static void serve_job(struct serving *v, struct session_job *j)
{
	struct body *bodies = mem_zalloc(j->n * sizeof(*bodies));
	uint64_t began_ns = clock_now_ns(), took_ns;
	unsigned phase, worker;

	spent_begin(&v->spent, serve_is_traced(j), j->seq);
	worker = spent_open(&v->spent, "worker");
	phase = spent_open(&v->spent, "preprocess");
	for (unsigned i = 0; i < j->n; i++)
		if (!serve_special(v, &j->requests[i]))
			serve_read(v, &j->requests[i], &bodies[i]);
	spent_close(&v->spent, phase);
	if (j->n > 1 && v->model->signature->batches)
		serve_stacked(v, j, bodies);
	for (unsigned i = 0; i < j->n; i++) {
		if (!j->requests[i].over)
			serve_single(v, &j->requests[i], &bodies[i]);
		if (bodies[i].signature)
			body_finish(&bodies[i]);
		piped_end(&j->requests[i]);
	}
	free(bodies);
	spent_close(&v->spent, worker);
	replies_tell_spent(&v->replies);
	took_ns = clock_now_ns() - began_ns;
	if (v->session->pipeline && pipeline_is_handler(v->session->pipeline))
		piped_tell_time(v->session, j->requests, j->n, took_ns);
	v->replies.busy_ns += took_ns;
	if (took_ns > SERVE_HOLD_NS)
		replies_flush(&v->replies);
}

void serve(struct session *s, unsigned instance)
{
	struct serving *v = mem_new(struct serving);
	struct session_job *j;

	v->session = s;
	v->model = &s->model;
	v->instance = instance;
	replies_begin(&v->replies, s, &v->spent);
	for (;;) {
		j = session_next_now(s);
		if (!j) {
			replies_flush(&v->replies);
			j = session_next(s, instance);
		}
		if (!j)
			break;
		serve_job(v, j);
		session_done(s, j);
	}
	free(v);
}
