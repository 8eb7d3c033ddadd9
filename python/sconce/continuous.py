# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker with continuous batching: the handler is called again and again.

Every call is a step for all requests under way. New ones join between steps and bring their input;
the others have an empty row. After a step `context.stopping_criteria[i](output)` says whether
request i is finished; until then its outputs are pieces of a streamed answer.
"""

from _thread import get_ident
from time import monotonic_ns

from sconce import frame as wire
from sconce import serving
from sconce.channel import NOWAIT, Closed


class ContinuousLoop:
    """Takes frames between steps; waits for one only while there is nothing to step."""

    def __init__(self, session):
        self.session = session
        self.active = {}   # request id → Request, in order of arrival
        self.stopping = False
        self.traced = {}      # request id → (number of its batch, Trace)
        self.alone = False    # was the last step one of those that go alone?

    def run(self):
        while True:
            self._admit()
            if not self.active:
                return
            chosen = self._chosen()
            self.session.channel.step(self.active, chosen)
            self._step(chosen)

    def _admit(self):
        """Returns when there is something to step, or nothing more to come."""
        receive = self.session.channel.receive
        while self.active or not self.stopping or self.session.replies.waiting():
            try:
                self._got(receive(NOWAIT if self.active else 0))
            except BlockingIOError:
                self._drop_cancelled()
                if self.active:
                    return

    def _got(self, got):
        kind, count, arg, data, size, _ = got
        if kind == wire.RUN:
            for request in wire.read_requests(data, size, count):
                self.session.memory.begin_batch(arg + request.batch)
                self.active[request.id] = request
                trace = serving.trace_of(request.flags)
                if trace:
                    self.traced[request.id] = arg + request.batch, trace
        elif not self.session.housekeeping(got):
            self.stopping = True

    def _drop_cancelled(self):
        """Also those of which the handler has learnt first: see Session.is_cancelled()."""
        for ident in self.active.keys() & self.session.cancelled.keys():
            self.traced.pop(ident, None)
            self.session.replies.fail(self.active.pop(ident), 499, "The client has left.")
            self.session.replies.flush()

    def _chosen(self):
        """All that are under way; explanations and descriptions go alone. They take turns: with
        many of them the others would never be stepped."""
        alone, others = [], []
        for request in self.active.values():
            (alone if request.flags & wire.RUN_ALONE else others).append(request)
        self.alone = bool(alone) and not (self.alone and others)
        return alone[:1] if self.alone else others

    def _step(self, requests):
        s = self.session
        began = monotonic_ns()
        try:
            rows = [s.fields(r) for r in requests]
            s.begin(requests)
            values = s.entry(rows, s.context)
        except (SystemExit, KeyboardInterrupt):
            s.replies.flush()
            raise
        except BaseException as e:
            self._tell(requests)
            s.replies.raised(requests, e)
        else:
            self._answer(requests, values)
        s.end()
        for r in requests:
            r.parts = ()       # from now on the handler has what it brought
            r.headers = b""
            if r.over:
                del self.active[r.id]
        s.replies.busy_ns += monotonic_ns() - began
        s.replies.flush()

    def _tell(self, requests):
        """Of those that are about to have their last reply."""
        for r in requests:
            number, trace = self.traced.pop(r.id, (0, None)) if self.traced else (0, None)
            if trace:
                trace.over()
                trace.tell(self.session.channel, number)

    def _answer(self, requests, values):
        """Pieces for those that go on, final replies for the others. Only what the channel raises
        gets out."""
        s = self.session
        answers = s.replies.each(requests, values)
        if answers is None:
            self._tell(requests)
            return
        rows = zip(requests, answers, serving.processors(s.context, s.own))
        for i, (r, value, processor) in enumerate(rows):
            try:
                goes_on = not r.flags & wire.RUN_ALONE and _goes_on(s.context, i, value, processor)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as e:
                self._tell([r])
                s.replies.raised([r], e)
            else:
                if not goes_on:
                    self._tell([r])
                s.replies.put(r, value, processor, 0 if goes_on else wire.REPLY_FINAL)


def _goes_on(context, idx, value, processor):
    """Asks the handler's criterion, and tells the client what it said."""
    if not context.stopping_criteria:
        return False
    stop = context.stopping_criteria[idx](value)
    if stop is None:
        return False
    processor.add_response_property("ts_stream_next", "false" if stop else "true")
    return not stop


def serve(session):
    """Runs until the front says STOP or is gone."""
    serving.session = session
    session.replies.hurried = get_ident()
    try:
        ContinuousLoop(session).run()
    except Closed:
        pass
