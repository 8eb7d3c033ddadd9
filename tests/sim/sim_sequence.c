/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_process.h"

/* What a process may be asked of a sequence, seen from all of them: one place has its state. */

#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "sim.h"

/* With continuous batching the next one may come when an answer has begun. */
static bool process_lets_go(const struct process *p, const struct process_job *j)
{
	return p->worker->model.manifest->continuous_batching && (j->pieces_sent || j->overfilled);
}

/* Of a sequence one request runs at a time, and at one place. */
static void process_check_place(struct sim *s, const struct process *p, const struct process_job *j)
{
	if (!j->sequence[0] || !p->worker->model.manifest->sequence_batching)
		return;
	list_for_each (l, &s->processes) {
		const struct process *q = container_of(l, struct process, link);

		if (q->killed || q->worker->owner != p->worker->owner)
			continue;
		list_for_each (m, &q->jobs) {
			const struct process_job *k = container_of(m, struct process_job, link);

			if (k != j && strcmp(k->sequence, j->sequence) == 0 &&
			    !process_lets_go(q, k))
				sim_fail(s,
					 "two requests of sequence %s run at once, in processes "
					 "%u and %u",
					 j->sequence, q->number, p->number);
		}
	}
}

static bool process_is_beside(const struct process *p, const struct process *q)
{
	return q != p && !p->killed && !q->killed && q->worker->owner == p->worker->owner;
}

/* What others have of a sequence that begins anew here is of no account any more. */
static void process_begin_anew(struct sim *s, struct process *p, unsigned lane)
{
	p->lost_ns[lane] = 0;
	list_for_each (l, &s->processes) {
		struct process *q = container_of(l, struct process, link);

		if (!process_is_beside(p, q))
			continue;
		q->state_ns[lane] = q->lost_ns[lane] = 0;
		/* Nor is what they still answer in it. */
		list_for_each (m, &q->jobs) {
			struct process_job *k = container_of(m, struct process_job, link);

			k->lane = k->lane == lane ? 0 : k->lane;
		}
	}
}

/* Nobody goes on in a sequence without the state that another one has of it, or has had. After an
 * end anybody may, and who asked for one may have left before it came to that. */
static void process_check_state(struct sim *s, struct process *p, const struct process_job *j)
{
	uint64_t idle_ns = (uint64_t)p->worker->model.manifest->sequence_max_idle_ms * NS_PER_MS;
	uint64_t at_ns = p->lost_ns[j->lane];

	if (!j->lane || !p->worker->model.manifest->sequence_batching || s->ended[j->lane] ||
	    s->weather.lies)
		return;
	if (j->run_flags & FRAME_RUN_SEQUENCE_START) {
		process_begin_anew(s, p, j->lane);
		return;
	}
	list_for_each (l, &s->processes) {
		const struct process *q = container_of(l, struct process, link);

		if (process_is_beside(p, q))
			at_ns = MAX(at_ns, MAX(q->state_ns[j->lane], q->lost_ns[j->lane]));
	}
	if (at_ns && system_now_ns() < at_ns + idle_ns)
		sim_fail(s, "process %u is to go on in sequence %s, of which others had the state",
			 p->number, j->sequence);
}

void process_check_sequence(struct sim *s, struct process *p, const struct process_job *j)
{
	process_check_place(s, p, j);
	process_check_state(s, p, j);
}

/* What a killed one said last may not have been heard. */
void process_leave_state(struct sim *s, const struct process *p)
{
	list_for_each (l, &s->processes) {
		struct process *q = container_of(l, struct process, link);

		for (unsigned i = 1; i < PROCESS_LANES && process_is_beside(p, q); i++)
			q->lost_ns[i] = MAX(q->lost_ns[i], MAX(p->state_ns[i], p->lost_ns[i]));
	}
}
