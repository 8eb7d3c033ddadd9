# SPDX-License-Identifier: Apache-2.0
"""The loop of a worker whose handler is a coroutine function: many batches at a time.

Every batch is a task with a context of its own, so that batches do not see each other's request
ids, headers and statuses. CANCEL cancels the task when nobody waits for any of its requests.
"""

import asyncio
import copy
import select
import warnings
from _thread import get_ident
from time import monotonic_ns
from weakref import ref

from sconce import frame as wire
from sconce import logs, serving
from sconce.channel import NOWAIT, Closed


class _View:
    """A session as one batch sees it, known to the batch's context. That is held only weakly: where
    a handler has turned garbage collection off, what is done with goes nevertheless."""

    def __init__(self, loop, context, requests):
        self._loop = loop
        self._context = ref(context)
        self.requests = requests
        self.own = context.begin_batch(requests)

    @property
    def context(self):
        return self._context()

    def send_intermediate(self, values, ids):
        self._loop.send_intermediate(values, self.context.request_ids if ids is None else ids)

    def is_cancelled(self, ident):
        return False   # a coroutine is cancelled itself


class AsyncLoop:
    """Reads frames when they are there, runs batches as tasks."""

    def __init__(self, session):
        self.session = session
        self.tasks = {}        # request id → [task, ids still wanted]
        self.views = {}        # what handlers call a request → the view of its batch
        self.stopping = False
        session.send_intermediate = self.send_intermediate

    async def run(self):
        loop = asyncio.get_running_loop()
        channel = self.session.channel
        self.done = asyncio.Event()
        # What a thread of the handler takes in, while it waits, makes the socket readable no more.
        channel.on_aside = lambda: loop.call_soon_threadsafe(self._readable)
        # Some loops make what they look at non-blocking, uvloop say: not the socket, at which
        # threads wait.
        with select.epoll() as ready:
            ready.register(channel.fileno(), select.EPOLLIN)
            loop.add_reader(ready.fileno(), self._readable)
            await self.done.wait()
            loop.remove_reader(ready.fileno())
        channel.on_aside = None

    def send_intermediate(self, values, ids):
        """What a request is called says which batch it is of: the context that a handler has may be
        of another batch, or of none."""
        parts = {}
        for index, ident in (ids or {}).items():
            parts.setdefault(self.views.get(ident), {})[index] = ident
        parts.pop(None, None)      # they are over
        for view, own in parts.items():
            context = view.context
            if context is not None:    # a thread asks, and the batch has come to its end meanwhile
                serving.stream(self.session.replies, view.requests, context, view.own, values, own)

    def _readable(self):
        try:
            while True:
                self._got(self.session.channel.receive(NOWAIT))
        except BlockingIOError:
            pass
        except Exception as e:
            self._give_up(e)
        self._maybe_done()

    def _got(self, got):
        if got[0] == wire.RUN:
            self._run_frame(got)
        elif got[0] == wire.CANCEL:
            self._cancel(got[2])
        elif not self.session.housekeeping(got):
            self.stopping = True

    def _run_frame(self, got):
        _, count, number, data, size, _ = got
        batches = {}
        for request in wire.read_requests(data, size, count):
            batches.setdefault(request.batch, []).append(request)
        for index, requests in batches.items():
            self.session.memory.begin_batch(number + index)
            self._begin(number + index, requests)

    def _begin(self, number, requests):
        """Tasks may be of a kind that runs at once, and be over when they are made."""
        wanted = {r.id for r in requests}
        under_way = [None, wanted]
        for r in requests:
            self.tasks[r.id] = under_way
        under_way[0] = asyncio.ensure_future(self._batch(number, requests, wanted))

    async def _batch(self, number, requests, wanted):
        s = self.session
        began = monotonic_ns()
        try:
            await self._run(number, requests, wanted)
            s.replies.busy_ns += monotonic_ns() - began
            s.replies.flush()
        except Exception as e:
            self._give_up(e)
        for r in requests:
            self.tasks.pop(r.id, None)
            self.views.pop(r.ident, None)
        self._maybe_done()

    async def _run(self, number, requests, wanted):
        """Whatever way the coroutine ends, each of its requests is answered. Only what the channel
        raises gets out, and what is to end the process."""
        s = self.session
        logs.of_task.set(requests)
        trace = self._trace(requests)
        try:
            context = copy.copy(s.context)
            context.session = view = _View(self, context, requests)
            self.views.update((r.ident, view) for r in requests)
            rows = [s.fields(r) for r in requests]
            if trace:
                values = await trace.call_async(s.entry, rows, context)
            else:
                values = s.entry(rows, context)
                if hasattr(values, "__await__"):
                    values = await values
        except (SystemExit, KeyboardInterrupt):
            s.replies.flush()
            raise
        except BaseException as e:
            if trace:
                trace.tell(s.channel, number)
            if isinstance(e, asyncio.CancelledError) and not wanted:
                s.replies.fail_all(requests, 499, "The client has left.")
            else:
                s.replies.raised(requests, e)
        else:
            if trace:
                trace.tell(s.channel, number)
            serving.answer(s, requests, values, context, view.own)

    @staticmethod
    def _trace(requests):
        flags = 0
        for r in requests:
            flags |= r.flags
        return serving.trace_of(flags)

    def _give_up(self, error):
        """The channel is of no use any more. That the front is gone is no news."""
        if not isinstance(error, (Closed, OSError)):
            logs.complain("The worker ends", error)
        self.done.set()

    def _cancel(self, ident):
        task, wanted = self.tasks.get(ident, (None, ()))
        if task is None:
            return
        wanted.discard(ident)
        if not wanted:
            # Not before it has begun: it could not answer then.
            asyncio.get_running_loop().call_soon(task.cancel)

    def _maybe_done(self):
        if self.stopping and not self.tasks and not self.session.replies.waiting():
            self.done.set()


def event_loop():
    """The loop of this process: what a handler has begun on it while it was loaded goes on, unless
    it has closed it."""
    loop = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")    # that there is none yet is deprecated, not wrong
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:
            pass
    if loop is None or loop.is_closed():
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    return loop


_loop = None    # that serves


def leave():
    """In a process that was forked off: a coroutine that goes on there would have all the others go
    on with it, and take in what wakes those of the worker, with which it shares what it waits at.
    Event loops of another kind see to that themselves."""
    waits = getattr(_loop, "_selector", None)
    if waits is not None:
        waits.close()
        _loop._ready.clear()


def serve(session):
    """Runs until the front says STOP or is gone."""
    global _loop
    serving.session = session
    session.replies.hurried = get_ident()
    _loop = event_loop()
    _loop.run_until_complete(AsyncLoop(session).run())
