# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker with continuous batching: the handler is called again and again.

Every call is a step for all requests under way. New ones join between steps and bring their input;
the others have an empty row. After a step `context.stopping_criteria[i](output)` says whether
request i is finished; until then its outputs are pieces of a streamed answer.
"""

from time import monotonic_ns

from sconce import frame as wire
from sconce import serving
from sconce.channel import NOWAIT, Closed

_ALONE = wire.RUN_EXPLAIN | wire.RUN_DESCRIBE


class ContinuousLoop:
    """Takes frames between steps; waits for one only while there is nothing to step."""

    def __init__(self, session):
        self.session = session
        self.active = {}   # request id → Request, in order of arrival
        self.stopping = False

    def run(self):
        while True:
            self._admit()
            if not self.active:
                return
            chosen = self._chosen()
            self.session.channel.step(self.active, chosen)
            self._step(chosen)

    def _admit(self):
        receive = self.session.channel.receive
        try:
            while self.active or not self.stopping:
                self._got(receive(NOWAIT if self.active else 0))
        except BlockingIOError:
            pass

    def _got(self, got):
        kind, count, arg, data, size, _ = got
        if kind == wire.RUN:
            for request in wire.read_requests(data, size, count):
                self.session.memory.begin_batch(arg + request.batch)
                self.active[request.id] = request
        elif kind == wire.CANCEL:
            self._drop(arg)
        elif not self.session.housekeeping(got):
            self.stopping = True

    def _drop(self, ident):
        request = self.active.pop(ident, None)
        if request is not None:
            self.session.replies.fail(request, 499, "The client has left.")
            self.session.replies.flush()

    def _chosen(self):
        """All that are under way; explanations and descriptions go alone."""
        for request in self.active.values():
            if request.flags & _ALONE:
                return [request]
        return list(self.active.values())

    def _step(self, requests):
        s = self.session
        began = monotonic_ns()
        try:
            rows = [s.fields(r) for r in requests]
            s.context.begin_batch(requests)
            s.running = requests
            values = s.entry(rows, s.context)
            bodies = s.replies.bodies(requests, values)
            more = [not r.flags & _ALONE and _goes_on(s.context, i, v)
                    for i, (r, v) in enumerate(zip(requests, values))] if bodies else ()
        except Exception as e:
            s.replies.raised(requests, e)
            bodies = None
        s.running = []
        if bodies is None:
            for r in requests:
                del self.active[r.id]
        else:
            self._answer(requests, bodies, more)
        s.replies.busy_ns += monotonic_ns() - began
        s.replies.flush()

    def _answer(self, requests, bodies, more):
        s = self.session
        for r, body, processor, goes_on in zip(requests, bodies, s.context.request_processor, more):
            if s.replies.put(r, body, processor, 0 if goes_on else wire.REPLY_FINAL) and goes_on:
                r.parts = ()       # from now on the handler has what it brought
                r.headers = b""
            else:
                del self.active[r.id]


def _goes_on(context, idx, value):
    """Asks the handler's criterion, and tells the client what it said."""
    if not context.stopping_criteria:
        return False
    stop = context.stopping_criteria[idx](value)
    if stop is None:
        return False
    context.set_response_header(idx, "ts_stream_next", "false" if stop else "true")
    return not stop


def serve(session):
    """Runs until the front says STOP or is gone."""
    serving.session = session
    try:
        ContinuousLoop(session).run()
    except Closed:
        pass
