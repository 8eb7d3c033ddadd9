# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker whose handler is a coroutine function: many batches at a time.

Every batch is a task with a context of its own, so that batches do not see each other's request
ids, headers and statuses. CANCEL cancels the task when nobody waits for any of its requests.
"""

import asyncio
import copy
import warnings
from time import monotonic_ns

from sconce import frame as wire
from sconce import logs, serving
from sconce.channel import NOWAIT, Closed


class _View:
    """A session as one batch sees it."""

    def __init__(self, session, requests):
        self._session = session
        self._requests = requests
        self.context = copy.copy(session.context)
        self.context.session = self
        self.context.begin_batch(requests)

    def send_intermediate(self, values):
        replies = self._session.replies
        replies.put_all(self._requests, values, self.context.request_processor, 0)
        replies.flush()

    def is_cancelled(self, ident):
        return False   # a coroutine is cancelled itself


class AsyncLoop:
    """Reads frames when they are there, runs batches as tasks."""

    def __init__(self, session):
        self.session = session
        self.tasks = {}        # request id → (task, ids still wanted)
        self.stopping = False

    async def run(self):
        loop = asyncio.get_running_loop()
        self.done = asyncio.Event()
        loop.add_reader(self.session.channel.fileno(), self._readable)
        await self.done.wait()
        loop.remove_reader(self.session.channel.fileno())

    def _readable(self):
        try:
            while True:
                self._got(self.session.channel.receive(NOWAIT))
        except BlockingIOError:
            pass
        except (Closed, wire.FrameError):
            self.done.set()

    def _got(self, got):
        if got[0] == wire.RUN:
            self._run_frame(got)
        elif got[0] == wire.CANCEL:
            self._cancel(got[2])
        elif not self.session.housekeeping(got):
            self.stopping = True
            self._maybe_done()

    def _run_frame(self, got):
        _, count, number, data, size, _ = got
        batches = {}
        for request in wire.read_requests(data, size, count):
            batches.setdefault(request.batch, []).append(request)
        for index, requests in batches.items():
            self.session.memory.begin_batch(number + index)
            task = asyncio.ensure_future(self._batch(requests))
            wanted = {r.id for r in requests}
            for r in requests:
                self.tasks[r.id] = (task, wanted)

    async def _batch(self, requests):
        s = self.session
        view = _View(s, requests)
        began = monotonic_ns()
        logs.of_task.set(requests)
        try:
            rows = [s.fields(r) for r in requests]
            values = await s.entry(rows, view.context)
        except asyncio.CancelledError:
            s.replies.fail_all(requests, 499, "The client has left.")
        except Exception as e:
            s.replies.raised(requests, e)
        else:
            s.replies.put_all(requests, values, view.context.request_processor)
        s.replies.busy_ns += monotonic_ns() - began
        s.replies.flush()
        for r in requests:
            self.tasks.pop(r.id, None)
        # Frames that came while a reply waited for its grant make the socket readable no more.
        self._readable()
        self._maybe_done()

    def _cancel(self, ident):
        task, wanted = self.tasks.get(ident, (None, ()))
        if task is None:
            return
        wanted.discard(ident)
        if not wanted:
            # Not before it has begun: it could not answer then.
            asyncio.get_running_loop().call_soon(task.cancel)

    def _maybe_done(self):
        if self.stopping and not self.tasks:
            self.done.set()


def event_loop():
    """The loop of this process: what a handler has begun on it while it was loaded goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")    # that there is none yet is deprecated, not wrong
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            return loop


def serve(session):
    """Runs until the front says STOP or is gone."""
    serving.session = session
    event_loop().run_until_complete(AsyncLoop(session).run())
